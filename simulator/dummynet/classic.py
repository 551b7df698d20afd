"""dummynet of FreeBSD 4 and DragonFly (ip_dummynet.c).

    pipe N   -> the pipe's own flow set -> queue of the flow -> (plr, length, RED) -> leaves at its finish time -> link
    queue N  -> flow set -> queue of the flow -> (plr, length, RED) -> WF2Q+ among the pipe's queues -> link

With a mask on a pipe, every flow has the whole bandwidth for itself.  Virtual times have sixteen fractional bits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from rules.ipfw.pipes.classic import ClassicPipes, Pipe
from rules.ipfw.pipes.values import SPAN, FlowCount, FlowId, FlowSet
from simulator.dummynet.flowtable import ClassicQueue, FlowTable
from simulator.dummynet.heap import Heap
from simulator.dummynet.held import KEPT, Answer, Held, Outlet
from simulator.dummynet.queue import lost
from simulator.dummynet.red import classic_curve
from simulator.dummynet.ticks import Event, Ticks
from simulator.ledger import Reason

__all__ = ["ClassicDummynet"]

_FRACTION = 16
_READY, _FAIR, _LINK = range(3)
"""Ranks of a tick's events: fixed-rate queues, weighted ones, links."""


class _Line:
    """A pipe's link, and the WF2Q+ state of its queues."""

    __slots__ = (
        "credit",
        "eligible",
        "event",
        "idle",
        "packets",
        "scheduled",
        "served_at",
        "swept",
        "time",
        "waiting",
        "weights",
    )

    def __init__(self, now: int) -> None:
        self.packets: deque[Held] = deque()
        self.scheduled: Event | None = None
        self.event: Event | None = None
        """Of the weighted queues."""
        self.credit = 0
        """Bits times HZ; below 0 while a weighted queue's packet is being sent."""
        self.served_at = 0
        self.time = 0
        self.weights = 0
        self.eligible: Heap[ClassicQueue] = Heap()
        self.waiting: Heap[ClassicQueue] = Heap()
        self.idle: Heap[ClassicQueue] = Heap()
        self.swept = now

    def sweep(self, upto: int) -> None:
        """Every tick forgets one empty queue whose time is over."""
        ticks, self.swept = upto - self.swept, max(upto, self.swept)
        while ticks > 0 and len(self.idle) and self.idle.first()[0] < self.time:
            queue = self.idle.pop()
            queue.start = queue.finish + 1
            self.weights -= queue.weight
            ticks -= 1


class ClassicDummynet:
    """The traffic of a :class:`~rules.ipfw.pipes.classic.ClassicPipes`."""

    def __init__(
        self,
        pipes: ClassicPipes,
        ticks: Ticks,
        chance: Callable[[], float],
        outlet: Outlet,
        *,
        expire: bool,
    ) -> None:
        self._pipes = pipes
        self._ticks = ticks
        self._chance = chance
        self._outlet = outlet
        self._expires = expire
        self._lines: dict[int, _Line] = {}
        self._tables: dict[int, FlowTable] = {}

    # A packet comes

    def enter(self, held: Held, flow: FlowId, number: int) -> Answer:
        """A packet for the flow set ``number``."""
        now = self._ticks.now
        flow_set = self._pipes.flow_sets.get(number)
        if flow_set is None:
            return Answer(Reason.PIPE_MISSING)
        pipe = self._pipes.pipe_of(flow_set)
        if pipe is None:
            return Answer(Reason.PIPE_MISSING, silent=flow_set.noerror)
        line = self._line(pipe, now)
        line.sweep(now)
        queue = self._table(flow_set).find(flow, flow_set, now / self._ticks.hz, expire=self._expires)
        queue.arrives(held.length)
        reason = self._refuses(queue, flow_set, pipe, held, now)
        if reason is not None:
            queue.drops += 1
            return Answer(reason, silent=flow_set.noerror)
        queue.append(held)
        if len(queue.packets) == 1:
            if number >= SPAN:
                self._start(queue, pipe, now)
            else:
                self._start_weighted(queue, pipe, line, now)
        return KEPT

    def _refuses(self, queue: ClassicQueue, flow_set: FlowSet, pipe: Pipe, held: Held, now: int) -> Reason | None:
        if lost(flow_set, self._chance):
            return Reason.PIPE_LOSS
        if queue.is_full(flow_set):
            return Reason.PIPE_FULL
        if flow_set.red is not None:
            own = flow_set.number == pipe.flow_set
            curve = classic_curve(flow_set.red, pipe.link.bandwidth if own else 0, self._ticks.hz)
            if queue.dropped_early(flow_set, curve, held.length, now, self._chance):
                return Reason.PIPE_RED
        return None

    def _line(self, pipe: Pipe, now: int) -> _Line:
        line = self._lines.get(pipe.number)
        if line is None:
            line = self._lines[pipe.number] = _Line(now)
        return line

    def _table(self, flow_set: FlowSet) -> FlowTable:
        table = self._tables.get(flow_set.number)
        if table is None:
            table = self._tables[flow_set.number] = FlowTable(flow_set.buckets, flow_set.weight)
        return table

    def _scaled(self, length: int, pipe: Pipe) -> int:
        """What a packet costs: bits times HZ, nothing without a limit."""
        return length * 8 * self._ticks.hz if pipe.link.bandwidth else 0

    # Fixed-rate queues: what ``pipe`` rules send

    def _start(self, queue: ClassicQueue, pipe: Pipe, now: int) -> None:
        queue.served_at = now
        wait = self._wait(queue, pipe)
        if wait <= 0:
            self._ready(queue, pipe.number)
        else:
            queue.event = self._ticks.at(now + wait, partial(self._ready, queue, pipe.number), rank=_READY)

    def _wait(self, queue: ClassicQueue, pipe: Pipe) -> int:
        """Ticks until the first packet's last bit is sent."""
        bandwidth = pipe.link.bandwidth
        if not bandwidth:
            return 0
        return (queue.packets[0].length * 8 * self._ticks.hz - queue.credit + bandwidth - 1) // bandwidth

    def _ready(self, queue: ClassicQueue, number: int) -> None:
        """The first packet's time has come: what the credit allows goes on the link (ready_event)."""
        now = self._ticks.now
        queue.event = None
        pipe = self._pipes.pipes[number]
        line = self._line(pipe, now)
        was_empty = not line.packets
        queue.credit += (now - queue.served_at) * pipe.link.bandwidth
        while queue and self._scaled(queue.packets[0].length, pipe) <= queue.credit:
            queue.credit -= self._scaled(queue.packets[0].length, pipe)
            self._onto_link(queue, pipe, line, now)
        if queue:
            queue.served_at = now
            at = now + self._wait(queue, pipe)
            queue.event = self._ticks.at(at, partial(self._ready, queue, number), rank=_READY)
        else:
            queue.credit = 0
        if was_empty:
            self._transmit(line)

    def _onto_link(self, queue: ClassicQueue, pipe: Pipe, line: _Line, now: int) -> None:
        held = queue.popleft(now)
        held.due = now + pipe.link.delay * self._ticks.hz // 1000
        line.packets.append(held)

    def _transmit(self, line: _Line) -> None:
        """What is due leaves, one by one: each may cause anything (transmit_event)."""
        line.scheduled = None
        packets = line.packets
        while packets and packets[0].due <= self._ticks.now:
            self._outlet.leave(packets.popleft())
        if packets and line.scheduled is None:
            line.scheduled = self._ticks.at(packets[0].due, partial(self._transmit, line), rank=_LINK)

    # Weighted queues: what ``queue`` rules send

    def _start_weighted(self, queue: ClassicQueue, pipe: Pipe, line: _Line, now: int) -> None:
        if queue.start > queue.finish:
            queue.start = line.time
            line.weights += queue.weight
        else:
            line.idle.remove(queue)
            queue.start = max(queue.finish, line.time)
        queue.finish = queue.start + (queue.packets[0].length << _FRACTION) // queue.weight
        if not len(line.waiting) and not len(line.eligible):
            line.time = max(queue.start, line.time)
        if queue.start > line.time:
            line.waiting.add(queue.start, queue)
            return
        line.eligible.add(queue.finish, queue)
        if line.credit >= 0:
            line.served_at = now
            self._fair(pipe.number)

    def _fair(self, number: int) -> None:
        """Serve weighted queues while there is credit (ready_event_wfq)."""
        now = self._ticks.now
        pipe = self._pipes.pipes[number]
        line = self._line(pipe, now)
        line.sweep(now - 1)
        line.event = None
        was_empty = not line.packets
        bandwidth = pipe.link.bandwidth
        line.credit += (now - line.served_at) * bandwidth
        while line.credit >= 0 and (len(line.eligible) or len(line.waiting)):
            if len(line.eligible):
                self._serve_one(line, pipe, now)
            if not len(line.eligible) and len(line.waiting):
                line.time = max(line.time, line.waiting.first()[0])
            while len(line.waiting) and line.waiting.first()[0] <= line.time:
                queue = line.waiting.pop()
                line.eligible.add(queue.finish, queue)
        if not len(line.eligible) and not len(line.waiting) and line.credit >= 0:
            while len(line.idle):
                queue = line.idle.pop()
                queue.start, queue.finish = 1, 0
                line.weights = line.time = 0
        if line.credit < 0:
            ticks = (bandwidth - 1 - line.credit) // bandwidth if bandwidth else 0
            if line.packets:
                line.packets[-1].due += ticks
            line.served_at = now
            line.event = self._ticks.at(now + ticks, partial(self._fair, number), rank=_FAIR)
        if was_empty:
            self._transmit(line)

    def _serve_one(self, line: _Line, pipe: Pipe, now: int) -> None:
        """The queue that finishes first.  One that is not eligible again is filed as if it were, as in the kernel."""
        queue = line.eligible.pop()
        length = queue.packets[0].length
        line.credit -= self._scaled(length, pipe)
        self._onto_link(queue, pipe, line, now)
        line.time += (length << _FRACTION) // line.weights
        queue.start = queue.finish
        if not queue:
            line.idle.add(queue.finish, queue)
            return
        queue.finish += (queue.packets[0].length << _FRACTION) // queue.weight
        if queue.start <= line.time:
            line.waiting.add(queue.start, queue)
        else:
            line.eligible.add(queue.finish, queue)

    # The configuration asks and tells (rules.ipfw.pipes.values.Traffic)

    def instances(self, scheduler: int) -> Sequence[FlowCount]:
        return ()

    def queues(self, flow_set: int) -> Sequence[FlowCount]:
        table = self._tables.get(flow_set)
        return [] if table is None else [queue.count(queue.slot) for queue in table]

    def link_changed(self, scheduler: int) -> None:
        pipe = self._pipes.pipes[scheduler]
        for queue in self._tables.get(pipe.flow_set, ()):
            queue.credit = 0
        if scheduler in self._lines:
            self._lines[scheduler].credit = 0

    def scheduler_gone(self, scheduler: int) -> None:
        line = self._lines.pop(scheduler, None)
        if line is None:
            return
        for event in (line.event, line.scheduled):
            if event is not None:
                event.cancel()
        self._lose(line.packets)

    def queues_gone(self, flow_set: int) -> None:
        table = self._tables.pop(flow_set, None)
        if table is None:
            return
        for queue in table:
            if queue.event is not None:
                queue.event.cancel()
            self._out_of_line(queue, flow_set)
            self._lose(queue.packets)

    def _out_of_line(self, queue: ClassicQueue, flow_set: int) -> None:
        """A weighted queue weighs no more; the kernel forgets that of an empty one."""
        owner = self._pipes.flow_sets.get(flow_set)
        line = self._lines.get(owner.scheduler) if owner is not None else None
        if line is None or queue.heap is None:
            return
        if queue:
            line.weights -= queue.weight
        queue.heap.remove(queue)

    def _lose(self, packets: Sequence[Held]) -> None:
        for held in [*packets]:
            self._outlet.lose(held, Reason.PIPE_DELETED)
