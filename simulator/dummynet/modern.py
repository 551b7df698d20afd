"""dummynet of FreeBSD 8 and later (ip_dn_io.c, ip_dummynet.c).

    rule -> flow set -> scheduler's instance -> queue -> (plr, RED, length) -> served by credit -> link -> out

A packet that is out in the tick in which it came goes on at once; every other leaves when its tick comes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from typing import Generic, TypeVar

from rules.ipfw.pipes.modern import ModernPipes, Scheduler, table_size
from rules.ipfw.pipes.values import FlowCount, FlowId, FlowMask, FlowSet
from simulator.dummynet.expiry import Sweep
from simulator.dummynet.held import KEPT, THROUGH, Answer, Held, Outlet
from simulator.dummynet.instance import Instance
from simulator.dummynet.queue import Queue, lost
from simulator.dummynet.red import modern_curve
from simulator.dummynet.schedulers import SCHEDULERS
from simulator.dummynet.ticks import Ticks
from simulator.ledger import Reason

__all__ = ["ModernDummynet"]

_ANY = FlowId()

Item = TypeVar("Item")


class _Table(Generic[Item]):
    """Instances or queues by flow: without a mask there is one."""

    __slots__ = ("_items", "mask", "slots", "sweep")

    def __init__(self, number: int, mask: FlowMask, slots: int, made: int) -> None:
        self.mask = mask
        self.slots = slots if mask else 1
        self.sweep = Sweep(number, self.slots, made)
        self._items: dict[FlowId, Item] = {}

    def key(self, flow: FlowId) -> FlowId:
        return flow.masked(self.mask) if self.mask else _ANY

    def slot(self, flow: FlowId) -> int:
        return flow.hash % self.slots

    def get(self, flow: FlowId) -> Item | None:
        return self._items.get(flow)

    def add(self, flow: FlowId, item: Item) -> None:
        self._items[flow] = item

    def remove(self, flow: FlowId) -> None:
        self._items.pop(flow, None)

    def __iter__(self) -> Iterator[Item]:
        """By slot, in a slot the newest first."""
        slots: dict[int, list[Item]] = {}
        for flow, item in self._items.items():
            slots.setdefault(self.slot(flow), []).insert(0, item)
        for slot in sorted(slots):
            yield from slots[slot]


class _Served(Queue):
    """A queue of a flow set, served by an instance."""

    __slots__ = ("flow_set", "instance")

    def __init__(self, flow: FlowId, flow_set: int, instance: Instance) -> None:
        super().__init__(flow)
        self.flow_set = flow_set
        self.instance = instance


class ModernDummynet:
    """The traffic of a :class:`~rules.ipfw.pipes.modern.ModernPipes`.

    ``io_fast``: an idle link sends what fits into a tick at once (``net.inet.ip.dummynet.io_fast``).  ``expire``: idle
    queues and instances are forgotten (``net.inet.ip.dummynet.expire``).
    """

    def __init__(
        self,
        pipes: ModernPipes,
        ticks: Ticks,
        chance: Callable[[], float],
        outlet: Outlet,
        *,
        io_fast: bool,
        expire: bool,
    ) -> None:
        self._pipes = pipes
        self._ticks = ticks
        self._chance = chance
        self._outlet = outlet
        self._io_fast = io_fast
        self._expires = expire
        self._instances: dict[int, _Table[Instance]] = {}
        self._queues: dict[int, _Table[_Served]] = {}
        self._out: list[Held] = []
        self._watched: list[tuple[int, int, int, Instance | _Served]] = []
        """Every instance and queue by the tick at which the kernel looks at it next; instances before queues."""
        self._order = count()
        ticks.after = self._deliver

    # A packet comes

    def enter(self, held: Held, flow: FlowId, number: int) -> Answer:
        """A packet for the flow set ``number``."""
        now = self._ticks.now
        self._forget(now)
        flow_set = self._pipes.flow_sets.get(number)
        if flow_set is None:
            return Answer(Reason.PIPE_MISSING)
        scheduler = self._pipes.schedulers.get(flow_set.scheduler)
        if scheduler is None:
            return Answer(Reason.PIPE_MISSING, silent=flow_set.noerror)
        instance = self._instance(scheduler, flow, now)
        if instance.own is not None:
            queue, rules = instance.own, self._pipes.flow_sets.get(scheduler.flow_set, flow_set)
        else:
            served = self._queue(flow_set, instance, flow, now)
            taker = instance.discipline.place(served)
            assert isinstance(taker, _Served)
            queue, rules = taker, self._pipes.flow_sets[taker.flow_set]
        reason = self._admit(queue, instance, rules, scheduler.link.bandwidth, held, now)
        if reason is not None:
            return Answer(reason, silent=flow_set.noerror)
        if instance.active:
            return KEPT
        instance.wake(scheduler.link, now, self._ticks.hz, io_fast=self._io_fast)
        self._serve(instance)
        out, self._out = self._out, []
        if out == [held]:
            return THROUGH
        for each in out:
            self._outlet.leave(each)
        return KEPT

    def _admit(
        self, queue: Queue, instance: Instance, rules: FlowSet, bandwidth: int, held: Held, now: int
    ) -> Reason | None:
        """Into the queue, or why not."""
        length = held.length
        queue.arrives(length)
        instance.total += 1
        instance.octets += length
        reason = None
        if lost(rules, self._chance):
            reason = Reason.PIPE_LOSS
        elif rules.red is not None:
            curve = modern_curve(rules.red, bandwidth, self._ticks.hz)
            early = queue.dropped_early(rules, curve, length, now, self._chance)
            if early and not (rules.red.ecn and self._outlet.mark(held)):
                reason = Reason.PIPE_RED
        if reason is None and queue.is_full(rules):
            reason = Reason.PIPE_FULL
        if reason is not None:
            queue.drops += 1
            instance.drops += 1
            return reason
        queue.append(held)
        if len(queue.packets) == 1:
            instance.discipline.backlogged(queue)
        return None

    def _instance(self, scheduler: Scheduler, flow: FlowId, now: int) -> Instance:
        table = self._instances.get(scheduler.number)
        if table is None:
            slots = table_size(scheduler.buckets) if scheduler.masked else 1
            mask = scheduler.mask if scheduler.masked else FlowMask()
            table = self._instances[scheduler.number] = _Table(scheduler.number, mask, slots, now)
        key = table.key(flow)
        instance = table.get(key)
        if instance is None:
            instance = Instance(scheduler.number, key, table.slot(key), SCHEDULERS[scheduler.type]())
            if not scheduler.many_queues:
                instance.own = Queue(key)
                instance.discipline.join(instance.own, 0, 0)
            table.add(key, instance)
            self._watch(instance, table.sweep, instance.slot, now)
        return instance

    def _queue(self, flow_set: FlowSet, instance: Instance, flow: FlowId, now: int) -> _Served:
        table = self._queues.get(flow_set.number)
        if table is None:
            mask = self._pipes.mask_of(flow_set)
            table = self._queues[flow_set.number] = _Table(flow_set.number, mask, table_size(flow_set.buckets), now)
        key = table.key(flow)
        queue = table.get(key)
        if queue is None:
            queue = _Served(key, flow_set.number, instance)
            instance.queues.add(queue)
            instance.discipline.join(queue, flow_set.weight, flow_set.lmax)
            table.add(key, queue)
            self._watch(queue, table.sweep, table.slot(key), now)
        return queue

    # Time passes

    def _serve(self, instance: Instance) -> None:
        """Put packets on the link; they come out when they are due."""
        ticks = self._ticks
        now = ticks.now
        self._forget(now - 1)
        instance.event = None
        link = self._pipes.schedulers[instance.scheduler].link
        line_was_empty = not instance.line
        busy_until = instance.serve(link, now, ticks.hz)
        if busy_until is not None:
            instance.event = ticks.at(busy_until, partial(self._serve, instance))
        if line_was_empty and instance.line:
            self._transmit(instance)

    def _transmit(self, instance: Instance) -> None:
        """What is due leaves the link."""
        now = self._ticks.now
        self._forget(now - 1)
        instance.scheduled = None
        line = instance.line
        while line and line[0].due <= now:
            self._out.append(line.popleft())
        if line:
            instance.scheduled = self._ticks.at(line[0].due, partial(self._transmit, instance))

    def _deliver(self) -> None:
        """Everything that came out in this tick goes on, in order."""
        out, self._out = self._out, []
        for held in out:
            self._outlet.leave(held)

    # What is idle is forgotten

    def _watch(self, what: Instance | _Served, sweep: Sweep, slot: int, now: int) -> None:
        """The kernel looks at it from time to time."""
        if self._expires:
            rank = 0 if isinstance(what, Instance) else 1
            heapq.heappush(self._watched, (sweep.next(slot, now), rank, next(self._order), what))

    def _forget(self, now: int) -> None:
        """What the kernel has looked at up to now and found idle.  Nothing has changed since the last look."""
        while self._watched and self._watched[0][0] <= now:
            what = heapq.heappop(self._watched)[3]
            if isinstance(what, Instance):
                instances = self._instances.get(what.scheduler)
                if instances is None or instances.get(what.flow) is not what:
                    continue
                if what.idle:
                    instances.remove(what.flow)
                else:
                    self._watch(what, instances.sweep, what.slot, now)
            else:
                queues = self._queues.get(what.flow_set)
                if queues is None or queues.get(what.flow) is not what:
                    continue
                if what:
                    self._watch(what, queues.sweep, queues.slot(what.flow), now)
                else:
                    queues.remove(what.flow)
                    what.instance.queues.discard(what)
                    what.instance.discipline.leave(what)

    # The configuration asks and tells (rules.ipfw.pipes.values.Traffic)

    def instances(self, scheduler: int) -> Sequence[FlowCount]:
        self._forget(self._ticks.now)
        return [instance.count() for instance in self._instances.get(scheduler, ())]

    def queues(self, flow_set: int) -> Sequence[FlowCount]:
        self._forget(self._ticks.now)
        return [queue.count(queue.flow.hash) for queue in self._queues.get(flow_set, ())]

    def link_changed(self, scheduler: int) -> None:
        link = self._pipes.schedulers[scheduler].link
        for instance in self._instances.get(scheduler, ()):
            instance.credit = link.burst * 8 * self._ticks.hz + (link.bandwidth if self._io_fast else 0)

    def scheduler_gone(self, scheduler: int) -> None:
        for instance in self._instances.pop(scheduler, ()):
            for event in (instance.event, instance.scheduled):
                if event is not None:
                    event.cancel()
            own = [*instance.own.packets] if instance.own is not None else []
            self._lose([*own, *instance.line])

    def queues_gone(self, flow_set: int) -> None:
        for queue in self._queues.pop(flow_set, ()):
            queue.instance.queues.discard(queue)
            queue.instance.discipline.leave(queue)
            self._lose(queue.packets)

    def _lose(self, packets: Sequence[Held]) -> None:
        for held in [*packets]:
            self._outlet.lose(held, Reason.PIPE_DELETED)
