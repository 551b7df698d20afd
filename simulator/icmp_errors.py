"""ICMP errors: when a kernel sends one, what it quotes, and what it looks like (RFC 792, RFC 1122 section 3.2.2).

A kernel's manners are one value, :class:`Manners`.  Sending goes through the packet path like any datagram of this
host, so the output chain sees the error.  The BSDs' ICMP is in :mod:`simulator.paths.bsd_icmp`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from rules.fields import ICMP, OFFSET_MASK
from simulator.clock import Clock
from simulator.node import Node
from simulator.outgoing import Outgoing, Send
from simulator.packet import Packet
from simulator.routing import Kind, is_class_e, is_multicast
from simulator.wire import icmp

__all__ = [
    "FRAGMENTATION_NEEDED",
    "HOST_UNREACHABLE",
    "LINUX_MANNERS",
    "NETWORK_UNREACHABLE",
    "PORT_UNREACHABLE",
    "PROTOCOL_UNREACHABLE",
    "REASSEMBLY_TIME_EXCEEDED",
    "REDIRECT_HOST",
    "SOURCE_ROUTE_FAILED",
    "TTL_EXCEEDED",
    "Error",
    "IcmpErrors",
    "Manners",
    "Reports",
]


class Error(NamedTuple):
    """Type and code of an ICMP error."""

    type: int
    code: int


NETWORK_UNREACHABLE = Error(3, 0)
HOST_UNREACHABLE = Error(3, 1)
PROTOCOL_UNREACHABLE = Error(3, 2)
PORT_UNREACHABLE = Error(3, 3)
FRAGMENTATION_NEEDED = Error(3, 4)
TTL_EXCEEDED = Error(11, 0)
SOURCE_ROUTE_FAILED = Error(3, 5)
REASSEMBLY_TIME_EXCEEDED = Error(11, 1)
REDIRECT_HOST = Error(5, 1)

_REDIRECT = 5


class Manners(NamedTuple):
    """How one kernel does it."""

    tos: Callable[[int], int]
    """The error's TOS octet from that of the datagram it is about."""
    quotes: Callable[[Packet, int, int], bytes]
    """(datagram, MTU of the way back, octets of IP options in the error) -> what is quoted."""
    about_icmp: Callable[[int], bool]
    """Whether an error may be sent about an ICMP message of that type."""
    source_ok: Callable[[int], bool]
    """Whether an address may be sent an error."""
    per_second: float | None
    """Errors that one destination may get a second, frag-needed and redirects excepted; None: no limit."""
    burst: int


_LINUX_ERRORS = frozenset({3, 4, 5, 11, 12})


def _linux_quote(packet: Packet, mtu: int, options: int) -> bytes:
    """As much as fits: the error is at most 576 octets long, or as long as the path allows (linux.md H16)."""
    return packet.octets[: min(576, mtu) - 28 - options]


LINUX_MANNERS = Manners(
    tos=lambda tos: tos & 0x1E | 0xC0,
    quotes=_linux_quote,
    about_icmp=lambda kind: kind not in _LINUX_ERRORS and kind <= 18,
    source_ok=lambda source: source != 0 and not is_multicast(source) and not is_class_e(source),
    per_second=1.0,
    burst=6,
)
"""linux.md H16."""


class _Limit:
    """A token bucket for each destination, full at first."""

    def __init__(self, clock: Clock, per_second: float, burst: int) -> None:
        self._clock = clock
        self._per_second = per_second
        self._burst = float(burst)
        self._buckets: dict[int, tuple[float, float]] = {}

    def allows(self, destination: int) -> bool:
        now = self._clock.now()
        if len(self._buckets) >= 4096:
            self._buckets.clear()
        tokens, since = self._buckets.get(destination, (self._burst, now))
        tokens = min(tokens + (now - since) * self._per_second, self._burst)
        allowed = tokens >= 1
        self._buckets[destination] = (tokens - allowed, now)
        return allowed


class Reports(Protocol):
    """Somebody who sends ICMP errors as a kernel does."""

    def report(self, packet: Packet, error: Error, rest: int = 0, /) -> object: ...


class IcmpErrors:
    """Sends ICMP errors as one kernel does."""

    def __init__(self, node: Node, manners: Manners, send: Send) -> None:
        self._node = node
        self._manners = manners
        self._send = send
        self._limit = _Limit(node.clock, manners.per_second, manners.burst) if manners.per_second else None
        self.answer_options: Callable[[Packet, int], bytes | None] = lambda packet, source: b""
        """The IP options of an error sent from that address (0: the path chooses); None: there can be no error."""

    def report(self, packet: Packet, error: Error, rest: int = 0) -> None:
        """Send an error about a datagram to its source, or keep silent as RFC 1122 and the kernel want it.

        ``rest`` is what the type has in its second four octets: the MTU of frag-needed, the gateway of a redirect.
        """
        manners = self._manners
        if packet.link_broadcast or packet.fragment & OFFSET_MASK:
            return
        if packet.protocol == ICMP and (kind := packet.icmp_type) is not None and not manners.about_icmp(kind):
            return
        routes = self._node.routes
        if not manners.source_ok(packet.source) or routes.is_for_many(packet.destination):
            return
        way_back = routes.lookup(packet.source)
        if way_back is None or way_back.kind is Kind.BROADCAST:
            return
        limited = error != FRAGMENTATION_NEEDED and error.type != _REDIRECT and way_back.kind is not Kind.LOCAL
        if limited and self._limit is not None and not self._limit.allows(packet.source):
            return
        source = packet.destination if packet.destination in self._node.own else 0
        options = self.answer_options(packet, source)
        if options is None:
            return
        quoted = manners.quotes(packet, way_back.interface.mtu, len(options))
        message = icmp.Message(type=error.type, code=error.code, rest=rest, data=quoted).emit()
        ttl, tos = self._node.profile.icmp_ttl, manners.tos(packet.tos)
        self._send(Outgoing(ICMP, packet.source, message, ttl, source=source, tos=tos, options=options))
