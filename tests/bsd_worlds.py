"""A BSD router between two networks, and what tests ask of it."""

from __future__ import annotations

import errno
import socket
from typing import Any

import pytest

from simulator import IPPROTO_DIVERT, Reason, Router
from simulator.packet import Packet
from simulator.paths.bsd import BsdPath
from simulator.sockets.address import Address
from simulator.sockets.divert import DivertSocket

__all__ = [
    "ALL",
    "BEFORE_5",
    "LEFT",
    "OUTGOING",
    "OWN",
    "RIGHT",
    "SINCE_8",
    "BsdWorld",
    "echo",
    "fails",
    "queued",
    "with_switch",
]

BEFORE_5 = ("freebsd-4", "dragonfly")
SINCE_8 = ("freebsd-10", "freebsd-11", "freebsd-13", "freebsd-14")
ALL = BEFORE_5 + SINCE_8

LEFT, OWN, RIGHT = "192.168.1.2", "192.168.1.1", "10.0.0.2"
"""A host left of the router, the router's address there, a host right of it."""

OUTGOING = ("0.0.0.0", 0)


class BsdWorld:
    """``em0`` 192.168.1.1/24, ``em1`` 10.0.0.1/24, a default route by 10.0.0.254; all that no rule says is allowed.

    Rules are in the second language, which every system has.
    """

    def __init__(
        self, profile: str, *rules: str, mtu: int = 1500, default_accept: bool = True, **switches: Any
    ) -> None:
        self.router = Router(profile, default_accept=default_accept, **{"ipfw_dialect": "ipfw2"} | switches)
        self.em0 = self.router.add_interface("em0", "192.168.1.1/24")
        self.em1 = self.router.add_interface("em1", "10.0.0.1/24", mtu=mtu)
        self.router.add_route("0.0.0.0/0", via="10.0.0.254")
        for rule in rules:
            self.router.ipfw(f"add {rule}")

    def divert(self, port: int = 8668) -> DivertSocket:
        sock = self.unbound()
        sock.bind(("", port))
        return sock

    def unbound(self) -> DivertSocket:
        sock = self.router.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT)
        assert isinstance(sock, DivertSocket)
        sock.setblocking(False)
        return sock

    def arrive(self, octets: bytes, *, link_broadcast: bool) -> None:
        """By ``em0``, with what the link says of it."""
        assert isinstance(self.router.path, BsdPath)
        self.router.ledger.received += 1
        self.router.path.receive(Packet(octets, self.em0), link_broadcast=link_broadcast)

    @property
    def sent(self) -> list[bytes]:
        """What left by either interface; forgotten when looked at."""
        sent = [*self.em0.sent, *self.em1.sent]
        self.em0.sent.clear()
        self.em1.sent.clear()
        return sent

    @property
    def dropped(self) -> dict[Reason, int]:
        assert self.router.ledger.balanced
        return {reason: number for reason, number in self.router.ledger.dropped.items() if number}

    @property
    def counters(self) -> dict[str, int]:
        """The kernel's IP counters."""
        assert isinstance(self.router.path, BsdPath)
        return self.router.path.statistics()

    def matched(self, number: int) -> list[int]:
        """The packet counters of the rules with this number, in order."""
        return [counters.packets for counters in self.router.rules.counters if counters.number == number]


def queued(sock: DivertSocket) -> list[tuple[bytes, Address]]:
    """Everything that waits in the socket."""
    found = []
    while sock.readable:
        octets, address = sock.recvfrom(65535)
        found.append((octets, address))
    return found


def echo(sock: DivertSocket) -> int:
    """A program that writes everything back with the address that it came with; how many packets that were."""
    number = 0
    while sock.readable:
        octets, address = sock.recvfrom(65535)
        sock.sendto(octets, address)
        number += 1
    return number


class fails:  # noqa: N801 - reads as a word
    """``with fails(errno.EINVAL): ...``"""

    def __init__(self, number: int) -> None:
        self.number = number
        self.raises = pytest.raises(OSError)

    def __enter__(self) -> None:
        self.info = self.raises.__enter__()

    def __exit__(self, *exc: Any) -> bool:
        caught = self.raises.__exit__(*exc)
        found = self.info.value.errno
        assert found == self.number, f"{errno.errorcode.get(found or 0)} instead of {errno.errorcode[self.number]}"
        return bool(caught)


def with_switch(name: str, value: object) -> list[str]:
    """The profiles whose switch has that value."""
    return [profile for profile in ALL if getattr(Router(profile).profile, name) == value]
