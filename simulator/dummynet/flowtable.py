"""The queues of a flow set in FreeBSD 4 and DragonFly: a hash table of lists (find_queue, create_queue)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rules.ipfw.pipes.values import FlowId, FlowSet
from simulator.dummynet.queue import Queue
from simulator.dummynet.ticks import Event

__all__ = ["ClassicQueue", "FlowTable"]

_MOST_PER_SLOT = 16
"""``net.inet.ip.dummynet.max_chain_len``"""


class ClassicQueue(Queue):
    """A queue with the credit of a fixed-rate one and the virtual times of a weighted one."""

    __slots__ = ("credit", "entry", "event", "finish", "heap", "served_at", "slot", "start", "weight")

    def __init__(self, flow: FlowId, slot: int, weight: int) -> None:
        super().__init__(flow)
        self.slot = slot
        self.weight = weight
        self.credit = 0
        self.served_at = 0
        self.event: Event | None = None
        self.finish = 0
        self.start = 1
        """Later than ``finish``: both mean nothing."""
        self.heap: Any = None
        self.entry = 0

    @property
    def idle(self) -> bool:
        """Empty, and without times that mean something."""
        return not self.packets and self.start == self.finish + 1


class FlowTable:
    """Slots of queues, in each the one used last first, and a slot for what there is no room for."""

    def __init__(self, slots: int, weight: int) -> None:
        self._weight = weight
        self._slots: list[list[ClassicQueue]] = [[] for _ in range(slots + 1)]
        self._size = 0
        self._expired_in: int | None = None

    def __iter__(self) -> Iterator[ClassicQueue]:
        for slot in self._slots:
            yield from slot

    def find(self, flow: FlowId, flow_set: FlowSet, seconds: float, *, expire: bool) -> ClassicQueue:
        """The queue of a flow, made if there is none.  Idle ones that are met on the way are forgotten."""
        if not flow_set.masked:
            found = self._slots[0]
            return found[0] if found else self._create(flow, 0, seconds)
        flow = flow.masked(flow_set.mask)
        slot = flow.short_hash % (len(self._slots) - 1)
        queues = self._slots[slot]
        for queue in [*queues]:
            if queue.flow == flow:
                queues.remove(queue)
                queues.insert(0, queue)
                return queue
            if expire and queue.idle:
                queues.remove(queue)
                self._size -= 1
        return self._create(flow, slot, seconds)

    def _create(self, flow: FlowId, slot: int, seconds: float) -> ClassicQueue:
        size = len(self._slots) - 1
        if self._size > size * _MOST_PER_SLOT and not self._expire(int(seconds)):
            slot = size
            if self._slots[slot]:
                return self._slots[slot][0]
        queue = ClassicQueue(flow, slot, self._weight)
        self._slots[slot].insert(0, queue)
        self._size += 1
        return queue

    def _expire(self, second: int) -> int:
        """Forget all that is idle, once a second; how many that were."""
        if self._expired_in == second:
            return 0
        self._expired_in = second
        before = self._size
        for queues in self._slots:
            queues[:] = [queue for queue in queues if not queue.idle]
        self._size = sum(map(len, self._slots))
        return before - self._size
