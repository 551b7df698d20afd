"""ICMP as the BSDs send it: errors, and the echo and timestamp replies that turn a message round (bsd.md H-10).

``icmp_error`` and ``icmp_reflect`` of ip_icmp.c, by their rules: what gets no error, how much is quoted, whose address
an answer comes from, which options it takes along.
"""

from __future__ import annotations

from collections.abc import Callable

from rules.fields import ICMP, MORE_FRAGMENTS, TCP
from simulator.icmp_errors import Error
from simulator.interfaces import Interface
from simulator.node import Node
from simulator.outgoing import Outgoing, Send
from simulator.packet import MINIMUM_HEADER, Packet
from simulator.paths.bsd_options import reflected
from simulator.profiles import BsdProfile
from simulator.routing import is_class_e, is_multicast
from simulator.wire import checksum, icmp

__all__ = ["BsdIcmp"]

_DONT_FRAGMENT_OR_MORE = 0x6000
_REDIRECT = 5
_QUERIES = frozenset({0, 8, 9, 10, 13, 14, 15, 16, 17, 18})
"""Types that are no errors (ICMP_INFOTYPE)."""

_TIMESTAMP, _TIMESTAMP_REPLY = 13, 14
_TIMESTAMP_OCTETS = 20
_DAY = 86_400_000


class BsdIcmp:
    """Sends what ICMP has to say."""

    def __init__(self, node: Node, profile: BsdProfile, send: Send) -> None:
        self._node = node
        self._profile = profile
        self._send = send
        self.unanswered: Callable[[Packet], object] = lambda packet: None
        """What becomes of messages that get no answer: raw sockets hear them."""

    def report(self, packet: Packet, error: Error, rest: int = 0, *, held: int | None = None) -> bool:
        """An error about a datagram to its source, unless it is one of those that get none; whether it went out.

        ``rest`` is what the type has in its second four octets: the MTU of frag-needed, the gateway of a redirect,
        the pointer of a parameter problem in its first octet.  ``held``: only so many octets of the datagram were
        kept to be quoted.
        """
        octets = packet.octets if held is None else packet.octets[:held]
        start = packet.header_length
        if packet.link_broadcast or packet.fragment & ~_DONT_FRAGMENT_OR_MORE & 0xFFFF:
            return False
        if len(octets) < start + 8:
            return False
        if packet.protocol == ICMP and error.type != _REDIRECT and octets[start] not in _QUERIES:
            return False
        quoted = self._quoted(packet, octets)
        if quoted is None:
            return False
        message = icmp.Message(type=error.type, code=error.code, rest=rest, data=octets[:quoted]).emit()
        return self._reflect(packet, message)

    def _quoted(self, packet: Packet, octets: bytes) -> int | None:
        """Octets to quote: the header and ``quoted`` of the data, of TCP at least its header; None: no error at all."""
        start = packet.header_length
        rest = packet.total_length - start
        limit = self._profile.quoted
        if packet.protocol == TCP and self._profile.quotes_tcp_header and len(octets) >= start + 20:
            header = octets[start + 12] >> 4 << 2
            if header < 20 or rest < header:
                return None
            if len(octets) >= start + header:
                return min(start + max(header, min(limit, rest)), len(octets))
        return min(start + max(8, min(limit, rest)), len(octets))

    def _reflect(self, packet: Packet, message: bytes, *, options: bytes = b"", tos: int = 0, flags: int = 0) -> bool:
        """The message back to where the datagram came from (icmp_reflect)."""
        source = packet.source
        if source >> 24 == 0 or is_multicast(source) or is_class_e(source):
            return False
        own = self._answering_address(packet)
        if not own:
            return False
        ttl = self._node.profile.icmp_ttl
        self._send(Outgoing(ICMP, source, message, ttl, source=own, tos=tos, options=options, flags=flags))
        return True

    def _answering_address(self, packet: Packet) -> int:
        """The address that was asked; or that of the interface whose broadcast it was; or the nearest to the sender."""
        destination = packet.destination
        if destination in self._node.own:
            return destination
        interface: Interface | None = packet.received_on
        if interface is not None:
            for address in interface.addresses:
                if address.broadcast == destination:
                    return address.host
        return self._node.route_address(packet.source)

    def receive(self, packet: Packet, message: bytes) -> None:
        """A message for this host: echo and timestamp requests are answered (RFC 792), but not to everybody at once."""
        if len(message) < 8 or not checksum.verify(message):
            return
        if message[0] == icmp.ECHO_REQUEST and not packet.link_broadcast:
            answer = icmp.reply_to(message)
        elif message[0] == _TIMESTAMP and len(message) >= _TIMESTAMP_OCTETS and not packet.link_broadcast:
            answer = self._timestamped(message)
        else:
            self.unanswered(packet)
            return
        options = reflected(packet.octets[MINIMUM_HEADER : packet.header_length])
        self._reflect(packet, answer, options=options, tos=packet.tos, flags=packet.fragment & ~MORE_FRAGMENTS & 0xE000)

    def _timestamped(self, message: bytes) -> bytes:
        """Milliseconds since midnight, received and transmitted at once."""
        now = (int(self._node.clock.now() * 1000) % _DAY).to_bytes(4, "big")
        bare = bytes((_TIMESTAMP_REPLY, message[1], 0, 0)) + message[4:12] + now + now + message[20:]
        return bare[:2] + checksum.checksum(bare).to_bytes(2, "big") + bare[4:]
