"""ipfw where a BSD's packet path calls it: one search of the rule list, and what its verdict does (bsd.md section 8).

A pass ends with the packet that goes on, or with the errno that a local sender gets.  The tag that a divert socket's
writer gave is used up by the pass (X-6); a tee or a reass, and where one_pass is off a nat and what a pipe or queue
held, goes on in the same pass, behind its own rule (X-10, T-8, E-36).
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from rules.fields import TCP
from rules.ipfw import Action, RuleSet, Verdict
from simulator.icmp_errors import Error
from simulator.ledger import Reason
from simulator.node import Node
from simulator.packet import Packet
from simulator.paths.bsd_divert import FRAGMENT_BITS, Direction, Diversion
from simulator.paths.bsd_icmp import BsdIcmp
from simulator.paths.bsd_nat import Nat
from simulator.paths.bsd_pipes import Pipes
from simulator.trace import Kind
from simulator.wire import tcp

__all__ = ["Firewall"]

SendReset = Callable[[int, int, bytes], object]
"""(source, destination, segment): sends a TCP reset that no pass looks at (H-9)."""


class Firewall:
    """The two hooks."""

    def __init__(
        self,
        node: Node,
        rules: RuleSet,
        diversion: Diversion,
        pipes: Pipes,
        icmp: BsdIcmp,
        nat: Nat,
        send_reset: SendReset,
    ) -> None:
        self._node = node
        self._tracer = node.tracer
        self._rules = rules
        self._evaluate = rules.evaluate
        self._diversion = diversion
        self._pipes = pipes
        self._icmp = icmp
        self._nat = nat
        self._send_reset = send_reset

    def inspect(self, packet: Packet, direction: Direction) -> Packet | int:
        """One pass: the packet that goes on (another one after reass), or an errno, 0 when nobody is told."""
        held = packet.released
        if held is None:
            verdict = self._evaluate(packet, packet.start_after, calls=packet.calls)
        else:
            packet.released = None
            if held.resume is None:
                return packet
            verdict = self._evaluate(packet, resume=held.resume)
        while True:
            if self._tracer.listening:
                self._record(packet, direction, verdict)
            if verdict.log:
                self._node.messages.extend(verdict.log)
            packet.tags = verdict.tags
            packet.calls = verdict.calls
            if verdict.tos is not None and verdict.tos != packet.tos:
                packet.set_tos(verdict.tos)
                packet.fix_checksum()
            action = verdict.action
            if action is Action.ALLOW:
                break
            if action is Action.DENY:
                self._node.drop(packet, Reason.DENIED)
                return errno.EACCES
            if action is Action.DIVERT:
                self._diversion.divert(packet, verdict, direction)
                return 0
            if action is Action.FWD:
                assert verdict.next_hop is not None
                packet.next_hop, packet.redirect_port = verdict.next_hop
                break
            if action is Action.NAT:
                if not self._nat.translate(packet, verdict.number, direction):
                    self._node.drop(packet, Reason.NAT_REFUSED)
                    return errno.EACCES
                if verdict.resume is None:
                    break
                verdict = self._evaluate(packet, resume=verdict.resume)
                continue
            if action is Action.UNREACH or action is Action.RESET:
                return self._refuse(packet, verdict)
            if action is Action.PIPE or action is Action.QUEUE:
                error = self._pipes.enter(packet, verdict, direction)
                if error is not None:
                    return error
                if verdict.resume is None:
                    break
                verdict = self._evaluate(packet, resume=verdict.resume)
                continue
            continuing = self._aside(packet, verdict, direction)
            if continuing is None:
                # F-11, F-14, DF-6: what reass keeps was denied, what divert, tee or defrag keeps is well.
                return errno.EACCES if action is Action.REASS else 0
            packet = continuing
            if verdict.resume is None:
                break
            verdict = self._evaluate(packet, resume=verdict.resume)
        packet.start_after = 0
        packet.reinjected = None
        return packet

    def _record(self, packet: Packet, direction: Direction, verdict: Verdict) -> None:
        rule = "-" if verdict.rule is None else str(verdict.rule)
        self._tracer.record(
            Kind.FIREWALL,
            packet,
            hook=direction,
            rule=rule,
            text=self._rules.words_of(verdict),
            matched=tuple(map(str, verdict.counted)),
            verdict=verdict.action.value,
            port=verdict.port or verdict.number or None,
        )

    def _aside(self, packet: Packet, verdict: Verdict, direction: Direction) -> Packet | None:
        """tee, reass and defrag: what goes on in this pass."""
        if verdict.action is Action.TEE:
            return self._diversion.tee(packet, verdict, direction)
        return self._diversion.reassemble(packet) if packet.fragment & FRAGMENT_BITS else packet

    def _refuse(self, packet: Packet, verdict: Verdict) -> int:
        """unreach and reset: an answer, though not to everything (E-30); then as deny (H-6)."""
        if verdict.replies:
            if verdict.action is Action.UNREACH:
                self._icmp.report(packet, Error(3, verdict.code))
            else:
                self._reset(packet)
        self._node.drop(packet, Reason.REJECTED)
        return errno.EACCES

    def _reset(self, packet: Packet) -> None:
        """E-31."""
        flags = packet.tcp_flags or 0
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
        assert packet.protocol == TCP
        self._send_reset(packet.destination, packet.source, segment)
