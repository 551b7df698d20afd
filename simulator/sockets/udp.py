"""UDP sockets of the router itself: the services it offers as a host.

A REDIRECT rule, or ipfw's ``fwd`` to a port of this host, gives a socket datagrams that were meant for others
(transparent proxy).  What they were meant for rides in ``sin_zero`` of the address that comes with them, where Linux
2.2 puts it for who asks with MSG_PROXY; here everybody gets it, on every profile, in the layout of its own system.  An
answer sent to that very address leaves with the original destination, address and port, as its source; one sent to a
plain pair of the same values leaves from the socket's own.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from typing import Any

from rules.addresses import dotted
from simulator.sockets.address import LINUX_LAYOUT, Address, Layout, parse_pair
from simulator.sockets.base import Buffer, QueueSocket, fail

__all__ = ["Connect", "UdpPorts", "UdpSocket", "proxied"]

Send = Callable[[int, int, int, int, bytes, bool], int]
"""(source address, source port, destination, destination port, data, SO_BROADCAST) -> errno, 0 for success."""

Connect = Callable[[int, bool], int]
"""(destination, SO_BROADCAST) -> errno, 0 for success."""


def proxied(layout: Layout, source: int, source_port: int, destination: int, destination_port: int) -> Address:
    """The sender's address, with what the datagram was meant for in its ``sin_zero``."""
    zero = layout.pack(destination, destination_port, bytes(8))[:8]
    return Address(source, source_port, interface=None, zero=zero, layout=layout, swap=False)


def _meant_for(layout: Layout, address: Any) -> tuple[int, int] | None:
    """What the datagram that came with this address was meant for, if it was redirected."""
    if not isinstance(address, Address) or address.packed[8:10] != address.packed[:2]:
        return None  # its sin_zero does not begin as an address does
    second = layout.unpack(address.packed[8:].ljust(16, b"\0"))
    return second.host, second.tag


class UdpPorts:
    """Which socket has which UDP port, on which of the host's addresses."""

    def __init__(self, is_local: Callable[[int], bool]) -> None:
        self.layout = LINUX_LAYOUT
        """Of the addresses of this host's UDP sockets."""
        self._bound: dict[int, list[UdpSocket]] = {}
        self._is_local = is_local
        self.reserved = range(0)
        """Ports that nobody can bind (linux.md N6)."""

    def __iter__(self) -> Iterator[UdpSocket]:
        return (sock for sharing in [*self._bound.values()] for sock in sharing)

    def bind(self, sock: UdpSocket, host: int, port: int) -> int:
        if host and not self._is_local(host):
            fail(errno.EADDRNOTAVAIL, dotted(host))
        if port == 0:
            port = next((free for free in range(1024, 5000) if free not in self._bound), 0)
            if port == 0:
                fail(errno.EAGAIN, "no free UDP port")
        taken = self._bound.get(port, [])
        if port in self.reserved or any(other.host == host or not other.host or not host for other in taken):
            fail(errno.EADDRINUSE, f"UDP port {port}")
        self._bound[port] = [*taken, sock]
        return port

    def release(self, sock: UdpSocket) -> None:
        sharing = self._bound.get(sock.port, [])
        if sock in sharing:
            sharing.remove(sock)
            if not sharing:
                del self._bound[sock.port]

    def find(self, host: int, port: int) -> UdpSocket | None:
        """The socket that takes a datagram to that address and port."""
        for sock in self._bound.get(port, ()):
            if sock.host in (0, host):
                return sock
        return None


class UdpSocket(QueueSocket):
    """A UDP socket of the router.  ``recvfrom`` gives the data and the sender's ``(host, port)``."""

    def __init__(self, *, ports: UdpPorts, buffer: Buffer, send: Send, connect: Connect) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_DGRAM, 0, buffer)
        self.host = 0
        self.port = 0
        self._ports = ports
        self._send_datagram = send
        self._may_connect = connect
        self._peer: tuple[int, int] | None = None

    def bind(self, address: Any) -> None:
        """:raises OSError: EADDRINUSE, EADDRNOTAVAIL, EINVAL for a second bind."""
        self._check_open()
        host, port = parse_pair(address)
        if self.port:
            fail(errno.EINVAL, f"bound to port {self.port} already")
        self.port = self._ports.bind(self, host, port)
        self.host = host

    def connect(self, address: Any) -> None:
        """Remember where ``send`` goes.

        :raises OSError: on Linux EACCES to everybody without SO_BROADCAST, ENETUNREACH without a route; a BSD looks
            when something is sent.
        """
        self._check_open()
        host, port = parse_pair(address)
        if number := self._may_connect(host, self._may_broadcast):
            fail(number, f"connect to {dotted(host)}")
        self._peer = host, port

    @property
    def _may_broadcast(self) -> bool:
        return bool(self._options.get((socket.SOL_SOCKET, socket.SO_BROADCAST)))

    def getsockname(self) -> tuple[str, int]:
        self._check_open()
        return (dotted(self.host), self.port)

    def getpeername(self) -> tuple[str, int]:
        if self._peer is None:
            fail(errno.ENOTCONN)
        return (dotted(self._peer[0]), self._peer[1])

    def close(self) -> None:
        if not self.closed:
            self._ports.release(self)
        super().close()

    def _write(self, data: bytes, address: Any) -> int:
        destination = parse_pair(address) if address is not None else self._peer
        if destination is None:
            fail(errno.EDESTADDRREQ)
        if not self.port:
            self.port = self._ports.bind(self, 0, 0)
        source, source_port = _meant_for(self._ports.layout, address) or (self.host, self.port)
        number = self._send_datagram(source, source_port, *destination, data, self._may_broadcast)
        if number:
            fail(number)
        return len(data)
