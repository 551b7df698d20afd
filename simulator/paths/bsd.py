"""The IPv4 path of FreeBSD and DragonFly, with ipfw's two passes (bsd.md section 8, H-1 to H-10; sections 5 to 7).

    wire -> header tests -> ipfw IN -> options -> for this host? -+-> reassembly -> this host's protocols
                                                                  |
                                                                  +-> forward: TTL -> routing -> ipfw OUT -> wire

The way out, for what this host sends and for the slow path of forwarding, is :mod:`simulator.paths.bsd_output`.  A pass
is one search of the rule list (:mod:`simulator.paths.bsd_firewall`).  A divert rule ends it: the packet goes to the
socket (:mod:`simulator.paths.bsd_divert`), and what a program writes back enters the same pass again behind the rule
whose number it carries as tag (X-1).  Stages stand below in the order in which a packet meets them, by the names of
the kernel's functions.

What comes back over lo0, and what a divert socket writes as incoming, waits in a queue until the packet at hand is
done with (W-18).
"""

from __future__ import annotations

import errno

from rules.addresses import mask_of
from rules.fields import DONT_FRAGMENT, ICMP
from rules.ipfw import Owner, RuleSet
from simulator.dummynet.held import Held
from simulator.host import Host
from simulator.icmp_errors import (
    FRAGMENTATION_NEEDED,
    HOST_UNREACHABLE,
    PROTOCOL_UNREACHABLE,
    REDIRECT_HOST,
    TTL_EXCEEDED,
)
from simulator.interfaces import Interface
from simulator.ledger import Reason
from simulator.node import Node
from simulator.outgoing import Outgoing
from simulator.packet import MINIMUM_HEADER, Packet
from simulator.paths import bsd_options
from simulator.paths.bsd_counters import IpCounters, divert_statistics, statistics
from simulator.paths.bsd_divert import FRAGMENT_BITS, Diversion
from simulator.paths.bsd_firewall import Firewall
from simulator.paths.bsd_icmp import BsdIcmp
from simulator.paths.bsd_keepalives import Keepalives
from simulator.paths.bsd_nat import Nat
from simulator.paths.bsd_output import LIMITED_BROADCAST, Output
from simulator.paths.bsd_pipes import Pipes
from simulator.profiles import BsdProfile
from simulator.routing import Kind as RouteKind
from simulator.routing import Route, is_class_e, is_loopback, is_multicast
from simulator.sockets.divert import DivertPorts
from simulator.sockets.udp import UdpPorts
from simulator.trace import Kind

__all__ = ["BsdPath"]

_MULTICAST, _EXPERIMENTAL = 0xE0000000, 0xF0000000
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
        self._output = output = Output(node, profile, self.counters)
        self.icmp = BsdIcmp(node, profile, output.send)
        self.host = Host(node, self.send, self.icmp, udp)
        self.host.handlers[ICMP] = self.icmp.receive
        self.host.copies_to_raw = False
        self.host.unserved = self._unserved
        self.icmp.unanswered = self.host.raw.deliver
        self.diversion = Diversion(node, profile, ports, self.counters)
        self.diversion.deliver = self.host.deliver
        self._keepalives = Keepalives(node.clock, profile, rules, self._probe)
        pipes = Pipes(node, profile, rules)
        pipes.reenter = self._reenter
        nat = Nat(node, rules)
        self._inspect = Firewall(node, rules, self.diversion, pipes, self.icmp, nat, output.send_reset).inspect
        output.inspect = self._inspect
        output.deliver = self._ours
        self._ledger = node.ledger
        self._tracer = node.tracer
        self._drop = node.drop
        self._own = node.own
        self._broadcasts = node.broadcasts
        self._lookup = node.routes.lookup
        self._queue = output.returning
        self._draining = False

    def statistics(self) -> dict[str, int]:
        """The IP counters that are not zero, by the names of ``struct ipstat``."""
        return statistics(self.counters, self._ledger, self.diversion.reassembly)

    def divert_statistics(self) -> dict[str, int]:
        """The counters of divert sockets: what ``netstat -s -p divert`` shows on FreeBSD 14."""
        return divert_statistics(self.counters, self._ledger)

    # == receiving (ip_input) ======================================================================================

    def receive(self, packet: Packet, *, link_broadcast: bool | None = None) -> int:
        """A datagram from an interface.  Without word from the link, broadcasts are told by their destination."""
        if link_broadcast is None:
            destination = packet.destination
            suspect = destination >= _MULTICAST or destination in self._broadcasts
            link_broadcast = suspect and _to_many(packet.received_on, destination)
        packet.link_broadcast = link_broadcast
        self._ip_input(packet)
        if self._queue:
            self._drain()
        return 0

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
        loops = destination >> 24 == 127 or packet.source >> 24 == 127
        if loops and interface is not None and not interface.is_loopback:
            self._drop(packet, Reason.BAD_ADDRESS)
            return
        if not destination and self.profile.refuses_nowhere:
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
        fast = header_length == 20 and profile.fast_forward and profile.forwarding and destination not in self._own
        if fast and not packet.link_broadcast and self._may_try(packet):
            self._ip_tryforward(packet)
            return
        passed = self._inspect(packet, "in")
        if not isinstance(passed, int):
            self._decide(passed)

    def _reenter(self, packet: Packet, held: Held) -> None:
        """What a pipe or queue held goes on in its pass: where it was, or from the start of ip_input or ip_output."""
        remembers = self.profile.dummynet_remembers_route
        if held.direction == "in":
            packet.leaving_by = None
            if remembers:
                passed = self._inspect(packet, "in")
                if not isinstance(passed, int):
                    self._decide(passed)
            else:
                self._ip_input(packet, checked=True)
        elif remembers and held.route is not None:
            self._output.resume(packet, held.route)
        else:
            self._output.output(packet, forwarding=True)
        if self._queue:
            self._drain()

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
        elif is_multicast(destination) or destination == LIMITED_BROADCAST or destination == 0:
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

    def _unserved(self, packet: Packet) -> None:
        """A protocol that neither the kernel nor a raw socket has (rip_input)."""
        self.counters.unheard += 1
        if self.profile.answers_unserved_protocol:
            self.icmp.report(packet, PROTOCOL_UNREACHABLE)

    # == the fast path (ip_tryforward) =============================================================================

    def _may_try(self, packet: Packet) -> bool:
        """H-4: unicast from somebody to somebody, not from the host itself by way of lo0."""
        interface = packet.received_on
        if interface is None or interface is self.node.loopback:
            return False
        source, destination = packet.source, packet.destination
        if not (0 < destination < _MULTICAST or _EXPERIMENTAL <= destination < LIMITED_BROADCAST):
            return False
        if not (0 < source < _MULTICAST or _EXPERIMENTAL <= source < LIMITED_BROADCAST):
            return False
        return destination >> 16 != _LINK_LOCAL and source >> 16 != _LINK_LOCAL

    def _ip_tryforward(self, packet: Packet) -> None:
        """In pass, TTL with the checksum kept right, route, out pass, and away (H-4)."""
        counters = self.counters
        counters.tried += 1
        passed = self._inspect(packet, "in")
        if isinstance(passed, int):
            return
        packet = passed
        hop = packet.destination if packet.next_hop is None else packet.next_hop  # nat may have changed either
        if hop in self._own:
            self._ours(packet)
            return
        if packet.ttl <= 1:
            self.icmp.report(packet, TTL_EXCEEDED)
            self._drop(packet, Reason.TTL_EXCEEDED)
            return
        packet.lower_ttl()
        route = self._lookup(hop)
        if route is None:
            self._no_route(packet)
            return
        if route.kind is RouteKind.BLACKHOLE:
            self._drop(packet, Reason.BLACKHOLE_ROUTE)
            return
        if self._tracer.listening:
            self._tracer.record(Kind.ROUTED, packet, detail=route.leads_to)
        packet.leaving_by = route.interface
        packet.route = route
        octets = packet.octets
        redirected = route.interface is packet.received_on and self.profile.fast_redirects and self.profile.redirects
        destination = packet.destination
        passed = self._inspect(packet, "out")
        if isinstance(passed, int):
            return
        if passed.destination != destination:
            if passed.destination in self._own:
                passed.leaving_by = None
                self._ours(passed)
                return
            other = self._lookup(passed.destination)
            if other is None:
                self._no_route(passed)
                return
            route = other
        sent = self._tryforward_send(passed, route)
        if sent and redirected:
            kept = Packet(octets, packet.received_on)
            gateway = self._better_gateway(kept, route)  # 0 is told, too
            self.icmp.report(kept, REDIRECT_HOST, gateway, held=_KEPT_FOR_ERRORS)

    def _no_route(self, packet: Packet) -> None:
        self.counters.noroute += 1
        self.counters.cantforward += 1
        self.icmp.report(packet, HOST_UNREACHABLE)
        self._drop(packet, Reason.NO_ROUTE)

    def _tryforward_send(self, packet: Packet, route: Route) -> bool:
        """The packet fits, or is cut; if it may not be, its sender is told.  Whether it came to the interface."""
        route = self._output.other_hop(packet, route)
        mtu = route.interface.mtu
        if route.kind is RouteKind.REJECT:
            if not self.profile.lo0_refuses:
                self.icmp.report(packet, HOST_UNREACHABLE)
            self._drop(packet, Reason.UNREACHABLE_ROUTE)
            return False
        if packet.total_length <= mtu:
            failed = self._output.hand_over(packet, route)
        elif packet.fragment & DONT_FRAGMENT:
            self.counters.cantfrag += 1
            self.icmp.report(packet, FRAGMENTATION_NEEDED, mtu)
            self._drop(packet, Reason.NEEDS_FRAGMENTING)
            return False
        else:
            failed = self._output.cut(packet, route)
        if not failed:
            self.counters.fastforward += 1
        return True

    def _better_gateway(self, packet: Packet, route: Route) -> int:
        """The address for a redirect: the sender shares a link with the next hop (no default route's); or 0."""
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
        octets, received_on = packet.octets, packet.received_on
        packet.lower_ttl_only()
        route = self._lookup(destination if packet.next_hop is None else packet.next_hop)
        redirect = 0
        if route is not None and packet.next_hop is None and route.interface is packet.received_on:
            redirect = self._better_gateway(packet, route) if self.profile.redirects else 0
        error = self._output.output(packet, forwarding=True)
        if not error:
            counters.forward += 1
            if redirect:
                kept = Packet(octets, received_on)
                counters.redirectsent += self.icmp.report(kept, REDIRECT_HOST, redirect, held=_KEPT_FOR_ERRORS)
            return
        counters.cantforward += 1
        kept = Packet(octets, received_on)
        if error == errno.EMSGSIZE:
            counters.cantfrag += 1
            mtu = route.interface.mtu if route is not None else 0
            self.icmp.report(kept, FRAGMENTATION_NEEDED, mtu, held=_KEPT_FOR_ERRORS)
        elif error not in (errno.EACCES, errno.ENOBUFS):
            self.icmp.report(kept, HOST_UNREACHABLE, held=_KEPT_FOR_ERRORS)

    # == what this host's programs send ============================================================================

    def originate(self, packet: Packet, dont_route: bool = False) -> int:
        """A datagram, header included, that a program of this host sends through a raw socket."""
        if not packet.identification:
            packet.set_identification(self._output.identification(packet.fragment))
        self.counters.rawout += 1
        self.counters.localout += self.profile.counts_raw_as_localout
        result = self._output.output(packet, dont_route=dont_route, allow_broadcast=True)
        if self._queue:
            self._drain()
        return result

    def send_raw(self, datagram: Outgoing, dont_route: bool, sender: Owner) -> int:
        """What a raw socket of ``sender``'s sends behind a header that the kernel makes."""
        identification = self._output.identification(datagram.flags)
        packet = datagram.build(self.node, source=datagram.source, identification=identification)
        packet.sender = sender
        packet.clear_checksum()
        self.counters.localout += 1
        result = self._output.output(packet, dont_route=dont_route, allow_broadcast=True)
        if self._queue:
            self._drain()
        return result

    def send(self, datagram: Outgoing) -> int:
        """A datagram of this host's own protocols."""
        result = self._output.send(datagram)
        if self._queue and datagram.by_program:
            self._drain()
        return result

    def _probe(self, datagram: Outgoing) -> None:
        """A keepalive of ipfw's, which no pass looks at (H-9)."""
        self._output.send(datagram, skip_firewall=True)
        if self._queue:
            self._drain()

    def inject_in(self, packet: Packet) -> int:
        """Incoming: ip_input from its start.  What becomes of it is not told (W-18)."""
        if self.profile.restores_broadcast:
            packet.link_broadcast = _to_many(packet.received_on, packet.destination)
        self.counters.inbound += 1
        self._queue.append((packet, False))
        self._drain()
        return 0

    def too_small(self) -> None:
        """A write with fewer octets than a header has was refused (W-4)."""
        self.counters.toosmall += 1

    def inject_out(self, packet: Packet, dont_route: bool) -> int:
        """Outgoing: ip_output, whose errors are those of the write (W-13 to W-17)."""
        self.counters.outbound += 1
        self.counters.rawout += 1
        self.counters.localout += self.profile.counts_raw_as_localout
        result = self._output.output(packet, dont_route=dont_route, allow_broadcast=True)
        if self._queue:
            self._drain()
        return result


def _to_many(interface: Interface | None, destination: int) -> bool:
    """Multicast, or a broadcast address of that interface, the old one with host part 0 included (in_broadcast)."""
    if is_multicast(destination):
        return True
    if interface is None or not interface.is_broadcast_link:
        return False
    if destination in (0, LIMITED_BROADCAST):
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
