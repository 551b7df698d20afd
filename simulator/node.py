"""What the rooms of one router share: interfaces, routes, clock, ledger, tracer, and the counters between them.

The packet paths, the host and the sockets each get the node and nothing of each other that they do not need.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Iterable, Iterator

from rules.addresses import dotted
from simulator.clock import Clock
from simulator.history import Act
from simulator.interfaces import Interface
from simulator.ledger import Ledger, Reason
from simulator.packet import Packet
from simulator.profiles import Profile
from simulator.routing import Kind as RouteKind
from simulator.routing import Routes, is_multicast
from simulator.trace import Kind, Tracer

__all__ = ["MESSAGES_KEPT", "Node"]

MESSAGES_KEPT = 10_000
"""Kernel messages that are kept; older ones go."""


class Node:
    """One machine: its state, and the few things every stage does with a packet."""

    __slots__ = (
        "broadcasts",
        "clock",
        "delivered",
        "history",
        "interfaces",
        "ledger",
        "loopback",
        "messages",
        "next_identification",
        "own",
        "privileged",
        "profile",
        "routes",
        "tracer",
    )

    loopback: Interface

    def __init__(self, profile: Profile, clock: Clock) -> None:
        self.profile = profile
        self.clock = clock
        self.ledger = Ledger()
        self.tracer = Tracer(clock)
        self.routes = Routes()
        self.interfaces: dict[str, Interface] = {}
        self.own: dict[int, Interface] = {}
        """This host's addresses and the interface each belongs to."""
        self.broadcasts: dict[int, Interface] = {}
        """The broadcast addresses of its interfaces."""
        self.history: list[Act] = []
        """What was done to it since its birth, oldest first."""
        self.delivered: list[bytes] = []
        """Datagrams handed to this host's own protocols, oldest first."""
        self.messages: deque[str] = deque(maxlen=MESSAGES_KEPT)
        """Kernel messages, oldest first."""
        self.privileged = True
        """Whether the programs of this host are root's: may make divert sockets (bsd.md S-4, B-5)."""
        self.next_identification = profile.first_identification

    def interface(self, interface: str | Interface) -> Interface:
        """One of this machine's interfaces, or the one of that name.  :raises ValueError: for a name that none has."""
        if isinstance(interface, Interface):
            return interface
        try:
            return self.interfaces[interface]
        except KeyError:
            raise ValueError(f"no such interface: {interface!r}") from None

    def identification(self) -> int:
        """The next IP id of the global counter (linux.md O4)."""
        identification = self.next_identification
        self.next_identification = identification + 1 & 0xFFFF
        return identification

    def source_towards(self, destination: int) -> int:
        """The address this host sends from when nobody chose one; 0 without a route or without an address."""
        route = self.routes.lookup(destination)
        if route is None:
            return 0
        if route.kind is RouteKind.LOCAL:
            return destination
        near = destination if route.gateway is None else route.gateway
        addresses = route.interface.addresses
        fitting = (each for each in addresses if each.reaches(near))
        chosen = next(fitting, addresses[0] if addresses else None)
        return chosen.host if chosen is not None else 0

    def route_address(self, destination: int) -> int:
        """The interface address that the route brings along: as :meth:`source_towards`, but the loopback address for
        this host's own addresses, whose routes lead there (BSD); 0 without a route or without an address."""
        route = self.routes.lookup(destination)
        if route is not None and route.kind is RouteKind.LOCAL:
            return self.loopback.address or 0
        return self.source_towards(destination)

    def generate(self, packet: Packet, detail: str) -> None:
        """A packet comes into being here that nobody sent: a copy, a further fragment."""
        self.ledger.generated += 1
        if self.tracer.listening:
            self.tracer.record(Kind.GENERATED, packet, detail=detail)

    def pieces(self, packet: Packet, octets: Iterable[bytes]) -> Iterator[Packet]:
        """The fragments of a packet in the order in which they leave, each counted when its turn comes: the first goes
        on as the packet itself, the others are new."""
        for index, part in enumerate(octets):
            piece = packet.with_octets(part)
            if index:
                self.generate(piece, f"fragment of #{packet.number}")
            else:
                piece.number = packet.number
            yield piece

    def drop(self, packet: Packet, reason: Reason) -> int:
        """The packet ends here.  Returns 0: whoever sent it is told nothing."""
        self.ledger.dropped[reason] += 1
        if self.tracer.listening:
            self.tracer.record(Kind.DROPPED, packet, reason=reason)
        return 0

    def deliver(self, packet: Packet) -> None:
        """The packet ends here: it is handed to this host's own protocols."""
        self.ledger.delivered += 1
        self.delivered.append(packet.octets)
        if self.tracer.listening:
            self.tracer.record(Kind.DELIVERED, packet, detail=_to_whom(packet))

    def transmit(self, packet: Packet, interface: Interface, next_hop: int | None = None) -> int:
        """Hand the packet to the interface's link; 0, or the errno a local sender gets.

        It counts as transmitted before the link has it, because what the far end answers may arrive before the link
        returns.  A link that refuses it makes it a dropped one after all.
        """
        if not interface.up:
            self.drop(packet, Reason.INTERFACE_DOWN)
            return errno.ENETDOWN
        self.ledger.transmitted += 1
        if self.tracer.listening:
            address = dotted(next_hop) if next_hop is not None else None
            detail = _to_whom(packet)
            self.tracer.record(Kind.TRANSMITTED, packet, interface=interface.name, address=address, detail=detail)
        if interface.taps:
            interface.show(packet.octets, outgoing=True)
        try:
            interface.transmit(packet.octets)
        except OSError:
            self.ledger.transmitted -= 1
            self.drop(packet, Reason.LINK_FAILED)
            return errno.ENOBUFS
        return 0

    def loop(self, packet: Packet) -> int:
        """What was written straight to the loopback interface has left this host, and comes in again."""
        interface = self.loopback
        self.ledger.transmitted += 1
        if self.tracer.listening:
            self.tracer.record(Kind.TRANSMITTED, packet, interface=interface.name)
        if interface.taps and self.profile.tap_sees_loopback_twice:
            interface.show(packet.octets, outgoing=True)
        interface.receive(packet.octets)
        return 0


def _to_whom(packet: Packet) -> str | None:
    """For the trace: whether the link says, or is told, that a packet is for many."""
    if not packet.link_broadcast:
        return None
    return "multicast" if is_multicast(packet.destination) else "broadcast"
