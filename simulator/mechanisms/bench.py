"""Where mechanisms are tried: one router between two networks, and the few rules that differ between the dialects."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Literal

from simulator.profiles import PROFILES, LinuxProfile
from simulator.router import Router
from simulator.wire import ipv4, udp

__all__ = ["HERE", "LEFT", "RIGHT", "Bench", "Place", "datagram"]

LEFT, HERE, RIGHT = "192.168.1.2", "192.168.1.1", "10.0.0.2"
"""A host on each side, and the router's address on the left."""

Place = Literal["input", "forward", "output"]
"""Which packets: for this host, for another one, this host's own."""

_IPFW_PLACES = {"input": "in", "forward": "out", "output": "out"}


def datagram(source: str, destination: str, *, port: int = 53, data: bytes = b"question") -> bytes:
    """A UDP datagram from port 5000."""
    here, there = int(IPv4Address(source)), int(IPv4Address(destination))
    segment = udp.Header(source_port=5000, destination_port=port).emit(data, source=here, destination=there)
    return ipv4.Header(source=here, destination=there, protocol=17, identification=1).emit(segment)


class Bench:
    """A fresh router of one profile: eth0 to the left, eth1 to the right."""

    def __init__(self, profile: str) -> None:
        self.linux = isinstance(PROFILES[profile], LinuxProfile)
        self.router = Router(profile) if self.linux else Router(profile, default_accept=True)
        self.eth0 = self.router.add_interface("eth0", f"{HERE}/24")
        self.eth1 = self.router.add_interface("eth1", "10.0.0.1/24")
        self._number = 0

    def rule(self, place: Place, target: str, *, port: int | None = None) -> str:
        """Add a rule for UDP, to a port or to all of them; ``target`` is an option of ipchains such as ``-j DENY``, or
        an action of ipfw.  Returns the command."""
        if self.linux:
            choice = "" if port is None else f" --dport {port}"
            command = f"-A {place} -p udp{choice} {target}"
            self.router.ipchains(command)
            return f"ipchains {command}"
        self._number += 100
        choice = "" if port is None else f" {port}"
        command = f"add {self._number} {target} udp from any to any{choice} {_IPFW_PLACES[place]}"
        self.router.ipfw(f"-q {command}")
        return f"ipfw {command}"

    def deny(self, place: Place) -> str:
        """The rule that lets nothing pass there."""
        return self.rule(place, "-j DENY" if self.linux else "deny")
