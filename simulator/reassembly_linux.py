"""Reassembly as Linux 2.2 does it (linux.md R2-R8, R11-R13, R15, R17; net/ipv4/ip_fragment.c).

A datagram's queue keeps pieces in order of their start.  A new fragment loses its front to the piece that starts
before it, and takes the front of the pieces that start at or after it: old data win backwards, new data forwards.
What that leaves of a fragment inside an older one is a piece of no or negative length, which stays, and spoils the
datagram once it is complete.  The procedure is the kernel's, step by step, because such corners follow from its order.

Time is a parameter.  The kernel counts in hundredths of a second, so do the timers here.
"""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter
from typing import Generic

from rules.addresses import dotted
from simulator.reassembly import Item, Key, Loss, Lost, Outcome, Result, Timeout, datagram, unpack_header
from simulator.wire.ipv4 import MAXIMUM_LENGTH

__all__ = ["HIGH_THRESHOLD", "LIFETIME", "LOW_THRESHOLD", "LinuxReassembly"]

LIFETIME = 30
"""Seconds from the last fragment of a datagram until its queue expires (R3)."""

HIGH_THRESHOLD, LOW_THRESHOLD = 262144, 196608
"""Octets of memory above which a packet's arrival evicts queues, and where that stops (R2)."""

_HZ = 100
_BUCKETS = 64
_QUEUE_MEMORY = 48 + 72
_PIECE_MEMORY = 28

_start = attrgetter("start")


class _Piece(Generic[Item]):
    """Part of a fragment: octets ``start`` up to ``end`` of the datagram, of which ``length`` are still its own."""

    __slots__ = ("data", "end", "item", "length", "memory", "octets", "start")

    def __init__(self, start: int, end: int, data: bytes, octets: bytes, item: Item) -> None:
        self.start = start
        self.end = end
        self.length = end - start
        self.data = data
        self.octets = octets
        self.item = item
        self.memory = _PIECE_MEMORY + (len(octets) + 32 + 15 & ~15)


class _Queue(Generic[Item]):
    """The pieces of one datagram."""

    __slots__ = ("bucket", "deadline", "header", "header_of", "pieces", "total")

    def __init__(self, bucket: int, header: bytes, item: Item) -> None:
        self.bucket = bucket
        self.header = header
        self.header_of = item
        self.pieces: list[_Piece[Item]] = []
        self.total: int | None = None
        self.deadline = 0

    def complete(self) -> bool:
        """Whether the end is known and no piece starts after the end of the one before it (R17.5)."""
        if self.total is None:
            return False
        reached = 0
        for piece in self.pieces:
            if piece.start > reached:
                return False
            reached = piece.end
        return True


class LinuxReassembly(Generic[Item]):
    """All datagrams that a Linux 2.2 host is putting together.  Its counters are those of the kernel's statistics."""

    __slots__ = (
        "_buckets",
        "_by_deadline",
        "failures",
        "held",
        "high",
        "low",
        "memory",
        "requests",
        "successes",
        "timeouts",
    )

    requests: int
    """Packets handed in (ReasmReqds)."""
    successes: int
    """Datagrams put together (ReasmOKs)."""
    failures: int
    """Fragments dropped as oversize, datagrams given up or expired (ReasmFails)."""
    timeouts: int
    """Datagrams expired (ReasmTimeout)."""
    memory: int
    """Octets as the kernel counts them (R15)."""
    held: int
    """Fragments held."""

    def __init__(self, *, high: int = HIGH_THRESHOLD, low: int = LOW_THRESHOLD) -> None:
        if not 0 <= low <= high:
            raise ValueError(f"thresholds {low=} and {high=} are not in order")
        self.high = high
        self.low = low
        self.requests = self.successes = self.failures = self.timeouts = self.memory = self.held = 0
        # A bucket lists its queues oldest first; the other dictionary lists all of them in order of their deadlines,
        # which is the order of their latest fragments, since they all live equally long.
        self._buckets: list[dict[Key, _Queue[Item]]] = [{} for _ in range(_BUCKETS)]
        self._by_deadline: dict[Key, _Queue[Item]] = {}

    # -- fragments come ------------------------------------------------------------------------------------------

    def add(self, octets: bytes, now: float, item: Item) -> Result[Item]:
        """One packet, its header tested and its padding trimmed.  Whoever calls has let expire what was due."""
        self.requests += 1
        lost = self._evict() if self.memory > self.high else []
        first, _, total_length, identification, field, protocol, source, destination = unpack_header(octets)
        header_length = (first & 15) * 4
        start = (field & 0x1FFF) * 8
        more = field & 0x2000
        key = (source, destination, identification, protocol)
        queue = self._by_deadline.get(key)

        if start == 0:
            if not more:
                if queue is not None:
                    self._give_up(key, queue, Loss.SUPERSEDED, lost)
                return Result(Outcome.PASSED, octets=octets, lost=tuple(lost))
            if queue is not None:
                queue.header = octets[:header_length]
                queue.header_of = item
        if queue is None:
            bucket = (identification >> 9 ^ source >> 24 ^ destination >> 24 ^ protocol) % _BUCKETS
            queue = _Queue(bucket, octets[:header_length], item)
            self._buckets[bucket][key] = queue
            self.memory += _QUEUE_MEMORY

        if start + total_length > MAXIMUM_LENGTH:
            self.failures += 1
            self._restart(key, queue, now)
            lost.append(Lost(item, Loss.BAD))
            message = f"Oversized packet received from {dotted(source)}"
            return Result(Outcome.DROPPED, lost=tuple(lost), log=(message,))

        end = start + total_length - header_length
        if not more:
            queue.total = end
        self._insert(queue, _Piece(start, end, octets[header_length:total_length], octets, item), lost)
        if queue.complete():
            return self._glue(key, queue, lost)
        self._restart(key, queue, now)
        return Result(Outcome.HELD, lost=tuple(lost))

    def _insert(self, queue: _Queue[Item], new: _Piece[Item], lost: list[Lost[Item]]) -> None:
        """R17.3-5: give way to the piece before, take from those after, and stand between them."""
        pieces = queue.pieces
        place = bisect_left(pieces, new.start, key=_start)
        if place and (reached := pieces[place - 1].end) > new.start:
            new.data = new.data[reached - new.start :]
            new.start = reached
            new.length = new.end - reached
        end = new.end
        while place < len(pieces) and (after := pieces[place]).start < end:
            cut = end - after.start
            after.start = end
            after.length -= cut
            after.data = after.data[cut:]
            if after.length > 0:
                break
            del pieces[place]
            self.memory -= after.memory
            self.held -= 1
            lost.append(Lost(after.item, Loss.COVERED))
        pieces.insert(place, new)
        self.memory += new.memory
        self.held += 1

    def _glue(self, key: Key, queue: _Queue[Item], lost: list[Lost[Item]]) -> Result[Item]:
        """R17.6: all of the datagram is there; it still may not fit together."""
        pieces = queue.pieces
        size = len(queue.header) + (queue.total or 0)
        if size > MAXIMUM_LENGTH:
            self.failures += 1
            self._give_up(key, queue, Loss.TOO_LONG, lost)
            return Result(Outcome.DROPPED, lost=tuple(lost), log=(f"Oversized IP packet from {dotted(key[0])}.",))
        count = len(queue.header)
        for piece in pieces:
            count += piece.length
            if piece.length <= 0 or count > size:
                self.failures += 1
                self._give_up(key, queue, Loss.FAILED, lost)
                return Result(Outcome.DROPPED, lost=tuple(lost))
        self.successes += 1
        self._remove(key, queue)
        return Result(
            Outcome.REASSEMBLED,
            octets=datagram(queue.header, b"".join([piece.data for piece in pieces])),
            merged=tuple([piece.item for piece in pieces]),
            lost=tuple(lost),
            header_of=queue.header_of,
            lowest=pieces[0].item,
        )

    # -- queues go -----------------------------------------------------------------------------------------------

    def _evict(self) -> list[Lost[Item]]:
        """R2: the oldest queue of each bucket, round and round, until the memory is down to the lower threshold."""
        lost: list[Lost[Item]] = []
        while self.memory > self.low and self._by_deadline:
            for bucket in self._buckets:
                if self.memory <= self.low:
                    break
                if bucket:
                    key, queue = next(iter(bucket.items()))
                    self._give_up(key, queue, Loss.EVICTED, lost)
        return lost

    def _give_up(self, key: Key, queue: _Queue[Item], loss: Loss, lost: list[Lost[Item]]) -> None:
        self._remove(key, queue)
        lost.extend([Lost(piece.item, loss) for piece in queue.pieces])

    def _remove(self, key: Key, queue: _Queue[Item]) -> None:
        self.memory -= _QUEUE_MEMORY + sum([piece.memory for piece in queue.pieces])
        self.held -= len(queue.pieces)
        del self._buckets[queue.bucket][key]
        self._by_deadline.pop(key, None)

    # -- time passes ---------------------------------------------------------------------------------------------

    def _restart(self, key: Key, queue: _Queue[Item], now: float) -> None:
        """R3: every fragment that does not end the queue starts its timer anew."""
        queue.deadline = _ticks(now) + LIFETIME * _HZ
        self._by_deadline.pop(key, None)
        self._by_deadline[key] = queue

    def next_deadline(self) -> float | None:
        """When the next queue expires, seconds; None if nothing is held."""
        for queue in self._by_deadline.values():
            return queue.deadline / _HZ
        return None

    def expire(self, now: float) -> list[Timeout[Item]]:
        """Let go of every queue that is due.  One without a piece goes silently and uncounted (R3)."""
        ticks = _ticks(now)
        due: list[tuple[Key, _Queue[Item]]] = []
        for key, queue in self._by_deadline.items():
            if queue.deadline > ticks:
                break
            due.append((key, queue))
        expired: list[Timeout[Item]] = []
        for key, queue in due:
            lost: list[Lost[Item]] = []
            self._give_up(key, queue, Loss.TIMED_OUT, lost)
            if queue.pieces:
                self.timeouts += 1
                self.failures += 1
                about = queue.pieces[0].octets
                has_start = not (about[6] & 0x1F or about[7])
                expired.append(Timeout(queue.deadline / _HZ, tuple(lost), about, has_start))
        return expired

    # -- what is held --------------------------------------------------------------------------------------------

    def pieces(self) -> dict[Key, list[tuple[int, int]]]:
        """For each datagram the start and end of its pieces, in order, for people and tests to look at."""
        return {key: [(piece.start, piece.end) for piece in queue.pieces] for key, queue in self._by_deadline.items()}


def _ticks(now: float) -> int:
    """Hundredths of a second; the small allowance keeps 0.29 from being 28 of them."""
    return int(now * _HZ + 0.001)
