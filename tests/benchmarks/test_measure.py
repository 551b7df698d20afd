"""Ratios are taken round by round, so a machine that slows down in between does not bend them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from benchmarks import memory, taps
from benchmarks.measure import Effort, compare


def test_the_median_of_the_rounds_ratios() -> None:
    """The machine gets ten times slower with every round, and once the contestant is lucky."""
    weather = {name: count() for name in ("bare", "ours")}

    def runner(name: str, speeds: list[float]) -> Callable[[float], float]:
        def run(seconds: float) -> float:
            number = next(weather[name])
            return 1.0 if number == 0 else speeds[number - 1] / 10**number  # the first is the warming up

        return run

    bare = runner("bare", [1000.0, 1000.0, 1000.0])
    ours = runner("ours", [500.0, 5000.0, 500.0])
    (row,) = compare("subject", "packets/s", "bare", {"bare": bare, "ours": ours}, Effort(rounds=3, seconds=0.0))
    assert row.ratio == pytest.approx(0.5)
    assert (row.contestant, row.yardstick, row.yardstick_figure) == ("ours", "bare", pytest.approx(10.0))


def test_every_contestant_has_its_turn_first() -> None:
    order: list[str] = []

    def runner(name: str) -> Callable[[float], float]:
        return lambda seconds: order.append(name) or 1.0  # type: ignore[func-returns-value]

    compare("subject", "packets/s", "a", {name: runner(name) for name in "abc"}, Effort(rounds=3, seconds=0.0))
    assert order[3:] == list("abcbcacab")


def test_forwarding_in_memory_is_measured_and_does_the_yardsticks_work() -> None:
    rows = memory.measure(Effort(rounds=1, seconds=0.01))
    assert [row.subject for row in rows] == ["in memory"] * 3
    assert all(0 < row.ratio < 2 for row in rows)


def test_taps_are_measured() -> None:
    rows = taps.measure(Effort(rounds=1, seconds=0.01))
    assert [row.subject for row in rows] == ["packet taps", "packet taps", "filters"]
    assert all(row.ratio > 0 for row in rows)
