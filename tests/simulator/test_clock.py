"""Simulated time stands still, timers fire in order, and time never runs backwards."""

from __future__ import annotations

import math

import pytest

from simulator.clock import SimulatedClock, WallClock


def test_timers_fire_at_their_own_instants_in_order() -> None:
    clock = SimulatedClock()
    seen: list[tuple[str, float]] = []
    for name, when in (("late", 3.0), ("first", 1.0), ("second", 1.0), ("never", 9.0)):
        clock.call_at(when, lambda name=name: seen.append((name, clock.now())))  # type: ignore[misc]
    clock.advance(3.0)
    assert seen == [("first", 1.0), ("second", 1.0), ("late", 3.0)]
    assert clock.now() == 3.0
    assert clock.next_deadline() == 6.0


def test_a_timer_may_set_timers() -> None:
    clock = SimulatedClock()
    seen: list[float] = []

    def again() -> None:
        seen.append(clock.now())
        if len(seen) < 5:
            clock.call_at(clock.now() + 1.0, again)

    clock.call_at(1.0, again)
    clock.advance(3.5)
    assert seen == [1.0, 2.0, 3.0]
    clock.advance(10)
    assert seen == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_timer_in_the_past_fires_now() -> None:
    clock = SimulatedClock(10.0)
    seen: list[float] = []
    clock.call_at(1.0, lambda: seen.append(clock.now()))
    assert clock.next_deadline() == 0.0
    assert clock.run_due() == 1
    assert seen == [10.0]
    assert clock.next_deadline() is None


def test_cancelled_timers_do_not_fire() -> None:
    clock = SimulatedClock()
    seen: list[int] = []
    first = clock.call_at(1.0, lambda: seen.append(1))
    clock.call_at(1.0, lambda: first.cancel())
    second = clock.call_at(1.0, lambda: seen.append(2))
    second.cancel()
    assert clock.next_deadline() == 1.0
    clock.advance(2.0)
    assert seen == [1]
    first.cancel()  # after it fired: harmless


def test_an_action_that_moves_the_clock_does_not_turn_it_back() -> None:
    clock = SimulatedClock()
    clock.call_at(1.0, lambda: clock.advance(100.0))
    clock.advance(5.0)
    assert clock.now() == 101.0


@pytest.mark.parametrize("seconds", [-1.0, -1e-9, math.nan, math.inf, -math.inf])
def test_time_that_is_none(seconds: float) -> None:
    clock = SimulatedClock(7.0)
    with pytest.raises(ValueError, match=repr(seconds).lstrip("-")):
        clock.advance(seconds)
    with pytest.raises(ValueError):
        clock.advance_to(seconds)
    assert clock.now() == 7.0


def test_the_wall_clock_starts_at_0_and_goes_on() -> None:
    clock = WallClock()
    seen: list[str] = []
    start = clock.now()
    assert 0.0 <= start < 5.0
    clock.call_at(start, lambda: seen.append("due"))
    clock.call_at(start + 1000.0, lambda: seen.append("not yet"))
    assert clock.run_due() == 1
    assert seen == ["due"]
    assert 900.0 < (clock.next_deadline() or 0.0) <= 1000.0
    assert clock.now() >= start
