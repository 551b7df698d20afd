"""The space of packets that rules tell apart, cut into atoms; and sets of packets in it.

Theory of operation.  A packet is a point with a coordinate for each *dimension*: an address, a port, where it is.  Only
what the rules at hand ask matters, so each dimension is cut into *atoms*, sets of values between which no question of
these rules distinguishes.  A *region* is a product: a set of atoms for each dimension, each set a Python integer with a
bit an atom.  What one question allows is a region that is full in all dimensions but one; what a rule matches is the
intersection of a few of them, or a union of such where there are or-blocks.  Intersection is an AND a dimension; the
difference of two regions is at most one region a dimension.  All of this is exact, and costs no more for prefixes of
every length, lists, negations and masks with holes than for single values.

Not every point is a packet: only TCP has flags, only first fragments have ports.  :meth:`Space.valid` gives the regions
of points that are packets; everything is asked within those.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rules.blocks import Block, Blocks
from rules.fields import DONT_FRAGMENT, ICMP, MORE_FRAGMENTS, OFFSET_MASK, TCP, UDP, Header

__all__ = [
    "ABSENT",
    "DIMENSION_OF",
    "Atom",
    "Dimension",
    "NotAnalysedError",
    "Place",
    "Region",
    "Space",
    "Test",
    "difference",
    "intersection",
    "is_subset",
    "unnamed",
]

Region = tuple[int, ...]
"""A set of atoms for each dimension of a space, in its order; never with an empty one."""

Test = Callable[[Header], bool]

ABSENT = None
"""The value of a field that a packet does not have."""

_MOST_INTERVALS = 4096
"""Intervals that a mask with holes may fall into; what falls into more is not analysed."""


class NotAnalysedError(Exception):
    """A question that depends on more than header fields, or on too many of them at once; the message says on what."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a packet is asked about: the hook, and the interfaces that are known there."""

    hook: str
    """``in`` or ``out``; on Linux the chain."""
    received_on: str | None
    leaves_by: str | None


def unnamed(names: Container[str]) -> list[str]:
    """Two interfaces that no rule names, so that a packet may come in by one and leave by the other."""
    return [name for name in ("other0", "other1", "other2", "other3") if name not in names][:2]


@dataclass(frozen=True, slots=True)
class Atom:
    """Values that no question tells apart: an interval of numbers, or one value of another kind."""

    low: Any
    high: Any

    def __contains__(self, value: object) -> bool:
        if value is None or self.low is None or not isinstance(value, int):
            return bool(value == self.low)
        return bool(self.low <= value <= self.high)


class Dimension:
    """One coordinate: its atoms, and the questions that cut them."""

    def __init__(self, name: str, atoms: Sequence[Atom]) -> None:
        self.name = name
        self.atoms = tuple(atoms)
        self.full = (1 << len(self.atoms)) - 1
        self._lows = [atom.low for atom in self.atoms if isinstance(atom.low, int)]

    def where(self, test: Callable[[Any], bool]) -> int:
        """The atoms whose values a test takes; it is asked about one value of each."""
        return sum(1 << index for index, atom in enumerate(self.atoms) if test(atom.low))

    def between(self, low: int, high: int) -> int:
        """The atoms of the numbers from low to high; both must be where atoms are cut."""
        first, behind = bisect_left(self._lows, low), bisect_right(self._lows, high)
        return (1 << behind) - (1 << first) if behind > first else 0

    def holds(self, value: Any) -> int:
        """The atom of a value, as a set of one."""
        return next(1 << index for index, atom in enumerate(self.atoms) if value in atom)


_BITS = {
    "source": 32,
    "destination": 32,
    "source_port": 16,
    "destination_port": 16,
    "total_length": 16,
    "identification": 16,
    "ttl": 8,
    "tcp_sequence": 32,
    "tcp_acknowledgment": 32,
    "tcp_window": 16,
    "mark": 32,
}
"""Dimensions that are cut where blocks of questions begin and end, with the width of the field."""

_ENUMERATED = {"protocol": 256, "tos": 256, "tcp_flags": 256, "icmp_type": 256, "icmp_code": 256}
"""Dimensions with an atom for each value."""

_TRANSPORT_OF = {
    "source_port": (TCP, UDP),
    "destination_port": (TCP, UDP),
    "tcp_flags": (TCP,),
    "tcp_sequence": (TCP,),
    "tcp_acknowledgment": (TCP,),
    "tcp_window": (TCP,),
    "tcp_options": (TCP,),
    "icmp_type": (ICMP,),
    "icmp_code": (ICMP,),
}
"""Which protocols have a field, in fragments with offset 0; elsewhere it is absent."""

DIMENSION_OF = {
    **{name: name for name in (*_BITS, *_ENUMERATED)},
    "fragment": "fragment",
    "fragment_offset": "fragment",
    "more_fragments": "fragment",
    "dont_fragment": "fragment",
    "receive_interface": "place",
    "transmit_interface": "place",
    "reinjected": "reinjected",
    "options": "options",
    "tcp_options": "tcp_options",
}
"""The dimension in which each field of :class:`rules.fields.Fields` lies; fields that are not here are not analysed."""

_FLAG_SETS = (0, DONT_FRAGMENT, MORE_FRAGMENTS, 0x8000, DONT_FRAGMENT | MORE_FRAGMENTS, 0xC000, 0xA000, 0xE000)
_OFFSETS = ((0, 0), (1, 1), (2, 255), (256, 256), (257, OFFSET_MASK))
"""Offsets that some kernel tells apart; of those that are multiples of 256 (linux.md F23) one stands for all."""

_IP_OPTIONS = {1: b"\x83\x03\x04", 2: b"\x89\x03\x04", 4: b"\x07\x03\x04", 8: b"\x44\x04\x05\x00"}
_TCP_OPTIONS = {1: b"\x02\x04\x05\xb4", 2: b"\x03\x03\x00", 4: b"\x04\x02", 8: b"\x08\x0a" + bytes(8)}
"""One option of each kind that questions know: lsrr, ssrr, rr, ts; mss, window, sack, ts."""

_HEADERS = {TCP: 40, UDP: 28, ICMP: 28}
"""Octets that a whole datagram of a protocol has at least; a shorter one passes no rule of ipfw (bsd.md F-13)."""

_SEEN = {TCP: 36, UDP: 28, ICMP: 28}
"""Octets from which Linux finds a transport header in a datagram (linux.md F20)."""


def _option_sets(kinds: Mapping[int, bytes]) -> list[bytes]:
    """Every combination of the options, padded."""
    found = []
    for chosen in range(1 << len(kinds)):
        octets = b"".join(option for index, option in enumerate(kinds.values()) if chosen >> index & 1)
        found.append(octets + bytes(-len(octets) & 3))
    return found


class Space:
    """The dimensions that some rules ask about.

    ``blocks``: for each dimension the blocks of values that questions name; ``places``: where packets are asked about;
    ``short``: datagrams that end inside their transport header are packets, too.
    """

    def __init__(
        self,
        used: Iterable[str],
        blocks: Mapping[str, Iterable[Block]],
        places: Sequence[Place],
        *,
        short: bool = False,
    ) -> None:
        names = {"place", "protocol", "fragment", *used} | ({"total_length"} if short else set())
        self.short = short
        self.dimensions = tuple(self._dimension(name, blocks.get(name, ()), places) for name in sorted(names))
        self.names = tuple(dimension.name for dimension in self.dimensions)
        self.index = {name: position for position, name in enumerate(self.names)}
        self.everything: Region = tuple(dimension.full for dimension in self.dimensions)
        self._valid = list(self._make_valid())

    @staticmethod
    def _dimension(name: str, blocks: Iterable[Block], places: Sequence[Place]) -> Dimension:
        absent = [Atom(ABSENT, ABSENT)] if name in _TRANSPORT_OF else []
        if name == "place":
            return Dimension(name, [Atom(place, place) for place in places])
        if name == "fragment":
            return Dimension(name, [Atom(flags | low, flags | high) for flags in _FLAG_SETS for low, high in _OFFSETS])
        if name == "reinjected":
            return Dimension(name, [Atom(value, value) for value in (None, "in", "out")])
        if name == "options":
            return Dimension(name, [Atom(octets, octets) for octets in _option_sets(_IP_OPTIONS)])
        if name == "tcp_options":
            return Dimension(name, [Atom(octets, octets) for octets in _option_sets(_TCP_OPTIONS)] + absent)
        if name in _ENUMERATED:
            return Dimension(name, [Atom(value, value) for value in range(_ENUMERATED[name])] + absent)
        width = _BITS[name]
        cuts = {0}
        for low, high in intervals(blocks, width):
            cuts |= {low, high + 1}
        if name == "ttl":
            # What comes in with one more goes out with that.
            cuts |= {cut + 1 for cut in cuts}
        if name == "total_length":
            cuts |= {20, *_HEADERS.values(), *_SEEN.values()}
        starts = sorted(cut for cut in cuts if cut < 1 << width)
        ends = [*(start - 1 for start in starts[1:]), (1 << width) - 1]
        return Dimension(name, [Atom(low, high) for low, high in zip(starts, ends, strict=True)] + absent)

    # What is a packet

    def valid(self) -> list[Region]:
        """The points that are packets: disjoint regions, a few for each protocol whose header questions look into."""
        return self._valid

    def _make_valid(self) -> Iterator[Region]:
        protocol = self.dimensions[self.index["protocol"]]
        fragment = self.dimensions[self.index["fragment"]]
        first = fragment.where(lambda value: not value & OFFSET_MASK)
        known = [number for number in (TCP, UDP, ICMP) if any(number in _TRANSPORT_OF.get(n, ()) for n in self.names)]
        known += [number for number in (TCP, UDP, ICMP) if number not in known and "total_length" in self.index]
        rest = protocol.full
        for number in known:
            rest &= ~protocol.holds(number)
            begins = {"protocol": protocol.holds(number), "fragment": first}
            least = (_SEEN if self.short else _HEADERS)[number]
            yield self._class(begins, number, (least, 0xFFFF))
            if self.short:
                yield self._class(begins, None, (20, least - 1))
            yield self._class({"protocol": protocol.holds(number), "fragment": fragment.full & ~first}, None)
        if rest:
            yield self._class({"protocol": rest}, None)

    def _class(
        self, given: Mapping[str, int], transport: int | None, lengths: tuple[int, int] = (20, 0xFFFF)
    ) -> Region:
        """Packets with (or without) one transport header, all that goes with it in all combinations."""
        sets = []
        for dimension in self.dimensions:
            allowed = given.get(dimension.name, dimension.full)
            protocols = _TRANSPORT_OF.get(dimension.name)
            if protocols is not None:
                absent = dimension.holds(ABSENT)
                allowed &= ~absent if transport in protocols else absent
            if dimension.name == "total_length":
                allowed &= dimension.between(*lengths)
            sets.append(allowed)
        return tuple(sets)

    def too_short(self) -> list[Region]:
        """Of the packets, those that end inside what ipfw wants to read of their transport header."""
        if not self.short:
            return []
        protocol = self.dimensions[self.index["protocol"]]
        first = self.dimensions[self.index["fragment"]].where(lambda value: not value & OFFSET_MASK)
        length = self.dimensions[self.index["total_length"]]
        found = []
        for number, least in _HEADERS.items():
            wanted = list(self.everything)
            wanted[self.index["protocol"]] = protocol.holds(number)
            wanted[self.index["fragment"]] = first
            wanted[self.index["total_length"]] = length.between(0, least - 1)
            found += [part for valid in self._valid if (part := intersection(tuple(wanted), valid)) is not None]
        return found

    # Questions -> sets

    def region(self, name: str, atoms: int) -> Region:
        """Everything whose coordinate in one dimension is among these atoms."""
        sets = list(self.everything)
        sets[self.index[name]] = atoms
        return tuple(sets)

    def at(self, hooks: Container[str], received_on: Container[str | None] | None = None) -> Region:
        """Everything that is asked about at these hooks, and came in by one of these interfaces."""
        place = self.dimensions[self.index["place"]]
        return self.region(
            "place",
            place.where(
                lambda value: value.hook in hooks and (received_on is None or value.received_on in received_on)
            ),
        )

    def allowed(self, name: str, test: Test, blocks: Blocks | None) -> int:
        """The atoms of a dimension that a question allows."""
        dimension = self.dimensions[self.index[name]]
        if blocks is not None and name in _BITS:
            atoms = 0
            for low, high in intervals(blocks.blocks, _BITS[name]):
                atoms |= dimension.between(low, high)
            return dimension.full & ~atoms if blocks.others else atoms
        return dimension.where(lambda value: test(header({name: value})))

    # Sets -> packets

    def values(self, region: Region) -> dict[str, list[Atom]]:
        """For each dimension the atoms of a region."""
        return {
            dimension.name: [atom for index, atom in enumerate(dimension.atoms) if atoms >> index & 1]
            for dimension, atoms in zip(self.dimensions, region, strict=True)
        }


def intervals(blocks: Iterable[Block], width: int) -> Iterator[tuple[int, int]]:
    """The numbers of blocks as intervals; a mask with holes makes several of one block.

    :raises NotAnalysedError: when it makes too many.
    """
    ones = (1 << width) - 1
    for base, mask in blocks:
        mask &= ones
        if base & ~mask or base > ones:
            continue  # nothing can equal it
        tail = ~mask & ones
        size = (tail + 1 & ~tail) if tail & 1 else 1
        holes = [bit for bit in range(width) if tail >> bit & 1 and 1 << bit >= size]
        if 1 << len(holes) > _MOST_INTERVALS:
            raise NotAnalysedError(f"a mask with {len(holes)} holes")
        for chosen in range(1 << len(holes)):
            low = base | sum(1 << bit for index, bit in enumerate(holes) if chosen >> index & 1)
            yield low, low + size - 1


_FIELDS_OF_PLACE = {"receive_interface", "transmit_interface"}


def header(values: Mapping[str, Any]) -> Header:
    """A header with these coordinates, as questions see it."""
    given: dict[str, Any] = {}
    for name, value in values.items():
        if name == "place":
            given |= {"receive_interface": value.received_on, "transmit_interface": value.leaves_by}
        elif name == "fragment":
            given["fragment"] = value
        elif name == "tcp_options":
            given |= {"tcp_options": value} if value is ABSENT else {"tcp_options": value, "protocol": TCP}
        else:
            given[name] = value
    return Header(**given)


# Sets of packets


def intersection(one: Region, other: Region) -> Region | None:
    """What is in both; None for nothing."""
    found = []
    for left, right in zip(one, other, strict=True):
        both = left & right
        if not both:
            return None
        found.append(both)
    return tuple(found)


def difference(one: Region, other: Region) -> Iterator[Region]:
    """What is in the first and not in the second: disjoint regions."""
    sets = list(one)
    for index, (left, right) in enumerate(zip(one, other, strict=True)):
        outside = left & ~right
        if outside == left:
            yield tuple(sets)
            return
        if outside:
            sets[index] = outside
            yield tuple(sets)
        sets[index] = left & right


def is_subset(one: Region, other: Region) -> bool:
    """Whether everything of the first is in the second."""
    return all(not left & ~right for left, right in zip(one, other, strict=True))
