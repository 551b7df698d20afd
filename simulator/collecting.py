"""A reassembly inside a router: the ledger's entries, the timers and the kernel messages that go with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from simulator.clock import Timer
from simulator.fragments import Lost, Outcome, Result, Timeout
from simulator.node import Node
from simulator.packet import Packet
from simulator.trace import Kind

__all__ = ["Collecting", "Reassembly"]


class Reassembly(Protocol):
    """Either family's procedure."""

    def add(self, octets: bytes, now: float, item: Packet) -> Result[Packet]: ...

    def expire(self, now: float) -> list[Timeout[Packet]]: ...

    def next_deadline(self) -> float | None: ...


class Collecting:
    """Takes fragments, gives whole datagrams."""

    def __init__(
        self, node: Node, reassembly: Reassembly, on_timeout: Callable[[Timeout[Packet]], None] | None = None
    ) -> None:
        self.reassembly = reassembly
        self._node = node
        self._on_timeout = on_timeout
        self._timer: Timer | None = None

    def add(self, packet: Packet, make: Callable[[Packet, bytes], Packet] = Packet.with_octets) -> Packet | None:
        """A packet that is no fragment goes on as it is; a fragment is held, or completes the whole datagram.

        ``make`` gives that datagram, from its lowest fragment and its octets.  None: the packet goes no further here,
        and its fate is in the ledger.
        """
        result = self._take(packet)
        if result.outcome is Outcome.PASSED:
            return packet
        if result.outcome is not Outcome.REASSEMBLED:
            return None
        assert result.octets is not None
        assert result.lowest is not None
        whole = make(result.lowest, result.octets)
        tracer = self._node.tracer
        if tracer.listening:
            tracer.record(Kind.GENERATED, whole, detail=f"from {len(result.merged)} fragments")
            for part in result.merged:
                tracer.record(Kind.MERGED, part, detail=f"into #{whole.number}")
        return whole

    def _take(self, packet: Packet) -> Result[Packet]:
        """What became of one packet; every fate but that of a packet that goes on is in the ledger afterwards."""
        node = self._node
        now = node.clock.now()
        deadline = self.reassembly.next_deadline()
        if deadline is not None and deadline <= now:  # the wall clock's timers fire a little late
            self._expire()
        result = self.reassembly.add(packet.octets, now, packet)
        node.messages.extend(result.log)
        outcome = result.outcome
        if outcome is not Outcome.PASSED:
            node.ledger.held += 1
            if outcome is Outcome.HELD and node.tracer.listening:
                node.tracer.record(Kind.HELD, packet)
        self._lose(result.lost)
        if outcome is Outcome.REASSEMBLED:
            node.ledger.held -= len(result.merged)
            node.ledger.merged += len(result.merged)
            node.ledger.generated += 1
        self._set_timer()
        return result

    def _lose(self, lost: tuple[Lost[Packet], ...]) -> None:
        for packet, loss in lost:
            self._node.ledger.held -= 1
            self._node.drop(packet, loss.reason)

    def _set_timer(self) -> None:
        """One timer, at the first deadline or earlier: as fragments put their deadline off, it is left to fire in vain
        rather than set anew for each of them."""
        deadline = self.reassembly.next_deadline()
        if self._timer is not None and self._timer.action is not None:
            if deadline is not None and self._timer.when <= deadline:
                return
            self._timer.cancel()
        self._timer = None if deadline is None else self._node.clock.call_at(deadline, self._expire)

    def _expire(self) -> None:
        for timeout in self.reassembly.expire(self._node.clock.now()):
            self._lose(timeout.lost)
            if self._on_timeout is not None:
                self._on_timeout(timeout)
        self._set_timer()
