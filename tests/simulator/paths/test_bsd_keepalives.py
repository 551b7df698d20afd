"""Keepalives of ipfw's dynamic state (bsd.md D-4, H-9): real segments to both ends, which no rule looks at."""

from __future__ import annotations

from typing import Any

import pytest

from simulator import Router
from simulator.packet import Packet
from tests.bsd_worlds import ALL, LEFT, RIGHT, BsdWorld
from tests.datagrams import tcp

SYN, ACK, FIN = 2, 16, 1
SINCE_12 = ("freebsd-13", "freebsd-14")


class Connection:
    """An open connection from LEFT to RIGHT through a router that only lets it in by its state.

    Were the state looked up in both passes, each ACK would count twice, and the end that sent the last one be spared.
    """

    def __init__(self, profile: str, **switches: Any) -> None:
        rules = ("50 allow tcp from any to any out", "100 allow tcp from any to any setup keep-state")
        self.world = BsdWorld(profile, *rules, default_accept=False, **switches)
        self.there(SYN, 0)
        self.back(SYN | ACK, 1001)
        self.there(ACK, 5001)
        assert len(self.world.sent) == 3

    def there(self, flags: int, acknowledgment: int) -> None:
        self.world.em0.receive(tcp(LEFT, RIGHT, flags=flags, acknowledgment=acknowledgment))

    def back(self, flags: int, acknowledgment: int) -> None:
        self.world.em1.receive(tcp(RIGHT, LEFT, ports=(80, 5000), flags=flags, acknowledgment=acknowledgment))

    def probes(self, seconds: float) -> list[tuple[float, list[Packet]]]:
        """What leaves in the next seconds, each with its time."""
        found = []
        for _ in range(int(seconds)):
            self.world.router.clock.advance(1)
            sent = self.world.sent
            if sent:
                found.append((self.world.router.clock.now(), [Packet(octets) for octets in sent]))
        return found


@pytest.mark.parametrize("profile", ALL)
def test_probes_in_the_last_twenty_seconds_every_five(profile: str) -> None:
    """D-4"""
    connection = Connection(profile)
    times = [time for time, _ in connection.probes(400)]
    assert times == ([280, 285, 290, 295] if profile in ("freebsd-10", "freebsd-11") else [285, 290, 295])
    assert connection.world.router.ledger.balanced
    assert connection.world.router.ipfw("-d list").count("STATE") == 0


@pytest.mark.parametrize("profile", ALL)
def test_both_ends_are_asked_with_numbers_they_know(profile: str) -> None:
    """D-4, H-9: no rule's counters go up."""
    connection = Connection(profile)
    before = connection.world.router.ipfw("show")
    world = connection.world
    world.router.clock.advance(286)
    (left,), (right,) = world.em0.sent[-1:], world.em1.sent[-1:]
    to_left, to_right = Packet(left), Packet(right)
    assert (to_right.source_port, to_right.destination_port, to_right.tcp_flags) == (5000, 80, ACK)
    assert (to_right.tcp_sequence, to_right.tcp_acknowledgment) == (1000, 5001)
    assert (to_left.source_port, to_left.destination_port, to_left.tcp_flags) == (80, 5000, ACK)
    assert (to_left.tcp_sequence, to_left.tcp_acknowledgment) == (5000, 1001)
    assert (to_left.total_length, to_left.ttl) == (40, 64)
    assert bool(to_left.fragment) == (profile in SINCE_12)
    assert world.router.ipfw("show") == before
    assert world.router.ledger.generated >= 2
    assert world.router.ledger.balanced


@pytest.mark.parametrize("profile", ALL)
def test_ends_that_answer_keep_the_state(profile: str) -> None:
    connection = Connection(profile)
    connection.world.router.clock.advance(286)
    connection.there(ACK, 5001)
    connection.back(ACK, 1001)
    assert len(connection.world.sent) > 0
    assert connection.probes(250) == []
    assert "(50s)" in connection.world.router.ipfw("-d show")


@pytest.mark.parametrize("profile", ALL)
def test_an_end_that_answered_is_not_asked_again(profile: str) -> None:
    """Except by FreeBSD 4 and DragonFly."""
    connection = Connection(profile)
    connection.world.router.clock.advance(286)
    connection.back(ACK, 1001)
    assert len(connection.world.sent) > 0
    ((_, probes),) = connection.probes(5)
    assert len(probes) == (2 if profile in ("freebsd-4", "dragonfly") else 1)


def test_no_probes_for_what_is_not_open_or_when_switched_off() -> None:
    connection = Connection("freebsd-10")
    connection.world.router.ipfw("disable dyn_keepalive")
    assert connection.probes(300) == []
    connection = Connection("freebsd-10")
    connection.world.router.sysctl("net.inet.ip.fw.dyn_keepalive=0")
    assert connection.probes(300) == []
    world = BsdWorld("freebsd-10", "100 allow tcp from any to any setup keep-state")
    world.em0.receive(tcp(LEFT, RIGHT, flags=SYN))
    assert len(world.sent) == 1
    world.router.clock.advance(60)
    assert world.sent == []


def test_the_timer_rests_when_there_is_no_state() -> None:
    connection = Connection("freebsd-13")
    connection.world.router.clock.advance(400)
    assert connection.world.router.clock.next_deadline() is None


def test_a_probe_without_a_way_has_a_fate() -> None:
    connection = Connection("freebsd-10")
    connection.world.em1.up = False
    connection.world.router.clock.advance(290)
    assert connection.world.router.ledger.balanced


def test_messages_of_commands_reach_the_router() -> None:
    """E-44"""
    world = BsdWorld("freebsd-10")
    world.router.ipfw("zero")
    assert world.router.messages[-1] == "ipfw: Accounting cleared."


def test_linux_has_no_such_variables() -> None:
    with pytest.raises(TypeError, match="no ipfw"):
        Router("linux-2.2").sysctl("net.inet.ip.fw.verbose")
