"""Raw IP sockets (linux.md O1 to O10, D4, D22, D23; ip(4) and raw_ip.c of the BSDs).

A raw socket receives copies, header included, of datagrams that are delivered to this host; the address with it is the
datagram's source, with port 0.  It sends either data, before which the kernel puts a header, or with IP_HDRINCL whole
datagrams; what a kernel does with those is in :mod:`simulator.sockets.raw_writing`.

On Linux every datagram of the socket's protocol is copied, and ``setsockopt`` at level IPPROTO_IP with the options of
:class:`rules.ipchains.sockopt.SocketOption` changes the router's chains, as the tool ipchains does it on a real
machine.  On a BSD a raw socket gets what no protocol of the kernel took: never TCP or UDP, and of ICMP what was not
answered; protocol 0 is any.

Left out: IP options, the multicast options and the ICMP filter; each is refused.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from rules.addresses import dotted
from rules.ipchains.sockopt import SocketOption
from simulator.interfaces import Interface
from simulator.packet import Packet
from simulator.sockets.address import Address, Layout, parse_pair
from simulator.sockets.base import Buffer, QueueSocket, fail
from simulator.sockets.options import keep

__all__ = ["RawCustoms", "RawSocket", "RawSockets", "RawWriting"]

_FIREWALL_OPTIONS = frozenset(SocketOption)
_SEND_FLAGS = socket.MSG_OOB | socket.MSG_DONTWAIT | socket.MSG_DONTROUTE


class RawWriting(Protocol):
    """A kernel's rules for what raw sockets send."""

    def may_bind(self, host: int) -> bool:
        """Whether that address can be a socket's own."""

    def write(self, sock: RawSocket, data: bytes, destination: int) -> int:
        """One datagram, or its data; the errno, 0 for success."""


@dataclass(frozen=True, kw_only=True)
class RawCustoms:
    """What a kernel's raw sockets do apart from packets; the defaults are those of Linux 2.2."""

    layout: Layout
    """The system's ``sockaddr_in``."""
    headers_included: frozenset[int] = frozenset({socket.IPPROTO_RAW})
    """Protocols whose sockets have IP_HDRINCL on from the start (O2)."""
    shown: Callable[[Packet], bytes] = lambda packet: packet.octets
    """A datagram as a reader sees it."""
    names_protocol: bool = True
    """``getsockname`` has the protocol as its port."""
    strange_flags: int = errno.EINVAL
    """The errno for flags of a send that mean nothing; 0: they are not looked at (O7)."""
    families: tuple[int, ...] = (0, int(socket.AF_INET))
    """Families of an address to send to, 0 by indulgence (O7); empty: not looked at."""
    strange_family: int = errno.EINVAL
    no_address: int = errno.EINVAL
    """A send without an address on a socket that is not connected."""
    second_address: int = 0
    """A send with an address on one that is; 0: that address counts."""
    bound_after_connect: int = errno.EINVAL
    """A bind of a connected socket; 0: it works."""
    tos_bits: int = 0xFE
    """The bits that IP_TOS may set."""
    device: Callable[[str], Interface | None] | None = None
    """SO_BINDTODEVICE can be set, to a name for which this has an interface; None: it cannot."""


class RawSockets:
    """Which raw sockets there are, by protocol; 0 hears every one that is copied."""

    def __init__(self) -> None:
        self._open: dict[int, list[RawSocket]] = {}

    def __iter__(self) -> Iterator[RawSocket]:
        return (sock for sharing in [*self._open.values()] for sock in sharing)

    def add(self, sock: RawSocket) -> None:
        self._open.setdefault(sock.proto, []).append(sock)

    def remove(self, sock: RawSocket) -> None:
        sharing = self._open.get(sock.proto, [])
        if sock in sharing:
            sharing.remove(sock)
            if not sharing:
                del self._open[sock.proto]

    def deliver(self, packet: Packet) -> bool:
        """Give every socket that wants it a copy; whether one does, room in its buffer or not (O1)."""
        listening = (*self._open.get(packet.protocol, ()), *(self._open.get(0, ()) if packet.protocol else ()))
        takers = [sock for sock in listening if sock.wants(packet)]
        for sock in takers:
            sock.enqueue(sock.customs.shown(packet), (dotted(packet.source), 0))
        return bool(takers)


class RawSocket(QueueSocket):
    """A raw socket of the router.  Made by :meth:`simulator.Router.socket`."""

    def __init__(
        self,
        proto: int,
        *,
        sockets: RawSockets,
        buffer: Buffer,
        writing: RawWriting,
        customs: RawCustoms,
        firewall: Callable[[int, bytes], None] | None = None,
    ) -> None:
        """``firewall`` takes an option of IPPROTO_IP and its octets (:func:`rules.ipchains.sockopt.set_option`)."""
        super().__init__(socket.AF_INET, socket.SOCK_RAW, proto, buffer)
        self.host = 0
        """The address it is bound to; 0: any."""
        self.peer: int | None = None
        """The address it is connected to."""
        self.device: Interface | None = None
        """The interface that it is bound to, by SO_BINDTODEVICE; None: any."""
        self._sockets = sockets
        self.customs = customs
        self._writing = writing
        self._firewall = firewall
        if proto in customs.headers_included:
            self._options[socket.IPPROTO_IP, socket.IP_HDRINCL] = 1
        sockets.add(self)

    def wants(self, packet: Packet) -> bool:
        """Whether a datagram of its protocol is for it."""
        device = self.device is None or self.device is packet.received_on
        return device and self.host in (0, packet.destination) and self.peer in (None, packet.source)

    # -- addresses ---------------------------------------------------------------------------------------------------

    def bind(self, address: Any) -> None:
        """Receive only what is for that address; the port is ignored, others may have the same (O9).

        :raises OSError: EADDRNOTAVAIL unless it is 0, this host's own, a broadcast address or, on Linux, a group's;
            EINVAL when connected (Linux).
        """
        self._check_open()
        host, _ = parse_pair(address)
        if self.peer is not None and self.customs.bound_after_connect:
            fail(self.customs.bound_after_connect, f"connected to {dotted(self.peer)} already")
        if host and not self._writing.may_bind(host):
            fail(errno.EADDRNOTAVAIL, dotted(host))
        self.host = host

    def connect(self, address: Any) -> None:
        """Receive only from there, and send there without being told."""
        self._check_open()
        self.peer, _ = parse_pair(address)

    def getsockname(self) -> tuple[str, int]:
        self._check_open()
        return (dotted(self.host), self.proto if self.customs.names_protocol else 0)

    def getpeername(self) -> tuple[str, int]:
        if self.peer is None:
            fail(errno.ENOTCONN)
        return (dotted(self.peer), 0)

    def close(self) -> None:
        if not self.closed:
            self._sockets.remove(self)
        super().close()

    # -- options -----------------------------------------------------------------------------------------------------

    def setsockopt(self, level: int, name: int, value: int | bytes) -> None:
        """Set an option, or change the firewall.

        :raises OSError: ENOPROTOOPT, EINVAL; ENODEV for SO_BINDTODEVICE with an interface that is not there; for the
            firewall what the kernel refuses the change with, such as ENOENT for an unknown chain or target.
        """
        if self._firewall is not None and level == socket.IPPROTO_IP and name in _FIREWALL_OPTIONS:
            self._check_open()
            octets = value.to_bytes(4, "little", signed=True) if isinstance(value, int) else bytes(memoryview(value))
            self._firewall(name, octets)
        elif self.customs.device is not None and (level, name) == (socket.SOL_SOCKET, socket.SO_BINDTODEVICE):
            self._check_open()
            self._bind_to_device(value, self.customs.device)
        else:
            super().setsockopt(level, name, value)

    def _bind_to_device(self, value: int | bytes, find: Callable[[str], Interface | None]) -> None:
        """A name, up to its NUL; an empty one takes the binding back.  :raises OSError: ENODEV."""
        octets = value.to_bytes(4, "little", signed=True) if isinstance(value, int) else bytes(memoryview(value))
        name = octets.partition(b"\0")[0].decode(errors="replace")
        device = find(name)
        if name and device is None:
            fail(errno.ENODEV, name)
        self.device = device

    def _setters(self) -> dict[tuple[int, int], Callable[[int], None]]:
        return {
            **super()._setters(),
            (socket.SOL_SOCKET, socket.SO_DONTROUTE): keep,
            (socket.IPPROTO_IP, socket.IP_HDRINCL): keep,
            (socket.IPPROTO_IP, socket.IP_TTL): _check_ttl,
            (socket.IPPROTO_IP, socket.IP_TOS): self._check_tos,
        }

    def _check_tos(self, tos: int) -> None:
        if tos & ~self.customs.tos_bits:
            fail(errno.EINVAL, f"TOS {tos:#x}")

    # -- sending -----------------------------------------------------------------------------------------------------

    def _send(self, buffer: Any, flags: int, address: Any) -> int:
        strange = self.customs.strange_flags
        if strange and flags & ~_SEND_FLAGS and not flags & socket.MSG_OOB:
            self._check_open()
            fail(strange, f"flags {flags:#x}")
        with self._for_one_send(flags):
            return super()._send(buffer, flags, address)

    def _write(self, data: bytes, address: Any) -> int:
        number = self._writing.write(self, data, self._destination(address))
        if number:
            fail(number)
        return len(data)

    def _destination(self, address: Any) -> int:
        customs = self.customs
        if address is None:
            if self.peer is None:
                fail(customs.no_address, "no address, and not connected")
            return self.peer
        if self.peer is not None and customs.second_address:
            fail(customs.second_address, f"connected to {dotted(self.peer)} already")
        if isinstance(address, Address):
            address = address.packed
        if isinstance(address, bytes | bytearray | memoryview):
            octets = bytes(address)
            if len(octets) < 16:
                fail(errno.EINVAL, f"a sockaddr_in has 16 octets: {octets.hex()}")
            found = customs.layout.unpack(octets)
            if customs.families and found.family not in customs.families:
                fail(customs.strange_family, f"family {found.family}")
            return found.host
        return parse_pair(address)[0]

    def __repr__(self) -> str:
        return f"<RawSocket protocol {self.proto}, {'closed' if self.closed else f'{len(self._queue)} queued'}>"


def _check_ttl(ttl: int) -> None:
    if not 1 <= ttl <= 255:
        fail(errno.EINVAL, f"TTL {ttl}")
