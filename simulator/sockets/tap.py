"""Packet taps: what libpcap reads from, a packet socket on Linux and a bpf device on a BSD (linux.md H15, N5).

A tap sees every datagram that comes in by an interface before anything else looks at it, and every one that leaves
after everything else has: what the firewall denies on the way in is seen, what it denies on the way out is not.  Taps
get copies; they stop nothing.  What a tap sends goes to the link, past routing and firewall.

What comes with a packet is the address that Python shows for AF_PACKET, on every kernel, so that one program reads all.
"""

from __future__ import annotations

import errno
import socket
from typing import Any, Literal, NamedTuple

from simulator.bpf import Program
from simulator.interfaces import Interface
from simulator.links.pcap import PcapWriter
from simulator.node import Node
from simulator.packet import Packet
from simulator.sockets.base import Buffer, QueueSocket, fail
from simulator.trace import Kind

__all__ = ["ETH_P_ALL", "ETH_P_IP", "Direction", "PacketTap", "Statistics", "TapAddress", "Taps"]

ETH_P_IP, ETH_P_ALL = 0x0800, 0x0003

PACKET_OUTGOING = 4
_ARPHRD_LOOPBACK, _ARPHRD_NONE = 772, 0xFFFE
"""Link types: the loopback interface, and one without a link layer, as a TUN device has none."""

Direction = Literal["in", "out", "inout"]
"""Which packets a tap takes (pcap_setdirection(3), BIOCSDIRECTION of bpf(4))."""


class Statistics(NamedTuple):
    """What pcap_stats(3) tells."""

    received: int
    """Packets that the filter let through."""
    dropped: int
    """Those of them for which the buffer had no room."""


class TapAddress(tuple[str, int, int, int, bytes]):
    """``(interface, protocol, packet type, link type, link address)``, and when and how long the packet was."""

    time: float
    """Seconds of the router's clock."""
    length: int
    """Octets on the wire; what was captured of them may be less."""

    def __new__(cls, interface: Interface, protocol: int, kind: int, time: float, length: int) -> TapAddress:
        link = _ARPHRD_LOOPBACK if interface.is_loopback else _ARPHRD_NONE
        address = super().__new__(cls, (interface.name, protocol, kind, link, b""))
        address.time = time
        address.length = length
        return address

    def __copy__(self) -> TapAddress:
        return self

    def __deepcopy__(self, _: object) -> TapAddress:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (tuple(self), self.time, self.length)

    @property
    def outgoing(self) -> bool:
        """Whether the packet was on its way out."""
        return self[2] == PACKET_OUTGOING


def _unpickled(values: tuple[str, int, int, int, bytes], time: float, length: int) -> TapAddress:
    address = tuple.__new__(TapAddress, values)
    address.time = time
    address.length = length
    return address


class Taps:
    """The taps of one host: each interface knows those that listen there, and costs nothing without one."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._open: list[PacketTap] = []

    def add(self, tap: PacketTap) -> None:
        self._open.append(tap)
        self.changed()

    def remove(self, tap: PacketTap) -> None:
        self._open.remove(tap)
        self.changed()

    def changed(self) -> None:
        """A tap or an interface came, went, or was bound."""
        for interface in self._node.interfaces.values():
            interface.taps = tuple(tap for tap in self._open if tap.interface in (None, interface.name))


class PacketTap(QueueSocket):
    """A tap.  Made by :meth:`simulator.Router.tap`, or :meth:`simulator.Router.socket` with AF_PACKET."""

    def __init__(
        self,
        node: Node,
        taps: Taps,
        buffer: Buffer,
        *,
        kind: int = socket.SOCK_RAW,
        interface: str | None = None,
        protocol: int = ETH_P_ALL,
        program: Program | None = None,
        snaplen: int = 0xFFFF,
        direction: Direction = "inout",
        once_on_loopback: bool = False,
    ) -> None:
        """``once_on_loopback``: what goes round by a loopback interface is taken when it comes in, not when it goes
        out, as libpcap does it."""
        super().__init__(socket.AF_PACKET, kind, socket.htons(protocol), buffer)
        self.interface = interface
        """The interface it listens at; None: at all of them."""
        self.protocol = protocol
        """ETH_P_ALL; ETH_P_IP hears what comes in, but nothing that goes out (Linux); 0 hears nothing."""
        self.program = program
        """The filter; None: everything."""
        self.snaplen = snaplen
        """Octets that are kept of a packet at most."""
        self.direction = direction
        self._node = node
        self._taps = taps
        self._once_on_loopback = once_on_loopback
        self._received = self._dropped = 0
        self._sending = False
        taps.add(self)

    # -- the router's side -------------------------------------------------------------------------------------------

    def see(self, octets: bytes, interface: Interface, kind: int) -> None:
        """A packet passes by; ``kind`` is its PACKET_* type."""
        if self._wants(interface, kind):
            wanted = self.snaplen if self.program is None else min(self.program.matches(octets), self.snaplen)
            if wanted:
                self._received += 1
                address = TapAddress(interface, _protocol_of(octets), kind, self._node.clock.now(), len(octets))
                if not self.enqueue(octets[:wanted], address):
                    self._dropped += 1

    def _wants(self, interface: Interface, kind: int) -> bool:
        if kind != PACKET_OUTGOING:
            return self.direction != "out" and self.protocol != 0
        if self._sending and not self._node.profile.tap_hears_itself:
            return False
        if self._once_on_loopback and interface.is_loopback:
            return False
        return self.direction != "in" and self.protocol == ETH_P_ALL

    # -- the program's side ------------------------------------------------------------------------------------------

    @property
    def statistics(self) -> Statistics:
        return Statistics(self._received, self._dropped)

    def bind(self, address: Any) -> None:
        """Listen at one interface: ``(name, protocol)``, protocol 0 as before; an empty name is all of them.

        :raises OSError: ENODEV for an interface that is not there, EINVAL for something else than such a pair.
        """
        self._check_open()
        name, protocol = self._parse(address)
        if name and name not in self._node.interfaces:
            fail(errno.ENODEV, name)
        self.interface = name or None
        self.protocol = protocol or self.protocol
        self._taps.changed()

    @staticmethod
    def _parse(address: Any) -> tuple[str, int]:
        if not isinstance(address, tuple) or not 2 <= len(address) <= 5:
            raise TypeError(f"AF_PACKET address must be a tuple of two to five elements, not {address!r}")
        name, protocol = address[:2]
        if not isinstance(name, str) or not isinstance(protocol, int):
            raise TypeError(f"AF_PACKET address must begin with a name and a protocol, not {address!r}")
        if not 0 <= protocol <= 0xFFFF:
            raise OverflowError(f"the protocol must be 0-65535, not {protocol}")
        return name, protocol

    def getsockname(self) -> Any:
        self._check_open()
        return (self.interface or "", self.protocol, 0, 0 if self.interface is None else _ARPHRD_NONE, b"")

    def close(self) -> None:
        if not self.closed:
            self._taps.remove(self)
        super().close()

    def _write(self, data: bytes, address: Any) -> int:
        """Straight to the link.  :raises OSError: ENXIO without an interface, ENETDOWN, EMSGSIZE, ENOBUFS."""
        name = self.interface if address is None else self._parse(address)[0]
        interface = self._node.interfaces.get(name or "")
        if interface is None:
            fail(errno.ENXIO, name or "no interface is named")
        if not interface.up:
            fail(errno.ENETDOWN, interface.name)
        if len(data) > interface.mtu:
            fail(errno.EMSGSIZE, f"{len(data)} octets, and the MTU of {interface.name} is {interface.mtu}")
        packet = Packet(data)
        packet.leaving_by = interface
        self._node.ledger.originated += 1
        if self._node.tracer.listening:
            self._node.tracer.record(Kind.ORIGINATED, packet, detail="by a packet tap:")
        self._sending = True
        try:
            number = self._node.loop(packet) if interface.is_loopback else self._node.transmit(packet, interface)
        finally:
            self._sending = False
        if number:
            fail(number)
        return len(data)

    def write_pcap(self, path: str, *, epoch: float = 0.0) -> int:
        """Everything that is queued, into a capture file (link type raw IP); how many packets that were.

        ``epoch`` is when the router's clock stood at 0, in seconds since 1970.

        :raises OSError: when the file cannot be written; what was not written yet is queued still.
        :raises ValueError: when a time lies outside the years 1970 to 2106.
        """
        with open(path, "wb") as file:
            capture = PcapWriter(file)
            while self.readable:
                octets, address = self._next(socket.MSG_DONTWAIT | socket.MSG_PEEK)
                capture.write(epoch + address.time, octets, length=address.length)
                self._next(socket.MSG_DONTWAIT)
            return capture.written

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{len(self._queue)} queued"
        return f"<PacketTap {self.interface or 'any'}, {state}>"


def _protocol_of(octets: bytes) -> int:
    """What the link says that it carries."""
    return 0x86DD if octets[:1] and octets[0] >> 4 == 6 else ETH_P_IP
