"""Time as dummynet sees it: ticks of 1/HZ second, and what is to happen at which.

Tick n + 1 begins n / HZ seconds after the clock's zero.  What comes between two ticks comes at the earlier one, as in
the kernels, so that a packet may leave up to a tick early.  Events of one tick happen by rank, then in the order in
which they were set.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

from simulator.clock import Clock, Timer

__all__ = ["Event", "Ticks"]

_ROUNDING = 1e-6
"""Of a tick: sums of decimal seconds fall short of the tick they mean."""


class Event:
    """Something that will happen; :meth:`cancel` lets it not happen."""

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], object]) -> None:
        self.action: Callable[[], object] | None = action

    def cancel(self) -> None:
        self.action = None


class Ticks:
    """Counts them, and fires events through the clock's timers.  ``after``: called when a tick's events are done."""

    def __init__(self, clock: Clock, hz: int) -> None:
        self.hz = hz
        self.after: Callable[[], object] = lambda: None
        self._clock = clock
        self._events: list[tuple[int, int, int, Event]] = []
        self._order = count()
        self._timer: Timer | None = None
        self._armed_for = 0

    @property
    def now(self) -> int:
        """The current tick, 1 or more."""
        return int(self._clock.now() * self.hz + _ROUNDING) + 1

    def at(self, tick: int, action: Callable[[], object], *, rank: int = 0) -> Event:
        """Have ``action()`` called at that tick."""
        event = Event(action)
        heapq.heappush(self._events, (tick, rank, next(self._order), event))
        self._arm()
        return event

    def _arm(self) -> None:
        events = self._events
        while events and events[0][3].action is None:
            heapq.heappop(events)
        if not events:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            return
        first = events[0][0]
        if self._timer is not None:
            if self._armed_for == first:
                return
            self._timer.cancel()
        self._armed_for = first
        self._timer = self._clock.call_at((first - 1) / self.hz, self._run)

    def _run(self) -> None:
        self._timer = None
        now = self.now
        events = self._events
        while events and events[0][0] <= now:
            event = heapq.heappop(events)[3]
            action, event.action = event.action, None
            if action is not None:
                action()
        self.after()
        self._arm()
