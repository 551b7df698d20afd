"""The network that both routers stand in, the machine's kernel and ours: five links, and routes that lead everywhere.

    192.168.1.0/24 -- eth0 (1500)          eth2 (576) -- 172.16.0.0/24
        10.0.0.0/24 -- eth1 (1500)         eth3 (296) -- 172.16.1.0/24
                                            eth4 (68) -- 172.16.2.0/24

The router is host 1 on each link.  Behind host 254 of the first two are more networks; there is no default route.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from simulator import Router
from simulator.profiles import PROFILES, BsdProfile

__all__ = ["INTERFACES", "ROUTES", "Interface", "Route", "our_router"]


class Interface(NamedTuple):
    """A link of the router's: its name there, its address with the prefix length, its MTU in octets."""

    name: str
    address: str
    mtu: int

    @property
    def host(self) -> str:
        """The router's address, without the prefix length."""
        return self.address.partition("/")[0]


class Route(NamedTuple):
    """A route that no interface brings: by way of a gateway, or of a kind that leads nowhere."""

    prefix: str
    via: str | None = None
    kind: str = "unicast"
    """As Linux's own tools have it: ``unicast``, ``unreachable`` or ``blackhole``."""


INTERFACES = (
    Interface("eth0", "192.168.1.1/24", 1500),
    Interface("eth1", "10.0.0.1/24", 1500),
    Interface("eth2", "172.16.0.1/24", 576),
    Interface("eth3", "172.16.1.1/24", 296),
    Interface("eth4", "172.16.2.1/24", 68),
)

ROUTES = (
    Route("172.20.0.0/16", via="192.168.1.254"),
    Route("203.0.113.0/24", via="10.0.0.254"),
    Route("240.0.0.0/4", via="10.0.0.254"),
    Route("0.0.0.0/8", via="10.0.0.254"),
    Route("198.51.100.0/25", kind="unreachable"),
    Route("198.51.100.128/25", kind="blackhole"),
)

_OUR_KINDS = {"unicast": "unicast", "unreachable": "reject", "blackhole": "blackhole"}


def our_router(profile: str) -> Router:
    """A router of ours in that network, on memory links, whose firewall accepts everything."""
    switches: dict[str, Any] = {"default_accept": True} if isinstance(PROFILES[profile], BsdProfile) else {}
    router = Router(profile, **switches)
    for name, address, mtu in INTERFACES:
        router.add_interface(name, address, mtu=mtu)
    for prefix, via, kind in ROUTES:
        router.add_route(prefix, via=via, kind=_OUR_KINDS[kind])
    return router
