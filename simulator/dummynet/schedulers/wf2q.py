"""WF2Q+: worst-case fair weighted fair queueing (dn_sched_wf2q.c; Bennett and Zhang, 1997).

Every queue has a virtual start and finish time; of the queues whose start is not in the virtual future, the one that
finishes first is served, so that each gets bandwidth by its weight, never more than a packet ahead of its share.  Times
are integers with 28 fractional bits, as in the kernel.
"""

from __future__ import annotations

from simulator.dummynet.heap import Heap
from simulator.dummynet.held import Held
from simulator.dummynet.queue import Queue

__all__ = ["Wf2q"]

_ONE = 1 << 28


class _Flow:
    """A queue with its virtual times; ``heap`` is where it is, ``entry`` the number of its place there."""

    __slots__ = ("entry", "finish", "heap", "inverse", "queue", "start", "weight")

    def __init__(self, queue: Queue, weight: int) -> None:
        self.queue = queue
        self.weight = weight
        self.inverse = _ONE // weight
        self.finish = 0
        self.start = 1
        """Later than ``finish``: both mean nothing."""
        self.heap: Heap[_Flow] | None = None
        self.entry = 0


class Wf2q:
    """One instance, with the virtual time of its own."""

    def __init__(self) -> None:
        self._flows: dict[Queue, _Flow] = {}
        self._eligible: Heap[_Flow] = Heap()
        """By finish time."""
        self._waiting: Heap[_Flow] = Heap()
        """Not eligible yet, by start time."""
        self._idle: Heap[_Flow] = Heap()
        """Empty queues whose times still mean something, by finish time."""
        self._time = 0
        self._weights = 0
        self._inverse = 0

    def join(self, queue: Queue, weight: int, lmax: int) -> None:
        self._flows[queue] = _Flow(queue, weight)

    def leave(self, queue: Queue) -> None:
        flow = self._flows.pop(queue)
        if flow.heap is not None:
            flow.heap.remove(flow)
            self._weigh(-flow.weight)

    def place(self, queue: Queue) -> Queue:
        return queue

    def _weigh(self, change: int) -> None:
        self._weights += change
        if self._weights > 0:
            self._inverse = _ONE // self._weights

    def backlogged(self, queue: Queue) -> None:
        flow = self._flows[queue]
        if flow.finish < flow.start:
            flow.start = self._time
            self._weigh(flow.weight)
        else:
            self._idle.remove(flow)
            flow.start = max(flow.finish, self._time)
        flow.finish = flow.start + queue.packets[0].length * flow.inverse
        if not len(self._waiting) and not len(self._eligible):
            self._time = max(flow.start, self._time)
        self._file(flow)

    def _file(self, flow: _Flow) -> None:
        if self._time < flow.start:
            self._waiting.add(flow.start, flow)
        else:
            self._eligible.add(flow.finish, flow)

    def _forget_idle(self, most: int | None) -> None:
        """Empty queues whose time is over weigh no more; ``most`` of them, None for all whatever their time."""
        left = len(self._idle) if most is None else min(most, len(self._idle))
        for _ in range(left):
            if most is not None and self._idle.first()[0] >= self._time:
                return
            flow = self._idle.pop()
            flow.start = flow.finish + 1
            self._weigh(-flow.weight)

    def _advance(self) -> None:
        """Let the virtual time come to the first start when nobody is eligible, and file whoever has become so."""
        if not len(self._eligible) and len(self._waiting):
            self._time = max(self._time, self._waiting.first()[0])
        while len(self._waiting) and self._waiting.first()[0] <= self._time:
            flow = self._waiting.pop()
            self._eligible.add(flow.finish, flow)

    def dequeue(self, now: int) -> Held | None:
        if not len(self._eligible) and not len(self._waiting):
            self._forget_idle(None)
            self._time = self._weights = 0
            return None
        self._forget_idle(1)
        self._advance()
        flow = self._eligible.pop()
        held = flow.queue.popleft(now)
        self._time += held.length * self._inverse
        flow.start = flow.finish
        if flow.queue:
            flow.finish += flow.queue.packets[0].length * flow.inverse
            self._file(flow)
        else:
            self._idle.add(flow.finish, flow)
        self._advance()
        return held
