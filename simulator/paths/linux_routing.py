"""Where Linux 2.2 sends a datagram: ip_route_input and ip_route_output above the routing table (linux.md T2, T3).

A received datagram is believed only if its addresses can be true; a sent one goes wherever the table says.
"""

from __future__ import annotations

from rules.addresses import mask_of
from simulator.interfaces import Interface
from simulator.ledger import Reason
from simulator.node import Node
from simulator.packet import Packet
from simulator.routing import Kind as RouteKind
from simulator.routing import Route, is_class_e, is_loopback, is_multicast

__all__ = ["LinuxRouting"]

_LIMITED_BROADCAST = 0xFFFFFFFF
_REMEMBERED = 4096


class LinuxRouting:
    """The answers for one host; those for received datagrams are remembered until the table changes."""

    def __init__(self, node: Node, *, forwarding: bool) -> None:
        self._node = node
        self._forwarding = forwarding
        self._answers: dict[tuple[int, int], Route | Reason] = {}
        self._generation = -1

    def for_received(self, packet: Packet) -> Route | Reason:
        """The route for a received packet, or why it has none.  Answers for interface lo come with the packet."""
        if self._generation != self._node.routes.generation or len(self._answers) >= _REMEMBERED:
            self._generation = self._node.routes.generation
            self._answers.clear()
        key = (packet.source, packet.destination)
        found = self._answers.get(key)
        if found is None:
            if is_multicast(packet.destination):
                return self._multicast_route(packet)
            found = self._answers[key] = self.find(*key)
        return found

    def find(self, source: int, destination: int) -> Route | Reason:
        """The same for two addresses; no groups."""
        fault = self._source_fault(source, destination)
        if fault is not None:
            return fault
        if _is_limited_broadcast(source, destination):
            return Route(destination, 32, self._node.loopback, kind=RouteKind.BROADCAST)
        if destination >> 24 == 0 or is_loopback(destination) or is_class_e(destination):
            return Reason.MARTIAN_DESTINATION
        route = self._node.routes.lookup(destination)
        if not self._forwarding and (route is None or route.kind not in (RouteKind.LOCAL, RouteKind.BROADCAST)):
            return Reason.FORWARDING_OFF
        if route is None:
            return Reason.NO_ROUTE
        if route.kind is RouteKind.REJECT:
            return Reason.UNREACHABLE_ROUTE
        return Reason.BLACKHOLE_ROUTE if route.kind is RouteKind.BLACKHOLE else route

    def _source_fault(self, source: int, destination: int) -> Reason | None:
        """Sources that nobody can have: loopback, multicast, class E, 0/8, and this host's own addresses (T3)."""
        if is_loopback(source) or is_multicast(source) or is_class_e(source):
            return Reason.MARTIAN_SOURCE
        if source >> 24 == 0:
            return None if _is_limited_broadcast(source, destination) else Reason.MARTIAN_SOURCE
        route = self._node.routes.lookup(source)
        if route is not None and route.kind in (RouteKind.LOCAL, RouteKind.BROADCAST):
            return Reason.MARTIAN_SOURCE
        return None

    def _multicast_route(self, packet: Packet) -> Route | Reason:
        """A group is for this host if the receiving interface has joined it; nothing else is done with it."""
        interface = packet.received_on
        assert interface is not None
        if packet.destination not in interface.groups:
            return Reason.NOT_JOINED
        fault = self._source_fault(packet.source, packet.destination)
        return fault or Route(packet.destination, 32, interface, kind=RouteKind.LOCAL)

    def for_sent(self, destination: int, source: int) -> Route | None:
        """Datagrams to many go where their source address belongs; all others by the table (ip_route_output)."""
        to_many = _to_many(destination)
        if to_many is not None:
            home = self._node.own.get(source)
            if home is not None and home.up:
                return Route(destination, 32, home, kind=to_many)
        return self._sent_by(self._node.routes.lookup(destination), destination)

    def for_sent_by(
        self, destination: int, source: int, *, device: Interface | None = None, attached: bool = False
    ) -> Route | None:
        """What a socket wants that is bound to a device (SO_BINDTODEVICE), or that takes no gateway (SO_DONTROUTE).

        Without a route through its device the destination is taken to be on that link (ip_route_output_slow).
        """
        if device is None and not attached:
            return self.for_sent(destination, source)
        if device is not None and not device.up:
            return None
        to_many = _to_many(destination)
        if device is not None and to_many is not None:
            return Route(destination, 32, device, kind=to_many)
        for route in self._node.routes:  # the longest prefix first
            leads_there = destination & mask_of(route.length) == route.network and route.interface.up
            if leads_there and device in (None, route.interface) and not (attached and route.gateway is not None):
                return self._sent_by(route, destination)
        if not destination:
            return self._sent_by(None, destination)
        return None if device is None else Route(destination, 32, device)

    def _sent_by(self, route: Route | None, destination: int) -> Route | None:
        """The route that was found, as a sender uses it."""
        if not destination:
            return Route(0, 32, self._node.loopback, kind=RouteKind.LOCAL)  # O8
        if route is None or route.kind in (RouteKind.REJECT, RouteKind.BLACKHOLE):
            return None
        if route.kind is RouteKind.LOCAL:
            return Route(destination, 32, self._node.loopback, kind=RouteKind.LOCAL)
        to_many = _to_many(destination)
        return route if to_many is None else Route(destination, 32, route.interface, kind=to_many)


def _to_many(destination: int) -> RouteKind | None:
    """Whether that is everybody on the link, or a group."""
    if destination == _LIMITED_BROADCAST:
        return RouteKind.BROADCAST
    return RouteKind.MULTICAST if is_multicast(destination) else None


def _is_limited_broadcast(source: int, destination: int) -> bool:
    """For everybody on the link, whatever the routes say: what hosts send that have no address yet (T3)."""
    return destination == _LIMITED_BROADCAST or source == destination == 0
