"""What a kernel does with a write to a divert socket, before the packet enters the path.

Both return the errno of the write, 0 for success.  A write that is refused here brings no packet into being.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Protocol

from simulator.interfaces import Interface
from simulator.node import Node
from simulator.packet import MINIMUM_HEADER, Packet
from simulator.profiles import BsdProfile, LinuxProfile
from simulator.sockets.address import Destination
from simulator.sockets.divert import DivertSocket
from simulator.trace import Kind

__all__ = ["BsdWriting", "LinuxWriting"]


class Outbound(Protocol):
    """(packet, address whose interface takes multicast, whether only attached networks will do) -> errno."""

    def __call__(self, packet: Packet, multicast_source: int, /, *, attached: bool) -> int: ...


def _dont_route(sock: DivertSocket) -> bool:
    return bool(sock.option(socket.SOL_SOCKET, socket.SO_DONTROUTE))


class LinuxWriting:
    """The divert patch: header rules first, then inbound or outbound (linux.md D11 to D15, D18)."""

    def __init__(
        self,
        node: Node,
        profile: LinuxProfile,
        inbound: Callable[[Packet, str], int],
        outbound: Outbound,
    ) -> None:
        self._node = node
        self._profile = profile
        self._inbound = inbound
        self._outbound = outbound

    def write(self, sock: DivertSocket, data: bytes, destination: Destination | None) -> int:
        """One datagram; ``destination`` None or with host 0 is outgoing (D12)."""
        profile = self._profile
        if sock.port is None:
            return profile.unbound_errno
        if len(data) < MINIMUM_HEADER or data[0] >> 4 != 4 or not 20 <= (data[0] & 15) << 2 <= len(data):
            return profile.malformed_errno
        interface = None
        if destination is not None and destination.host:
            interface = self._node.own.get(destination.host)
            if interface is None:
                return profile.foreign_inbound_errno
        packet = self._packet(data, interface)
        self._node.ledger.injected += 1
        if self._node.tracer.listening:
            way = "outgoing" if interface is None else f"as received on {interface.name}"
            self._node.tracer.record(Kind.INJECTED, packet, port=sock.port, detail=f"{way}:")
        if interface is None or destination is None:
            return self._outbound(packet, sock.multicast_source, attached=_dont_route(sock))
        return self._inbound(packet, destination.name)

    def _packet(self, data: bytes, interface: Interface | None) -> Packet:
        """D15: total length as written, the ID filled in if 0, the source too for outgoing, the checksum redone."""
        packet = Packet(data, interface)
        if packet.total_length != len(data):
            packet.set_total_length(len(data))
        if not packet.identification:
            packet.set_identification(self._node.identification())
        if not packet.source and interface is None:
            packet.set_source(self._node.source_towards(packet.destination))
        packet.fix_checksum()
        return packet


class BsdWriting:
    """div_output: the order of tests is that of bsd.md W-1 to W-12."""

    def __init__(
        self,
        node: Node,
        profile: BsdProfile,
        incoming: Callable[[Packet], int],
        outgoing: Callable[[Packet, bool], int],
        too_small: Callable[[], None],
    ) -> None:
        """``outgoing``: (packet, whether only attached networks will do); ``too_small`` counts a write that is."""
        self._node = node
        self._profile = profile
        self._incoming = incoming
        self._outgoing = outgoing
        self._too_small = too_small

    def write(self, sock: DivertSocket, data: bytes, destination: Destination | None) -> int:
        """One datagram; ``destination`` None (where that is allowed) or with host 0 is outgoing (W-7)."""
        profile = self._profile
        if destination is None:
            if not profile.send_without_address:
                return errno.EDESTADDRREQ
            destination = Destination(0, 0, bytes(8))
        if len(data) < MINIMUM_HEADER:
            self._too_small()
            return errno.EINVAL
        if profile.own_family and destination.family != socket.AF_INET:
            return errno.EAFNOSUPPORT
        if profile.own_family and destination.length != 16:
            return errno.EINVAL
        if profile.version_errno and data[0] >> 4 != 4:
            return profile.version_errno
        packet = Packet(data, self._interface(destination))
        incoming = destination.host != 0
        if incoming and packet.received_on is None and profile.looks_up_interface:
            return errno.EADDRNOTAVAIL
        if not incoming:
            if packet.total_length > len(data) or (packet.header_length != MINIMUM_HEADER and sock.ip_options):
                return errno.EINVAL
            if sock.ip_options:
                packet = self._with_options(packet, sock.ip_options)
        packet.start_after = destination.tag
        packet.reinjected = "in" if incoming else "out"
        self._node.ledger.injected += 1
        if self._node.tracer.listening:
            where = packet.receive_interface
            way = f"as received on {where}" if incoming else "outgoing"
            self._node.tracer.record(
                Kind.INJECTED, packet, port=sock.port, detail=f"{way}, after rule {destination.tag}:"
            )
        if incoming:
            return self._incoming(packet)
        return self._outgoing(packet, _dont_route(sock))

    @staticmethod
    def _with_options(packet: Packet, options: bytes) -> Packet:
        """The socket's options put into a header that has none (W-12); its checksum is computed later."""
        octets = packet.octets
        length = packet.total_length + len(options)
        header = bytes((0x45 + len(options) // 4, octets[1])) + length.to_bytes(2, "big") + octets[4:20]
        return Packet(header + options + octets[20:], packet.received_on)

    def _interface(self, destination: Destination) -> Interface | None:
        """By name in both directions, else by address for incoming: own, or a broadcast address (W-8, W-9)."""
        node = self._node
        if not self._profile.looks_up_interface:
            return None
        named = node.interfaces.get(destination.name)
        if named is not None or not destination.host:
            return named
        if destination.family != socket.AF_INET:
            return None
        own = node.own.get(destination.host)
        return own if own is not None else node.broadcasts.get(destination.host)
