"""Who is served next: shares by weight, priorities, rounds; every scheduler keeps the order within a queue."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shaped import CLASSIC, MODERN, Shaped

ROUNDING = Fraction(1, 1000)
"""Octets by weight: more than the kernel's fixed point arithmetic is off."""

TYPES = ("WF2Q+", "RR", "QFQ")


def pipe(kind: str, *queues: str, bandwidth: str = "800Kbit/s") -> Shaped:
    """800 Kbit/s are 100 octets a tick."""
    shaped = Shaped(MODERN, f"pipe 1 config bw {bandwidth}", f"sched 1 config type {kind}")
    for number, parameters in enumerate(queues, 1):
        shaped.run(f"queue {number} config sched 1 queue 100 {parameters}")
    return shaped


def backlog(shaped: Shaped, queues: int, packets: int, length: int = 100) -> None:
    for number in range(packets):
        for queue in range(1, queues + 1):
            assert shaped.send((queue, number), length, queue=queue)


def shares(shaped: Shaped, milliseconds: float) -> Counter[int]:
    """Packets of each queue that were out by then."""
    return Counter(name[0] for time, name in shaped.left if time <= milliseconds)


@pytest.mark.parametrize("kind", TYPES)
def test_shares_follow_weights(kind: str) -> None:
    shaped = pipe(kind, "weight 3", "weight 1")
    backlog(shaped, 2, 90)
    shaped.rest()
    out = shares(shaped, 100)
    assert out[1] + out[2] >= 99, "the link is never idle"
    assert abs(out[1] - 75) <= 16, out


def test_shares_follow_weights_on_freebsd_4() -> None:
    shaped = Shaped(CLASSIC, "pipe 1 config bw 800Kbit/s", *(
        f"queue {number} config pipe 1 queue 100 weight {weight}" for number, weight in ((1, 3), (2, 1))
    ))  # fmt: skip
    backlog(shaped, 2, 90)
    shaped.rest()
    assert abs(shares(shaped, 100)[1] - 75) <= 2


def test_wf2q_is_never_more_than_a_packet_ahead() -> None:
    """Worst-case fair: with weights 5, 1, 1, 1, 1, 1 the first queue does not send five in a row."""
    shaped = pipe("WF2Q+", "weight 50", *["weight 10"] * 5)
    for number in range(20):
        shaped.send((1, number), queue=1)
    for queue in range(2, 7):
        for number in range(4):
            shaped.send((queue, number), queue=queue)
    order = [name[0] for _, name in shaped.rest()][1:]
    for end in range(10, 30):
        window = order[end - 10 : end]
        assert 4 <= window.count(1) <= 6, window


@given(st.lists(st.tuples(st.integers(1, 100), st.integers(28, 1500)), min_size=2, max_size=4))
@settings(max_examples=60, deadline=None)
@example([(1, 28), (1, 54), (1, 87)])
@example([(50, 1000), (10, 100), (10, 120), (7, 1500)])
def test_wf2q_serves_by_the_definition(queues: list[tuple[int, int]]) -> None:
    """Of the queues whose start is not in the virtual future the one that finishes first; exact fractions here."""
    shaped = pipe("WF2Q+", *(f"weight {weight}" for weight, _ in queues))
    for queue, (_, length) in enumerate(queues, 1):
        for number in range(40):
            assert shaped.send((queue, number), length, queue=queue)
    order = [name[0] for _, name in shaped.rest()][:30]
    cost = [Fraction(length, weight) for weight, length in queues]
    total = sum(weight for weight, _ in queues)
    start, virtual = [cost[0], *[cost[0]] * (len(queues) - 1)], cost[0]  # the first packet left when it was alone
    chosen, exact = [1], True
    while len(chosen) < 30:
        if min(start) > virtual:
            virtual, exact = min(start), True
        at_once = sum(abs(each - virtual) < ROUNDING for each in start)
        finish, queue = min((start[i] + cost[i], i) for i in range(len(queues)) if start[i] <= virtual)
        rivals = [i for i in range(len(queues)) if start[i] <= virtual and abs(start[i] + cost[i] - finish) < ROUNDING]
        if len(rivals) > 1 or (len(chosen) > 1 and at_once > (1 if exact else 0)):
            break  # fixed point may decide differently from here on
        chosen.append(queue + 1)
        start[queue] = finish
        virtual, exact = virtual + Fraction(queues[queue][1], total), False
    assert order[: len(chosen)] == chosen


def test_round_robin_goes_by_octets() -> None:
    shaped = pipe("RR", "lmax 500", "lmax 500")
    for number in range(40):
        shaped.send((1, number), 500, queue=1)
        shaped.send((2, number), 100, queue=2)
    shaped.rest()
    octets = {queue: count * (500, 100)[queue - 1] for queue, count in shares(shaped, 70).items()}
    assert abs(octets[1] - octets[2]) <= 1000


def test_priorities_are_strict() -> None:
    shaped = pipe("PRIO", "weight 5", "weight 1")
    shaped.send("first", queue=1)
    for number in range(3):
        shaped.send(("low", number), queue=1)
    for number in range(3):
        shaped.send(("high", number), queue=2)
    order = [name for _, name in shaped.rest()]
    assert order == ["first", *(("high", number) for number in range(3)), *(("low", number) for number in range(3))]


def test_a_fifo_has_one_queue_for_all() -> None:
    shaped = pipe("FIFO", "", "")
    for number in range(10):
        shaped.send(number, queue=1 + number % 2)
    assert [name for _, name in shaped.rest()] == [*range(10)]


def test_an_idle_queue_saves_nothing_up() -> None:
    shaped = pipe("WF2Q+", "weight 1", "weight 1")
    for number in range(50):
        shaped.send((1, number), queue=1)
    shaped.until(30)
    for number in range(50):
        shaped.send((2, number), queue=2)
    shaped.rest()
    both = Counter(name[0] for time, name in shaped.left if 30 < time <= 50)
    assert abs(both[1] - both[2]) <= 2, "not twenty in a row of the second"


# -- properties --------------------------------------------------------------------------------------------------------

steps = st.lists(
    st.tuples(
        st.integers(1, 4),  # which queue; 4 is the pipe itself
        st.integers(28, 1500),  # octets
        st.integers(0, 3),  # milliseconds afterwards
    ),
    max_size=60,
)
configurations = st.sampled_from(
    [(MODERN, f"sched 1 config type {kind}") for kind in ("FIFO", "WF2Q+", "RR", "QFQ", "PRIO")] + [(CLASSIC, "")]
)


@given(steps, configurations, st.sampled_from(["0", "64Kbit/s", "1Mbit/s", "100Mbit/s"]), st.integers(0, 20))
@settings(max_examples=150, deadline=None)
def test_nothing_is_lost_made_or_overtaken(
    steps: list[tuple[int, int, int]], configuration: tuple[str, str], bandwidth: str, delay: int
) -> None:
    """Whatever comes, leaves, once and in the order of its queue, not before its delay, and no faster than the link."""
    profile, scheduler = configuration
    shaped = Shaped(profile, f"pipe 1 config bw {bandwidth} delay {delay}")
    if scheduler:
        shaped.run(scheduler)
    for queue in (1, 2, 3):
        shaped.run(f"queue {queue} config pipe 1 queue 10 weight {queue * 10}")
    sent: dict[object, tuple[int, int, float]] = {}
    for number, (queue, length, pause) in enumerate(steps):
        now = shaped.clock.now() * 1000
        taken = shaped.send(number, length, pipe=1) if queue == 4 else shaped.send(number, length, queue=queue)
        if taken:
            sent[number] = (queue, length, now)
        shaped.until(now + pause)
    shaped.rest()
    assert shaped.inside == 0
    assert sorted(name for _, name in shaped.left) == sorted(sent)
    if "PRIO" not in scheduler:  # queues of one priority are one
        for queue in (1, 2, 3, 4):
            order = [name for _, name in shaped.left if sent[name][0] == queue]
            assert order == sorted(order)
    for time, name in shaped.left:
        assert time >= sent[name][2] + delay - 1
    rate = {"0": 0, "64Kbit/s": 64, "1Mbit/s": 1000, "100Mbit/s": 100_000}[bandwidth]
    if rate:
        for groups in ({1, 2, 3}, {4}):
            octets, longest = 0, 0
            first: float | None = None
            for time, name in shaped.left:
                queue, length, _ = sent[name]
                if queue in groups:
                    first = min(came for q, _, came in sent.values() if q in groups) if first is None else first
                    octets, longest = octets + length, max(longest, length)
                    assert octets * 8 <= rate * (time - first + 1) + 1, "no faster than the link"


@pytest.mark.parametrize("kind", ["WF2Q+", "RR", "QFQ", "PRIO"])
def test_the_link_is_busy_while_anything_waits(kind: str) -> None:
    """Work conserving: random traffic that overloads the link leaves without a gap."""
    draw = random.Random(3)
    shaped = pipe(kind, "weight 1", "weight 5", "weight 20")
    lengths = {}
    for number in range(200):
        queue, length = draw.randint(1, 3), draw.randint(50, 1500)
        if shaped.send(number, length, queue=queue):
            lengths[number] = length
        shaped.until(shaped.clock.now() * 1000 + draw.random() * 3)
    shaped.rest()
    assert len(shaped.left) == len(lengths)
    assert shaped.left[-1][0] <= sum(lengths.values()) / 100 + 4


@pytest.mark.parametrize("kind", ["WF2Q+", "RR", "QFQ", "PRIO"])
def test_taking_away_a_busy_queue_leaves_the_others_alone(kind: str) -> None:
    shaped = pipe(kind, "weight 1", "weight 2", "weight 3")
    backlog(shaped, 3, 20)
    shaped.until(5)
    shaped.run("queue 2 delete")
    lost = len(shaped.dropped)
    assert lost
    shaped.rest()
    assert len(shaped.left) == 60 - lost
    assert shaped.inside == 0
