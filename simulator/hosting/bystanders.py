"""Whether threads that do not wait here are at work, or wait for something else.

Linux counts for each thread how long it has run and says whether it could run (proc(5): `schedstat` and `stat` of
/proc/self/task). A thread that sleeps and has not run for a moment waits for a lock, a queue or another thread.
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import Thread

__all__ = ["activity"]


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
