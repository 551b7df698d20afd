"""Addresses and ports rewritten in a datagram, and in the datagram that an ICMP error quotes.

Address translation (RFC 1631, RFC 3022 sections 2.2, 4.1 to 4.3) knows a conversation by five numbers,
:class:`Endpoints`.  ICMP queries have no ports; the identifier stands for the port of the side that asks, and type and
code of the request for the port of the side that answers, as Linux 2.2 does it.

Checksums of IP, TCP and UDP are updated (RFC 1624), so a wrong one stays wrong; a UDP checksum that the sender left out
is made.  An ICMP checksum is made anew.  The checksum of a quoted TCP or UDP header stays as it was: what it covers is
not all there.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from rules.fields import ICMP, OFFSET_MASK, TCP, UDP
from simulator.packet import MINIMUM_HEADER, Packet
from simulator.wire import icmp
from simulator.wire.checksum import checksum, transport_checksum, verify, verify_transport
from simulator.wire.rewriting import (
    CHECKSUM_AT,
    DESTINATION,
    SOURCE,
    End,
    other_end,
    rewrite_end,
    set_address,
    set_port,
)

__all__ = [
    "DESTINATION",
    "REPORTS",
    "SOURCE",
    "End",
    "Endpoints",
    "endpoints",
    "is_intact",
    "is_query",
    "quoted_endpoints",
    "rewrite",
    "rewrite_error",
]

REPORTS = frozenset({icmp.UNREACHABLE, icmp.SOURCE_QUENCH, icmp.TIME_EXCEEDED})
"""ICMP errors that Linux 2.2 translates; redirects and parameter problems are not among them."""

_REQUEST_OF = {0: 8, 14: 13, 16: 15, 18: 17}
"""Echo, timestamp, information, address mask: the type of the reply and that of its request."""
_REQUESTS = frozenset(_REQUEST_OF.values())

_QUOTED = 8
"""Octets of an ICMP error before the datagram that it is about."""
_SHORTEST = {TCP: 20, UDP: 8, ICMP: 8}

_addresses = Struct(">II")
_ports = Struct(">HH")
_query = Struct(">BBHH")
_word = Struct(">H")


class Endpoints(NamedTuple):
    """Who speaks to whom."""

    protocol: int
    source: int
    source_port: int
    destination: int
    destination_port: int

    @property
    def reverse(self) -> Endpoints:
        """The same conversation, seen in a datagram that goes the other way."""
        return Endpoints(self.protocol, self.destination, self.destination_port, self.source, self.source_port)


# -- reading ---------------------------------------------------------------------------------------------------------


def endpoints(octets: bytes, at: int = 0) -> Endpoints | None:
    """Of the datagram that begins at that octet; None when it has none.

    That is: a protocol other than TCP, UDP and ICMP, an ICMP message that is neither query nor reply, a later fragment,
    fewer than eight octets behind the IP header.
    """
    if len(octets) < at + MINIMUM_HEADER:
        return None
    header_length = (octets[at] & 15) << 2
    ports = at + header_length
    if header_length < MINIMUM_HEADER or len(octets) < ports + 8:
        return None
    if _word.unpack_from(octets, at + 6)[0] & OFFSET_MASK:
        return None
    protocol = octets[at + 9]
    source, destination = _addresses.unpack_from(octets, at + 12)
    if protocol == ICMP:
        kind, code, _, identifier = _query.unpack_from(octets, ports)
        if kind in _REQUESTS:
            return Endpoints(protocol, source, identifier, destination, kind << 8 | code)
        if kind in _REQUEST_OF:
            return Endpoints(protocol, source, _REQUEST_OF[kind] << 8 | code, destination, identifier)
        return None
    if protocol in CHECKSUM_AT:
        source_port, destination_port = _ports.unpack_from(octets, ports)
        return Endpoints(protocol, source, source_port, destination, destination_port)
    return None


def is_query(packet: Packet) -> bool:
    """Whether an ICMP message asks something (RFC 792, RFC 950)."""
    return packet.icmp_type in _REQUESTS


def quoted_endpoints(packet: Packet) -> Endpoints | None:
    """Of the datagram that an ICMP error of :data:`REPORTS` is about; None when the packet is no such error."""
    if packet.protocol != ICMP or packet.icmp_type not in REPORTS:
        return None
    return endpoints(packet.octets, packet.header_length + _QUOTED)


def is_intact(packet: Packet) -> bool:
    """Whether a whole TCP, UDP or ICMP message has the length its protocol needs and the right checksum."""
    message = packet.octets[packet.header_length :]
    protocol = packet.protocol
    if len(message) < _SHORTEST[protocol]:
        return False
    if protocol == ICMP:
        return verify(message)
    if protocol == TCP and not 0 < message[12] >> 4 << 2 <= len(message):
        return False
    return verify_transport(packet.source, packet.destination, protocol, message)


# -- writing ---------------------------------------------------------------------------------------------------------


def rewrite(packet: Packet, end: End, address: int, port: int) -> None:
    """Give one end of a TCP or UDP datagram or an ICMP query another address and port.

    The packet must be whole and have :func:`endpoints`.
    """
    octets = bytearray(packet.octets)
    at = packet.header_length
    rewrite_end(octets, end, address, port)
    if packet.protocol == ICMP:
        _redo_icmp(octets, at)
    elif packet.protocol == UDP:
        place = at + CHECKSUM_AT[UDP]
        if not _word.unpack_from(octets, place)[0]:
            source, destination = _addresses.unpack_from(octets, 12)
            _word.pack_into(octets, place, transport_checksum(source, destination, UDP, octets[at:]))
    packet.readdress(bytes(octets))


def rewrite_error(packet: Packet, end: End, address: int, port: int) -> None:
    """Give one end of an ICMP error another address, and the same end of what it quotes, which is the quoted datagram's
    other one, that address and port.  The packet must have :func:`quoted_endpoints`.
    """
    octets = bytearray(packet.octets)
    at = packet.header_length
    set_address(octets, 0, end, address)
    quoted = at + _QUOTED
    set_address(octets, quoted, other_end(end), address)
    set_port(octets, quoted, other_end(end), port)
    _redo_icmp(octets, at)
    packet.readdress(bytes(octets))


def _redo_icmp(octets: bytearray, at: int) -> None:
    _word.pack_into(octets, at + 2, 0)
    _word.pack_into(octets, at + 2, checksum(memoryview(octets)[at:]))
