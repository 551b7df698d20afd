"""What was done to a router, written down as a script that plays and passes."""

from __future__ import annotations

import socket
from pathlib import Path
from random import Random
from typing import Any

import pytest
from datagrams import udp
from hypothesis.errors import UnsatisfiedAssumption

from benchmarks.fuzz.drawing import steps, switches
from benchmarks.fuzz.machine import Machine
from rules.errors import CommandError
from simulator import IPPROTO_DIVERT, Router
from simulator.links.memory import MemoryLink
from simulator.profiles import PROFILES
from simulator.scenario import Recording, record
from simulator.scenario.reading import read
from simulator.scenario.runner import play
from simulator.testing.strategies import Datagram


def between(profile: str, **switches: Any) -> Router:
    router = Router(profile, **switches)
    left, right = ("eth0", "eth1") if profile.startswith("linux") else ("em0", "em1")
    router.add_interface(left, "192.168.1.1/24")
    router.add_interface(right, "10.0.0.1/24", mtu=576)
    router.add_route("0.0.0.0/0", via="10.0.0.254")
    return router


def divert(router: Router, port: int) -> Any:
    sock = router.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT)
    sock.bind(("0.0.0.0", port))
    sock.setblocking(False)
    return sock


def failures(script: str) -> list[str]:
    [case] = play(read(script, "recorded.scn")).cases
    return [f"{failure.place}: {failure.why}" for failure in case.failures]


def test_a_recording_reads_like_a_scenario() -> None:
    router = between("freebsd-13", default_accept=True)
    router.ipfw("add 100 divert 8668 ip from any to any in")
    sock = divert(router, 8668)
    with record(router) as recording:
        em0 = router.interfaces["em0"]
        em0.receive(Datagram.said("tcp from 192.168.1.2 1024 to 10.0.0.2 80"))
        octets, address = sock.recvfrom(65535)
        sock.sendto(octets, address)
        router.clock.advance(0.5)
        em0.receive(Datagram.said("udp from 192.168.1.2 1024 to 8.8.8.8 53 iplen 1200"))
        octets, address = sock.recvfrom(65535)
        sock.sendto(octets, ("0.0.0.0", 0))
        with pytest.raises(OSError, match="Invalid argument"):
            sock.sendto(b"x", address)
        with pytest.raises(CommandError):
            router.ipfw("add bogus")
        em0.up = False
        em0.receive(Datagram.said("icmp from 192.168.1.2 to 10.0.0.1"))
        router.send(Datagram.said("icmp from 10.0.0.1 to 10.0.0.2"))
        sock.close()
    assert recording.script == (
        """\
# What was done to a router, and what came of it.
router freebsd-13 default_accept=yes
interface em0 192.168.1.1/24
interface em1 10.0.0.1/24 mtu 576
route 0.0.0.0/0 via 10.0.0.254
ipfw add 100 divert 8668 ip from any to any in
socket d divert 8668

packet p1 = tcp from 192.168.1.2 1024 to 10.0.0.2 80
em0 receives p1
    expect path in divert 8668 by 100
    expect d reads p1 address 192.168.1.1 tag 100 interface em0

d writes p1 back
    expect path in allow by 65535, out allow by 65535
    expect em1 sends p1 with ttl=63
@0.5

packet p2 = udp from 192.168.1.2 1024 to 8.8.8.8 53 iplen 1200
em0 receives p2
    expect path in divert 8668 by 100
    expect d reads p2 address 192.168.1.1 tag 100 interface em0

d writes p2 address 0.0.0.0 tag 0
    expect path out allow by 65535
    expect em1 sends fragment 1 of p2 at 576
    expect em1 sends fragment 2 of p2 at 576
    expect em1 sends fragment 3 of p2 at 576

d writes hex 78 back
    expect failure EINVAL
ipfw add bogus
    expect failure 65
em0 goes down

packet p3 = icmp from 192.168.1.2 to 10.0.0.1
em0 receives p3
    expect dropped INTERFACE_DOWN

packet p4 = p3 with src=10.0.0.1, dst=10.0.0.2
router sends p4
    expect path out allow by 65535
    expect em1 sends p4
d closes
"""
    )
    assert failures(recording.script) == []


def test_a_changed_program_is_noticed_by_the_script() -> None:
    """The script says what was, octet by octet."""
    router = between("linux-2.2")
    with record(router) as recording:
        router.interfaces["eth0"].receive(udp("192.168.1.2", "10.0.0.2", data=b"something"))
    assert failures(recording.script) == []
    [wrong] = failures(recording.script.replace("ttl=63", "ttl=62"))
    assert "eth1 sends: differs in ip.ttl" in wrong


def test_what_is_raised_inside_brings_the_script_along() -> None:
    router = between("linux-2.2")

    def fail() -> None:
        router.interfaces["eth0"].receive(udp("192.168.1.2", "10.0.0.2"))
        raise AssertionError("it should not have left\nat all")

    with pytest.raises(AssertionError) as caught, record(router):
        fail()
    [note] = caught.value.__notes__
    assert "# AssertionError: it should not have left\nrouter linux-2.2\n" in note
    assert "expect eth1 sends" in note


def test_a_file_is_written_when_something_fails_and_only_then(tmp_path: Path) -> None:
    path = tmp_path / "failing.scn"
    with record(between("linux-2.2"), path):
        pass
    assert not path.exists()
    with pytest.raises(ZeroDivisionError) as caught, record(between("linux-2.2"), path):
        raise ZeroDivisionError
    assert str(path) in caught.value.__notes__[0]
    assert path.read_text().startswith("# ZeroDivisionError\nrouter linux-2.2\n")
    assert failures(path.read_text()) == []


def test_switches_addresses_and_sockets_are_said() -> None:
    router = Router("linux-2.2", pass_through=True, pass_through_goes="accepted", foreign_inbound_errno=22)
    router.add_interface("eth0", ["10.0.0.1/24", "10.9.0.1/16"])
    router.add_interface("ppp0", "10.5.0.1/32", peer="10.5.0.2", mtu=296)
    router.add_address("eth0", "10.8.0.1/24")
    router.add_route("30.0.0.0/8", kind="reject")
    router.add_route("40.0.0.0/8", interface="ppp0")
    router.interfaces["eth0"].join("224.1.2.3")
    with record(router) as recording:
        service = router.socket(socket.AF_INET, socket.SOCK_DGRAM)
        service.bind(("0.0.0.0", 53))
        service.sendto(b"hello", ("10.5.0.2", 5000))
        service.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2000)
        router.socket(socket.AF_INET, socket.SOCK_RAW, 47)
        router.delete_address("eth0", "10.8.0.1")
        router.delete_route("40.0.0.0/8")
    lines = recording.script.splitlines()
    assert lines[1:8] == [
        "router linux-2.2 pass_through=yes pass_through_goes=accepted foreign_inbound_errno=22",
        "interface eth0 10.0.0.1/24 10.9.0.1/16",
        "interface ppp0 10.5.0.1/32 mtu 296 peer 10.5.0.2",
        "address eth0 10.8.0.1/24",
        "route 30.0.0.0/8 reject",
        "route 40.0.0.0/8 interface ppp0",
        "eth0 joins 224.1.2.3",
    ]
    assert "socket u udp 0.0.0.0 53" in lines
    assert "u writes hex 6865 6c6c 6f address 10.5.0.2 tag 5000" in lines
    assert "socket r raw 47" in lines
    assert "u sets SO_RCVBUF 2000" in lines
    assert {"address eth0 10.8.0.1 gone", "route 40.0.0.0/8 gone"} <= {*lines}
    assert failures(recording.script) == []


def test_what_the_language_cannot_say_is_said_to_be_missing() -> None:
    router = between("freebsd-13")
    router.interfaces["em0"].receive(udp("192.168.1.2", "10.0.0.2"))
    with record(router) as recording:
        router.interfaces["em0"].receive(b"")
    script = recording.script
    assert "# Not recorded: 1 packet that had passed before." in script
    assert "# Left out, for scripts have no words for it: a datagram of no octets" in script
    assert "# Played, it goes another way than what was recorded: " in script


def test_sockets_that_scripts_do_not_have_are_left_out() -> None:
    router = between("linux-2.2", pass_through=True)
    router.ipchains("-A input -o -j ACCEPT")
    with record(router) as recording:
        copies = router.socket(16, socket.SOCK_RAW, 3)
        copies.bind((0, 0xFFFFFFFF))
        tap = router.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        bound = router.socket(socket.AF_INET, socket.SOCK_RAW, 17)
        bound.bind(("10.0.0.1", 0))
        router.interfaces["eth1"].receive(udp("10.0.0.2", "10.0.0.1"))
        for sock in (copies, tap, bound):
            sock.recvfrom(65535)
            sock.close()
        divert(router, 1234).sendto(udp("10.0.0.2", "192.168.1.2"), ("0.0.0.0", 0))
    assert "# Left out, for scripts have no words for it: <RawSocket" in recording.script
    assert "d writes p3 address 0.0.0.0 tag 0" in recording.script
    assert failures(recording.script) == []


def test_names_of_ones_own_are_not_said() -> None:
    router = Router("linux-2.2", hosts={"gateway": "10.0.0.254"})
    router.ipchains("-A input -s gateway -j DENY")
    with record(router) as recording:
        pass
    assert recording.script.splitlines()[1:3] == [
        "router linux-2.2",
        "# Left out, for scripts have no words for it: names of hosts and services of one's own",
    ]


SAYABLE = {"receive", "fragments", "send", "reinject", "write", "command", "advance", "switch", "open", "close", "read"}
KINDS = {(2, 3, 254), (2, 3, 258), (2, 2, 0)}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("episode", range(3))
def test_whatever_is_done_its_script_passes(profile: str, episode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of all kinds; and what is not left out goes the same way, while programs read in time."""
    monkeypatch.setattr("benchmarks.fuzz.machine._Moody", MemoryLink)
    rng = Random(f"{profile} {episode}")
    machine = Machine(profile, switches(rng, profile), traced=False)
    recording = Recording(machine.router)
    with recording:
        for step in steps(rng, profile, 60):
            if step.name in SAYABLE and (step.name != "open" or step.arguments[1:4] in KINDS):
                machine.do(step)
    script = recording.script
    assert failures(script) == []
    if "Left out" not in script:
        assert "another way" not in script


@pytest.mark.parametrize(
    "break_off",
    [UnsatisfiedAssumption(), pytest.skip.Exception("not today"), KeyboardInterrupt()],
    ids=lambda break_off: type(break_off).__name__,
)
def test_who_breaks_off_has_found_nothing(break_off: BaseException, tmp_path: Path) -> None:
    with pytest.raises(BaseException) as caught, record(between("freebsd-13"), tmp_path / "failing.scn"):
        raise break_off
    assert not (tmp_path / "failing.scn").exists()
    assert not hasattr(caught.value, "__notes__")


def test_a_test_that_gives_up_has_failed() -> None:
    with pytest.raises(pytest.fail.Exception) as caught, record(between("freebsd-13")):
        pytest.fail("it should not be so")
    assert "# Failed: it should not be so" in caught.value.__notes__[0]
