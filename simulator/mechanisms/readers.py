"""The mechanisms, each behind the same few calls, so that the same things can be tried with all of them."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from simulator.bpf import Program
from simulator.mechanisms.bench import HERE, RIGHT, Bench, Place
from simulator.profiles import PROFILES, BsdProfile, LinuxProfile
from simulator.router import IPPROTO_DIVERT
from simulator.sockets.netlink import NETLINK_FIREWALL, parse_message

__all__ = ["MECHANISMS", "Mechanism", "Reader", "Seen", "mechanisms_of"]


class Seen(NamedTuple):
    """What a reader read."""

    octets: bytes
    where: str
    """As the mechanism itself tells it: an interface and a direction, an address."""
    address: Any


class Reader(Protocol):
    """One program with one mechanism, open on one bench."""

    setup: str
    """The call or the rule that it needs, as one types it."""

    def read(self) -> Seen | None:
        """What is there to read, None for nothing."""

    def outward(self, octets: bytes) -> None:
        """Send a datagram as this host would.  :raises NotImplementedError: when there is no way to say that."""

    def inward(self, octets: bytes) -> None:
        """Have a datagram come in as if by eth0.  :raises NotImplementedError: likewise."""

    def back(self, seen: Seen, octets: bytes) -> None:
        """Give back what was read, changed or not.  :raises NotImplementedError: likewise."""


def _to_port(port: int) -> Program:
    """Packets to a UDP port, their headers without options: what libpcap makes of ``udp dst port N`` says more."""
    return Program(
        [(0x30, 0, 0, 9), (0x15, 0, 3, 17), (0x28, 0, 0, 22), (0x15, 0, 1, port), (0x06, 0, 0, 65535), (0x06, 0, 0, 0)]
    )


class _Socket:
    """What the mechanisms below share: a socket that does not block."""

    setup = ""

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        sock.setblocking(False)

    def read(self) -> Seen | None:
        if not self.sock.readable:
            return None
        octets, address = self.sock.recvfrom(65535)
        return self._seen(octets, address)

    def _seen(self, octets: bytes, address: Any) -> Seen:
        host, port = address
        return Seen(octets, f"address {host}, port {port}", address)

    def outward(self, octets: bytes) -> None:
        raise NotImplementedError

    def inward(self, octets: bytes) -> None:
        raise NotImplementedError

    def back(self, seen: Seen, octets: bytes) -> None:
        self.outward(octets)


class _Tap(_Socket):
    """libpcap."""

    def __init__(self, bench: Bench, place: Place, port: int | None) -> None:
        super().__init__(bench.router.tap(filter="" if port is None else _to_port(port)))
        self.setup = "router.tap()" if port is None else f'router.tap(filter="udp dst port {port}")'

    def _seen(self, octets: bytes, address: Any) -> Seen:
        return Seen(octets, f"{address[0]} {'out' if address.outgoing else 'in'}", address)

    def outward(self, octets: bytes) -> None:
        self.sock.sendto(octets, ("eth1", 0))


class _Raw(_Socket):
    """A raw socket for UDP, headers included."""

    setup = "socket(AF_INET, SOCK_RAW, IPPROTO_UDP), IP_HDRINCL"

    def __init__(self, bench: Bench, place: Place, port: int | None) -> None:
        super().__init__(bench.router.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP))
        self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
        profile = bench.router.profile
        self._swaps = isinstance(profile, BsdProfile) and profile.raw_fields != "network order"

    def outward(self, octets: bytes) -> None:
        self._send(octets, RIGHT)

    def inward(self, octets: bytes) -> None:
        """To this host itself is the nearest thing."""
        self._send(octets, HERE)

    def _send(self, octets: bytes, destination: str) -> None:
        if self._swaps:
            octets = octets[:2] + octets[3:1:-1] + octets[4:6] + octets[7:5:-1] + octets[8:]
        self.sock.sendto(octets, (destination, 0))


class _Netlink(_Socket):
    """Copies by ``-o``."""

    def __init__(self, bench: Bench, place: Place, port: int | None) -> None:
        super().__init__(bench.router.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_FIREWALL))
        self.sock.bind((0, 1))
        self.setup = bench.rule(place, "-o", port=port)

    def _seen(self, octets: bytes, address: Any) -> Seen:
        message = parse_message(octets)
        return Seen(message.octets, f"{message.interface}, mark {message.mark}", address)

    def back(self, seen: Seen, octets: bytes) -> None:
        self.sock.send(octets)  # the kernel takes it, and does nothing with it (linux.md N3)


class _Divert(_Socket):
    """A divert socket, and the rule that feeds it."""

    target = "divert"
    number = 1234

    def __init__(self, bench: Bench, place: Place, port: int | None) -> None:
        super().__init__(bench.router.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT))
        number = self.number if port is None else 1000 + port
        self.sock.bind(("0.0.0.0", number))
        self.setup = bench.rule(place, f"-j DIVERT {number}" if bench.linux else f"{self.target} {number}", port=port)

    def outward(self, octets: bytes) -> None:
        self.sock.sendto(octets, ("0.0.0.0", 0))

    def inward(self, octets: bytes) -> None:
        self.sock.sendto(octets, (HERE, 0))

    def back(self, seen: Seen, octets: bytes) -> None:
        self.sock.sendto(octets, seen.address)


class _Tee(_Divert):
    """The same socket, fed by ``tee``."""

    target = "tee"
    number = 1235


class Mechanism(NamedTuple):
    """One way to get at packets."""

    name: str
    kernels: tuple[type, ...]
    open: Callable[[Bench, Place, int | None], Reader]
    """(bench, which packets it is to get, only those to that UDP port)."""

    def __str__(self) -> str:
        return self.name


MECHANISMS = (
    Mechanism("packet tap", (LinuxProfile, BsdProfile), _Tap),
    Mechanism("raw socket", (LinuxProfile, BsdProfile), _Raw),
    Mechanism("netlink copy", (LinuxProfile,), _Netlink),
    Mechanism("tee", (BsdProfile,), _Tee),
    Mechanism("divert socket", (LinuxProfile, BsdProfile), _Divert),
)


def mechanisms_of(profile: str) -> tuple[Mechanism, ...]:
    """Those that the kernel has."""
    return tuple(each for each in MECHANISMS if isinstance(PROFILES[profile], each.kernels))
