"""QFQ: quick fair queueing (dn_sched_qfq.c; Checconi, Rizzo and Valente, 2013).

Queues with a like ratio of ``lmax`` to ``weight`` form a group; a group's times are rounded to slots, so that the next
group is found by looking at bits.  A group is ready or blocked by one behind it that finishes earlier, and eligible or
not; the ready and eligible group of the lowest index is served.  Times are integers with 30 fractional bits.
"""

from __future__ import annotations

from collections import deque

from simulator.dummynet.held import Held
from simulator.dummynet.queue import Queue

__all__ = ["Qfq"]

_FRACTION = 30
_ONE = 1 << _FRACTION
_LONGEST_SHIFT = 11
"""The longest packet is 2^11 octets."""
_GROUPS = 20
_SMALLEST_SLOT = _FRACTION + _LONGEST_SHIFT - (_GROUPS - 1)
_HEAVIEST = 1 << 16
_TIME_STEP = _ONE // (2 * _HEAVIEST)
"""Virtual time per octet: the sum of all weights is taken to be the greatest."""

_READY, _EARLY, _BLOCKED, _EARLY_BLOCKED = range(4)
"""States of a group, as the two bits ``not eligible`` and ``blocked``."""


class _Class:
    """A queue with its exact times."""

    __slots__ = ("finish", "group", "inverse", "queue", "start")

    def __init__(self, queue: Queue, weight: int, group: _Group) -> None:
        self.queue = queue
        self.inverse = _ONE // weight
        self.group = group
        self.start = 0
        self.finish = 0


class _Group:
    """Queues in slots by their rounded start; the front slot starts at ``start``."""

    __slots__ = ("finish", "index", "shift", "slots", "start")

    def __init__(self, index: int) -> None:
        self.index = index
        self.shift = _SMALLEST_SLOT + index
        self.start = 0
        self.finish = 0
        self.slots: dict[int, deque[_Class]] = {}

    def rounded(self, time: int) -> int:
        return time >> self.shift << self.shift

    def insert(self, each: _Class) -> None:
        """The class that came last is first in its slot."""
        self.slots.setdefault(self.rounded(each.start), deque()).appendleft(each)

    def first(self) -> _Class:
        return self.slots[min(self.slots)][0]

    def remove_first(self) -> None:
        slot = min(self.slots)
        self.slots[slot].popleft()
        if not self.slots[slot]:
            del self.slots[slot]

    def starts_at(self, rounded: int) -> None:
        self.start = rounded
        self.finish = rounded + (2 << self.shift)


def _index(inverse: int, lmax: int) -> int:
    """The group for that ratio: a logarithm."""
    slot = lmax * inverse
    size = slot >> _SMALLEST_SLOT
    if not size:
        return 0
    index = size.bit_length()
    return index - (slot == 1 << (index + _SMALLEST_SLOT - 1))


class Qfq:
    """One instance."""

    def __init__(self) -> None:
        self._classes: dict[Queue, _Class] = {}
        self._groups = [_Group(index) for index in range(_GROUPS)]
        self._states = [0, 0, 0, 0]
        """Bits of the groups in each state."""
        self._time = 0

    def join(self, queue: Queue, weight: int, lmax: int) -> None:
        index = min(_index(_ONE // weight, lmax), _GROUPS - 1)
        self._classes[queue] = _Class(queue, weight, self._groups[index])

    def leave(self, queue: Queue) -> None:
        """The others start anew if this one had packets: the kernel cannot take out a queue that is being served."""
        del self._classes[queue]
        if queue:
            self._groups = [_Group(index) for index in range(_GROUPS)]
            self._states = [0, 0, 0, 0]
            for each in self._classes.values():
                each.group = self._groups[each.group.index]
                each.start = each.finish = self._time
                if each.queue:
                    self.backlogged(each.queue)

    def place(self, queue: Queue) -> Queue:
        return queue

    def _from(self, bits: int, index: int) -> _Group | None:
        """The first group of these from that index on."""
        bits = bits >> index << index
        return self._groups[(bits & -bits).bit_length() - 1] if bits else None

    def _enter(self, group: _Group) -> None:
        """Put a group into the state that its times mean."""
        state = _EARLY if group.start > self._time else _READY
        following = self._from(self._states[_READY], group.index)
        if following is not None and group.finish > following.finish:
            state |= _BLOCKED
        self._states[state] |= 1 << group.index

    def _move(self, bits: int, source: int, target: int) -> None:
        self._states[target] |= self._states[source] & bits
        self._states[source] &= ~bits

    def backlogged(self, queue: Queue) -> None:
        each = self._classes[queue]
        group = each.group
        self._start(each)
        each.finish = each.start + queue.packets[0].length * each.inverse
        rounded = group.rounded(each.start)
        if group.slots:
            if group.start > each.start:
                bit = 1 << group.index
                self._states[_EARLY] &= ~bit
                self._states[_EARLY_BLOCKED] &= ~bit
                group.starts_at(rounded)
                self._enter(group)
        else:
            if not self._states[_READY] and rounded > self._time:
                self._time = rounded
            group.starts_at(rounded)
            self._enter(group)
        group.insert(each)

    def _start(self, each: _Class) -> None:
        """Its old finish, unless that is stale; then now, or the finish of the group that would block its own."""
        group = each.group
        rounded = group.rounded(each.finish)
        limit = group.rounded(self._time) + (1 << group.shift)
        if each.finish > self._time and rounded <= limit:
            each.start = each.finish
            return
        blocking = self._from(self._states[_READY], group.index)
        if blocking is not None and rounded > blocking.finish:
            each.start = blocking.finish
        else:
            each.start = self._time

    def dequeue(self, now: int) -> Held | None:
        ready = self._states[_READY]
        if not ready:
            return None
        group = self._groups[(ready & -ready).bit_length() - 1]
        each = group.first()
        held = each.queue.popleft(now)
        before = self._time
        self._time += held.length * _TIME_STEP
        if self._served(group, each):
            finish = group.finish
            bit = 1 << group.index
            if not group.slots:
                self._states[_READY] &= ~bit
                self._unblock(group.index, finish)
            else:
                rounded = group.rounded(group.first().start)
                if group.start != rounded:
                    group.starts_at(rounded)
                    self._states[_READY] &= ~bit
                    self._enter(group)
                    self._unblock(group.index, finish)
        self._make_eligible(before)
        return held

    def _served(self, group: _Group, each: _Class) -> bool:
        """New times for the queue that was served; whether its group is to be looked at."""
        each.start = each.finish
        if not each.queue:
            group.remove_first()
            return True
        each.finish = each.start + each.queue.packets[0].length * each.inverse
        if group.rounded(each.start) == group.start:
            return False
        group.remove_first()
        group.insert(each)
        return True

    def _unblock(self, index: int, finish: int) -> None:
        following = self._from(self._states[_READY], index + 1)
        if following is not None and following.finish <= finish:
            return
        below = (1 << index) - 1
        self._move(below, _BLOCKED, _READY)
        self._move(below, _EARLY_BLOCKED, _EARLY)

    def _make_eligible(self, before: int) -> None:
        """The virtual time has grown: whose start it has passed may be served."""
        early = self._states[_EARLY] | self._states[_EARLY_BLOCKED]
        if not early:
            return
        if not self._states[_READY]:
            first = self._groups[(early & -early).bit_length() - 1]
            self._time = max(self._time, first.start)
        passed = self._time >> _SMALLEST_SLOT ^ before >> _SMALLEST_SLOT
        if passed:
            bits = (2 << passed.bit_length() - 1) - 1
            self._move(bits, _EARLY, _READY)
            self._move(bits, _EARLY_BLOCKED, _BLOCKED)
