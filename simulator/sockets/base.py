"""What all sockets of the router share: the receive queue and Python's socket methods around it.

Packets are queued by the router's thread; another thread may block in ``recv``.  ``fileno()`` gives a descriptor that
is readable while something is queued, for ``select``, ``selectors`` and ``asyncio``; it is made when first asked for.
Sending runs the packet through the router at once, in the caller's thread, so it belongs in the thread that drives
the router.  Errors are ``OSError`` with the number of the machine this runs on.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, Protocol

from simulator.wire.ipv4 import MAXIMUM_LENGTH

__all__ = ["Buffer", "QueueSocket", "fail"]

# Plain integers: arithmetic on the enumeration's members costs ten times as much.
_PEEK, _DONTWAIT, _OOB = int(socket.MSG_PEEK), int(socket.MSG_DONTWAIT), int(socket.MSG_OOB)
_UNKNOWN_FLAGS = ~int(socket.MSG_PEEK | socket.MSG_DONTWAIT | socket.MSG_TRUNC | socket.MSG_WAITALL)


def fail(number: int, detail: str = "") -> NoReturn:
    """Raise the ``OSError`` of that number; ``detail`` repeats the offending value."""
    raise OSError(number, os.strerror(number) + (f": {detail}" if detail else ""))


class Buffer(Protocol):
    """A kernel's rule for what fits into a receive buffer."""

    limit: int
    """What SO_RCVBUF says, octets."""
    limits_writes: bool
    """Whether SO_SNDBUF is also the size of the largest datagram that can be written."""

    def take(self, length: int, address: Any = None, /) -> bool:
        """Charge one packet of that many octets, which came with that address; False when it does not fit."""

    def give_back(self, length: int, address: Any = None, /) -> None:
        """The reader has taken a packet of that many octets, which came with that address."""


class QueueSocket:
    """Base of the router's datagram sockets."""

    def __init__(self, family: int, kind: int, proto: int, buffer: Buffer) -> None:
        self.family = family
        self.type = kind
        self.proto = proto
        self.buffer = buffer
        self.send_limit = buffer.limit
        """SO_SNDBUF, octets."""
        self.closed = False
        self._queue: deque[tuple[bytes, Any]] = deque()
        self._lock = threading.Condition()
        self._waiting = 0
        self._timeout: float | None = None
        self._bell: tuple[socket.socket, socket.socket] | None = None
        self._options: dict[tuple[int, int], int] = {}

    # -- the router's side -----------------------------------------------------------------------------------------

    @property
    def readable(self) -> bool:
        """Whether something is queued."""
        return bool(self._queue)

    def enqueue(self, octets: bytes, address: Any) -> bool:
        """Queue a datagram for the reader; False when the buffer is full, and the datagram is lost."""
        if not self.buffer.take(len(octets), address):
            return False
        self._queue.append((octets, address))
        if self._bell is not None:
            with contextlib.suppress(BlockingIOError):
                self._bell[1].send(b"!")
        if self._waiting:
            with self._lock:
                self._lock.notify()
        return True

    # -- receiving ---------------------------------------------------------------------------------------------------

    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, Any]:
        """The next datagram, cut to ``bufsize`` octets, and the address that came with it."""
        if bufsize < 0:
            raise ValueError(f"negative buffer size in recvfrom: {bufsize}")
        octets, address = self._next(flags)
        return octets[:bufsize], address

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        return self.recvfrom(bufsize, flags)[0]

    read = recv

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        view = memoryview(buffer).cast("B")
        if view.readonly:
            raise TypeError("a read-write bytes-like object is needed to receive into")
        if nbytes < 0 or nbytes > len(view):
            raise ValueError(f"nbytes {nbytes} does not fit a buffer of {len(view)} octets")
        octets, address = self.recvfrom(nbytes or len(view), flags)
        view[: len(octets)] = octets
        return len(octets), address

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        return self.recvfrom_into(buffer, nbytes, flags)[0]

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0) -> tuple[bytes, list[Any], int, Any]:
        """``(octets, [], flags, address)``; MSG_TRUNC is set when the datagram was longer than ``bufsize``."""
        if bufsize < 0 or ancbufsize < 0:
            raise ValueError(f"negative buffer size in recvmsg: {bufsize}, {ancbufsize}")
        octets, address = self._next(flags)
        return octets[:bufsize], [], socket.MSG_TRUNC if len(octets) > bufsize else 0, address

    def _next(self, flags: int) -> tuple[bytes, Any]:
        if flags & _UNKNOWN_FLAGS:
            fail(errno.EOPNOTSUPP, f"flags {flags:#x}")
        if self.closed:
            fail(errno.EBADF)
        while True:
            if not self._queue:
                self._wait(dont_wait=bool(flags & _DONTWAIT))
            try:
                if flags & _PEEK:
                    return self._queue[0]
                item = self._queue.popleft()
            except IndexError:
                continue  # another thread was faster
            self.buffer.give_back(len(item[0]), item[1])
            if self._bell is not None and not self._queue:
                self._silence()
            return item

    def _wait(self, *, dont_wait: bool) -> None:
        """Until something is queued, as far as the timeout allows."""
        if dont_wait or self._timeout == 0:
            fail(errno.EAGAIN)
        if self._timeout is None and threading.active_count() == 1:
            fail(errno.EDEADLK, "nothing is queued, and no other thread is there that could send something")
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        with self._lock:
            self._waiting += 1
            try:
                while not self._queue:
                    left = None if deadline is None else deadline - time.monotonic()
                    if left is not None and left <= 0:
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
        """Ancillary data is accepted and thrown away (bsd.md W-1)."""
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
        return self._write(data, address)

    def _write(self, data: bytes, address: Any) -> int:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    # -- life, waiting, options --------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self.closed:
            fail(errno.EBADF)

    def close(self) -> None:
        """Give the port back; what is queued is lost to the reader."""
        self.closed = True
        self._queue.clear()
        if self._bell is not None:
            for end in self._bell:
                end.close()
            self._bell = None
        with self._lock:
            self._lock.notify_all()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """A descriptor that is readable while something is queued; -1 when the socket is closed."""
        if self.closed:
            return -1
        if self._bell is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            ours.setblocking(False)
            theirs.setblocking(False)
            self._bell = (ours, theirs)
            if self._queue:
                theirs.send(b"!")
        return self._bell[0].fileno()

    def _discard(self) -> None:
        """Forget what is queued."""
        while self._queue:
            octets, address = self._queue.popleft()
            self.buffer.give_back(len(octets), address)
        if self._bell is not None:
            self._silence()

    def _silence(self) -> None:
        assert self._bell is not None
        with contextlib.suppress(BlockingIOError):
            while True:
                self._bell[0].recv(1)
        if self._queue:  # something came while the bell was being silenced
            self._bell[1].send(b"!")

    def settimeout(self, seconds: float | None) -> None:
        if seconds is not None and seconds < 0:
            raise ValueError("Timeout value out of range")
        self._timeout = seconds

    def gettimeout(self) -> float | None:
        return self._timeout

    def setblocking(self, flag: bool) -> None:
        self._timeout = None if flag else 0.0

    def getblocking(self) -> bool:
        return self._timeout != 0

    def shutdown(self, how: int) -> None:
        """:raises OSError: ENOTCONN; a socket that is not connected has nothing to shut down."""
        self._check_open()
        known = how in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR)
        fail(errno.ENOTCONN if known else errno.EINVAL, f"shutdown({how})")

    def bind(self, address: Any) -> None:
        """Take a port or an address; each kind of socket says which.  :raises OSError: EOPNOTSUPP if it has neither."""
        fail(errno.EOPNOTSUPP)

    def getsockname(self) -> tuple[str, int]:
        """What it is bound to."""
        fail(errno.EOPNOTSUPP)

    def getpeername(self) -> tuple[str, int]:
        fail(errno.ENOTCONN)

    def connect(self, address: Any) -> None:
        fail(errno.EOPNOTSUPP)

    def listen(self, backlog: int = 0) -> None:
        fail(errno.EOPNOTSUPP)

    def accept(self) -> NoReturn:
        fail(errno.EINVAL)

    def setsockopt(self, level: int, name: int, value: int | bytes) -> None:
        """Set an option, an integer or its four octets.

        :raises OSError: ENOPROTOOPT for one that this socket does not have, EINVAL for fewer than four octets.
        """
        self._check_open()
        setter = self._option(level, name)
        setter(self._option_value(value))
        self._options[level, name] = self._option_value(value)

    def getsockopt(self, level: int, name: int, buflen: int = 0) -> int | bytes:
        self._check_open()
        facts = {
            (socket.SOL_SOCKET, socket.SO_RCVBUF): self.buffer.limit,
            (socket.SOL_SOCKET, socket.SO_SNDBUF): self.send_limit,
            (socket.SOL_SOCKET, socket.SO_TYPE): self.type,
            (socket.SOL_SOCKET, socket.SO_ERROR): 0,
        }
        value = facts.get((level, name))
        if value is None:
            self._option(level, name)
            value = self._options.get((level, name), 0)
        return value.to_bytes(4, "little", signed=True)[:buflen] if buflen else value

    def _option(self, level: int, name: int) -> Callable[[int], None]:
        setter = self._setters().get((level, name))
        if setter is None:
            fail(errno.ENOPROTOOPT, f"level {level}, option {name}")
        return setter

    def _setters(self) -> dict[tuple[int, int], Callable[[int], None]]:
        """The options this socket has, and what setting one does at once."""
        return {
            (socket.SOL_SOCKET, socket.SO_RCVBUF): self._set_receive_buffer,
            (socket.SOL_SOCKET, socket.SO_SNDBUF): self._set_send_buffer,
            (socket.SOL_SOCKET, socket.SO_REUSEADDR): _keep,
            (socket.SOL_SOCKET, socket.SO_REUSEPORT): _keep,
            (socket.SOL_SOCKET, socket.SO_BROADCAST): _keep,
        }

    def _set_receive_buffer(self, octets: int) -> None:
        self.buffer.limit = octets

    def _set_send_buffer(self, octets: int) -> None:
        self.send_limit = octets

    @staticmethod
    def _option_value(value: int | bytes) -> int:
        if isinstance(value, int):
            return value
        octets = bytes(memoryview(value))
        if len(octets) < 4:
            fail(errno.EINVAL, f"an option of {len(octets)} octets")
        return int.from_bytes(octets[:4], "little", signed=True)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'closed' if self.closed else f'{len(self._queue)} queued'}>"


def _keep(_: int) -> None:
    """An option that is looked at when it matters (bind, send), not when it is set."""
