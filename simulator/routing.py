"""Longest-prefix routing: connected, static and default routes, and the host's own addresses.

One table serves both families.  An interface's address brings three kinds of route with it: the address itself
(``LOCAL``: deliver here), its network (``UNICAST`` without a gateway) and its broadcast addresses (``BROADCAST``).
Of two routes with the same prefix the earlier one counts.  Answers are remembered until the table changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from rules.addresses import dotted, mask_of

if TYPE_CHECKING:
    from simulator.interfaces import Interface

__all__ = ["Kind", "Route", "Routes", "is_class_e", "is_loopback", "is_multicast"]

_LIMITED_BROADCAST = 0xFFFFFFFF
_REMEMBERED = 4096
"""Destinations whose answer is kept; a flood of random addresses must not fill the memory."""


def is_multicast(address: int) -> bool:
    return address >> 28 == 0xE


def is_class_e(address: int) -> bool:
    """240.0.0.0/4, the limited broadcast 255.255.255.255 included."""
    return address >> 28 == 0xF


def is_loopback(address: int) -> bool:
    return address >> 24 == 127


class Kind(Enum):
    """What a route does with a datagram."""

    UNICAST = "unicast"
    LOCAL = "local"
    BROADCAST = "broadcast"
    MULTICAST = "multicast"
    REJECT = "reject"
    BLACKHOLE = "blackhole"

    __hash__ = object.__hash__


class Route:
    """A prefix and where it leads.  ``gateway`` is None when the destination is on the link itself."""

    __slots__ = ("connected", "gateway", "interface", "kind", "length", "network")

    def __init__(
        self,
        network: int,
        length: int,
        interface: Interface,
        *,
        gateway: int | None = None,
        kind: Kind = Kind.UNICAST,
        connected: bool = False,
    ) -> None:
        self.network = network & mask_of(length)
        self.length = length
        self.interface = interface
        self.gateway = gateway
        self.kind = kind
        self.connected = connected
        """Brought by an interface's address: comes and goes with the interface."""

    @property
    def leads_to(self) -> str:
        """Where the route leads, for traces: ``to this host``, ``to eth1 via 10.0.0.254``."""
        if self.kind in (Kind.LOCAL, Kind.BROADCAST):
            return "to this host"
        via = f" via {dotted(self.gateway)}" if self.gateway is not None else ""
        return f"to {self.interface.name}{via}"

    def __str__(self) -> str:
        via = f" via {dotted(self.gateway)}" if self.gateway is not None else ""
        kind = "" if self.kind is Kind.UNICAST else f"{self.kind.value} "
        return f"{kind}{dotted(self.network)}/{self.length}{via} dev {self.interface.name}"

    def __repr__(self) -> str:
        return f"<Route {self}>"


class Routes:
    """The routing table."""

    def __init__(self) -> None:
        self._by_length: dict[int, dict[int, list[Route]]] = {}
        self._lengths: list[tuple[int, int]] = []
        """(mask, length) of the prefixes in use, longest first."""
        self._answers: dict[int, Route | None] = {}
        self.generation = 0
        """Goes up with every change, for whoever remembers answers of their own."""

    def add(self, route: Route) -> None:
        self._by_length.setdefault(route.length, {}).setdefault(route.network, []).append(route)
        self.changed()

    def remove(self, route: Route) -> None:
        """:raises KeyError: when the table does not hold it."""
        prefixes = self._by_length.get(route.length, {})
        listed = prefixes.get(route.network, [])
        if route not in listed:
            raise KeyError(f"no such route: {route}")
        listed.remove(route)
        if not listed:
            del prefixes[route.network]
        if not prefixes:
            del self._by_length[route.length]
        self.changed()

    def remove_like(self, like: Route) -> None:
        """Remove one route of that prefix, interface and kind.  :raises KeyError: when there is none."""
        for route in self._by_length.get(like.length, {}).get(like.network, []):
            if route.interface is like.interface and route.kind is like.kind and route.connected is like.connected:
                self.remove(route)
                return
        raise KeyError(f"no such route: {like}")

    def find(self, network: IPv4Network) -> Route | None:
        """The route with exactly that prefix."""
        listed = self._by_length.get(network.prefixlen, {}).get(int(network.network_address))
        return listed[0] if listed else None

    def changed(self) -> None:
        """Forget the answers: a route came or went, or an interface went up or down."""
        self._lengths = [(mask_of(length), length) for length in sorted(self._by_length, reverse=True)]
        self._answers.clear()
        self.generation += 1

    def lookup(self, destination: int) -> Route | None:
        """The most specific route to that address through an interface that is up."""
        try:
            return self._answers[destination]
        except KeyError:
            pass
        if len(self._answers) >= _REMEMBERED:
            self._answers.clear()
        route = self._answers[destination] = self._search(destination)
        return route

    def _search(self, destination: int) -> Route | None:
        for mask, length in self._lengths:
            for route in self._by_length[length].get(destination & mask, ()):
                if route.interface.up:
                    return route
        return None

    def is_for_many(self, destination: int) -> bool:
        """Whether an address is a group's or a broadcast address: every receiver would answer at once."""
        if is_multicast(destination) or destination == _LIMITED_BROADCAST:
            return True
        route = self.lookup(destination)
        return route is not None and route.kind is Kind.BROADCAST

    def interface_down(self, interface: Interface) -> None:
        """Routes that are not connected go with their interface, and do not come back with it (bsd.md W-15)."""
        for route in [route for route in self if route.interface is interface and not route.connected]:
            self.remove(route)
        self.changed()

    def __iter__(self) -> Iterator[Route]:
        """All routes, longest prefix first."""
        for _, length in self._lengths:
            for listed in self._by_length[length].values():
                yield from listed
