"""Simulated and wall clock, with timers.

Everything that waits (reassembly, rate limits, dynamic rules) asks one clock for the time and hands it its timers.
This is the only place of the core where time comes from.  A timer due at an instant fires before whatever else
happens at that instant; timers of one instant fire in the order in which they were set.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable
from itertools import count
from typing import Protocol

__all__ = ["Clock", "SimulatedClock", "Timer", "WallClock"]


class Timer:
    """Something that will happen; :meth:`cancel` lets it not happen."""

    __slots__ = ("action", "when")

    def __init__(self, when: float, action: Callable[[], object]) -> None:
        self.when = when
        self.action: Callable[[], object] | None = action

    def cancel(self) -> None:
        self.action = None


class Clock(Protocol):
    """What the router asks of a clock.  Times are seconds."""

    def now(self) -> float: ...

    def call_at(self, when: float, action: Callable[[], object]) -> Timer: ...

    def next_deadline(self) -> float | None:
        """Seconds until the next timer (0 when it is due already), or None without timers."""

    def run_due(self) -> int:
        """Fire what is due; how many timers that were."""


class _Timers:
    """The timers of a clock, earliest first."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = count()

    def call_at(self, when: float, action: Callable[[], object]) -> Timer:
        """Have ``action()`` called at that time (seconds of this clock)."""
        timer = Timer(when, action)
        heapq.heappush(self._heap, (when, next(self._order), timer))
        return timer

    def _next(self) -> Timer | None:
        heap = self._heap
        while heap and heap[0][2].action is None:
            heapq.heappop(heap)
        return heap[0][2] if heap else None

    def _fire(self) -> None:
        timer = heapq.heappop(self._heap)[2]
        action, timer.action = timer.action, None
        if action is not None:
            action()


class SimulatedClock(_Timers):
    """Time that stands still until somebody moves it."""

    def __init__(self, now: float = 0.0) -> None:
        super().__init__()
        self._now = now

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass; every timer that falls due fires at its own instant.

        :raises ValueError: for a negative number of seconds, and for one that is not finite.
        """
        if seconds < 0:
            raise ValueError(f"time does not run backwards: advance({seconds!r})")
        self.advance_to(self._now + seconds)

    def advance_to(self, when: float) -> None:
        """Let time pass until that instant.

        :raises ValueError: if it lies in the past.
        """
        if not math.isfinite(when):
            raise ValueError(f"not an instant: {when!r}")
        if when < self._now:
            raise ValueError(f"time does not run backwards: advance_to({when!r}) at {self._now!r}")
        while (timer := self._next()) is not None and timer.when <= when:
            self._now = max(self._now, timer.when)
            self._fire()
        self._now = max(self._now, when)  # an action may have moved the clock itself

    def next_deadline(self) -> float | None:
        timer = self._next()
        return None if timer is None else max(timer.when - self._now, 0.0)

    def run_due(self) -> int:
        fired = 0
        while (timer := self._next()) is not None and timer.when <= self._now:
            self._fire()
            fired += 1
        return fired


class WallClock(_Timers):
    """The machine's monotonic clock, counted from the moment this clock was made."""

    def __init__(self) -> None:
        super().__init__()
        self._start = time.monotonic()

    def now(self) -> float:
        return time.monotonic() - self._start

    def next_deadline(self) -> float | None:
        timer = self._next()
        return None if timer is None else max(timer.when - self.now(), 0.0)

    def run_due(self) -> int:
        fired = 0
        while (timer := self._next()) is not None and timer.when <= self.now():
            self._fire()
            fired += 1
        return fired
