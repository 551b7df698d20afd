"""The datagram of a header: from the fields that rules ask about to octets."""

from __future__ import annotations

from rules.fields import ICMP, OFFSET_MASK, TCP, UDP, Header
from simulator.wire import icmp, ipv4, tcp, udp

__all__ = ["datagram"]

_ECHO = 0x0001_0001
"""Identifier and sequence number of an echo, which rules do not ask about."""


def datagram(header: Header) -> bytes:
    """Octets with these fields, the data zeros, lengths and checksums right; a transport header that is longer than
    ``total_length`` allows is cut off there.

    A protocol whose fields are None gets no transport header.

    :raises ValueError: for a field that does not fit.
    """
    room = max(header.total_length - 20 - len(header.options), 0)
    transport = b"" if header.fragment & OFFSET_MASK else _transport(header, room)
    whole = ipv4.Header(
        source=header.source,
        destination=header.destination,
        protocol=header.protocol,
        tos=header.tos,
        identification=header.identification,
        fragment=header.fragment,
        ttl=header.ttl,
        options=header.options,
    )
    return whole.emit((transport + bytes(room))[:room])


def _transport(header: Header, room: int) -> bytes:
    """The transport header and its data."""
    if header.protocol == TCP and header.tcp_flags is not None:
        segment = tcp.Header(
            source_port=header.source_port or 0,
            destination_port=header.destination_port or 0,
            sequence=header.tcp_sequence or 0,
            acknowledgment=header.tcp_acknowledgment or 0,
            flags=header.tcp_flags,
            window=header.tcp_window or 0,
            options=header.tcp_options or b"",
        )
        data = bytes(max(room - 20 - len(header.tcp_options or b""), 0))
        return segment.emit(data, source=header.source, destination=header.destination)
    if header.protocol == UDP and header.source_port is not None:
        ports = udp.Header(source_port=header.source_port, destination_port=header.destination_port or 0)
        return ports.emit(bytes(max(room - 8, 0)), source=header.source, destination=header.destination)
    if header.protocol == ICMP and header.icmp_type is not None:
        data = bytes(max(room - 8, 0))
        return icmp.Message(type=header.icmp_type, code=header.icmp_code or 0, rest=_ECHO, data=data).emit()
    return b""
