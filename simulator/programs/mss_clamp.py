"""Lower the maximum segment size that TCP connections agree on, as tcpmssd does on links with a small MTU.

Only SYN segments carry the option (RFC 9293 section 3.7.1), so `divert PORT tcp from any to any setup` and the answer
to it are all that has to be diverted. A larger size than the limit is lowered, a smaller one left alone, and a segment
without the option stays without. The checksum is updated by the one word that changed.
"""

from __future__ import annotations

import argparse
import socket
from struct import Struct
from typing import Any

from simulator.programs.registry import Entry, ProgramError, Surroundings
from simulator.programs.returning import send_back
from simulator.programs.values import whole
from simulator.wire.checksum import update

__all__ = ["PROGRAM", "clamp", "clamped"]

_TCP, _SYN, _MSS = 6, 2, 2
_HEADERS = 40
"""Octets of an IPv4 and a TCP header without options."""
_word = Struct(">H")


def clamped(octets: bytes, limit: int) -> tuple[bytes, int]:
    """The datagram, and the size that it announced if that was lowered, else 0."""
    place = _option(octets)
    if not place:
        return octets, 0
    announced = _word.unpack_from(octets, place)[0]
    if announced <= limit:
        return octets, 0
    packet = bytearray(octets)
    _word.pack_into(packet, place, limit)
    at = (octets[0] & 15) * 4 + 16
    # The checksum counts words from the segment's start: an option at an odd octet is spread over two of them.
    old, new = (announced, limit) if not (place - at) & 1 else (_swapped(announced), _swapped(limit))
    _word.pack_into(packet, at, update(_word.unpack_from(packet, at)[0], old, new))
    return bytes(packet), announced


def _swapped(word: int) -> int:
    return (word & 0xFF) << 8 | word >> 8


def _option(octets: bytes) -> int:
    """Where the size stands in a SYN segment; 0 where there is none."""
    if len(octets) < 20 or octets[9] != _TCP or _word.unpack_from(octets, 6)[0] & 0x1FFF:
        return 0
    tcp = (octets[0] & 15) * 4
    if len(octets) < tcp + 20 or not octets[tcp + 13] & _SYN:
        return 0
    at, end = tcp + 20, min(tcp + (octets[tcp + 12] >> 4) * 4, len(octets))
    while at + 1 < end and octets[at]:
        if octets[at] == 1:
            at += 1
            continue
        length = octets[at + 1]
        if octets[at] == _MSS and length == 4 and at + 4 <= end:
            return at + 2
        if length < 2:
            return 0
        at += length
    return 0


def clamp(divert: Any, limit: int, around: Surroundings, *, quiet: bool = False) -> None:
    """One packet, clamped if it is too large, and sent back."""
    octets, sender = divert.recvfrom(65535)
    octets, announced = clamped(octets, limit)
    if announced and not quiet:
        source, destination = socket.inet_ntoa(octets[12:16]), socket.inet_ntoa(octets[16:20])
        print(f"mss-clamp: {source} > {destination}: {announced} octets become {limit}", file=around.output, flush=True)
    send_back(divert, octets, sender, around.errors, "mss-clamp")


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mss", metavar="OCTETS", type=whole("a segment size", 1, 65495), help="the limit")
    parser.add_argument(
        "--mtu", metavar="OCTETS", type=whole("an MTU", 68, 65535), help="the limit is 40 octets less than this"
    )
    parser.add_argument("--quiet", action="store_true", help="do not tell what is lowered")


def _make(values: argparse.Namespace, around: Surroundings) -> Any:
    if (values.mss is None) == (values.mtu is None):
        raise ProgramError("mss-clamp: one of --mss and --mtu is needed")
    limit = values.mss if values.mss is not None else values.mtu - _HEADERS
    return lambda divert: clamp(divert, limit, around, quiet=values.quiet)


PROGRAM = Entry(
    name="mss-clamp",
    summary="Lower the maximum segment size that TCP connections announce.",
    make=_make,
    options=_options,
)
