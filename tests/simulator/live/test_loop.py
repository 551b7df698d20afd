"""The live loop over sockets that keep boundaries, as good as TUN devices to it: order, fairness, timers, ends."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from simulator import IPPROTO_DIVERT, Router, WallClock
from simulator.interfaces import Interface
from simulator.links.tun import TunLink
from simulator.live.loop import BATCH, LiveLoop
from simulator.wire import icmp, ipv4


class Bench:
    """A router with two interfaces, and the far ends of their wires."""

    def __init__(self) -> None:
        self.router = Router("linux-2.2", clock=WallClock())
        self.loop = LiveLoop(self.router)
        self.ends: list[socket.socket] = []
        self.links: list[TunLink] = []
        self.left = self._wire("eth0", "192.168.1.1/24")
        self.right = self._wire("eth1", "10.0.0.1/24")

    def _wire(self, name: str, address: str) -> socket.socket:
        far, near = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (far, near):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        far.settimeout(0)
        link = TunLink(near.detach(), name)
        self.ends.append(far)
        self.links.append(link)
        self.loop.serve(self.router.add_interface(name, address, link=link))
        return far

    def divert(self, rule: str) -> Any:
        self.router.ipchains(rule)
        divert = self.router.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT)
        divert.bind(("0.0.0.0", 1234))
        return divert

    def close(self) -> None:
        for end in (*self.ends, *self.links):
            end.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def echo_request(sequence: int, destination: int = 0x0A000002) -> bytes:
    header = ipv4.Header(source=0xC0A80102, destination=destination, protocol=icmp.PROTOCOL, identification=sequence)
    return header.emit(icmp.echo_request(7, sequence))


def arrived(end: socket.socket) -> list[int]:
    """The IP identifications of what came out, in order."""
    found = []
    while True:
        try:
            found.append(ipv4.View(end.recv(65535)).identification)
        except BlockingIOError:
            return found


def test_datagrams_are_forwarded_in_order(bench: Bench) -> None:
    for number in range(1, 11):
        bench.left.send(echo_request(number))
    bench.loop.run_once(1)
    assert arrived(bench.right) == list(range(1, 11))


def test_a_round_takes_one_batch_from_each_link(bench: Bench) -> None:
    for number in range(1, 2 * BATCH + 1):
        bench.left.send(echo_request(number))
    bench.right.send(b"noise")
    bench.loop.run_once(1)
    assert arrived(bench.right) == list(range(1, BATCH + 1))
    assert bench.router.ledger.received == BATCH + 1
    bench.loop.run_once(1)
    assert arrived(bench.right) == list(range(BATCH + 1, 2 * BATCH + 1))


def test_a_program_runs_before_the_next_datagram_is_taken(bench: Bench) -> None:
    divert = bench.divert("-A forward -j DIVERT 1234")
    queued: list[int] = []

    def program(sock: Any) -> None:
        queued.append(len(sock._queue))
        octets, address = sock.recvfrom(65535)
        sock.sendto(octets, address)

    bench.loop.attach(divert, program)
    for number in range(1, 6):
        bench.left.send(echo_request(number))
    bench.loop.run_once(1)
    assert queued == [1] * 5
    assert arrived(bench.right) == [1, 2, 3, 4, 5]


def test_a_detached_program_leaves_datagrams_in_the_socket(bench: Bench) -> None:
    divert = bench.divert("-A forward -j DIVERT 1234")
    bench.loop.attach(divert, lambda sock: sock.recvfrom(65535))
    bench.loop.detach(divert)
    bench.left.send(echo_request(1))
    bench.loop.run_once(1)
    assert divert.recvfrom(65535)[0][4:6] == b"\x00\x01"


def test_a_program_that_reads_nothing_does_not_hang_the_loop(bench: Bench) -> None:
    divert = bench.divert("-A forward -j DIVERT 1234")
    calls: list[object] = []
    bench.loop.attach(divert, calls.append)
    bench.left.send(echo_request(1))
    bench.loop.run_once(1)
    assert 0 < len(calls) <= 2 * BATCH


def test_an_error_of_a_program_is_not_taken_for_one_of_the_link(bench: Bench) -> None:
    divert = bench.divert("-A forward -j DIVERT 1234")

    error = OSError(errno.EIO, "the program's own")

    def program(sock: Any) -> None:
        sock.recv(65535)
        raise error

    bench.loop.attach(divert, program)
    for number in (1, 2):
        bench.left.send(echo_request(number))
    bench.loop.run_once(1)
    assert list(bench.loop.failures) == [(divert, error)] * 2
    assert bench.loop.lost == []


def test_a_program_that_always_fails_neither_hangs_the_loop_nor_fills_memory(bench: Bench) -> None:
    divert = bench.divert("-A forward -j DIVERT 1234")

    def program(sock: Any) -> None:
        raise OSError(errno.EIO, "again")

    bench.loop.attach(divert, program)
    for number in range(1, 11):
        bench.left.send(echo_request(number))
    bench.loop.run_once(1)
    assert 10 <= len(bench.loop.failures) <= 100


def test_an_exception_that_is_no_error_of_the_system_ends_the_loop(bench: Bench) -> None:
    divert = bench.divert("-A forward -j DIVERT 1234")

    def program(sock: Any) -> None:
        raise LookupError("a mistake of the program")

    bench.loop.attach(divert, program)
    bench.left.send(echo_request(1))
    with pytest.raises(LookupError, match="a mistake"):
        bench.loop.run_once(1)


def test_a_timer_fires_in_time_and_its_packet_meets_the_program(bench: Bench) -> None:
    divert = bench.divert("-A output -j DIVERT 1234")
    seen: list[bytes] = []
    bench.loop.attach(divert, lambda sock: seen.append(sock.recv(65535)))
    ours = echo_request(5).replace(bytes([192, 168, 1, 2]), bytes([192, 168, 1, 1]))
    bench.router.clock.call_at(bench.router.clock.now() + 0.05, lambda: bench.router.send(ours))
    start = time.monotonic()
    assert bench.loop.run(lambda: bool(seen), 2)
    assert 0.04 < time.monotonic() - start < 0.5


def test_what_is_delivered_is_not_kept(bench: Bench) -> None:
    for number in range(1, 4):
        bench.left.send(echo_request(number, destination=0xC0A80101))
    bench.loop.run_once(1)
    assert len(arrived(bench.left)) == 3
    assert bench.router.delivered == []


def test_time_runs_out(bench: Bench) -> None:
    start = time.monotonic()
    assert not bench.loop.run(lambda: False, 0.05)
    assert 0.04 < time.monotonic() - start < 0.5


def test_something_else_to_wait_for(bench: Bench) -> None:
    here, there = socket.socketpair()
    said: list[bytes] = []
    with here, there:
        bench.loop.watch(here, lambda: said.append(here.recv(10)))
        there.send(b"word")
        assert bench.loop.run(lambda: bool(said), 1)
    assert said == [b"word"]


def test_a_closed_link_is_lost_and_the_rest_goes_on(bench: Bench) -> None:
    bench.links[1].close()
    bench.left.send(echo_request(1))
    bench.left.send(echo_request(2, destination=0xC0A80101))
    bench.loop.run_once(0.1)
    bench.loop.run_once(0.1)
    assert [interface.name for interface in bench.loop.lost] == ["eth1"]
    assert len(arrived(bench.left)) == 1
    assert bench.router.ledger.balanced


def test_only_tun_links_are_served() -> None:
    router = Router("linux-2.2", clock=WallClock())
    interface: Interface = router.add_interface("eth0", "192.168.1.1/24")
    with pytest.raises(TypeError, match="eth0 has no TUN device"):
        LiveLoop(router).serve(interface)
