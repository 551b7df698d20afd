"""Who is served next: the schedulers of dummynet since FreeBSD 8, one a file.

A scheduler is told when a queue joins and leaves it and when an empty queue gets a packet; asked for the next packet,
it takes it from one of its queues.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from simulator.dummynet.held import Held
from simulator.dummynet.queue import Queue
from simulator.dummynet.schedulers.fifo import Fifo
from simulator.dummynet.schedulers.prio import Prio
from simulator.dummynet.schedulers.qfq import Qfq
from simulator.dummynet.schedulers.rr import RoundRobin
from simulator.dummynet.schedulers.wf2q import Wf2q

__all__ = ["SCHEDULERS", "Discipline"]


class Discipline(Protocol):
    """What an instance of a scheduler asks of its type."""

    def join(self, queue: Queue, weight: int, lmax: int) -> None:
        """A queue, empty, with its flow set's parameters."""

    def leave(self, queue: Queue) -> None:
        """A queue goes away, with whatever is in it."""

    def place(self, queue: Queue) -> Queue:
        """The queue that really takes what is sent to this one."""

    def backlogged(self, queue: Queue) -> None:
        """An empty queue has a packet now."""

    def dequeue(self, now: int) -> Held | None:
        """The next packet, out of its queue; ``now`` in ticks."""


SCHEDULERS: dict[str, Callable[[], Discipline]] = {
    "FIFO": Fifo,
    "WF2Q+": Wf2q,
    "RR": RoundRobin,
    "QFQ": Qfq,
    "PRIO": Prio,
}
"""By the name of the type."""
