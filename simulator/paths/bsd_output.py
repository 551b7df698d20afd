"""The way out of a BSD: ip_output and what it calls (bsd.md H-5, H-6, F-9, W-13 to W-17).

    source, route and interface -> multicast, broadcast -> ipfw OUT -> 127/8 test -> checksum -> fragments -> interface

What goes to lo0 comes back: it waits in :attr:`Output.returning` for its turn in ip_input.  All stages return the errno
that a sender gets, 0 for none.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable

from rules.addresses import mask_of
from rules.fields import DONT_FRAGMENT, TCP
from simulator import fragments
from simulator.fragments import fragment
from simulator.interfaces import Interface
from simulator.ledger import Reason
from simulator.node import Node
from simulator.outgoing import Outgoing
from simulator.packet import Packet
from simulator.paths.bsd_counters import IpCounters
from simulator.paths.bsd_divert import Direction
from simulator.profiles import BsdProfile
from simulator.routing import Kind as RouteKind
from simulator.routing import Route, is_loopback, is_multicast
from simulator.trace import Kind

__all__ = ["LIMITED_BROADCAST", "Output"]

LIMITED_BROADCAST = 0xFFFFFFFF

Inspect = Callable[[Packet, Direction], Packet | int]
"""A pass: :meth:`simulator.paths.bsd_firewall.Firewall.inspect`."""


class Output:
    """Sends packets.  Whoever puts the path together sets :attr:`inspect` and :attr:`deliver`."""

    inspect: Inspect
    """The out pass."""
    deliver: Callable[[Packet], object]
    """Hands a packet to this host's own protocols: a fwd rule sends it there."""

    def __init__(self, node: Node, profile: BsdProfile, counters: IpCounters) -> None:
        self.node = node
        self.profile = profile
        self.counters = counters
        self.returning: deque[tuple[Packet, bool]] = deque()
        """What waits for ip_input, and whether its header checksum is vouched for."""
        self._tracer = node.tracer
        self._drop = node.drop
        self._own = node.own
        self._lookup = node.routes.lookup

    def identification(self, field: int) -> int:
        """The next IP id; none is needed where nobody may fragment (RFC 6864)."""
        if field & DONT_FRAGMENT and self.profile.identifies_only_fragmentable:
            return 0
        return self.node.identification()

    def send(self, datagram: Outgoing, *, skip_firewall: bool = False) -> int:
        """A datagram that this host's own protocols make.  ``skip_firewall``: it meets no out pass (H-9)."""
        destination = datagram.destination
        sourceless = datagram.by_program and not datagram.source
        if sourceless and self._lookup(destination) is None and not is_multicast(destination):
            return errno.ENETUNREACH  # no source address to be had (in_pcbladdr)
        if datagram.too_long:
            return errno.EMSGSIZE
        identification = self.identification(datagram.flags)
        packet = datagram.build(self.node, source=datagram.source, identification=identification)
        packet.clear_checksum()
        self.counters.localout += 1
        return self.output(packet, skip_firewall=skip_firewall, allow_broadcast=datagram.may_broadcast)

    def send_reset(self, source: int, destination: int, segment: bytes) -> None:
        """A TCP reset of ipfw's own, which no pass looks at (H-9)."""
        profile = self.profile
        ttl, tos = profile.default_ttl, profile.reset_tos
        self.send(Outgoing(TCP, destination, segment, ttl, source=source, tos=tos), skip_firewall=True)

    def output(
        self,
        packet: Packet,
        *,
        forwarding: bool = False,
        dont_route: bool = False,
        skip_firewall: bool = False,
        allow_broadcast: bool = False,
    ) -> int:
        """Route and interface, source address, multicast and broadcast; then the out pass (H-5)."""
        if dont_route:
            route = self._attached(packet.destination)
            packet.set_ttl(1)
        else:
            route = self._output_route(packet.destination if packet.next_hop is None else packet.next_hop)
        if route is None:
            self.counters.noroute += 1
            self._drop(packet, Reason.NO_ROUTE)
            return errno.ENETUNREACH if dont_route else errno.EHOSTUNREACH
        if self._tracer.listening:
            self._tracer.record(Kind.ROUTED, packet, detail=route.leads_to)
        interface = route.interface
        packet.leaving_by = interface
        if is_multicast(packet.destination):
            if not interface.is_broadcast_link:
                self.counters.noroute += 1
                self._drop(packet, Reason.NO_ROUTE)
                return errno.ENETUNREACH
            packet.set_ttl(1)
            self._fill_source(packet)
            packet.link_broadcast = True
            self._loop_copy(packet, interface)
        else:
            self._fill_source(packet)
            packet.link_broadcast = route.kind is RouteKind.BROADCAST
            if packet.link_broadcast:
                if not allow_broadcast:
                    self._drop(packet, Reason.DENIED)
                    return errno.EACCES
                if packet.total_length > interface.mtu:
                    self._drop(packet, Reason.NEEDS_FRAGMENTING)
                    return errno.EMSGSIZE
        if skip_firewall:
            return self._passed(packet, route, forwarding=forwarding)
        return self._inspected(packet, route, forwarding=forwarding)

    def resume(self, packet: Packet, route: Route) -> int:
        """What a pipe held in the out pass goes on there, and then the way that had been chosen for it."""
        return self._inspected(packet, route, forwarding=True)

    def _inspected(self, packet: Packet, route: Route, *, forwarding: bool) -> int:
        """The out pass, which may have given the packet another destination."""
        packet.route = route
        destination = packet.destination
        passed = self.inspect(packet, "out")
        if isinstance(passed, int):
            return passed
        if passed.destination != destination:
            return self._elsewhere(passed, forwarding=forwarding)
        return self._passed(passed, route, forwarding=forwarding)

    def _passed(self, packet: Packet, route: Route, *, forwarding: bool) -> int:
        """The out pass let it through."""
        if route.kind is RouteKind.REJECT or route.kind is RouteKind.BLACKHOLE:
            return self._dead_end(packet, route, forwarding=forwarding)
        return self._after_firewall(packet, route)

    def _elsewhere(self, packet: Packet, *, forwarding: bool) -> int:
        """nat gave it another destination: it is for this host now, or is routed anew and meets no further pass
        (ip_output)."""
        packet.leaving_by = None
        if packet.destination in self._own:
            packet.received_on = packet.received_on or self.node.loopback
            packet.fix_checksum()
            self.deliver(packet)
            return 0
        return self.output(packet, forwarding=forwarding, skip_firewall=True)

    def _output_route(self, destination: int) -> Route | None:
        """By the table; datagrams to the host itself go to lo0, the limited broadcast is one where no gateway is."""
        route = self._lookup(destination)
        if route is None:
            return None
        if route.kind is RouteKind.LOCAL:
            return Route(destination, 32, self.node.loopback, kind=RouteKind.LOCAL, connected=True)
        if destination == LIMITED_BROADCAST and route.gateway is None and route.interface.is_broadcast_link:
            return Route(destination, 32, route.interface, kind=RouteKind.BROADCAST)
        return route

    def _attached(self, destination: int) -> Route | None:
        """The interface on whose network the destination is, whatever the routes say (SO_DONTROUTE, W-14)."""
        for interface in self.node.interfaces.values():
            for address in interface.addresses:
                if destination == address.peer or destination & mask_of(address.length) == address.network:
                    to_all = destination == address.broadcast
                    kind = RouteKind.BROADCAST if to_all else RouteKind.UNICAST
                    return Route(destination, 32, interface, kind=kind, connected=True)
        return None

    def _dead_end(self, packet: Packet, route: Route, *, forwarding: bool) -> int:
        """A reject or blackhole route leads to lo0, which refuses the packet, or (13 and later, for a sender of this
        host's own) gives it back as received, to be refused when it is forwarded (divert-observed.md W)."""
        profile = self.profile
        if not forwarding and not profile.lo0_refuses:
            packet.fix_checksum()
            self._return_by_lo0(packet, self.node.loopback)
            return 0
        self._drop(packet, Reason.UNREACHABLE_ROUTE)
        return 0 if route.kind is RouteKind.BLACKHOLE and not profile.lo0_refuses else errno.EHOSTUNREACH

    def _fill_source(self, packet: Packet) -> None:
        if not packet.source:
            packet.set_source(self.node.route_address(packet.destination))

    def _loop_copy(self, packet: Packet, interface: Interface) -> None:
        """A multicast datagram comes back to the host on the sending interface (W-17 as observed)."""
        twin = Packet(packet.octets, interface)
        twin.link_broadcast = True
        twin.fix_checksum()
        self.node.generate(twin, f"copy of #{packet.number} looped back")
        self.returning.append((twin, False))

    def other_hop(self, packet: Packet, route: Route) -> Route:
        """The route to the next hop that a fwd rule of the out pass chose (E-35)."""
        if packet.next_hop is None:
            return route
        chosen = self._output_route(packet.next_hop)
        if chosen is None or chosen is route:
            return route
        return Route(packet.destination, 32, chosen.interface, gateway=chosen.gateway or packet.next_hop)

    def _after_firewall(self, packet: Packet, route: Route) -> int:
        """After the out pass: 127/8 test, header checksum, fragments, the driver (H-5)."""
        if packet.next_hop is not None:
            if packet.next_hop in self._own:
                packet.received_on = self.node.loopback
                packet.leaving_by = None
                packet.fix_checksum()
                self.deliver(packet)
                return 0
            route = self.other_hop(packet, route)
        interface = route.interface
        if (is_loopback(packet.source) or is_loopback(packet.destination)) and not interface.is_loopback:
            self._drop(packet, Reason.BAD_ADDRESS)
            return errno.EADDRNOTAVAIL
        if is_multicast(packet.destination) and (packet.ttl == 0 or interface.is_loopback):
            return self._drop(packet, Reason.TTL_EXCEEDED)
        if packet.total_length <= interface.mtu:
            packet.fix_checksum()
            return self.hand_over(packet, route)
        if packet.fragment & DONT_FRAGMENT:
            self.counters.cantfrag += 1
            self._drop(packet, Reason.NEEDS_FRAGMENTING)
            return errno.EMSGSIZE
        return self.cut(packet, route)

    def cut(self, packet: Packet, route: Route) -> int:
        """Cut to the MTU (F-9): the first fragment goes on as the datagram itself, the others are new.  What comes
        after one that the interface did not take never gets there."""
        try:
            pieces = fragment(packet.octets, route.interface.mtu, style=fragments.BSD)
        except ValueError:
            self._drop(packet, Reason.NEEDS_FRAGMENTING)
            return errno.EMSGSIZE
        self.counters.ofragments += len(pieces)
        for piece in self.node.pieces(packet, pieces):
            result = self.hand_over(piece, route)
            if result:
                return result
        self.counters.fragmented += 1
        return 0

    def hand_over(self, packet: Packet, route: Route) -> int:
        """To the interface; lo0 gives it back as received."""
        interface = route.interface
        if interface is self.node.loopback:
            self._return_by_lo0(packet, interface)
            return 0
        next_hop = route.gateway if route.gateway is not None else packet.destination
        if next_hop != packet.destination and is_multicast(packet.destination):
            next_hop = next_hop if self.profile.multicast_to_gateway else packet.destination
        return self.node.transmit(packet, interface, next_hop)

    def _return_by_lo0(self, packet: Packet, interface: Interface) -> None:
        """The same packet, come in; with offload nobody computes its header checksum, and nobody tests it (R-12)."""
        returning = Packet(packet.octets, interface)
        returning.number = packet.number
        returning.link_broadcast = packet.link_broadcast
        offload = self.profile.loopback_offload
        if offload:
            returning.clear_checksum()
        if interface.taps:
            interface.show(returning.octets)
        self.returning.append((returning, offload))
