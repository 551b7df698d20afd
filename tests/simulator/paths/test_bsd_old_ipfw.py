"""The ways of packets with the first ipfw of FreeBSD 4, and with DragonFly's ``defrag``."""

from __future__ import annotations

import errno

import pytest
from bsd_worlds import LEFT, OUTGOING, OWN, RIGHT, BsdWorld, echo, fails, queued
from datagrams import ip, pieces, tcp, udp
from worlds import forwarded

from rules.ipfw import CommandError
from simulator import Reason, Router

GOOD = udp(LEFT, RIGHT, data=b"0123456789abcdef")
WHOLE = udp(LEFT, RIGHT, data=bytes(range(200)) * 6)


def first_world(*rules: str, **more: object) -> BsdWorld:
    return BsdWorld("freebsd-4", *rules, ipfw_dialect="ipfw1", **more)  # type: ignore[arg-type]


class TestFirstIpfw:
    def test_it_is_what_freebsd_4_speaks_unless_told_otherwise(self) -> None:
        router = Router("freebsd-4")
        with pytest.raises(CommandError, match="invalid action ``set''"):
            router.ipfw("add set 5 count ip from any to any")
        assert Router("freebsd-4", ipfw_dialect="ipfw2").ipfw("add 1 set 5 count in").startswith("00001 count")

    def test_what_a_program_writes_back_goes_on_behind_the_number(self) -> None:
        """X-1"""
        world = first_world(
            "100 divert 8668 ip from any to any in", "100 count ip from any to any", "200 count ip from any to any in"
        )
        sock = world.divert()
        world.em0.receive(GOOD)
        assert [sender[1] for _, sender in queued(sock)] == [100]
        world.em0.receive(GOOD)
        assert echo(sock) == 1
        assert world.matched(100) == [2, 1]  # out, once
        assert world.matched(200) == [1]
        assert world.em1.sent == [forwarded(GOOD)]

    def test_tee_accepts_the_original(self) -> None:
        """T-2"""
        world = first_world("100 tee 8668 ip from any to any in", "200 deny ip from any to any in")
        sock = world.divert()
        world.em0.receive(GOOD)
        assert world.em1.sent == [forwarded(GOOD)]
        assert [octets for octets, _ in queued(sock)] == [GOOD]

    def test_a_tag_beyond_the_list_is_dropped(self) -> None:
        """X-3"""
        world = first_world("100 divert 8668 ip from any to any out")
        sock = world.divert()
        with fails(errno.EACCES):
            sock.sendto(udp(OWN, RIGHT), ("0.0.0.0", 65535))
        assert not world.em1.sent
        assert sum(world.dropped.values()) == 1

    def test_incoming_fragments_are_diverted_as_one(self) -> None:
        """F-2"""
        world = first_world("100 divert 8668 ip from any to any in")
        sock = world.divert()
        for piece in reversed(pieces(WHOLE, 576)):
            world.em0.receive(piece)
        assert [octets for octets, _ in queued(sock)] == [WHOLE]

    def test_the_rule_of_the_first_fragment_counts(self) -> None:
        """F-6"""
        world = first_world("100 divert 8668 udp from any to any 6000 in", "200 divert 8668 ip from any to any in")
        sock = world.divert()
        for piece in pieces(WHOLE, 576):
            world.em0.receive(piece)
        assert [sender[1] for _, sender in queued(sock)] == [100]

    def test_a_first_fragment_that_was_not_diverted_makes_it_a_normal_datagram(self) -> None:
        """F-7"""
        world = first_world("50 allow udp from any to any 6000 in", "100 divert 8668 ip from any to any in")
        sock = world.divert()
        for piece in pieces(udp(LEFT, OWN, data=bytes(1200)), 576):
            world.em0.receive(piece)
        assert (len(queued(sock)), len(world.router.delivered)) == (0, 1)

    def test_a_second_fragment_that_hides_tcp_flags_is_refused(self) -> None:
        """F-13"""
        world = first_world("100 count tcp from any to any 80")
        world.em0.receive(ip(LEFT, RIGHT, 6, bytes(40), fragment=1))
        assert world.dropped == {Reason.DENIED: 1}
        assert world.matched(100) == [0]

    def test_reject_says_that_the_host_cannot_be_reached(self) -> None:
        world = first_world("100 reject tcp from any to any")
        world.em0.receive(tcp(LEFT, RIGHT))
        (answer,) = world.em0.sent
        assert tuple(answer[20:22]) == (3, 1)


@pytest.mark.statement("bsd.md DF-6")
@pytest.mark.profiles("dragonfly")
class TestDefrag:
    RULES = ("100 defrag ip from any to any", "200 count udp from any to any 6000 in")

    def test_the_whole_goes_on_behind_the_rule(self) -> None:
        world = BsdWorld("dragonfly", *self.RULES)
        parts = pieces(WHOLE, 576)
        for piece in parts:
            world.em0.receive(piece)
        assert world.matched(100) == [len(parts)]
        assert world.matched(200) == [1]
        assert world.em1.sent == [forwarded(WHOLE)]

    def test_an_incomplete_one_waits_and_its_sender_is_told_that_all_is_well(self) -> None:
        world = BsdWorld("dragonfly", *self.RULES)
        sock = world.unbound()
        part = pieces(WHOLE, 576)[0]
        assert sock.sendto(part, (OWN, 0)) == len(part)
        assert (world.router.ledger.held, world.sent) == (1, [])
        assert world.matched(200) == [0]

    def test_what_leaves_is_left_alone(self) -> None:
        world = BsdWorld("dragonfly", *self.RULES)
        sock = world.unbound()
        part = pieces(udp(OWN, RIGHT, data=bytes(1200)), 576)[0]
        sock.sendto(part, OUTGOING)
        assert world.matched(100) == [0]
        assert len(world.em1.sent) == 1

    def test_before_a_divert_rule(self) -> None:
        world = BsdWorld("dragonfly", "100 defrag ip from any to any", "200 divert 8668 udp from any to any 6000 in")
        sock = world.divert()
        for piece in pieces(WHOLE, 576):
            world.em0.receive(piece)
        assert [(octets, sender[1]) for octets, sender in queued(sock)] == [(WHOLE, 200)]


def test_a_language_that_the_system_lacks() -> None:
    with pytest.raises(ValueError, match="ipfw_dialect='ipfw3' is not 'ipfw1' or 'ipfw2'"):
        Router("freebsd-4", ipfw_dialect="ipfw3")
