"""Time and packets, moved while a script waits.

The router's time stands still while the script computes. When it waits (in a receive, in select, in sleep) the driver
does what comes next: a packet of the description arrives, a timer of the router fires, or the time is up that the
script wanted to wait. One thing at a time, and then the script's condition is looked at again: so it is asked for each
packet before the next one comes, and no queue fills up that a program on a fast machine would have emptied.

When the description's time is over the script is interrupted as by Ctrl-C: its handler of SIGINT runs, by default
KeyboardInterrupt is raised where it waits, so that its `except` and `finally` clauses do what they do on a real system.
One that goes on waiting is asked again, then ended with SystemExit, and at last given up.

Several threads may wait; the time then moves to whatever comes first for any of them. It does not move while a thread
that does not wait here is at work, for a second of real time at most.
"""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable
from math import inf
from typing import NamedTuple, NoReturn, TypeVar

from simulator.clock import SimulatedClock
from simulator.hosting.bystanders import activity, all_wait_for_each_other
from simulator.hosting.description import Arrival

__all__ = ["POLLING", "Driver", "ScriptEndedError"]

POLLING = 0.001
"""Seconds of the router's time that a look without waiting takes when there is nothing; else a script that only looks
would stop the time for ever."""

_MOMENT = 0.01
"""Real seconds after which a thread that does nothing counts as one that waits for something else. Above the
interpreter's switch interval (5 ms): a thread that only waits for its turn to run must not be taken for a sleeper."""
_MOMENTS = 100
"""How many of these threads at work get before the router's time moves nevertheless."""
_ASKED, _GIVEN_UP = 3, 50
"""After how many endless waits beyond the end a script is no longer interrupted but ended, and is given up."""
_MOST_WAITS = 1000
"""How many waits with a limit it may go through there."""

_T = TypeVar("_T")


class ScriptEndedError(SystemExit):
    """Ends a script that has been interrupted and waits again."""


class _Wait(NamedTuple):
    """A thread that waits here."""

    ready: Callable[[], object]
    deadline: float
    thread: threading.Thread


class Driver:
    """Moves a router's time on behalf of a script.

    `happen` does what an arrival says; `seconds` is when everything ends, and `at_end` is called then;
    `give_up` is called when a script cannot be ended, and does not return.
    """

    def __init__(
        self,
        clock: SimulatedClock,
        arrivals: Iterable[Arrival],
        happen: Callable[[Arrival], object],
        seconds: float,
        at_end: Callable[[], object],
        give_up: Callable[[], NoReturn],
    ) -> None:
        self.clock = clock
        self.over = False
        """The description's time is over."""
        self.servants: set[threading.Thread] = set()
        """Threads that are ours and not the script's."""
        self._arrivals = deque(arrivals)
        self._happen = happen
        self._seconds = seconds
        self._at_end = at_end
        self._give_up = give_up
        self._changed = threading.Condition(threading.RLock())
        self._waiting: list[_Wait] = []
        self._waits = self._endless_waits = 0
        """Beyond the end."""
        self._interrupted = False
        """The main thread has been told that it is over."""
        self._closed = False

    def __enter__(self) -> None:
        """Inside, the router belongs to this thread."""
        self._changed.acquire()

    def __exit__(self, *_: object) -> None:
        self._changed.notify_all()
        self._changed.release()

    def wait(self, ready: Callable[[], _T | None], timeout: float | None = None) -> _T | None:
        """What `ready` gives as soon as that is true; None when so many seconds of the router's time are over."""
        with self:
            clock = self.clock
            deadline = inf if timeout is None else clock.now() + timeout
            wait = _Wait(ready, deadline, threading.current_thread())
            self._waiting.append(wait)
            moments = 0
            try:
                while True:
                    if self._closed:
                        raise ScriptEndedError
                    found = ready()
                    if found:
                        return found
                    if clock.now() >= deadline:
                        return None
                    if moments < _MOMENTS and self._let_others_work(wait):
                        moments += 1
                        continue
                    moments = 0
                    if self.over:
                        self._end(deadline)
                    else:
                        self._move(min(each.deadline for each in self._waiting))
            finally:
                self._waiting.remove(wait)

    def _let_others_work(self, wait: _Wait) -> bool:
        """Whether another thread had to be waited for, because it is at work or what it waits for has come."""
        now = self.clock.now()
        if any(each is not wait and (each.deadline <= now or each.ready()) for each in self._waiting):
            self._changed.wait(_MOMENT)
            return True
        here = {each.thread for each in self._waiting}
        others = [each for each in threading.enumerate() if each not in here and each not in self.servants]
        if not others:
            return False
        if all_wait_for_each_other(others):
            return False
        before = activity(others)
        for _ in range(_MOMENTS):
            if self._changed.wait(_MOMENT):
                return True
            after = activity(others)
            if after is not None and after == before:
                return False
            before = after
        return False

    def _move(self, limit: float) -> None:
        """One thing happens, at the latest at that time."""
        clock = self.clock
        now = clock.now()
        arrival = self._arrivals[0].at if self._arrivals else inf
        timer = clock.next_deadline()
        when = min(arrival, inf if timer is None else now + timer, limit, self._seconds)
        clock.advance_to(max(when, now))
        if arrival <= when:
            self._happen(self._arrivals.popleft())
        elif when >= self._seconds:
            self.over = True
            self._at_end()
        self._changed.notify_all()

    def _end(self, deadline: float) -> None:
        """Nothing will come any more, and somebody waits."""
        is_endless = deadline == inf
        self._waits += 1
        self._endless_waits += is_endless
        if self._endless_waits > _GIVEN_UP or self._waits > _MOST_WAITS + _GIVEN_UP:
            self._give_up()
        if threading.current_thread() is not threading.main_thread():
            self._interrupt_main()
            raise ScriptEndedError
        if self._endless_waits > _ASKED or self._waits > _MOST_WAITS:
            raise ScriptEndedError
        if is_endless or not self._interrupted:
            self._interrupted = True
            signal.raise_signal(signal.SIGINT)
        # The script's own handler let it go on: what it waits for with a limit it gets.
        if not is_endless:
            self.clock.advance_to(max(deadline, self.clock.now()))

    def _interrupt_main(self) -> None:
        """Wherever it is, unless it has been told."""
        main = threading.main_thread().ident
        if not self._interrupted and main is not None:
            self._interrupted = True
            signal.pthread_kill(main, signal.SIGINT)

    def close(self) -> None:
        """The script is over: threads of it that still wait, or ever will, end."""
        with self:
            self._closed = self._interrupted = self.over = True
