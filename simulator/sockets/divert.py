"""Divert sockets: the port space, and the socket object.

A socket bound to a divert port receives what DIVERT, divert and tee rules send there.  What a program writes goes to
the kernel's writing rules (:mod:`simulator.sockets.writing`), which let it re-enter the packet path.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import index
from typing import Any

from rules.addresses import dotted
from simulator.sockets.address import Address, Destination, Layout, parse_pair, swapped
from simulator.sockets.base import Buffer, QueueSocket, fail
from simulator.sockets.options import SO_RERROR, SO_SETFIB, keep

__all__ = ["Customs", "DivertPorts", "DivertSocket", "Write"]

_RESERVED = 1024
_MREQN = 12
"""Octets of a ``struct ip_mreqn``: group, address, interface index."""
_MULTICAST_OPTIONS = frozenset(
    {
        socket.IP_MULTICAST_IF,
        socket.IP_MULTICAST_TTL,
        socket.IP_MULTICAST_LOOP,
        socket.IP_ADD_MEMBERSHIP,
        socket.IP_DROP_MEMBERSHIP,
    }
)

_DONTROUTE = (int(socket.SOL_SOCKET), int(socket.SO_DONTROUTE))
_RERROR = (int(socket.SOL_SOCKET), SO_RERROR)

Write = Callable[["DivertSocket", bytes, Destination | None], int]
"""A kernel's writing rules: the errno of the write, 0 for success."""


@dataclass(frozen=True, kw_only=True)
class Customs:
    """What a kernel's divert sockets do apart from packets."""

    own_family: bool = False
    """As in FreeBSD 14 (:attr:`simulator.profiles.BsdProfile.own_family`)."""
    ip_options: bool = False
    """Options of level IPPROTO_IP can be set."""
    largest_buffer: int = 0
    """What SO_RCVBUF and SO_SNDBUF may say at most, octets; 0: anything goes."""
    connected: bool = False
    """The socket counts as connected from its creation, to 0.0.0.0 (bsd.md S-7, S-10)."""
    tells_overflow: bool = False
    """SO_RERROR can be set: a read of the empty queue tells once that something did not fit (bsd.md R-17)."""
    routing_tables: int = 0
    """How many there are to choose from by SO_SETFIB; 0: there is no such option (bsd.md S-11)."""
    shutdown_errno: int = errno.ENOTCONN
    """What shutdown fails with; 0: it works."""
    multicast_from: Callable[[int], bool] | None = None
    """IP_MULTICAST_IF can be set, to an address for which this holds (linux.md D19, T4); None: it cannot."""
    reserved_ports: bool = False
    """Ports below 1024 need privilege at bind (bsd.md B-5)."""


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

    def __iter__(self) -> Iterator[DivertSocket]:
        """Every socket that has a port, the oldest first."""
        return iter(sorted((sock for sharing in self._bound.values() for sock in sharing), key=lambda each: each.age))

    def number(self) -> int:
        """A number for a new socket, by age."""
        self._created += 1
        return self._created

    def bind(self, sock: DivertSocket, port: int, *, exactly: bool = False) -> int:
        """Give ``sock`` the port, or a free one for 0.  :raises OSError: EADDRINUSE (bsd.md B-6, linux.md Q5).

        ``exactly``: port 0 is a port, and none is shared.
        """
        if exactly:
            if port in self._bound:
                fail(errno.EADDRINUSE, f"divert port {port}")
        elif port == 0:
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
        """The socket gives its port back, if it has one."""
        if sock.port is not None:
            self._bound[sock.port].remove(sock)
            self._choose(sock.port)

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
        customs: Customs,
        privileged: Callable[[], bool],
    ) -> None:
        super().__init__(family, socket.SOCK_RAW, proto, buffer)
        self.age = ports.number()
        self.port: int | None = None
        """The divert port; None before bind."""
        self._ports = ports
        self._layout = layout
        self._swap = swap
        self._write_rules = write
        self._customs = customs
        self._privileged = privileged
        self._shut_writing = False
        self.multicast_source = 0
        """IP_MULTICAST_IF: an address of the interface for outgoing multicast; 0: by the routes (linux.md D19)."""
        self.ip_options = b""
        """IP_OPTIONS: put into what is sent as outgoing (bsd.md W-12)."""

    @property
    def reuse_port(self) -> bool:
        return bool(self._options.get((socket.SOL_SOCKET, socket.SO_REUSEPORT)))

    def bind(self, address: Any) -> None:
        """Take a divert port, 1 to 65535; the host part is ignored (bsd.md B-2).

        ``address`` is a pair, or the octets of the system's ``sockaddr_in``.

        :raises OSError: EADDRINUSE for a port that is taken; EINVAL for a second bind (bsd.md B-4); for octets,
            EAFNOSUPPORT and EINVAL if family or length are wrong (B-1); EACCES for a reserved port (B-5).
        """
        self._check_open()
        customs = self._customs
        if isinstance(address, bytes):
            port = self._port_of(address)
        else:
            _, port = parse_pair(address)
        if customs.own_family:
            port = self._ports.bind(self, port, exactly=True)
            self._ports.release(self)
            self.port = port
            return
        if self.port is not None:
            fail(errno.EINVAL, f"bound to divert port {self.port} already")
        if customs.reserved_ports and 0 < port < _RESERVED and not self._privileged():
            fail(errno.EACCES, f"divert port {port}")
        self.port = self._ports.bind(self, port)

    def _port_of(self, address: bytes) -> int:
        """The port in a ``sockaddr_in``, where it stands in network order (B-1)."""
        family = self._layout.unpack(address.ljust(16, b"\0")).family
        if family != socket.AF_INET:
            fail(errno.EAFNOSUPPORT, f"family {family}")
        if len(address) != 16:
            fail(errno.EINVAL, f"a sockaddr_in has 16 octets, not {len(address)}")
        return int.from_bytes(address[2:4], "big")

    def getsockname(self) -> tuple[str, int]:
        """``("0.0.0.0", port)``, port 0 before bind (bsd.md S-10)."""
        self._check_open()
        if self._customs.own_family:
            fail(errno.EOPNOTSUPP)
        return (dotted(0), self.port or 0)

    def getpeername(self) -> tuple[str, int]:
        """``("0.0.0.0", 0)`` where the socket counts as connected (bsd.md S-10).  :raises OSError: ENOTCONN if not."""
        self._check_open()
        if not self._customs.connected:
            fail(errno.ENOTCONN)
        return (dotted(0), 0)

    def shutdown(self, how: int) -> None:
        """SHUT_WR: later writes fail with EPIPE; SHUT_RD: reads give nothing at once (bsd.md S-9).

        :raises OSError: where the kernel wants a connection first, ENOTCONN; EINVAL for another ``how``.
        """
        self._check_open()
        if index(how) not in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR):
            fail(errno.EINVAL, f"shutdown({how})")
        if self._customs.shutdown_errno:
            fail(self._customs.shutdown_errno)
        if how != socket.SHUT_RD:
            self._shut_writing = True
        if how != socket.SHUT_WR:
            self._ended = True
            self._discard()
            self._wake()

    def enqueue(self, octets: bytes, address: Any) -> bool:
        if self._ended:
            return False
        fits = super().enqueue(octets, address)
        if not fits and self._options.get(_RERROR):
            self._pending = errno.ENOBUFS
            self._wake()
        return fits

    def setsockopt(self, level: int, name: int, value: int | bytes) -> None:
        if (level, name) == (socket.IPPROTO_IP, socket.IP_MULTICAST_IF) and self._customs.multicast_from is not None:
            self._check_open()
            self._set_multicast_source(value, self._customs.multicast_from)
            return
        if (level, name) != (socket.IPPROTO_IP, socket.IP_OPTIONS):
            super().setsockopt(level, name, value)
            return
        self._check_open()
        self._option(level, name)
        options = (value & 0xFFFFFFFF).to_bytes(4, "little") if isinstance(value, int) else bytes(value)
        if len(options) > 40 or len(options) & 3:
            fail(errno.EINVAL, f"{len(options)} octets of IP options")
        self.ip_options = options

    def _set_multicast_source(self, value: int | bytes, is_local: Callable[[int], bool]) -> None:
        """An ``in_addr``, or the address in an ``ip_mreqn``; 0.0.0.0 takes it back (linux.md T4)."""
        octets = (value & 0xFFFFFFFF).to_bytes(4, "little") if isinstance(value, int) else bytes(value)
        if len(octets) < 4:
            fail(errno.EINVAL, f"an address has 4 octets, not {len(octets)}")
        address = int.from_bytes(octets[4:8] if len(octets) >= _MREQN else octets[:4], "big")
        if address and not is_local(address):
            fail(errno.EADDRNOTAVAIL, dotted(address))
        self.multicast_source = address

    def getsockopt(self, level: int, name: int, buflen: int = 0) -> int | bytes:
        """IP_OPTIONS come with the four octets of the first hop of a source route, which is not there (0.0.0.0)."""
        if (level, name) != (socket.IPPROTO_IP, socket.IP_OPTIONS):
            return super().getsockopt(level, name, buflen)
        self._check_open()
        self._option(level, name)
        return (bytes(4) + self.ip_options if self.ip_options else b"")[:buflen]

    def _option(self, level: int, name: int) -> Callable[[int], None]:
        setter = self._setters().get((level, name))
        if setter is None:
            fail(self._unknown(level, name), f"level {level}, option {name}")
        return setter

    def _unknown(self, level: int, name: int) -> int:
        """The errno for an option that is not there: ip_ctloutput knows one level and keeps multicast to itself."""
        if not self._customs.ip_options or level == socket.SOL_SOCKET:
            return errno.ENOPROTOOPT
        if level != socket.IPPROTO_IP:
            return errno.EINVAL
        return errno.EOPNOTSUPP if name in _MULTICAST_OPTIONS else errno.ENOPROTOOPT

    def _set_receive_buffer(self, octets: int) -> None:
        self._check_size(octets)
        super()._set_receive_buffer(octets)

    def _set_send_buffer(self, octets: int) -> None:
        self._check_size(octets)
        super()._set_send_buffer(octets)

    def _check_size(self, octets: int) -> None:
        """A buffer has one octet at least, and the kernel's maximum at most."""
        largest = self._customs.largest_buffer
        if largest and octets < 1:
            fail(errno.EINVAL, f"a buffer of {octets} octets")
        if largest and octets > largest:
            fail(errno.ENOBUFS, f"a buffer of {octets} octets")

    def _setters(self) -> dict[tuple[int, int], Callable[[int], None]]:
        setters = super()._setters()
        customs = self._customs
        setters[_DONTROUTE] = keep
        if customs.tells_overflow:
            setters[_RERROR] = keep
        if customs.routing_tables:
            setters[socket.SOL_SOCKET, SO_SETFIB] = self._check_table
        if customs.ip_options:
            for name in (socket.IP_OPTIONS, socket.IP_TOS, socket.IP_TTL):
                setters[socket.IPPROTO_IP, name] = keep
        return setters

    def _check_table(self, number: int) -> None:
        if not 0 <= number < self._customs.routing_tables:
            fail(errno.EINVAL, f"routing table {number}")

    def close(self) -> None:
        if not self.closed:
            self._ports.release(self)
        super().close()

    def _send(self, buffer: Any, flags: int, address: Any) -> int:
        if not flags:
            return super()._send(buffer, flags, address)
        with self._for_one_send(flags):
            return super()._send(buffer, flags, address)

    def _write(self, data: bytes, address: Any) -> int:
        if self._shut_writing:
            fail(errno.EPIPE)
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
