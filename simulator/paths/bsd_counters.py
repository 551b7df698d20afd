"""The IP counters of a BSD kernel: what ``netstat -s -p ip`` shows, by the names of ``struct ipstat`` without ``ips_``.

The path feeds :class:`IpCounters` only where nothing else counts already.  What was dropped for a reason of its own is
in the ledger, and what became of fragments is counted by the reassembly; :func:`statistics` puts all of it together.
"""

from __future__ import annotations

from simulator.fragments import BsdReassembly
from simulator.ledger import Ledger, Reason
from simulator.packet import Packet

__all__ = ["IpCounters", "divert_statistics", "statistics"]


class IpCounters:
    """Counted on the way of a packet.  ``tried``: looked at by the fast path, which adds them to the total again."""

    __slots__ = (
        "badoptions",
        "cantforward",
        "cantfrag",
        "entered",
        "fastforward",
        "forward",
        "fragmented",
        "inbound",
        "localout",
        "noroute",
        "ofragments",
        "outbound",
        "rawout",
        "redirectsent",
        "toosmall",
        "tried",
        "unheard",
    )

    def __init__(self) -> None:
        for name in self.__slots__:
            setattr(self, name, 0)

    badoptions: int
    cantforward: int
    cantfrag: int
    entered: int
    fastforward: int
    forward: int
    """On the slow path alone."""
    fragmented: int
    inbound: int
    """Written to divert sockets as incoming."""
    localout: int
    noroute: int
    ofragments: int
    outbound: int
    """Written to divert sockets as outgoing."""
    rawout: int
    redirectsent: int
    toosmall: int
    """Written to a divert socket with fewer octets than a header has (bsd.md W-4)."""
    tried: int
    unheard: int
    """Diverted to a port without a listener, or to a full socket (bsd.md R-17, R-19)."""


def statistics(counters: IpCounters, ledger: Ledger, reassembly: BsdReassembly[Packet]) -> dict[str, int]:
    """Every counter that is not zero.  ``delivered`` can be negative: the unheard are taken off it (R-17, R-19)."""
    dropped = ledger.dropped
    counts = {
        "total": counters.entered + counters.tried,
        "badsum": dropped[Reason.BAD_CHECKSUM],
        "tooshort": dropped[Reason.TOO_SHORT] + dropped[Reason.TRUNCATED],
        "toosmall": counters.toosmall + reassembly.toosmall,
        "badhlen": dropped[Reason.BAD_HEADER_LENGTH],
        "badlen": dropped[Reason.BAD_LENGTH],
        "fragments": reassembly.fragments,
        "fragdropped": reassembly.fragdropped,
        "fragtimeout": reassembly.fragtimeout,
        "forward": counters.forward + counters.fastforward,
        "fastforward": counters.fastforward,
        "cantforward": counters.cantforward,
        "redirectsent": counters.redirectsent,
        "noproto": counters.unheard,
        "delivered": ledger.delivered - counters.unheard,
        "localout": counters.localout,
        "reassembled": reassembly.reassembled,
        "fragmented": counters.fragmented,
        "ofragments": counters.ofragments,
        "cantfrag": counters.cantfrag,
        "badoptions": counters.badoptions,
        "noroute": counters.noroute,
        "badvers": dropped[Reason.BAD_VERSION] + dropped[Reason.NOT_IPV4],
        "rawout": counters.rawout,
        "toolong": reassembly.toolong,
        "badaddr": dropped[Reason.BAD_ADDRESS],
    }
    return {name: count for name, count in counts.items() if count}


def divert_statistics(counters: IpCounters, ledger: Ledger) -> dict[str, int]:
    """What divert sockets did, by the names of FreeBSD 14's ``struct divstat`` (bsd.md R-19); zeros are left out."""
    counts = {
        "diverted": ledger.diverted,
        "noport": ledger.dropped[Reason.NO_LISTENER],
        "outbound": counters.outbound,
        "inbound": counters.inbound,
    }
    return {name: count for name, count in counts.items() if count}
