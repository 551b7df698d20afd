"""Reassembly as the BSDs do it (bsd.md F-5, F-10; divert-observed.md; ip_reass of ip_input.c and ip_reass.c).

A datagram's queue keeps fragments in order of their offset.  The fragment before a new one wins over its front (a new
one that it covers is dropped), the new one wins over the front of those after it (covered ones are dropped).  The
datagram is whole when the fragments follow each other without a hole from 0 and the last has no MF.  A queue lives for
thirty seconds from its first fragment; nobody is told when it expires.

What the releases do differently is a :class:`BsdPolicy`.  Time is a parameter.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from operator import attrgetter
from typing import Generic

from simulator.reassembly import Item, Key, Loss, Lost, Outcome, Result, Timeout, datagram, unpack_header
from simulator.wire.ipv4 import MAXIMUM_LENGTH

__all__ = ["DRAGONFLY", "FREEBSD_4", "FREEBSD_5", "FREEBSD_13", "FREEBSD_14", "BsdPolicy", "BsdReassembly"]

_NOT_ECT, _CE = 0, 3

_offset = attrgetter("offset")


@dataclass(frozen=True, slots=True, kw_only=True)
class BsdPolicy:
    """Where the releases differ, and the limits that sysctl sets.  The defaults are FreeBSD 5 to 12."""

    drops_empty: bool = False
    """A last fragment without data is dropped (13, observed) instead of kept."""
    drops_beyond_maximum: bool = False
    """A fragment that ends beyond 65,535 is dropped at once (13, observed), not when the datagram is whole."""
    keeps_known_end: bool = False
    """Once the last fragment came, fragments that contradict its end are dropped (13, observed; F-10.5)."""
    compares_ecn: bool = True
    """Mixing CE with not-ECT drops (F-10.6; since FreeBSD 5)."""
    counts_bad: bool = True
    """A fragment of impossible length counts as dropped besides as too small (observed; not in F4, DF)."""
    fragments_per_packet: int = 16
    """``net.inet.ip.maxfragsperpacket``: one more may come if it completes the datagram; 0 takes no fragments."""
    packets: int | None = 800
    """``net.inet.ip.maxfragpackets``: queues at a time, the oldest makes room; 0 takes no fragments, None no limit."""
    fragments: int | None = None
    """``net.inet.ip.maxfrags``: fragments in all queues, a further one is refused (M, F-10.7); None no limit."""
    lifetime: float = 30.0
    """Seconds from the first fragment (F-3)."""
    tick: float = 0.5
    """Seconds between looks at the queues, counted from time 0 (ip_slowtimo of ip_input.c); 0 for a timer of their own
    that fires on the spot (ip_reass.c of M)."""


FREEBSD_4 = BsdPolicy(compares_ecn=False, counts_bad=False)
FREEBSD_5 = BsdPolicy()
FREEBSD_13 = BsdPolicy(drops_empty=True, drops_beyond_maximum=True, keeps_known_end=True, fragments=8000)
FREEBSD_14 = BsdPolicy(drops_empty=True, drops_beyond_maximum=True, keeps_known_end=True, fragments=8000, tick=0)
DRAGONFLY = BsdPolicy(compares_ecn=False, counts_bad=False)


class _Fragment(Generic[Item]):
    """What a fragment still has to give."""

    __slots__ = ("data", "item", "more", "octets", "offset", "tos")

    def __init__(self, offset: int, data: bytes, more: bool, tos: int, octets: bytes, item: Item) -> None:
        self.offset = offset
        self.data = data
        self.more = more
        self.tos = tos
        self.octets = octets
        self.item = item

    @property
    def end(self) -> int:
        return self.offset + len(self.data)

    def trim(self, octets: int) -> None:
        """Lose the front; the kernel keeps the offset in 16 bits."""
        self.offset = self.offset + octets & 0xFFFF
        self.data = self.data[octets:]


class _Queue(Generic[Item]):
    """The fragments of one datagram."""

    __slots__ = ("deadline", "fragments", "known_end")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.fragments: list[_Fragment[Item]] = []
        self.known_end: int | None = None

    def contradicts(self, new: _Fragment[Item]) -> bool:
        """Whether the last fragment, already seen, ends elsewhere; a first one seen is remembered."""
        if self.known_end is None:
            if not new.more:
                self.known_end = new.end
            return False
        return new.end >= self.known_end if new.more else new.end != self.known_end

    def complete(self) -> bool:
        """Whether the fragments follow each other from 0 to one without MF."""
        reached = 0
        for fragment in self.fragments:
            if fragment.offset != reached:
                return False
            reached += len(fragment.data)
        return not self.fragments[-1].more


class BsdReassembly(Generic[Item]):
    """All datagrams that a BSD host is putting together.  Its counters have the names of ``struct ipstat``."""

    __slots__ = (
        "_queues",
        "fragdropped",
        "fragments",
        "fragtimeout",
        "held",
        "policy",
        "reassembled",
        "toolong",
        "toosmall",
    )

    fragments: int
    """Fragments received, bad ones not counted."""
    fragdropped: int
    """Fragments dropped."""
    fragtimeout: int
    """Fragments expired, or evicted for the limit on queues."""
    toosmall: int
    """Fragments of impossible length."""
    toolong: int
    """Fragments or datagrams that end beyond 65,535."""
    reassembled: int
    """Datagrams put together."""
    held: int
    """Fragments held."""

    def __init__(self, policy: BsdPolicy = FREEBSD_5) -> None:
        self.policy = policy
        self.fragments = self.fragdropped = self.fragtimeout = self.toosmall = self.toolong = self.reassembled = 0
        self.held = 0
        self._queues: dict[Key, _Queue[Item]] = {}  # oldest first, which is the order of their deadlines

    # -- fragments come ------------------------------------------------------------------------------------------

    def add(self, octets: bytes, now: float, item: Item) -> Result[Item]:
        """One packet, its header tested and its padding trimmed.  Whoever calls has let expire what was due."""
        first, tos, total_length, identification, field, protocol, source, destination = unpack_header(octets)
        if not field & 0x3FFF:
            return Result(Outcome.PASSED, octets=octets)
        policy = self.policy
        full = policy.fragments is not None and self.held >= policy.fragments
        if full or policy.packets == 0 or policy.fragments_per_packet == 0:
            self.fragments += 1
            return self._dropped(item, Loss.REFUSED)

        more = bool(field & 0x2000)
        data = octets[(first & 15) * 4 : total_length]
        new = _Fragment((field & 0x1FFF) * 8, data, more, tos, octets, item)
        if (more and (not data or len(data) & 7)) or (policy.drops_empty and not data):
            self.toosmall += 1
            return self._dropped(item, Loss.BAD, counted=policy.counts_bad)
        if policy.drops_beyond_maximum and new.end > MAXIMUM_LENGTH:
            self.toolong += 1
            return self._dropped(item, Loss.BAD)
        self.fragments += 1

        key = (source, destination, identification, protocol)
        queue = self._queues.get(key)
        if queue is None:
            return self._open(key, new, now)
        if policy.keeps_known_end and queue.contradicts(new):
            return self._dropped(item, Loss.BEYOND_END)
        if policy.compares_ecn and not _ecn_agrees(queue.fragments[0], new):
            return self._dropped(item, Loss.ECN_MIXED)
        lost: list[Lost[Item]] = []
        if not self._insert(queue.fragments, new, lost):
            return self._dropped(item, Loss.COVERED)
        if queue.complete():
            return self._join(key, queue, lost)
        if len(queue.fragments) > policy.fragments_per_packet:
            self._drop_queue(key, queue, Loss.TOO_MANY, lost)
            return Result(Outcome.DROPPED, lost=tuple(lost))
        return Result(Outcome.HELD, lost=tuple(lost))

    def _open(self, key: Key, new: _Fragment[Item], now: float) -> Result[Item]:
        """A new queue, for which the oldest may have to go."""
        policy = self.policy
        lost: list[Lost[Item]] = []
        if policy.packets is not None and len(self._queues) >= policy.packets:
            oldest = next(iter(self._queues))
            lost += self._expire(oldest, self._queues[oldest], Loss.EVICTED)
        ticks = int(now / policy.tick + 1e-6) * policy.tick if policy.tick else now
        queue: _Queue[Item] = _Queue(ticks + policy.lifetime)
        queue.contradicts(new)
        queue.fragments.append(new)
        self._queues[key] = queue
        self.held += 1
        return Result(Outcome.HELD, lost=tuple(lost))

    def _insert(self, fragments: list[_Fragment[Item]], new: _Fragment[Item], lost: list[Lost[Item]]) -> bool:
        """F-10.4: give way to the fragment before, take from those after.  False if nothing of it is new."""
        place = bisect_right(fragments, new.offset, key=_offset)
        if place and (overlap := fragments[place - 1].end - new.offset) > 0:
            if overlap >= len(new.data):
                return False
            new.trim(overlap)
        end = new.end
        while place < len(fragments) and (overlap := end - (after := fragments[place]).offset) > 0:
            if overlap < len(after.data):
                after.trim(overlap)
                break
            del fragments[place]
            self.held -= 1
            self.fragdropped += 1
            lost.append(Lost(after.item, Loss.COVERED))
        fragments.insert(place, new)
        self.held += 1
        return True

    def _join(self, key: Key, queue: _Queue[Item], lost: list[Lost[Item]]) -> Result[Item]:
        """Make the datagram, with the header of the first fragment (F-5), if it is not too long (F-10.3)."""
        fragments = queue.fragments
        lowest = fragments[0]
        header = lowest.octets[: (lowest.octets[0] & 15) * 4]
        data = b"".join([fragment.data for fragment in fragments])
        if len(header) + len(data) > MAXIMUM_LENGTH:
            self.toolong += 1
            self._drop_queue(key, queue, Loss.TOO_LONG, lost)
            return Result(Outcome.DROPPED, lost=tuple(lost))
        del self._queues[key]
        self.held -= len(fragments)
        self.reassembled += 1
        return Result(
            Outcome.REASSEMBLED,
            octets=datagram(header, data, tos=lowest.tos),
            merged=tuple([fragment.item for fragment in fragments]),
            lost=tuple(lost),
            header_of=lowest.item,
            lowest=lowest.item,
        )

    # -- fragments go --------------------------------------------------------------------------------------------

    def _dropped(self, item: Item, loss: Loss, *, counted: bool = True) -> Result[Item]:
        self.fragdropped += counted
        return Result(Outcome.DROPPED, lost=(Lost(item, loss),))

    def _drop_queue(self, key: Key, queue: _Queue[Item], loss: Loss, lost: list[Lost[Item]]) -> None:
        del self._queues[key]
        self.held -= len(queue.fragments)
        self.fragdropped += len(queue.fragments)
        lost.extend([Lost(fragment.item, loss) for fragment in queue.fragments])

    def _expire(self, key: Key, queue: _Queue[Item], loss: Loss) -> list[Lost[Item]]:
        del self._queues[key]
        self.held -= len(queue.fragments)
        self.fragtimeout += len(queue.fragments)
        return [Lost(fragment.item, loss) for fragment in queue.fragments]

    # -- time passes ---------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """When the next queue expires, seconds; None if nothing is held."""
        for queue in self._queues.values():
            return queue.deadline
        return None

    def expire(self, now: float) -> list[Timeout[Item]]:
        """Let go of every queue that is due.  No ICMP error follows (F-10.8)."""
        expired: list[Timeout[Item]] = []
        while self._queues:
            key, queue = next(iter(self._queues.items()))
            if queue.deadline > now + 1e-6:
                break
            about = queue.fragments[0]
            lost = tuple(self._expire(key, queue, Loss.TIMED_OUT))
            expired.append(Timeout(queue.deadline, lost, about.octets, about.offset == 0))
        return expired

    # -- what is held --------------------------------------------------------------------------------------------

    def pieces(self) -> dict[Key, list[tuple[int, int]]]:
        """For each datagram the start and end of its fragments, in order, for people and tests to look at."""
        return {
            key: [(fragment.offset, fragment.end) for fragment in queue.fragments]
            for key, queue in self._queues.items()
        }


def _ecn_agrees(lowest: _Fragment[Item], new: _Fragment[Item]) -> bool:
    """F-10.6: not-ECT and CE do not mix; a CE that agrees is passed on to the header."""
    ecn, known = new.tos & _CE, lowest.tos & _CE
    if ecn == _CE and known != _NOT_ECT:
        lowest.tos |= _CE
        return True
    return ecn != _CE and (ecn != _NOT_ECT or known == _NOT_ECT)
