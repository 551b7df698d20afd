"""Fragmentation, and the front door to reassembly (linux.md R10, H10; bsd.md F-9; RFC 791 section 3.2).

Both are pure: octets in, octets out, time a parameter.  The reassemblies are in modules of their own, one a family of
kernels, since they share values but no step of their procedures.

>>> from simulator.wire import ipv4
>>> whole = ipv4.Header(source=1, destination=2, protocol=17).emit(bytes(100))
>>> [ipv4.View(piece).total_length for piece in fragment(whole, 68, style=BSD)]
[68, 68, 24]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rules.fields import DONT_FRAGMENT, MORE_FRAGMENTS, OFFSET_MASK
from simulator.reassembly import Loss, Lost, Outcome, Result, Timeout
from simulator.reassembly_bsd import (
    DRAGONFLY,
    FREEBSD_4,
    FREEBSD_5,
    FREEBSD_13,
    FREEBSD_14,
    BsdPolicy,
    BsdReassembly,
)
from simulator.reassembly_linux import LinuxReassembly
from simulator.wire.checksum import checksum
from simulator.wire.ipv4 import blanked_options, copied_options

__all__ = [
    "BSD",
    "DRAGONFLY",
    "FREEBSD_4",
    "FREEBSD_5",
    "FREEBSD_13",
    "FREEBSD_14",
    "LINUX",
    "LINUX_LOCAL",
    "BsdPolicy",
    "BsdReassembly",
    "LinuxReassembly",
    "Loss",
    "Lost",
    "Outcome",
    "Result",
    "Style",
    "Timeout",
    "fragment",
]

_RESERVED = 0x8000


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a kernel cuts a datagram."""

    later_options: Callable[[bytes], bytes]
    """The options of the fragments after the first."""
    later_options_of_fragments: bool
    """Whether that is also done to a fragment that is cut again; else its options are taken to be right already."""
    kept_flags: int
    """Flags besides MF that the fragments keep.  What DF means for the whole datagram was decided before."""
    fills_last: bool
    """Whether the last fragment may use all of the MTU; else each holds a multiple of eight octets at most."""
    last_first: bool = False
    """Whether they leave in reverse order."""


LINUX = Style(
    later_options=blanked_options,
    later_options_of_fragments=False,
    kept_flags=0,
    fills_last=True,
)
"""What Linux 2.2 forwards, and its TCP (linux.md R10)."""

LINUX_LOCAL = Style(
    later_options=blanked_options,
    later_options_of_fragments=False,
    kept_flags=0,
    fills_last=False,
    last_first=True,
)
"""Linux 2.2's own datagrams: UDP, ICMP, raw sockets (linux.md H10)."""

BSD = Style(
    later_options=copied_options,
    later_options_of_fragments=True,
    kept_flags=_RESERVED | DONT_FRAGMENT,
    fills_last=False,
)
"""All BSDs (bsd.md F-9)."""


def fragment(octets: bytes, mtu: int, *, style: Style) -> list[bytes]:
    """The datagram in pieces that fit the MTU, in the order in which they leave; itself, untouched, if it fits.

    A fragment can be cut again.  Raises ``ValueError`` when the MTU has no room for eight octets after the header.
    """
    header_length = (octets[0] & 15) * 4
    total_length = octets[2] << 8 | octets[3]
    if total_length <= mtu:
        return [octets]
    room = mtu - header_length & ~7
    if room < 8:
        raise ValueError(f"MTU {mtu} has no room for eight octets after a header of {header_length}")
    last_room = mtu - header_length if style.fills_last else room

    field = octets[6] << 8 | octets[7]
    flags = field & style.kept_flags
    offset = field & OFFSET_MASK
    last_flags = flags | field & MORE_FRAGMENTS
    header = octets[:header_length]
    if offset and not style.later_options_of_fragments:
        later_header = header
    else:
        options = style.later_options(header[20:])
        later_header = bytes((0x45 + len(options) // 4,)) + header[1:20] + options

    pieces: list[bytes] = []
    at = header_length
    while total_length - at > last_room:
        pieces.append(_piece(header, flags | MORE_FRAGMENTS | offset, octets[at : at + room]))
        at += room
        offset += room >> 3
        header = later_header
    pieces.append(_piece(header, last_flags | offset, octets[at:total_length]))
    if style.last_first:
        pieces.reverse()
    return pieces


def _piece(header: bytes, field: int, data: bytes) -> bytes:
    """A fragment: the header with its own length, flags and offset, and the right checksum."""
    changed = bytearray(header)
    changed[2:4] = (len(header) + len(data)).to_bytes(2, "big")
    changed[6:8] = field.to_bytes(2, "big")
    changed[10:12] = b"\0\0"
    changed[10:12] = checksum(changed).to_bytes(2, "big")
    return bytes(changed) + data
