"""Questions about header fields, options and flags (E-19, E-20)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rules.addresses import ALL_ONES
from rules.blocks import NOWHERE, Allowed, Blocks, asked, bits_of, range_blocks
from rules.fields import OFFSET_MASK, TCP, Fields
from rules.ipfw.bound import TABLEARG, Bound
from rules.ipfw.world import Test, TransportCutShortError, World
from rules.predicates import Ranges

__all__ = [
    "AnyFragment",
    "Dscp",
    "Established",
    "Family",
    "FragmentBits",
    "IpOptions",
    "IpVersion",
    "Mark",
    "NumberIn",
    "Precedence",
    "TcpMss",
    "TcpNumber",
    "TcpOptions",
    "TosBits",
]


@dataclass(frozen=True, slots=True)
class FragmentBits:
    """``frag LIST``: rf 0x80, df 0x40, mf 0x20 as in the header's first octet, offset 1 for any that is not zero."""

    reads: ClassVar[frozenset[str]] = frozenset({"fragment"})
    present: int
    absent: int = 0

    @property
    def allowed(self) -> Allowed:
        offset_set, offset_clear = self.present & 1, self.absent & 1
        bits, clear = (self.present & 0xE0) << 8, (self.absent & 0xE0) << 8
        if bits & clear or (offset_set and offset_clear):
            return NOWHERE
        mask = bits | clear
        if not offset_set:
            return Blocks("fragment", ((bits, mask | (OFFSET_MASK if offset_clear else 0)),))
        # Some bit of the offset is the highest one that is set.
        highest = [1 << place for place in range(OFFSET_MASK.bit_length())]
        return Blocks("fragment", tuple((bits | bit, mask | OFFSET_MASK & -bit) for bit in highest))

    def test(self, fields: Fields) -> bool:
        field = fields.fragment
        found = field >> 8 & 0xE0 | (field & OFFSET_MASK != 0)
        return found & self.present == self.present and not found & self.absent


@dataclass(frozen=True, slots=True)
class AnyFragment:
    """``ipfrag``: not a whole datagram, be it the first, a middle or the last part (DF-6)."""

    reads: ClassVar[frozenset[str]] = frozenset({"fragment_offset", "more_fragments"})

    def test(self, fields: Fields) -> bool:
        return fields.more_fragments or fields.fragment_offset != 0


@dataclass(frozen=True, slots=True)
class NumberIn:
    """A number of the header in a list of ranges: ``iplen``, ``ipid``, ``ipttl``, ``tcpdatalen``, ``tcpwin`` (E-19)."""

    field: str
    ranges: Ranges

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({self.field})

    @property
    def allowed(self) -> Allowed:
        return Blocks(self.field, range_blocks(self.ranges.pairs))

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

    @property
    def allowed(self) -> Allowed:
        return Blocks(self.field, ((self.number, ALL_ONES),))

    def test(self, fields: Fields) -> bool:
        return bool(getattr(fields, self.field) == self.number)


@dataclass(frozen=True, slots=True)
class IpVersion:
    """``ipversion N``: the version field, which is 4 in everything that gets here."""

    reads: ClassVar[frozenset[str]] = frozenset()
    version: int

    @property
    def allowed(self) -> Allowed | None:
        return None if self.version == 4 else NOWHERE

    def test(self, fields: Fields) -> bool:
        return self.version == 4


@dataclass(frozen=True, slots=True)
class Family:
    """``ip4``, ``ip6``: which Internet protocol; always the former."""

    reads: ClassVar[frozenset[str]] = frozenset()
    version: int

    @property
    def allowed(self) -> Allowed | None:
        return None if self.version == 4 else NOWHERE

    def test(self, fields: Fields) -> bool:
        return self.version == 4


@dataclass(frozen=True, slots=True)
class Precedence:
    """``ipprecedence 0-7``: the three high bits of the type of service."""

    reads: ClassVar[frozenset[str]] = frozenset({"tos"})
    level: int

    @property
    def allowed(self) -> Allowed:
        return Blocks("tos", ((self.level << 5, 0xE0),))

    def test(self, fields: Fields) -> bool:
        return fields.tos >> 5 == self.level


@dataclass(frozen=True, slots=True)
class TosBits:
    """``iptos``: every bit of ``present`` is set and none of ``absent``."""

    reads: ClassVar[frozenset[str]] = frozenset({"tos"})
    present: int
    absent: int = 0

    @property
    def allowed(self) -> Allowed:
        return bits_of("tos", self.present, self.absent)

    def test(self, fields: Fields) -> bool:
        tos = fields.tos
        return tos & self.present == self.present and not tos & self.absent


@dataclass(frozen=True, slots=True)
class Dscp:
    """``dscp``: the six high bits of the type of service, among a set."""

    reads: ClassVar[frozenset[str]] = frozenset({"tos"})
    points: frozenset[int]

    @property
    def allowed(self) -> Allowed:
        return Blocks("tos", tuple((point << 2, 0xFC) for point in sorted(self.points)))

    def test(self, fields: Fields) -> bool:
        return fields.tos >> 2 in self.points


_IP_OPTION_BITS = {137: 0x02, 131: 0x01, 7: 0x04, 68: 0x08}
_TCP_OPTION_BITS = {2: 0x01, 3: 0x02, 4: 0x04, 5: 0x04, 8: 0x08}
_WITH_TRANSACTIONS = {**_TCP_OPTION_BITS, 11: 0x10, 12: 0x10, 13: 0x10}


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

    @property
    def allowed(self) -> Allowed:
        return asked(self.reads)

    def test(self, fields: Fields) -> bool:
        found = _options_present(fields.options, _IP_OPTION_BITS, strict=True)
        return found is not None and found & self.present == self.present and not found & self.absent


@dataclass(frozen=True, slots=True)
class TcpOptions:
    """``tcpoptions``: mss 1, window 2, sack 4, ts 8, cc 16 (never found, but in systems with T/TCP).

    Raises :class:`TransportCutShortError` for a segment that ends inside its options (F-13).
    """

    reads: ClassVar[frozenset[str]] = frozenset({"tcp_options", "protocol", "fragment_offset"})
    may_raise: ClassVar[bool] = True
    present: int
    absent: int = 0

    def test(self, fields: Fields) -> bool:
        return self._test(fields, _TCP_OPTION_BITS)

    def test_with_transactions(self, fields: Fields) -> bool:
        """The same where connection counts are known (RFC 1644)."""
        return self._test(fields, _WITH_TRANSACTIONS)

    def _test(self, fields: Fields, bits: dict[int, int]) -> bool:
        options = fields.tcp_options
        if options is None:
            if fields.protocol == TCP and fields.fragment_offset == 0:
                raise TransportCutShortError
            return False
        found = _options_present(options, bits, strict=False) or 0
        return found & self.present == self.present and not found & self.absent


@dataclass(frozen=True, slots=True)
class TcpMss:
    """``tcpmss``: a SYN announces a maximum segment size in a list of ranges (FreeBSD 12 and later).

    Raises :class:`TransportCutShortError` for a segment that ends inside its options (F-13).
    """

    reads: ClassVar[frozenset[str]] = frozenset({"tcp_options", "tcp_flags", "protocol", "fragment_offset"})
    may_raise: ClassVar[bool] = True
    ranges: Ranges

    def test(self, fields: Fields) -> bool:
        flags, options = fields.tcp_flags, fields.tcp_options
        if flags is None or not flags & _SYN or fields.fragment_offset:
            return False
        if options is None:
            raise TransportCutShortError
        size = _segment_size(options)
        return size is not None and size in self.ranges


_SYN = 0x02


def _segment_size(options: bytes) -> int | None:
    """What the option of kind 2 says (RFC 9293 section 3.2)."""
    at = 0
    while at + 1 < len(options) and options[at] != 0:
        kind, length = options[at], 1 if options[at] == 1 else options[at + 1]
        if kind == 2 and length == 4 and at + 4 <= len(options):
            return int.from_bytes(options[at + 2 : at + 4], "big")
        if length == 0:
            break
        at += length
    return None


@dataclass(frozen=True, slots=True)
class Mark(Bound):
    """``mark VALUE[:MASK]``: what ``setmark`` left on the packet, or (:data:`TABLEARG`) what a table gave."""

    reads: ClassVar[frozenset[str]] = frozenset({"mark"})
    value: int
    mask: int = 0xFFFFFFFF

    @property
    def reads_register(self) -> bool:
        """Whether the answer depends on the register ``tablearg``."""
        return self.value == TABLEARG

    def bind(self, world: World) -> Test:
        mask, value = self.mask, self.value
        if value == TABLEARG:
            return lambda fields: fields.mark & mask == world.argument("mark") & mask
        return lambda fields: fields.mark & mask == value & mask


@dataclass(frozen=True, slots=True)
class Established:
    """``established``: TCP, not a lone SYN (E-20)."""

    reads: ClassVar[frozenset[str]] = frozenset({"tcp_flags"})

    @property
    def allowed(self) -> Allowed:
        """SYN clear, or RST or ACK set."""
        return Blocks("tcp_flags", ((0, 0x02), (0x04, 0x04), (0x10, 0x10)))

    def test(self, fields: Fields) -> bool:
        flags = fields.tcp_flags
        return flags is not None and flags & 0x16 != 0x02
