"""The IPv4 path of Linux 2.2, with the divert patch (linux.md section 4, H1-H12, H14, H16; section 1).

    wire -> header tests -> INPUT chain -> routing -+-> local delivery -> this host's protocols
                                                    |
                                                    +-> forward: TTL -> FORWARD chain -> OUTPUT chain -> wire

    this host's protocols -> routing -> OUTPUT chain -> wire (or the loopback interface, and in again)

The input chain sees the receiving interface's name, the other two the outgoing one's (H6).  A DIVERT rule takes the
packet off this path at its chain; what a program writes back re-enters at the same chain, marked so that no DIVERT
rule matches it any more (T6).  Stages stand below in the order in which a packet meets them; one that ends in another
stage calls it, and all return the errno that a local sender gets, 0 for none.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from rules.fields import DONT_FRAGMENT, ICMP, MORE_FRAGMENTS, OFFSET_MASK, TCP
from rules.ipchains import Tables
from rules.ipchains.rule import Action
from rules.ipchains.verdict import Verdict
from simulator.collecting import Collecting
from simulator.fragments import LinuxReassembly, Timeout, fragment
from simulator.host import Host
from simulator.icmp_errors import (
    FRAGMENTATION_NEEDED,
    HOST_UNREACHABLE,
    LINUX_MANNERS,
    NETWORK_UNREACHABLE,
    PORT_UNREACHABLE,
    REASSEMBLY_TIME_EXCEEDED,
    REDIRECT_HOST,
    SOURCE_ROUTE_FAILED,
    TTL_EXCEEDED,
    Error,
    IcmpErrors,
)
from simulator.ledger import Reason
from simulator.masquerade import Masquerade
from simulator.node import Node
from simulator.options import LinuxOptions
from simulator.outgoing import Outgoing
from simulator.packet import MINIMUM_HEADER, Packet
from simulator.paths.linux_divert import Diverting
from simulator.paths.linux_firewall import LinuxFirewall
from simulator.paths.linux_origins import FORWARDED, INJECTED, LOCAL_DATAGRAM, LOCAL_TCP, Origin
from simulator.paths.linux_routing import LinuxRouting
from simulator.paths.redirects import Redirects
from simulator.profiles import LinuxProfile
from simulator.routing import Kind as RouteKind
from simulator.routing import Route, is_multicast
from simulator.sockets.divert import DivertPorts
from simulator.sockets.netlink import FirewallCopies
from simulator.sockets.udp import UdpPorts
from simulator.trace import Kind
from simulator.wire import tcp

__all__ = ["LinuxPath"]

_FRAGMENT_BITS = MORE_FRAGMENTS | OFFSET_MASK
_THIS_HOST = 0x7F000001
_ROUTE_ERRORS = {Reason.NO_ROUTE: NETWORK_UNREACHABLE, Reason.UNREACHABLE_ROUTE: HOST_UNREACHABLE}
"""What the sender hears when routing leads nowhere."""

_ROUTED_NOWHERE = {*_ROUTE_ERRORS, Reason.BLACKHOLE_ROUTE}
"""For the kernel such datagrams are routed, to an error (ip_error), of which a blackhole tells nobody."""


class LinuxPath:
    """One router's way of packets."""

    def __init__(
        self,
        node: Node,
        profile: LinuxProfile,
        tables: Tables,
        ports: DivertPorts,
        udp: UdpPorts,
        masquerade: Masquerade,
        copies: FirewallCopies,
    ) -> None:
        self.node = node
        self.profile = profile
        self.errors = IcmpErrors(node, LINUX_MANNERS, self.send)
        self.host = Host(node, self.send, self.errors, udp)
        self.collecting = Collecting(node, LinuxReassembly(), self._reassembly_timeout)
        self.redirects = Redirects(node.clock)
        self._masquerade = masquerade
        self._ledger = node.ledger
        self._tracer = node.tracer
        self._drop = node.drop
        self._input_rules = tables.chains["input"]
        self._forward_rules = tables.chains["forward"]
        self._output_rules = tables.chains["output"]
        self._divert = Diverting(node, ports.listeners).divert
        routing = LinuxRouting(node, forwarding=profile.forwarding)
        self._options = LinuxOptions(node, self.errors, routing.find, source_routes=profile.source_routes)
        self.errors.answer_options = self.host.answer_options = self._options.echoed
        self.host.reset_for = tcp.reset_of_linux
        self.host.reset_tos = lambda packet: packet.tos  # ip_send_reply
        self._received_route = routing.for_received
        self.output_route = routing.for_sent
        self.output_route_by = routing.for_sent_by
        self._consult = LinuxFirewall(node, profile, tables.chains, ports.listeners, copies.post).consult
        self._enter = self._defragment_first if profile.always_defragment else self._input_chain
        self._after_input: dict[Action, Callable[[Packet, Verdict, Route | None], int]] = {
            Action.DENY: self._denied,
            Action.REJECT: self._input_rejected,
            Action.REDIRECT: self._input_redirected,
            Action.DIVERT: self._input_diverted,
        }

    # == receiving (ip_rcv) ========================================================================================

    def receive(self, packet: Packet, route: Route | None = None) -> int:
        """A datagram from an interface: header tests, then the input chain (H1).  Failures are silent.

        ``route`` is known already when it comes round by loopback (H11).
        """
        octets = packet.octets
        size = len(octets)
        header_length = packet.header_length
        if size < 20 or packet.version != 4 or header_length < 20 or size < header_length:
            return self._drop(packet, _header_fault(packet))
        if int.from_bytes(octets[:header_length], "big") % 0xFFFF:
            return self._drop(packet, Reason.BAD_CHECKSUM)
        if size != packet.total_length:
            if size < packet.total_length:
                return self._drop(packet, Reason.TRUNCATED)
            if packet.total_length < header_length:
                return self._drop(packet, Reason.BAD_LENGTH)
            packet.trim()
        return self._enter(packet, route)

    def _defragment_first(self, packet: Packet, route: Route | None = None) -> int:
        """Always-defragment: reassembly before the input chain (R1)."""
        if packet.fragment & _FRAGMENT_BITS:
            whole = self._reassemble(packet)
            if whole is None:
                return 0
            packet = whole
        return self._input_chain(packet, route)

    # == the input chain ===========================================================================================

    def _input_chain(self, packet: Packet, route: Route | None = None) -> int:
        interface = packet.received_on
        assert interface is not None
        verdict = self._consult(self._input_rules, packet, interface)
        action = verdict.action
        if action is Action.ACCEPT or action is Action.MASQ:  # MASQ means no more than ACCEPT here (F8)
            return self._route_input(packet, route)
        return self._after_input[action](packet, verdict, route)

    def _denied(self, packet: Packet, verdict: Verdict, route: Route | None) -> int:
        return self._drop(packet, Reason.DENIED)

    def _input_rejected(self, packet: Packet, verdict: Verdict, route: Route | None) -> int:
        """REJECT looks for a route first; only if there is one, the sender hears port unreachable (H3)."""
        if self.profile.reject_before_routing or not _is_lost(self._arrival(packet, route)):
            self.errors.report(packet, PORT_UNREACHABLE)
        return self._drop(packet, Reason.REJECTED)

    def _input_redirected(self, packet: Packet, verdict: Verdict, route: Route | None) -> int:
        """REDIRECT delivers here whatever the destination (H3)."""
        found = self._arrival(packet, route)
        if isinstance(found, Reason) and _is_lost(found):
            return self._drop(packet, found)
        packet.redirect_port = verdict.port or 0
        return self._deliver(packet)

    def _input_diverted(self, packet: Packet, verdict: Verdict, route: Route | None) -> int:
        self._divert(packet, "input", verdict.port or 0)
        return 0

    # == routing of received packets (ip_route_input) ==============================================================

    def _route_input(self, packet: Packet, route: Route | None = None) -> int:
        """Where to: this host, another one, or nowhere (T3, H14)."""
        found = self._arrival(packet, route)
        if isinstance(found, Reason):
            return self._unroutable(packet, found)
        if self._tracer.listening:
            self._tracer.record(Kind.ROUTED, packet, detail=found.leads_to)
        if found.kind is RouteKind.UNICAST:
            return self._forward(packet, found)
        return self._deliver(packet)

    def _unroutable(self, packet: Packet, reason: Reason) -> int:
        error = _ROUTE_ERRORS.get(reason)
        if error is not None and self.profile.answers_unroutable:
            self.errors.report(packet, error)
        return self._drop(packet, reason)

    def _arrival(self, packet: Packet, route: Route | None) -> Route | Reason:
        """Routing, unless the route came with the packet, then its options, which may choose another one (H1)."""
        found = self._received_route(packet) if route is None else route
        if packet.header_length > MINIMUM_HEADER and packet.pending_options is None and not _is_lost(found):
            found = self._options.received(packet, found)
        return found

    # == local delivery (ip_local_deliver) =========================================================================

    def _deliver(self, packet: Packet) -> int:
        """Reassembly, unless it was done before the input chain; then, unless it is for a masqueraded client, the
        protocols (H4)."""
        if packet.fragment & _FRAGMENT_BITS:
            whole = self._reassemble(packet)
            if whole is None:
                return 0
            packet = whole
        answer = self._masquerade.demasquerade(packet)
        if isinstance(answer, Reason):
            return self._drop(packet, answer)
        if answer:
            return self._route_input(packet)
        self.host.deliver(packet)
        return 0

    def _reassemble(self, packet: Packet) -> Packet | None:
        """The whole datagram when this fragment completes it (R9: it has the interface of the lowest fragment)."""
        return self.collecting.add(packet)

    def _reassembly_timeout(self, timeout: Timeout[Packet]) -> None:
        """R3: not under always-defragment, where the fragments have no route yet."""
        if timeout.has_start and not self.profile.always_defragment:
            self.errors.report(timeout.lost[0].item, REASSEMBLY_TIME_EXCEEDED)

    # == forwarding (ip_forward) ===================================================================================

    def _forward(self, packet: Packet, route: Route) -> int:
        """TTL, redirect, DF: all that happens before the forward chain (H5)."""
        if packet.link_broadcast:
            return self._drop(packet, Reason.NOT_FOR_US)
        if packet.ttl <= 1:
            self.errors.report(packet, TTL_EXCEEDED)
            return self._drop(packet, Reason.TTL_EXCEEDED)
        interface = route.interface
        options = packet.pending_options
        if options is not None and options.strict and route.gateway is not None:
            self.errors.report(packet, SOURCE_ROUTE_FAILED)
            return self._drop(packet, Reason.STRICT_ROUTE)
        source_routed = options is not None and options.source_route
        if interface is packet.received_on and self.profile.redirects and not source_routed:
            self._redirect_sender(packet, route)
        packet.lower_ttl()
        if packet.total_length > interface.mtu and packet.fragment & DONT_FRAGMENT:
            self._unreachable(packet, FRAGMENTATION_NEEDED, interface.mtu)
            return self._drop(packet, Reason.NEEDS_FRAGMENTING)
        return self._forward_chain(packet, route)

    def _redirect_sender(self, packet: Packet, route: Route) -> None:
        """The sender shares a link with the next hop: tell it, now and then (linux.md H5)."""
        source = self.node.routes.lookup(packet.source)
        on_link = source is not None and source.gateway is None and source.interface is route.interface
        if on_link and self.redirects.allows(packet.source, packet.destination):
            gateway = packet.destination if route.gateway is None else route.gateway
            self.errors.report(packet, REDIRECT_HOST, gateway)

    def _forward_chain(self, packet: Packet, route: Route) -> int:
        """The forward chain, then the output chain (H7).  What belongs to a masqueraded conversation already, an answer
        or an error about one, goes past it (N6)."""
        interface = route.interface
        packet.leaving_by = interface
        if packet.demasqueraded:
            return self._output_chain(packet, route, FORWARDED)
        if packet.protocol == ICMP and (known := self._masquerade.masquerade_error(packet)):
            return self._translated(packet, route, known)
        verdict = self._consult(self._forward_rules, packet, interface)
        action = verdict.action
        if action is Action.ACCEPT:
            return self._output_chain(packet, route, FORWARDED)
        if action is Action.DIVERT:
            self._divert(packet, "forward", verdict.port or 0)
            return 0
        if action is Action.MASQ:
            return self._translated(packet, route, self._masquerade.masquerade(packet))
        if action is Action.REJECT:
            self.errors.report(packet, HOST_UNREACHABLE)
            return self._drop(packet, Reason.REJECTED)
        return self._drop(packet, Reason.DENIED)

    def _translated(self, packet: Packet, route: Route, answer: Reason | bool) -> int:
        """On to the output chain after masquerading, unless that failed."""
        if isinstance(answer, Reason):
            return self._drop(packet, answer)
        return self._output_chain(packet, route, FORWARDED)

    def _unreachable(self, packet: Packet, error: Error, rest: int = 0) -> None:
        """Destination unreachable; it quotes what the sender sent, not what demasquerading made of it."""
        self.errors.report(self._masquerade.as_received(packet) if packet.demasqueraded else packet, error, rest)

    # == the output chain, and out =================================================================================

    def _output_chain(self, packet: Packet, route: Route, origin: Origin) -> int:
        """The output chain for forwarded and local datagrams alike; they differ in what a refusal does (H8, H9)."""
        interface = route.interface
        packet.leaving_by = interface
        verdict = self._consult(self._output_rules, packet, interface)
        action = verdict.action
        if action is Action.DENY:
            self._drop(packet, Reason.DENIED)
            return origin.denied
        if action is Action.REJECT:
            if origin.error is not None:
                self._unreachable(packet, origin.error)
            self._drop(packet, Reason.REJECTED)
            return origin.rejected
        if action is Action.DIVERT:
            return 0 if self._divert(packet, "output", verdict.port or 0) else origin.denied
        # ACCEPT; MASQ and REDIRECT mean no more than that here (F8).
        return self._send_out(packet, route, origin)

    def _send_out(self, packet: Packet, route: Route, origin: Origin) -> int:
        """After the chains: fragments where needed, then the link (ip_send)."""
        interface = route.interface
        if origin is LOCAL_TCP:
            packet.fix_checksum()
        elif packet.pending_options is not None:
            self._options.forwarded(packet, packet.pending_options)
        if packet.total_length > interface.mtu:
            if origin is not FORWARDED and packet.fragment & DONT_FRAGMENT:
                self._drop(packet, Reason.NEEDS_FRAGMENTING)
                return errno.EMSGSIZE
            return self._send_fragments(packet, route, origin)
        return self._transmit(packet, route)

    def _transmit(self, packet: Packet, route: Route) -> int:
        if route.kind is RouteKind.UNICAST:
            return self.node.transmit(packet, route.interface, route.gateway)
        return self._send_special(packet, route)

    def _send_fragments(self, packet: Packet, route: Route, origin: Origin) -> int:
        """R10: the pieces do not meet the output chain again."""
        result = 0
        for piece in self.node.pieces(packet, fragment(packet.octets, route.interface.mtu, style=origin.fragments)):
            result = self._transmit(piece, route) or result
        return result

    def _send_special(self, packet: Packet, route: Route) -> int:
        """To this host itself, or to many (H11, H12)."""
        interface = route.interface
        if not interface.up:
            self._drop(packet, Reason.INTERFACE_DOWN)
            return errno.ENETDOWN
        to_group = route.kind is RouteKind.MULTICAST
        if route.kind is RouteKind.LOCAL or interface is self.node.loopback:
            if to_group and packet.destination not in interface.groups:
                return self._drop(packet, Reason.NOT_JOINED)
            packet.received_on = interface
            packet.leaving_by = None
            if interface.taps:
                interface.show(packet.octets, outgoing=True)
                interface.show(packet.octets)
            return self.receive(packet, Route(packet.destination, 32, interface, kind=RouteKind.LOCAL))
        if to_group and packet.ttl == 0:
            result = self._drop(packet, Reason.TTL_EXCEEDED)
        else:
            result = self.node.transmit(packet, interface)
        if not to_group or packet.destination in interface.groups:
            self._loop_back(packet, route)
        return result

    def _loop_back(self, packet: Packet, route: Route) -> None:
        """A copy of what was sent to many, as received on the interface it left by (H12)."""
        twin = packet.copy()
        twin.received_on = route.interface
        twin.leaving_by = None
        self.node.generate(twin, f"copy of #{packet.number} looped back")
        self.receive(twin, Route(packet.destination, 32, route.interface, kind=RouteKind.LOCAL))

    # == local output (ip_build_xmit, ip_queue_xmit) ===============================================================

    def originate(self, packet: Packet) -> int:
        """A datagram, header included, that a program of this host sends (H9, H10, O3)."""
        route = self.output_route(packet.destination, packet.source)
        if route is None:
            self._drop(packet, Reason.NO_ROUTE)
            return errno.ENETUNREACH
        if not packet.source:
            packet.set_source(self.node.source_towards(packet.destination))
        if not packet.identification:
            packet.set_identification(self.node.identification())
        if packet.protocol == TCP:
            # TCP leaves the header checksum open until after the firewall (T1).
            packet.leaving_by = route.interface
            return self._output_chain(packet, route, LOCAL_TCP)
        packet.fix_checksum()
        return self._send_local(packet, route)

    def connect_udp(self, destination: int, may_broadcast: bool) -> int:
        """The errno of a UDP socket that connects, 0 for success: there is a route, not to everybody (udp_connect)."""
        route = self.output_route(destination or _THIS_HOST, 0)
        if route is None:
            return errno.ENETUNREACH
        return errno.EACCES if route.kind is RouteKind.BROADCAST and not may_broadcast else 0

    def send(self, datagram: Outgoing) -> int:
        """A datagram that this host's own protocols make."""
        if not datagram.destination:
            datagram = datagram._replace(destination=_THIS_HOST)  # O8
        route = self.output_route(datagram.destination, datagram.source)
        if route is None:
            return errno.ENETUNREACH
        if route.kind is RouteKind.BROADCAST and datagram.by_program and not datagram.may_broadcast:
            return errno.EACCES
        if datagram.too_long:
            return errno.EMSGSIZE
        over_tcp = datagram.protocol == TCP
        if over_tcp:
            datagram = datagram._replace(flags=DONT_FRAGMENT)
        packet = datagram.build(
            self.node,
            source=datagram.source or self.node.source_towards(datagram.destination),
            identification=self.node.identification(),
            interface=route.interface.name,
        )
        if over_tcp:
            packet.clear_checksum()  # until after the firewall (T1)
            return self._output_chain(packet, route, LOCAL_TCP)
        return self._send_local(packet, route)

    def send_raw(self, packet: Packet, route: Route) -> int:
        """What a raw socket writes.  What cannot have a header does not meet the output chain (F29)."""
        self._ledger.originated += 1
        if self._tracer.listening:
            self._tracer.record(Kind.ORIGINATED, packet, interface=route.interface.name)
        if len(packet.octets) < MINIMUM_HEADER or packet.header_length < MINIMUM_HEADER:
            return self._transmit(packet, route)
        return self._send_local(packet, route)

    def _send_local(self, packet: Packet, route: Route) -> int:
        """UDP, ICMP and raw: a datagram too large is cut first, and each piece meets the output chain, the last piece
        first; a refused one ends it (H10)."""
        if packet.total_length <= route.interface.mtu:
            return self._output_chain(packet, route, LOCAL_DATAGRAM)
        if packet.fragment & DONT_FRAGMENT:
            self._drop(packet, Reason.NEEDS_FRAGMENTING)
            return errno.EMSGSIZE
        for piece in self.node.pieces(
            packet, fragment(packet.octets, route.interface.mtu, style=LOCAL_DATAGRAM.fragments)
        ):
            result = self._output_chain(piece, route, LOCAL_DATAGRAM)
            if result:
                return result
        return 0

    # == what a divert socket writes ===============================================================================

    def inject_inbound(self, packet: Packet, chain: str) -> int:
        """As if received on ``packet.received_on``: back to the chain it was diverted from (D12, T6).

        A packet diverted by the forward chain goes there again without losing another TTL; everything else meets the
        input chain.  What becomes of it later is not told.
        """
        packet.diverted = True
        if chain != "forward":
            self._enter(packet)
            return 0
        route = self._received_route(packet)
        if isinstance(route, Reason):
            self._unroutable(packet, route)
        elif route.kind is RouteKind.UNICAST:
            self._forward_chain(packet, route)
        else:
            self._deliver(packet)
        return 0

    def inject_outbound(self, packet: Packet, multicast_source: int = 0, *, attached: bool = False) -> int:
        """Routed by its destination, whatever its source, to the output chain (D12, T2); not fragmented (D9), unless
        the router always defragments (D8).  Multicast goes out by the interface of ``multicast_source`` (D19).
        ``attached``: no gateway will do (SO_DONTROUTE, as on a raw socket)."""
        packet.diverted = True
        source = multicast_source if multicast_source and is_multicast(packet.destination) else packet.source
        route = self.output_route(packet.destination, source)
        if route is None or (attached and route.gateway is not None):
            self._drop(packet, Reason.NO_ROUTE)
            return errno.ENETUNREACH
        if packet.total_length > route.interface.mtu and not self.profile.always_defragment:
            self._drop(packet, Reason.NEEDS_FRAGMENTING)
            return errno.EMSGSIZE
        return self._output_chain(packet, route, INJECTED)


def _is_lost(found: Route | Reason) -> bool:
    """Whether routing failed outright."""
    return isinstance(found, Reason) and found not in _ROUTED_NOWHERE


def _header_fault(packet: Packet) -> Reason:
    """Which header test a datagram fails, in the kernel's order (H1)."""
    if len(packet.octets) < 20:
        return Reason.TOO_SHORT
    if packet.version == 6:
        return Reason.NOT_IPV4
    return Reason.BAD_VERSION if packet.version != 4 and packet.header_length >= 20 else Reason.BAD_HEADER_LENGTH
