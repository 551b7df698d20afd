"""Programs that keep packets: for a while, or in a file."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import pytest
from bsd_worlds import LEFT, RIGHT, BsdWorld
from datagrams import ping, udp
from standin import INCOMING, StandIn, played
from worlds import World

from simulator import SimulatedClock
from simulator.links.captures import read
from simulator.programs.registry import ProgramError, Surroundings, find
from simulator.programs.running import OnClock


def build(name: str, *words: str, **around: Any) -> Any:
    return find(name).build(list(words), Surroundings(**{"output": io.StringIO(), "errors": io.StringIO()} | around))


PINGS = [ping(LEFT, RIGHT, identification=number) for number in range(1, 4)]


def test_held_packets_come_back_in_order_each_with_its_address() -> None:
    clock = SimulatedClock()
    delay = build("delay", "--seconds", "2", now=clock.now)
    addresses = [("0.0.0.0", 7), INCOMING, ("192.168.1.1", 9)]
    divert = StandIn(*zip(PINGS, addresses, strict=True))
    delay(divert)
    clock.advance(1.5)
    delay(divert)
    delay(divert)
    assert (delay.due(divert), divert.sent) == (0.5, [])
    clock.advance(0.5)
    assert delay.due(divert) == 1.5
    assert divert.sent == [(PINGS[0], addresses[0])]
    clock.advance(5)
    assert delay.due(divert) is None
    assert divert.sent == list(zip(PINGS, addresses, strict=True))


def test_no_more_than_the_limit_is_held() -> None:
    errors = io.StringIO()
    delay = build("delay", "--limit", "2", errors=errors)
    divert = StandIn(*((each, INCOMING) for each in PINGS))
    for _ in PINGS:
        delay(divert)
    assert errors.getvalue() == "delay: 2 packets are held, one more is lost\n"
    delay.finish()
    assert errors.getvalue().endswith("delay: 2 held packets are lost\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--seconds", "-1"), "argument --seconds: seconds are a number, 0 or more, not '-1'"),
        (("--seconds", "nan"), "argument --seconds: seconds are a number, 0 or more, not 'nan'"),
        (("--limit", "0"), "argument --limit: "),
    ],
)
def test_wrong_values(words: tuple[str, ...], told: str) -> None:
    with pytest.raises(ProgramError, match=told):
        build("delay", *words)


@pytest.mark.parametrize("profile", ["linux-2.2", "freebsd-13"])
def test_a_router_sends_them_when_their_time_has_come(profile: str) -> None:
    if profile == "linux-2.2":
        linux = World(profile, "-A forward -j DIVERT 1234")
        router, sock, first, second = linux.router, linux.divert(), linux.eth0, linux.eth1
    else:
        bsd = BsdWorld(profile, "100 divert 8668 ip from any to any in")
        router, sock, first, second = bsd.router, bsd.divert(), bsd.em0, bsd.em1
    program = OnClock(build("delay", "--seconds", "3", now=router.clock.now), sock, router.clock)
    for octets in PINGS:
        first.receive(octets)
        program(sock)
        router.clock.advance(1.0)
    assert len(second.sent) == 1
    router.clock.advance(0.9)
    assert len(second.sent) == 1
    router.clock.advance(10)
    assert [octets[4:6] for octets in second.sent] == [octets[4:6] for octets in PINGS]
    assert router.ledger.balanced


def test_what_is_captured_is_what_came(tmp_path: Path) -> None:
    path = tmp_path / "copies.pcap"
    times = iter((1.5, 2.25, 3.0))
    output = io.StringIO()
    program = build("tee-capture", "--write", str(path), date=lambda: next(times), output=output)
    assert played(program, *PINGS) == []
    program.finish()
    assert [(packet.time, packet.frame) for packet in read(path)] == list(zip((1.5, 2.25, 3.0), PINGS, strict=True))
    assert output.getvalue() == f"tee-capture: 3 packets written to {path}\n"


def test_each_packet_is_in_the_file_at_once_and_as_much_of_it_as_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "copies.pcap"
    program = build(
        "tee-capture", "--write", str(path), "--snaplen", "20", "--packets", "1", "--put-back", date=lambda: 7
    )
    assert played(program, *PINGS[:2]) == PINGS[:2]
    octets = path.read_bytes()
    assert struct.unpack_from("<IIII", octets, 24) == (7, 0, 20, len(PINGS[0]))
    assert octets[40:] == PINGS[0][:20]
    program.finish()


def test_tee_leaves_the_traffic_alone(tmp_path: Path) -> None:
    world = BsdWorld("freebsd-14", "100 tee 8668 ip from any to any in")
    sock = world.divert()
    program = build("tee-capture", "--write", str(tmp_path / "copies.pcap"))
    world.em0.receive(udp(LEFT, RIGHT))
    program(sock)
    assert len(world.em1.sent) == 1
    assert world.dropped == {}
    assert program.written == 1


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="the following arguments are required: --write"):
        build("tee-capture")
    with pytest.raises(IsADirectoryError):
        build("tee-capture", "--write", str(tmp_path))
