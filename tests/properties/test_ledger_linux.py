"""Random Linux routers under random traffic: the ledger balances after every step, nothing raises but socket writes.

Addresses come from a small pool around the router's own networks, so that every way through the router is taken often.
The traces of the same runs say the same as the ledger: every packet has one fate, and the fates add up.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections import Counter
from typing import Any

from datagrams import address, pieces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator import IPPROTO_DIVERT, Reason, Router
from simulator.trace import Event, Kind
from simulator.wire import icmp, ipv4
from simulator.wire import tcp as tcp_wire
from simulator.wire import udp as udp_wire

OWN = ("192.168.1.1", "10.0.0.1", "10.9.0.1", "172.16.0.0")
OTHERS = ("192.168.1.2", "192.168.1.3", "10.0.0.2", "10.0.0.254", "172.16.0.1", "8.8.8.8", "30.0.0.1")
MANY = ("192.168.1.255", "10.0.0.0", "255.255.255.255", "224.0.0.1", "224.0.0.9", "239.1.2.3")
ODD = ("0.0.0.0", "0.0.0.7", "127.0.0.1", "127.8.8.8", "240.0.0.1")
INTERFACES = ("eth0", "eth1", "ppp0")
PORTS = (9, 1234, 4321)
REINJECTIONS = ("as it is", "pair", "out", "in", "changed")

destinations = st.sampled_from(OWN * 3 + OTHERS * 3 + MANY + ODD)
OPTIONS = (
    b"\1\1\1\0",
    b"\x07\x07\x04\0\0\0\0\0",
    b"\x44\x08\x05\0\0\0\0\0",
    b"\x83\x07\x04\x0a\0\0\2\0",
    b"\x89\x0b\x04\x0a\0\0\1\x0a\0\0\xfe\0",
    b"\x83\x09\x04\0",
    b"\x07\2\4\0",
)
sources = st.sampled_from(OTHERS * 8 + OWN + MANY + ODD)
octets = st.binary(max_size=64)


@st.composite
def transports(draw: st.DrawFn, source: int, destination: int) -> tuple[int, bytes]:
    """Protocol and payload, mostly well formed."""
    data = draw(st.one_of(octets, st.sampled_from([bytes(600), bytes(2000), bytes(5000), bytes(9000)])))
    ports = draw(st.sampled_from([(5000, 53), (53, 7), (7, 7)]))
    match draw(st.sampled_from(["echo", "udp", "tcp", "error", "other", "garbage"])):
        case "echo":
            return 1, icmp.echo_request(1, 1, data)
        case "udp":
            header = udp_wire.Header(source_port=ports[0], destination_port=ports[1])
            return 17, header.emit(data, source=source, destination=destination)
        case "tcp":
            flags = draw(st.sampled_from([2, 4, 16, 18]))
            segment = tcp_wire.Header(source_port=ports[0], destination_port=ports[1], flags=flags)
            return 6, segment.emit(data, source=source, destination=destination)
        case "error":
            return 1, icmp.unreachable(3, bytes(28))
        case "other":
            return draw(st.sampled_from([2, 47, 99, 255])), data
        case _:
            return draw(st.sampled_from([1, 6, 17])), draw(octets)


@st.composite
def datagrams(draw: st.DrawFn) -> bytes:
    source, destination = address(draw(sources)), address(draw(destinations))
    protocol, payload = draw(transports(source, destination))
    header = ipv4.Header(
        source=source,
        destination=destination,
        protocol=protocol,
        ttl=draw(st.sampled_from([64, 64, 64, 2, 1, 0])),
        tos=draw(st.sampled_from([0, 0x10, 0xFF])),
        identification=draw(st.integers(0, 3)),
        fragment=draw(st.sampled_from([0, 0, 0, 0x4000, 0x2000, 0x2001, 0x0001, 0x0010, 0x1FFF])),
        options=draw(st.sampled_from([b"", b"", b"", *OPTIONS])),
    )
    return header.emit(payload)


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A datagram with an octet changed, or cut, or padded; or anything."""
    whole = bytearray(draw(datagrams()))
    match draw(st.integers(0, 3)):
        case 0:
            whole[draw(st.integers(0, min(len(whole), 24) - 1))] = draw(st.integers(0, 255))
        case 1:
            del whole[draw(st.integers(0, len(whole) - 1)) :]
        case 2:
            whole += draw(octets)
        case _:
            return draw(octets)
    return bytes(whole)


@st.composite
def shuffled_fragments(draw: st.DrawFn) -> list[bytes]:
    """Some fragments of a datagram, in any order, some of them twice."""
    source, destination = address(draw(sources)), address(draw(destinations))
    payload = draw(st.sampled_from([icmp.echo_request(1, 1, bytes(400)), bytes(90), bytes(2000)]))
    protocol = 99 if payload[0] == 0 else 1
    header = ipv4.Header(
        source=source, destination=destination, protocol=protocol, identification=draw(st.integers(0, 3))
    )
    parts = pieces(header.emit(payload), draw(st.sampled_from([68, 100, 576])))
    return draw(st.permutations(parts) | st.lists(st.sampled_from(parts), min_size=1, max_size=len(parts)))


targets = st.sampled_from(["ACCEPT", "DENY", "REJECT", *["DIVERT 1234", "DIVERT 4321"] * 3, "DIVERT 9"])
plain_rules = st.builds(
    "-A {} {} {} {} -j {}".format,
    st.sampled_from(["input", "forward", "output"]),
    st.sampled_from(
        ["", "", "", "-p icmp", "-p tcp", "-p udp", "-p udp -d 0/0 53", "-f", "! -f", "-i eth0", "-i ! lo"]
    ),
    st.sampled_from(["", "-s 192.168.1.0/24", "-s ! 10.0.0.0/8"]),
    st.sampled_from(["", "", "-t 01 10", "-m 5", "-l"]),
    targets,
)

rules = plain_rules | st.sampled_from(
    ["-A forward -j MASQ", "-I forward 1 -s 10.0.0.0/8 -j MASQ", "-I input 1 -p udp -d 0/0 53 -j REDIRECT 7"]
)

common = (
    st.tuples(st.just("receive"), st.sampled_from(INTERFACES), datagrams()),
    st.tuples(st.just("receive"), st.sampled_from(INTERFACES), datagrams() | broken()),
    st.tuples(st.just("fragments"), st.sampled_from(INTERFACES), shuffled_fragments()),
    st.tuples(st.just("send"), st.none(), datagrams() | broken()),
    st.tuples(st.just("reinject"), st.sampled_from(PORTS), st.sampled_from(REINJECTIONS)),
)
rare = (
    st.tuples(st.just("write"), st.sampled_from(PORTS), datagrams() | broken()),
    st.tuples(st.just("advance"), st.none(), st.sampled_from([0.0, 0.5, 10.0, 31.0])),
    st.tuples(st.just("down"), st.sampled_from((*INTERFACES, "lo")), st.none()),
    st.tuples(st.just("up"), st.sampled_from((*INTERFACES, "lo")), st.none()),
    st.tuples(st.just("rule"), st.none(), rules),
    st.tuples(st.just("flush"), st.sampled_from(["input", "forward", "output"]), st.none()),
    st.tuples(st.just("bind"), st.sampled_from(PORTS), st.none()),
    st.tuples(st.just("close"), st.sampled_from(PORTS), st.none()),
)
steps = st.one_of(*common * 4, *rare)


@st.composite
def switches(draw: st.DrawFn) -> dict[str, Any]:
    return draw(
        st.fixed_dictionaries(
            {},
            optional={
                "pass_through": st.booleans(),
                "pass_through_goes": st.sampled_from(["to the next rule", "accepted"]),
                "always_defragment": st.booleans(),
                "forwarding": st.sampled_from([True, True, False]),
                "reject_before_routing": st.booleans(),
                "source_routes": st.booleans(),
                "tag_byte_order": st.sampled_from(["clear", "host"]),
            },
        )
    )


class Moody:
    """A link that refuses every other datagram."""

    def __init__(self) -> None:
        self.asked = 0

    def transmit(self, octets: bytes) -> None:
        self.asked += 1
        if self.asked % 2:
            raise OSError(errno.EIO, "not this one")


class World:
    """A router, its divert sockets, and what its trace says."""

    def __init__(self, profile: str, mtu: int, given_switches: dict[str, Any]) -> None:
        self.router = router = Router(profile, **given_switches)
        router.add_interface("eth0", "192.168.1.1/24")
        router.add_interface("eth1", ["10.0.0.1/24", "10.9.0.1/32"], mtu=mtu)
        router.add_interface("ppp0", "172.16.0.0/31", mtu=296, link=Moody())
        router.add_route("0.0.0.0/0", via="10.0.0.254")
        router.add_route("30.0.0.0/8", kind="reject")
        service = router.socket(socket.AF_INET, socket.SOCK_DGRAM)
        service.bind(("0.0.0.0", 7))
        self.sockets: dict[int, Any] = {}
        self.events: list[Event] = []
        router.node.tracer.add(self.events.append)

    def socket(self, port: int) -> Any:
        if port not in self.sockets:
            sock = self.router.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT)
            sock.bind(("0.0.0.0", port))
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8000)
            self.sockets[port] = sock
        return self.sockets[port]

    def take(self, step: tuple[str, Any, Any]) -> None:
        router = self.router
        match step:
            case "receive", name, datagram:
                router.node.interfaces[name].receive(datagram)
            case "fragments", name, parts:
                for part in parts:
                    router.node.interfaces[name].receive(part)
            case "send", _, datagram:
                assert router.send(datagram) >= 0
            case "reinject", port, how:
                self.reinject(self.socket(port), how)
            case "write", port, datagram:
                self.write(self.socket(port), datagram, ("0.0.0.0" if len(datagram) & 1 else "10.0.0.1", 0))
            case "advance", _, seconds:
                router.clock.advance(seconds)
            case "down", name, _:
                router.node.interfaces[name].up = False
            case "up", name, _:
                router.node.interfaces[name].up = True
            case "rule", _, command:
                router.ipchains(command)
            case "flush", chain, _:
                router.ipchains(f"-F {chain}")
            case "bind", port, _:
                self.socket(port)
            case "close", port, _:
                self.socket(port).close()
                del self.sockets[port]

    def reinject(self, sock: Any, how: str) -> None:
        while sock.readable:
            datagram, came_from = sock.recvfrom(65535)
            if how == "changed":
                changed = bytearray(datagram)
                changed[16:20] = b"\x0a\0\0\2"
                datagram = bytes(changed)
            where = {"pair": tuple(came_from), "out": None, "in": ("192.168.1.1", 0)}.get(how, came_from)
            self.write(sock, datagram, where)

    def write(self, sock: Any, datagram: bytes, where: Any) -> None:
        with contextlib.suppress(OSError):
            sock.sendto(datagram, where)


BEGINNINGS = {
    Kind.RECEIVED: "received",
    Kind.ORIGINATED: "originated",
    Kind.INJECTED: "injected",
    Kind.GENERATED: "generated",
}
FATES = {
    Kind.DELIVERED: "delivered",
    Kind.DIVERTED: "diverted",
    Kind.MERGED: "merged",
    Kind.DROPPED: "dropped",
}


def check(world: World) -> None:
    """The ledger balances, and the trace tells the same story."""
    ledger = world.router.ledger
    assert ledger.balanced, str(ledger)
    begun = Counter(event.kind for event in world.events if event.kind in BEGINNINGS)
    ended = Counter(event.kind for event in world.events if event.kind in FATES)
    for kind, name in BEGINNINGS.items():
        assert begun[kind] == getattr(ledger, name), name
    for kind, name in FATES.items():
        count = ledger.dropped.total() if name == "dropped" else getattr(ledger, name)
        assert ended[kind] == count, name
    # A link may yet refuse what was handed to it: such a packet is told of as transmitted and then as dropped.
    sent = {event.packet for event in world.events if event.kind is Kind.TRANSMITTED}
    refused = {event.packet for event in world.events if event.reason is Reason.LINK_FAILED}
    assert len(sent - refused) == ledger.transmitted
    fates = Counter(event.packet for event in world.events if event.kind in FATES)
    assert max(fates.values(), default=1) == 1
    assert not (sent - refused) & fates.keys()
    assert len({event.packet for event in world.events}) == ledger.sources


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    st.sampled_from(["linux-2.2", "linux-2.2", "linux-2.0"]),
    st.sampled_from([68, 576, 1500]),
    switches(),
    st.lists(rules, max_size=6),
    st.lists(steps, min_size=10, max_size=25),
)
def test_every_packet_has_one_fate(
    profile: str,
    mtu: int,
    given_switches: dict[str, Any],
    first_rules: list[str],
    taken: list[tuple[str, Any, Any]],
) -> None:
    world = World(profile, mtu, given_switches)
    for port in PORTS[1:]:  # nobody listens on the first yet
        world.socket(port)
    for command in first_rules:
        world.router.ipchains(command)
    for step in taken:
        world.take(step)
        check(world)
    for sock in world.sockets.values():
        world.reinject(sock, "as it is")
    check(world)
    world.router.clock.advance(100.0)
    check(world)
    assert world.router.ledger.held == 0
