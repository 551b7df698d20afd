"""What the comparison with the kernel does to datagrams: plain and slow, with nothing of the router's own code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

__all__ = [
    "BLANKING",
    "COPYING",
    "ICMP",
    "MORE_FRAGMENTS",
    "OFFSET",
    "TCP",
    "Cut",
    "cut",
    "field",
    "forwarded",
    "header_length",
    "joined",
    "mended",
    "raised",
    "requoted",
    "spans",
    "summed",
    "timestamp",
    "with_field",
]

ICMP, TCP = 1, 6
MORE_FRAGMENTS, OFFSET = 0x2000, 0x1FFF
_END, _NOP, _TIMESTAMP, _COPIED = 0, 1, 68, 0x80


def summed(octets: bytes) -> int:
    """The Internet checksum of octets whose own checksum is zero (RFC 1071)."""
    total = 0
    for at in range(0, len(octets), 2):
        total += int.from_bytes(octets[at : at + 2].ljust(2, b"\0"), "big")
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def header_length(octets: bytes) -> int:
    return (octets[0] & 15) * 4


def field(octets: bytes, at: int, length: int) -> int:
    """A number in the datagram."""
    return int.from_bytes(octets[at : at + length], "big")


def mended(octets: bytes) -> bytes:
    """With the right header checksum."""
    bare = octets[:10] + b"\0\0" + octets[12:]
    return bare[:10] + summed(bare[: header_length(octets)]).to_bytes(2, "big") + bare[12:]


def with_field(octets: bytes, at: int, length: int, value: int) -> bytes:
    """With another number in the header, and the checksum that goes with it."""
    return mended(octets[:at] + value.to_bytes(length, "big") + octets[at + length :])


def forwarded(octets: bytes) -> bytes:
    """As a router passes it on: a TTL less, and the checksum as RFC 1624 has it, whether the received one was right."""
    return _stepped(octets, -1)


def raised(octets: bytes) -> bytes:
    """As it was before a router lowered its TTL."""
    return _stepped(octets, 1)


def _stepped(octets: bytes, by: int) -> bytes:
    word, old = field(octets, 8, 2), field(octets, 10, 2)
    total = (~old & 0xFFFF) + (~word & 0xFFFF) + word + by * 0x100
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return octets[:8] + bytes((octets[8] + by, octets[9])) + (~total & 0xFFFF).to_bytes(2, "big") + octets[12:]


def requoted(error: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """An ICMP error that quotes something else, its lengths and checksums right."""
    start = header_length(error)
    message = error[start : start + 2] + b"\0\0" + error[start + 4 : start + 8] + change(error[start + 8 :])
    message = message[:2] + summed(message).to_bytes(2, "big") + message[4:]
    return with_field(error[:start] + message, 2, 2, start + len(message))


def spans(octets: bytes) -> Iterator[tuple[int, int, int]]:
    """Kind, start and end of each option in the header; what is behind a bad one or the end of options is left out."""
    at, end = 20, header_length(octets)
    while at < end and octets[at] != _END:
        length = 1 if octets[at] == _NOP else octets[at + 1] if at + 1 < end else 0
        if not 0 < length <= end - at or (length == 1 and octets[at] != _NOP):
            return
        yield octets[at], at, at + length
        at += length


def timestamp(octets: bytes) -> bytes | None:
    """The timestamp option in the header."""
    return next((octets[start:end] for kind, start, end in spans(octets) if kind == _TIMESTAMP), None)


# -- fragments ---------------------------------------------------------------------------------------------------------


class Cut(NamedTuple):
    """How a kernel cuts datagrams for an MTU."""

    fills_last: bool
    """The last piece may be as long as the MTU, else as long as a piece before it."""
    last_first: bool
    """They leave in reverse order."""
    later_options: Callable[[bytes], bytes]
    """The options of the pieces after the first."""
    of_fragments: bool
    """They are changed where a later fragment is cut again, too."""
    flags: int
    """What they keep of the flags besides MF."""


def BLANKING(header: bytes) -> bytes:  # noqa: N802 - one of two constants
    """What is not to be copied becomes no-operations: the header stays as long as it is."""
    changed = bytearray(header[20:])
    for kind, start, end in spans(header):
        if not kind & _COPIED:
            changed[start - 20 : end - 20] = bytes((_NOP,)) * (end - start)
    return bytes(changed)


def COPYING(header: bytes) -> bytes:  # noqa: N802
    """What is to be copied, filled up to four octets."""
    kept = b"".join(header[start:end] for kind, start, end in spans(header) if kind & _COPIED or kind == _NOP)
    return kept + bytes(-len(kept) % 4)


def cut(octets: bytes, mtu: int, way: Cut) -> list[bytes]:
    """The datagram, or the fragment, in pieces."""
    if len(octets) <= mtu:
        return [octets]
    start = header_length(octets)
    header, data, word = octets[:start], octets[start:], field(octets, 6, 2)
    room = (mtu - start) // 8 * 8
    pieces: list[bytes] = []
    at = 0
    while at < len(data):
        left = len(data) - at
        last = left <= (mtu - start if way.fills_last else room)
        taken = left if last else room
        more = word & MORE_FRAGMENTS if last else MORE_FRAGMENTS
        offset = (word & OFFSET) + at // 8
        changed = at and (way.of_fragments or not word & OFFSET)
        fixed, options = header[:20], way.later_options(header) if changed else header[20:]
        piece = bytearray(fixed + options + data[at : at + taken])
        piece[0] = 0x45 + len(options) // 4
        piece[2:4] = len(piece).to_bytes(2, "big")
        piece[6:8] = (word & way.flags | more | offset).to_bytes(2, "big")
        pieces.append(mended(bytes(piece)))
        at += taken
    return pieces[::-1] if way.last_first else pieces


def joined(pieces: Sequence[bytes]) -> bytes:
    """The datagram, or the fragment, that was cut into these, the first one first."""
    first, last = pieces[0], pieces[-1]
    data = b"".join(piece[header_length(piece) :] for piece in pieces)
    whole = first[: header_length(first)] + data
    word = field(first, 6, 2) & ~MORE_FRAGMENTS | field(last, 6, 2) & MORE_FRAGMENTS
    return with_field(with_field(whole, 2, 2, len(whole)), 6, 2, word)
