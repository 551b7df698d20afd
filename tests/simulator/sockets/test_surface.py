"""The socket object beside Python's own: a real UDP socket on the loopback interface is asked the same things.

Both have the same datagram waiting: a packet that was diverted here, and the same octets as a UDP payload there.
"""

from __future__ import annotations

import asyncio
import errno
import pickle
import re
import select
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from math import nan
from pathlib import Path
from typing import Any

import pytest
from bsd_worlds import ALL, LEFT, OWN, RIGHT, BsdWorld, echo, fails, queued, with_switch
from datagrams import udp

from simulator import IPPROTO_DIVERT, SO_RERROR, SO_SETFIB, Router
from simulator.sockets.divert import DivertSocket

ROOT = Path(__file__).parents[3]
GOOD = udp(LEFT, RIGHT, data=b"0123456789abcdef")
every = pytest.mark.parametrize("profile", ALL)


def diverted(profile: str = "freebsd-13", times: int = 1) -> tuple[BsdWorld, DivertSocket]:
    """A world, and its divert socket with so many packets waiting."""
    world = BsdWorld(profile, "100 divert 8668 ip from any to any in")
    sock = world.divert()
    for _ in range(times):
        world.em0.receive(GOOD)
    return world, sock


@pytest.fixture
def real() -> Iterator[socket.socket]:
    """Python's own socket, with the same octets waiting."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near, socket.socket(type=socket.SOCK_DGRAM) as far:
        near.bind(("127.0.0.1", 0))
        near.setblocking(False)
        for _ in range(3):
            far.sendto(GOOD, near.getsockname())
        yield near


CALLS: dict[str, Callable[[Any], Any]] = {
    "recv text": lambda sock: sock.recv("1"),
    "recv a fraction": lambda sock: sock.recv(1.5),
    "recv less than nothing": lambda sock: sock.recv(-1),
    "recv without a size": lambda sock: sock.recv(),
    "recv with a word as flags": lambda sock: sock.recv(10, "peek"),
    "recvfrom None": lambda sock: sock.recvfrom(None),
    "recvfrom less than nothing": lambda sock: sock.recvfrom(-5),
    "into octets that are fixed": lambda sock: sock.recv_into(b"fixed"),
    "into a number": lambda sock: sock.recv_into(5),
    "into more than there is": lambda sock: sock.recv_into(bytearray(2), 3),
    "into less than nothing": lambda sock: sock.recvfrom_into(bytearray(2), -1),
    "recvmsg text": lambda sock: sock.recvmsg("1"),
    "recvmsg less than nothing": lambda sock: sock.recvmsg(-1),
    "recvmsg less than no ancillary data": lambda sock: sock.recvmsg(1, -1),
    "recvmsg_into octets that are fixed": lambda sock: sock.recvmsg_into([b"fixed"]),
    "recvmsg_into a number": lambda sock: sock.recvmsg_into(5),
    "recvmsg_into less than no ancillary data": lambda sock: sock.recvmsg_into([bytearray(1)], -1),
    "send text": lambda sock: sock.send("text"),
    "send a number": lambda sock: sock.send(5),
    "send None": lambda sock: sock.sendall(None),
    "send a list": lambda sock: sock.send([1, 2]),
    "sendto nowhere": lambda sock: sock.sendto(b"x"),
    "sendto a number": lambda sock: sock.sendto(b"x", 1),
    "sendto a list": lambda sock: sock.sendto(b"x", ["127.0.0.1", 1]),
    "sendto one": lambda sock: sock.sendto(b"x", ("127.0.0.1",)),
    "sendto a port in letters": lambda sock: sock.sendto(b"x", ("127.0.0.1", "1")),
    "sendto a port in parts": lambda sock: sock.sendto(b"x", ("127.0.0.1", 1.0)),
    "sendto a host in digits": lambda sock: sock.sendto(b"x", (1, 1)),
    "sendto a large port": lambda sock: sock.sendto(b"x", ("127.0.0.1", 70000)),
    "sendto a negative port": lambda sock: sock.sendto(b"x", ("127.0.0.1", -1)),
    "sendto with a word as flags": lambda sock: sock.sendto(b"x", "flags", ("127.0.0.1", 1)),
    "sendmsg octets": lambda sock: sock.sendmsg(b"abc"),
    "sendmsg a number": lambda sock: sock.sendmsg(5),
    "sendmsg with half of ancillary data": lambda sock: sock.sendmsg([b"a"], [(1, 2)], 0, ("127.0.0.1", 1)),
    "sendmsg with a number as ancillary data": lambda sock: sock.sendmsg([b"a"], [7], 0, ("127.0.0.1", 1)),
    "setsockopt text": lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, "1"),
    "setsockopt None": lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, None),
    "setsockopt by a name": lambda sock: sock.setsockopt(socket.SOL_SOCKET, "SO_BROADCAST", 1),
    "setsockopt too little": lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, b"\1"),
    "setsockopt an unknown one": lambda sock: sock.setsockopt(socket.SOL_SOCKET, 9999, 1),
    "setsockopt half a time": lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, bytes(8)),
    "setsockopt a number as a time": lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 1),
    "setsockopt no time": lambda sock: sock.setsockopt(
        socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 1, 1_000_000)
    ),
    "getsockopt by a name": lambda sock: sock.getsockopt(socket.SOL_SOCKET, "SO_TYPE"),
    "getsockopt an unknown one": lambda sock: sock.getsockopt(socket.SOL_SOCKET, 9999),
    "a timeout in letters": lambda sock: sock.settimeout("1"),
    "a negative timeout": lambda sock: sock.settimeout(-0.5),
    "no timeout at all": lambda sock: sock.settimeout(nan),
    "bind to a number": lambda sock: sock.bind(5),
    "bind to one": lambda sock: sock.bind(("127.0.0.1",)),
    "bind to a large port": lambda sock: sock.bind(("127.0.0.1", 65536)),
    "shut down text": lambda sock: sock.shutdown("RD"),
    "fileno of something": lambda sock: sock.fileno(1),
    "pickle it": pickle.dumps,
}


def raised(call: Callable[[Any], Any], sock: Any) -> tuple[type[BaseException], int | None]:
    with pytest.raises(Exception) as caught:
        call(sock)
    return caught.type, getattr(caught.value, "errno", None)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_wrong_arguments_are_told_as_by_pythons_own_socket(call: Callable[[Any], Any], real: socket.socket) -> None:
    _, ours = diverted()
    assert raised(call, ours) == raised(call, real)
    assert ours.recv(100) == GOOD, "nothing was taken"


READS: dict[str, Callable[[Any], Any]] = {
    "all of it": lambda sock: sock.recv(65535),
    "a part": lambda sock: sock.recv(5),
    "nothing": lambda sock: sock.recv(0),
    "a peek": lambda sock: (sock.recv(5, socket.MSG_PEEK), sock.recv(65535)),
    "a peek and another": lambda sock: [sock.recv(9, socket.MSG_PEEK) for _ in range(5)],
    "recvfrom": lambda sock: sock.recvfrom(5)[0],
    "without waiting": lambda sock: sock.recv(5, socket.MSG_DONTWAIT),
    "all of it or nothing": lambda sock: sock.recv(5, socket.MSG_WAITALL),
    "into": lambda sock: (buffer := bytearray(50), sock.recv_into(buffer), buffer),
    "into a part": lambda sock: (buffer := bytearray(50), sock.recv_into(buffer, 7), buffer),
    "into a part of an array": lambda sock: (buffer := bytearray(9), sock.recv_into(memoryview(buffer)[2:5]), buffer),
    "into nothing": lambda sock: sock.recv_into(bytearray()),
    "from into": lambda sock: (buffer := bytearray(3), sock.recvfrom_into(buffer)[0], buffer),
    "a message": lambda sock: sock.recvmsg(100)[:3],
    "a short message": lambda sock: sock.recvmsg(10, 100)[:3],
    "a peek at a message": lambda sock: sock.recvmsg(10, 0, socket.MSG_PEEK)[:3],
    "a message in parts": lambda sock: (parts := [bytearray(3), bytearray(30)], sock.recvmsg_into(parts)[:3], parts),
    "a message in short parts": lambda sock: (parts := [bytearray(3), bytearray(4)], sock.recvmsg_into(parts)[:3]),
    "a message in no parts": lambda sock: sock.recvmsg_into([])[:3],
    "how it waits": lambda sock: (sock.gettimeout(), sock.getblocking(), sock.timeout),
    "how it waits then": lambda sock: (sock.settimeout(5), repr(sock.gettimeout()), sock.getblocking()),
    "how it waits always": lambda sock: (sock.setblocking(True), sock.gettimeout(), sock.getblocking()),
    "its family": lambda sock: repr(sock.family),
    "inheritance": lambda sock: (
        sock.get_inheritable(),
        sock.set_inheritable(True),
        sock.get_inheritable(),
    ),
    "a time": lambda sock: (
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 3, 500_000)),
        struct.unpack("ll", sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16))[0],
        sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO),
    ),
    "flags": lambda sock: [
        (sock.getsockopt(socket.SOL_SOCKET, name), sock.setsockopt(socket.SOL_SOCKET, name, 1))
        for name in (socket.SO_BROADCAST, socket.SO_REUSEADDR, socket.SO_DONTROUTE, socket.SO_KEEPALIVE)
    ],
    "facts": lambda sock: [
        sock.getsockopt(socket.SOL_SOCKET, name) for name in (socket.SO_DOMAIN, socket.SO_ERROR, socket.SO_ACCEPTCONN)
    ],
    "lingering": lambda sock: (
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 2)),
        sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8),
    ),
    "the end": lambda sock: (sock.close(), sock.close(), sock.fileno()),
    "a block": lambda sock: (sock.__enter__() is sock, sock.__exit__(None, None, None), sock.fileno()),
}


@pytest.mark.parametrize("call", READS.values(), ids=READS)
def test_reads_and_looks_answer_as_pythons_own_socket(call: Callable[[Any], Any], real: socket.socket) -> None:
    _, ours = diverted(times=3)
    for _ in range(3):
        if real.fileno() >= 0:
            assert call(ours) == call(real)


def test_every_attribute_is_listed_and_is_what_the_list_says() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", (ROOT / "docs" / "sockets.md").read_text(), re.M))
    assert sorted(rows) == sorted(name for name in dir(socket.socket) if not name.startswith("_"))
    _, sock = diverted()
    for name, here in rows.items():
        assert hasattr(sock, name) == (not here.startswith("absent")), name
        if here.startswith("refused"):
            with fails(errno.EOPNOTSUPP):
                getattr(sock, name)()
    with pytest.raises(ValueError, match="SOCK_STREAM"):
        sock.sendfile(None)
    assert repr(sock) == "<DivertSocket port 8668, 1 queued>"


def test_how_it_is_made() -> None:
    router = Router("freebsd-13")
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    sock = router.socket(socket.AF_INET, kind, IPPROTO_DIVERT)
    assert (sock.gettimeout(), sock.type, sock.proto) == (0, socket.SOCK_RAW, IPPROTO_DIVERT)
    assert (repr(sock.type), repr(sock.family)) == (repr(socket.SOCK_RAW), repr(socket.AF_INET))
    for wrong in (("AF_INET", kind, 258), (2, "SOCK_RAW", 258), (2, kind, None), (2.0, kind, 258)):
        with pytest.raises(TypeError):
            router.socket(*wrong)  # type: ignore[arg-type]
    socket.setdefaulttimeout(2.5)
    try:
        assert router.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT).gettimeout() == 2.5
    finally:
        socket.setdefaulttimeout(None)


class TestWaiting:
    @every
    @pytest.mark.statement("bsd.md S-14")
    def test_s14_readable_with_a_packet_always_writable(self, profile: str) -> None:
        world, sock = diverted(profile, times=0)
        poll = select.poll()
        poll.register(sock, select.POLLIN | select.POLLOUT)
        with fails(errno.EAGAIN):
            sock.recv(100)
        assert select.select([sock], [sock], [], 0) == ([], [sock], [])
        assert poll.poll(0) == [(sock.fileno(), select.POLLOUT)]
        world.em0.receive(GOOD)
        assert select.select([sock], [sock], [], 0) == ([sock], [sock], [])
        assert poll.poll(0) == [(sock.fileno(), select.POLLIN | select.POLLOUT)]
        with selectors.DefaultSelector() as selector:
            selector.register(sock, selectors.EVENT_READ, "data")
            assert [key.data for key, _ in selector.select(0)] == ["data"]
            echo(sock)
            assert selector.select(0) == []

    @every
    @pytest.mark.statement("bsd.md S-14", "bsd.md P-1")
    def test_asyncio(self, profile: str) -> None:
        world, sock = diverted(profile, times=0)

        async def program() -> list[bytes]:
            loop = asyncio.get_running_loop()
            loop.call_later(0.001, world.em0.receive, GOOD)
            octets, address = await loop.sock_recvfrom(sock, 65535)  # type: ignore[arg-type]
            await loop.sock_sendto(sock, octets, address)  # type: ignore[arg-type]
            heard: asyncio.Future[bytes] = loop.create_future()
            loop.add_reader(sock, lambda: heard.set_result(sock.recv(100)))
            loop.call_later(0.001, world.em0.receive, GOOD)
            found = [octets, await heard]
            loop.remove_reader(sock)
            return found

        assert asyncio.run(program()) == [GOOD, GOOD]
        assert len(world.em1.sent) == 1

    @every
    @pytest.mark.statement("bsd.md S-11", "bsd.md P-1")
    def test_so_rcvtimeo(self, profile: str) -> None:
        _, sock = diverted(profile, times=0)
        sock.settimeout(None)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 20_000))
        before = time.monotonic()
        with pytest.raises(BlockingIOError):
            sock.recv(100)
        assert 0.02 <= time.monotonic() - before < 5
        sock.settimeout(0.01)
        with pytest.raises(TimeoutError):
            sock.recv(100)

    @every
    @pytest.mark.statement("bsd.md P-1")
    def test_a_thread_waits_and_writes_back_while_another_receives(self, profile: str) -> None:
        """Packets are handed over one by one, so that the two threads never drive the router at once."""
        world, sock = diverted(profile, times=0)
        sock.settimeout(10)
        done = threading.Semaphore(0)
        threads = []

        def program() -> None:
            for _ in range(20):
                octets, address = sock.recvfrom(65535)
                sock.sendto(octets, address)
                done.release()

        threads.append(threading.Thread(target=program))
        threads[0].start()
        for _ in range(20):
            world.em0.receive(GOOD)
            assert done.acquire(timeout=10)
        threads[0].join(10)
        assert len(world.em1.sent) == 20
        assert world.router.ledger.balanced

    @pytest.mark.parametrize("profile", with_switch("shutdown_errno", 0))
    @pytest.mark.statement("bsd.md S-9")
    def test_s9_shutting_down_wakes_who_waits(self, profile: str) -> None:
        _, sock = diverted(profile, times=0)
        sock.settimeout(10)
        found: list[Any] = []
        waiter = threading.Thread(target=lambda: found.append(sock.recvfrom(100)))
        waiter.start()
        while not sock._waiting:
            time.sleep(0.001)
        sock.shutdown(socket.SHUT_RD)
        waiter.join(10)
        assert found == [(b"", None)]
        assert select.select([sock], [], [], 0)[0] == [sock]


class TestOverflow:
    @pytest.mark.parametrize("profile", with_switch("tells_overflow", True))
    @pytest.mark.parametrize("number", [SO_RERROR, 0x2000])
    @pytest.mark.statement("bsd.md R-17", "bsd.md S-11")
    def test_r17_so_rerror_tells_once_behind_what_is_queued(self, profile: str, number: int) -> None:
        world, sock = diverted(profile, times=0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100)
        sock.setsockopt(socket.SOL_SOCKET, number, 1)
        for _ in range(3):
            world.em0.receive(GOOD)
        assert sock.recv(100) == GOOD
        assert select.select([sock], [], [], 0)[0] == [sock]
        for flags in (socket.MSG_PEEK, 0):
            with fails(errno.ENOBUFS):
                sock.recv(100, flags)
        assert select.select([sock], [], [], 0)[0] == []
        with fails(errno.EAGAIN):
            sock.recv(100)
        for _ in range(3):
            world.em0.receive(GOOD)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ENOBUFS
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        assert len(queued(sock)) == 1

    @every
    @pytest.mark.statement("bsd.md R-17")
    def test_r17_without_it_nobody_is_told(self, profile: str) -> None:
        world, sock = diverted(profile, times=0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100)
        if profile not in with_switch("tells_overflow", True):
            with fails(errno.ENOPROTOOPT):
                sock.setsockopt(socket.SOL_SOCKET, SO_RERROR, 1)
        for _ in range(3):
            world.em0.receive(GOOD)
        assert sock.recv(100) == GOOD
        with fails(errno.EAGAIN):
            sock.recv(100)


class TestOptions:
    @every
    @pytest.mark.statement("bsd.md S-11")
    def test_s11_broadcasts_need_no_permission(self, profile: str) -> None:
        world = BsdWorld(profile)
        sock = world.unbound()
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST) == 0
        sock.sendto(udp(OWN, "192.168.1.255"), ("0.0.0.0", 0))
        assert world.em0.sent == [udp(OWN, "192.168.1.255")]

    @every
    @pytest.mark.statement("bsd.md S-11")
    def test_s11_routing_tables(self, profile: str) -> None:
        sock = BsdWorld(profile).unbound()
        if profile in with_switch("routing_tables", 1):
            sock.setsockopt(socket.SOL_SOCKET, SO_SETFIB, 0)
            for number in (1, -1):
                with fails(errno.EINVAL):
                    sock.setsockopt(socket.SOL_SOCKET, SO_SETFIB, number)
        else:
            with fails(errno.ENOPROTOOPT):
                sock.setsockopt(socket.SOL_SOCKET, SO_SETFIB, 0)

    @every
    @pytest.mark.statement("bsd.md W-14")
    def test_w14_dont_route_for_one_write(self, profile: str) -> None:
        world = BsdWorld(profile)
        sock = world.unbound()
        beyond = udp("10.0.0.1", "203.0.113.1")
        with fails(errno.ENETUNREACH):
            sock.sendto(beyond, socket.MSG_DONTROUTE, ("0.0.0.0", 0))
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE) == 0
        sock.sendto(beyond, ("0.0.0.0", 0))
        assert world.em1.sent == [beyond]
