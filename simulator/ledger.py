"""The ledger: every packet that came into being has exactly one fate.

    received + originated + injected + generated
        = transmitted + delivered + diverted + dropped + merged + held

``received`` came from a link, ``originated`` from a program of this host, ``injected`` from a divert socket;
``generated`` are the router's own: ICMP errors and replies, copies, fragments beyond the first, reassembled
datagrams.  ``merged`` fragments went into a reassembled datagram; ``held`` are those that still wait for the rest, and
what is in a pipe or queue.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum

__all__ = ["Ledger", "Reason"]


class Reason(Enum):
    """Why a packet was dropped."""

    TOO_SHORT = "fewer octets than an IPv4 header"
    NOT_IPV4 = "IP version 6"
    BAD_VERSION = "IP version neither 4 nor 6"
    BAD_HEADER_LENGTH = "header length under 20 octets, or beyond the end"
    BAD_CHECKSUM = "wrong header checksum"
    BAD_LENGTH = "total length shorter than the header"
    TRUNCATED = "total length longer than the packet"
    BAD_OPTIONS = "malformed IP options"
    BAD_ADDRESS = "loopback address on another interface"
    MARTIAN_SOURCE = "impossible source address"
    MARTIAN_DESTINATION = "impossible destination address"
    NOT_FOR_US = "link-level broadcast or multicast of a datagram for somebody else"
    NOT_JOINED = "multicast group that nobody here has joined"
    FORWARDING_OFF = "forwarding is switched off"
    NO_ROUTE = "no route to the destination"
    UNREACHABLE_ROUTE = "the route says reject"
    BLACKHOLE_ROUTE = "the route says blackhole"
    TTL_EXCEEDED = "time to live used up"
    NEEDS_FRAGMENTING = "larger than the MTU and not to be fragmented"
    STRICT_ROUTE = "strict source route that cannot be kept"
    SOURCE_ROUTED = "source routes are not taken here"
    DENIED = "denied by the firewall"
    NAT_REFUSED = "refused by ipfw's nat: it belongs to no conversation"
    REJECTED = "rejected by the firewall"
    NO_LISTENER = "diverted to a port on which nobody listens"
    NOT_MASQUERADED = "masquerading cannot translate it"
    NO_MASQUERADING_PORT = "no port is free for masquerading"
    BAD_TRANSPORT_CHECKSUM = "wrong TCP, UDP or ICMP checksum in what is to be translated"
    SOCKET_FULL = "the receiving socket's buffer is full"
    PIPE_MISSING = "sent to a pipe or queue that does not exist"
    PIPE_LOSS = "lost by the loss rate of a pipe or queue"
    PIPE_FULL = "no room in the queue of a pipe"
    PIPE_RED = "dropped early by RED"
    PIPE_DELETED = "in a pipe or queue that was deleted or made anew"
    BAD_FRAGMENT = "fragment that cannot belong to a datagram"
    REASSEMBLY_FAILED = "fragments that do not fit together"
    REASSEMBLY_TIMEOUT = "fragments whose rest did not come in time"
    REASSEMBLY_FULL = "evicted from the reassembly queues"
    INTERFACE_DOWN = "the interface is down"
    LINK_FAILED = "the link refused it"

    __hash__ = object.__hash__  # a member is its own identity; Enum's hash of the name is slow


class Ledger:
    """Counts of what came into being and what became of it.  All are packets."""

    __slots__ = (
        "delivered",
        "diverted",
        "dropped",
        "generated",
        "held",
        "injected",
        "merged",
        "originated",
        "received",
        "transmitted",
    )

    def __init__(self) -> None:
        self.received = 0
        self.originated = 0
        self.injected = 0
        self.generated = 0
        self.transmitted = 0
        self.delivered = 0
        self.diverted = 0
        self.merged = 0
        self.held = 0
        self.dropped: Counter[Reason] = Counter()

    @property
    def sources(self) -> int:
        """Packets that came into being."""
        return self.received + self.originated + self.injected + self.generated

    @property
    def fates(self) -> int:
        """Packets that met their fate, or are held."""
        return self.transmitted + self.delivered + self.diverted + self.dropped.total() + self.merged + self.held

    @property
    def balanced(self) -> bool:
        """Whether every packet has one fate.  Not asked in the middle of a packet's way."""
        return self.sources == self.fates

    def as_dict(self) -> dict[str, int | dict[str, int]]:
        """For JSON: each count by its name, the drops by the names of their reasons."""
        counts: dict[str, int | dict[str, int]] = {
            name: getattr(self, name) for name in self.__slots__ if name != "dropped"
        }
        counts["dropped"] = {reason.name: number for reason, number in self.dropped.items() if number}
        return counts

    def __str__(self) -> str:
        sources = ("received", "originated", "injected", "generated")
        fates = ("transmitted", "delivered", "diverted", "merged", "held")
        left = " + ".join(f"{getattr(self, name)} {name}" for name in sources)
        right = " + ".join(f"{getattr(self, name)} {name}" for name in fates)
        drops = ", ".join(f"{number} {reason.name}" for reason, number in self.dropped.items() if number)
        return f"{left} = {right} + {self.dropped.total()} dropped" + (f" ({drops})" if drops else "")
