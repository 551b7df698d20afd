"""The trace: events as data, text and JSON beside them; free when nobody listens."""

from __future__ import annotations

import json

import pytest
from datagrams import ip, pieces, ping, tcp, udp
from worlds import GOOD, LEFT, RIGHT, ROUTER, World, forwarded

from simulator import Reason
from simulator.trace import Event, Kind, Trace, summary
from simulator.wire import icmp


def test_a_journey() -> None:
    world = World("linux-2.2", "-A forward -p udp -j DIVERT 1234")
    sock = world.divert()
    with world.router.trace() as trace:
        world.eth0.receive(GOOD)
        world.router.clock.advance(1.5)
        sock.sendto(*sock.recvfrom(65535))
    told = [(event.packet, event.time, event.kind.value, event.interface, event.hook, event.verdict) for event in trace]
    assert told == [
        (1, 0.0, "received", "eth0", None, None),
        (1, 0.0, "firewall", "eth0", "input", "ACCEPT"),
        (1, 0.0, "routed", "eth0", None, None),
        (1, 0.0, "firewall", "eth1", "forward", "DIVERT"),
        (1, 0.0, "diverted", "eth1", None, None),
        (2, 1.5, "injected", "eth0", None, None),
        (2, 1.5, "firewall", "eth1", "forward", "ACCEPT"),
        (2, 1.5, "firewall", "eth1", "output", "ACCEPT"),
        (2, 1.5, "transmitted", "eth1", None, None),
    ]
    assert [event.rule for event in trace if event.hook] == [
        "input:policy",
        "forward:1",
        "forward:policy",
        "output:policy",
    ]
    assert trace.events[-1].octets == forwarded(GOOD)
    assert len(trace) == 9


def test_text() -> None:
    world = World("linux-2.2", "-A forward -p udp -j DIVERT 1234", "-A input -p icmp -j DENY")
    with world.router.trace() as trace:
        world.eth0.receive(GOOD)
        world.eth0.receive(ping(LEFT, RIGHT))
    lines = [line.rstrip() for line in str(trace).splitlines()]
    assert lines[0].endswith("udp 192.168.1.2:5000 > 10.0.0.2:6000, ttl 64, 44 octets")
    assert [line.split()[1:4] for line in lines] == [
        ["#1", "received", "eth0"],
        ["#1", "input", "eth0"],
        ["#1", "routed", "eth0"],
        ["#1", "forward", "eth1"],
        ["#1", "dropped", "eth1"],
        ["#2", "received", "eth0"],
        ["#2", "input", "eth0"],
        ["#2", "dropped", "eth0"],
    ]
    assert lines[2].endswith("to eth1")
    assert "DIVERT 1234 (forward:1)" in lines[3]
    assert f"NO_LISTENER: {Reason.NO_LISTENER.value}" in lines[4]


def test_changes_are_told_before_and_after() -> None:
    world = World("linux-2.2", "-A input -m 7 -t 0x01 0x10")
    with world.router.trace() as trace:
        world.eth0.receive(GOOD)
    [change] = [event for event in trace if event.kind is Kind.CHANGED]
    assert change.detail == "mark 0x0 -> 0x7, tos 0x00 -> 0x10"


def test_json() -> None:
    world = World("linux-2.2", "-P input DENY")
    with world.router.trace() as trace:
        world.eth0.receive(GOOD)
    events = json.loads(trace.to_json())
    assert events[0] == {
        "packet": 1,
        "time": 0.0,
        "kind": "received",
        "interface": "eth0",
        "octets": GOOD.hex(),
    }
    assert events[1]["hook"] == "input"
    assert events[2]["reason"] == "DENIED"
    assert json.loads(Trace().to_json()) == []


def test_fragments_and_what_they_become() -> None:
    world = World()
    with world.router.trace() as trace:
        for piece in pieces(ping(LEFT, ROUTER, data=bytes(80)), 68):
            world.eth0.receive(piece)
    kinds = [(event.packet, event.kind) for event in trace if event.kind is not Kind.FIREWALL]
    assert kinds[:11] == [
        (1, Kind.RECEIVED),
        (1, Kind.ROUTED),
        (1, Kind.HELD),
        (2, Kind.RECEIVED),
        (2, Kind.ROUTED),
        (3, Kind.GENERATED),
        (1, Kind.MERGED),
        (2, Kind.MERGED),
        (3, Kind.DELIVERED),
        (4, Kind.GENERATED),
        (4, Kind.TRANSMITTED),
    ]


def test_pieces_of_a_datagram_that_is_too_large() -> None:
    """The first piece to leave goes on as the datagram itself; the others are new."""
    world = World()
    with world.router.trace() as trace:
        world.router.send(udp("10.0.0.1", RIGHT, data=bytes(3000)))
    assert [(event.packet, event.kind) for event in trace if event.kind is not Kind.FIREWALL] == [
        (1, Kind.ORIGINATED),
        (1, Kind.TRANSMITTED),
        (2, Kind.GENERATED),
        (2, Kind.TRANSMITTED),
        (3, Kind.GENERATED),
        (3, Kind.TRANSMITTED),
    ]
    assert "fragment of #1" in str(trace)


def test_a_listener_hears_at_once_and_nothing_is_kept() -> None:
    world = World()
    heard: list[Event] = []
    with world.router.trace(heard.append) as trace:
        assert not heard
        world.eth0.receive(GOOD)
        assert heard[-1].kind is Kind.TRANSMITTED
    assert len(trace) == 0
    before = len(heard)
    world.eth0.receive(GOOD)
    assert len(heard) == before


def test_several_may_listen_and_numbers_go_on() -> None:
    world = World()
    with world.router.trace() as outer:
        world.eth0.receive(GOOD)
        with world.router.trace() as inner:
            world.eth0.receive(GOOD)
    assert {event.packet for event in outer} == {1, 2}
    assert {event.packet for event in inner} == {2}


def test_it_is_free_when_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World("linux-2.2", "-A forward -p udp -j DIVERT 1234")
    sock = world.divert()

    def record(*_: object, **__: object) -> None:
        raise AssertionError("recorded without a listener")

    monkeypatch.setattr(type(world.router.node.tracer), "record", record)
    world.eth0.receive(GOOD)
    sock.sendto(*sock.recvfrom(65535))
    for piece in pieces(ping(LEFT, ROUTER, data=bytes(80)), 68):
        world.eth0.receive(piece)
    world.router.send(udp(ROUTER, "192.168.1.255", data=bytes(3000)))
    world.eth0.receive(udp(LEFT, RIGHT, ttl=1))
    assert world.router.ledger.balanced


def test_events_are_values() -> None:
    event = Event(packet=1, time=0.0, kind=Kind.DROPPED, reason=Reason.DENIED)
    assert event == Event(packet=1, time=0.0, kind=Kind.DROPPED, reason=Reason.DENIED)
    with pytest.raises(AttributeError):
        event.packet = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (ping(LEFT, RIGHT), "icmp 192.168.1.2 > 10.0.0.2 echo request, ttl 64, 84 octets"),
        (ip(LEFT, RIGHT, 1, icmp.unreachable(1, b"")), "icmp 192.168.1.2 > 10.0.0.2 unreachable, ttl 64, 28 octets"),
        (tcp(LEFT, RIGHT, flags=18), "tcp 192.168.1.2:5000 > 10.0.0.2:80 SYN|ACK, ttl 64, 40 octets"),
        (tcp(LEFT, RIGHT, flags=0), "tcp 192.168.1.2:5000 > 10.0.0.2:80 no flags, ttl 64, 40 octets"),
        (ip(LEFT, RIGHT, 200, b""), "protocol 200 192.168.1.2 > 10.0.0.2, ttl 64, 20 octets"),
        (
            udp(LEFT, RIGHT, fragment=0x2002),
            "udp 192.168.1.2 > 10.0.0.2, fragment at 16+, ttl 64, 28 octets",
        ),
        (b"", "0 octets that are no IPv4 datagram"),
        (b"\x60" + bytes(39), "40 octets that are no IPv4 datagram"),
    ],
)
def test_summaries(octets: bytes, text: str) -> None:
    assert summary(octets) == text
