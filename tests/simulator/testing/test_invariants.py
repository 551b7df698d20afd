"""Each invariant fails when the router breaks it."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from datagrams import udp

from simulator import IPPROTO_DIVERT, Router
from simulator.ledger import Reason
from simulator.node import Node
from simulator.packet import Packet
from simulator.paths import linux_firewall
from simulator.sockets.base import QueueSocket
from simulator.testing.invariants import BrokenInvariantError, Invariants
from simulator.testing.strategies import World
from simulator.testing.twin import Twin, TwinsDifferError

BSD = World(rules=("add 100 divert 8668 ip from any to any",), switches={"default_accept": True})
LINUX = World(
    profile="linux-2.2",
    interfaces={"eth0": "192.168.1.1/24", "eth1": "10.0.0.1/24"},
    rules=("-A forward -j DIVERT 1234",),
)
PACKET = udp("192.168.1.2", "10.0.0.2", data=b"something")


def divert(router: Router, port: int) -> Any:
    sock = router.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT)
    sock.bind(("0.0.0.0", port))
    sock.setblocking(False)
    return sock


@pytest.mark.parametrize(("world", "port"), [(BSD, 8668), (LINUX, 1234)])
def test_a_good_router_keeps_them(world: World, port: int) -> None:
    router = world.build()
    sock = divert(router, port)
    invariants = Invariants(router)
    for number in range(3):
        router.interfaces[next(iter(world.interfaces))].receive(PACKET + bytes(number))
    while sock.readable:
        sock.sendto(*sock.recvfrom(65535))
        invariants.check()
    router.ipchains("-Z") if world.is_linux else router.ipfw("zero")
    router.send(udp("10.0.0.1", "10.0.0.2"))
    invariants.check()
    router.clock.advance(1000)
    invariants.check_end()


def test_the_ledger() -> None:
    router = BSD.build()
    invariants = Invariants(router)
    router.ledger.dropped[Reason.DENIED] += 1
    with pytest.raises(BrokenInvariantError, match="the ledger does not balance"):
        invariants.check()


def test_counters_that_differ_from_the_trace() -> None:
    router = BSD.build()
    invariants = Invariants(router)
    router.interfaces["em0"].receive(PACKET)
    next(iter(router.rules.chain)).octets += 1
    with pytest.raises(BrokenInvariantError, match=r"rule 100 has counted 38 octets, and the trace shows 37"):
        invariants.check()


def test_a_policy_has_no_counter_and_a_rule_of_a_chain_has() -> None:
    router = LINUX.build()
    invariants = Invariants(router)
    router.interfaces["eth0"].receive(PACKET)
    invariants.check()
    router.tables.chains["forward"].entries[0].packets += 1
    with pytest.raises(BrokenInvariantError, match=r"rule forward:1 has counted 2 packets, and the trace shows 1"):
        invariants.check()


def test_order(monkeypatch: pytest.MonkeyPatch) -> None:
    router = BSD.build()
    sock = divert(router, 8668)
    Invariants(router)

    def in_front(self: QueueSocket, octets: bytes, address: Any) -> bool:
        self._queue.appendleft((octets, address))
        return True

    monkeypatch.setattr(QueueSocket, "enqueue", in_front)
    for number in range(2):
        router.interfaces["em0"].receive(udp("192.168.1.2", "10.0.0.2", data=bytes([number])))
    sock.recvfrom(65535)
    with pytest.raises(BrokenInvariantError, match="out of its turn, or twice"):
        sock.recvfrom(65535)


@pytest.mark.parametrize(("world", "port"), [(BSD, 8668), (LINUX, 1234)])
def test_what_is_written_back_is_not_diverted_again(world: World, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that forgets what it promised: the tag on BSD, the mark on Linux."""
    router = world.build()
    sock = divert(router, port)
    Invariants(router)
    if world.is_linux:
        plain = linux_firewall.traverse

        def forgetful(*arguments: Any, **given: Any) -> Any:
            return plain(*arguments, **{**given, "diverted": False})

        monkeypatch.setattr(linux_firewall, "traverse", forgetful)
    else:
        search = router.rules.engine.search
        monkeypatch.setattr(
            router.rules.engine, "search", lambda fields, start_after=0, *rest: search(fields, 0, *rest)
        )
    router.interfaces[next(iter(world.interfaces))].receive(PACKET)
    octets, address = sock.recvfrom(65535)
    with pytest.raises(BrokenInvariantError, match="what was written back is at rule"):
        sock.sendto(octets, address)


def test_a_packet_without_a_fate(monkeypatch: pytest.MonkeyPatch) -> None:
    def silently(self: Node, packet: Packet, reason: Reason) -> int:
        self.ledger.dropped[reason] += 1
        return 0

    monkeypatch.setattr(Node, "drop", silently)
    router = World(switches={"default_accept": True}).build()
    invariants = Invariants(router)
    router.interfaces["em0"].receive(udp("192.168.1.2", "10.0.0.2", ttl=1))
    invariants.check()
    with pytest.raises(BrokenInvariantError, match="began 1 times and ended 0 times"):
        invariants.check_end()


def test_twins_agree_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    router = BSD.build()
    twin = Twin(router)
    sock = divert(router, 8668)
    router.interfaces["em0"].receive(PACKET)
    router.clock.advance(1)
    sock.sendto(*sock.recvfrom(65535))
    router.ipfw("add 50 count ip from any to any")
    twin.check()
    with monkeypatch.context() as broken:
        search = router.rules.engine.search
        broken.setattr(router.rules.engine, "search", lambda fields, start_after=0, *rest: search(fields, 50, *rest))
        router.interfaces["em0"].receive(PACKET)
    with pytest.raises(TwinsDifferError, match=r"matched 100\).*; plain: .*matched 50, 100\)"):
        twin.check()
