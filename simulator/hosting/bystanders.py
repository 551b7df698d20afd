"""Whether threads that do not wait here are at work, or wait for something else.

Linux counts for each thread how long it has run and says whether it could run (proc(5): `schedstat` and `stat` of
/proc/self/task). A thread that sleeps and has not run for a moment waits for a lock, a queue or another thread.

Of most threads that wait it can be known at once: where a thread stands in `threading` says whether it waits for what
another thread does. What waits in C alone (a bare lock, `queue.SimpleQueue`, a file) or with a limit in real time
cannot be told from what is about to run, and is watched for a moment.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection, Iterable
from threading import Thread
from types import FrameType

__all__ = ["activity", "all_wait_for_each_other", "waits_for_another"]

_IN_CONDITION = threading.Condition.wait.__code__
"""Where Event, Semaphore, Barrier and Queue wait, too."""
_IN_JOIN = getattr(getattr(Thread, "_wait_for_tstate_lock", None), "__code__", None)
"""None since Python 3.13, which joins in C."""


def all_wait_for_each_other(threads: Collection[Thread]) -> bool:
    """Whether each of them waits, without a limit, for what only another thread does.

    False also where that cannot be known.  What is looked at belongs together, since none of them runs meanwhile.
    """
    before = activity(threads)
    if before is None or "" in before:
        return False
    alive, frames = threading.enumerate(), sys._current_frames()
    if not all(waits_for_another(frames.get(thread.ident or 0), alive) for thread in threads):
        return False
    return activity(threads) == before


def waits_for_another(frame: FrameType | None, alive: Collection[Thread]) -> bool:
    """Whether a thread that stands there waits, without a limit, for what another thread does.

    That it stands there does not tell: whoever has been woken still does, until its turn to run comes.
    """
    if frame is None:
        return False
    known = frame.f_locals
    if frame.f_code is _IN_CONDITION:  # whom notify() has woken is no longer among the waiters
        return known["timeout"] is None and known.get("waiter") in known["self"]._waiters
    if frame.f_code is _IN_JOIN:  # who is alive has not let go of what is waited for
        return known["block"] and known["timeout"] == -1 and known["self"] in alive
    return False


def activity(threads: Iterable[Thread]) -> tuple[str, ...] | None:
    """What has become of them so far: the same twice means that none has run meanwhile. None: one is running.

    Where the system does not tell, only their number counts.
    """
    found = []
    for thread in threads:
        task = f"/proc/self/task/{thread.native_id}"
        try:
            with open(f"{task}/stat", encoding="ascii", errors="replace") as stat:
                state = stat.read().rpartition(")")[2].split()[0]
            if state == "R":
                return None
            with open(f"{task}/schedstat", encoding="ascii") as times:
                found.append(times.read())
        except (OSError, IndexError):
            found.append("")
    return tuple(found)
