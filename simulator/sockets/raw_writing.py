"""What a kernel does with a write to a raw socket, before the datagram enters the path.

Both return the errno of the write, 0 for success.  A write that is refused here brings no packet into being.

On Linux the address of the send routes, whatever the header says, and length, checksum, a source and an identification
of 0 are filled in (linux.md O3, O5).  On a BSD the header routes, and the length has to be right; before FreeBSD 11 the
fields ``ip_len`` and ``ip_off`` are in the machine's own order, both ways (ip(4)).
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Protocol

from rules.ipfw import Owner
from simulator.interfaces import Interface
from simulator.node import Node
from simulator.outgoing import Outgoing
from simulator.packet import MINIMUM_HEADER, Packet
from simulator.profiles import BsdProfile
from simulator.routing import Kind, Route, is_multicast
from simulator.sockets.raw import RawSocket
from simulator.trace import Kind as Event
from simulator.wire.checksum import checksum
from simulator.wire.ipv4 import MAXIMUM_LENGTH, Header

__all__ = ["BsdRawWriting", "LinuxRawWriting", "shown_by_bsd"]

_THIS_HOST = 0x7F000001
_LONGEST_HEADER = 60
_BINDABLE = (Kind.LOCAL, Kind.BROADCAST)
_END_OF_OPTIONS, _NO_OPERATION = 0, 1


class FindRoute(Protocol):
    """(destination, source) -> route, through one device alone, or to attached networks alone."""

    def __call__(
        self, destination: int, source: int, /, *, device: Interface | None, attached: bool
    ) -> Route | None: ...


class LinuxRawWriting:
    """raw_sendmsg of Linux 2.2."""

    def __init__(self, node: Node, route: FindRoute, send: Callable[[Packet, Route], int]) -> None:
        """``send`` takes a finished datagram to the output chain."""
        self._node = node
        self._route = route
        self._send = send

    def may_bind(self, host: int) -> bool:
        route = self._node.routes.lookup(host)
        return is_multicast(host) or host == 0xFFFFFFFF or (route is not None and route.kind in _BINDABLE)

    def write(self, sock: RawSocket, data: bytes, destination: int) -> int:
        """One datagram to that address, whatever its own header says (O5); the errno, 0 for success (O6, O7)."""
        bound = sock.host if sock.host in self._node.own else 0
        attached = bool(sock.option(socket.SOL_SOCKET, socket.SO_DONTROUTE))
        route = self._route(destination, bound, device=sock.device, attached=attached)
        if route is None:
            return errno.ENETUNREACH
        if route.kind is Kind.BROADCAST and not sock.option(socket.SOL_SOCKET, socket.SO_BROADCAST):
            return errno.EACCES
        destination = destination or _THIS_HOST  # O8
        source = bound or self._source(route, destination)
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

    @staticmethod
    def _source(route: Route, destination: int) -> int:
        """The address that the route brings along (fib_prefsrc); 0 if its interface has none."""
        if route.kind is Kind.LOCAL:
            return destination
        near = destination if route.gateway is None else route.gateway
        addresses = route.interface.addresses
        fitting = next((each for each in addresses if each.reaches(near)), addresses[0] if addresses else None)
        return fitting.host if fitting is not None else 0

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


def shown_by_bsd(profile: BsdProfile) -> Callable[[Packet], bytes]:
    """How a reader sees a datagram (:attr:`~simulator.profiles.BsdProfile.raw_fields`)."""
    if profile.raw_fields == "network order":
        return lambda packet: packet.octets
    whole = profile.raw_fields == "host order"

    def shown(packet: Packet) -> bytes:
        length = packet.total_length - (0 if whole else packet.header_length)
        octets = packet.octets
        fields = length.to_bytes(2, "little") + octets[4:6] + packet.fragment.to_bytes(2, "little")
        return octets[:2] + fields + octets[8:]

    return shown


class BsdRawWriting:
    """rip_output of the BSDs."""

    def __init__(
        self,
        node: Node,
        profile: BsdProfile,
        whole: Callable[[Packet, bool], int],
        data: Callable[[Outgoing, bool, Owner], int],
    ) -> None:
        """``whole`` takes a datagram with its header to ip_output, ``data`` one that still needs a header, and whose
        program sends it; with each, whether only attached networks will do."""
        self._node = node
        self._profile = profile
        self._whole = whole
        self._data = data

    def may_bind(self, host: int) -> bool:
        return host in self._node.own or host in self._node.broadcasts

    def write(self, sock: RawSocket, data: bytes, destination: int) -> int:
        dont_route = bool(sock.option(socket.SOL_SOCKET, socket.SO_DONTROUTE))
        if not sock.option(socket.IPPROTO_IP, socket.IP_HDRINCL):
            return self._write_data(sock, data, destination, dont_route)
        octets = self._in_network_order(data)
        if self._is_malformed(octets):
            return errno.EINVAL
        packet = Packet(octets)
        packet.sender = sock.owner
        self._node.ledger.originated += 1
        if self._node.tracer.listening:
            self._node.tracer.record(Event.ORIGINATED, packet)
        return self._whole(packet, dont_route)

    def _write_data(self, sock: RawSocket, data: bytes, destination: int, dont_route: bool) -> int:
        ttl = sock.option(socket.IPPROTO_IP, socket.IP_TTL, self._node.profile.default_ttl)
        tos = sock.option(socket.IPPROTO_IP, socket.IP_TOS)
        datagram = Outgoing(sock.proto, destination, data, ttl, source=sock.host, tos=tos, by_program=True)
        return errno.EMSGSIZE if datagram.too_long else self._data(datagram, dont_route, sock.owner)

    def _in_network_order(self, data: bytes) -> bytes:
        """Octets as they go on the wire: length and offset turned round where the kernel wants them the other way."""
        if self._profile.raw_fields == "network order" or len(data) < MINIMUM_HEADER:
            return data
        return data[:2] + data[3:1:-1] + data[4:6] + data[7:5:-1] + data[8:]

    def _is_malformed(self, octets: bytes) -> bool:
        """The length that the header says: what is there at most, and a header at least; or just what is there."""
        if len(octets) < MINIMUM_HEADER:
            return True
        header = (octets[0] & 15) * 4
        length = int.from_bytes(octets[2:4], "big")
        if not self._profile.raw_length_exact:
            return not header <= length <= len(octets)
        if not MINIMUM_HEADER <= header <= len(octets) or length != len(octets):
            return True
        return not _well_formed(octets[MINIMUM_HEADER:header])


def _well_formed(options: bytes) -> bool:
    """Whether every option stays inside, by its own length (RFC 791 section 3.1)."""
    at = 0
    while at < len(options) and options[at] != _END_OF_OPTIONS:
        if options[at] == _NO_OPERATION:
            at += 1
            continue
        if at + 1 >= len(options) or options[at + 1] < 2 or at + options[at + 1] > len(options):
            return False
        at += options[at + 1]
    return True
