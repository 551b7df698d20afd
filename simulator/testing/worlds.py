"""Routers as values: profile, interfaces, routes.  A world prints as what makes it, and as the lines of a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from typing import Any

from simulator.profiles import PROFILES, LinuxProfile
from simulator.router import Router
from simulator.scenario.recording import Recording

__all__ = ["World"]


@dataclass(frozen=True, kw_only=True)
class World:
    """A router that is to be."""

    profile: str = "freebsd-13"
    interfaces: Mapping[str, str] = field(
        default_factory=lambda: {"em0": "192.168.1.1/24", "em1": "10.0.0.1/24"}, hash=False
    )
    """Name -> address/length."""
    mtus: Mapping[str, int] = field(default_factory=dict, hash=False)
    """Of those interfaces whose MTU is not 1500 octets."""
    routes: Mapping[str, str] = field(default_factory=lambda: {"0.0.0.0/0": "10.0.0.254"}, hash=False)
    """Prefix -> gateway, or ``reject``, or ``blackhole``."""
    switches: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Of the profile."""
    rules: tuple[str, ...] = ()
    """Commands of ipfw or ipchains."""

    @classmethod
    def of(cls, router: Router) -> World:
        """Profile and interfaces of a router that is there; its rules and routes are left to it."""
        interfaces = {
            name: str(each.addresses[0])
            for name, each in router.interfaces.items()
            if each.addresses and not each.is_loopback
        }
        return cls(profile=router.profile.name, interfaces=interfaces, routes={})

    def build(self, **more: Any) -> Router:
        """The router, on memory links.  ``more``: further keywords of :class:`simulator.Router`.

        :raises ValueError, rules.CommandError: for what no router takes.
        """
        for name in self.mtus:
            if name not in self.interfaces:
                raise ValueError(f"an MTU for {name!r}, which is no interface (there are {', '.join(self.interfaces)})")
        router = Router(self.profile, **{**self.switches, **more})
        for name, address in self.interfaces.items():
            router.add_interface(name, address, mtu=self.mtus.get(name, 1500))
        for prefix, target in self.routes.items():
            if target in ("reject", "blackhole"):
                router.add_route(prefix, kind=target)
            else:
                router.add_route(prefix, via=target)
        run = router.ipchains if self.is_linux else router.ipfw
        for rule in self.rules:
            run(rule)
        return router

    @property
    def is_linux(self) -> bool:
        return isinstance(PROFILES[self.profile], LinuxProfile)

    def neighbour(self, interface: str) -> str:
        """A host on the network of an interface, the router's next neighbour."""
        address = IPv4Interface(self.interfaces[interface])
        return str(next(host for host in address.network.hosts() if host != address.ip))

    def __str__(self) -> str:
        """The first lines of a scenario."""
        return "\n".join(Recording(self.build()).script.splitlines()[1:])
