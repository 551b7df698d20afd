"""Rows of the table: fragments that Linux 2.2 puts together otherwise than the machine's kernel.

For today's kernel what overlaps is an attack (RFC 5722).  To say exactly what either side does takes a model of it:
`kernel_collects` follows ip_frag_queue and inet_frag_queue_insert of Linux 5.0 and later, `old_collects` the rule of
linux.md R5, for the cases in which nothing is left over of a fragment within another (R6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from datagrams import ip, ping
from kernel_difference import Difference, Outcome, Question
from kernel_octets import ICMP, MORE_FRAGMENTS, OFFSET, field, header_length, mended
from kernel_router import Answers, Sent

from simulator.wire import icmp

__all__ = ["PATIENCE", "REASSEMBLY", "kernel_collects", "part"]

LINUX = ("linux-2.2",)
LEFT, ROUTER = "192.168.1.2", "192.168.1.1"


class Part(NamedTuple):
    """A fragment: octets `start` up to `end` of the payload."""

    start: int
    end: int
    last: bool
    data: bytes


def _parts(asked: Question) -> list[Part]:
    found = []
    for _, octets in asked:
        data = octets[header_length(octets) : field(octets, 2, 2)]
        word = field(octets, 6, 2)
        start = (word & OFFSET) * 8
        found.append(Part(start, start + len(data), not word & MORE_FRAGMENTS, data))
    return found


def part(octets: bytes, start: int, end: int, *, data: bytes | None = None) -> Sent:
    """That part of a datagram's payload as a fragment from the left; `data` instead of what the datagram has."""
    header, payload = octets[: header_length(octets)], octets[header_length(octets) :]
    held = payload[start:end] if data is None else data
    word = start // 8 | (MORE_FRAGMENTS if end < len(payload) else 0)
    length = (len(header) + len(held)).to_bytes(2, "big")
    return "eth0", mended(header[:2] + length + header[4:6] + word.to_bytes(2, "big") + header[8:] + held)


# -- both sides' rules -------------------------------------------------------------------------------------------------


class _KernelQueue:
    """The fragments of one datagram.  A run is what came in one go, each fragment behind the one before."""

    def __init__(self) -> None:
        self.runs: list[tuple[int, int]] = []
        self.data: dict[int, int] = {}
        self.length = 0
        self.has_last = False

    def take(self, start: int, end: int, last: bool, data: bytes) -> bool:
        """Whether the queue lives on."""
        if not last:
            end -= (end - start) % 8 if start % 8 == 0 else 0
        known = self.has_last
        if last and (end < self.length or (known and end != self.length)):
            return False
        if not last and end > self.length and known:
            return False
        self.has_last |= last
        self.length = max(self.length, end)
        if end == start:
            return False
        if self.runs and end <= self.runs[-1][1]:
            place = next((at for at, run in enumerate(self.runs) if start < run[1]), len(self.runs))
            run = self.runs[place]
            if end > run[0]:
                return run[0] <= start and end <= run[1]  # known already, or an overlap
            self.runs.insert(place, (start, end))
        elif self.runs and start < self.runs[-1][1]:
            return False
        elif self.runs and start == self.runs[-1][1]:
            self.runs[-1] = (self.runs[-1][0], end)
        else:
            self.runs.append((start, end))
        self.data.update(zip(range(start, end), data, strict=False))
        return True

    @property
    def whole(self) -> bytes | None:
        if not self.has_last or len(self.data) != self.length:
            return None
        return bytes(self.data[at] for at in range(self.length))


def kernel_collects(asked: Question) -> Iterator[bytes]:
    """The payloads that the kernel makes of fragments of one datagram."""
    queue = _KernelQueue()
    for each in _parts(asked):
        if each.start == 0 and each.last:  # no fragment at all
            yield each.data
        elif not queue.take(*each) or queue.whole is not None:
            if queue.whole is not None:
                yield queue.whole
            queue = _KernelQueue()


def old_collects(asked: Question) -> Iterator[bytes]:
    """The payloads that Linux 2.2 makes of them: against a fragment that starts before, the octets that are there
    stay; against all others the new ones count (R5)."""
    octets: dict[int, tuple[int, int]] = {}  # position: value, and where its fragment starts
    total = None
    for start, end, last, data in _parts(asked):
        begin = start
        while begin in octets and octets[begin][1] < start:
            begin += 1
        for at in range(begin, end):
            octets[at] = (data[at - start], begin)
        total = end if last else total
        if total is not None and all(at in octets for at in range(total)):
            yield bytes(octets[at][0] for at in range(total))
            octets, total = {}, None


# -- what comes of it --------------------------------------------------------------------------------------------------


def _answers(collects: Callable[[Question], Iterator[bytes]]) -> Callable[[Question], Answers]:
    """Replies to the echo requests that come together."""

    def answers(asked: Question) -> Answers:
        source, tos = ".".join(map(str, asked[0][1][12:16])), asked[0][1][1]
        replies = [
            ip(ROUTER, source, ICMP, icmp.reply_to(payload), ttl=255, tos=tos, identification=number)
            for number, payload in enumerate(collects(asked))
        ]
        return {"eth0": replies} if replies else {}

    return answers


def _of_one(asked: Question) -> bool:
    """All are fragments of one datagram to the router, from the left."""
    good = all(name == "eth0" and len(octets) >= 20 and octets[0] == 0x45 for name, octets in asked)
    keys = {(octets[4:6], octets[9], octets[12:20]) for _, octets in asked} if good else set()
    parted = good and all(field(octets, 6, 2) & 0x3FFF for _, octets in asked)
    return parted and len(keys) == 1 and asked[0][1][9] == ICMP and asked[0][1][16:20] == bytes((192, 168, 1, 1))


def _pairs(asked: Question) -> Iterator[tuple[Part, Part]]:
    """Each fragment with each that came before it, where they share octets."""
    parts = _parts(asked) if _of_one(asked) else []
    for number, new in enumerate(parts):
        for old in parts[:number]:
            if new.start < old.end and old.start < new.end:
                yield old, new


def _overlaps(asked: Question) -> bool:
    """One covers a part of another."""
    return any(not (old.start <= new.start and new.end <= old.end) for old, new in _pairs(asked)) and not _odd(asked)


def _repeats(asked: Question) -> bool:
    """Others repeat, octet for octet, where a fragment stands, but not its octets."""
    pairs = list(_pairs(asked))
    same = all((old.start, old.end) == (new.start, new.end) for old, new in pairs)
    return same and any(old.data != new.data for old, new in pairs)


def _odd(asked: Question) -> bool:
    """One that is not the last holds no multiple of eight octets."""
    return _of_one(asked) and any(not each.last and (each.end - each.start) % 8 for each in _parts(asked))


def _empty(asked: Question) -> bool:
    return _of_one(asked) and any(each.start == each.end for each in _parts(asked))


def _without_empty(asked: Question) -> Question:
    return [sent for sent, each in zip(asked, _parts(asked), strict=True) if each.start != each.end]


def _swapped(data: bytes) -> bytes:
    """Other octets with the same checksum."""
    return data[2:4] + data[:2] + data[4:]


def _request(identification: int) -> bytes:
    """An echo request whose message has 56 octets."""
    return ping(LEFT, ROUTER, data=bytes(range(48)), identification=identification)


def _data(octets: bytes, start: int, end: int) -> bytes:
    return octets[20 + start : 20 + end]


def _overlapping(number: int, *ranges: tuple[int, int]) -> Question:
    return [part(_request(number), start, end) for start, end in ranges]


_OTHER, _ODD, _EMPTY = _request(901), _request(902), _request(903)

PATIENCE = Difference(
    name="when fragments are given up",
    kernel="`ipfrag_time` after the first that came",
    ours="30 seconds after the latest that came",
    source="linux.md R3; the timer is set once since 2.6",
    profiles=LINUX,
    examples=(),
)
"""Asserted by the test that has a clock."""

REASSEMBLY: tuple[Difference, ...] = (
    PATIENCE,
    Outcome(
        name="fragments that overlap in part",
        kernel="all that is there of the datagram is dropped",
        ours="old octets count against a fragment that starts later, new ones against all others",
        source="linux.md R5; RFC 5722 for IPv4 since 4.19",
        profiles=LINUX,
        applies=_overlaps,
        kernel_sends=_answers(kernel_collects),
        we_send=_answers(old_collects),
        examples=(
            _overlapping(910, (0, 24), (16, 40), (40, 56)),
            _overlapping(911, (24, 56), (0, 32)),
            _overlapping(912, (0, 24), (32, 56), (16, 40)),
        ),
    ),
    Outcome(
        name="a fragment that comes again with other octets",
        kernel="the first one counts",
        ours="the last one counts",
        source="linux.md R5; duplicates are left alone since 5.0",
        profiles=LINUX,
        applies=_repeats,
        kernel_sends=_answers(kernel_collects),
        we_send=_answers(old_collects),
        examples=(
            [
                part(_OTHER, 8, 32),
                part(_OTHER, 8, 32, data=_swapped(_data(_OTHER, 8, 32))),
                part(_OTHER, 0, 8),
                part(_OTHER, 32, 56),
            ],
        ),
    ),
    Outcome(
        name="octets beyond a multiple of eight",
        kernel="cut off",
        ours="kept",
        source="linux.md R12; ip_frag_queue since 2.4",
        profiles=LINUX,
        applies=_odd,
        kernel_sends=_answers(kernel_collects),
        we_send=_answers(old_collects),
        examples=(
            [
                part(_ODD, 0, 20, data=_data(_ODD, 0, 16) + _data(_ODD, 18, 20) + _data(_ODD, 16, 18)),
                part(_ODD, 16, 56),
            ],
        ),
    ),
    Outcome(
        name="a fragment without octets",
        kernel="all that is there of the datagram is dropped",
        ours="nothing, where another one with the same start comes later",
        source="linux.md R11; ip_frag_queue since 2.6",
        profiles=LINUX,
        applies=_empty,
        kernel_sends=_answers(kernel_collects),
        we_send=_answers(lambda asked: old_collects(_without_empty(asked))),
        examples=([part(_EMPTY, 0, 24), part(_EMPTY, 24, 24), part(_EMPTY, 24, 56)],),
    ),
)
