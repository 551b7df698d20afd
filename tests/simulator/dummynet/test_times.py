"""When packets leave: bandwidth, delay, burst, ticks; what is dropped, and why."""

from __future__ import annotations

import pytest
from shaped import CLASSIC, MODERN, Shaped

from rules.ipfw.pipes.values import FlowId
from simulator.ledger import Reason

BOTH = pytest.mark.parametrize("profile", [MODERN, CLASSIC])


@BOTH
def test_without_limits_a_packet_leaves_at_once(profile: str) -> None:
    shaped = Shaped(profile, "pipe 1 config")
    assert shaped.send("a", pipe=1)
    assert shaped.left == [(0, "a")]


@BOTH
def test_delay(profile: str) -> None:
    shaped = Shaped(profile, "pipe 1 config delay 20")
    shaped.send("a", pipe=1)
    shaped.until(3)
    shaped.send("b", pipe=1)
    assert shaped.rest() == [(20, "a"), (23, "b")]


@BOTH
def test_bandwidth(profile: str) -> None:
    """80 Kbit/s are 80 bits a tick: 100 octets take 10 ms."""
    shaped = Shaped(profile, "pipe 1 config bw 80Kbit/s")
    for name in "abc":
        shaped.send(name, 100, pipe=1)
    assert shaped.rest() == [(10, "a"), (20, "b"), (30, "c")]


@BOTH
def test_bandwidth_and_delay_add_up(profile: str) -> None:
    shaped = Shaped(profile, "pipe 1 config bw 80Kbit/s delay 5")
    for name in "ab":
        shaped.send(name, 50, pipe=1)
    assert shaped.rest() == [(10, "a"), (15, "b")]


@BOTH
def test_fractions_of_a_tick_carry_over(profile: str) -> None:
    """At 100 Kbit/s 40 octets take 3.2 ms: rounded up for each, but what is left over is not lost."""
    shaped = Shaped(profile, "pipe 1 config bw 100Kbit/s")
    for name in range(5):
        shaped.send(name, 40, pipe=1)
    assert shaped.rest() == [(4, 0), (7, 1), (10, 2), (13, 3), (16, 4)]


@BOTH
def test_several_packets_a_tick(profile: str) -> None:
    """8 Mbit/s are 1,000 octets a tick."""
    shaped = Shaped(profile, "pipe 1 config bw 8Mbit/s")
    for name in range(6):
        shaped.send(name, 400, pipe=1)
    times = [time for time, _ in shaped.rest()]
    assert times[-1] == 3
    assert [name for _, name in shaped.left] == [*range(6)]


@BOTH
def test_a_packet_between_two_ticks_comes_at_the_earlier_one(profile: str) -> None:
    shaped = Shaped(profile, "pipe 1 config delay 2")
    shaped.until(0.9)
    shaped.send("a", pipe=1)
    assert shaped.rest() == [(2, "a")]


@BOTH
def test_ticks_by_the_hundred(profile: str) -> None:
    shaped = Shaped(profile, "pipe 1 config bw 80Kbit/s delay 15", hz=100)
    shaped.send("a", 100, pipe=1)
    assert shaped.rest() == [(20, "a")], "15 ms are one tick of 10 ms"


@BOTH
def test_an_idle_link_saves_nothing_up(profile: str) -> None:
    shaped = Shaped(profile, "pipe 1 config bw 80Kbit/s")
    shaped.send("a", 100, pipe=1)
    shaped.until(1000)
    shaped.send("b", 100, pipe=1)
    shaped.send("c", 100, pipe=1)
    assert shaped.rest() == [(10, "a"), (1010, "b"), (1020, "c")]


def test_burst() -> None:
    """Credit of 200 octets after idling: those pass at once, then the rate holds."""
    shaped = Shaped(MODERN, "pipe 1 config bw 80Kbit/s burst 200")
    shaped.until(1000)
    for name in range(5):
        shaped.send(name, 100, pipe=1)
    assert shaped.rest() == [(1000, 0), (1000, 1), (1010, 2), (1020, 3), (1030, 4)]


def test_io_fast() -> None:
    """A tick's worth at once, when the link was idle (net.inet.ip.dummynet.io_fast)."""
    slow, fast = (Shaped(MODERN, "pipe 1 config bw 8Mbit/s", io_fast=on) for on in (False, True))
    for shaped in (slow, fast):
        shaped.until(5)
        shaped.send("a", 800, pipe=1)
        shaped.rest()
    assert (slow.left, fast.left) == ([(6, "a")], [(5, "a")])


@BOTH
def test_a_shorter_delay_does_not_let_packets_overtake(profile: str) -> None:
    shaped = Shaped(profile, "pipe 1 config delay 100")
    shaped.send("a", pipe=1)
    shaped.until(50)
    shaped.run("pipe 1 config delay 1")
    shaped.send("b", pipe=1)
    assert shaped.rest() == [(100, "a"), (100, "b")]


@BOTH
def test_another_bandwidth_holds_for_what_is_queued(profile: str) -> None:
    shaped = Shaped(profile, "pipe 1 config bw 80Kbit/s")
    for name in "abc":
        shaped.send(name, 100, pipe=1)
    shaped.until(10)
    shaped.run("pipe 1 config bw 800Kbit/s")
    assert [name for _, name in shaped.rest()] == ["a", "b", "c"]
    assert shaped.left[-1][0] <= 22
    assert not shaped.dropped


# -- drops -------------------------------------------------------------------------------------------------------------


def test_slots() -> None:
    """The packet that is being sent has left the queue since FreeBSD 8, before it counts."""
    for profile, taken in ((MODERN, 4), (CLASSIC, 3)):
        shaped = Shaped(profile, "pipe 1 config bw 80Kbit/s queue 3")
        assert [shaped.send(name, pipe=1) for name in range(6)] == [True] * taken + [False] * (6 - taken)
        assert set(shaped.dropped.values()) == {Reason.PIPE_FULL}
        shaped.until(10)
        assert shaped.send("later", pipe=1)
        assert [name for _, name in shaped.rest()] == [*range(taken), "later"]


@BOTH
def test_octets(profile: str) -> None:
    """The packet that passes the limit is still taken; the next is not."""
    shaped = Shaped(profile, "pipe 1 config bw 8Kbit/s queue 2000B")
    taken = [shaped.send(name, 700, pipe=1) for name in range(6)]
    assert taken == ([True] * 4 + [False] * 2 if profile == MODERN else [True] * 3 + [False] * 3)


@BOTH
def test_loss_is_that_of_the_seed(profile: str) -> None:
    def lost(seed: int) -> set[object]:
        shaped = Shaped(profile, "pipe 1 config plr 0.25", seed=seed)
        for name in range(2000):
            shaped.send(name, pipe=1)
        assert set(shaped.dropped.values()) == {Reason.PIPE_LOSS}
        return set(shaped.dropped)

    assert 420 < len(lost(7)) < 580
    assert lost(7) == lost(7) != lost(8)


@BOTH
def test_all_or_nothing_is_lost(profile: str) -> None:
    shaped = Shaped(profile, "pipe 1 config plr 1", "pipe 2 config plr 0")
    assert not any(shaped.send(name, pipe=1) for name in range(100))
    assert all(shaped.send(name, pipe=2) for name in range(100))


@BOTH
def test_noerror(profile: str) -> None:
    shaped = Shaped(profile, "pipe 1 config plr 1", "pipe 2 config plr 1 noerror")
    shaped.send("told", pipe=1)
    shaped.send("not told", pipe=2)
    assert shaped.silent == {"told": False, "not told": True}


@BOTH
def test_what_does_not_exist(profile: str) -> None:
    shaped = Shaped(profile, "queue 2 config pipe 5")
    assert not shaped.send("a", pipe=1)
    assert not shaped.send("b", queue=2), "its pipe is not there"
    assert shaped.dropped == {"a": Reason.PIPE_MISSING, "b": Reason.PIPE_MISSING}
    shaped.run("pipe 5 config")
    assert shaped.send("c", queue=2)


@BOTH
def test_deleting_loses_what_is_inside(profile: str) -> None:
    shaped = Shaped(profile, "pipe 1 config bw 80Kbit/s delay 50", "queue 1 config pipe 1", "queue 2 config pipe 1")
    for name in ("in a pipe", "queued behind it"):
        shaped.send(name, pipe=1)
    for name in ("on the link", "in queue 1"):
        shaped.send(name, queue=1)
    shaped.send("in queue 2", queue=2)
    shaped.run("queue 2 delete")
    assert shaped.dropped == {"in queue 2": Reason.PIPE_DELETED}
    shaped.run("pipe 1 delete")
    assert set(shaped.dropped.values()) == {Reason.PIPE_DELETED}
    assert (len(shaped.dropped), shaped.inside, shaped.rest()) == (5, 0, [])


@BOTH
def test_flush(profile: str) -> None:
    shaped = Shaped(profile, "pipe 1 config bw 80Kbit/s", "queue 1 config pipe 1")
    for name in range(4):
        shaped.send(name, pipe=1)
        shaped.send(f"queue {name}", queue=1)
    shaped.run("pipe flush")
    assert (len(shaped.dropped), shaped.inside, shaped.rest()) == (8, 0, [])


def test_which_changes_lose_what_is_inside() -> None:
    """Of a pipe the mask and the scheduler's type, of a queue everything (FreeBSD 8 and later)."""
    for change, lost in (
        ("pipe 1 config bw 90Kbit/s delay 3 plr 0.1 queue 20", 0),
        ("pipe 1 config bw 80Kbit/s mask src-ip 0xff", 3),
        ("sched 1 config type rr", 3),
        ("queue 1 config weight 50", 2),
        ("queue 1 config weight 1", 0),
    ):
        shaped = Shaped(MODERN, "pipe 1 config bw 80Kbit/s", "queue 1 config pipe 1 weight 1")
        for name in range(3):
            shaped.send(name, pipe=1)
            shaped.send(f"queue {name}", queue=1)
        shaped.run(change)
        assert len(shaped.dropped) == lost, change
        assert len(shaped.rest()) == 6 - lost


# -- masks -------------------------------------------------------------------------------------------------------------

A, B = FlowId(17, 0x0A000001, 1, 0x0A000002, 2), FlowId(17, 0x0A000003, 1, 0x0A000002, 2)


@BOTH
def test_a_mask_on_a_pipe_gives_every_flow_its_own_bandwidth(profile: str) -> None:
    shaped = Shaped(profile, "pipe 1 config bw 80Kbit/s mask src-ip 0xffffffff")
    for number in range(2):
        shaped.send(("a", number), pipe=1, flow=A)
        shaped.send(("b", number), pipe=1, flow=B)
    assert shaped.rest() == [(10, ("a", 0)), (10, ("b", 0)), (20, ("a", 1)), (20, ("b", 1))]


@BOTH
def test_a_mask_on_a_queue_shares_the_bandwidth(profile: str) -> None:
    shaped = Shaped(profile, "pipe 1 config bw 80Kbit/s", "queue 1 config pipe 1 mask src-ip 0xffffffff")
    for name, flow in (("a", A), ("b", B)):
        for _ in range(10):
            shaped.send(name, queue=1, flow=flow)
    order = [name for _, name in shaped.rest()]
    assert shaped.left[-1][0] == 200
    ahead = [order[:taken].count("a") - order[:taken].count("b") for taken in range(1, 21)]
    assert min(ahead) >= 0, "a came first"
    assert max(ahead) <= 2, "but they go by turns"


def test_flows_are_listed() -> None:
    shaped = Shaped(MODERN, "pipe 1 config bw 8Kbit/s queue 2 mask src-ip 0xffffffff")
    for number in range(5):
        shaped.send(("a", number), pipe=1, flow=A)
    shaped.send("b", 60, pipe=1, flow=B)
    assert shaped.run("pipe show") == (
        "00001:   8.000 Kbit/s    0 ms burst 0 \n"
        "q131073   2 sl. 0 flows (1 buckets) sched 65537 weight 0 lmax 0 pri 0 droptail\n"
        " sched 65537 type FIFO flags 0x1 64 buckets 2 active\n"
        "    mask:  0x00 0xffffffff/0x0000 -> 0x00000000/0x0000\n"
        "BKT Prot ___Source IP/port____ ____Dest. IP/port____ Tot_pkt/bytes Pkt/Byte Drp\n"
        "  2 ip          10.0.0.1/0             0.0.0.0/0        5      500  2  200   2\n"
        "  6 ip          10.0.0.3/0             0.0.0.0/0        1       60  0    0   0\n"
    )  # the slots are those of a real listing of such flows


def test_flows_are_listed_on_freebsd_4() -> None:
    shaped = Shaped(CLASSIC, "pipe 1 config bw 8Kbit/s")
    shaped.send("a", pipe=1, flow=A)
    shaped.send("b", pipe=1, flow=B)
    assert shaped.run("pipe show") == (
        "00001:   8.000 Kbit/s    0 ms   50 sl. 1 queues (1 buckets) droptail\n"
        "    mask: 0x00 0x00000000/0x0000 -> 0x00000000/0x0000\n"
        "BKT Prot ___Source IP/port____ ____Dest. IP/port____ Tot_pkt/bytes Pkt/Byte Drp\n"
        "  0 udp         10.0.0.1/1            10.0.0.2/2        2      200  2  200   0\n"
    ), "without a mask, the flow is that of the first packet"


def test_idle_flows_are_forgotten() -> None:
    """Within 64 ticks without a mask, 64 times as many with one; never if that is switched off."""
    masked = "pipe 1 config mask src-ip 0xffffffff"
    for command, expire, forgotten in (("pipe 1 config", True, 64), (masked, True, 64 * 64), (masked, False, 10**9)):
        shaped = Shaped(MODERN, command, expire=expire)
        shaped.send("a", pipe=1, flow=A)
        assert "1 active" in shaped.run("pipe show")
        shaped.until(min(forgotten, 10**6) + 1)
        assert ("0 active" in shaped.run("pipe show")) == (forgotten < 10**9)


# -- RED ---------------------------------------------------------------------------------------------------------------


@BOTH
def test_red_drops_before_the_queue_is_full(profile: str) -> None:
    shaped = Shaped(profile, "pipe 1 config bw 80Kbit/s queue 100 red 1/5/10/0.5")
    taken = [shaped.send(name, pipe=1) for name in range(40)]
    assert all(taken[:5]), "none below min_th"
    assert set(shaped.dropped.values()) == {Reason.PIPE_RED}
    assert sum(taken) <= 11, "all at max_th"
    shaped.rest()
    assert len(shaped.left) == sum(taken)


def test_gentle_red_goes_on_above_max_th() -> None:
    plain, gentle = (
        Shaped(MODERN, f"pipe 1 config bw 80Kbit/s queue 100 {word} 1/5/10/0.1") for word in ("red", "gred")
    )
    counts = [sum(shaped.send(name, pipe=1) for name in range(60)) for shaped in (plain, gentle)]
    assert counts[0] < counts[1]


def test_ecn_marks_instead() -> None:
    shaped = Shaped(MODERN, "pipe 1 config bw 80Kbit/s queue 100 red 1/5/10/0.5 ecn")
    assert all(shaped.send(name, pipe=1) for name in range(40))
    assert shaped.marked
    assert not shaped.dropped


def test_the_average_falls_while_the_queue_is_empty() -> None:
    shaped = Shaped(MODERN, "pipe 1 config bw 8Mbit/s queue 100 red 0.5/3/100/1")
    for name in range(20):
        shaped.send(name, 1000, pipe=1)
    dropped = len(shaped.dropped)
    assert dropped
    shaped.until(10_000)
    assert all(shaped.send(("again", name), 1000, pipe=1) for name in range(3))
