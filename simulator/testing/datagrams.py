"""Datagrams as values that say in ipfw's words what they are, and the datagram of a header."""

from __future__ import annotations

from rules.fields import ICMP, OFFSET_MASK, TCP, UDP, Header
from simulator import spoken
from simulator.wire import checksum, ipv4, tcp, udp

__all__ = ["Datagram", "octets_of"]


class Datagram(bytes):
    """Octets that say in ipfw's words what they are."""

    @classmethod
    def said(cls, words: str) -> Datagram:
        """The datagram of those words.  :raises simulator.spoken.SpokenError: when they say none."""
        return cls(spoken.build(spoken.parse(words)))

    def __repr__(self) -> str:
        words = spoken.spoken_exactly(self)
        return f"Datagram.said({words!r})" if words is not None else f"Datagram.fromhex({self.hex()!r})"


def octets_of(header: Header) -> Datagram:
    """The datagram of a header, its data zeros, lengths and checksums right.

    Where it is, its marks, tags and owner are no octets.

    :raises ValueError: for a field that does not fit, or a payload that has no room for the transport header.
    """
    first = not header.fragment & OFFSET_MASK
    transport = _TRANSPORTS.get(header.protocol) if first else None
    payload = transport(header) if transport is not None else bytes(header.payload_length)
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
    return Datagram(whole.emit(payload))


def _data(header: Header, needed: int) -> bytes:
    if header.payload_length < needed:
        raise ValueError(f"{header.payload_length} octets have no room for a transport header of {needed}")
    return bytes(header.payload_length - needed)


def _tcp(header: Header) -> bytes:
    options = header.tcp_options or b""
    segment = tcp.Header(
        source_port=header.source_port or 0,
        destination_port=header.destination_port or 0,
        sequence=header.tcp_sequence or 0,
        acknowledgment=header.tcp_acknowledgment or 0,
        flags=header.tcp_flags or 0,
        window=header.tcp_window or 0,
        options=options,
    )
    data = _data(header, 20 + len(options))
    return segment.emit(data, source=header.source, destination=header.destination)


def _udp(header: Header) -> bytes:
    segment = udp.Header(source_port=header.source_port or 0, destination_port=header.destination_port or 0)
    return segment.emit(_data(header, 8), source=header.source, destination=header.destination)


def _icmp(header: Header) -> bytes:
    kind, code = header.icmp_type or 0, header.icmp_code or 0
    message = bytes((kind, code, 0, 0, 0, 1, 0, 1)) + _data(header, 8)
    return message[:2] + checksum.checksum(message).to_bytes(2, "big") + message[4:]


_TRANSPORTS = {TCP: _tcp, UDP: _udp, ICMP: _icmp}
