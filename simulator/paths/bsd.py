"""The IPv4 path of FreeBSD and DragonFly, with ipfw's two passes (bsd.md section 8, H-1 to H-10; sections 5 to 7).

    wire -> header tests -> ipfw IN -> options -> for this host? -+-> reassembly -> this host's protocols
                                                                  |
                                                                  +-> forward: TTL -> routing -> ipfw OUT -> wire

    this host's protocols -> routing -> ipfw OUT -> checksum -> fragments -> wire (or lo0, and in again)

A pass is one search of the rule list (:mod:`simulator.paths.bsd_firewall`).  A divert rule ends it: the packet goes to
the socket (:mod:`simulator.paths.bsd_divert`), and what a program writes back enters the same pass again behind the
rule whose number it carries as tag (X-1).  Stages stand below in the order in which a packet meets them, by the names
of the kernel's functions; all return the errno that a sender gets, 0 for none.

What comes back over lo0, and where a kernel queues it what a divert socket writes as incoming, waits in a queue until
the packet at hand is done with (W-18).
"""

from __future__ import annotations

import errno
from collections import deque

from rules.addresses import mask_of
from rules.fields import DONT_FRAGMENT, ICMP, TCP
from rules.ipfw import RuleSet
from simulator import fragments
from simulator.fragments import fragment
from simulator.host import Host
from simulator.icmp_errors import FRAGMENTATION_NEEDED, HOST_UNREACHABLE, REDIRECT_HOST, TTL_EXCEEDED
from simulator.interfaces import Interface
from simulator.ledger import Reason
from simulator.node import Node
from simulator.packet import MINIMUM_HEADER, Packet
from simulator.paths import bsd_options
from simulator.paths.bsd_counters import IpCounters, statistics
from simulator.paths.bsd_divert import FRAGMENT_BITS, Diversion
from simulator.paths.bsd_firewall import Firewall
from simulator.paths.bsd_icmp import BsdIcmp
from simulator.profiles import BsdProfile
from simulator.routing import Kind as RouteKind
from simulator.routing import Route, is_class_e, is_loopback, is_multicast
from simulator.sockets.divert import DivertPorts
from simulator.sockets.udp import UdpPorts
from simulator.trace import Kind
from simulator.wire import ipv4

__all__ = ["BsdPath"]

_LIMITED_BROADCAST = 0xFFFFFFFF
_LINK_LOCAL = 0xA9FE
"""169.254.0.0/16, which is never forwarded (RFC 3927)."""

_KEPT_FOR_ERRORS = 168
"""Octets of a datagram that the slow path keeps for an ICMP error: what fits into one mbuf with a packet header."""


class BsdPath:
    """One router's way of packets."""

    def __init__(self, node: Node, profile: BsdProfile, rules: RuleSet, ports: DivertPorts, udp: UdpPorts) -> None:
        self.node = node
        self.profile = profile
        self.rules = rules
        self.counters = IpCounters()
        self.icmp = BsdIcmp(node, profile, self.send)
        self.host = Host(node, self.send, self.icmp, udp)
        self.host.handlers[ICMP] = self.icmp.receive
        self.diversion = Diversion(node, profile, ports, self.counters)
        self.diversion.deliver = self.host.deliver
        self._inspect = Firewall(node, rules, self.diversion, self.icmp, self._send_reset).inspect
        self._ledger = node.ledger
        self._tracer = node.tracer
        self._drop = node.drop
        self._own = node.own
        self._lookup = node.routes.lookup
        self._queue: deque[tuple[Packet, bool]] = deque()
        self._draining = False

    def statistics(self) -> dict[str, int]:
        """The IP counters that are not zero, by the names of ``struct ipstat``."""
        return statistics(self.counters, self._ledger, self.diversion.reassembly)

    # == receiving (ip_input) ======================================================================================

    def receive(self, packet: Packet, *, link_broadcast: bool | None = None) -> int:
        """A datagram from an interface.  Without word from the link, broadcasts are told by their destination."""
        if link_broadcast is None:
            link_broadcast = self._is_for_many(packet.destination)
        packet.link_broadcast = link_broadcast
        self._ip_input(packet)
        if self._queue:
            self._drain()
        return 0

    def _is_for_many(self, destination: int) -> bool:
        if destination >= 0xE0000000:
            return is_multicast(destination) or destination == _LIMITED_BROADCAST
        route = self._lookup(destination)
        return route is not None and route.kind is RouteKind.BROADCAST

    def _later(self, packet: Packet, *, checked: bool = False) -> None:
        """Queued for ip_input: its turn comes when the packet at hand is done with."""
        self._queue.append((packet, checked))

    def _drain(self) -> None:
        if self._draining:
            return
        self._draining = True
        try:
            while self._queue:
                packet, checked = self._queue.popleft()
                self._ip_input(packet, checked=checked)
        finally:
            self._draining = False

    def _ip_input(self, packet: Packet, *, checked: bool = False) -> None:
        """Header tests in the kernel's order (H-2), then the fast path, or the in pass and the decision.

        ``checked``: the interface vouches for the header checksum.
        """
        self.counters.entered += 1
        octets = packet.octets
        size = len(octets)
        header_length = packet.header_length
        if size < 20 or packet.version != 4 or header_length < 20 or size < header_length:
            self._drop(packet, _header_fault(packet))
            return
        interface = packet.received_on
        destination = packet.destination
        if destination >> 24 == 127 or packet.source >> 24 == 127:
            if interface is not None and not interface.is_loopback:
                self._drop(packet, Reason.BAD_ADDRESS)
                return
        if int.from_bytes(octets[:header_length], "big") % 0xFFFF and not checked:
            self._drop(packet, Reason.BAD_CHECKSUM)
            return
        if size != packet.total_length:
            if packet.total_length < header_length:
                self._drop(packet, Reason.BAD_LENGTH)
                return
            if size < packet.total_length:
                self._drop(packet, Reason.TRUNCATED)
                return
            packet.trim()
        profile = self.profile
        if header_length == 20 and profile.fast_forward and profile.forwarding and destination not in self._own:
            if not packet.link_broadcast and self._may_try(packet):
                self._ip_tryforward(packet)
                return
        passed = self._inspect(packet, "in")
        if passed.__class__ is not int:
            self._decide(passed)  # type: ignore[arg-type]

    def _decide(self, packet: Packet) -> None:
        """After the in pass: options, then this host, many, or another host (H-2)."""
        if packet.next_hop is not None:
            if packet.next_hop in self._own:
                self._ours(packet)
            else:
                self._ip_forward(packet)
            return
        if packet.header_length > MINIMUM_HEADER:
            fault = bsd_options.process(packet, self.node)
            if fault is not None:
                self._bad_options(packet, fault)
                return
        destination = packet.destination
        if destination in self._own or self._is_broadcast_of(packet.received_on, destination):
            self._ours(packet)
        elif destination >> 16 == _LINK_LOCAL:
            self.counters.cantforward += 1
            self._drop(packet, Reason.MARTIAN_DESTINATION)
        elif is_multicast(destination) or destination == _LIMITED_BROADCAST or destination == 0:
            self._ours(packet)
        elif not self.profile.forwarding:
            self.counters.cantforward += 1
            self._drop(packet, Reason.FORWARDING_OFF)
        else:
            self._ip_forward(packet)

    def _is_broadcast_of(self, interface: Interface | None, destination: int) -> bool:
        """Only the receiving interface's broadcast addresses count; without one (W-10), any interface's."""
        if interface is None:
            return destination in self.node.broadcasts
        return any(address.broadcast == destination for address in interface.addresses)

    def _bad_options(self, packet: Packet, fault: bsd_options.Fault) -> None:
        self.counters.badoptions += 1
        if fault.message is not None:
            self.node.messages.append(fault.message)
        self.icmp.report(packet, fault.error, fault.rest)
        self._drop(packet, Reason.BAD_OPTIONS)

    def _ours(self, packet: Packet) -> None:
        """Reassembly, then this host's protocols.  Where the first fragment's rule counts, it may yet divert (F-7)."""
        if packet.fragment & FRAGMENT_BITS:
            whole = self.diversion.reassemble(packet)
            if whole is None:
                return
            packet = whole
            if packet.diverted_by is not None:
                self.diversion.to_socket(packet, "in")
                return
        self.host.deliver(packet)

    # == the fast path (ip_tryforward) =============================================================================

    def _may_try(self, packet: Packet) -> bool:
        """H-4: unicast from somebody to somebody, not from the host itself by way of lo0."""
        source, destination = packet.source, packet.destination
        return not (
            packet.received_on is None
            or packet.received_on.is_loopback
            or destination == 0
            or source == 0
            or is_multicast(destination)
            or is_multicast(source)
            or destination == _LIMITED_BROADCAST
            or source == _LIMITED_BROADCAST
            or destination >> 16 == _LINK_LOCAL
            or source >> 16 == _LINK_LOCAL
        )

    def _ip_tryforward(self, packet: Packet) -> None:
        """In pass, TTL with the checksum kept right, route, out pass, and away (H-4)."""
        counters = self.counters
        counters.tried += 1
        passed = self._inspect(packet, "in")
        if passed.__class__ is int:
            return
        packet = passed  # type: ignore[assignment]
        if packet.next_hop is not None and packet.next_hop in self._own:
            self._ours(packet)
            return
        if packet.ttl <= 1:
            self.icmp.report(packet, TTL_EXCEEDED)
            self._drop(packet, Reason.TTL_EXCEEDED)
            return
        packet.lower_ttl()
        route = self._lookup(packet.destination if packet.next_hop is None else packet.next_hop)
        if route is None:
            counters.noroute += 1
            counters.cantforward += 1
            self.icmp.report(packet, HOST_UNREACHABLE)
            self._drop(packet, Reason.NO_ROUTE)
            return
        if route.kind is RouteKind.BLACKHOLE:
            self._drop(packet, Reason.UNREACHABLE_ROUTE)
            return
        packet.leaving_by = route.interface
        kept = None
        if self.profile.fast_redirects and self.profile.redirects and route.interface is packet.received_on:
            kept = packet.copy()
        passed = self._inspect(packet, "out")
        if passed.__class__ is int:
            return
        sent = self._tryforward_send(passed, route)  # type: ignore[arg-type]
        if sent and kept is not None:
            gateway = self._better_gateway(kept, route)  # 0 is told, too
            self.icmp.report(kept, REDIRECT_HOST, gateway, held=_KEPT_FOR_ERRORS)

    def _tryforward_send(self, packet: Packet, route: Route) -> bool:
        """The packet fits, or is cut; if it may not be, its sender is told.  Whether it came to the interface."""
        route = self._other_hop(packet, route)
        mtu = route.interface.mtu
        if route.kind is RouteKind.REJECT:
            if not self.profile.lo0_refuses:
                self.icmp.report(packet, HOST_UNREACHABLE)
            self._drop(packet, Reason.UNREACHABLE_ROUTE)
            return False
        if packet.total_length <= mtu:
            failed = self._if_output(packet, route)
        elif packet.fragment & DONT_FRAGMENT:
            self.counters.cantfrag += 1
            self.icmp.report(packet, FRAGMENTATION_NEEDED, mtu)
            self._drop(packet, Reason.NEEDS_FRAGMENTING)
            return False
        else:
            failed = self._ip_fragment(packet, route)
        if not failed:
            self.counters.fastforward += 1
        return True

    def _better_gateway(self, packet: Packet, route: Route) -> int:
        """The address for a redirect: the sender shares a link with the next hop, which no default route gives; or 0."""
        source = packet.source
        if route.length and any(source & mask_of(each.length) == each.network for each in route.interface.addresses):
            return packet.destination if route.gateway is None else route.gateway
        return 0

    # == the slow path (ip_forward) ================================================================================

    def _ip_forward(self, packet: Packet) -> None:
        """TTL, then output; what goes wrong there is told to the sender, but not what the firewall denied (H-3)."""
        counters = self.counters
        destination = packet.destination
        if (
            packet.link_broadcast
            or is_class_e(destination)
            or is_multicast(destination)
            or destination >> 24 == 0
            or is_loopback(destination)
        ):
            counters.cantforward += 1
            self._drop(packet, Reason.NOT_FOR_US if packet.link_broadcast else Reason.MARTIAN_DESTINATION)
            return
        if packet.ttl <= 1:
            self.icmp.report(packet, TTL_EXCEEDED)
            self._drop(packet, Reason.TTL_EXCEEDED)
            return
        kept = packet.copy()
        packet.lower_ttl_only()
        route = self._lookup(destination if packet.next_hop is None else packet.next_hop)
        redirect = 0
        if route is not None and packet.next_hop is None and route.interface is packet.received_on:
            redirect = self._better_gateway(packet, route) if self.profile.redirects else 0
        error = self._ip_output(packet, forwarding=True)
        if not error:
            counters.forward += 1
            if redirect:
                counters.redirectsent += self.icmp.report(kept, REDIRECT_HOST, redirect, held=_KEPT_FOR_ERRORS)
            return
        counters.cantforward += 1
        if error == errno.EMSGSIZE:
            counters.cantfrag += 1
            mtu = route.interface.mtu if route is not None else 0
            self.icmp.report(kept, FRAGMENTATION_NEEDED, mtu, held=_KEPT_FOR_ERRORS)
        elif error not in (errno.EACCES, errno.ENOBUFS):
            self.icmp.report(kept, HOST_UNREACHABLE, held=_KEPT_FOR_ERRORS)

    # == output (ip_output) ========================================================================================

    def originate(self, packet: Packet) -> int:
        """A datagram, header included, that a program of this host sends through a raw socket."""
        if not packet.identification:
            packet.set_identification(self._identification(packet.fragment))
        self.counters.rawout += 1
        self.counters.localout += self.profile.counts_raw_as_localout
        result = self._ip_output(packet, allow_broadcast=True)
        if self._queue:
            self._drain()
        return result

    def _identification(self, field: int) -> int:
        """The next IP id; none is needed where nobody may fragment (RFC 6864)."""
        if field & DONT_FRAGMENT and self.profile.identifies_only_fragmentable:
            return 0
        return self.node.identification()

    def send(
        self,
        protocol: int,
        destination: int,
        payload: bytes,
        *,
        source: int = 0,
        ttl: int,
        tos: int = 0,
        options: bytes = b"",
        flags: int = 0,
        by_program: bool = False,
        skip_firewall: bool = False,
    ) -> int:
        """A datagram that this host's own protocols make (:class:`simulator.icmp_errors.Send`).

        ``flags`` of the fragment field; ``skip_firewall``: it meets no out pass (H-9).
        """
        if len(payload) + MINIMUM_HEADER + len(options) > ipv4.MAXIMUM_LENGTH:
            return errno.EMSGSIZE
        header = ipv4.Header(
            source=source,
            destination=destination,
            protocol=protocol,
            ttl=ttl,
            tos=tos,
            options=options,
            fragment=flags,
            identification=self._identification(flags),
        )
        packet = Packet(header.emit(payload))
        packet.clear_checksum()
        if by_program:
            self._ledger.originated += 1
        else:
            self._ledger.generated += 1
        if self._tracer.listening:
            self._tracer.record(Kind.ORIGINATED if by_program else Kind.GENERATED, packet)
        self.counters.localout += 1
        result = self._ip_output(packet, skip_firewall=skip_firewall, allow_broadcast=by_program)
        if by_program and self._queue:
            self._drain()
        return result

    def _send_reset(self, source: int, destination: int, segment: bytes) -> None:
        self.send(TCP, destination, segment, source=source, ttl=self.profile.default_ttl, skip_firewall=True)

    def _ip_output(
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
            self._ip_mloopback(packet, interface)
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
        if not skip_firewall:
            passed = self._inspect(packet, "out")
            if isinstance(passed, int):
                return passed
            packet = passed
        if route.kind is RouteKind.REJECT or route.kind is RouteKind.BLACKHOLE:
            return self._dead_end(packet, route, forwarding=forwarding)
        return self._ip_output_send(packet, route)

    def _output_route(self, destination: int) -> Route | None:
        """By the table; datagrams to the host itself go to lo0, the limited broadcast is one where no gateway is."""
        route = self._lookup(destination)
        if route is None:
            return None
        if route.kind is RouteKind.LOCAL:
            return Route(destination, 32, self.node.loopback, kind=RouteKind.LOCAL, connected=True)
        if destination == _LIMITED_BROADCAST and route.gateway is None and route.interface.is_broadcast_link:
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

    def _ip_mloopback(self, packet: Packet, interface: Interface) -> None:
        """A multicast datagram comes back to the host on the sending interface (W-17 as observed)."""
        twin = Packet(packet.octets, interface)
        twin.link_broadcast = True
        twin.fix_checksum()
        self._ledger.generated += 1
        if self._tracer.listening:
            self._tracer.record(Kind.GENERATED, twin, detail=f"copy of #{packet.number} looped back")
        self._later(twin)

    def _other_hop(self, packet: Packet, route: Route) -> Route:
        """The route to the next hop that a fwd rule of the out pass chose (E-35)."""
        if packet.next_hop is None:
            return route
        chosen = self._output_route(packet.next_hop)
        if chosen is None or chosen is route:
            return route
        return Route(packet.destination, 32, chosen.interface, gateway=chosen.gateway or packet.next_hop)

    def _ip_output_send(self, packet: Packet, route: Route) -> int:
        """After the out pass: 127/8 test, header checksum, fragments, the driver (H-5)."""
        if packet.next_hop is not None:
            if packet.next_hop in self._own:
                packet.received_on = self.node.loopback
                packet.leaving_by = None
                packet.fix_checksum()
                self._ours(packet)
                return 0
            route = self._other_hop(packet, route)
        interface = route.interface
        if (is_loopback(packet.source) or is_loopback(packet.destination)) and not interface.is_loopback:
            self._drop(packet, Reason.BAD_ADDRESS)
            return errno.EADDRNOTAVAIL
        if is_multicast(packet.destination) and (packet.ttl == 0 or interface.is_loopback):
            return self._drop(packet, Reason.TTL_EXCEEDED)
        if packet.total_length <= interface.mtu:
            packet.fix_checksum()
            return self._if_output(packet, route)
        if packet.fragment & DONT_FRAGMENT:
            self.counters.cantfrag += 1
            self._drop(packet, Reason.NEEDS_FRAGMENTING)
            return errno.EMSGSIZE
        return self._ip_fragment(packet, route)

    def _ip_fragment(self, packet: Packet, route: Route) -> int:
        """Cut to the MTU (F-9)."""
        try:
            pieces = fragment(packet.octets, route.interface.mtu, style=fragments.BSD)
        except ValueError:
            self._drop(packet, Reason.NEEDS_FRAGMENTING)
            return errno.EMSGSIZE
        self._ledger.generated += len(pieces) - 1
        self.counters.ofragments += len(pieces)
        result = 0
        for piece in pieces:
            result = self._if_output(packet.with_octets(piece), route) or result
        if not result:
            self.counters.fragmented += 1
        return result

    def _if_output(self, packet: Packet, route: Route) -> int:
        """To the interface; lo0 gives it back as received."""
        interface = route.interface
        if interface.is_loopback:
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
        self._later(returning, checked=offload)

    # == what a divert socket writes ===============================================================================

    def inject_in(self, packet: Packet) -> int:
        """Incoming: ip_input from its start.  What becomes of it is not told (W-18)."""
        if self.profile.restores_broadcast:
            packet.link_broadcast = _to_many(packet.received_on, packet.destination)
        self._later(packet)
        self._drain()
        return 0

    def too_small(self) -> None:
        """A write with fewer octets than a header has was refused (W-4)."""
        self.counters.toosmall += 1

    def inject_out(self, packet: Packet, dont_route: bool) -> int:
        """Outgoing: ip_output, whose errors are those of the write (W-13 to W-17)."""
        self.counters.rawout += 1
        self.counters.localout += self.profile.counts_raw_as_localout
        result = self._ip_output(packet, dont_route=dont_route, allow_broadcast=True)
        if self._queue:
            self._drain()
        return result


def _to_many(interface: Interface | None, destination: int) -> bool:
    """Multicast, or a broadcast address of that interface, the old one with host part 0 included (in_broadcast)."""
    if is_multicast(destination):
        return True
    if interface is None or not interface.is_broadcast_link:
        return False
    if destination in (0, _LIMITED_BROADCAST):
        return True
    return any(
        destination in (address.broadcast, address.network) and address.length < 31 for address in interface.addresses
    )


def _header_fault(packet: Packet) -> Reason:
    """Which header test a datagram fails, in the kernel's order (H-2)."""
    if len(packet.octets) < 20:
        return Reason.TOO_SHORT
    if packet.version == 6:
        return Reason.NOT_IPV4
    return Reason.BAD_VERSION if packet.version != 4 else Reason.BAD_HEADER_LENGTH
