"""A router between two networks, and what tests ask of it and of what it sends."""

from __future__ import annotations

import socket
from typing import Any

from datagrams import udp

from simulator import IPPROTO_DIVERT, Reason, Router
from simulator.packet import Packet
from simulator.sockets.divert import DivertSocket
from simulator.trace import Kind, Trace
from simulator.wire import checksum, icmp, ipv4

__all__ = ["ANYWHERE", "GOOD", "LEFT", "RIGHT", "ROUTER", "World", "broken", "error", "forwarded", "hooks"]

LEFT, RIGHT, ROUTER = "192.168.1.2", "10.0.0.2", "192.168.1.1"
ANYWHERE = ("0.0.0.0", 0)
GOOD = udp(LEFT, RIGHT, data=b"0123456789abcdef")


class World:
    """A router between two networks, and what one asks of it."""

    def __init__(self, profile: str = "linux-2.2", *rules: str, **switches: Any) -> None:
        self.router = Router(profile, **switches)
        self.eth0 = self.router.add_interface("eth0", "192.168.1.1/24")
        self.eth1 = self.router.add_interface("eth1", "10.0.0.1/24")
        self.router.add_route("0.0.0.0/0", via="10.0.0.254")
        for rule in rules:
            self.router.ipchains(rule)

    def divert(self, port: int = 1234) -> DivertSocket:
        sock = self.router.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT)
        assert isinstance(sock, DivertSocket)
        sock.bind(("0.0.0.0", port))
        sock.setblocking(False)
        return sock

    @property
    def dropped(self) -> dict[Reason, int]:
        assert self.router.ledger.balanced
        return {reason: number for reason, number in self.router.ledger.dropped.items() if number}

    def packets(self, chain: str) -> int:
        """How many packets the chain's policy has seen."""
        found: int = self.router.tables.chains[chain].packets
        return found


def hooks(trace: Trace) -> list[tuple[str | None, str | None]]:
    """Chain and interface, in the order in which packets met them."""
    return [(event.hook, event.interface) for event in trace if event.kind is Kind.FIREWALL]


def error(octets: bytes) -> tuple[int, int, int, bytes]:
    """Type, code, the second four octets, and what is quoted, of a well-formed ICMP error."""
    ipv4.parse(octets)
    message = icmp.parse(ipv4.payload(octets))
    return message.type, message.code, message.rest, message.data


def forwarded(octets: bytes) -> bytes:
    """The datagram with its TTL lowered and the right header checksum."""
    packet = Packet(octets)
    packet.set_ttl(packet.ttl - 1)
    packet.fix_checksum()
    return packet.octets


def broken(octets: bytes, **changes: int) -> bytes:
    """The datagram with octets changed by position (``o6=1``), its header checksum mended unless ``sum=0``."""
    changed = bytearray(octets)
    mend = changes.pop("sum", 1)
    for name, value in changes.items():
        changed[int(name[1:])] = value
    length = (changed[0] & 15) * 4
    if mend and 20 <= length <= len(changed):
        changed[10:12] = b"\0\0"
        changed[10:12] = checksum.checksum(changed[:length]).to_bytes(2, "big")
    return bytes(changed)
