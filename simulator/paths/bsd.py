"""The IPv4 path of FreeBSD and DragonFly, with ipfw's two passes (bsd.md section 8, H-1 to H-10; sections 5 to 7).

    wire -> header tests -> ipfw IN -> for this host? -+-> reassembly -> this host's protocols
                                                       |
                                                       +-> forward: TTL -> routing -> ipfw OUT -> fragments -> wire

    this host's protocols -> routing -> ipfw OUT -> checksum -> fragments -> wire (or lo0, and in again)

A pass is one search of the rule list.  A divert rule ends it: the packet goes to the socket, and what a program writes
back enters the same pass again behind the rule whose number it carries as tag (X-1).  The tag is used up by that pass
(X-6).  Stages stand below in the order in which a packet meets them; all return the errno that a sender gets, 0 for
none.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Literal

from rules.fields import DONT_FRAGMENT, MORE_FRAGMENTS, OFFSET_MASK, TCP
from rules.ipfw import Action, RuleSet, Verdict
from simulator import fragments
from simulator.collecting import Collecting
from simulator.fragments import BsdReassembly, Outcome, fragment
from simulator.host import Host
from simulator.icmp_errors import (
    BSD_MANNERS,
    FRAGMENTATION_NEEDED,
    HOST_UNREACHABLE,
    REDIRECT_HOST,
    TTL_EXCEEDED,
    Error,
    IcmpErrors,
)
from simulator.interfaces import Interface
from simulator.ledger import Reason
from simulator.node import Node
from simulator.packet import Packet
from simulator.profiles import BsdProfile
from simulator.routing import Kind as RouteKind
from simulator.routing import Route, is_class_e, is_loopback, is_multicast
from simulator.sockets.address import BSD_LAYOUT, Address
from simulator.sockets.divert import DivertPorts
from simulator.sockets.udp import UdpPorts
from simulator.trace import Kind
from simulator.wire import ipv4, tcp

__all__ = ["BsdPath"]

Direction = Literal["in", "out"]

_FRAGMENT_BITS = MORE_FRAGMENTS | OFFSET_MASK
_LIMITED_BROADCAST = 0xFFFFFFFF
_UNREACHABLE_CODE_NEEDFRAG = 4


class BsdPath:
    """One router's way of packets."""

    def __init__(self, node: Node, profile: BsdProfile, rules: RuleSet, ports: DivertPorts, udp: UdpPorts) -> None:
        self.node = node
        self.profile = profile
        self.rules = rules
        self.errors = IcmpErrors(node, BSD_MANNERS, self.send, quoted=profile.quoted)
        self.host = Host(node, self.send, self.errors, udp)
        self.collecting = Collecting(node, BsdReassembly(profile.reassembly))
        self._ledger = node.ledger
        self._tracer = node.tracer
        self._drop = node.drop
        self._evaluate = rules.evaluate
        self._listeners = ports.listeners
        self._addresses: dict[tuple[int, int, str | None], Address] = {}
        self._actions: dict[Action, Callable[[Packet, Verdict, Direction], int]] = {
            Action.DENY: self._deny,
            Action.DIVERT: self._divert,
            Action.UNREACH: self._unreach,
            Action.RESET: self._reset,
        }

    # == receiving (ip_input) ======================================================================================

    def receive(self, packet: Packet, *, link_broadcast: bool | None = None) -> int:
        """A datagram from an interface.  Without word from the link, broadcasts are told by their destination."""
        if link_broadcast is None:
            link_broadcast = self._is_for_many(packet.destination)
        packet.link_broadcast = link_broadcast
        return self._input(packet)

    def _input(self, packet: Packet) -> int:
        """Header tests in the kernel's order, then the in pass (H-2).  Failures are silent."""
        octets = packet.octets
        size = len(octets)
        header_length = packet.header_length
        if size < 20 or packet.version != 4 or header_length < 20 or size < header_length:
            return self._drop(packet, _header_fault(packet))
        interface = packet.received_on
        if is_loopback(packet.source) or is_loopback(packet.destination):
            if interface is not None and not interface.is_loopback:
                return self._drop(packet, Reason.BAD_ADDRESS)
        if int.from_bytes(octets[:header_length], "big") % 0xFFFF:
            return self._drop(packet, Reason.BAD_CHECKSUM)
        if size != packet.total_length:
            if packet.total_length < header_length:
                return self._drop(packet, Reason.BAD_LENGTH)
            if size < packet.total_length:
                return self._drop(packet, Reason.TRUNCATED)
            packet.trim()
        return self._ipfw(packet, "in", self._decide)

    # == a pass through the rules ==================================================================================

    def _ipfw(self, packet: Packet, direction: Direction, go_on: Callable[[Packet], int]) -> int:
        """One pass.  ``go_on`` is what comes after it for a packet that is let through."""
        verdict = self._evaluate(packet, packet.start_after)
        while True:
            if verdict.log:
                self.node.messages.extend(verdict.log)
            if verdict.tos is not None and verdict.tos != packet.tos:
                packet.set_tos(verdict.tos)
                packet.fix_checksum()
            packet.tags = verdict.tags
            action = verdict.action
            if self._tracer.listening:
                self._record(packet, direction, verdict)
            if action is Action.ALLOW:
                return go_on(self._through(packet))
            if action is Action.FWD:
                return self._forwarded_elsewhere(self._through(packet), verdict, go_on)
            if action is Action.TEE or action is Action.REASS:
                continuing = self._tee(packet, verdict, direction) if action is Action.TEE else self._reass(packet)
                if continuing is None:
                    return 0 if action is Action.TEE or direction == "in" else errno.EACCES
                packet = continuing
                if verdict.resume is None:
                    return go_on(self._through(packet))
                verdict = self._evaluate(packet, resume=verdict.resume)
                continue
            return self._actions[action](packet, verdict, direction)

    def _through(self, packet: Packet) -> Packet:
        """The pass is over: the tag and the mark of the divert socket are used up (X-6, X-9)."""
        packet.start_after = 0
        packet.reinjected = None
        return packet

    def _record(self, packet: Packet, direction: Direction, verdict: Verdict) -> None:
        rule = "-" if verdict.rule is None else str(verdict.rule)
        self._tracer.record(
            Kind.FIREWALL, packet, hook=direction, rule=rule, verdict=verdict.action.name, port=verdict.port
        )

    def _deny(self, packet: Packet, verdict: Verdict, direction: Direction) -> int:
        """Silence; a local sender gets EACCES (H-6)."""
        self._drop(packet, Reason.DENIED)
        return errno.EACCES

    def _unreach(self, packet: Packet, verdict: Verdict, direction: Direction) -> int:
        """An ICMP unreachable of the rule's code, but not about everything (E-30); then as deny."""
        if verdict.replies:
            mtu = packet.leaving_by.mtu if packet.leaving_by is not None else 0
            rest = mtu if verdict.code == _UNREACHABLE_CODE_NEEDFRAG else 0
            self.errors.report(packet, Error(3, verdict.code), rest)
        self._drop(packet, Reason.REJECTED)
        return errno.EACCES

    def _reset(self, packet: Packet, verdict: Verdict, direction: Direction) -> int:
        """A TCP reset that the firewall does not look at (E-30, E-31, H-9); then as deny."""
        if verdict.replies:
            self._send_reset(packet, packet.tcp_flags or 0)
        self._drop(packet, Reason.REJECTED)
        return errno.EACCES

    def _send_reset(self, packet: Packet, flags: int) -> None:
        if flags & tcp.ACK:
            sequence, acknowledgment, answer = packet.tcp_acknowledgment or 0, 0, tcp.RST
        else:
            acknowledgment = (packet.tcp_sequence or 0) + (1 if flags & tcp.SYN else 0) & 0xFFFFFFFF
            sequence, answer = 0, tcp.RST | tcp.ACK
        segment = tcp.Header(
            source_port=packet.destination_port or 0,
            destination_port=packet.source_port or 0,
            sequence=sequence,
            acknowledgment=acknowledgment,
            flags=answer,
            window=0,
        ).emit(source=packet.destination, destination=packet.source)
        ttl = self.profile.default_ttl
        self.send(TCP, packet.source, segment, source=packet.destination, ttl=ttl, skip_firewall=True)

    def _forwarded_elsewhere(self, packet: Packet, verdict: Verdict, go_on: Callable[[Packet], int]) -> int:
        """fwd: to this host's own protocols, or out by way of another next hop; the packet itself stays (E-35)."""
        assert verdict.next_hop is not None
        next_hop = verdict.next_hop[0]
        if next_hop in self.node.own:
            packet.redirect_port = verdict.next_hop[1]
            return self._deliver(packet)
        packet.next_hop = next_hop
        if packet.leaving_by is None:
            return self._forward(packet)
        route = self.node.routes.lookup(next_hop)
        if route is None:
            self._drop(packet, Reason.NO_ROUTE)
            return errno.EHOSTUNREACH
        packet.leaving_by = route.interface
        return go_on(packet)

    # == divert and tee ============================================================================================

    def _divert(self, packet: Packet, verdict: Verdict, direction: Direction) -> int:
        """To the socket; a fragment waits for the rest first, where the system does so (F-2, F-3)."""
        assert verdict.rule is not None
        packet.diverted_by = (verdict.rule, verdict.port)
        if packet.fragment & _FRAGMENT_BITS and direction in self.profile.reassembles:
            whole = self._reassemble(packet)
            if whole is None or whole.diverted_by is None:
                return 0
            packet = whole
        return self._to_socket(packet, direction)

    def _tee(self, packet: Packet, verdict: Verdict, direction: Direction) -> Packet | None:
        """A copy to the socket; what goes on, which is None while a fragment waits (T-1, T-7)."""
        assert verdict.rule is not None
        packet.diverted_by = (verdict.rule, verdict.port)
        if self.profile.reassembles_tee and packet.fragment & _FRAGMENT_BITS and direction in self.profile.reassembles:
            whole = self._reassemble(packet)
            if whole is None:
                return None
            packet = whole
        twin = packet.copy()
        twin.diverted_by = packet.diverted_by
        self._ledger.generated += 1
        if self._tracer.listening:
            self._tracer.record(Kind.COPIED, twin, detail=f"of #{packet.number}", port=verdict.port)
        self._to_socket(twin, direction)
        packet.diverted_by = None
        packet.reinjected = None
        return packet

    def _to_socket(self, packet: Packet, direction: Direction) -> int:
        """Queue it for the reader; no reader, no room: dropped in silence, even for a local sender (R-17, R-19)."""
        assert packet.diverted_by is not None
        rule, port = packet.diverted_by
        sock = self._listeners.get(port)
        if sock is None:
            return self._drop(packet, Reason.NO_LISTENER)
        interface = packet.received_on
        host = (interface.address or 0) if interface is not None and direction == "in" else 0
        key = (host, rule, interface.name if interface is not None else None)
        address = self._addresses.get(key)
        if address is None:
            address = self._addresses[key] = self._address(*key)
        if not sock.enqueue(packet.octets, address):
            return self._drop(packet, Reason.SOCKET_FULL)
        self._ledger.diverted += 1
        if self._tracer.listening:
            self._tracer.record(Kind.DIVERTED, packet, port=port, address=f"{address[0]}:{address[1]}")
        return 0

    def _address(self, host: int, rule: int, interface: str | None) -> Address:
        """R-2 to R-7: the rule as port, and the receive interface's name, seven characters of it, in sin_zero."""
        return Address(
            host,
            rule,
            interface=interface,
            zero=(interface or "").encode()[:7].ljust(8, b"\0"),
            layout=BSD_LAYOUT,
            swap=self.profile.tag_byte_order == "host",
        )

    # == reassembly ================================================================================================

    def _reassemble(self, packet: Packet) -> Packet | None:
        """The whole datagram when this fragment completes it; the queue is the host's own (F-8, F-6)."""
        result = self.collecting.add(packet)
        if result.outcome is Outcome.PASSED:
            return packet
        if result.outcome is not Outcome.REASSEMBLED:
            return None
        assert result.octets is not None
        assert result.lowest is not None
        first, last = result.lowest, packet
        whole = (first if self.profile.reassembled_interface_of == "first" else last).with_octets(result.octets)
        whole.diverted_by = (first if self.profile.reassembled_rule_of == "first" else last).diverted_by
        whole.leaving_by = last.leaving_by
        self.collecting.merged(result, whole)
        return whole

    def _reass(self, packet: Packet) -> Packet | None:
        """The reass action: goes on with the complete packet (F-11)."""
        return self._reassemble(packet) if packet.fragment & _FRAGMENT_BITS else packet

    # == for whom? =================================================================================================

    def _decide(self, packet: Packet) -> int:
        """After the in pass: this host, many, or another host (H-2, H-4)."""
        destination = packet.destination
        if destination in self.node.own:
            return self._deliver(packet)
        if is_multicast(destination) or destination == _LIMITED_BROADCAST or destination == 0:
            return self._deliver(packet)
        fast = self.profile.fast_forward and not packet.link_broadcast and packet.header_length == 20
        route = self.node.routes.lookup(destination)
        if route is not None and route.kind is RouteKind.BROADCAST and not fast:
            return self._deliver(packet)
        return self._forward(packet)

    def _is_for_many(self, destination: int) -> bool:
        if is_multicast(destination) or destination == _LIMITED_BROADCAST:
            return True
        route = self.node.routes.lookup(destination)
        return route is not None and route.kind is RouteKind.BROADCAST

    def _deliver(self, packet: Packet) -> int:
        """Reassembly, then this host's protocols.  Where the first fragment's rule counts, it may yet divert (F-7)."""
        if packet.fragment & _FRAGMENT_BITS:
            whole = self._reassemble(packet)
            if whole is None:
                return 0
            packet = whole
            if packet.diverted_by is not None:
                return self._to_socket(packet, "in")
        self.host.deliver(packet)
        return 0

    # == forwarding (ip_forward, ip_tryforward) ====================================================================

    def _forward(self, packet: Packet) -> int:
        """TTL, then output; what goes wrong there is told to the sender, but not what the firewall denied (H-3)."""
        if not self.profile.forwarding:
            return self._drop(packet, Reason.FORWARDING_OFF)
        if packet.link_broadcast:
            return self._drop(packet, Reason.NOT_FOR_US)
        if is_class_e(packet.destination) or packet.destination >> 24 == 0 or is_loopback(packet.destination):
            return self._drop(packet, Reason.MARTIAN_DESTINATION)
        if packet.ttl <= 1:
            self.errors.report(packet, TTL_EXCEEDED)
            return self._drop(packet, Reason.TTL_EXCEEDED)
        route = self.node.routes.lookup(packet.destination if packet.next_hop is None else packet.next_hop)
        if route is None or route.kind is RouteKind.REJECT:
            self.errors.report(packet, HOST_UNREACHABLE)
            return self._drop(packet, Reason.NO_ROUTE if route is None else Reason.UNREACHABLE_ROUTE)
        if route.kind is RouteKind.BLACKHOLE:
            return self._drop(packet, Reason.UNREACHABLE_ROUTE)
        original = packet.with_octets(packet.octets)
        if self.profile.fast_forward and packet.header_length == 20:
            packet.lower_ttl()
        else:
            packet.lower_ttl_only()
        if self.profile.redirects and route.interface is packet.received_on:
            self._redirect_sender(original, route)
        packet.leaving_by = route.interface
        result = self._ipfw(packet, "out", lambda passed: self._emit(passed, route))
        self._report_failure(original, result, route.interface)
        return 0

    def _report_failure(self, packet: Packet, result: int, interface: Interface) -> None:
        """Errors of ip_output as ICMP errors about the packet as it came (H-3)."""
        if result == errno.EMSGSIZE:
            self.errors.report(packet, FRAGMENTATION_NEEDED, interface.mtu)
        elif result in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN):
            self.errors.report(packet, HOST_UNREACHABLE)

    def _redirect_sender(self, packet: Packet, route: Route) -> None:
        """The sender shares a link with the next hop: tell it."""
        source = self.node.routes.lookup(packet.source)
        if source is not None and source.gateway is None and source.interface is route.interface:
            gateway = packet.destination if route.gateway is None else route.gateway
            self.errors.report(packet, REDIRECT_HOST, gateway)

    # == output (ip_output) ========================================================================================

    def originate(self, packet: Packet) -> int:
        """A datagram, header included, that a program of this host sends; an ID of 0 is filled in."""
        if not packet.identification:
            packet.set_identification(self.node.identification())
        return self._output(packet)

    def send(
        self,
        protocol: int,
        destination: int,
        payload: bytes,
        *,
        source: int = 0,
        ttl: int,
        tos: int = 0,
        by_program: bool = False,
        skip_firewall: bool = False,
    ) -> int:
        """A datagram that this host's own protocols make (:class:`simulator.icmp_errors.Send`).

        ``skip_firewall``: it meets no out pass (H-9).
        """
        route = self.node.routes.lookup(destination)
        if route is None and not is_multicast(destination):
            return errno.EHOSTUNREACH
        if len(payload) + 20 > ipv4.MAXIMUM_LENGTH:
            return errno.EMSGSIZE
        header = ipv4.Header(
            source=source or self.node.source_towards(destination),
            destination=destination,
            protocol=protocol,
            ttl=ttl,
            tos=tos,
            identification=self.node.identification(),
        )
        packet = Packet(header.emit(payload))
        packet.clear_checksum()
        if by_program:
            self._ledger.originated += 1
        else:
            self._ledger.generated += 1
        if self._tracer.listening:
            self._tracer.record(Kind.ORIGINATED if by_program else Kind.GENERATED, packet)
        return self._output(packet, skip_firewall=skip_firewall)

    def _output(self, packet: Packet, *, dont_route: bool = False, skip_firewall: bool = False) -> int:
        """Route and interface, source address, multicast and broadcast; then the out pass (H-5)."""
        route = self._output_route(packet.destination)
        if route is None or route.kind is RouteKind.REJECT or (dont_route and not route.connected):
            self._drop(packet, Reason.NO_ROUTE)
            return errno.ENETUNREACH if dont_route else errno.EHOSTUNREACH
        if route.kind is RouteKind.BLACKHOLE:
            return self._drop(packet, Reason.UNREACHABLE_ROUTE)
        if dont_route:
            packet.set_ttl(1)
        if not packet.source:
            packet.set_source(self.node.source_towards(packet.destination))
        packet.leaving_by = route.interface
        if is_multicast(packet.destination):
            if packet.ttl > 1:
                packet.set_ttl(1)
            self._loop_copy(packet)
        elif route.kind is RouteKind.BROADCAST:
            packet.link_broadcast = True
            if packet.total_length > route.interface.mtu:
                self._drop(packet, Reason.NEEDS_FRAGMENTING)
                return errno.EMSGSIZE
        if skip_firewall:
            return self._emit(packet, route)
        return self._ipfw(packet, "out", lambda passed: self._emit(passed, route))

    def _output_route(self, destination: int) -> Route | None:
        """By the table; datagrams to the host itself go to lo0."""
        route = self.node.routes.lookup(destination)
        if route is None:
            return None
        if route.kind is RouteKind.LOCAL:
            return Route(destination, 32, self.node.loopback, kind=RouteKind.LOCAL, connected=True)
        if destination == _LIMITED_BROADCAST:
            return Route(destination, 32, route.interface, kind=RouteKind.BROADCAST)
        return route

    def _loop_copy(self, packet: Packet) -> None:
        """A multicast datagram comes back to the host on the sending interface (W-17 as observed)."""
        twin = packet.copy()
        twin.received_on = packet.leaving_by
        twin.leaving_by = None
        twin.link_broadcast = True
        twin.fix_checksum()
        self._ledger.generated += 1
        if self._tracer.listening:
            self._tracer.record(Kind.GENERATED, twin, detail=f"copy of #{packet.number} looped back")
        self._input(twin)

    def _emit(self, packet: Packet, route: Route) -> int:
        """After the out pass: 127/8 test, header checksum, fragments, the driver (H-5)."""
        if packet.next_hop is not None:
            chosen = self.node.routes.lookup(packet.next_hop)
            route = route if chosen is None else chosen
        interface = route.interface
        if (is_loopback(packet.source) or is_loopback(packet.destination)) and not interface.is_loopback:
            self._drop(packet, Reason.BAD_ADDRESS)
            return errno.EADDRNOTAVAIL
        if is_multicast(packet.destination) and packet.ttl == 0:
            return self._drop(packet, Reason.TTL_EXCEEDED)
        packet.fix_checksum()
        if packet.total_length <= interface.mtu:
            return self._transmit(packet, route)
        if packet.fragment & DONT_FRAGMENT:
            self._drop(packet, Reason.NEEDS_FRAGMENTING)
            return errno.EMSGSIZE
        try:
            pieces = fragment(packet.octets, interface.mtu, style=fragments.BSD)
        except ValueError:
            self._drop(packet, Reason.NEEDS_FRAGMENTING)
            return errno.EMSGSIZE
        self._ledger.generated += len(pieces) - 1
        result = 0
        for piece in pieces:
            result = self._transmit(packet.with_octets(piece), route) or result
        return result

    def _transmit(self, packet: Packet, route: Route) -> int:
        if route.kind is RouteKind.LOCAL:
            packet.received_on = route.interface
            packet.leaving_by = None
            return self._input(packet) and 0
        next_hop = packet.next_hop if packet.next_hop is not None else route.gateway
        return self.node.transmit(packet, route.interface, next_hop)

    # == what a divert socket writes ===============================================================================

    def inject_in(self, packet: Packet) -> int:
        """Incoming: ip_input from its start.  What becomes of it is not told (W-18)."""
        if self.profile.restores_broadcast:
            packet.link_broadcast = self._is_for_many(packet.destination)
        self._input(packet)
        return 0

    def inject_out(self, packet: Packet, *, dont_route: bool = False) -> int:
        """Outgoing: ip_output, whose errors are those of the write (W-13 to W-17)."""
        return self._output(packet, dont_route=dont_route)


def _header_fault(packet: Packet) -> Reason:
    """Which header test a datagram fails, in the kernel's order (H-2)."""
    if len(packet.octets) < 20:
        return Reason.TOO_SHORT
    if packet.version == 6:
        return Reason.NOT_IPV4
    return Reason.BAD_VERSION if packet.version != 4 else Reason.BAD_HEADER_LENGTH
