"""IP options of a datagram that arrives at a BSD (ip_dooptions of ip_options.c; RFC 791 section 3.1).

Routes and times are recorded; source routing is not done, as these systems come (``net.inet.ip.sourceroute`` and
``accept_sourceroute`` are 0), so a datagram that asks for it is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rules.addresses import dotted
from simulator.icmp_errors import HOST_UNREACHABLE, Error
from simulator.node import Node
from simulator.packet import MINIMUM_HEADER, Packet

__all__ = ["Fault", "process", "reflected"]

_END, _NOP, _RECORD_ROUTE, _TIMESTAMP, _SECURITY, _LOOSE, _STRICT = 0, 1, 7, 68, 130, 131, 137
_TIME_ONLY, _TIME_AND_ADDRESS, _PRESPECIFIED = 0, 1, 3
_PARAMETER_PROBLEM = Error(12, 0)
_SOURCE_ROUTE_FAILED = Error(3, 5)
_DAY = 86_400_000


class Fault(NamedTuple):
    """What is wrong with the options, as the ICMP error that says so."""

    error: Error
    rest: int = 0
    message: str | None = None
    """A line for the kernel's log."""


def _problem(octet: int) -> Fault:
    """A parameter problem that points at an octet of the header."""
    return Fault(_PARAMETER_PROBLEM, octet << 24)


def process(packet: Packet, node: Node) -> Fault | None:
    """Do what the options ask, in the packet; the header checksum stays as it was.  A fault ends it half-way."""
    header = bytearray(packet.octets[: packet.header_length])
    fault = _walk(header, packet, node)
    if bytes(header) != packet.octets[: packet.header_length]:
        packet.octets = bytes(header) + packet.octets[packet.header_length :]
    return fault


def _walk(header: bytearray, packet: Packet, node: Node) -> Fault | None:
    at = MINIMUM_HEADER
    while at < len(header):
        kind = header[at]
        if kind == _END:
            break
        if kind == _NOP:
            at += 1
            continue
        left = len(header) - at
        if left < 2 or not 2 <= header[at + 1] <= left:
            return _problem(at + 1)
        length = header[at + 1]
        handler = _HANDLERS.get(kind)
        if handler is not None:
            fault = handler(header, at, length, packet, node)
            if fault is not None:
                return fault
        at += length
    return None


def _source_route(header: bytearray, at: int, length: int, packet: Packet, node: Node) -> Fault | None:
    """Refused, whether the datagram is here to be sent on or at the route's end."""
    if length < 3:
        return _problem(at + 1)
    if header[at + 2] < 4:
        return _problem(at + 2)
    if packet.destination not in node.own and header[at] == _STRICT:
        return Fault(_SOURCE_ROUTE_FAILED)
    line = f"attempted source route from {dotted(packet.source)} to {dotted(packet.destination)}"
    return Fault(_SOURCE_ROUTE_FAILED, message=line)


def _record_route(header: bytearray, at: int, length: int, packet: Packet, node: Node) -> Fault | None:
    """The address towards the destination into the next free place; a full record is left alone."""
    if length < 3:
        return _problem(at + 2)
    pointer = header[at + 2]
    if pointer < 4:
        return _problem(at + 2)
    if pointer - 1 > length - 4:
        return None
    if node.routes.lookup(packet.destination) is None:
        return Fault(HOST_UNREACHABLE)
    address = node.source_towards(packet.destination)
    header[at + pointer - 1 : at + pointer + 3] = address.to_bytes(4, "big")
    header[at + 2] += 4
    return None


def _timestamp(header: bytearray, at: int, length: int, packet: Packet, node: Node) -> Fault | None:
    """The time, alone or with an address; what finds no room is counted in the option itself."""
    if not 4 <= length <= 40:
        return _problem(at + 1)
    pointer = header[at + 2]
    if pointer < 5:
        return _problem(at + 1)
    if pointer > length - 4:
        header[at + 3] = header[at + 3] + 0x10 & 0xFF
        return _problem(at + 2) if not header[at + 3] & 0xF0 else None
    place = at + pointer - 1
    flag = header[at + 3] & 0x0F
    if flag in (_TIME_AND_ADDRESS, _PRESPECIFIED):
        if pointer - 1 + 8 > length:
            return _problem(at + 2)
        if flag == _PRESPECIFIED:
            if int.from_bytes(header[place : place + 4], "big") not in node.own:
                return None
        else:
            interface = packet.received_on
            if interface is None or interface.address is None:
                return None
            header[place : place + 4] = interface.address.to_bytes(4, "big")
        header[at + 2] += 4
        place += 4
    elif flag != _TIME_ONLY:
        return _problem(at + 3)
    header[place : place + 4] = (int(node.clock.now() * 1000) % _DAY).to_bytes(4, "big")
    header[at + 2] += 4
    return None


_HANDLERS: dict[int, Callable[[bytearray, int, int, Packet, Node], Fault | None]] = {
    _LOOSE: _source_route,
    _STRICT: _source_route,
    _RECORD_ROUTE: _record_route,
    _TIMESTAMP: _timestamp,
}


def reflected(options: bytes) -> bytes:
    """The options that an ICMP reply takes over from its request: records and security (icmp_reflect)."""
    kept = b""
    at = 0
    while at < len(options) and options[at] != _END:
        if options[at] == _NOP:
            at += 1
            continue
        if len(options) - at < 2 or not 2 <= options[at + 1] <= len(options) - at:
            break
        length = options[at + 1]
        if options[at] in (_RECORD_ROUTE, _TIMESTAMP, _SECURITY):
            kept += options[at : at + length]
        at += length
    return kept + bytes(-len(kept) % 4)
