"""What divert and tee rules do with a packet on a BSD (bsd.md sections 3, 6 and 7; divert_packet, ipfw_divert).

The way to the socket: reassembly where the system does so first, the address that a reader gets, the socket's queue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from rules.fields import MORE_FRAGMENTS, OFFSET_MASK
from rules.ipfw import Verdict
from simulator.collecting import Collecting
from simulator.fragments import BsdReassembly
from simulator.ledger import Reason
from simulator.node import Node
from simulator.packet import Packet
from simulator.paths.bsd_counters import IpCounters
from simulator.profiles import BsdProfile
from simulator.sockets.address import BSD_LAYOUT, Address
from simulator.sockets.divert import DivertPorts
from simulator.trace import Kind

__all__ = ["FRAGMENT_BITS", "Direction", "Diversion"]

Direction = Literal["in", "out"]
"""Which of the two passes."""

FRAGMENT_BITS = MORE_FRAGMENTS | OFFSET_MASK
"""The bits of the fragment field of which a whole datagram has none."""

_REMEMBERED = 4096


class Diversion:
    """Hands packets to divert sockets."""

    def __init__(self, node: Node, profile: BsdProfile, ports: DivertPorts, counters: IpCounters) -> None:
        self.reassembly: BsdReassembly[Packet] = BsdReassembly(profile.reassembly)
        """The host's one reassembly, shared with local delivery (F-8)."""
        self._collecting = Collecting(node, self.reassembly)
        self._node = node
        self._profile = profile
        self._counters = counters
        self._listeners = ports.listeners
        self._addresses: dict[tuple[int, int, str | None], Address] = {}
        self.deliver: Callable[[Packet], object] = lambda packet: None
        """What hands a datagram to this host's protocols; the path sets it."""

    def divert(self, packet: Packet, verdict: Verdict, direction: Direction) -> None:
        """To the socket; a fragment waits for the rest first, where the system does so (F-2, F-3)."""
        assert verdict.rule is not None
        packet.diverted_by = (verdict.rule, verdict.port)
        if packet.fragment & FRAGMENT_BITS and direction in self._profile.reassembles:
            whole = self.reassemble(packet)
            if whole is None:
                return
            packet = whole
            if packet.diverted_by is None:
                self._undiverted(packet)
                return
        self.to_socket(packet, direction)

    def _undiverted(self, packet: Packet) -> None:
        """A datagram whose first fragment was not diverted, though the one that completed it was (F-7)."""
        if self._profile.delivers_undiverted:
            self.deliver(packet)
        else:
            self._node.messages.append("ip_input no divert info")
            self._node.drop(packet, Reason.REASSEMBLY_FAILED)

    def tee(self, packet: Packet, verdict: Verdict, direction: Direction) -> Packet | None:
        """A copy to the socket; what goes on, which is None while a fragment waits (T-1, T-7)."""
        assert verdict.rule is not None
        packet.diverted_by = (verdict.rule, verdict.port)
        profile = self._profile
        if profile.reassembles_tee and packet.fragment & FRAGMENT_BITS and direction in profile.reassembles:
            whole = self.reassemble(packet)
            if whole is None:
                return None
            packet = whole
        node = self._node
        twin = packet.copy()
        twin.diverted_by = packet.diverted_by or (verdict.rule, verdict.port)
        node.ledger.generated += 1
        if node.tracer.listening:
            node.tracer.record(Kind.COPIED, twin, detail=f"of #{packet.number}", port=verdict.port)
        self.to_socket(twin, direction)
        packet.diverted_by = None
        packet.reinjected = None
        return packet

    def to_socket(self, packet: Packet, direction: Direction) -> None:
        """Queue it for the reader; no reader, no room: dropped in silence, even for a local sender (R-17, R-19)."""
        assert packet.diverted_by is not None
        node = self._node
        rule, port = packet.diverted_by
        sock = self._listeners.get(port)
        if sock is None:
            self._counters.unheard += self._profile.counts_unheard
            node.drop(packet, Reason.NO_LISTENER)
            return
        interface = packet.received_on
        host = (interface.address or 0) if interface is not None and direction == "in" else 0
        key = (host, rule, interface.name if interface is not None else None)
        address = self._addresses.get(key)
        if address is None:
            if len(self._addresses) >= _REMEMBERED:
                self._addresses.clear()
            address = self._addresses[key] = self._address(*key)
        if not sock.enqueue(packet.octets, address):
            self._counters.unheard += self._profile.counts_overflow
            node.drop(packet, Reason.SOCKET_FULL)
            return
        node.ledger.diverted += 1
        if node.tracer.listening:
            node.tracer.record(Kind.DIVERTED, packet, port=port, address=f"{address[0]}:{address[1]}")

    def _address(self, host: int, rule: int, interface: str | None) -> Address:
        """R-2 to R-7: the rule as port, and the receive interface's name, seven characters of it, in sin_zero."""
        return Address(
            host,
            rule,
            interface=interface,
            zero=(interface or "").encode()[:7].ljust(8, b"\0"),
            layout=BSD_LAYOUT,
            swap=self._profile.tag_byte_order == "host",
        )

    def reassemble(self, packet: Packet) -> Packet | None:
        """The whole datagram when this fragment completes it, and whose rule and interface it has (F-5, F-6)."""

        def make(first: Packet, octets: bytes) -> Packet:
            whole = (first if self._profile.reassembled_interface_of == "first" else packet).with_octets(octets)
            whole.diverted_by = (first if self._profile.reassembled_rule_of == "first" else packet).diverted_by
            whole.leaving_by = packet.leaving_by
            return whole

        return self._collecting.add(packet, make)
