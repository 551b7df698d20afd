"""What all sockets of the router share: the receive queue and Python's socket methods around it.

Packets are queued by the router's thread; another thread may block in ``recv``.  ``fileno()`` gives a descriptor that
is readable while something is queued, for ``select``, ``selectors`` and ``asyncio``; it is made when first asked for.
Sending runs the packet through the router at once, in the caller's thread, so it belongs in the thread that drives
the router.  Errors are ``OSError`` with the number of the machine this runs on.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from operator import index
from typing import Any, Protocol, Self

from rules.ipfw import Owner
from simulator.sockets.bell import Bell
from simulator.sockets.buffers import Buffer
from simulator.sockets.errors import fail
from simulator.sockets.options import Options
from simulator.sockets.surface import Surface
from simulator.wire.ipv4 import MAXIMUM_LENGTH

__all__ = ["Buffer", "Overhearing", "QueueSocket", "fail"]

# Plain integers: arithmetic on the enumeration's members costs ten times as much.
_PEEK, _DONTWAIT, _OOB = int(socket.MSG_PEEK), int(socket.MSG_DONTWAIT), int(socket.MSG_OOB)
_IGNORED = socket.MSG_TRUNC | socket.MSG_WAITALL | socket.MSG_NOSIGNAL | socket.MSG_CMSG_CLOEXEC
"""Flags of a read that mean nothing to these kernels when the datagrams are whole."""
_UNKNOWN_FLAGS = ~int(socket.MSG_PEEK | socket.MSG_DONTWAIT | _IGNORED)


class Overhearing(Protocol):
    """Somebody who watches what programs do with sockets."""

    def writing(self, sock: QueueSocket, octets: bytes, address: Any) -> AbstractContextManager[object]:
        """Entered while octets are being written, be it refused or not; the address as it was given, or None."""

    def has_read(self, sock: QueueSocket, octets: bytes, address: Any) -> object:
        """A datagram was taken from the queue, with the address that came with it."""


class QueueSocket(Options, Surface):
    """Base of the router's datagram sockets."""

    overheard: Sequence[Overhearing] = ()
    """Who watches; all sockets of a router share one list."""

    def __init__(self, family: int, kind: int, proto: int, buffer: Buffer) -> None:
        self.family = _member(socket.AddressFamily, family)
        self.type = _member(socket.SocketKind, kind)
        self.proto = proto
        self.buffer = buffer
        Options.__init__(self)
        Surface.__init__(self)
        self.owner = Owner(0, 0)
        """Whose program opened it (bsd.md E-23); root's unless :meth:`simulator.Router.socket` was told otherwise."""
        self.closed = False
        self._queue: deque[tuple[bytes, Any]] = deque()
        self._ended = False
        """Nothing more will come: a read of the empty queue gives no octets and no address."""
        self._lock = threading.Condition()
        self._waiting = 0
        self._bell: Bell | None = None

    # -- the router's side -----------------------------------------------------------------------------------------

    @property
    def readable(self) -> bool:
        """Whether a read would not have to wait: something is queued, or an error or the end is to be told."""
        return bool(self._queue or self._pending or self._ended)

    def enqueue(self, octets: bytes, address: Any) -> bool:
        """Queue a datagram for the reader; False when the buffer is full, and the datagram is lost."""
        if not self.buffer.take(len(octets), address):
            return False
        self._queue.append((octets, address))
        if self._bell is not None or self._waiting:
            self._wake()
        return True

    def _wake(self) -> None:
        """Tell whoever waits that the socket is readable."""
        if self._bell is not None:
            self._bell.ring()
        if self._waiting:
            with self._lock:
                self._lock.notify_all()

    # -- receiving ---------------------------------------------------------------------------------------------------

    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, Any]:
        """The next datagram, cut to ``bufsize`` octets, and the address that came with it."""
        if index(bufsize) < 0:
            raise ValueError(f"negative buffersize in recvfrom: {bufsize}")
        octets, address = self._next(flags)
        return octets[:bufsize], address

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        return self.recvfrom(bufsize, flags)[0]

    read = recv

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        """The next datagram into ``buffer``, at most ``nbytes`` of it (0: what fits): how many octets, the address."""
        view = _writable(buffer)
        if not 0 <= nbytes <= len(view):
            raise ValueError(f"nbytes is negative or greater than the length of the buffer: {nbytes}, {len(view)}")
        octets, address = self.recvfrom(nbytes or len(view), flags)
        view[: len(octets)] = octets
        return len(octets), address

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        return self.recvfrom_into(buffer, nbytes, flags)[0]

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0) -> tuple[bytes, list[Any], int, Any]:
        """``(octets, [], flags, address)``; MSG_TRUNC is set when the datagram was longer than ``bufsize``."""
        if index(bufsize) < 0 or index(ancbufsize) < 0:
            raise ValueError(f"negative buffer size in recvmsg: {bufsize}, {ancbufsize}")
        octets, address = self._next(flags)
        return octets[:bufsize], [], socket.MSG_TRUNC if len(octets) > bufsize else 0, address

    def recvmsg_into(
        self, buffers: Iterable[Any], ancbufsize: int = 0, flags: int = 0
    ) -> tuple[int, list[Any], int, Any]:
        """``recvmsg`` into one buffer after the other: ``(octets written, [], flags, address)``."""
        views = [_writable(buffer) for buffer in buffers]
        octets, ancillary, said, address = self.recvmsg(sum(len(view) for view in views), ancbufsize, flags)
        at = 0
        for view in views:
            part = octets[at : at + len(view)]
            view[: len(part)] = part
            at += len(part)
        return len(octets), ancillary, said, address

    def _next(self, flags: int) -> tuple[bytes, Any]:
        if flags & _UNKNOWN_FLAGS:
            fail(errno.EOPNOTSUPP, f"flags {flags:#x}")
        if self.closed:
            fail(errno.EBADF)
        while True:
            if not self._queue:
                if self._pending or self._ended:
                    return self._without_datagram(flags)
                self._wait(dont_wait=bool(flags & _DONTWAIT))
            try:
                if flags & _PEEK:
                    return self._queue[0]
                item = self._queue.popleft()
            except IndexError:
                continue  # another thread was faster, or it was no datagram that came
            self.buffer.give_back(len(item[0]), item[1])
            if self._bell is not None and not self._queue:
                self._quiet()
            for watch in self.overheard:
                watch.has_read(self, *item)
            return item

    def _without_datagram(self, flags: int) -> tuple[bytes, Any]:
        """What an empty queue has to say: an error once, or the end for ever."""
        number = self._pending
        if not number:
            return b"", None
        if not flags & _PEEK:
            self._pending = 0
            self._quiet()
        fail(number)

    def _wait(self, *, dont_wait: bool) -> None:
        """Until the socket is readable, as far as the timeout allows; SO_RCVTIMEO holds where there is none."""
        if dont_wait or self._timeout == 0:
            fail(errno.EAGAIN)
        limit = self._timeout if self._timeout is not None else self.receive_timeout or None
        if limit is None and threading.active_count() == 1:
            fail(errno.EDEADLK, "nothing is queued, and no other thread is there that could send something")
        deadline = None if limit is None else time.monotonic() + limit
        with self._lock:
            self._waiting += 1
            try:
                while not self.readable:
                    left = None if deadline is None else deadline - time.monotonic()
                    if left is not None and left <= 0:
                        if self._timeout is None:
                            fail(errno.EAGAIN)
                        raise TimeoutError("timed out")
                    self._check_open()
                    self._lock.wait(left)
                    self._check_open()
            finally:
                self._waiting -= 1

    # -- sending -----------------------------------------------------------------------------------------------------

    def sendto(self, data: Any, *arguments: Any) -> int:
        """``sendto(data, address)`` or ``sendto(data, flags, address)``: octets written."""
        if len(arguments) == 1:
            flags, address = 0, arguments[0]
        elif len(arguments) == 2 and isinstance(arguments[0], int):
            flags, address = arguments
        else:
            raise TypeError(f"sendto() takes (data, address) or (data, flags, address), not {len(arguments)} more")
        return self._send(data, flags, address)

    def send(self, data: Any, flags: int = 0) -> int:
        return self._send(data, flags, None)

    write = send

    def sendall(self, data: Any, flags: int = 0) -> None:
        self.send(data, flags)

    def sendmsg(self, buffers: Iterable[Any], ancdata: Iterable[Any] = (), flags: int = 0, address: Any = None) -> int:
        """Ancillary data, items of (level, type, octets), is accepted and thrown away (bsd.md W-1)."""
        for item in ancdata:
            _check_ancillary(item)
        return self._send(b"".join([bytes(memoryview(buffer)) for buffer in buffers]), flags, address)

    def _send(self, buffer: Any, flags: int, address: Any) -> int:
        # No number and no list of numbers: octets.
        data: bytes = buffer if buffer.__class__ is bytes else bytes(memoryview(buffer))
        if self.closed:
            fail(errno.EBADF)
        if flags & _OOB:
            fail(errno.EOPNOTSUPP, f"flags {flags:#x}")
        limit = self.send_limit if self.buffer.limits_writes else MAXIMUM_LENGTH
        if len(data) > limit:
            fail(errno.EMSGSIZE, f"{len(data)} octets are more than {limit}")
        if not self.overheard:
            return self._write(data, address)
        with contextlib.ExitStack() as stack:
            for watch in self.overheard:
                stack.enter_context(watch.writing(self, data, address))
            return self._write(data, address)

    def _write(self, data: bytes, address: Any) -> int:
        fail(errno.EOPNOTSUPP)

    # -- life and waiting --------------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self.closed:
            fail(errno.EBADF)

    def close(self) -> None:
        """Give the port back; what is queued is lost to the reader."""
        self.closed = True
        self._queue.clear()
        if self._bell is not None:
            self._bell.close()
            self._bell = None
        with self._lock:
            self._lock.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """A descriptor that is readable while the socket is, and always writable; -1 when the socket is closed.

        It is for waiting alone: reading from it, or handing it to another process, moves no datagram.
        """
        return -1 if self.closed else self._descriptor().fileno()

    def _descriptor(self) -> Bell:
        self._check_open()
        if self._bell is None:
            self._bell = Bell()
            if self.readable:
                self._bell.ring()
        return self._bell

    def get_inheritable(self) -> bool:
        return self._descriptor().inheritable

    def set_inheritable(self, inheritable: bool) -> None:
        self._descriptor().inheritable = inheritable

    def _discard(self) -> None:
        """Forget what is queued."""
        while self._queue:
            octets, address = self._queue.popleft()
            self.buffer.give_back(len(octets), address)
        self._quiet()

    def _quiet(self) -> None:
        """Silence the bell, unless there is something to read after all."""
        if self._bell is not None:
            self._bell.silence()
            if self.readable:  # something came while the bell was being silenced
                self._bell.ring()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'closed' if self.closed else f'{len(self._queue)} queued'}>"


def _member(kind: type[Any], number: int) -> int:
    """The number as CPython shows it: as a member of its enumeration, if it is one."""
    with contextlib.suppress(ValueError):
        number = kind(number)
    return number


def _check_ancillary(item: Any) -> None:
    if not isinstance(item, tuple) or len(item) != 3:
        raise TypeError(f"ancillary data is (level, type, octets), not {item!r}")
    index(item[0])
    index(item[1])
    memoryview(item[2])


def _writable(buffer: Any) -> memoryview:
    """The octets of a buffer.  :raises TypeError: if they cannot be written."""
    view = memoryview(buffer).cast("B")
    if view.readonly:
        raise TypeError("a read-write bytes-like object is needed to receive into")
    return view
