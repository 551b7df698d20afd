"""The IPv4 header with its options (RFC 791): a view that shows anything, and a value that can always be emitted.

Addresses are integers, the fragment offset counts units of eight octets, lengths are octets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from rules.addresses import ALL_ONES, dotted
from rules.fields import DONT_FRAGMENT, MORE_FRAGMENTS, OFFSET_MASK
from simulator.wire.checksum import Octets, checksum, verify
from simulator.wire.limits import check_limits
from simulator.wire.options import END_OF_OPTIONS, NO_OPERATION, build_options, check_options, options

__all__ = [
    "END_OF_OPTIONS",
    "MAXIMUM_LENGTH",
    "NO_OPERATION",
    "Header",
    "View",
    "blanked_options",
    "build_options",
    "copied_options",
    "options",
    "parse",
    "payload",
]

MAXIMUM_LENGTH = 65535
"""The largest datagram that the 16-bit total length can say."""

_COPIED = 0x80
_FIXED = Struct(">BBHHHBBHII")


class View:
    """The header fields of octets as they stand, right or wrong.  Needs the twenty fixed octets, checks no more."""

    __slots__ = ("octets",)

    def __init__(self, octets: Octets) -> None:
        if len(octets) < 20:
            raise ValueError(f"{len(octets)} octets are too few for an IPv4 header")
        self.octets = octets

    @property
    def version(self) -> int:
        return self.octets[0] >> 4

    @property
    def header_length(self) -> int:
        """Octets, options included; below 20 in a bad header."""
        return (self.octets[0] & 15) * 4

    @property
    def tos(self) -> int:
        return self.octets[1]

    @property
    def total_length(self) -> int:
        """What the header says, not what is there."""
        return self.octets[2] << 8 | self.octets[3]

    @property
    def identification(self) -> int:
        return self.octets[4] << 8 | self.octets[5]

    @property
    def fragment(self) -> int:
        """The 16-bit field of flags and offset."""
        return self.octets[6] << 8 | self.octets[7]

    @property
    def dont_fragment(self) -> bool:
        return bool(self.octets[6] & 0x40)

    @property
    def more_fragments(self) -> bool:
        return bool(self.octets[6] & 0x20)

    @property
    def fragment_offset(self) -> int:
        return self.fragment & OFFSET_MASK

    @property
    def ttl(self) -> int:
        return self.octets[8]

    @property
    def protocol(self) -> int:
        return self.octets[9]

    @property
    def checksum(self) -> int:
        return self.octets[10] << 8 | self.octets[11]

    @property
    def source(self) -> int:
        return int.from_bytes(self.octets[12:16], "big")

    @property
    def destination(self) -> int:
        return int.from_bytes(self.octets[16:20], "big")

    @property
    def options(self) -> bytes:
        """The octets between the fixed header and the end of the header, as far as they are there."""
        return bytes(self.octets[20 : self.header_length])

    @property
    def payload(self) -> bytes:
        """From the end of the header to the total length, as far as that is there."""
        return bytes(self.octets[self.header_length : self.total_length])

    @property
    def checksum_ok(self) -> bool:
        """Whether the sum over the claimed header, as far as it is there, is right."""
        return verify(self.octets[: max(self.header_length, 20)])

    def __str__(self) -> str:
        return (
            f"IPv4 {dotted(self.source)} > {dotted(self.destination)} protocol {self.protocol} ttl {self.ttl} "
            f"id {self.identification} fragment {self.fragment:#06x} length {self.total_length}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """An IPv4 header without its length and checksum, which ``emit`` fills in.

    ``options`` are a multiple of four octets, at most forty (``build_options`` makes such).  Raises ``ValueError`` for
    a field that does not fit.
    """

    source: int
    destination: int
    protocol: int
    ttl: int = 64
    tos: int = 0
    identification: int = 0
    fragment: int = 0
    """Flags and offset as in the header: ``DONT_FRAGMENT``, ``MORE_FRAGMENTS``, offset in units of eight octets."""
    options: bytes = b""

    def __post_init__(self) -> None:
        check_limits(self, _LIMITS)
        check_options(self.options)

    @property
    def header_length(self) -> int:
        return 20 + len(self.options)

    @property
    def dont_fragment(self) -> bool:
        return bool(self.fragment & DONT_FRAGMENT)

    @property
    def more_fragments(self) -> bool:
        return bool(self.fragment & MORE_FRAGMENTS)

    @property
    def fragment_offset(self) -> int:
        return self.fragment & OFFSET_MASK

    def emit(self, payload: Octets = b"") -> bytes:
        """The datagram: this header with the right length and checksum, then ``payload``.

        Raises ``ValueError`` when that is longer than 65,535 octets.
        """
        header_length = 20 + len(self.options)
        total_length = header_length + len(payload)
        if total_length > MAXIMUM_LENGTH:
            raise ValueError(f"a datagram of {total_length} octets is longer than {MAXIMUM_LENGTH}")
        fixed = bytearray(
            _FIXED.pack(
                0x40 | header_length >> 2,
                self.tos,
                total_length,
                self.identification,
                self.fragment,
                self.ttl,
                self.protocol,
                0,
                self.source,
                self.destination,
            )
        )
        fixed += self.options
        fixed[10:12] = checksum(fixed).to_bytes(2, "big")
        return bytes(fixed + payload)


_LIMITS = (
    ("source", ALL_ONES),
    ("destination", ALL_ONES),
    ("protocol", 0xFF),
    ("ttl", 0xFF),
    ("tos", 0xFF),
    ("identification", 0xFFFF),
    ("fragment", 0xFFFF),
)


def parse(octets: Octets, *, check: bool = True) -> Header:
    """The header of a datagram (octets after the total length are padding).

    Raises ``ValueError`` with the fault and its value: too few octets, version, header length, total length, and,
    unless ``check`` is false, a wrong checksum.
    """
    if len(octets) < 20:
        raise ValueError(f"{len(octets)} octets are too few for an IPv4 header")
    first, tos, total_length, identification, fragment, ttl, protocol, found, source, destination = _FIXED.unpack_from(
        octets
    )
    header_length = (first & 15) * 4
    if first >> 4 != 4:
        raise ValueError(f"version {first >> 4} is not 4")
    if header_length < 20:
        raise ValueError(f"header length {header_length} is under 20")
    if total_length < header_length:
        raise ValueError(f"total length {total_length} is under the header length {header_length}")
    if total_length > len(octets):
        raise ValueError(f"total length {total_length} is more than the {len(octets)} octets that are there")
    if check and not verify(octets[:header_length]):
        raise ValueError(f"header checksum {found:#06x} is wrong")
    return Header(
        source=source,
        destination=destination,
        protocol=protocol,
        ttl=ttl,
        tos=tos,
        identification=identification,
        fragment=fragment,
        options=bytes(octets[20:header_length]),
    )


def payload(octets: Octets) -> bytes:
    """The octets that the datagram carries: after the header, up to the total length."""
    return View(octets).payload


def copied_options(octets: Octets) -> bytes:
    """The options of a BSD fragment after the first: the copied ones and the no-operations (bsd.md F-9, observed).

    Filled up with end-of-options; a malformed option ends the copying.
    """
    result = bytearray()
    for start, end in _spans(octets):
        if octets[start] == NO_OPERATION or octets[start] & _COPIED:
            result += octets[start:end]
    return bytes(result) + bytes(-len(result) & 3)


def blanked_options(octets: Octets) -> bytes:
    """The options of a Linux fragment after the first: as many octets, with no-operations in the place of every option
    without the copy flag (linux.md R10).  A malformed option ends the change."""
    result = bytearray(octets)
    for start, end in _spans(octets):
        if not octets[start] & _COPIED:
            result[start:end] = bytes((NO_OPERATION,)) * (end - start)
    return bytes(result)


def _spans(octets: Octets) -> Iterator[tuple[int, int]]:
    """Where each well-formed option starts and ends."""
    at = 0
    try:
        for kind, data in options(octets):
            start = at
            at += 1 if kind == NO_OPERATION else 2 + len(data)
            yield start, at
    except ValueError:
        return
