"""``setsockopt`` and ``getsockopt``: what the options of every socket are, and the two ways to write a value."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import index
from struct import Struct

from simulator.sockets.buffers import Buffer
from simulator.sockets.errors import fail

__all__ = ["SO_RERROR", "SO_SETFIB", "Options", "keep"]

SO_SETFIB = 0x1014
"""FreeBSD's number; Python has no name for it elsewhere."""

SO_RERROR = 0x20000
"""FreeBSD's number.  DragonFly's, 0x2000, is understood as well."""

_DRAGONFLY_RERROR = 0x2000

_DONTROUTE = (int(socket.SOL_SOCKET), int(socket.SO_DONTROUTE))
_MSG_DONTROUTE = int(socket.MSG_DONTROUTE)

_TIMEVAL = Struct("@ll")
"""``struct timeval`` of the machine this runs on: seconds, microseconds."""
_LINGER = Struct("@ii")
_MICRO = 1_000_000


def keep(_: int) -> None:
    """An option that is looked at when it matters (bind, send), not when it is set; or that never matters here."""


class Options:
    """The options of a socket; what they change at once is in attributes, the rest is kept by number."""

    family: int
    type: int
    proto: int
    buffer: Buffer

    def __init__(self) -> None:
        self.send_limit = self.buffer.limit
        """SO_SNDBUF, octets."""
        self.receive_timeout = 0.0
        """SO_RCVTIMEO: how long a blocking read waits before it fails with EAGAIN, seconds; 0: for ever."""
        self._pending = 0
        """The errno that the next read of an empty queue fails with (``so_error``)."""
        self._options: dict[tuple[int, int], int] = {}
        self._structures: dict[int, bytes] = {}

    def option(self, level: int, name: int, default: int = 0) -> int:
        """An option's value as it was set, for whoever has to heed it."""
        return self._options.get((level, name), default)

    @property
    def options_set(self) -> Sequence[tuple[tuple[int, int], int]]:
        """((level, name), value) of the numbers that were set, in the order of their first setting."""
        return tuple(self._options.items())

    def setsockopt(self, level: int, name: int, value: int | bytes) -> None:
        """Set an option: an integer or its four octets; for SO_RCVTIMEO a ``struct timeval`` (``pack("ll", 1, 0)``).

        :raises OSError: ENOPROTOOPT for one that this socket does not have, EINVAL for too few octets or a value that
            makes no sense, EDOM for a time that is none.
        """
        self._check_open()
        level, name = _number(level, name)
        if level == socket.SOL_SOCKET and name in _STRUCTURES:
            self._set_structure(name, value)
            return
        setter = self._option(level, name)
        number = self._option_value(value)
        setter(number)
        self._options[level, name] = number

    def getsockopt(self, level: int, name: int, buflen: int = 0) -> int | bytes:
        """An option as an integer, or as octets if ``buflen`` says how many may come."""
        self._check_open()
        level, name = _number(level, name)
        if level == socket.SOL_SOCKET and name in _STRUCTURES:
            octets = self._structures.get(name, bytes(_STRUCTURES[name].size))
            return octets[:buflen] if buflen else int.from_bytes(octets[:4], "little", signed=True)
        value = self._fact(name) if level == socket.SOL_SOCKET else None
        if value is None:
            self._option(level, name)
            value = self._options.get((level, name), 0)
        return value.to_bytes(4, "little", signed=True)[:buflen] if buflen else value

    def _fact(self, name: int) -> int | None:
        """What is not set but known; SO_ERROR is forgotten once told."""
        if name == socket.SO_ERROR:
            told, self._pending = self._pending, 0
            return told
        facts = {
            socket.SO_RCVBUF: self.buffer.limit,
            socket.SO_SNDBUF: self.send_limit,
            socket.SO_TYPE: int(self.type),
            socket.SO_DOMAIN: int(self.family),
            socket.SO_PROTOCOL: self.proto,
            socket.SO_ACCEPTCONN: 0,
        }
        return facts.get(name)

    def _set_structure(self, name: int, value: int | bytes) -> None:
        """SO_RCVTIMEO and SO_SNDTIMEO (a send never waits), and SO_LINGER (so that a close never does)."""
        layout = _STRUCTURES[name]
        octets = b"" if isinstance(value, int) else bytes(memoryview(value))
        if len(octets) < layout.size:
            fail(errno.EINVAL, f"an option of {len(octets) or 4} octets where {layout.size} belong")
        octets = octets[: layout.size]
        if layout is _TIMEVAL:
            seconds, micro = _TIMEVAL.unpack(octets)
            if seconds < 0 or not 0 <= micro < _MICRO:
                fail(errno.EDOM, f"{seconds} s {micro} us")
            if name == socket.SO_RCVTIMEO:
                self.receive_timeout = seconds + micro / _MICRO
        self._structures[name] = octets

    @contextmanager
    def _for_one_send(self, flags: int) -> Iterator[None]:
        """MSG_DONTROUTE is SO_DONTROUTE for one datagram (sosend of the BSDs, raw_sendmsg of Linux)."""
        before = self._options.get(_DONTROUTE, 0)
        if flags & _MSG_DONTROUTE:
            self._options[_DONTROUTE] = 1
        try:
            yield
        finally:
            if flags & _MSG_DONTROUTE:
                self._options[_DONTROUTE] = before

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
            **{(socket.SOL_SOCKET, name): keep for name in _KEPT},
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

    def _check_open(self) -> None:
        raise NotImplementedError


def _number(level: int, name: int) -> tuple[int, int]:
    """Level and name as plain numbers, one for each option."""
    level, name = index(level), index(name)
    if level == socket.SOL_SOCKET and name == _DRAGONFLY_RERROR:
        name = SO_RERROR
    return level, name


_STRUCTURES = {socket.SO_RCVTIMEO: _TIMEVAL, socket.SO_SNDTIMEO: _TIMEVAL, socket.SO_LINGER: _LINGER}

_KEPT = (
    socket.SO_REUSEADDR,
    socket.SO_REUSEPORT,
    socket.SO_BROADCAST,
    socket.SO_DEBUG,
    socket.SO_KEEPALIVE,
    socket.SO_OOBINLINE,
)
"""Flags that every kernel's sockets have.  The last three mean nothing to datagrams, there as here."""
