"""Raw IP sockets of Linux 2.2 (linux.md O1 to O10, D4, D22, D23), and the door to the firewall that they are.

A raw socket receives a copy, header included, of every datagram of its protocol that is delivered to this host; the
address with it is the datagram's source, with port 0.  It sends either data, before which the kernel puts a header, or
with IP_HDRINCL whole datagrams, of which the kernel fills in length, checksum, and source and identification where they
are 0.  Sockets of protocol IPPROTO_RAW have IP_HDRINCL on from the start.

``setsockopt`` at level IPPROTO_IP with the options of :class:`rules.ipchains.sockopt.SocketOption` changes the router's
chains, as the tool ipchains does it on a real machine.

Left out: IP options, binding to a device, MSG_DONTROUTE, the multicast options and the ICMP filter; each is refused.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any

from rules.addresses import dotted
from rules.ipchains.sockopt import SocketOption
from simulator.node import Node
from simulator.packet import MINIMUM_HEADER, Packet
from simulator.routing import Kind, Route, is_multicast
from simulator.sockets.address import LINUX_LAYOUT, Address, parse_pair
from simulator.sockets.base import Buffer, QueueSocket, fail
from simulator.wire.checksum import checksum
from simulator.wire.ipv4 import MAXIMUM_LENGTH, Header

__all__ = ["RawOutput", "RawSocket", "RawSockets"]

_THIS_HOST = 0x7F000001
_LONGEST_HEADER = 60
_FAMILIES = (0, int(socket.AF_INET))
"""Families of a ``sockaddr_in`` that are taken; 0 by indulgence (O7)."""
_BINDABLE = (Kind.LOCAL, Kind.BROADCAST)
_FIREWALL_OPTIONS = frozenset(SocketOption)
_SEND_FLAGS = socket.MSG_OOB | socket.MSG_DONTWAIT


class RawSockets:
    """Which raw sockets there are, by protocol."""

    def __init__(self) -> None:
        self._open: dict[int, list[RawSocket]] = {}

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
        takers = [sock for sock in self._open.get(packet.protocol, ()) if sock.wants(packet)]
        for sock in takers:
            sock.enqueue(packet.octets, (dotted(packet.source), 0))
        return bool(takers)


class RawSocket(QueueSocket):
    """A raw socket of the router.  Made by :meth:`simulator.Router.socket`."""

    def __init__(
        self,
        proto: int,
        *,
        sockets: RawSockets,
        buffer: Buffer,
        output: RawOutput,
        firewall: Callable[[int, bytes], None],
    ) -> None:
        """``firewall`` takes an option of IPPROTO_IP and its octets (:func:`rules.ipchains.sockopt.set_option`)."""
        super().__init__(socket.AF_INET, socket.SOCK_RAW, proto, buffer)
        self.host = 0
        """The address it is bound to; 0: any."""
        self.peer: int | None = None
        """The address it is connected to."""
        self._sockets = sockets
        self._output = output
        self._firewall = firewall
        if proto == socket.IPPROTO_RAW:
            self._options[socket.IPPROTO_IP, socket.IP_HDRINCL] = 1
        sockets.add(self)

    def wants(self, packet: Packet) -> bool:
        """Whether a datagram of its protocol is for it."""
        return self.host in (0, packet.destination) and self.peer in (None, packet.source)

    # -- addresses ---------------------------------------------------------------------------------------------------

    def bind(self, address: Any) -> None:
        """Receive only what is for that address; the port is ignored, others may have the same (O9).

        :raises OSError: EADDRNOTAVAIL unless it is 0, this host's own, a group's or a broadcast address; EINVAL when
            connected.
        """
        self._check_open()
        host, _ = parse_pair(address)
        if self.peer is not None:
            fail(errno.EINVAL, f"connected to {dotted(self.peer)} already")
        if host and not self._output.may_bind(host):
            fail(errno.EADDRNOTAVAIL, dotted(host))
        self.host = host

    def connect(self, address: Any) -> None:
        """Receive only from there, and send there without being told."""
        self._check_open()
        self.peer, _ = parse_pair(address)

    def getsockname(self) -> tuple[str, int]:
        self._check_open()
        return (dotted(self.host), self.proto)

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

        :raises OSError: ENOPROTOOPT, EINVAL; for the firewall what the kernel refuses the change with, such as ENOENT
            for an unknown chain or target.
        """
        if level == socket.IPPROTO_IP and name in _FIREWALL_OPTIONS:
            self._check_open()
            octets = value.to_bytes(4, "little", signed=True) if isinstance(value, int) else bytes(memoryview(value))
            self._firewall(name, octets)
        else:
            super().setsockopt(level, name, value)

    def _setters(self) -> dict[tuple[int, int], Callable[[int], None]]:
        return {
            **super()._setters(),
            (socket.IPPROTO_IP, socket.IP_HDRINCL): lambda _: None,
            (socket.IPPROTO_IP, socket.IP_TTL): _check_ttl,
            (socket.IPPROTO_IP, socket.IP_TOS): _check_tos,
        }

    # -- sending -----------------------------------------------------------------------------------------------------

    def _send(self, buffer: Any, flags: int, address: Any) -> int:
        if flags & ~_SEND_FLAGS and not flags & socket.MSG_OOB:
            self._check_open()
            fail(errno.EINVAL, f"flags {flags:#x}")
        return super()._send(buffer, flags, address)

    def _write(self, data: bytes, address: Any) -> int:
        number = self._output.write(self, data, self._destination(address))
        if number:
            fail(number)
        return len(data)

    def _destination(self, address: Any) -> int:
        if address is None:
            if self.peer is None:
                fail(errno.EINVAL, "no address, and not connected")
            return self.peer
        if isinstance(address, Address):
            address = address.packed
        if isinstance(address, bytes | bytearray | memoryview):
            octets = bytes(address)
            if len(octets) < 16 or int.from_bytes(octets[:2], "little") not in _FAMILIES:
                fail(errno.EINVAL, f"no sockaddr_in of AF_INET: {octets.hex()}")
            return LINUX_LAYOUT.unpack(octets).host
        return parse_pair(address)[0]

    def __repr__(self) -> str:
        return f"<RawSocket protocol {self.proto}, {'closed' if self.closed else f'{len(self._queue)} queued'}>"


def _check_ttl(ttl: int) -> None:
    if not 1 <= ttl <= 255:
        fail(errno.EINVAL, f"TTL {ttl}")


def _check_tos(tos: int) -> None:
    if tos & ~0xFE:
        fail(errno.EINVAL, f"TOS {tos:#x}")


class RawOutput:
    """What the kernel does with a write to a raw socket (raw_sendmsg), before the datagram enters the path."""

    def __init__(
        self, node: Node, route: Callable[[int, int], Route | None], send: Callable[[Packet, Route], int]
    ) -> None:
        """``route`` is (destination, source) -> route; ``send`` takes a finished datagram to the output chain."""
        self._node = node
        self._route = route
        self._send = send

    def may_bind(self, host: int) -> bool:
        route = self._node.routes.lookup(host)
        return is_multicast(host) or host == 0xFFFFFFFF or (route is not None and route.kind in _BINDABLE)

    def write(self, sock: RawSocket, data: bytes, destination: int) -> int:
        """One datagram to that address, whatever its own header says (O5); the errno, 0 for success (O6, O7)."""
        bound = sock.host if sock.host in self._node.own else 0
        route = self._route(destination, bound)
        if route is None:
            return errno.ENETUNREACH
        if route.kind is Kind.BROADCAST and not sock.option(socket.SOL_SOCKET, socket.SO_BROADCAST):
            return errno.EACCES
        destination = destination or _THIS_HOST  # O8
        source = bound or self._node.source_towards(destination)
        if sock.option(socket.IPPROTO_IP, socket.IP_HDRINCL):
            if len(data) > route.interface.mtu:
                return errno.EMSGSIZE
            return self._send(Packet(self._completed(data, source)), route)
        if len(data) > MAXIMUM_LENGTH - MINIMUM_HEADER:
            return errno.EMSGSIZE
        ttl = sock.option(socket.IPPROTO_IP, socket.IP_TTL, self._node.profile.default_ttl)
        header = Header(
            source=source,
            destination=destination,
            protocol=sock.proto,
            ttl=1 if is_multicast(destination) else ttl,
            tos=sock.option(socket.IPPROTO_IP, socket.IP_TOS),
            identification=self._node.identification(),
        )
        return self._send(Packet(header.emit(data)), route)

    def _completed(self, data: bytes, source: int) -> bytes:
        """O3.  Nothing is validated; what does not fit the octets that are there is lost."""
        octets = bytearray(data.ljust(_LONGEST_HEADER, b"\0"))
        octets[2:4] = len(data).to_bytes(2, "big")
        if not any(octets[12:16]):
            octets[12:16] = source.to_bytes(4, "big")
        if not any(octets[4:6]):
            octets[4:6] = self._node.identification().to_bytes(2, "big")
        octets[10:12] = bytes(2)
        octets[10:12] = checksum(octets[: (octets[0] & 15) * 4]).to_bytes(2, "big")
        return bytes(octets[: len(data)])
