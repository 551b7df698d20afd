"""The part of a router that opens sockets: socket(2), open(2) of a device, and pcap_activate(3) of libpcap.

Which sockets there are, and of what they are made, is a kernel's (:class:`SocketParts`).
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import index
from typing import get_args

from rules.ipfw import Owner
from simulator.bpf import Program, compile_filter
from simulator.interfaces import Interface
from simulator.node import Node
from simulator.sockets.address import Layout
from simulator.sockets.base import Buffer, Overhearing, QueueSocket, fail
from simulator.sockets.buffers import CAPTURE_DEFAULT
from simulator.sockets.divert import Customs, DivertPorts, DivertSocket, Write
from simulator.sockets.netlink import DEVICE, NETLINK_FIREWALL, FirewallCopies, NetlinkSocket
from simulator.sockets.raw import RawSocket
from simulator.sockets.tap import Direction, PacketTap, Taps
from simulator.sockets.udp import UdpSocket

__all__ = ["IPPROTO_DIVERT", "PF_DIVERT", "Opening", "SocketParts", "User"]

IPPROTO_DIVERT = 254
"""Linux, FreeBSD 4 and DragonFly; 258 (FreeBSD 5 and later) means the same here (bsd.md S-1)."""

PF_DIVERT = 44
"""The protocol family of FreeBSD 14's divert sockets (bsd.md S-2)."""

User = str | int | tuple[int, int]
"""A user of this host: name, number, or (uid, gid)."""

_DIVERT_PROTOCOLS = (IPPROTO_DIVERT, 258)
_SOCKET_FLAGS = int(socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketParts:
    """Of what the sockets of one kernel are made."""

    buffer: Callable[[], Buffer]
    """A receive buffer of divert sockets, UDP sockets and packet sockets."""
    ports: DivertPorts
    write: Write
    layout: Layout
    """Of a divert socket's address."""
    customs: Customs
    listening: tuple[Iterable[QueueSocket], ...]
    """The sockets of each kind to which packets may be handed."""
    udp: Callable[[Buffer], UdpSocket]
    raw: Callable[..., RawSocket]
    raw_buffer: Callable[[], Buffer]
    raw_protocols: range
    capture_buffer: Callable[[int], Buffer]
    """Of a packet tap, with room for that many octets."""
    copies: FirewallCopies | None = None
    """What sends the copies of ``-o`` rules; with it go packet sockets: both are Linux's."""


class Opening:
    """A base of :class:`simulator.Router`."""

    def __init__(self, node: Node, parts: SocketParts) -> None:
        self.node = node
        self._parts = parts
        self._taps = Taps(node)
        self._overheard: list[Overhearing] = []

    def socket(
        self,
        family: int = socket.AF_INET,
        type: int = socket.SOCK_STREAM,
        proto: int = 0,
        *,
        owner: User = "root",
    ) -> QueueSocket:
        """A socket of this host.  SOCK_NONBLOCK and SOCK_CLOEXEC may be added to ``type``.

        ``AF_INET, SOCK_RAW, IPPROTO_DIVERT`` (254 or 258), or ``PF_DIVERT, SOCK_RAW``, is a divert socket;
        ``AF_INET, SOCK_DGRAM`` is a UDP socket; ``AF_INET, SOCK_RAW`` with any other protocol is a raw socket.  Linux
        has packet sockets (AF_PACKET) and the firewall's netlink group (AF_NETLINK, NETLINK_FIREWALL) besides.

        ``owner``: whose program opens it, which ``uid`` and ``gid`` of ipfw ask: a name, a number, or (uid, gid); raw
        and divert sockets are for root.

        :raises OSError: EAFNOSUPPORT, EPROTONOSUPPORT for anything else; EPERM without privilege.
        :raises TypeError: for what is no number.
        :raises ValueError: for the name of a user that the base system does not have.
        """
        user, kind = Owner.of(owner), index(type)
        sock = self._socket(index(family), kind & ~_SOCKET_FLAGS, index(proto))
        if user.uid and not isinstance(sock, UdpSocket):
            sock.close()
            fail(errno.EPERM, f"a socket of this kind is for root, not for user {owner!r}")
        sock.owner = user
        sock.overheard = self._overheard
        if kind & socket.SOCK_NONBLOCK:
            sock.setblocking(False)
        return sock

    def _socket(self, family: int, type: int, proto: int) -> QueueSocket:
        parts = self._parts
        if (family == socket.AF_INET and type == socket.SOCK_RAW and proto in _DIVERT_PROTOCOLS) or (
            family == PF_DIVERT and type == socket.SOCK_RAW
        ):
            if not self.node.privileged:
                fail(errno.EPERM, "a divert socket needs privilege")
            return DivertSocket(
                family,
                proto,
                ports=parts.ports,
                buffer=parts.buffer(),
                layout=parts.layout,
                swap=self.node.profile.tag_byte_order == "host",
                write=parts.write,
                customs=parts.customs,
                privileged=lambda: self.node.privileged,
            )
        if family == socket.AF_INET and type == socket.SOCK_DGRAM and proto in (0, socket.IPPROTO_UDP):
            return parts.udp(parts.buffer())
        if family == socket.AF_INET and type == socket.SOCK_RAW and proto in parts.raw_protocols:
            if not self.node.privileged:
                fail(errno.EPERM, "a raw socket needs privilege")
            return parts.raw(proto, buffer=parts.raw_buffer())
        if parts.copies is not None and family == socket.AF_PACKET and type in (socket.SOCK_RAW, socket.SOCK_DGRAM):
            self._check_tapping()
            protocol = socket.ntohs(proto & 0xFFFF)
            return PacketTap(self.node, self._taps, parts.buffer(), kind=type, protocol=protocol)
        if parts.copies is not None and family == socket.AF_NETLINK and type in (socket.SOCK_RAW, socket.SOCK_DGRAM):
            if proto == NETLINK_FIREWALL:
                return parts.copies.socket(type)
            fail(errno.EPROTONOSUPPORT, f"netlink protocol {proto}")
        if family not in (socket.AF_INET, PF_DIVERT):
            fail(errno.EAFNOSUPPORT, f"family {family}")
        fail(errno.EPROTONOSUPPORT, f"type {type}, protocol {proto}")

    def open(self, path: str) -> NetlinkSocket:
        """A device file of this host: ``/dev/fwmonitor`` on Linux, which reads the copies that ``-o`` rules make.

        :raises OSError: ENOENT for any other, EBUSY while it is open, EACCES without privilege.
        """
        copies = self._parts.copies
        if copies is None or path != DEVICE:
            fail(errno.ENOENT, path)
        return copies.open_device()

    def tap(
        self,
        interface: str | Interface | None = None,
        filter: str | Program = "",
        *,
        snaplen: int = 65535,
        direction: Direction = "inout",
        buffer: int = CAPTURE_DEFAULT,
    ) -> PacketTap:
        """A packet tap, as libpcap opens one: ``router.tap("eth0", "icmp and host 10.0.0.1")``.

        It listens at one interface, or at all of them, and takes what the filter lets through: an expression of
        ``tcpdump`` (pcap-filter(7)), or a :class:`~simulator.bpf.Program`.  ``snaplen`` octets of a packet are kept;
        ``buffer`` is the room for packets that nobody has read, octets.

        :raises ImportError: for an expression, where libpcap is not installed that compiles it.
        :raises ValueError: for an interface that is not there, or an expression that libpcap refuses.
        :raises OSError: EPERM without privilege.
        """
        self._check_tapping()
        if direction not in get_args(Direction):
            raise ValueError(f"direction={direction!r} is not {' or '.join(map(repr, get_args(Direction)))}")
        for name, size in (("snaplen", snaplen), ("buffer", buffer)):
            if size < 1:
                raise ValueError(f"{name}={size} is no number of octets")
        return PacketTap(
            self.node,
            self._taps,
            self._parts.capture_buffer(buffer),
            interface=None if interface is None else self.node.interface(interface).name,
            program=(compile_filter(filter) if filter else None) if isinstance(filter, str) else filter,
            snaplen=snaplen,
            direction=direction,
            once_on_loopback=True,
        )

    def _check_tapping(self) -> None:
        if not self.node.privileged:
            fail(errno.EPERM, "a packet tap needs privilege")

    @property
    def listening(self) -> tuple[QueueSocket, ...]:
        """The sockets to which packets may be handed: divert and UDP sockets that have a port, and raw sockets."""
        return tuple(sock for kind in self._parts.listening for sock in kind)

    @contextmanager
    def overhear(self, watch: Overhearing) -> Iterator[None]:
        """Inside, ``watch`` is told of every read from a socket of this router and every write to one, taps excepted.

        Writes that are refused, and bring no packet into being, are told as well.
        """
        self._overheard.append(watch)
        try:
            yield
        finally:
            self._overheard.remove(watch)
