"""pipe and queue rules in a BSD's path: held packets and where they go on, for senders, forwarders and the ledger."""

from __future__ import annotations

import errno

import pytest
from bsd_worlds import ALL, BEFORE_5, LEFT, OWN, RIGHT, SINCE_8, BsdWorld, echo, with_switch
from datagrams import pieces, ping, udp

from simulator import Reason
from simulator.trace import Kind

ANY = "ip from any to any"
THROUGH = udp(LEFT, RIGHT, data=bytes(72))
"""100 octets from left to right: 10 ms at 80 Kbit/s."""
NEAR = udp("10.0.0.1", RIGHT, data=bytes(72))
"""100 octets of this host's own."""


def shaped(profile: str, config: str, *rules: str, **switches: object) -> BsdWorld:
    world = BsdWorld(profile, *rules, **switches)
    world.router.ipfw(config)
    return world


def departures(world: BsdWorld, milliseconds: int) -> list[int]:
    """At which milliseconds a packet left by em1."""
    times = []
    for _ in range(milliseconds):
        world.router.clock.advance(0.001)
        times += [round(world.router.clock.now() * 1000)] * len(world.sent)
        assert world.router.ledger.balanced
    return times


@pytest.mark.parametrize("profile", ALL)
@pytest.mark.parametrize("way", ["in", "out"])
def test_a_forwarded_packet_is_held_and_goes_on(profile: str, way: str) -> None:
    world = shaped(profile, "pipe 1 config bw 80Kbit/s delay 20", f"100 pipe 1 {ANY} {way}")
    for _ in range(3):
        world.em0.receive(THROUGH)
    assert (world.sent, world.router.ledger.held) == ([], 3)
    assert departures(world, 60) == [30, 40, 50]
    assert world.matched(100) == [3]
    assert world.router.ledger.held == 0


@pytest.mark.parametrize("profile", ALL)
def test_it_comes_out_as_it_went_in(profile: str) -> None:
    world = shaped(profile, "pipe 1 config delay 5", f"100 pipe 1 {ANY}")
    straight = BsdWorld(profile)
    straight.em0.receive(THROUGH)
    world.em0.receive(THROUGH)
    world.router.clock.advance(1)
    assert world.sent == straight.sent
    assert world.matched(100) == [2], "once in each pass"


@pytest.mark.parametrize("profile", ALL)
def test_what_is_for_this_host_and_what_it_sends(profile: str) -> None:
    world = shaped(profile, "pipe 1 config delay 5", f"100 pipe 1 {ANY}")
    world.em0.receive(ping(LEFT, OWN))
    assert world.router.delivered == []
    world.router.clock.advance(0.005)
    assert len(world.router.delivered) == 1
    assert world.em0.sent == []
    world.router.clock.advance(0.005)
    assert len(world.em0.sent) == 1, "the answer, which was held on its way out"


@pytest.mark.parametrize("profile", ALL)
@pytest.mark.parametrize("one_pass", [True, False])
def test_one_pass(profile: str, one_pass: bool) -> None:
    """X-10: accepted, or on behind the rule, a further rule of the same number included."""
    world = shaped(profile, "pipe 1 config delay 5", f"100 pipe 1 {ANY} in", f"100 deny {ANY} in")
    world.router.sysctl(f"net.inet.ip.fw.one_pass={int(one_pass)}")
    world.em0.receive(THROUGH)
    world.router.clock.advance(1)
    assert len(world.sent) == one_pass
    assert world.matched(100) == [1, int(not one_pass)]
    assert world.dropped == ({} if one_pass else {Reason.DENIED: 1})


@pytest.mark.parametrize("profile", ALL)
def test_when_one_pass_is_looked_at(profile: str) -> None:
    world = shaped(profile, "pipe 1 config delay 5", f"100 pipe 1 {ANY} in", f"200 deny {ANY} in")
    world.em0.receive(THROUGH)
    world.router.sysctl("net.inet.ip.fw.one_pass=0")
    world.router.clock.advance(1)
    assert len(world.sent) == (profile in SINCE_8)


@pytest.mark.parametrize("profile", ALL)
def test_two_pipes_one_after_the_other(profile: str) -> None:
    world = shaped(profile, "pipe 1 config delay 5", f"100 pipe 1 {ANY} out", f"200 pipe 2 {ANY} out")
    world.router.ipfw("pipe 2 config bw 80Kbit/s")
    world.router.sysctl("net.inet.ip.fw.one_pass=0")
    world.em0.receive(THROUGH)
    assert departures(world, 40) == [15]
    assert (world.matched(100), world.matched(200)) == ([1], [1])


@pytest.mark.parametrize("profile", ALL)
def test_rules_change_while_packets_are_held(profile: str) -> None:
    """The place in the list is found again by the rule; a rule that is gone: as each kernel does it."""
    world = shaped(profile, "pipe 1 config delay 5", f"100 pipe 1 {ANY} in", f"200 count {ANY} in")
    world.router.sysctl("net.inet.ip.fw.one_pass=0")
    world.em0.receive(THROUGH)
    world.router.ipfw(f"add 100 count {ANY} in")
    world.router.ipfw(f"add 50 deny {ANY} in")
    world.router.clock.advance(1)
    assert (world.matched(50), world.matched(100), world.matched(200)) == ([0], [1, 1], [1])
    world.router.ipfw("delete 50")
    world.sent  # noqa: B018 - forgotten
    world.em0.receive(THROUGH)
    world.router.ipfw("delete 100")
    world.router.clock.advance(1)
    assert len(world.sent) == (profile in SINCE_8)
    assert world.dropped == ({} if profile in SINCE_8 else {Reason.DENIED: 1})


@pytest.mark.parametrize("profile", ALL)
def test_a_full_queue(profile: str) -> None:
    """A local sender is told, where the system does, unless the pipe has ``noerror``."""
    told = errno.ENOBUFS if profile in with_switch("dummynet_tells", value=True) else 0
    world = shaped(profile, "pipe 1 config bw 80Kbit/s queue 2", f"100 pipe 1 {ANY} out")
    assert [world.router.send(NEAR) for _ in range(6)][-1] == told
    assert set(world.dropped) == {Reason.PIPE_FULL}
    world.router.ipfw("pipe 1 config plr 1 noerror")
    assert world.router.send(NEAR) == 0
    assert Reason.PIPE_LOSS in world.dropped


@pytest.mark.parametrize("profile", ALL)
def test_no_such_pipe(profile: str) -> None:
    world = BsdWorld(profile, f"100 pipe 7 {ANY} out", f"200 queue 7 {ANY} out")
    told = errno.ENOBUFS if profile in with_switch("dummynet_tells", value=True) else 0
    assert world.router.send(NEAR) == told
    world.router.ipfw("delete 100")
    assert world.router.send(NEAR) == told
    assert world.dropped == {Reason.PIPE_MISSING: 2}


@pytest.mark.parametrize("profile", ALL)
def test_pipe_deleted_and_flushed_with_packets_in_it(profile: str) -> None:
    world = shaped(profile, "pipe 1 config bw 80Kbit/s delay 100", f"100 pipe 1 {ANY} out")
    for command in ("pipe 1 delete", "pipe flush"):
        world.router.ipfw("pipe 1 config bw 80Kbit/s delay 100")
        for _ in range(3):
            world.em0.receive(THROUGH)
        world.router.ipfw(command)
        assert world.router.ledger.held == 0
    assert world.dropped == {Reason.PIPE_DELETED: 6}
    world.router.clock.advance(10)
    assert world.sent == []


@pytest.mark.parametrize("profile", ALL)
def test_the_interface_goes_away_meanwhile(profile: str) -> None:
    world = shaped(profile, "pipe 1 config delay 5", f"100 pipe 1 {ANY} out")
    world.em0.receive(THROUGH)
    world.em1.up = False
    world.router.clock.advance(1)
    expected = Reason.INTERFACE_DOWN if profile in BEFORE_5 else Reason.NO_ROUTE
    assert set(world.dropped) <= {expected, Reason.INTERFACE_DOWN, Reason.NO_ROUTE}
    assert sum(world.dropped.values()) == 1


@pytest.mark.parametrize("profile", ALL)
def test_the_route_changes_meanwhile(profile: str) -> None:
    """Since FreeBSD 8 what was held in the out pass is routed by the table of the moment in which it leaves."""
    world = shaped(profile, "pipe 1 config delay 5", f"100 pipe 1 {ANY} out")
    em2 = world.router.add_interface("em2", "172.16.0.1/24")
    world.em0.receive(udp(LEFT, "10.0.0.2", data=b"x"))
    world.router.add_route("10.0.0.2/32", via="172.16.0.9")
    world.router.clock.advance(1)
    assert (len(world.em1.sent), len(em2.sent)) == ((0, 1) if profile in SINCE_8 else (1, 0))


@pytest.mark.parametrize("profile", ALL)
def test_divert_and_pipe(profile: str) -> None:
    """A packet that a program writes back meets the pipe behind its divert rule, and keeps no tag afterwards."""
    world = shaped(profile, "pipe 1 config delay 5", f"100 divert 8668 {ANY} in", f"200 pipe 1 {ANY} in")
    world.router.sysctl("net.inet.ip.fw.one_pass=0")
    sock = world.divert()
    world.em0.receive(THROUGH)
    assert echo(sock) == 1
    assert world.router.ledger.held == 1
    world.router.clock.advance(1)
    assert echo(sock) == 0
    assert len(world.sent) == 1


@pytest.mark.parametrize("profile", ALL)
def test_a_pipe_uses_up_the_tag_of_a_divert_socket(profile: str) -> None:
    """X-6: the out pass begins at the first rule, although the pipe cut the in pass short."""
    world = shaped(profile, "pipe 1 config delay 5", f"50 deny {ANY} out", f"100 divert 8668 {ANY} in")
    world.router.ipfw(f"add 200 pipe 1 {ANY} in")
    sock = world.divert()
    world.em0.receive(THROUGH)
    assert echo(sock) == 1
    world.router.clock.advance(1)
    assert world.dropped == {Reason.DENIED: 1}
    assert world.matched(50) == [1]


@pytest.mark.parametrize("profile", SINCE_8)
def test_tags_calls_and_dscp_survive(profile: str) -> None:
    world = shaped(
        profile,
        "pipe 1 config delay 5",
        f"100 setdscp ef {ANY} in",
        f"200 pipe 1 tag 7 {ANY} in",
        f"300 count {ANY} in tagged 7 dscp ef",
    )
    world.router.sysctl("net.inet.ip.fw.one_pass=0")
    world.em0.receive(THROUGH)
    world.router.clock.advance(1)
    assert world.matched(300) == [1]
    assert world.sent[0][1] == 46 << 2


@pytest.mark.parametrize("profile", ALL)
def test_fragments_are_packets_of_their_own(profile: str) -> None:
    world = shaped(profile, "pipe 1 config bw 8Mbit/s mask dst-port 0xffff", f"100 pipe 1 {ANY} in")
    parts = pieces(udp(LEFT, RIGHT, data=bytes(2000)), 576)
    for part in parts:
        world.em0.receive(part)
    world.router.clock.advance(1)
    assert len(world.sent) == len(parts)


@pytest.mark.parametrize("profile", ALL)
def test_queues_share_by_weight(profile: str) -> None:
    world = shaped(
        profile,
        "pipe 1 config bw 800Kbit/s",
        "100 queue 1 udp from any 5000 to any out",
        "200 queue 2 udp from any 5001 to any out",
    )
    world.router.ipfw("queue 1 config pipe 1 weight 30 queue 60")
    world.router.ipfw("queue 2 config pipe 1 weight 10 queue 60")
    for _ in range(50):
        for port in (5000, 5001):
            world.em0.receive(udp(LEFT, RIGHT, ports=(port, 53), data=bytes(72)))
    world.router.clock.advance(0.040)
    first = [octets[20:22] == (5000).to_bytes(2, "big") for octets in world.sent]
    assert len(first) in (39, 40, 41)
    assert 28 <= sum(first) <= 32
    world.router.clock.advance(1)
    assert world.router.ledger.held == 0


def test_ecn_marks_the_packet() -> None:
    world = shaped("freebsd-11", "pipe 1 config bw 80Kbit/s red 1/1/3/1 ecn", f"100 pipe 1 {ANY} out")
    for _ in range(6):
        world.em0.receive(udp(LEFT, RIGHT, data=bytes(72), tos=2))
    world.em0.receive(udp(LEFT, RIGHT, data=bytes(72), tos=0))
    world.router.clock.advance(1)
    marked = [octets[1] & 3 for octets in world.sent]
    assert marked[0] == 2
    assert 3 in marked
    assert world.dropped == {Reason.PIPE_RED: 1}, "one that cannot be marked is dropped"


@pytest.mark.parametrize("profile", ALL)
def test_the_trace(profile: str) -> None:
    world = shaped(profile, "pipe 1 config delay 5", f"100 pipe 1 {ANY} in")
    with world.router.trace() as trace:
        world.em0.receive(THROUGH)
        world.router.clock.advance(1)
    kinds = [(event.kind, round(event.time * 1000)) for event in trace.events]
    assert (Kind.HELD, 0) in kinds
    assert (Kind.RELEASED, 5) in kinds
    assert len({event.packet for event in trace.events}) == 1
    assert "pipe 1 (100)" in str(trace)


@pytest.mark.parametrize("profile", with_switch("dummynet_io_fast", value=False))
def test_any_switch_by_keyword(profile: str) -> None:
    slow = shaped(profile, "pipe 1 config delay 15", f"100 pipe 1 {ANY} out", dummynet_hz=100)
    slow.em0.receive(THROUGH)
    assert departures(slow, 30) == [10]
