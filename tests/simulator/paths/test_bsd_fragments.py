"""Fragments on a BSD: collected for divert, put together, cut again, and kept within limits (bsd.md section 7)."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest
from bsd_worlds import ALL, BEFORE_5, LEFT, OUTGOING, OWN, RIGHT, SINCE_8, BsdWorld, echo, fails, queued, with_switch
from datagrams import ip, pieces, udp
from worlds import error, forwarded

from rules.fields import DONT_FRAGMENT, MORE_FRAGMENTS
from simulator import Reason, Router
from simulator.profiles import BsdProfile
from simulator.wire import checksum, ipv4

DIVERTS = "100 divert 8668 ip from any to any"
WHOLE = udp(LEFT, RIGHT, data=bytes(range(200)) * 6)
KNOWN = ("freebsd-13", "freebsd-14")
"""Those that keep the end of a datagram once it is known, and drop what is impossible at once."""

every = pytest.mark.parametrize("profile", ALL)
since_8 = pytest.mark.parametrize("profile", SINCE_8)


def part(start: int, stop: int, *, last: bool = False, letter: bytes = b"x", **header: int) -> bytes:
    """The octets from ``start`` to ``stop`` of a datagram."""
    field = start // 8 | (0 if last else MORE_FRAGMENTS)
    return ip(LEFT, OWN, 99, letter * (stop - start), fragment=field, identification=77, **header)


def arrive(world: BsdWorld, *parts: bytes) -> list[bytes]:
    """By em0; what this host gets of them."""
    world.router.delivered.clear()
    for each in parts:
        world.em0.receive(each)
    return [ipv4.payload(octets) for octets in world.router.delivered if octets[9] == 99]


def losses(world: BsdWorld) -> dict[str, int]:
    """The counters of reassembly, without those of all traffic."""
    return {name: world.counters.get(name, 0) for name in ("fragdropped", "toosmall", "toolong", "fragtimeout")}


@since_8
@pytest.mark.statement("bsd.md F-3")
@pytest.mark.parametrize("way", ["in", "out"])
def test_f3_in_both_passes_and_an_incomplete_set_vanishes(profile: str, way: str) -> None:
    world = BsdWorld(profile, f"{DIVERTS} {way}")
    sock = world.divert()
    for piece in pieces(WHOLE, 576)[1:]:
        world.em0.receive(piece)
    world.router.clock.advance(31)
    assert world.dropped == {Reason.REASSEMBLY_TIMEOUT: 2}
    assert not sock.readable
    assert not world.sent


@every
@pytest.mark.statement("bsd.md F-5")
def test_f5_total_length_options_of_the_first_and_no_df(profile: str) -> None:
    world = BsdWorld(profile, DIVERTS + " in")
    sock = world.divert()
    options = bytes((148, 4, 0, 0))  # router alert, which every fragment carries
    whole = udp(LEFT, RIGHT, data=bytes(1200), options=options + b"\1\1\1\0")
    first, *later = pieces(whole, 576)
    for piece in (*later, first):
        df = bytearray(piece)
        df[6] |= DONT_FRAGMENT >> 8
        df[10:12] = bytes(2)
        df[10:12] = checksum.checksum(bytes(df[: ipv4.View(bytes(df)).header_length])).to_bytes(2, "big")
        world.em0.receive(bytes(df))
    ((octets, _),) = queued(sock)
    assert octets == whole


@every
@pytest.mark.statement("bsd.md F-6")
def test_f6_the_interface_of_the_first_or_of_the_completing_fragment(profile: str) -> None:
    world = BsdWorld(profile, DIVERTS + " in")
    sock = world.divert()
    first, *rest = pieces(WHOLE, 576)
    world.em0.receive(first)
    for piece in rest:
        world.em1.receive(piece)
    ((_, sender),) = queued(sock)
    of_first = profile in with_switch("reassembled_interface_of", "first")
    assert (sender[0], sender.interface) == ((OWN, "em0") if of_first else ("10.0.0.1", "em1"))


@every
@pytest.mark.statement("bsd.md F-6")
def test_f6_the_port_goes_with_the_rule(profile: str) -> None:
    world = BsdWorld(profile, "100 divert 1111 udp from any to any 6000 in", "200 divert 2222 ip from any to any in")
    first, later = world.divert(1111), world.divert(2222)
    for piece in pieces(WHOLE, 576):
        world.em0.receive(piece)
    assert (len(queued(first)), len(queued(later))) == ((1, 0) if profile in BEFORE_5 else (0, 1))


@every
@pytest.mark.statement("bsd.md F-7")
def test_f7_in_transit_what_is_not_diverted_goes_on_alone(profile: str) -> None:
    world = BsdWorld(profile, "50 allow udp from any to any 6000 in", DIVERTS + " in")
    sock = world.divert()
    first, *rest = pieces(WHOLE, 576)
    for piece in (first, *rest):
        world.em0.receive(piece)
    assert world.sent == [forwarded(first)]
    world.router.clock.advance(31)
    assert world.dropped == {Reason.REASSEMBLY_TIMEOUT: len(rest)}
    assert not sock.readable


@pytest.mark.parametrize("profile", ["dragonfly"])
@pytest.mark.statement("bsd.md F-7", "bsd.md DF-3")
def test_df3_without_the_first_fragments_mark_the_packet_is_dropped_with_a_message(profile: str) -> None:
    world = BsdWorld(profile, "50 allow udp from any to any 6000 in", DIVERTS + " in")
    world.divert()
    parts = pieces(udp(LEFT, OWN, data=bytes(1200)), 576)
    for piece in parts:
        world.em0.receive(piece)
    assert world.dropped == {Reason.REASSEMBLY_FAILED: 1}
    assert list(world.router.messages) == ["ip_input no divert info"]


@pytest.mark.parametrize("profile", ["dragonfly"])
@pytest.mark.statement("bsd.md DF-1", "bsd.md DF-2")
def test_df1_df2_the_firewall_with_divert_and_packets_in_order(profile: str) -> None:
    world = BsdWorld(profile, DIVERTS)
    sock = world.divert()
    sent = [udp(LEFT, RIGHT, identification=number) for number in range(50)]
    for octets in sent:
        world.em0.receive(octets)
    assert [octets for octets, _ in queued(sock)] == sent
    with pytest.raises(TypeError, match="ipfw"):
        world.router.ipchains("-L")


@every
@pytest.mark.statement("bsd.md F-9", "bsd.md W-16", "bsd.md 15.8")
@pytest.mark.parametrize("mtu", [68, 100, 576, 1006])
@pytest.mark.parametrize("way", ["outgoing", "incoming"])
def test_f9_cut_to_the_mtu(profile: str, mtu: int, way: str) -> None:
    world = BsdWorld(profile, mtu=mtu)
    copied, first_only = bytes((148, 4, 0, 0)), bytes((11, 4, 5, 0))
    whole = udp(LEFT, RIGHT, data=bytes(range(256)) * 5, options=copied + first_only)
    assert world.unbound().sendto(whole, OUTGOING if way == "outgoing" else (OWN, 0)) == len(whole)
    sent = world.sent
    room = (mtu - 28) & ~7
    assert [len(ipv4.payload(octets)) for octets in sent[:-1]] == [room] * (len(sent) - 1)
    assert b"".join(ipv4.payload(octets) for octets in sent) == ipv4.payload(whole)
    heads = [ipv4.View(octets) for octets in sent]
    assert [head.options[:4] for head in heads] == [copied] * len(sent)
    assert [first_only in head.options for head in heads] == [True] + [False] * (len(sent) - 1)
    assert [head.fragment & MORE_FRAGMENTS for head in heads] == [MORE_FRAGMENTS] * (len(sent) - 1) + [0]
    assert all(checksum.verify(octets[: ipv4.View(octets).header_length]) for octets in sent)


@every
@pytest.mark.statement("bsd.md F-9", "bsd.md W-15")
def test_f9_df_is_an_error_for_the_writer_or_for_the_sender(profile: str) -> None:
    world = BsdWorld(profile, mtu=576)
    whole = udp(LEFT, RIGHT, data=bytes(1200), fragment=DONT_FRAGMENT)
    with fails(errno.EMSGSIZE):
        world.unbound().sendto(whole, OUTGOING)
    assert not world.sent
    assert world.unbound().sendto(whole, (OWN, 0)) == len(whole)
    kind, code, rest, _ = error(world.em0.sent[0])
    assert (kind, code, rest & 0xFFFF) == (3, 4, 576)


@every
@pytest.mark.statement("bsd.md F-9")
def test_f9_what_a_router_put_together_leaves_in_new_fragments(profile: str) -> None:
    world = BsdWorld(profile, DIVERTS + " in", mtu=300)
    sock = world.divert()
    for piece in pieces(WHOLE, 576):
        world.em0.receive(piece)
    assert echo(sock) == 1
    assert [len(octets) for octets in world.em1.sent] == [300 - 280 % 8] * 4 + [1228 - 20 - 4 * 280 + 20]


# -- reassembly itself, as this host meets it --------------------------------------------------------------------------


@every
@pytest.mark.statement("bsd.md F-10")
def test_f10_the_key_is_source_destination_identification_and_protocol(profile: str) -> None:
    world = BsdWorld(profile)
    start = ip(LEFT, OWN, 99, bytes(8), fragment=MORE_FRAGMENTS)
    for end in (
        ip("192.168.1.3", OWN, 99, bytes(8), fragment=1),
        ip(LEFT, "10.0.0.1", 99, bytes(8), fragment=1),
        ip(LEFT, OWN, 99, bytes(8), fragment=1, identification=2),
        ip(LEFT, OWN, 98, bytes(8), fragment=1),
    ):
        assert arrive(world, start, end) == []
    assert arrive(world, ip(LEFT, OWN, 99, bytes(8), fragment=1)) == [bytes(16)]


@every
@pytest.mark.statement("bsd.md F-10")
@pytest.mark.parametrize(
    ("parts", "everywhere", "known"),
    [
        ([part(0, 8, letter=b"A"), part(0, 8, letter=b"B"), part(8, 16, last=True)], b"A" * 8 + b"x" * 8, None),
        ([part(0, 16, letter=b"A"), part(8, 24, letter=b"B", last=True)], b"A" * 16 + b"B" * 8, None),
        ([part(8, 24, letter=b"A", last=True), part(0, 16, letter=b"B")], b"B" * 16 + b"A" * 8, None),
        ([part(8, 16, letter=b"A"), part(16, 24, last=True), part(0, 16, letter=b"B")], b"B" * 16 + b"x" * 8, None),
        ([part(8, 16, last=True), part(16, 24), part(0, 8)], None, b"x" * 16),
    ],
    ids=["the same again", "its front is cut", "it cuts the next", "it covers the next", "beyond the end"],
)
def test_f10_overlaps(profile: str, parts: list[bytes], everywhere: bytes | None, known: bytes | None) -> None:
    expected = known if known is not None and profile in KNOWN else everywhere
    assert arrive(BsdWorld(profile), *parts) == ([] if expected is None else [expected])


@every
@pytest.mark.statement("bsd.md F-10")
@pytest.mark.parametrize(
    ("odd", "older", "newer"),
    [
        (part(8, 13), "toosmall", "toosmall"),
        (part(8, 8), "toosmall", "toosmall"),
        (part(8, 8, last=True), None, "toosmall"),
        (part(65528, 65600, last=True), None, "toolong"),
    ],
    ids=["no multiple of 8", "nothing", "a last one of nothing", "beyond the maximum"],
)
def test_f10_impossible_lengths(profile: str, odd: bytes, older: str | None, newer: str | None) -> None:
    world = BsdWorld(profile)
    assert arrive(world, odd) == []
    reason = newer if profile in KNOWN else older
    dropped = 0 if reason is None or profile in BEFORE_5 else 1
    assert losses(world) == {"fragdropped": dropped, "toosmall": 0, "toolong": 0, "fragtimeout": 0} | (
        {} if reason is None else {reason: 1}
    )
    assert world.router.ledger.held == (reason is None)


@every
@pytest.mark.statement("bsd.md F-10")
def test_f10_a_whole_beyond_the_maximum_loses_everything(profile: str) -> None:
    world = BsdWorld(profile)
    assert arrive(world, part(0, 65480), part(65480, 65528, last=True)) == []
    assert losses(world) == {"fragdropped": 2, "toosmall": 0, "toolong": 1, "fragtimeout": 0}


@every
@pytest.mark.statement("bsd.md F-10")
@pytest.mark.parametrize(("first", "second", "mixes"), [(0, 3, True), (2, 0, True), (3, 0, True), (0, 2, False)])
def test_f10_congestion_marks(profile: str, first: int, second: int, mixes: bool) -> None:
    found = arrive(BsdWorld(profile), part(0, 8, tos=first), part(8, 16, last=True, tos=second))
    assert found == ([] if mixes and profile not in BEFORE_5 else [b"x" * 16])


@every
@pytest.mark.statement("bsd.md F-10")
@pytest.mark.parametrize(("count", "whole"), [(16, True), (17, True), (18, False)])
def test_f10_sixteen_fragments_and_one_that_completes(profile: str, count: int, whole: bool) -> None:
    world = BsdWorld(profile)
    parts = [part(8 * at, 8 * at + 8, last=at == count - 1) for at in range(count)]
    assert arrive(world, *parts) == ([b"x" * 8 * count] if whole else [])
    assert losses(world)["fragdropped"] == (0 if whole else 17)


@every
@pytest.mark.statement("bsd.md F-10", "bsd.md 15.15")
def test_f10_thirty_seconds_and_nobody_is_told(profile: str) -> None:
    world = BsdWorld(profile)
    arrive(world, part(0, 8), part(16, 24))
    world.router.clock.advance(29)
    assert (losses(world)["fragtimeout"], world.router.ledger.held) == (0, 2)
    world.router.clock.advance(2)
    assert (losses(world)["fragtimeout"], world.router.ledger.held) == (2, 0)
    assert not world.sent


@every
@pytest.mark.statement("bsd.md F-10")
@pytest.mark.parametrize("action", ["allow", "divert 8668"])
def test_f10_a_flood_of_fragments_is_bounded(profile: str, action: str) -> None:
    """A thousand datagrams of which one fragment came, then one of a thousand fragments: what is held stays within the
    limits, the oldest makes room, and good datagrams get through in the end."""
    switches = Router(profile).profile
    assert isinstance(switches, BsdProfile)
    limits = replace(switches.reassembly, packets=50)
    world = BsdWorld(profile, f"100 {action} ip from any to any in", reassembly=limits)
    sock = world.divert()
    for number in range(1000):
        world.em0.receive(ip(LEFT, OWN, 99, bytes(800), fragment=MORE_FRAGMENTS | 1, identification=number))
        assert world.router.ledger.held <= 50
    assert world.router.ledger.held == 50
    for number in range(1000):
        world.em0.receive(part(8 * number + 8, 8 * number + 16))
        assert world.router.ledger.held <= 50 + 16
    good = udp(LEFT, OWN, data=bytes(1200))
    for piece in pieces(good, 576):
        world.em0.receive(piece)
    assert (len(queued(sock)) if "divert" in action else len(world.router.delivered)) == 1
    assert world.router.ledger.balanced


@every
@pytest.mark.statement("bsd.md F-10")
def test_f10_the_limits_of_the_kernels_hold_without_being_set(profile: str) -> None:
    world = BsdWorld(profile)
    for number in range(1000):
        world.em0.receive(ip(LEFT, OWN, 99, bytes(8), fragment=MORE_FRAGMENTS | 1, identification=number))
    assert world.router.ledger.held == 800
    assert losses(world)["fragtimeout"] == 200, "the evicted count as timed out"


# -- reass, and rules that meet fragments ------------------------------------------------------------------------------


@since_8
@pytest.mark.statement("bsd.md F-11")
def test_f11_reass_counts_a_fragment_twice(profile: str) -> None:
    world = BsdWorld(profile, "100 reass ip from any to any in", "200 count ip from any to any in")
    world.em0.receive(udp(LEFT, RIGHT))
    assert (world.matched(100), world.matched(200)) == ([1], [1])
    parts = pieces(WHOLE, 576)
    for piece in parts:
        world.em0.receive(piece)
    assert (world.matched(100), world.matched(200)) == ([1 + 2 * len(parts)], [2])
    assert world.em1.sent[-1] == forwarded(WHOLE)


@since_8
@pytest.mark.statement("bsd.md F-11", "bsd.md F-8")
def test_f11_reass_before_divert_gives_a_rule_with_ports_the_whole(profile: str) -> None:
    world = BsdWorld(profile, "50 reass ip from any to any in", "100 divert 8668 udp from any to any 6000 in")
    sock = world.divert()
    for piece in reversed(pieces(WHOLE, 576)):
        world.em0.receive(piece)
    ((octets, sender),) = queued(sock)
    assert (octets, sender.tag) == (WHOLE, 100)


QUESTIONS = [
    (17, "udp from any to any 6000", False),
    (17, "udp from any 5000 to any", False),
    (6, "tcp from any to any setup", False),
    (6, "tcp from any to any established", False),
    (1, "icmp from any to any icmptypes 0,8", False),
    (17, "udp from any to any frag", True),
    (17, "udp from any to any", True),
]


@every
@pytest.mark.statement("bsd.md F-12")
@pytest.mark.parametrize(("protocol", "rule", "matches"), QUESTIONS, ids=[rule for _, rule, _ in QUESTIONS])
def test_f12_what_matches_a_later_fragment(profile: str, protocol: int, rule: str, matches: bool) -> None:
    world = BsdWorld(profile, f"100 count {rule} in")
    world.em0.receive(ip(LEFT, RIGHT, protocol, bytes(40), fragment=MORE_FRAGMENTS | 5))
    assert world.matched(100) == [int(matches)]


@every
@pytest.mark.statement("bsd.md F-12")
def test_f12_a_first_fragment_is_none_to_frag(profile: str) -> None:
    world = BsdWorld(profile, "100 count ip from any to any frag in", "200 count udp from any to any 6000 in")
    world.em0.receive(pieces(WHOLE, 576)[0])
    assert (world.matched(100), world.matched(200)) == ([0], [1])


@every
@pytest.mark.statement("bsd.md F-13")
@pytest.mark.parametrize(("protocol", "least"), [(6, 20), (17, 8), (1, 4), (99, 0)])
def test_f13_how_much_of_a_transport_header_is_wanted(profile: str, protocol: int, least: int) -> None:
    world = BsdWorld(profile, "100 count ip from any to any in")
    for length in {0, max(least - 1, 0), least}:
        enough = length >= least
        before = world.matched(100)[0]
        world.em0.receive(ip(LEFT, RIGHT, protocol, bytes(length)))
        assert world.matched(100)[0] - before == enough, length


@since_8
@pytest.mark.statement("bsd.md F-13")
def test_f13_a_tcp_fragment_at_octet_eight(profile: str) -> None:
    world = BsdWorld(profile, "100 count ip from any to any in")
    world.em0.receive(ip(LEFT, RIGHT, 6, bytes(40), fragment=1))
    denied = profile in KNOWN
    assert world.matched(100) == [0 if denied else 1]
    assert len(world.em1.sent) == (0 if denied else 1)


@pytest.mark.parametrize("profile", BEFORE_5)
@pytest.mark.statement("bsd.md F-13")
def test_f13_the_first_ipfw_refuses_it_where_a_rule_asks_for_ports(profile: str) -> None:
    first = {"ipfw_dialect": "ipfw1"} if profile == "freebsd-4" else {}
    world = BsdWorld(profile, "100 count tcp from any to any 25 in", "200 count ip from any to any in", **first)
    world.em0.receive(ip(LEFT, RIGHT, 6, bytes(40), fragment=1))
    denied = bool(first)
    assert (world.matched(100), world.matched(200)) == ([0], [0 if denied else 1])
    assert len(world.em1.sent) == (0 if denied else 1)


@pytest.mark.parametrize("profile", ["dragonfly"])
@pytest.mark.statement("bsd.md DF-6")
def test_df6_defrag_puts_incoming_fragments_together_in_the_rule(profile: str) -> None:
    world = BsdWorld(profile, "100 defrag ip from any to any", "200 count udp from any to any 6000 in")
    for piece in reversed(pieces(WHOLE, 576)):
        assert not world.em1.sent
        world.em0.receive(piece)
    assert world.matched(200) == [1]
    assert world.em1.sent == [forwarded(WHOLE)]
    world.em1.sent.clear()
    start = pieces(udp("10.0.0.1", RIGHT, data=bytes(1200)), 576)[0]
    assert world.unbound().sendto(start, OUTGOING) == len(start)
    assert world.em1.sent == [start], "no effect on output"


@since_8
@pytest.mark.statement("bsd.md F-13")
def test_f13_too_short_is_an_error_for_who_writes_it(profile: str) -> None:
    with fails(errno.EACCES):
        BsdWorld(profile).unbound().sendto(ip("10.0.0.1", RIGHT, 17, bytes(7)), OUTGOING)
