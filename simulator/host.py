"""The router as a host: what its own protocols do with a datagram that was delivered to it.

It answers ICMP echo, gives UDP data to the sockets opened on it, answers TCP segments with a reset because nothing
here listens on TCP ports, and reports protocols and ports that nobody serves (RFC 792, RFC 1122).
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from rules.addresses import dotted
from rules.fields import ICMP, TCP, UDP
from simulator.icmp_errors import PORT_UNREACHABLE, PROTOCOL_UNREACHABLE, Reports
from simulator.node import Node
from simulator.outgoing import Outgoing, Send
from simulator.packet import Packet
from simulator.routing import is_multicast
from simulator.sockets.raw import RawSockets
from simulator.sockets.udp import UdpPorts, UdpSocket, proxied
from simulator.wire import checksum, icmp, tcp, udp

__all__ = ["Host"]

_UDP_HEADER = 8

_LARGEST_UDP = 65535 - 20 - _UDP_HEADER
"""Octets of data that fit a datagram behind the IP and the UDP header."""


class Host:
    """The protocols above IP."""

    def __init__(self, node: Node, send: Send, errors: Reports, udp_ports: UdpPorts) -> None:
        self._node = node
        self._send = send
        self._errors = errors
        self._udp_ports = udp_ports
        self.raw = RawSockets()
        self.handlers: dict[int, Callable[[Packet, bytes], None]] = {
            ICMP: self._icmp,
            UDP: self._udp,
            TCP: self._tcp,
        }
        """What each protocol does with a datagram, by its number."""
        self.unserved: Callable[[Packet], object] = lambda packet: errors.report(packet, PROTOCOL_UNREACHABLE)
        """What is done with a datagram of any other protocol, unless a raw socket has it."""
        self.answer_options: Callable[[Packet, int], bytes | None] = lambda packet, source: b""
        """The IP options of an answer sent from that address (0: the path chooses); None: there can be no answer."""
        self.reset_for: Callable[[tcp.Header, int], tcp.Header] = tcp.reset_for
        """The reset for a segment with so many octets of data."""
        self.reset_tos: Callable[[Packet], int] = lambda packet: 0
        """Its type of service."""
        self.copies_to_raw = True
        """Raw sockets get what a protocol here takes as well (linux.md O1); else only what none takes (rip_input)."""

    def deliver(self, packet: Packet) -> None:
        """Hand a whole datagram for this host to its protocol, and copies to raw sockets before (linux.md H4)."""
        handler = self.handlers.get(packet.protocol)
        self._node.deliver(packet)
        heard = (handler is None or self.copies_to_raw) and self.raw.deliver(packet)
        if handler is not None:
            handler(packet, packet.octets[packet.header_length :])
        elif not heard:
            self.unserved(packet)

    def _answers_to(self, packet: Packet) -> int:
        """The source address of an answer: the one that was asked, or 0 (the path chooses) when many were."""
        return packet.destination if packet.destination in self._node.own else 0

    def _icmp(self, packet: Packet, message: bytes) -> None:
        """RFC 792: echo is answered; everything else is for whoever listens."""
        if len(message) < 8 or message[0] != icmp.ECHO_REQUEST or not checksum.verify(message):
            return
        ttl = self._node.profile.icmp_ttl
        reply = icmp.reply_to(message)
        source = self._answers_to(packet)
        options = self.answer_options(packet, source)
        if options is not None:
            self._send(Outgoing(ICMP, packet.source, reply, ttl, source=source, tos=packet.tos, options=options))

    def _udp(self, packet: Packet, segment: bytes) -> None:
        """RFC 768; a port that nobody has is unreachable, but nobody is told what was sent to many (RFC 1122 3.2.2)."""
        try:
            header, data = udp.parse(segment, source=packet.source, destination=packet.destination)
        except ValueError:
            return
        sock = self._udp_ports.find(packet.destination, header.destination_port)
        address: tuple[str, int] = (dotted(packet.source), header.source_port)
        if packet.redirect_port:
            sock = self._proxy(packet) or sock
            ports = header.source_port, header.destination_port
            address = proxied(self._udp_ports.layout, packet.source, ports[0], packet.destination, ports[1])
        if sock is not None:
            sock.enqueue(data, address)
        elif not self._node.routes.is_for_many(packet.destination):
            # What is behind the data was cut off before anybody was looked for (udp_rcv, udp_input).
            length = packet.header_length + _UDP_HEADER + len(data)
            self._errors.report(packet.with_octets(packet.octets[:length]), PORT_UNREACHABLE)

    def _proxy(self, packet: Packet) -> UdpSocket | None:
        """The socket on the port that a REDIRECT rule chose, at the address of the receiving interface."""
        interface = packet.received_on
        here = interface.address if interface is not None else None
        return self._udp_ports.find(here or 0, packet.redirect_port)

    def _tcp(self, packet: Packet, segment: bytes) -> None:
        """RFC 9293 section 3.10.7.1: every port is closed."""
        if self._node.routes.is_for_many(packet.destination):
            return
        try:
            header, data = tcp.parse(segment, source=packet.source, destination=packet.destination)
        except ValueError:
            return
        source = packet.destination
        options = self.answer_options(packet, source)
        if not header.flags & tcp.RST and options is not None:
            answer = self.reset_for(header, len(data)).emit(b"", source=source, destination=packet.source)
            ttl, tos = self._node.profile.default_ttl, self.reset_tos(packet)
            self._send(Outgoing(TCP, packet.source, answer, ttl, source=source, tos=tos, options=options))

    def send_udp(
        self,
        source: int,
        source_port: int,
        destination: int,
        destination_port: int,
        data: bytes,
        may_broadcast: bool = False,
    ) -> int:
        """A UDP socket of this host writes: the errno, 0 for success; EACCES to everybody without SO_BROADCAST."""
        node = self._node
        if len(data) > _LARGEST_UDP:
            return errno.EMSGSIZE
        if not source:
            source = node.source_towards(destination)
        segment = udp.Header(source_port=source_port, destination_port=destination_port).emit(
            data, source=source, destination=destination
        )
        ttl = 1 if is_multicast(destination) else node.profile.default_ttl
        return self._send(
            Outgoing(UDP, destination, segment, ttl, source=source, by_program=True, may_broadcast=may_broadcast)
        )
