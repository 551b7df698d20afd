"""What happened to each packet, as data; the text renderer and the JSON renderer beside it.

A stage tells the tracer what it did only while somebody listens (``tracer.listening``), so a trace that nobody wants
costs one test a stage.  Events are frozen values: printing, drawing and asserting are done by whoever receives them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

from rules.addresses import dotted
from simulator.clock import Clock
from simulator.ledger import Reason
from simulator.packet import Packet

__all__ = ["Event", "Kind", "Listener", "Trace", "Tracer", "summary"]


class Kind(Enum):
    """What happened."""

    RECEIVED = "received"
    ORIGINATED = "originated"
    INJECTED = "injected"
    GENERATED = "generated"
    FIREWALL = "firewall"
    ROUTED = "routed"
    CHANGED = "changed"
    DIVERTED = "diverted"
    COPIED = "copied"
    HELD = "held"
    RELEASED = "released"
    MERGED = "merged"
    DELIVERED = "delivered"
    TRANSMITTED = "transmitted"
    DROPPED = "dropped"

    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened to one packet.  What does not apply is None."""

    packet: int
    """The packet's number in this trace, from 1."""
    time: float
    """Seconds of the router's clock."""
    kind: Kind
    interface: str | None = None
    """Where: the receiving interface, or the one it is about to leave by."""
    hook: str | None = None
    """FIREWALL: the chain (``input``, ``forward``, ``output``) or the pass (``in``, ``out``)."""
    rule: str | None = None
    """FIREWALL: which rule decided, such as ``forward:2``, ``input:policy``, ``100``."""
    text: str | None = None
    """FIREWALL: the words of that rule; None for a policy."""
    matched: tuple[str, ...] = ()
    """FIREWALL: every rule that matched, in order, the one that decided among them."""
    verdict: str | None = None
    """FIREWALL: the verdict in the dialect's own word."""
    port: int | None = None
    """The divert port."""
    address: str | None = None
    """DIVERTED, INJECTED: the socket address; ROUTED, TRANSMITTED: the next hop."""
    reason: Reason | None = None
    """DROPPED: why."""
    detail: str | None = None
    """CHANGED: what; MERGED: into which packet; HELD: in which pipe or queue."""
    octets: bytes | None = None
    """The packet as it was then."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON: what applies, octets in hex, members by their names."""
        result: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None or value == ():
                continue
            if isinstance(value, bytes):
                value = value.hex()
            elif isinstance(value, Kind):
                value = value.value
            elif isinstance(value, Reason):
                value = value.name
            elif isinstance(value, tuple):
                value = list(value)
            result[field.name] = value
        return result

    def __str__(self) -> str:
        where = self.hook if self.kind is Kind.FIREWALL else self.kind.value
        words = [f"{self.time:9.4f}  #{self.packet:<4} {where:<12}{self.interface or '-':<9}"]
        if self.kind is Kind.FIREWALL:
            words.append(f"{self.verdict}{'' if self.port is None else f' {self.port}'} ({self.rule})")
        elif self.reason is not None:
            words.append(f"{self.reason.name}: {self.reason.value}")
        else:
            if self.port is not None:
                words.append(f"port {self.port}")
            if self.address is not None:
                words.append(f"to {self.address}:" if self.kind is Kind.TRANSMITTED else self.address)
            if self.detail is not None:
                words.append(self.detail)
        if self.octets is not None and self.kind in _SHOWS_PACKET:
            words.append(summary(self.octets))
        return " ".join(words).rstrip()


_SHOWS_PACKET = frozenset({Kind.RECEIVED, Kind.ORIGINATED, Kind.INJECTED, Kind.GENERATED, Kind.TRANSMITTED})

Listener = Callable[[Event], object]


class Tracer:
    """Numbers packets and hands events to the listeners."""

    __slots__ = ("_clock", "_count", "_listeners", "listening")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._count = 0
        self._listeners: list[Listener] = []
        self.listening = False

    def add(self, listener: Listener) -> None:
        self._listeners.append(listener)
        self.listening = True

    def remove(self, listener: Listener) -> None:
        self._listeners.remove(listener)
        self.listening = bool(self._listeners)

    def record(self, kind: Kind, packet: Packet, *, interface: str | None = None, **details: Any) -> None:
        """Tell the listeners; ``details`` are further fields of :class:`Event`."""
        if not packet.number:
            self._count += 1
            packet.number = self._count
        event = Event(
            packet=packet.number,
            time=self._clock.now(),
            kind=kind,
            interface=interface or packet.transmit_interface or packet.receive_interface,
            octets=packet.octets,
            **details,
        )
        for listener in self._listeners:
            listener(event)


class Trace:
    """The events of a ``with router.trace()`` block, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)

    def __str__(self) -> str:
        return "\n".join(map(str, self.events))

    def to_json(self) -> str:
        """A JSON array of the events (:meth:`Event.as_dict`)."""
        return json.dumps([event.as_dict() for event in self.events], indent=1)


_PROTOCOLS = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 51: "ah", 89: "ospf", 132: "sctp"}

_ICMP_TYPES = {
    0: "echo reply",
    3: "unreachable",
    4: "source quench",
    5: "redirect",
    8: "echo request",
    11: "time exceeded",
    12: "parameter problem",
    13: "timestamp request",
    14: "timestamp reply",
}

_TCP_FLAGS = (("FIN", 1), ("SYN", 2), ("RST", 4), ("PSH", 8), ("ACK", 16), ("URG", 32))


def summary(octets: bytes) -> str:
    """A datagram in one line, whatever the octets are: ``icmp 10.0.0.1 > 10.0.1.2 echo request, ttl 64, 84 octets``."""
    packet = Packet(octets)
    if len(octets) < 20 or packet.version != 4:
        return f"{len(octets)} octets that are no IPv4 datagram"
    name = _PROTOCOLS.get(packet.protocol, f"protocol {packet.protocol}")
    source, destination = dotted(packet.source), dotted(packet.destination)
    extra = ""
    if packet.source_port is not None:
        source, destination = f"{source}:{packet.source_port}", f"{destination}:{packet.destination_port}"
        if (flags := packet.tcp_flags) is not None:
            extra = " " + ("|".join(flag for flag, bit in _TCP_FLAGS if flags & bit) or "no flags")
    elif (kind := packet.icmp_type) is not None:
        extra = " " + _ICMP_TYPES.get(kind, f"type {kind}")
    if packet.is_fragment:
        extra += f", fragment at {packet.fragment_offset * 8}{'+' if packet.more_fragments else ''}"
    return f"{name} {source} > {destination}{extra}, ttl {packet.ttl}, {len(octets)} octets"
