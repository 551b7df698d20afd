"""natd: over a stand-in for a socket of CPython's, and in a router."""

from __future__ import annotations

import errno
import io
import os
import socket
from functools import partial
from typing import Any

import pytest
from bsd_worlds import ALL, BsdWorld
from datagrams import address, ping, tcp, udp
from standin import INCOMING, StandIn

from rules.addresses import dotted
from simulator import Reason
from simulator.packet import Packet
from simulator.programs.natd import Natd, NatdError, main
from simulator.programs.natd_options import read_options
from simulator.programs.registry import ProgramError, Surroundings, find
from simulator.programs.sites import Site, router_site, site_of
from simulator.wire import icmp

INSIDE, PUBLIC, REMOTE = "192.168.1.2", "10.0.0.1", "10.0.0.2"
OUTGOING = ("0.0.0.0", 100)


class World:
    """natd with its lines, and what it tells of by ICMP."""

    def __init__(self, words: str = f"-a {PUBLIC}", **more: Any) -> None:
        self.output, self.errors = io.StringIO(), io.StringIO()
        self.now = 0.0
        self.told: list[tuple[bytes, tuple[str, int]]] = []
        options = read_options(words.split(), lambda name: "")
        self.natd = Natd(
            options,
            now=lambda: self.now,
            choose=lambda n: 0,
            icmp=lambda: self,
            output=self.output,
            errors=self.errors,
            **more,
        )

    def sendto(self, message: bytes, where: tuple[str, int]) -> int:
        self.told.append((message, where))
        return len(message)

    def shutdown(self, how: int) -> None:
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    def close(self) -> None:
        self.told.clear()

    def play(self, *datagrams: tuple[bytes, tuple[str, int]], fails: int = 0) -> list[str]:
        """What is written back; with the very address that came."""
        divert = StandIn(*datagrams, fails=fails)
        for _ in datagrams:
            self.natd(divert)
        sources = {id(where) for _, where in datagrams}
        assert all(id(where) in sources for _, where in divert.sent)
        return [said(octets) for octets, _ in divert.sent]


def said(octets: bytes) -> str:
    packet = Packet(octets)
    ports = [f":{port}" if port is not None else "" for port in (packet.source_port, packet.destination_port)]
    return f"{dotted(packet.source)}{ports[0]} > {dotted(packet.destination)}{ports[1]}"


# -- over a socket -----------------------------------------------------------------------------------------------------


def test_the_address_of_the_socket_says_which_way() -> None:
    world = World()
    assert world.play((udp(INSIDE, REMOTE), OUTGOING)) == [f"{PUBLIC}:5000 > {REMOTE}:6000"]
    assert world.play((udp(REMOTE, PUBLIC, ports=(6000, 5000)), INCOMING)) == [f"{REMOTE}:6000 > {INSIDE}:5000"]


def test_two_sockets_know_their_way() -> None:
    world = World()
    divert = StandIn((udp(INSIDE, REMOTE), INCOMING), (udp(REMOTE, PUBLIC, ports=(6000, 5000)), OUTGOING))
    world.natd.outgoing(divert)
    world.natd.incoming(divert)
    assert [said(octets) for octets, _ in divert.sent] == [
        f"{PUBLIC}:5000 > {REMOTE}:6000",
        f"{REMOTE}:6000 > {INSIDE}:5000",
    ]


def test_links_end_with_time() -> None:
    world = World(f"-a {PUBLIC} -d")
    answer = (udp(REMOTE, PUBLIC, ports=(6000, 5000)), INCOMING)
    world.play((udp(INSIDE, REMOTE), OUTGOING))
    world.now += 60
    assert len(world.play(answer)) == 1
    world.now += 61
    assert world.play(answer) == []


def test_what_it_shows() -> None:
    world = World(f"-a {PUBLIC} -v -d -log_denied")
    world.play((tcp(INSIDE, REMOTE), OUTGOING), (ping(REMOTE, PUBLIC), INCOMING))
    assert world.output.getvalue() == (
        f"Out [TCP]  [TCP] {INSIDE}:5000 -> {REMOTE}:80 aliased to\n"
        f"           [TCP] {PUBLIC}:5000 -> {REMOTE}:80\n"
        f"In  [ICMP] [ICMP] {REMOTE} -> {PUBLIC} 8(0) dropped.\n"
    )
    assert world.errors.getvalue() == f"natd: denied [ICMP] {REMOTE} -> {PUBLIC} 8(0)\n"


def test_the_log_of_links() -> None:
    world = World(f"-a {PUBLIC} -l")
    world.play((udp(INSIDE, REMOTE), OUTGOING), (udp(INSIDE, REMOTE), OUTGOING))
    (line,) = world.errors.getvalue().splitlines()
    assert line.startswith("natd: icmp=0, udp=1, ")


@pytest.mark.parametrize(
    ("number", "words", "line"),
    [
        (errno.EHOSTUNREACH, "", "natd: failed to write packet back: No route to host\n"),
        (errno.EACCES, "", ""),
        (errno.EACCES, "-log_ipfw_denied", "natd: failed to write packet back: Permission denied\n"),
        (errno.EMSGSIZE, "", ""),
    ],
)
def test_what_cannot_be_written_is_lost(number: int, words: str, line: str) -> None:
    world = World(f"-a {PUBLIC} {words}")
    assert world.play((udp(INSIDE, REMOTE), OUTGOING), fails=number) == []
    assert world.errors.getvalue() == line
    assert world.natd.waiting is None


def test_a_closed_socket_ends_it() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        World().play((udp(INSIDE, REMOTE), OUTGOING), fails=errno.EBADF)


def test_a_full_buffer_is_tried_again_before_anything_is_read() -> None:
    world = World()
    first, second = udp(INSIDE, REMOTE, ports=(1, 2)), udp(INSIDE, REMOTE, ports=(3, 4))
    divert = StandIn((first, OUTGOING), (second, OUTGOING), fails=errno.ENOBUFS)
    world.natd(divert)
    world.natd(divert)
    assert world.natd.waiting is divert
    assert world.natd.due(divert) is not None
    divert._fails = 0
    assert world.natd.due(divert) is None
    world.natd(divert)
    assert [said(octets) for octets, _ in divert.sent] == [f"{PUBLIC}:1 > {REMOTE}:2", f"{PUBLIC}:3 > {REMOTE}:4"]


def test_a_packet_that_is_too_long_is_answered_with_the_mtu() -> None:
    world = World("-n em1", site=lambda name: Site(address(PUBLIC), 1500))
    datagram = udp(INSIDE, REMOTE, data=bytes(1600))
    world.play((datagram, OUTGOING), (ping(INSIDE, REMOTE), OUTGOING), fails=errno.EMSGSIZE)
    ((message, where),) = world.told
    assert where == (INSIDE, 0)
    parsed = icmp.parse(message)
    assert (parsed.type, parsed.code, parsed.rest) == (3, 4, 1500 - 12)
    assert parsed.data[:20] == datagram[:20]
    assert said(parsed.data) == f"{INSIDE}:5000 > {REMOTE}:6000"
    world.natd.finish()


# -- the interface -----------------------------------------------------------------------------------------------------


def sites(name: str) -> Site:
    return {"em1": Site(address(PUBLIC), 1500), "em2": Site(None, 1500)}[name]


@pytest.mark.parametrize(
    ("name", "complaint"), [("em7", "unknown interface name em7"), ("em2", "em2: cannot get interface address")]
)
def test_interfaces_that_will_not_do(name: str, complaint: str) -> None:
    for words in (f"-n {name}", f"-n {name} -dynamic"):
        with pytest.raises(NatdError, match=complaint):
            World(words, site=sites)


def test_the_address_is_followed_when_it_is_told_to() -> None:
    site = Site(address(PUBLIC), 1500)
    world = World("-n em1 -dynamic -v", site=lambda name: site)
    fixed = World("-n em1", site=lambda name: site)
    site = Site(address("10.0.0.9"), 1500)
    packet = (udp(INSIDE, REMOTE), OUTGOING)
    assert world.play(packet) == [f"10.0.0.9:5000 > {REMOTE}:6000"]
    assert fixed.play(packet) == [f"{PUBLIC}:5000 > {REMOTE}:6000"]
    fixed.natd.refresh()
    assert fixed.play(packet) == [f"10.0.0.9:5000 > {REMOTE}:6000"]
    assert world.errors.getvalue().splitlines() == [
        f"natd: Aliasing to {PUBLIC}, mtu 1500 bytes",
        "natd: Aliasing to 10.0.0.9, mtu 1500 bytes",
    ]
    site = Site(None, 1500)
    assert world.play(packet, packet) == [f"10.0.0.9:5000 > {REMOTE}:6000"] * 2
    assert world.errors.getvalue().count("em1: cannot get interface address") == 1


def test_an_interface_of_this_machine() -> None:
    assert site_of("lo").address == address("127.0.0.1")
    with pytest.raises(KeyError):
        site_of("em7")


# -- in a router -------------------------------------------------------------------------------------------------------


class Routed(BsdWorld):
    """A router whose em1 is diverted to natd."""

    def __init__(self, profile: str, *words: str, **more: Any) -> None:
        super().__init__(profile, "100 divert 8668 ip from any to any via em1", **more)
        self.sock = self.divert()
        around = Surroundings(
            output=io.StringIO(),
            errors=io.StringIO(),
            now=self.router.clock.now,
            socket=self.router.socket,
            port=8668,
            site=partial(router_site, self.router),
            choose=lambda n: 0,
        )
        self.natd = find("natd").build(words or ("-interface", "em1"), around)

    def work(self) -> None:
        while self.sock.readable:
            self.natd(self.sock)

    def passes(self, octets: bytes) -> list[str]:
        source = Packet(octets).source
        (self.em0 if source >> 8 == address(INSIDE) >> 8 else self.em1).receive(octets)
        self.work()
        return [said(each) for each in self.sent]


@pytest.mark.parametrize("profile", ALL)
def test_in_a_router_there_and_back(profile: str) -> None:
    world = Routed(profile)
    assert world.passes(tcp(INSIDE, REMOTE)) == [f"{PUBLIC}:5000 > {REMOTE}:80"]
    assert world.passes(tcp(REMOTE, PUBLIC, ports=(80, 5000), flags=0x12)) == [f"{REMOTE}:80 > {INSIDE}:5000"]
    assert world.passes(ping(INSIDE, REMOTE)) == [f"{PUBLIC} > {REMOTE}"]
    assert world.router.ledger.balanced
    assert not world.dropped


@pytest.mark.parametrize("profile", ALL)
def test_in_a_router_a_redirected_port(profile: str) -> None:
    world = Routed(profile, *f"-interface em1 -deny_incoming -redirect_port tcp {INSIDE}:80 8080".split())
    assert world.passes(tcp(REMOTE, PUBLIC, ports=(9, 8080))) == [f"{REMOTE}:9 > {INSIDE}:80"]
    assert world.passes(tcp(INSIDE, REMOTE, ports=(80, 9), flags=0x12)) == [f"{PUBLIC}:8080 > {REMOTE}:9"]
    assert world.passes(ping(REMOTE, PUBLIC)) == []


@pytest.mark.parametrize("profile", ALL)
def test_in_a_router_a_datagram_that_is_too_long_comes_back_as_an_error(profile: str) -> None:
    world = Routed(profile, mtu=1000)
    world.em0.receive(udp(INSIDE, REMOTE, data=bytes(1200), fragment=0x4000))
    world.work()
    (sent,) = world.em0.sent
    assert said(sent) == f"192.168.1.1 > {INSIDE}"
    message = icmp.parse(sent[20:])
    assert (message.type, message.code, message.rest) == (3, 4, 1000 - 12)
    assert world.dropped == {Reason.NEEDS_FRAGMENTING: 1}


def test_as_a_program_by_name() -> None:
    entry = find("natd")
    for words, complaint in (
        ("-frob", "natd: unknown option frob"),
        ("", "natd: aliasing address not given"),
        ("-a 1.2.3.4 -p 9000", "natd: port 9000 is not the port of its socket, 8668"),
        ("-a 1.2.3.4 -i 1 -o 2", "natd: in_port and out_port are two sockets, and there is one"),
        ("-n em7", "natd: unknown interface name em7"),
    ):
        with pytest.raises(ProgramError) as caught:
            entry.build(words.split(), Surroundings(port=8668, site=sites))
        assert str(caught.value) == complaint


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-frob"]) == 1
    assert capsys.readouterr().err.startswith("natd: unknown option frob\nRecognized options:\n")
    assert main([]) == 1
    assert capsys.readouterr().err == "natd: aliasing address not given\n"
    assert main(["--help"]) == 0
    assert "redirect_port" in capsys.readouterr().out


def test_the_command_without_divert_sockets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.EPROTONOSUPPORT, os.strerror(errno.EPROTONOSUPPORT))

    monkeypatch.setattr(socket, "socket", none)
    assert main(["-a", "1.2.3.4"]) == 1
    assert capsys.readouterr().err == "natd: Unable to create divert socket.: Protocol not supported\n"
