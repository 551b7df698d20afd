"""The part of a router that ifconfig(8) and route(8) change: interfaces, their addresses, routes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network

from simulator.history import Act, remembered
from simulator.interfaces import Address, Interface, Link
from simulator.links.memory import MemoryLink
from simulator.node import Node
from simulator.routing import Kind, Route, Routes

__all__ = ["Configuration"]

_NAME = re.compile("[!-.0-~]{1,15}")
"""Interface names as the kernels take them (dev_valid_name of Linux)."""

_MTU = range(68, 65536)
"""RFC 791: every link carries 68 octets unfragmented; no datagram is longer than 65,535."""

Told = Callable[[Interface], object]


class Configuration:
    """A base of :class:`simulator.Router`."""

    def __init__(self, node: Node, *, connect: Told, readdressed: Told) -> None:
        """``connect`` is to give a new interface its ``receive``; ``readdressed`` hears of each change of addresses."""
        self.node = node
        self._connect = connect
        self._readdressed = readdressed

    @remembered
    def add_interface(
        self,
        name: str,
        address: str | Sequence[str] | None = None,
        *,
        mtu: int = 1500,
        link: Link | None = None,
        peer: str | None = None,
    ) -> Interface:
        """A new interface, up, with the routes that its addresses bring.

        ``address`` is ``"192.168.1.1/24"``, several of them, or None; ``peer`` is the far end of a point-to-point
        link; ``link`` carries the octets, a :class:`~simulator.links.memory.MemoryLink` unless told otherwise.

        :raises ValueError: for a name that is taken or too long, an MTU outside 68 to 65535, or a bad address.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"an interface name has 1 to 15 printable ASCII characters, no blank, no slash: {name!r}")
        if name in self.node.interfaces:
            raise ValueError(f"there is an interface {name!r} already")
        if not isinstance(mtu, int) or mtu not in _MTU:
            raise ValueError(f"an MTU is between 68 and 65535 octets: {mtu!r}")
        texts = [] if address is None else [address] if isinstance(address, str) else list(address)
        addresses = [Address(text, peer=peer) for text in texts]
        interface = Interface(name, link if link is not None else MemoryLink(), mtu=mtu)
        interface.on_change = self._interface_changed
        self.node.interfaces[name] = interface
        for each in addresses:
            self._add_address(interface, each)
        self._connect(interface)
        return interface

    @remembered
    def add_address(self, interface: str | Interface, address: str) -> None:
        """A further address for an interface.

        :raises ValueError: for a bad address, one that the interface has already, or an unknown interface.
        """
        found, added = self.node.interface(interface), Address(address)
        if any(each.host == added.host for each in found.addresses):
            raise ValueError(f"{found.name} has the address {address} already")
        self._add_address(found, added)

    @remembered
    def delete_address(self, interface: str | Interface, address: str) -> None:
        """Take an address, ``"10.0.0.1"``, from an interface, with the routes that it brought.

        :raises ValueError: for an interface that is unknown or does not have it.
        """
        found, host = self.node.interface(interface), int(IPv4Address(address))
        gone = next((each for each in found.addresses if each.host == host), None)
        if gone is None:
            raise ValueError(f"{found.name} does not have the address {address}")
        node = self.node
        routes = [*_routes_of(found, gone)]
        found.addresses.remove(gone)
        for route in routes:
            node.routes.remove_like(route)
        node.own.pop(host, None)
        if gone.broadcast is not None:
            node.broadcasts.pop(gone.broadcast, None)
        for other in node.interfaces.values():
            for each in other.addresses:
                node.own.setdefault(each.host, other)
                if each.broadcast is not None and not other.is_loopback:
                    node.broadcasts.setdefault(each.broadcast, other)
        self._readdressed(found)

    def _add_address(self, interface: Interface, address: Address) -> None:
        interface.addresses.append(address)
        self.node.own.setdefault(address.host, interface)
        if address.broadcast is not None and not interface.is_loopback:
            self.node.broadcasts.setdefault(address.broadcast, interface)
        for route in _routes_of(interface, address):
            self.node.routes.add(route)
        self._readdressed(interface)

    @remembered
    def add_route(
        self,
        prefix: str,
        *,
        via: str | None = None,
        interface: str | Interface | None = None,
        kind: str = "unicast",
    ) -> Route:
        """A static route: ``add_route("0.0.0.0/0", via="10.0.0.254")`` or ``interface="eth1"``.

        ``kind`` may be ``"reject"`` or ``"blackhole"`` instead.

        :raises ValueError: for a bad prefix, a gateway that no interface reaches, an interface that is unknown or down,
            or another kind.
        """
        if kind not in ("unicast", "reject", "blackhole"):
            raise ValueError(f"no such kind of route: {kind!r}")
        network = IPv4Network(prefix)
        gateway = int(IPv4Address(via)) if via is not None else None
        if interface is not None:
            out = self.node.interface(interface)
            if gateway is not None and not out.reaches(gateway):
                raise ValueError(f"the gateway {via} is on no network of {out.name}")
        elif gateway is not None:
            near = self.node.routes.lookup(gateway)
            if near is None or near.gateway is not None or near.kind is not Kind.UNICAST:
                raise ValueError(f"the gateway {via} is on no network of this router's")
            out = near.interface
        elif kind in ("reject", "blackhole"):
            out = self.node.loopback
        else:
            raise ValueError(f"a route to {prefix} needs via= or interface=")
        if not out.up:
            raise ValueError(f"{out.name} is down: a static route does not outlive its interface")
        route = Route(int(network.network_address), network.prefixlen, out, gateway=gateway, kind=Kind(kind))
        self.node.routes.add(route)
        return route

    @remembered
    def delete_route(self, prefix: str) -> None:
        """:raises ValueError: when there is no route with exactly that prefix."""
        route = self.node.routes.find(IPv4Network(prefix))
        if route is None:
            raise ValueError(f"no route to {prefix}")
        self.node.routes.remove(route)

    def _interface_changed(self, interface: Interface) -> None:
        self.node.history.append(Act(self.node.clock.now(), "up", {"interface": interface.name, "up": interface.up}))
        if interface.up:
            self.node.routes.changed()
        else:
            self.node.routes.interface_down(interface)

    @property
    def interfaces(self) -> dict[str, Interface]:
        """By name, the loopback interface included."""
        return self.node.interfaces

    @property
    def routes(self) -> Routes:
        """The routing table; iterating gives the routes, longest prefix first."""
        return self.node.routes


def _routes_of(interface: Interface, address: Address) -> Iterator[Route]:
    """The routes that an address of an interface brings along."""
    yield Route(address.host, 32, interface, kind=Kind.LOCAL, connected=True)
    if interface.is_loopback:
        yield Route(address.network, address.length, interface, kind=Kind.LOCAL, connected=True)
        return
    if address.broadcast is not None:
        for each in (address.broadcast, address.network):
            yield Route(each, 32, interface, kind=Kind.BROADCAST, connected=True)
    if address.peer is not None:
        yield Route(address.peer, 32, interface, connected=True)
    elif address.length < 32:
        yield Route(address.network, address.length, interface, connected=True)
