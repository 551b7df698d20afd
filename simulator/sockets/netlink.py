"""The firewall's netlink group on Linux 2.2: copies of packets that ``-o`` rules ask for (linux.md N1 to N3, F35, F48).

A message is the length of all of it and the packet's mark, each 32 bits in the order of a little-endian machine, the
name of the interface in sixteen octets, then as many octets of the packet as the rule wants::

    length, mark, name, octets = parse_message(sock.recv(65535))

The packet has the TOS that the rule gave it and still the header checksum from before.  Readers are sockets of
AF_NETLINK, protocol NETLINK_FIREWALL, that have joined a group by ``bind((0, groups))``, and one program that opens
``/dev/fwmonitor``.  A reader whose queue is full is told ENOBUFS once, and hears nothing more until its queue is
empty.  The kernel reads nothing: what is written there goes nowhere.

Left out: messages between programs (ECONNREFUSED), other netlink protocols.
"""

from __future__ import annotations

import errno
import os
import socket
from struct import Struct
from typing import Any, NamedTuple

from rules.ipchains.verdict import Copy
from simulator.node import Node
from simulator.sockets.base import QueueSocket, fail
from simulator.sockets.buffers import LinuxBuffer

__all__ = ["DEVICE", "NETLINK_FIREWALL", "FirewallCopies", "Message", "NetlinkSocket", "copy_message", "parse_message"]

NETLINK_FIREWALL = 3
DEVICE = "/dev/fwmonitor"
"""Character device, major 36, minor 3."""

_HEADER = Struct("<II16s")
_EVERY_GROUP = 0xFFFFFFFF
_FROM_KERNEL = (0, _EVERY_GROUP)


class Message(NamedTuple):
    """A copy, taken apart."""

    length: int
    """Octets of the whole message."""
    mark: int
    interface: str
    octets: bytes
    """The beginning of the packet."""


def copy_message(copy: Copy, octets: bytes, total_length: int) -> bytes:
    """The message about one packet; the octets behind the name's end are 0 here."""
    wanted = octets[: min(copy.size, total_length)]
    seen = wanted[:1] + bytes((copy.tos,)) + wanted[2:] if len(wanted) > 1 else wanted
    return _HEADER.pack(_HEADER.size + len(seen), copy.mark, copy.interface.encode()) + seen


def parse_message(message: bytes) -> Message:
    """:raises ValueError: for what is shorter than a message's header."""
    if len(message) < _HEADER.size:
        raise ValueError(f"a message has {_HEADER.size} octets at least, not {len(message)}")
    length, mark, name = _HEADER.unpack_from(message)
    return Message(length, mark, name.partition(b"\0")[0].decode(errors="replace"), message[_HEADER.size :])


class FirewallCopies:
    """Who reads the copies on one host."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._open: list[NetlinkSocket] = []
        self.device: NetlinkSocket | None = None
        """Who has the device open."""

    def post(self, message: bytes) -> None:
        """To every socket in any group."""
        for sock in self._open:
            if sock.groups:
                sock.hear(message)

    def add(self, sock: NetlinkSocket) -> None:
        self._open.append(sock)

    def remove(self, sock: NetlinkSocket) -> None:
        self._open.remove(sock)
        if self.device is sock:
            self.device = None

    def number(self, wanted: int) -> int:
        """The address of a socket, which others do not have: the process's number, then from the top downwards.

        :raises OSError: EADDRINUSE for a wanted one that is taken.
        """
        taken = {sock.pid for sock in self._open}
        if wanted in taken and wanted:
            fail(errno.EADDRINUSE, f"netlink address {wanted}")
        if wanted:
            return wanted
        own = os.getpid()
        return own if own not in taken else next(free for free in range(0xFFFFF000, 0, -1) if free not in taken)

    def socket(self, kind: int) -> NetlinkSocket:
        return NetlinkSocket(kind, self, self._node)

    def open_device(self) -> NetlinkSocket:
        """:raises OSError: EACCES without privilege, EBUSY while it is open (N2)."""
        if not self._node.privileged:
            fail(errno.EACCES, DEVICE)
        if self.device is not None:
            fail(errno.EBUSY, DEVICE)
        self.device = sock = self.socket(socket.SOCK_RAW)
        sock.bind((0, _EVERY_GROUP))
        return sock


class NetlinkSocket(QueueSocket):
    """A reader of copies.  Made by :meth:`simulator.Router.socket` or :meth:`simulator.Router.open`."""

    def __init__(self, kind: int, copies: FirewallCopies, node: Node) -> None:
        super().__init__(socket.AF_NETLINK, kind, NETLINK_FIREWALL, _NetlinkBuffer())
        self.pid = 0
        """Its address; 0 before bind."""
        self.groups = 0
        self._copies = copies
        self._node = node
        self._overrun = False
        copies.add(self)

    def hear(self, message: bytes) -> None:
        """A copy for this reader, if there is room (N1)."""
        if not self._overrun and not self.enqueue(message, _FROM_KERNEL):
            self._overrun, self._pending = True, errno.ENOBUFS
            self._wake()

    def _next(self, flags: int) -> tuple[bytes, Any]:
        if self._pending and not self.closed:
            return self._without_datagram(flags)  # told before what is queued (sock_error in skb_recv_datagram)
        item = super()._next(flags)
        if not self._queue:
            self._overrun = False
        return item

    def bind(self, address: Any) -> None:
        """``(address, groups)``: address 0 is any free one; copies go to whoever is in a group.

        :raises OSError: EPERM for groups without privilege, EADDRINUSE, EINVAL for another address than it has.
        """
        self._check_open()
        pid, groups = self._parse(address)
        if groups and not self._node.privileged:
            fail(errno.EPERM, f"joining groups {groups:#x} needs privilege")
        if not self.pid:
            self.pid = self._copies.number(pid)
        elif pid != self.pid:
            fail(errno.EINVAL, f"bound to {self.pid} already")
        self.groups = groups

    @staticmethod
    def _parse(address: Any) -> tuple[int, int]:
        if not isinstance(address, tuple) or len(address) != 2 or not all(isinstance(each, int) for each in address):
            raise TypeError(f"AF_NETLINK address must be a pair (address, groups), not {address!r}")
        pid, groups = address
        return pid & 0xFFFFFFFF, groups & 0xFFFFFFFF

    def getsockname(self) -> Any:
        self._check_open()
        return (self.pid, self.groups)

    def _write(self, data: bytes, address: Any) -> int:
        """To the kernel, which does not look at it (N3).  :raises OSError: ECONNREFUSED for anybody else."""
        pid, _ = self._parse(address) if address is not None else (0, 0)
        if not self.pid:
            self.pid = self._copies.number(0)
        if pid:
            fail(errno.ECONNREFUSED, f"netlink address {pid}")
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._copies.remove(self)
        super().close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"groups {self.groups:#x}, {len(self._queue)} queued"
        return f"<NetlinkSocket {state}>"


class _NetlinkBuffer(LinuxBuffer):
    """A message is taken as long as what is there already is no more than the limit."""

    __slots__ = ()

    def take(self, length: int, address: Any = None, /) -> bool:
        if self._used > self.limit:
            return False
        self._used += (length + 32 + 15) & ~15
        return True
