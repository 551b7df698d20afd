"""A queue of packets, and which packets it takes (dn_enqueue of ip_dn_io.c)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from rules.ipfw.pipes.values import FlowCount, FlowId, FlowSet
from simulator.dummynet.held import Held
from simulator.dummynet.red import Curve, RedState

__all__ = ["Queue", "lost"]

_RANDOM = 0x80000000
"""random(3) gives 31 bits."""


class Queue:
    """One flow's packets, first in first out, with its counters."""

    __slots__ = ("drops", "flow", "octets", "packets", "queued_octets", "red", "total")

    def __init__(self, flow: FlowId) -> None:
        self.flow = flow
        self.packets: deque[Held] = deque()
        self.queued_octets = 0
        self.total = 0
        """Packets that ever came, dropped ones included."""
        self.octets = 0
        self.drops = 0
        self.red = RedState()

    def __bool__(self) -> bool:
        return bool(self.packets)

    def count(self, slot: int) -> FlowCount:
        """A line of the listing."""
        return FlowCount(slot, self.flow, self.total, self.octets, len(self.packets), self.queued_octets, self.drops)

    def arrives(self, length: int) -> None:
        """Counted, whatever becomes of it."""
        self.total += 1
        self.octets += length

    def is_full(self, flow_set: FlowSet) -> bool:
        """A limit in octets may be passed by the packet that reaches it."""
        if flow_set.in_octets:
            return self.queued_octets > flow_set.size
        return len(self.packets) >= flow_set.size

    def dropped_early(
        self, flow_set: FlowSet, curve: Curve, length: int, now: int, chance: Callable[[], float]
    ) -> bool:
        """What RED says."""
        size = self.queued_octets if flow_set.in_octets else len(self.packets)
        return self.red.drops(curve, size, length, now, chance, in_octets=flow_set.in_octets)

    def append(self, held: Held) -> None:
        self.packets.append(held)
        self.queued_octets += held.length

    def popleft(self, now: int) -> Held:
        held = self.packets.popleft()
        self.queued_octets -= held.length
        if not self.packets:
            self.red.empty_since = now
        return held


def lost(flow_set: FlowSet, chance: Callable[[], float]) -> bool:
    """``plr``."""
    return bool(flow_set.loss) and int(chance() * _RANDOM) < flow_set.loss
