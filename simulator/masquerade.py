"""Masquerading as Linux 2.2 does it for ``-j MASQ`` (ip_masq.c; linux.md N6, H4).

A datagram that the forward chain answers with MASQ leaves with the address of the outgoing interface as its source, and
a port of :data:`PORTS` in place of its own.  What comes back to that port is given its real destination again when it
is delivered here, and is forwarded from there, past the forward chain.

- **TCP** and **ICMP queries** are known by both ends: one port serves conversations with different far ends.  **UDP**
  is known by the inner end alone: whoever writes to the port reaches the client ("loose", that kernel's default).
- ICMP errors about such a conversation are translated both ways, quoted datagram included; outgoing ones do not meet
  the forward chain.  Other ICMP messages pass as they are.
- What cannot be masqueraded is dropped: other protocols, broken headers, wrong checksums, no free port.
- **Fragments** cannot be: ports and checksum of most of them are elsewhere.  In that kernel masquerading requires the
  option "always defragment" (linux.md R1), so a router that is to masquerade fragments has the switch
  ``always_defragment``; without it a fragment that meets MASQ is dropped, as failing the checksum would drop it there.
  Fragments of answers are no matter: they are reassembled at local delivery in any case.

An entry lives as long after its last datagram as :class:`Timeouts` says.  Applications that carry addresses in their
data (FTP, IRC) had helper modules, which are not here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rules.addresses import dotted
from rules.fields import ICMP, MORE_FRAGMENTS, OFFSET_MASK, TCP, UDP
from rules.ipchains import MasqueradeEntry
from simulator.clock import Timer
from simulator.ledger import Reason
from simulator.node import Node
from simulator.packet import Packet
from simulator.trace import Kind
from simulator.translation import (
    DESTINATION,
    SOURCE,
    End,
    Endpoints,
    endpoints,
    is_intact,
    is_query,
    quoted_endpoints,
    rewrite,
    rewrite_error,
)
from simulator.wire import tcp

__all__ = ["CAPACITY", "PORTS", "RESERVED_PORTS", "Entry", "Masquerade", "Timeouts"]

PORTS = range(61_000, 65_096)
"""Ports and ICMP identifiers that are given out, in turn."""

RESERVED_PORTS = range(61_000, 65_097)
"""Ports that nobody on this host can bind."""

CAPACITY = 10 * len(PORTS)
"""Entries of each protocol at most."""

_NAMES = {TCP: "TCP", UDP: "UDP", ICMP: "ICMP"}
_FRAGMENT_BITS = MORE_FRAGMENTS | OFFSET_MASK
_COMPLAINTS = 4
"""How often in a row the kernel says that it has no port."""

_Key = tuple[int, ...]


class Timeouts:
    """Seconds that an entry outlives its last datagram; ``ipchains -M -S`` sets the first three."""

    __slots__ = ("icmp", "tcp", "tcp_fin", "udp")

    def __init__(self) -> None:
        self.tcp = 900.0
        self.tcp_fin = 120.0
        """After a FIN or RST of either side, until the next SYN."""
        self.udp = 300.0
        self.icmp = 125.0


class Entry:
    """One masqueraded conversation."""

    __slots__ = (
        "address",
        "destination",
        "destination_port",
        "expires",
        "finished",
        "port",
        "protocol",
        "source",
        "source_port",
        "timer",
    )

    timer: Timer

    def __init__(self, client: Endpoints, address: int, port: int) -> None:
        self.protocol, self.source, self.source_port, self.destination, self.destination_port = client
        self.address = address
        """What the source is masqueraded as."""
        self.port = port
        self.expires = 0.0
        """When, in seconds of the clock."""
        self.finished = False
        """A TCP connection that was closed or reset."""

    @property
    def outgoing_key(self) -> _Key:
        if self.protocol == UDP:
            return self.protocol, self.source, self.source_port
        return self.protocol, self.source, self.source_port, self.destination, self.destination_port

    @property
    def incoming_key(self) -> _Key:
        if self.protocol == UDP:
            return self.protocol, self.address, self.port
        return self.protocol, self.address, self.port, self.destination, self.destination_port

    def __str__(self) -> str:
        return (
            f"{_NAMES[self.protocol]} {dotted(self.source)}:{self.source_port} "
            f"as {dotted(self.address)}:{self.port} -> {dotted(self.destination)}:{self.destination_port}"
        )


def _key(there: Endpoints) -> _Key:
    """The key of a datagram's entry, its source being the end that makes the difference for UDP."""
    return there[:3] if there.protocol == UDP else there


class Masquerade:
    """The table of one router, and the translations that it does.

    It is what ``ipchains -M`` shows and sets (:class:`rules.ipchains.Masquerading`).  Translations answer True when
    they changed the packet, False when it is none of their business, or the :class:`Reason` for which it is dropped.
    """

    def __init__(self, node: Node) -> None:
        self.timeouts = Timeouts()
        self._node = node
        self._outgoing: dict[_Key, Entry] = {}
        self._incoming: dict[_Key, Entry] = {}
        self._count: Counter[int] = Counter()
        self._next = 0
        self._failures = 0

    # -- outgoing ----------------------------------------------------------------------------------------------------

    def masquerade(self, packet: Packet) -> Reason | bool:
        """A datagram that the forward chain answered with MASQ."""
        if packet.protocol not in _NAMES or packet.fragment & _FRAGMENT_BITS or packet.payload_length < 8:
            return Reason.NOT_MASQUERADED
        if packet.protocol == ICMP and not is_query(packet):
            return False
        client = endpoints(packet.octets)
        if client is None:
            return Reason.NOT_MASQUERADED
        if packet.protocol != ICMP and not is_intact(packet):
            return Reason.BAD_TRANSPORT_CHECKSUM
        entry = self._outgoing.get(_key(client))
        if entry is None:
            address = self._node.source_towards(packet.destination)
            if not address:
                return Reason.NOT_MASQUERADED
            entry = self._new(client, address)
            if entry is None:
                return Reason.NO_MASQUERADING_PORT
        entry.destination, entry.destination_port = client.destination, client.destination_port
        rewrite(packet, SOURCE, entry.address, entry.port)
        self._used(entry, packet)
        self._tell(packet, SOURCE, entry)
        return True

    def masquerade_error(self, packet: Packet) -> Reason | bool:
        """An ICMP error that a client sends about what it received; it then skips the forward chain."""
        entry = self._about(packet, self._outgoing)
        if entry is None:
            return False
        if not is_intact(packet):
            return Reason.BAD_TRANSPORT_CHECKSUM
        rewrite_error(packet, SOURCE, entry.address, entry.port)
        self._tell(packet, SOURCE, entry)
        return True

    # -- incoming ----------------------------------------------------------------------------------------------------

    def demasquerade(self, packet: Packet) -> Reason | bool:
        """A whole datagram that is about to be delivered to this host; True: it is for a client now."""
        if not self._incoming or packet.protocol not in _NAMES or packet.demasqueraded or packet.link_broadcast:
            return False
        if packet.received_on is None or packet.received_on.is_loopback:
            return False
        far = endpoints(packet.octets)
        if far is None:
            return self._demasquerade_error(packet)
        entry = self._incoming.get(_key(far.reverse))
        if entry is None:
            return False
        if packet.protocol != ICMP and not is_intact(packet):
            return Reason.BAD_TRANSPORT_CHECKSUM
        entry.destination, entry.destination_port = far.source, far.source_port
        rewrite(packet, DESTINATION, entry.source, entry.source_port)
        self._used(entry, packet)
        return self._demasqueraded(packet, entry)

    def _demasquerade_error(self, packet: Packet) -> Reason | bool:
        """An ICMP error about what a client sent."""
        entry = self._about(packet, self._incoming)
        if entry is None:
            return False
        if not is_intact(packet):
            self._node.messages.append(f"IP_MASQ:reverse ICMP: failed checksum from {dotted(packet.source)}!")
            return Reason.BAD_TRANSPORT_CHECKSUM
        rewrite_error(packet, DESTINATION, entry.source, entry.source_port)
        return self._demasqueraded(packet, entry)

    def _demasqueraded(self, packet: Packet, entry: Entry) -> bool:
        packet.demasqueraded = True
        self._tell(packet, DESTINATION, entry)
        return True

    def as_received(self, packet: Packet) -> Packet:
        """A demasqueraded datagram as its sender knows it: what an unreachable about it has to quote."""
        far = endpoints(packet.octets)
        entry = self._outgoing.get(_key(far.reverse)) if far is not None else None
        if entry is None:
            return packet
        known = packet.copy()
        rewrite(known, DESTINATION, entry.address, entry.port)
        return known

    def _about(self, packet: Packet, table: dict[_Key, Entry]) -> Entry | None:
        """The entry of the datagram that an ICMP error quotes, which went the other way."""
        if not table:
            return None
        quoted = quoted_endpoints(packet)
        if quoted is None:
            return None
        return table.get(_key(quoted.reverse if table is self._outgoing else quoted))

    def _tell(self, packet: Packet, end: End, entry: Entry) -> None:
        if self._node.tracer.listening:
            detail = f"{'masqueraded' if end is SOURCE else 'demasqueraded'}: {entry}"
            self._node.tracer.record(Kind.CHANGED, packet, detail=detail)

    # -- entries and their time --------------------------------------------------------------------------------------

    def _new(self, client: Endpoints, address: int) -> Entry | None:
        """An entry with the next port that no conversation of that far end has (for UDP: that nobody has)."""
        protocol = client.protocol
        if self._count[protocol] >= CAPACITY:
            self._complain(f"ip_masq_new(proto={_NAMES[protocol]}): no free ports.")
            return None
        for _ in PORTS:
            entry = Entry(client, address, PORTS[self._next])
            self._next = (self._next + 1) % len(PORTS)
            if entry.incoming_key not in self._incoming:
                break
        else:
            free = CAPACITY - self._count[protocol]
            self._complain(f"ip_masq_new(proto={_NAMES[protocol]}): could not get free masq entry (free={free}).")
            return None
        self._failures = 0
        self._count[protocol] += 1
        self._outgoing[entry.outgoing_key] = self._incoming[entry.incoming_key] = entry
        self._lengthen(entry)
        return entry

    def _complain(self, message: str) -> None:
        self._failures += 1
        if self._failures <= _COMPLAINTS:
            self._node.messages.append(f"IP_MASQ:{message}")

    def _used(self, entry: Entry, packet: Packet) -> None:
        """A datagram went by: the entry's time starts again."""
        if entry.protocol == TCP:
            flags = packet.octets[packet.header_length + 13]
            if flags & (tcp.FIN | tcp.RST):
                entry.finished = True
            elif flags & tcp.SYN:
                entry.finished = False
        self._lengthen(entry)

    def _lengthen(self, entry: Entry) -> None:
        timeouts = self.timeouts
        if entry.protocol == TCP:
            seconds = timeouts.tcp_fin if entry.finished else timeouts.tcp
        else:
            seconds = timeouts.udp if entry.protocol == UDP else timeouts.icmp
        clock = self._node.clock
        first = not entry.expires
        entry.expires = clock.now() + seconds
        if first or entry.expires < entry.timer.when:
            if not first:
                entry.timer.cancel()
            entry.timer = clock.call_at(entry.expires, lambda: self._due(entry))

    def _due(self, entry: Entry) -> None:
        """The timer of an entry: it was set for an earlier datagram, or the entry ends."""
        clock = self._node.clock
        if entry.expires > clock.now():
            entry.timer = clock.call_at(entry.expires, lambda: self._due(entry))
            return
        del self._outgoing[entry.outgoing_key]
        del self._incoming[entry.incoming_key]
        self._count[entry.protocol] -= 1

    # -- what ipchains -M asks (rules.ipchains.Masquerading) -----------------------------------------------------------

    def entries(self) -> Iterator[MasqueradeEntry]:
        """Oldest first; an ICMP entry has its identifier and ``type << 8 | code`` for ports."""
        now = self._node.clock.now()
        for entry in self._outgoing.values():
            yield MasqueradeEntry(
                protocol=_NAMES[entry.protocol],
                expires=max(round((entry.expires - now) * 100), 0),
                source=entry.source,
                source_port=entry.source_port,
                destination=entry.destination,
                destination_port=entry.destination_port,
                masqueraded_port=entry.port,
            )

    def set_timeouts(self, tcp: float, tcp_fin: float, udp: float) -> None:
        """Seconds; 0 keeps what was.  An entry takes notice at its next datagram."""
        timeouts = self.timeouts
        timeouts.tcp = tcp or timeouts.tcp
        timeouts.tcp_fin = tcp_fin or timeouts.tcp_fin
        timeouts.udp = udp or timeouts.udp
