"""A link that delays, loses, reorders, duplicates and corrupts."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from simulator.clock import SimulatedClock
from simulator.links.impaired import ImpairedLink
from simulator.links.memory import MemoryLink


def through(count: int = 1000, *, seconds: float = 10.0, **shares: float) -> list[bytes]:
    """What arrives of as many datagrams, each of which names its number."""
    clock, far = SimulatedClock(), MemoryLink()
    link = ImpairedLink(far, clock, Random(7), **shares)
    for number in range(count):
        link.transmit(number.to_bytes(4, "big"))
        clock.advance(0.001)
    clock.advance(seconds)
    return far.sent


SENT = [number.to_bytes(4, "big") for number in range(1000)]


def test_nothing_is_done_unasked() -> None:
    assert through() == SENT


def test_delay_keeps_the_order_and_the_time() -> None:
    clock, far = SimulatedClock(), MemoryLink()
    link = ImpairedLink(far, clock, Random(7), delay=0.5)
    link.transmit(b"a")
    clock.advance(0.499)
    assert far.sent == []
    clock.advance(0.001)
    assert far.sent == [b"a"]
    assert through(delay=0.5) == SENT


def test_loss() -> None:
    arrived = through(loss=0.2)
    assert 150 < 1000 - len(arrived) < 250
    assert arrived == [each for each in SENT if each in set(arrived)]
    assert through(loss=1.0) == []


def test_duplicates_follow_at_once() -> None:
    arrived = through(duplicate=0.1)
    assert 60 < len(arrived) - 1000 < 140
    assert sorted(set(arrived)) == SENT
    assert arrived == sorted(arrived)


def test_reordered_ones_are_overtaken() -> None:
    for delay in (0.0, 0.02):
        arrived = through(reorder=0.1, delay=delay)
        assert sorted(arrived) == SENT
        assert 0 < sum(one > other for one, other in pairwise(arrived)) < 200


def test_corruption_flips_one_bit() -> None:
    arrived = through(corrupt=0.3)
    flipped = [
        (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()
        for one, other in zip(SENT, arrived, strict=True)
    ]
    assert set(flipped) == {0, 1}
    assert 250 < sum(flipped) < 350


def test_one_seed_one_course() -> None:
    shares = {"loss": 0.1, "duplicate": 0.1, "reorder": 0.1, "corrupt": 0.1, "delay": 0.01}
    assert through(**shares) == through(**shares)


@pytest.mark.parametrize("wrong", [{"loss": 1.5}, {"corrupt": -0.1}, {"delay": -1.0}])
def test_shares_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=str(*wrong.values())):
        ImpairedLink(MemoryLink(), SimulatedClock(), Random(1), **wrong)
