"""What ipfw rules may ask about the router they stand on (:class:`rules.ipfw.surroundings.Surroundings`)."""

from __future__ import annotations

from rules.addresses import mask_of
from rules.fields import UDP, Fields
from rules.ipfw.surroundings import Owner, Route
from simulator.node import Node
from simulator.routing import Kind
from simulator.sockets.udp import UdpPorts

__all__ = ["RouterSurroundings"]


class RouterSurroundings:
    """Answers from the router's own tables, as they are at that moment."""

    def __init__(self, node: Node, udp_ports: UdpPorts) -> None:
        self._node = node
        self._udp_ports = udp_ports

    def is_local(self, address: int) -> bool:
        return address in self._node.own

    def has_address(self, interface: str, address: int) -> bool:
        found = self._node.interfaces.get(interface)
        return found is not None and any(each.host == address for each in found.addresses)

    def addresses(self, interface: str) -> tuple[int, ...] | None:
        found = self._node.interfaces.get(interface)
        return None if found is None else tuple(each.host for each in found.addresses)

    def network_of(self, interface: str) -> tuple[int, int] | None:
        found = self._node.interfaces.get(interface)
        if found is None or not found.addresses:
            return None
        first = found.addresses[0]
        return first.host, mask_of(first.length)

    def route(self, address: int) -> Route | None:
        route = self._node.routes.lookup(address)
        if route is None:
            return None
        return Route(
            route.interface.name,
            is_default=route.length == 0,
            is_connected=route.connected,
            is_reject=route.kind in (Kind.REJECT, Kind.BLACKHOLE),
        )

    def owner(self, fields: Fields) -> Owner | None:
        """Whose program sent it, or whose UDP socket has the port that it comes from or is for."""
        sender: Owner | None = getattr(fields, "sender", None)
        if sender is not None or fields.protocol != UDP:
            return sender
        leaving = fields.transmit_interface is not None
        host, port = (fields.source, fields.source_port) if leaving else (fields.destination, fields.destination_port)
        sock = self._udp_ports.find(host, port or 0) if host in self._node.own else None
        return None if sock is None else sock.owner
