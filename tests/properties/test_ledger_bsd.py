"""Random BSD routers under random traffic: the ledger balances after every step, nothing raises but socket writes.

Addresses come from a small pool around the router's own networks, so that every way through the router is taken often.
The trace of the same run agrees: every packet in it has one beginning and one fate.
"""

from __future__ import annotations

import contextlib
import socket
from collections import Counter
from typing import Any

from bsd_worlds import ALL
from datagrams import address, ip, pieces, ping, tcp, udp
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rules.errors import CommandError
from simulator import IPPROTO_DIVERT, Router
from simulator.sockets.address import BSD_LAYOUT, Address
from simulator.sockets.base import QueueSocket
from simulator.trace import Event, Kind
from simulator.wire import checksum, icmp

OWN = ("192.168.1.1", "10.0.0.1", "10.5.0.1", "127.0.0.1")
OTHERS = ("192.168.1.2", "10.0.0.2", "10.0.0.254", "10.5.0.2", "8.8.8.8", "30.0.0.1", "40.0.0.1")
MANY = ("192.168.1.255", "10.0.0.0", "255.255.255.255", "224.0.0.1", "239.1.2.3")
ODD = ("0.0.0.0", "0.0.0.7", "127.8.8.8", "240.0.0.1", "169.254.0.1")
INTERFACES = ("em0", "em1", "tun0", "bare0", "lo0")
PORTS = (8668, 9999)
NUMBERS = (100, 200, 200, 300, 400)

destinations = st.sampled_from(OWN * 3 + OTHERS * 3 + MANY + ODD)
sources = st.sampled_from(OTHERS * 6 + OWN + MANY + ODD)
payloads = st.one_of(st.binary(max_size=40), st.sampled_from([bytes(600), bytes(2000), bytes(9000)]))
fields = st.fixed_dictionaries(
    {
        "ttl": st.sampled_from([64, 64, 64, 2, 1, 0]),
        "tos": st.sampled_from([0, 0x10, 0x03, 0xFF]),
        "identification": st.integers(0, 2),
        "fragment": st.sampled_from([0, 0, 0, 0, 0x4000, 0x2000, 0x2001, 0x0001, 0x0010, 0x1FFF, 0x8000]),
        "options": st.sampled_from(
            [b""] * 6 + [b"\1\1\1\0", bytes((7, 11, 4)) + bytes(9), bytes((131, 7, 4)) + bytes(5)]
            + [bytes((68, 12, 5, 1)) + bytes(8), bytes((7, 40, 4, 0))]
        ),
    }
)  # fmt: skip


@st.composite
def datagrams(draw: st.DrawFn) -> bytes:
    """Mostly well formed."""
    ends = draw(sources), draw(destinations)
    header, data = draw(fields), draw(payloads)
    match draw(st.sampled_from(["ping", "udp", "tcp", "error", "other"])):
        case "ping":
            return ping(*ends, data=data, **header)
        case "udp":
            return udp(*ends, ports=draw(st.sampled_from([(5000, 53), (53, 7)])), data=data, **header)
        case "tcp":
            return tcp(*ends, flags=draw(st.sampled_from([2, 4, 16, 18])), data=data, **header)
        case "error":
            return ip(*ends, 1, icmp.unreachable(3, bytes(28)), **header)
        case _:
            return ip(*ends, draw(st.sampled_from([1, 2, 6, 17, 99, 255])), data, **header)


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A datagram with an octet changed (its checksum mended or not), or cut, or padded; or anything."""
    whole = bytearray(draw(datagrams()))
    match draw(st.integers(0, 3)):
        case 0:
            whole[draw(st.integers(0, min(len(whole), 40) - 1))] = draw(st.integers(0, 255))
            length = (whole[0] & 15) * 4
            if draw(st.booleans()) and 20 <= length <= len(whole):
                whole[10:12] = b"\0\0"
                whole[10:12] = checksum.checksum(bytes(whole[:length])).to_bytes(2, "big")
        case 1:
            del whole[draw(st.integers(0, len(whole))) :]
        case 2:
            whole += draw(st.binary(max_size=40))
        case _:
            return draw(st.binary(max_size=60))
    return bytes(whole)


@st.composite
def fragments(draw: st.DrawFn) -> list[bytes]:
    """Some fragments of a datagram, in any order, some of them twice."""
    whole = udp(draw(sources), draw(destinations), data=bytes(900), identification=draw(st.integers(0, 2)))
    parts = pieces(whole, draw(st.sampled_from([100, 576])))
    return draw(st.permutations(parts) | st.lists(st.sampled_from(parts), min_size=1, max_size=len(parts)))


actions = st.sampled_from(
    ["divert 8668", "divert 8668", "divert 9999", "divert 7", "tee 8668", "tee 9999"] * 2
    + ["allow", "deny", "count", "skipto 300", "reset", "unreach host", "unreach needfrag", "reject"]
    + ["fwd 10.0.0.9", "fwd 10.5.0.1,53", "fwd 127.0.0.1", "reass", "call 300", "return", "setdscp af11", "count log"]
)
bodies = st.builds(
    "{} from {} to any{}".format,
    st.sampled_from(["ip", "ip", "ip", "udp", "icmp", "tcp"]),
    st.sampled_from(["any", "any", "me", "10.0.0.0/8"]),
    st.sampled_from(["", "", " in", " out", " via em0", " recv em0", " frag", " in tagged 5", " diverted"]),
)
rules = st.builds(
    "add {} {} {}{}".format, st.sampled_from(NUMBERS), actions, st.sampled_from([""] * 6 + ["tag 5 "]), bodies
)

ports = st.sampled_from(PORTS)
interfaces = st.sampled_from(INTERFACES)
changes = st.sampled_from(["as it is", "pair", "other way", "tag 0", "changed", "cut", "dropped"])
tags = st.sampled_from([0, 99, 100, 200, 300, 65534, 65535])
hosts = st.sampled_from(("0.0.0.0", *OWN, "192.168.1.255", "8.8.8.8"))
names = st.sampled_from([b"", b"em0", b"lo0", b"nosuch0", b"wireguar", b"em1\0junk"])

common = (
    st.tuples(st.just("receive"), interfaces, datagrams() | broken()),
    st.tuples(st.just("receive"), interfaces, datagrams()),
    st.tuples(st.just("fragments"), interfaces, fragments()),
    st.tuples(st.just("send"), st.none(), datagrams() | broken()),
    st.tuples(st.just("reinject"), ports, changes),
)
rare = (
    st.tuples(st.just("write"), ports, st.tuples(datagrams() | broken(), hosts, tags, names)),
    st.tuples(st.just("advance"), st.none(), st.sampled_from([0.0, 0.5, 10.0, 31.0])),
    st.tuples(st.just("switch"), interfaces, st.booleans()),
    st.tuples(st.just("ipfw"), st.none(), rules),
    st.tuples(st.just("ipfw"), st.none(), st.sampled_from(["-q flush", "delete 200", "zero", "disable firewall"])),
    st.tuples(st.just("bind"), ports, st.none()),
    st.tuples(st.just("close"), ports, st.none()),
)
steps = st.one_of(*common * 4, *rare)

BEGINNINGS = {Kind.RECEIVED, Kind.ORIGINATED, Kind.INJECTED, Kind.GENERATED, Kind.COPIED}
FATES = {Kind.TRANSMITTED, Kind.DELIVERED, Kind.DIVERTED, Kind.DROPPED, Kind.MERGED}


class Machine:
    """A router with four interfaces, its programs, and what its trace has said so far."""

    def __init__(self, profile: str, accept: bool, commands: list[str]) -> None:
        self.router = Router(profile, default_accept=accept)
        for name, own, mtu in (("em0", "192.168.1.1/24", 1500), ("em1", "10.0.0.1/24", 576), ("bare0", None, 296)):
            self.router.add_interface(name, own, mtu=mtu)
        self.router.add_interface("tun0", "10.5.0.1/32", mtu=1400, peer="10.5.0.2")
        self.router.add_route("0.0.0.0/0", via="10.0.0.254")
        self.router.add_route("30.0.0.0/8", kind="reject")
        self.router.add_route("40.0.0.0/8", kind="blackhole")
        self.sockets: dict[int, QueueSocket] = {}
        self.bind(PORTS[0], None)
        self.udp = self.router.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for command in commands:
            self.ipfw(None, command)
        self.fates: Counter[int] = Counter()
        self.begun: Counter[int] = Counter()
        self.router.node.tracer.add(self.hear)

    def hear(self, event: Event) -> None:
        self.begun[event.packet] += event.kind in BEGINNINGS
        self.fates[event.packet] += event.kind in FATES

    def receive(self, interface: str, octets: bytes) -> None:
        self.router.interfaces[interface].receive(octets)

    def fragments(self, interface: str, parts: list[bytes]) -> None:
        for part in parts:
            self.receive(interface, part)

    def send(self, _: None, octets: bytes) -> None:
        self.router.send(octets)

    def reinject(self, port: int, change: str) -> None:
        sock = self.sockets.get(port)
        if sock is None or not sock.readable:
            return
        octets, sender = sock.recvfrom(65535)
        assert isinstance(sender, Address)
        target: Any = sender
        match change:
            case "pair":
                target = tuple(sender)
            case "other way":
                target = ("0.0.0.0" if sender[0] != "0.0.0.0" else "10.0.0.1", sender[1])
            case "tag 0":
                target = (sender[0], 0)
            case "changed":
                octets = octets[:8] + bytes((octets[8] ^ 0x3F,)) + octets[9:16] + b"\x0a\0\0\2" + octets[20:]
            case "cut":
                octets = octets[:-1]
            case "dropped":
                return
        with contextlib.suppress(OSError):
            sock.sendto(octets, target)

    def write(self, port: int, what: tuple[bytes, str, int, bytes]) -> None:
        octets, host, tag, name = what
        sock = self.sockets.get(port)
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.sendto(octets, BSD_LAYOUT.pack(address(host), tag, name.ljust(8, b"\0")))

    def advance(self, _: None, seconds: float) -> None:
        self.router.clock.advance(seconds)

    def switch(self, interface: str, up: bool) -> None:
        self.router.interfaces[interface].up = up

    def ipfw(self, _: None, command: str) -> None:
        with contextlib.suppress(CommandError):  # a word that this system does not know
            self.router.ipfw(command)

    def bind(self, port: int, _: None) -> None:
        if port not in self.sockets:
            sock = self.router.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT)
            sock.bind(("", port))
            self.sockets[port] = sock

    def close(self, port: int, _: None) -> None:
        if port in self.sockets:
            self.sockets.pop(port).close()

    def check(self) -> None:
        ledger = self.router.ledger
        assert ledger.balanced, str(ledger)
        assert set(self.begun.values()) <= {1}
        unfinished = [number for number, fates in self.fates.items() if fates != 1]
        assert all(self.fates[number] == 0 for number in unfinished), "two fates"
        assert len(unfinished) == ledger.held


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    profile=st.sampled_from(ALL),
    accept=st.booleans(),
    commands=st.lists(rules, max_size=5),
    script=st.lists(steps, min_size=5, max_size=40),
)
@example(
    profile="freebsd-13",
    accept=True,
    commands=["add 100 divert 8668 ip from any to any"],
    script=[("send", None, ping("10.0.0.1", "192.168.1.1")), *[("reinject", 8668, "as it is")] * 4],
)
def test_every_packet_has_one_fate(
    profile: str, accept: bool, commands: list[str], script: list[tuple[str, Any, Any]]
) -> None:
    machine = Machine(profile, accept, commands)
    for name, where, what in script:
        getattr(machine, name)(where, what)
        machine.check()
