"""Values worth trying: those at which the answer of a question changes, one inside, and ordinary ones.

Where a question says which blocks of values it allows (:mod:`rules.blocks`) these are each block's ends and their
neighbours; the others have an entry in :data:`_NAMED`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, combinations
from typing import Any

from rules.blocks import Blocks, allowed_by
from rules.fields import DONT_FRAGMENT, ICMP, MORE_FRAGMENTS, OFFSET_MASK, TCP, UDP, Header
from rules.ipfw.questions import (
    AddressInNumberedTable,
    AddressInTable,
    AddressOfInterface,
    FlowInTable,
    IpOptions,
    IpVersion,
    Mark,
    OwnedBy,
    Tagged,
    TcpMss,
    TcpOptions,
)
from rules.ipfw.surroundings import Owner
from rules.ipfw.tables import Kind, Table
from rules.ipfw.world import World
from rules.predicates import AnyOf, Not
from rules.strategies.domain import Domain, Row, Wishes
from rules.strategies.headers import FLAGS, coherent
from rules.strategies.values import NICE_ADDRESSES, NICE_PORTS

__all__ = ["Candidates", "flattened"]

_WIDTHS = {
    "source": 32,
    "destination": 32,
    "protocol": 8,
    "tos": 8,
    "ttl": 8,
    "identification": 16,
    "fragment": 16,
    "fragment_offset": 13,
    "total_length": 16,
    "source_port": 16,
    "destination_port": 16,
    "icmp_type": 8,
    "icmp_code": 8,
    "tcp_flags": 8,
    "tcp_sequence": 32,
    "tcp_acknowledgment": 32,
    "tcp_window": 16,
    "tcp_data_length": 16,
}
"""Bits of each field."""

_USUAL: dict[str, tuple[object, ...]] = {
    "source": NICE_ADDRESSES,
    "destination": (*NICE_ADDRESSES[1:], NICE_ADDRESSES[0]),
    "protocol": (UDP, TCP, ICMP, 47),
    "tos": (0, 0x10, 0xB8),
    "ttl": (64, 1),
    "identification": (1, 0),
    "fragment": (0, DONT_FRAGMENT, MORE_FRAGMENTS, MORE_FRAGMENTS | 185, 185, 256),
    "mark": (0, 1),
    "tags": (frozenset(), frozenset({1})),
    "reinjected": (None, "in", "out"),
    "link_broadcast": (False,),
    "owner": (None,),
    "source_port": (40000, *NICE_PORTS),
    "destination_port": NICE_PORTS,
    "icmp_type": (8, 0, 3, 11),
    "icmp_code": (0, 1),
    "tcp_flags": FLAGS,
    "tcp_sequence": (1, 2),
    "tcp_acknowledgment": (1, 2),
    "tcp_window": (65535, 1024),
    "options": (b"",),
    "tcp_options": (b"",),
    "data": (0, 8, 100),
}
"""What there is without anybody's asking."""

_TRANSPORT = {
    TCP: ("source_port", "destination_port", "tcp_flags", "tcp_sequence", "tcp_acknowledgment", "tcp_window"),
    UDP: ("source_port", "destination_port"),
    ICMP: ("icmp_type", "icmp_code"),
}
_OF_SHAPE = frozenset({"protocol", "fragment", "fragment_offset", "more_fragments", "dont_fragment"})
_ALWAYS = ("source", "destination", "tos", "ttl", "identification", "mark", "tags", "reinjected", "owner")
_LENGTHS = ("options", "tcp_options", "header_length", "payload_length", "total_length", "tcp_data_length")
_IP_OPTIONS = (
    b"\x07\x07\x04\0\0\0\0\0",
    b"\x44\x08\x05\0\0\0\0\0",
    b"\x83\x07\x04\x0a\0\0\2\0",
    b"\x89\x07\x04\x0a\0\0\2\0",
)
_TCP_OPTIONS = (b"\2\4\5\xb4", b"\3\3\7\0", b"\4\2\0\0", b"\x08\x0a" + bytes(10), b"\x0b\6\0\0\0\1\0\0")


def flattened(question: object) -> Iterator[object]:
    """The question and whatever it is made of."""
    yield question
    if isinstance(question, Not):
        yield from flattened(question.question)
    elif isinstance(question, AnyOf):
        yield from chain.from_iterable(map(flattened, question.questions))


_MOST_OPTIONS = 40
"""Octets: the header's length counts four octets in four bits."""

Suggestion = tuple[str, Iterable[Any]]


class Candidates:
    """The values that some questions suggest, for one host.

    ``interfaces``: the names of the host's interfaces.  ``inside``: chooses the value inside a block: its bits where
    the block leaves them open.
    """

    def __init__(
        self, questions: Iterable[object], interfaces: Sequence[str], world: World | None = None, inside: int = 0
    ) -> None:
        self._interfaces = interfaces
        self._world = world
        self._inside = inside
        self._values: dict[str, dict[Any, None]] = {name: dict.fromkeys(usual) for name, usual in _USUAL.items()}
        for question in chain.from_iterable(map(flattened, questions)):
            for name, values in self._suggested(question):
                self._values.setdefault(name, {}).update(dict.fromkeys(values))
        if world is not None:
            own = [address for name in interfaces for address in world.surroundings.addresses(name) or ()]
            for name in ("source", "destination"):
                self._values[name].update(dict.fromkeys(own))

    def shapes(self, wishes: Wishes = ()) -> Iterator[tuple[int, int]]:
        """Protocol and fragment field, which decide what other fields there are; those that may grant the wishes."""
        fragments = dict.fromkeys((*self._values["fragment"], *self._values.get("fragment_offset", ())))
        decided = [(ask, wanted) for ask, wanted in wishes if ask.reads <= _OF_SHAPE]
        for fragment in fragments:
            for protocol in self._values["protocol"]:
                header = Header(protocol=protocol, fragment=fragment, total_length=100)
                if all(ask.answer(header) is wanted for ask, wanted in decided):
                    yield protocol, fragment

    def domain(self, shape: tuple[int, int]) -> Domain:
        """All the values for headers of that shape."""
        protocol, fragment = shape
        # Lengths of a packet that has its transport header: a question about ports wants one.
        start = coherent(Header(protocol=protocol, fragment=fragment))
        first = not fragment & OFFSET_MASK
        names = (*_ALWAYS, *(_TRANSPORT.get(protocol, ()) if first else ()))
        groups: dict[tuple[str, ...], tuple[Row, ...]] = {
            (name,): tuple((value,) for value in self._values[name]) for name in names
        }
        groups["receive_interface", "transmit_interface"] = tuple(self._ways())
        groups[_LENGTHS] = tuple(dict.fromkeys(self._lengths(start, is_tcp=first and protocol == TCP)))
        return Domain(start, groups)

    def _ways(self) -> Iterator[Row]:
        names = list(dict.fromkeys((*self._interfaces, *self._values.get("interface", ()), "lo0")))
        yield from ((name, None) for name in names)
        yield from ((received, sent) for sent in reversed(names) for received in names if received != sent)
        yield from ((None, name) for name in names)

    def _lengths(self, start: Header, *, is_tcp: bool) -> Iterator[Row]:
        for options in self._values["options"]:
            for tcp_options in self._values["tcp_options"] if is_tcp else (None,):
                bare = replace(start, options=options, tcp_options=tcp_options)
                least = coherent(replace(bare)).total_length
                wanted = [total - least for total in self._values.get("total_length", ())]
                for data in (*self._values["data"], *self._values.get("tcp_data_length", ()), *wanted):
                    if 0 <= data <= 65535 - least:
                        made = coherent(replace(bare), data)
                        yield tuple(getattr(made, name) for name in _LENGTHS)

    # What a question suggests

    def _suggested(self, question: object) -> Iterator[Suggestion]:
        allowed = allowed_by(question)
        if isinstance(allowed, Blocks) and allowed.field in _WIDTHS:
            yield allowed.field, self._around(allowed)
        named = _NAMED.get(type(question))
        if named is not None:
            yield from named(question, self._world)
        interfaces = getattr(question, "interfaces", None)
        if interfaces is not None:
            yield "interface", _names_of(interfaces, self._world)

    def _around(self, allowed: Blocks) -> Iterator[int]:
        """Of each block: a value inside, its first, its last, and the nearest that are not in it."""
        most = (1 << _WIDTHS[allowed.field]) - 1
        for base, mask in allowed.blocks:
            if base > most:
                continue
            open_bits = most & ~mask
            lowest, highest = mask & -mask, 1 << (mask & most).bit_length() >> 1
            values = (
                base | (self._inside & open_bits),
                base,
                base | open_bits,
                base | (open_bits & 1),
                base ^ (lowest & most),
                base ^ highest,
                (base | open_bits) + 1,
                base - 1,
            )
            yield from (value for value in values if 0 <= value <= most)


def _names_of(interfaces: object, world: World | None) -> Iterator[str]:
    """Interfaces that are among these; nothing where only the host knows them."""
    for attribute, suffix in (("name", ""), ("prefix", "0"), ("driver", "0")):
        text = getattr(interfaces, attribute, None)
        if text:
            yield f"{text}{getattr(interfaces, 'unit', None) or 0}" if attribute == "driver" else text + suffix
    pattern = getattr(interfaces, "pattern", None)
    if pattern is not None:
        yield from (pattern.replace("*", end).replace("?", "0") for end in ("0", ""))
    table = getattr(interfaces, "table", None)
    if table is not None and world is not None:
        yield from (str(key) for key in world.table(table, Kind.INTERFACE).exact)


def _entries(table: Table) -> Iterator[int]:
    for network, length, _ in table:
        last = network | (0xFFFFFFFF >> length)
        yield from (address for address in (network, last, network - 1, last + 1) if 0 <= address <= 0xFFFFFFFF)


def _in_table(question: AddressInTable, world: World | None) -> Iterator[Suggestion]:
    if world is None:
        return
    table = world.table(question.table, question.kind)
    [field, *_] = question.reads if question.key not in ("uid", "jail") else ["owner"]
    keys = [key for key in table.exact if isinstance(key, int)] if table.kind is Kind.NUMBER else list(_entries(table))
    if field == "owner":
        yield "owner", [Owner(key, key, key) for key in keys]
    elif field == "tos":
        yield "tos", [key << 2 for key in keys if key < 64]
    else:
        yield field, keys


def _in_flows(question: FlowInTable, world: World | None) -> Iterator[Suggestion]:
    if world is None:
        return
    names = {
        "src-ip": "source",
        "dst-ip": "destination",
        "proto": "protocol",
        "src-port": "source_port",
        "dst-port": "destination_port",
    }
    table = world.table(question.table, Kind.FLOW)
    for key in table.exact:
        if isinstance(key, tuple):
            yield from ((names[part], [value]) for part, value in zip(table.flow, key, strict=True))


def _of_interface(question: AddressOfInterface, world: World | None) -> Iterator[Suggestion]:
    found = world.surroundings.network_of(question.interface) if world is not None else None
    if found is not None:
        address, mask = found
        yield question.end.value, [address, (address & mask) + 1, (address & mask) - 1]


def _in_numbered(question: AddressInNumberedTable, world: World | None) -> Iterator[Suggestion]:
    if world is not None:
        yield question.end.value, _entries(world.numbered_table(question.number))


def _several(options: Sequence[bytes]) -> list[bytes]:
    """Each alone, and all that fit together, the fewest first."""
    chosen = (b"".join(some) for size in range(1, len(options) + 1) for some in combinations(options, size))
    return [each for each in chosen if len(each) <= _MOST_OPTIONS]


_NAMED: dict[type, Callable[[Any, World | None], Iterator[Suggestion]]] = {
    AddressInTable: _in_table,
    AddressInNumberedTable: _in_numbered,
    AddressOfInterface: _of_interface,
    FlowInTable: _in_flows,
    IpOptions: lambda question, world: iter([("options", _several(_IP_OPTIONS))]),
    TcpOptions: lambda question, world: iter([("tcp_options", _several(_TCP_OPTIONS))]),
    TcpMss: lambda question, world: iter(
        [
            (
                "tcp_options",
                [
                    b"\2\4" + size.to_bytes(2, "big")
                    for low, high in question.ranges.pairs
                    for size in (low, high, low - 1, high + 1)
                    if 0 <= size <= 65535
                ],
            )
        ]
    ),
    Tagged: lambda question, world: iter(
        [("tags", [frozenset({tag}) for low, high in question.tags.pairs for tag in (low, high)])]
    ),
    Mark: lambda question, world: iter([("mark", [question.value & 0xFFFFFFFF, question.value & question.mask])]),
    OwnedBy: lambda question, world: iter([("owner", [Owner(*[question.number] * 3)])]),
    IpVersion: lambda question, world: iter(()),
}
"""What questions without blocks suggest."""
