"""Divert sockets: the port space, and the socket object.

A socket bound to a divert port receives what DIVERT, divert and tee rules send there.  What a program writes goes to
the kernel's writing rules (:mod:`simulator.sockets.writing`), which let it re-enter the packet path.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any

from rules.addresses import dotted
from simulator.sockets.address import Address, Destination, Layout, parse_pair, swapped
from simulator.sockets.base import Buffer, QueueSocket, fail

__all__ = ["DivertPorts", "DivertSocket"]

Write = Callable[["DivertSocket", bytes, Destination | None], int]
"""A kernel's writing rules: the errno of the write, 0 for success."""


class DivertPorts:
    """Which socket listens on which divert port.

    A number space of its own (bsd.md B-3).  ``newest_receives`` says who gets the packets when several sockets share
    a port: the most recently created one, or the oldest (bsd.md B-8).
    """

    def __init__(self, *, ephemeral: range, newest_receives: bool) -> None:
        self._bound: dict[int, list[DivertSocket]] = {}
        self._ephemeral = ephemeral
        self._newest_receives = newest_receives
        self._created = 0
        self.listeners: dict[int, DivertSocket] = {}
        """The one socket on each port that receives."""

    def number(self) -> int:
        """A number for a new socket, by age."""
        self._created += 1
        return self._created

    def bind(self, sock: DivertSocket, port: int) -> int:
        """Give ``sock`` the port, or a free one for 0.  :raises OSError: EADDRINUSE (bsd.md B-6, linux.md Q5)."""
        if port == 0:
            port = next((free for free in self._ephemeral if free not in self._bound), 0)
            if port == 0:
                fail(errno.EADDRNOTAVAIL, "no free divert port")
        sharing = self._bound.get(port, [])
        if sharing and not all(other.reuse_port for other in [*sharing, sock]):
            fail(errno.EADDRINUSE, f"divert port {port}")
        self._bound[port] = sorted([*sharing, sock], key=lambda each: each.age)
        self._choose(port)
        return port

    def release(self, sock: DivertSocket) -> None:
        sharing = self._bound.get(sock.port or 0, [])
        if sock in sharing:
            sharing.remove(sock)
            self._choose(sock.port or 0)

    def _choose(self, port: int) -> None:
        sharing = self._bound[port]
        if sharing:
            self.listeners[port] = sharing[-1 if self._newest_receives else 0]
        else:
            del self._bound[port]
            del self.listeners[port]


class DivertSocket(QueueSocket):
    """A divert socket of the router.  Made by :meth:`simulator.Router.socket`."""

    def __init__(
        self,
        family: int,
        proto: int,
        *,
        ports: DivertPorts,
        buffer: Buffer,
        layout: Layout,
        swap: bool,
        write: Write,
    ) -> None:
        super().__init__(family, socket.SOCK_RAW, proto, buffer)
        self.age = ports.number()
        self.port: int | None = None
        """The divert port; None before bind."""
        self._ports = ports
        self._layout = layout
        self._swap = swap
        self._write_rules = write

    @property
    def reuse_port(self) -> bool:
        return bool(self._options.get((socket.SOL_SOCKET, socket.SO_REUSEPORT)))

    def option(self, level: int, name: int) -> int:
        """An option's value as it was set, 0 before; for the writing rules."""
        return self._options.get((level, name), 0)

    def bind(self, address: Any) -> None:
        """Take a divert port, 1 to 65535; the host part is ignored (bsd.md B-2).

        :raises OSError: EADDRINUSE for a port that is taken; EINVAL for a second bind (bsd.md B-4).
        """
        self._check_open()
        _, port = parse_pair(address)
        if self.port is not None:
            fail(errno.EINVAL, f"bound to divert port {self.port} already")
        self.port = self._ports.bind(self, port)

    def getsockname(self) -> tuple[str, int]:
        self._check_open()
        return (dotted(0), self.port or 0)

    def getpeername(self) -> tuple[str, int]:
        fail(errno.ENOTCONN)

    def close(self) -> None:
        if not self.closed:
            self._ports.release(self)
        super().close()

    def _write(self, data: bytes, address: Any) -> int:
        number = self._write_rules(self, data, self._destination(address))
        if number:
            fail(number)
        return len(data)

    def _destination(self, address: Any) -> Destination | None:
        """An address as the kernel sees it: an :class:`Address`, sixteen octets, a pair, or None."""
        if address is None:
            return None
        if isinstance(address, Address):
            return address.destination
        if isinstance(address, bytes | bytearray | memoryview):
            if len(address) < 16:
                fail(errno.EINVAL, f"a sockaddr_in has 16 octets, not {len(address)}")
            return self._layout.unpack(bytes(address))
        host, port = parse_pair(address)
        return Destination(host, swapped(port) if self._swap else port, bytes(8))

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"port {self.port}, {len(self._queue)} queued"
        return f"<DivertSocket {state}>"
