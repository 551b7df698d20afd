"""Threads of a script that do not wait in the driver: which of them are known to wait for another."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from simulator.hosting.bystanders import all_wait_for_each_other, waits_for_another

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system does not tell")


@contextmanager
def threads(*targets: Callable[[], object], release: Callable[[], object]) -> Iterator[list[threading.Thread]]:
    made = [threading.Thread(target=target, daemon=True) for target in targets]
    for thread in made:
        thread.start()
    try:
        yield made
    finally:
        release()
        for thread in made:
            thread.join(10)


def becomes_known(made: list[threading.Thread], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if all_wait_for_each_other(made):
            return True
        time.sleep(0.001)
    return False


def test_event_queue_and_join_are_known() -> None:
    event, things = threading.Event(), queue.Queue[int]()
    with threads(event.wait, things.get, release=lambda: (event.set(), things.put(1))) as made:
        assert becomes_known(made, 10)
        with threads(made[0].join, release=event.set) as joining:
            assert becomes_known([*made, *joining], 10)


@pytest.mark.parametrize("what", ["a limit", "a bare lock", "work", "a look"])
def test_what_is_not_known(what: str) -> None:
    event, lock, done = threading.Event(), threading.Lock(), threading.Event()
    lock.acquire()

    def look() -> None:
        while not done.is_set():
            event.wait(0)

    def work() -> None:
        while not done.is_set():
            sum(range(1000))

    target = {"a limit": lambda: event.wait(30), "a bare lock": lock.acquire, "work": work, "a look": look}[what]
    waiting = threading.Event()
    with threads(
        target, waiting.wait, release=lambda: (done.set(), event.set(), waiting.set(), lock.release())
    ) as made:
        assert becomes_known(made[1:], 10)
        assert not becomes_known(made, 0.1)


def test_a_thread_that_was_woken_is_not_taken_for_one_that_waits() -> None:
    """It stands where it waited until its turn to run comes."""
    interval, event = sys.getswitchinterval(), threading.Event()
    with threads(event.wait, release=event.set) as made:
        assert becomes_known(made, 10)
        frame = sys._current_frames()[made[0].ident or 0]
        assert waits_for_another(frame, made)
        sys.setswitchinterval(10)
        try:
            event.set()
            until = time.monotonic() + 0.05
            while time.monotonic() < until:  # long enough to be woken; nothing here lets it run
                pass
            assert not waits_for_another(frame, made)
        finally:
            sys.setswitchinterval(interval)
