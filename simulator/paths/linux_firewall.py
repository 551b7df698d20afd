"""Asking a chain of Linux about a packet, and doing what the rules want besides the verdict."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import replace

from rules.ipchains.chains import Chain, Chains
from rules.ipchains.engine import traverse
from rules.ipchains.rule import Action
from rules.ipchains.verdict import Verdict
from simulator.interfaces import Interface
from simulator.node import Node
from simulator.packet import Packet
from simulator.profiles import LinuxProfile
from simulator.sockets.netlink import copy_message
from simulator.trace import Kind

__all__ = ["LinuxFirewall"]


class LinuxFirewall:
    """The chains as the packet path meets them."""

    def __init__(
        self,
        node: Node,
        profile: LinuxProfile,
        chains: Chains,
        listeners: Container[int],
        post: Callable[[bytes], object],
    ) -> None:
        """``post`` takes the copies that ``-o`` rules ask for (:mod:`simulator.sockets.netlink`)."""
        self._chains = chains
        self._post = post
        self._tracer = node.tracer
        self._messages = node.messages
        self._switches = profile.rules
        self._listeners = listeners
        unheard_goes = profile.pass_through_goes if profile.pass_through else None
        self._passes_through = listeners if unheard_goes == "to the next rule" else None
        self._accepts_unheard = unheard_goes == "accepted"
        self._passes_by = not self._switches.short_packets_denied

    def consult(self, chain: Chain, packet: Packet, interface: Interface) -> Verdict:
        """The chain's verdict, its other effects done: log lines, TOS, mark, copies (F31, F33 to F35)."""
        verdict = chain.pass_by(packet) if self._passes_by else None
        if verdict is None:
            verdict = self._search(chain, packet, interface)
        if self._tracer.listening:
            self._tracer.record(
                Kind.FIREWALL,
                packet,
                hook=chain.name,
                rule=verdict.rule,
                text=self._chains.words_of(verdict.rule),
                matched=verdict.matched,
                verdict=verdict.action.name,
                port=verdict.port,
            )
        if verdict.copies:
            self._copy(packet, verdict)
        if verdict.changed or verdict.log:
            self._take_effect(packet, verdict)
        return verdict

    def _search(self, chain: Chain, packet: Packet, interface: Interface) -> Verdict:
        verdict = traverse(
            chain,
            packet,
            interface.name,
            self._switches,
            diverted=packet.diverted,
            listening=self._passes_through,
        )
        if self._accepts_unheard and verdict.action is Action.DIVERT and verdict.port not in self._listeners:
            verdict = replace(verdict, action=Action.ACCEPT, port=None)
        return verdict

    def _copy(self, packet: Packet, verdict: Verdict) -> None:
        """N1: with each rule's TOS and mark, and the header checksum from before."""
        for copy in verdict.copies:
            self._post(copy_message(copy, packet.octets, packet.total_length))
            if self._tracer.listening:
                wanted = min(copy.size, packet.total_length)
                self._tracer.record(Kind.COPIED, packet, detail=f"to netlink, {wanted} octets")

    def _take_effect(self, packet: Packet, verdict: Verdict) -> None:
        self._messages.extend(verdict.log)
        changes = []
        if verdict.mark != packet.mark:
            changes.append(f"mark {packet.mark:#x} -> {verdict.mark:#x}")
            packet.mark = verdict.mark
        if verdict.tos != packet.tos:
            changes.append(f"tos {packet.tos:#04x} -> {verdict.tos:#04x}")
            packet.set_tos(verdict.tos)
            if verdict.action not in (Action.DENY, Action.REJECT):
                packet.fix_checksum()
        if changes and self._tracer.listening:
            self._tracer.record(Kind.CHANGED, packet, detail=", ".join(changes))
