"""The parameters of ``pipe|queue|sched N config`` as the tool of FreeBSD 8 and later reads them (dummynet.c).

Which parameters a command takes depends on what it makes: a pipe has a link, a flow set and a scheduler, a queue is a
flow set, a scheduler has a flow set of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from rules.ipfw.pipes.kinds import Kind
from rules.ipfw.pipes.numbers import (
    Wording,
    check_red,
    int32,
    read_burst,
    read_loss,
    read_mask,
    read_red,
    unsigned,
)
from rules.ipfw.pipes.values import FlowMask, FlowSet, Link
from rules.ipfw.switches import Switches
from rules.ipfw.words import DATA_ERROR, UNAVAILABLE, USAGE, RefusalError, Words, leading_number

__all__ = ["BYTE_LIMIT", "SLOT_LIMIT", "Request", "read_request"]

BYTE_LIMIT = 1024 * 1024
"""``net.inet.ip.dummynet.pipe_byte_limit``: the longest queue in octets."""

SLOT_LIMIT = 100
"""``net.inet.ip.dummynet.pipe_slot_limit``: the longest queue in packets."""

_WORDING = Wording(
    ports="port mask must be 16 bit",
    protocol="proto mask must be 8 bit",
    lowest_probability="0 <= max_p <= 1",
    zero_probability=True,
    whole_masks=("all", "queue"),
    ipv6=True,
)
_OTHER_AQM = ("codel", "pie", "fq_codel", "fq_pie")
_LONGEST_DELAY = 10000
_LONGEST_TYPE = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a config command asks for.

    The flow set's ``scheduler`` 0, ``weight``, ``lmax`` and ``priority`` -1 mean: as before.  ``type`` of the scheduler
    is empty for: as before.  ``mask``, ``masked`` and ``buckets`` are the scheduler's, a queue's are in its flow set.
    """

    number: int
    link: Link | None = None
    flow_set: FlowSet
    type: str = ""
    mask: FlowMask
    masked: bool = False
    buckets: int = 0


def read_request(words: Words, kind: Kind, switches: Switches) -> Request:
    """Everything behind ``config``."""
    word = words.peek() or ""
    number = int32(leading_number(words.take())[0]) if word[:1].isdigit() else -1
    if number <= 0:
        raise RefusalError("need a pipe/flowset/sched number", USAGE)
    return _Reader(words, kind, number, switches).read()


class _Reader:
    """Collects parameters."""

    def __init__(self, words: Words, kind: Kind, number: int, switches: Switches) -> None:
        self.words = words
        self.kind = kind
        self.number = number
        self.switches = switches
        self.bandwidth: int | None = None
        self.delay = 0
        self.burst = 0
        self.type = ""
        self.mask = FlowMask()
        self.masked = False
        self.buckets = 0
        self.ecn = False
        self.flow_set = FlowSet(number=number, weight=-1, lmax=-1, priority=-1)

    def read(self) -> Request:
        while self.words:
            word = self.words.take()
            if word in _OTHER_AQM and self.switches.other_queue_management:
                raise RefusalError(f"{word} is not modelled here", UNAVAILABLE)
            parameter = _PARAMETERS.get(word)
            if parameter is None:
                raise RefusalError(f"unrecognised option ``{word}''", DATA_ERROR)
            parameter(self, word)
        self.check()
        return self.request()

    def only_for(self, kinds: tuple[Kind, ...], complaint: str) -> None:
        if self.kind not in kinds:
            raise RefusalError(complaint, USAGE)

    def argument(self, complaint: str) -> str:
        self.words.need(complaint)
        return self.words.take()

    def integer(self, complaint: str) -> int:
        return int32(unsigned(self.argument(complaint))[0])

    # Parameters

    def noerror(self, word: str) -> None:
        self.flow_set = replace(self.flow_set, noerror=True)

    def plr(self, word: str) -> None:
        self.flow_set = replace(self.flow_set, loss=read_loss(self.argument("plr needs argument 0..1\n")))

    def queue(self, word: str) -> None:
        number, unit = unsigned(self.argument("queue needs queue size\n"))
        in_octets = unit[:1] in ("K", "k", "B") and bool(unit)
        if unit.startswith("by"):
            in_octets = True
            self.whole(unit, "bytes")
        self.flow_set = replace(self.flow_set, size=int32(number * 1024 if unit[:1] in ("K", "k") and unit else number))
        if in_octets:
            self.flow_set = replace(self.flow_set, in_octets=True)

    def whole(self, text: str, keyword: str) -> None:
        """A unit that is not spelled out is reported."""
        if text != keyword:
            self.words.warn(f"DEPRECATED: '{text}' matched '{keyword}'")

    def bucket(self, word: str) -> None:
        self.buckets = unsigned(self.argument("buckets needs argument\n"))[0] & 0xFFFFFFFF

    def read_mask(self, word: str) -> None:
        self.mask, masked = read_mask(self.words, _WORDING)
        self.masked = self.masked or masked

    def red(self, word: str) -> None:
        gentle = word == "gred" or (self.flow_set.red is not None and self.flow_set.red.gentle)
        self.flow_set = replace(self.flow_set, red=read_red(self.words, _WORDING, gentle=gentle))

    def mark(self, word: str) -> None:
        self.ecn = True

    def droptail(self, word: str) -> None:
        self.flow_set = replace(self.flow_set, red=None)

    def bw(self, word: str) -> None:
        self.only_for((Kind.PIPE,), "bw is only for links")
        text = self.argument("bw needs bandwidth or interface\n")
        if self.bandwidth is not None:
            self.words.warn("duplicate token, override bandwidth value!")
        if "a" <= text[:1] <= "z":
            raise RefusalError("no if support", 1)
        self.bandwidth = self.rate(text)

    def rate(self, text: str) -> int:
        """bit/s."""
        wide = self.switches.gigabits
        number, unit = unsigned(text)
        rate = number if wide else int32(number)
        factor = {"k": 1000, "m": 1_000_000, **({"g": 1_000_000_000} if wide else {})}.get(unit[:1].lower())
        if factor is not None:
            unit = unit[1:]
            rate = rate * factor if wide else int32(rate * factor)
        in_octets = False
        if unit.startswith("Bi"):
            self.whole(unit, "Bit/s")
        elif unit.startswith("B"):
            in_octets = True
        elif unit.startswith("by"):
            self.whole(unit, "bytes")
            in_octets = True
        if in_octets:
            rate = rate * 8 if wide else int32(rate * 8)
        if rate < 0 or rate > 0xFFFFFFFF:
            raise RefusalError("bandwidth too large", DATA_ERROR)
        return rate

    def delay_of(self, word: str) -> None:
        self.only_for((Kind.PIPE,), "delay is only for links")
        self.delay = self.integer("delay needs argument 0..10000ms\n")

    def type_of(self, word: str) -> None:
        self.only_for((Kind.PIPE, Kind.SCHED), "type is only for schedulers")
        text = self.argument("type needs a string")
        if not 0 < len(text) <= _LONGEST_TYPE:
            raise RefusalError(f"type {text} too long\n", 1)
        if text.lower() in _OTHER_AQM and self.switches.other_queue_management:
            raise RefusalError(f"type {text} is not modelled here", UNAVAILABLE)
        self.type = text

    def weight(self, word: str) -> None:
        self.flow_set = replace(self.flow_set, weight=self.integer("weight needs argument\n"))

    def lmax(self, word: str) -> None:
        self.flow_set = replace(self.flow_set, lmax=self.integer("lmax needs argument\n"))

    def priority(self, word: str) -> None:
        self.flow_set = replace(self.flow_set, priority=self.integer("priority needs argument\n"))

    def scheduler(self, word: str) -> None:
        self.flow_set = replace(self.flow_set, scheduler=self.integer("pipe/link/sched needs number\n"))

    def profile(self, word: str) -> None:
        self.only_for((Kind.PIPE,), "profile")
        self.argument("extra delay needs the file name\n")
        raise RefusalError("profile is not modelled here", UNAVAILABLE)

    def burst_of(self, word: str) -> None:
        self.only_for((Kind.PIPE,), "burst")
        self.burst = read_burst(self.argument("burst needs argument\n"))

    # All of them together

    def check(self) -> None:
        if self.delay > _LONGEST_DELAY:
            raise RefusalError("delay must be < 10000", DATA_ERROR)
        if self.flow_set.in_octets:
            if self.flow_set.size > BYTE_LIMIT:
                raise RefusalError(f"queue size must be < {BYTE_LIMIT}B", DATA_ERROR)
        elif self.flow_set.size > SLOT_LIMIT:
            raise RefusalError(f"2 <= queue size <= {SLOT_LIMIT}", DATA_ERROR)
        red = self.flow_set.red
        if self.ecn and red is None:
            raise RefusalError(self.switches.ecn_alone, USAGE)
        if red is not None:
            self.flow_set = replace(self.flow_set, red=replace(red, ecn=self.ecn))
            check_red(replace(red, ecn=self.ecn))

    def request(self) -> Request:
        link = None
        if self.kind is Kind.PIPE:
            link = Link(bandwidth=self.bandwidth or 0, delay=self.delay, burst=self.burst)
        if self.kind is Kind.QUEUE:
            self.flow_set = replace(self.flow_set, mask=self.mask, masked=self.masked, buckets=self.buckets)
        return Request(
            number=self.number,
            link=link,
            flow_set=self.flow_set,
            type=self.type,
            mask=self.mask,
            masked=self.masked,
            buckets=self.buckets,
        )


_PARAMETERS: dict[str, Callable[[_Reader, str], None]] = {
    "plr": _Reader.plr,
    "noerror": _Reader.noerror,
    "buckets": _Reader.bucket,
    "weight": _Reader.weight,
    "lmax": _Reader.lmax,
    "maxlen": _Reader.lmax,
    "mask": _Reader.read_mask,
    "sched_mask": _Reader.read_mask,
    "flow_mask": _Reader.read_mask,
    "droptail": _Reader.droptail,
    "ecn": _Reader.mark,
    "red": _Reader.red,
    "gred": _Reader.red,
    "bw": _Reader.bw,
    "bandwidth": _Reader.bw,
    "delay": _Reader.delay_of,
    "pipe": _Reader.scheduler,
    "sched": _Reader.scheduler,
    "queue": _Reader.queue,
    "pri": _Reader.priority,
    "priority": _Reader.priority,
    "type": _Reader.type_of,
    "profile": _Reader.profile,
    "burst": _Reader.burst_of,
}
