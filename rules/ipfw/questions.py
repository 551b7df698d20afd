"""Questions that only ipfw asks; those it shares with ipchains are in :mod:`rules.predicates`.

Sources: ipfw(8), RULE OPTIONS, and statements E-13 to E-25 of the behavioural notes.  A question that needs more than
the datagram (addresses of the host, a table, a route) has a method ``bind``, which makes it ready for one
:class:`~rules.ipfw.world.World`; on its own such a question answers as on a host without addresses, routes and tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import ClassVar

from rules.addresses import dotted
from rules.fields import OFFSET_MASK, TCP, Fields
from rules.ipfw.surroundings import NOWHERE
from rules.ipfw.world import Test, TransportCutShortError, World
from rules.predicates import Ranges

__all__ = [
    "TABLEARG",
    "AddressIn",
    "AddressInSet",
    "AddressInTable",
    "AddressIsLocal",
    "AddressIsLocal6",
    "Antispoof",
    "Bound",
    "Comment",
    "Diverted",
    "Dscp",
    "End",
    "Established",
    "Family",
    "Fib",
    "FragmentBits",
    "Incoming",
    "InterfaceAddress",
    "InterfacePattern",
    "InterfaceTable",
    "IpOptions",
    "IpVersion",
    "Never",
    "NumberIn",
    "OwnedBy",
    "Precedence",
    "ReceivedBy",
    "SourceReachable",
    "Tagged",
    "TcpNumber",
    "TcpOptions",
    "TosBits",
    "TransmittedBy",
    "VerifyReversePath",
]

TABLEARG = -1
"""Stands for ``tablearg``: the value of the table entry that matched."""


class End(Enum):
    """Which of the two addresses, or ports, of a datagram."""

    SOURCE = "source"
    DESTINATION = "destination"

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({self.value})

    def of(self, fields: Fields) -> int:
        return fields.source if self is End.SOURCE else fields.destination


class Bound:
    """Base of the questions that need a world: asked alone, they answer in an empty one."""

    __slots__ = ()

    def bind(self, world: World) -> Test:
        raise NotImplementedError

    def test(self, fields: Fields) -> bool:
        return self.bind(World(NOWHERE, lambda: 0.0))(fields)


# Addresses


@dataclass(frozen=True, slots=True)
class AddressIn:
    """One of several (address, mask) blocks, as ``10.0.0.0/8,192.168.1.1``; kept in the order written."""

    end: End
    blocks: tuple[tuple[int, int], ...]

    @property
    def reads(self) -> frozenset[str]:
        return self.end.reads

    def test(self, fields: Fields) -> bool:
        address = self.end.of(fields)
        return any(address & mask == base for base, mask in self.blocks)


@dataclass(frozen=True, slots=True)
class AddressInSet:
    """A set inside one block, as ``10.0.0.128/25{129,200}``: ``members`` has bit n for address ``base + n`` (E-14)."""

    end: End
    base: int
    size: int
    members: int

    @property
    def reads(self) -> frozenset[str]:
        return self.end.reads

    def test(self, fields: Fields) -> bool:
        distance = self.end.of(fields) - self.base
        return 0 <= distance < self.size and bool(self.members >> distance & 1)


@dataclass(frozen=True, slots=True)
class AddressIsLocal(Bound):
    """``me``: configured on any interface of this host at the time of the packet."""

    end: End

    @property
    def reads(self) -> frozenset[str]:
        return self.end.reads

    def bind(self, world: World) -> Test:
        is_local = world.surroundings.is_local
        if self.end is End.SOURCE:
            return lambda fields: is_local(fields.source)
        return lambda fields: is_local(fields.destination)


@dataclass(frozen=True, slots=True)
class AddressIsLocal6:
    """``me6``, or ``me`` of a rule for ``ip6``: an IPv6 address of this host, which no datagram here has."""

    end: End

    @property
    def reads(self) -> frozenset[str]:
        return frozenset()

    def test(self, fields: Fields) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class AddressInTable(Bound):
    """``table(NAME[,value])``, or as an option of its own ``lookup dst-ip NAME``.

    Without ``value``, a match leaves the entry's value in the register ``tablearg``; with one, values must be equal.
    ``key`` is the field looked up: ``src-ip``, ``dst-ip``, ``src-port``, ``dst-port``, ``uid``, ``jail`` or ``dscp``.
    """

    end: End
    table: str
    value: int | None = None
    key: str | None = None

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({_KEY_FIELDS[self.key]}) if self.key else self.end.reads

    def bind(self, world: World) -> Test:
        table, wanted = world.table(self.table), self.value
        field = _KEY_FIELDS[self.key] if self.key else self.end.value

        def test(fields: Fields) -> bool:
            key = getattr(fields, field, None)
            if key is None:
                return False
            value = table.lookup(key >> 2 if field == "tos" else key)
            if value is None:
                return False
            if wanted is not None:
                return value == wanted
            world.tablearg = value
            return True

        return test


_KEY_FIELDS = {
    "src-ip": "source",
    "dst-ip": "destination",
    "src-port": "source_port",
    "dst-port": "destination_port",
    "dscp": "tos",
    "uid": "owner",
    "jail": "owner",
}


# Interfaces and direction


@dataclass(frozen=True, slots=True)
class Incoming:
    """``in``: seen on the way in, that is, no interface to leave by is chosen yet (E-16)."""

    reads: ClassVar[frozenset[str]] = frozenset({"transmit_interface"})

    def test(self, fields: Fields) -> bool:
        return fields.transmit_interface is None


@dataclass(frozen=True, slots=True)
class InterfacePattern:
    """Interfaces whose name matches a shell pattern, as ``em*`` (E-18)."""

    pattern: str

    def __contains__(self, interface: str | None) -> bool:
        return interface is not None and fnmatchcase(interface, self.pattern)

    def __str__(self) -> str:
        return self.pattern


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """The interface that owns an address (E-18); empty until it is bound to a host."""

    address: int

    def __contains__(self, interface: str | None) -> bool:
        return False

    def bind(self, world: World) -> _AddressOwners:
        return _AddressOwners(world, self.address)

    def __str__(self) -> str:
        return dotted(self.address)


class _AddressOwners:
    __slots__ = ("_address", "_surroundings")

    def __init__(self, world: World, address: int) -> None:
        self._surroundings = world.surroundings
        self._address = address

    def __contains__(self, interface: str | None) -> bool:
        return interface is not None and self._surroundings.has_address(interface, self._address)


@dataclass(frozen=True, slots=True)
class InterfaceTable:
    """Interfaces named in a lookup table; empty until it is bound to a world."""

    table: str
    value: int | None = None

    def __contains__(self, interface: str | None) -> bool:
        return False

    def bind(self, world: World) -> _TableInterfaces:
        return _TableInterfaces(world, self.table, self.value)

    def __str__(self) -> str:
        return f"table({self.table})" if self.value is None else f"table({self.table},{self.value})"


class _TableInterfaces:
    __slots__ = ("_table", "_value", "_world")

    def __init__(self, world: World, table: str, value: int | None) -> None:
        self._world = world
        self._table = world.table(table)
        self._value = value

    def __contains__(self, interface: str | None) -> bool:
        value = None if interface is None else self._table.names.get(interface)
        if value is None:
            return False
        if self._value is not None:
            return value == self._value
        self._world.tablearg = value
        return True


@dataclass(frozen=True, slots=True)
class ReceivedBy:
    """``recv``: the interface it came in by, in either pass (E-17)."""

    reads: ClassVar[frozenset[str]] = frozenset({"receive_interface"})
    interfaces: object

    def test(self, fields: Fields) -> bool:
        return fields.receive_interface in self.interfaces  # type: ignore[operator]


@dataclass(frozen=True, slots=True)
class TransmittedBy:
    """``xmit``: the interface it is about to leave by; never in the in pass (E-17)."""

    reads: ClassVar[frozenset[str]] = frozenset({"transmit_interface"})
    interfaces: object

    def test(self, fields: Fields) -> bool:
        return fields.transmit_interface in self.interfaces  # type: ignore[operator]


# Header fields


@dataclass(frozen=True, slots=True)
class FragmentBits:
    """``frag LIST``: rf 0x80, df 0x40, mf 0x20 as in the header's first octet, offset 1 for any that is not zero."""

    reads: ClassVar[frozenset[str]] = frozenset({"fragment"})
    present: int
    absent: int = 0

    def test(self, fields: Fields) -> bool:
        field = fields.fragment
        found = field >> 8 & 0xE0 | (field & OFFSET_MASK != 0)
        return found & self.present == self.present and not found & self.absent


@dataclass(frozen=True, slots=True)
class NumberIn:
    """A number of the header in a list of ranges: ``iplen``, ``ipid``, ``ipttl``, ``tcpdatalen``, ``tcpwin`` (E-19)."""

    field: str
    ranges: Ranges

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({self.field})

    def test(self, fields: Fields) -> bool:
        number = getattr(fields, self.field)
        return number is not None and number in self.ranges


@dataclass(frozen=True, slots=True)
class TcpNumber:
    """``tcpseq`` and ``tcpack``: one 32-bit number."""

    field: str
    number: int

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({self.field})

    def test(self, fields: Fields) -> bool:
        return bool(getattr(fields, self.field) == self.number)


@dataclass(frozen=True, slots=True)
class IpVersion:
    """``ipversion N``: the version field, which is 4 in everything that gets here."""

    reads: ClassVar[frozenset[str]] = frozenset()
    version: int

    def test(self, fields: Fields) -> bool:
        return self.version == 4


@dataclass(frozen=True, slots=True)
class Family:
    """``ip4``, ``ip6``: which Internet protocol; always the former."""

    reads: ClassVar[frozenset[str]] = frozenset()
    version: int

    def test(self, fields: Fields) -> bool:
        return self.version == 4


@dataclass(frozen=True, slots=True)
class Precedence:
    """``ipprecedence 0-7``: the three high bits of the type of service."""

    reads: ClassVar[frozenset[str]] = frozenset({"tos"})
    level: int

    def test(self, fields: Fields) -> bool:
        return fields.tos >> 5 == self.level


@dataclass(frozen=True, slots=True)
class TosBits:
    """``iptos``: every bit of ``present`` is set and none of ``absent``."""

    reads: ClassVar[frozenset[str]] = frozenset({"tos"})
    present: int
    absent: int = 0

    def test(self, fields: Fields) -> bool:
        tos = fields.tos
        return tos & self.present == self.present and not tos & self.absent


@dataclass(frozen=True, slots=True)
class Dscp:
    """``dscp``: the six high bits of the type of service, among a set."""

    reads: ClassVar[frozenset[str]] = frozenset({"tos"})
    points: frozenset[int]

    def test(self, fields: Fields) -> bool:
        return fields.tos >> 2 in self.points


_IP_OPTION_BITS = {137: 0x02, 131: 0x01, 7: 0x04, 68: 0x08}
_TCP_OPTION_BITS = {2: 0x01, 3: 0x02, 4: 0x04, 5: 0x04, 8: 0x08}


def _options_present(options: bytes, bits: dict[int, int], *, strict: bool) -> int | None:
    """One bit per kind of option found; with ``strict`` None for a list that is malformed (RFC 791, RFC 793)."""
    found, at, end = 0, 0, len(options)
    while at < end:
        kind = options[at]
        if kind == 0:
            break
        if kind == 1:
            at += 1
            continue
        length = options[at + 1] if at + 1 < end else 0
        if length == 0 or (strict and length > end - at):
            return None if strict else found | bits.get(kind, 0) * (length > 0)
        found |= bits.get(kind, 0)
        at += length
    return found


@dataclass(frozen=True, slots=True)
class IpOptions:
    """``ipoptions``: ssrr 2, lsrr 1, rr 4, ts 8; a malformed option list matches nothing."""

    reads: ClassVar[frozenset[str]] = frozenset({"options"})
    present: int
    absent: int = 0

    def test(self, fields: Fields) -> bool:
        found = _options_present(fields.options, _IP_OPTION_BITS, strict=True)
        return found is not None and found & self.present == self.present and not found & self.absent


@dataclass(frozen=True, slots=True)
class TcpOptions:
    """``tcpoptions``: mss 1, window 2, sack 4, ts 8, cc 16 (never found).

    Raises :class:`TransportCutShortError` for a segment that ends inside its options (F-13).
    """

    reads: ClassVar[frozenset[str]] = frozenset({"tcp_options", "tcp_data_length", "protocol", "fragment_offset"})
    present: int
    absent: int = 0

    def test(self, fields: Fields) -> bool:
        options = fields.tcp_options
        if options is None or (fields.tcp_data_length or 0) < 0:
            if fields.protocol == TCP and fields.fragment_offset == 0:
                raise TransportCutShortError
            return False
        found = _options_present(options, _TCP_OPTION_BITS, strict=False) or 0
        return found & self.present == self.present and not found & self.absent


@dataclass(frozen=True, slots=True)
class Established:
    """``established``: TCP, not a lone SYN (E-20)."""

    reads: ClassVar[frozenset[str]] = frozenset({"tcp_flags"})

    def test(self, fields: Fields) -> bool:
        flags = fields.tcp_flags
        return flags is not None and flags & 0x16 != 0x02


# Where it came from


@dataclass(frozen=True, slots=True)
class Diverted:
    """``diverted-loopback`` (bit 1: back as incoming), ``diverted-output`` (bit 2), ``diverted`` (both): X-9."""

    reads: ClassVar[frozenset[str]] = frozenset({"reinjected"})
    ways: int

    def test(self, fields: Fields) -> bool:
        way = fields.reinjected
        return way is not None and bool(self.ways & (1 if way == "in" else 2))


@dataclass(frozen=True, slots=True)
class Tagged(Bound):
    """``tagged``: carries a tag of this list, or (:data:`TABLEARG`) the one that a table gave."""

    reads: ClassVar[frozenset[str]] = frozenset({"tags"})
    tags: Ranges

    def bind(self, world: World) -> Test:
        if self.tags.pairs == ((TABLEARG, TABLEARG),):
            return lambda fields: world.tablearg in fields.tags
        tags = self.tags
        return lambda fields: any(tag in tags for tag in fields.tags)


@dataclass(frozen=True, slots=True)
class VerifyReversePath(Bound):
    """``verrevpath``: the route back to the source leaves by the interface it came in by; always true out (E-22).

    True, too, for a datagram that came in by no interface.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"source", "receive_interface", "transmit_interface"})

    def bind(self, world: World) -> Test:
        return lambda fields: (
            fields.transmit_interface is not None or fields.receive_interface is None or _path_back(world, fields)
        )


@dataclass(frozen=True, slots=True)
class SourceReachable(Bound):
    """``versrcreach``: there is a route to the source, neither the default one nor a reject; in pass only.

    The manual (E-22) has it always true in the out pass; kernels with IPv6 built in never match there (observed).
    """

    reads: ClassVar[frozenset[str]] = frozenset({"source", "transmit_interface"})

    def bind(self, world: World) -> Test:
        return lambda fields: fields.transmit_interface is None and _reachable(world, fields)


@dataclass(frozen=True, slots=True)
class Antispoof(Bound):
    """``antispoof``: a source of a directly connected network came in from there; always true out (E-22)."""

    reads: ClassVar[frozenset[str]] = frozenset({"source", "receive_interface", "transmit_interface"})

    def bind(self, world: World) -> Test:
        def test(fields: Fields) -> bool:
            if fields.transmit_interface is not None:
                return True
            route = world.surroundings.route(fields.source)
            return route is None or not route.is_connected or _path_back(world, fields)

        return test


def _reachable(world: World, fields: Fields) -> bool:
    route = world.surroundings.route(fields.source)
    return route is not None and not route.is_default and not route.is_reject


def _path_back(world: World, fields: Fields) -> bool:
    if fields.receive_interface is None:
        return _reachable(world, fields)
    route = world.surroundings.route(fields.source)
    return route is not None and route.interface == fields.receive_interface


@dataclass(frozen=True, slots=True)
class OwnedBy(Bound):
    """``uid N``, ``gid N``: the packet belongs to a local socket of that user or group (E-23)."""

    reads: ClassVar[frozenset[str]] = frozenset({"source", "destination", "source_port", "destination_port"})
    what: str
    number: int

    def bind(self, world: World) -> Test:
        def test(fields: Fields) -> bool:
            owner = world.surroundings.owner(fields)
            return owner is not None and bool(getattr(owner, self.what) == self.number)

        return test


@dataclass(frozen=True, slots=True)
class Fib(Bound):
    """``fib N``: the routing table in use, 0 unless ``setfib`` chose another."""

    reads: ClassVar[frozenset[str]] = frozenset()
    number: int

    def bind(self, world: World) -> Test:
        return lambda fields: world.fib == self.number


@dataclass(frozen=True, slots=True)
class Never:
    """Asks for something that no datagram has here: ``layer2``, ``ipsec``, ``sockarg``, ``jail N`` (E-23)."""

    reads: ClassVar[frozenset[str]] = frozenset()
    words: str

    def test(self, fields: Fields) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Comment:
    """``// text``: no question at all; always yes."""

    reads: ClassVar[frozenset[str]] = frozenset()
    text: str

    def test(self, fields: Fields) -> bool:
        return True
