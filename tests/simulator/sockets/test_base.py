"""What all sockets share: receiving, blocking, waiting with select, options, closing."""

from __future__ import annotations

import array
import errno
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from simulator.sockets.base import QueueSocket
from simulator.sockets.buffers import BsdBuffer, LinuxBuffer

FROM = ("10.0.0.1", 5)


class Written(QueueSocket):
    """A socket that keeps what is written."""

    def __init__(self, buffer: Any = None) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_DGRAM, 0, buffer or LinuxBuffer())
        self.written: list[tuple[bytes, Any]] = []

    def _write(self, data: bytes, address: Any) -> int:
        self.written.append((data, address))
        return len(data)


def with_datagrams(*datagrams: bytes) -> Written:
    sock = Written()
    for octets in datagrams:
        assert sock.enqueue(octets, FROM)
    return sock


def raises(number: int, call: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(OSError) as caught:
        call(*arguments)
    assert caught.value.errno == number, caught.value
    return str(caught.value)


class TestReceiving:
    def test_first_in_first_out(self) -> None:
        sock = with_datagrams(b"one", b"two", b"three")
        assert sock.readable
        assert [sock.recv(10), sock.recvfrom(10), sock.read(10)] == [b"one", (b"two", FROM), b"three"]
        assert not sock.readable

    def test_what_does_not_fit_is_lost(self) -> None:
        sock = with_datagrams(b"abcdef", b"next")
        assert sock.recv(3) == b"abc"
        assert sock.recv(0) == b""
        assert not sock.readable

    @pytest.mark.parametrize(("size", "flags"), [(3, socket.MSG_TRUNC), (6, 0), (100, 0)])
    def test_recvmsg_says_when_it_was_cut(self, size: int, flags: int) -> None:
        assert with_datagrams(b"abcdef").recvmsg(size) == (b"abcdef"[:size], [], flags, FROM)

    def test_peeking(self) -> None:
        sock = with_datagrams(b"abc")
        assert sock.recv(10, socket.MSG_PEEK) == sock.recv(2, socket.MSG_PEEK) + b"c" == sock.recv(10)
        assert not sock.readable

    def test_into_buffers(self) -> None:
        sock = with_datagrams(b"abcdef", b"gh", b"ijkl")
        buffer = bytearray(4)
        assert sock.recv_into(buffer) == 4
        assert bytes(buffer) == b"abcd"
        assert sock.recvfrom_into(memoryview(buffer)[2:]) == (2, FROM)
        assert bytes(buffer) == b"abgh"
        words = array.array("H", [0, 0])
        assert sock.recv_into(words, 3) == 3
        assert words.tobytes() == b"ijk\0"

    def test_arguments_that_are_wrong_take_nothing(self) -> None:
        sock = with_datagrams(b"abc")
        for call in (
            lambda: sock.recv(-1),
            lambda: sock.recvmsg(-1),
            lambda: sock.recvmsg(1, -1),
            lambda: sock.recv_into(bytearray(3), 4),
            lambda: sock.recv_into(bytearray(3), -1),
        ):
            with pytest.raises(ValueError):
                call()
        raises(errno.EOPNOTSUPP, sock.recv, 10, socket.MSG_OOB)
        with pytest.raises(TypeError):
            sock.recv_into(b"constant")
        assert sock.recv(10) == b"abc"


class TestBlocking:
    def test_not_blocking(self) -> None:
        sock = Written()
        raises(errno.EAGAIN, sock.recv, 10, socket.MSG_DONTWAIT)
        sock.setblocking(False)
        assert (sock.getblocking(), sock.gettimeout()) == (False, 0.0)
        with pytest.raises(BlockingIOError):
            sock.recv(10)

    def test_timeout(self) -> None:
        sock = Written()
        sock.settimeout(0.02)
        assert (sock.getblocking(), sock.gettimeout()) == (True, 0.02)
        start = time.monotonic()
        with pytest.raises(TimeoutError):
            sock.recv(10)
        assert time.monotonic() - start >= 0.02
        with pytest.raises(ValueError):
            sock.settimeout(-1)

    def test_alone_it_would_wait_for_ever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(threading, "active_count", lambda: 1)
        raises(errno.EDEADLK, Written().recv, 10)

    def test_another_thread_waits(self) -> None:
        sock = Written()
        got: list[bytes] = []
        reader = threading.Thread(target=lambda: got.extend(sock.recv(10) for _ in range(100)))
        reader.start()
        for number in range(100):
            sock.enqueue(b"%d" % number, FROM)
            if number % 10 == 0:
                time.sleep(0.001)
        reader.join(10)
        assert got == [b"%d" % number for number in range(100)]

    def test_many_readers_share_what_comes(self) -> None:
        sock = Written()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 10**9)
        got: list[bytes] = []

        def read() -> None:
            sock.settimeout(5)
            while (octets := sock.recv(10)) != b"end":
                got.append(octets)

        readers = [threading.Thread(target=read) for _ in range(4)]
        for reader in readers:
            reader.start()
        for number in range(2000):
            sock.enqueue(b"%d" % number, FROM)
        for _ in readers:
            sock.enqueue(b"end", FROM)
        for reader in readers:
            reader.join(10)
        assert sorted(got) == sorted(b"%d" % number for number in range(2000))

    def test_another_reader_may_be_faster(self) -> None:
        """Between being woken and taking the datagram, somebody else took it: the wait goes on."""
        sock = Written()
        waits: list[bool] = []

        def wait(*, dont_wait: bool) -> None:
            waits.append(dont_wait)
            if len(waits) == 2:
                sock.enqueue(b"mine", FROM)

        sock._wait = wait  # type: ignore[method-assign]
        assert sock.recv(10) == b"mine"
        assert len(waits) == 2

    def test_closing_wakes_who_waits(self) -> None:
        sock = Written()
        caught: list[int | None] = []

        def read() -> None:
            try:
                sock.recv(10)
            except OSError as error:
                caught.append(error.errno)

        reader = threading.Thread(target=read)
        reader.start()
        time.sleep(0.02)
        sock.close()
        reader.join(10)
        assert caught == [errno.EBADF]


class TestDescriptor:
    @staticmethod
    def ready(sock: QueueSocket) -> bool:
        return bool(select.select([sock], [], [], 0)[0])

    def test_readable_while_something_is_queued(self) -> None:
        sock = with_datagrams(b"before the descriptor was asked for")
        assert self.ready(sock)
        sock.enqueue(b"two", FROM)
        sock.recv(100)
        assert self.ready(sock)
        sock.recv(100)
        assert not self.ready(sock)
        sock.enqueue(b"three", FROM)
        assert self.ready(sock)
        sock.recv(1, socket.MSG_PEEK)
        assert self.ready(sock)

    def test_more_than_the_bell_can_ring(self) -> None:
        sock = Written()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 10**9)
        sock.fileno()
        for _ in range(5000):
            assert sock.enqueue(b"x", FROM)
        for _ in range(5000):
            assert self.ready(sock)
            sock.recv(1)
        assert not self.ready(sock)

    def test_a_datagram_that_comes_while_the_bell_is_silenced(self) -> None:
        sock = with_datagrams(b"one")
        sock.fileno()
        assert sock._bell is not None
        silence = sock._bell.silence

        def interrupted() -> None:
            sock.enqueue(b"two", FROM)
            silence()

        sock._bell.silence = interrupted  # type: ignore[method-assign]
        assert sock.recv(10) == b"one"
        assert self.ready(sock)

    def test_closing_gives_the_descriptors_back(self) -> None:
        before = len(os.listdir("/proc/self/fd"))
        with Written() as sock:
            assert sock.fileno() >= 0
            assert sock.fileno() == sock.fileno()
        assert sock.fileno() == -1
        assert len(os.listdir("/proc/self/fd")) == before


class TestSending:
    @pytest.mark.parametrize("data", [b"abc", bytearray(b"abc"), memoryview(b"abc"), array.array("B", b"abc")])
    def test_any_octets(self, data: Any) -> None:
        sock = Written()
        assert sock.sendto(data, FROM) == sock.sendto(data, 0, FROM) == sock.send(data) == sock.write(data) == 3
        sock.sendall(data)
        assert sock.sendmsg([data, b"d"], [], 0, FROM) == 4
        expected = [(b"abc", FROM)] * 2 + [(b"abc", None)] * 3 + [(b"abcd", FROM)]
        assert sock.written == expected

    @pytest.mark.parametrize("data", ["abc", 3, None, [1, 2], 1.5])
    def test_no_octets(self, data: Any) -> None:
        sock = Written()
        for call in (sock.send, lambda data: sock.sendto(data, FROM), lambda data: sock.sendmsg([data])):
            with pytest.raises(TypeError):
                call(data)
        assert not sock.written

    @pytest.mark.parametrize("arguments", [(), (0, FROM, 1), ("flags", FROM)])
    def test_wrong_arguments(self, arguments: tuple[Any, ...]) -> None:
        with pytest.raises(TypeError, match="sendto"):
            Written().sendto(b"", *arguments)

    def test_flags_and_sizes(self) -> None:
        raises(errno.EOPNOTSUPP, Written().send, b"", socket.MSG_OOB)
        assert Written().send(bytes(65535)) == 65535
        assert "65536" in raises(errno.EMSGSIZE, Written().send, bytes(65536))
        bsd = Written(BsdBuffer())
        assert bsd.send(bytes(65535)) == 65535
        bsd.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1000)
        raises(errno.EMSGSIZE, bsd.send, bytes(1001))
        assert bsd.send(bytes(1000)) == 1000


class TestOptions:
    def test_sizes_and_facts(self) -> None:
        sock = Written()
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_DGRAM
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 32767
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 5000)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, (7).to_bytes(4, "little"))
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 5000
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4) == b"\7\0\0\0"
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST) == 0
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST) == 1

    def test_errors(self) -> None:
        sock = Written()
        raises(errno.ENOPROTOOPT, sock.setsockopt, socket.IPPROTO_TCP, 1, 1)
        raises(errno.ENOPROTOOPT, sock.getsockopt, 77, 1)
        raises(errno.ENOPROTOOPT, sock.setsockopt, socket.SOL_SOCKET, socket.SO_TYPE, 1)
        raises(errno.EINVAL, sock.setsockopt, socket.SOL_SOCKET, socket.SO_RCVBUF, b"\1")
        with pytest.raises(TypeError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, None)  # type: ignore[arg-type]
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 32767

    def test_a_closed_socket(self) -> None:
        sock = with_datagrams(b"lost")
        sock.close()
        sock.close()
        for call in (
            lambda: sock.recv(1),
            lambda: sock.send(b""),
            lambda: sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF),
            lambda: sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1),
        ):
            raises(errno.EBADF, call)
        assert "closed" in repr(sock)

    def test_what_datagram_sockets_do_not_do(self) -> None:
        sock = Written()
        raises(errno.EOPNOTSUPP, sock.listen)
        raises(errno.EOPNOTSUPP, sock.connect, FROM)
        raises(errno.EINVAL, sock.accept)


class TestBuffers:
    @pytest.mark.profiles("linux-2.2")
    @pytest.mark.statement("linux.md D24")
    def test_d24_linux_counts_the_memory_around_the_octets(self) -> None:
        buffer = LinuxBuffer()
        taken = 0
        while buffer.take(1000):
            taken += 1
        assert taken == 32767 // 1040
        buffer.give_back(1000)
        assert buffer.take(1000)
        assert not buffer.take(1000)

    @pytest.mark.profiles("linux-2.2")
    @pytest.mark.statement("linux.md D24")
    def test_d24_a_packet_that_would_fill_it_exactly_does_not_fit(self) -> None:
        assert not LinuxBuffer(1040).take(1000)
        assert LinuxBuffer(1041).take(1000)

    def test_everything_taken_is_given_back(self) -> None:
        for buffer in (LinuxBuffer(), BsdBuffer()):
            for length in (0, 1, 20, 1500, 2048, 2049, 9000):
                assert buffer.take(length)
                buffer.give_back(length)
            assert buffer.take(buffer.limit - 64)
