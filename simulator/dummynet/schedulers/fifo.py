"""FIFO: one queue (dn_sched_fifo.c)."""

from __future__ import annotations

from simulator.dummynet.held import Held
from simulator.dummynet.queue import Queue

__all__ = ["Fifo"]


class Fifo:
    """Serves the queue that joined it."""

    def __init__(self) -> None:
        self._queue: Queue | None = None

    def join(self, queue: Queue, weight: int, lmax: int) -> None:
        self._queue = queue

    def leave(self, queue: Queue) -> None:
        self._queue = None

    def place(self, queue: Queue) -> Queue:
        return queue

    def backlogged(self, queue: Queue) -> None:
        pass

    def dequeue(self, now: int) -> Held | None:
        return self._queue.popleft(now) if self._queue else None
