"""Change packets as the options say, and mend the checksums, or leave them as they are to see what that does.

A kernel does the sum of an outgoing packet's IP header anew and leaves every other checksum to the program (bsd.md
W-13, linux.md D15), so with `--no-checksums` the far end throws the packet away. Checksums are not summed anew but
updated by what changed (RFC 1624): one that was wrong stays wrong, and a UDP checksum that the sender left out stays
out. Of a datagram in fragments only the first has ports and checksum; text in a later one is left alone.
"""

from __future__ import annotations

import argparse
import re
from struct import Struct
from typing import Any, NamedTuple

from simulator.programs.registry import Entry, Surroundings
from simulator.programs.returning import send_back
from simulator.programs.values import address, port, whole
from simulator.wire.checksum import checksum

__all__ = ["PROGRAM", "Edits", "edited", "mangle"]

_TCP, _UDP, _ICMP = 6, 17, 1
_CHECKSUM_AT = {_TCP: 16, _UDP: 6, _ICMP: 2}
_DATA_AT = {_UDP: 8, _ICMP: 8}
_word = Struct(">H")
_double_word = Struct(">I")


class Edits(NamedTuple):
    """What is to be changed; None: nothing."""

    ttl: int | None = None
    tos: int | None = None
    source: int | None = None
    destination: int | None = None
    source_port: int | None = None
    destination_port: int | None = None
    replace: tuple[tuple[bytes, bytes], ...] = ()
    """Octets of the data, and as many others for them."""
    checksums: bool = True


def edited(octets: bytes, edits: Edits) -> bytes:
    """The datagram with the edits made to it; what it does not have (ports, a whole header) is not changed."""
    if len(octets) < 20 or octets[0] >> 4 != 4 or not 20 <= (octets[0] & 15) * 4 <= len(octets):
        return octets
    packet = bytearray(octets)
    header = (packet[0] & 15) * 4
    protocol = packet[9]
    is_first = not _word.unpack_from(packet, 6)[0] & 0x1FFF
    if edits.ttl is not None:
        packet[8] = edits.ttl
    if edits.tos is not None:
        packet[1] = edits.tos
    for at, value in ((12, edits.source), (16, edits.destination)):
        if value is not None:
            _double_word.pack_into(packet, at, value)
    if is_first:
        if protocol in (_TCP, _UDP) and len(packet) >= header + 4:
            for at, value in ((0, edits.source_port), (2, edits.destination_port)):
                if value is not None:
                    _word.pack_into(packet, header + at, value)
        start = header + _data_offset(packet, header)
        packet[start:] = _replaced(bytes(packet[start:]), edits.replace)
    if edits.checksums:
        if is_first:
            _mend_transport(packet, octets, header, protocol)
        packet[10:12] = b"\0\0"
        _word.pack_into(packet, 10, checksum(packet[:header]))
    return bytes(packet)


def _data_offset(packet: bytearray, header: int) -> int:
    """Where the transport's data begins, behind its header."""
    if packet[9] == _TCP:
        return (packet[header + 12] >> 4) * 4 if len(packet) > header + 12 else 20
    return _DATA_AT.get(packet[9], 0)


def _replaced(data: bytes, pairs: tuple[tuple[bytes, bytes], ...]) -> bytes:
    for old, new in pairs:
        data = data.replace(old, new)
    return data


def _mend_transport(packet: bytearray, before: bytes, header: int, protocol: int) -> None:
    """The checksum of what is behind the IP header, updated by what has changed."""
    place = header + _CHECKSUM_AT.get(protocol, len(packet))
    if place + 2 > len(packet):
        return
    fitting = _word.unpack_from(packet, place)[0]
    if protocol == _UDP and not fitting:
        return
    change = _sum(bytes(packet[header:])) - _sum(before[header:])
    if protocol != _ICMP:  # no addresses are in its checksum
        change += _sum(bytes(packet[12:20])) - _sum(before[12:20])
    if not change:
        return
    total = (0xFFFF - fitting + change) % 0xFFFF
    # Of the two zeros of one's complement a sum that is not all zero folds to 0xFFFF.
    fitting = 0xFFFF - (total or 0xFFFF)
    _word.pack_into(packet, place, 0xFFFF if protocol == _UDP and not fitting else fitting)


def _sum(octets: bytes) -> int:
    return int.from_bytes(octets + bytes(len(octets) & 1), "big") % 0xFFFF


def mangle(divert: Any, edits: Edits, around: Surroundings, *, protocol: int | None = None) -> None:
    """One packet, changed and sent back; one of another protocol goes back as it came."""
    octets, sender = divert.recvfrom(65535)
    if protocol is None or octets[9:10] == bytes((protocol,)):
        octets = edited(octets, edits)
    send_back(divert, octets, sender, around.errors, "mangle")


def _replacement(text: str) -> tuple[bytes, bytes]:
    r"""OLD=NEW, in which \n, \r, \t, \\, \= and \xHH stand for octets."""
    parts = re.split(r"(?<!\\)=", text)
    if len(parts) != 2 or not parts[0]:
        raise argparse.ArgumentTypeError(f"a replacement is written OLD=NEW, not {text!r}")
    old, new = map(_octets, parts)
    if len(old) != len(new):
        # Otherwise every later sequence number of a TCP stream would be off.
        raise argparse.ArgumentTypeError(f"OLD and NEW have as many octets, not {len(old)} and {len(new)}: {text!r}")
    return old, new


_ESCAPES = {"n": b"\n", "r": b"\r", "t": b"\t", "\\": b"\\", "=": b"="}


def _octets(text: str) -> bytes:
    def one(match: re.Match[str]) -> str:
        kind = match[1]
        found = bytes.fromhex(kind[1:]) if kind[0] == "x" else _ESCAPES[kind]
        return found.decode("latin-1")

    if re.search(r"\\(?!x[0-9a-fA-F]{2}|[nrt\\=])", re.sub(r"\\\\", "", text)):
        raise argparse.ArgumentTypeError(rf"after \ stands one of n, r, t, =, \ or xHH: {text!r}")
    return re.sub(r"\\(x[0-9a-fA-F]{2}|[nrt\\=])", one, text.encode("utf-8").decode("latin-1")).encode("latin-1")


def _options(parser: argparse.ArgumentParser) -> None:
    octet = whole("an octet", 0, 255)
    parser.add_argument("--ttl", metavar="N", type=whole("a TTL", 0, 255), help="time to live")
    parser.add_argument("--tos", metavar="N", type=octet, help="type of service, the whole octet, such as 0x10")
    parser.add_argument("--source", metavar="ADDRESS", type=address, help="source address")
    parser.add_argument("--destination", metavar="ADDRESS", type=address, help="destination address")
    parser.add_argument("--source-port", metavar="PORT", type=port, help="of TCP and UDP")
    parser.add_argument("--destination-port", metavar="PORT", type=port, help="of TCP and UDP")
    parser.add_argument(
        "--replace",
        metavar="OLD=NEW",
        type=_replacement,
        action="append",
        default=[],
        help=r"text of the data, by as much other text; \xHH is an octet; may be given again",
    )
    parser.add_argument("--protocol", choices=("icmp", "tcp", "udp"), help="change no others")
    parser.add_argument(
        "--no-checksums", dest="checksums", action="store_false", help="leave all checksums as they came"
    )


_PROTOCOLS = {"icmp": _ICMP, "tcp": _TCP, "udp": _UDP}


def _make(values: argparse.Namespace, around: Surroundings) -> Any:
    edits = Edits(
        ttl=values.ttl,
        tos=values.tos,
        source=values.source,
        destination=values.destination,
        source_port=values.source_port,
        destination_port=values.destination_port,
        replace=tuple(values.replace),
        checksums=values.checksums,
    )
    protocol = _PROTOCOLS.get(values.protocol)
    return lambda divert: mangle(divert, edits, around, protocol=protocol)


PROGRAM = Entry(
    name="mangle",
    summary="Change header fields or text of every packet, mend its checksums, and put it back.",
    make=_make,
    options=_options,
)
