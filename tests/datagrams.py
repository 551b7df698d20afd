"""Whole datagrams for tests, in one expression each: ``udp("192.168.1.2", "10.0.0.2", data=b"hello")``."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from simulator.fragments import LINUX, fragment
from simulator.wire import icmp, ipv4
from simulator.wire import tcp as tcp_wire
from simulator.wire import udp as udp_wire

__all__ = ["address", "ip", "pieces", "ping", "tcp", "udp"]


def address(text: str) -> int:
    return int(IPv4Address(text))


def ip(source: str, destination: str, protocol: int = 99, payload: bytes = b"payload!", **header: Any) -> bytes:
    """Any protocol; ``header`` are fields of :class:`simulator.wire.ipv4.Header`."""
    fields: dict[str, Any] = {"identification": 1, **header}
    return ipv4.Header(source=address(source), destination=address(destination), protocol=protocol, **fields).emit(
        payload
    )


def udp(
    source: str, destination: str, *, ports: tuple[int, int] = (5000, 6000), data: bytes = b"", **header: Any
) -> bytes:
    segment = udp_wire.Header(source_port=ports[0], destination_port=ports[1]).emit(
        data, source=address(source), destination=address(destination)
    )
    return ip(source, destination, 17, segment, **header)


def tcp(
    source: str,
    destination: str,
    *,
    ports: tuple[int, int] = (5000, 80),
    flags: int = tcp_wire.SYN,
    sequence: int = 1000,
    acknowledgment: int = 0,
    data: bytes = b"",
    **header: Any,
) -> bytes:
    segment = tcp_wire.Header(
        source_port=ports[0],
        destination_port=ports[1],
        sequence=sequence,
        acknowledgment=acknowledgment,
        flags=flags,
    ).emit(data, source=address(source), destination=address(destination))
    return ip(source, destination, 6, segment, **header)


def ping(source: str, destination: str, *, data: bytes = bytes(56), **header: Any) -> bytes:
    return ip(source, destination, 1, icmp.echo_request(7, 1, data), **header)


def pieces(octets: bytes, mtu: int) -> list[bytes]:
    """The datagram in fragments, the first one first."""
    return fragment(octets, mtu, style=LINUX)
