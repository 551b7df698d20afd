"""PRIO: strict priorities, 0 first (dn_sched_prio.c).  A flow set's ``weight`` is its priority.

Of several queues with one priority, the one that has packets takes those of the others, too, as in the kernel.
"""

from __future__ import annotations

from simulator.dummynet.held import Held
from simulator.dummynet.queue import Queue

__all__ = ["Prio"]


class Prio:
    """Serves the backlogged queue of the lowest number."""

    def __init__(self) -> None:
        self._priority: dict[Queue, int] = {}
        self._backlogged: dict[int, Queue] = {}

    def join(self, queue: Queue, weight: int, lmax: int) -> None:
        self._priority[queue] = weight

    def leave(self, queue: Queue) -> None:
        priority = self._priority.pop(queue)
        if self._backlogged.get(priority) is queue:
            del self._backlogged[priority]

    def place(self, queue: Queue) -> Queue:
        return self._backlogged.get(self._priority[queue], queue)

    def backlogged(self, queue: Queue) -> None:
        self._backlogged[self._priority[queue]] = queue

    def dequeue(self, now: int) -> Held | None:
        if not self._backlogged:
            return None
        priority = min(self._backlogged)
        queue = self._backlogged[priority]
        held = queue.popleft(now)
        if not queue:
            del self._backlogged[priority]
        return held
