"""An instance of a scheduler: its queues, its credit, and what is on the link (serve_sched of ip_dn_io.c)."""

from __future__ import annotations

from collections import deque

from rules.ipfw.pipes.values import FlowCount, FlowId, Link
from simulator.dummynet.held import Held
from simulator.dummynet.queue import Queue
from simulator.dummynet.schedulers import Discipline
from simulator.dummynet.ticks import Event

__all__ = ["Instance"]


class Instance:
    """One flow's share of a scheduler with a mask, or the only one of a scheduler without."""

    __slots__ = (
        "credit",
        "discipline",
        "drops",
        "event",
        "flow",
        "idle_since",
        "line",
        "octets",
        "own",
        "queues",
        "scheduled",
        "scheduler",
        "served_at",
        "slot",
        "total",
    )

    def __init__(self, scheduler: int, flow: FlowId, slot: int, discipline: Discipline) -> None:
        self.scheduler = scheduler
        self.flow = flow
        self.slot = slot
        self.discipline = discipline
        self.own: Queue | None = None
        """FIFO's queue."""
        self.queues: set[Queue] = set()
        self.credit = 0
        """Bits times HZ that may be sent; below 0 while a packet is being sent."""
        self.served_at = 0
        self.idle_since = 0
        self.line: deque[Held] = deque()
        """What is on the link, in order of leaving."""
        self.event: Event | None = None
        """Set while the link is busy."""
        self.scheduled: Event | None = None
        """Set while something is on the link that is not due."""
        self.total = 0
        self.octets = 0
        self.drops = 0

    @property
    def active(self) -> bool:
        """The link is busy: what comes is queued."""
        return self.event is not None

    @property
    def idle(self) -> bool:
        """Nothing is here, and nothing will happen."""
        return not (self.active or self.line or self.own or self.queues)

    def count(self) -> FlowCount:
        """A line of the listing."""
        queues = [self.own] if self.own is not None else [*self.queues]
        queued = sum(len(queue.packets) for queue in queues)
        queued_octets = sum(queue.queued_octets for queue in queues)
        return FlowCount(self.flow.hash, self.flow, self.total, self.octets, queued, queued_octets, self.drops)

    def wake(self, link: Link, now: int, hz: int, *, io_fast: bool) -> None:
        """A packet comes to an idle link: what it may send at once."""
        if self.idle_since < now:
            self.served_at = now
            self.credit = link.bandwidth if io_fast else 0
            if link.burst:
                self.credit += min((now - self.idle_since) * link.bandwidth, link.burst * 8 * hz)

    def serve(self, link: Link, now: int, hz: int) -> int | None:
        """Put on the link what the credit allows; the tick at which to go on, None when there is nothing to do.

        A packet is on the link until its last bit is: it leaves after the ticks that its bits take, and the delay.
        """
        bandwidth = link.bandwidth
        self.credit = self.credit + (now - self.served_at) * bandwidth if bandwidth else 0
        self.served_at = now
        held = None
        delay = link.delay * hz // 1000
        while self.credit >= 0:
            held = self.discipline.dequeue(now)
            if held is None:
                self.idle_since = now
                return None
            if bandwidth:
                self.credit -= held.length * 8 * hz
            held.due = now + delay
            self.line.append(held)
        busy = (bandwidth - 1 - self.credit) // bandwidth
        if held is not None:
            held.due += busy
        return now + busy
