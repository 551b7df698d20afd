"""The parameters of ``pipe|queue N config`` as FreeBSD 4 and DragonFly read them (config_pipe of ipfw2.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from rules.ipfw.pipes.kinds import Kind
from rules.ipfw.pipes.numbers import Wording, check_red, int32, read_loss, read_mask, read_red, unsigned
from rules.ipfw.pipes.values import FlowSet, Link
from rules.ipfw.switches import Switches
from rules.ipfw.words import DATA_ERROR, UNAVAILABLE, RefusalError, Words, leading_number

__all__ = ["BYTE_LIMIT", "SLOT_LIMIT", "Request", "read_request"]

BYTE_LIMIT = 1024 * 1024
SLOT_LIMIT = 100
"""The longest queue, in octets and in packets."""

_LONGEST_DELAY = 10000
_HEAVIEST = 100

_WORDING = Wording(
    ports="mask: must be 16 bit",
    protocol="mask: must be 8 bit",
    lowest_probability="0 < max_p <= 1",
    zero_probability=False,
    whole_masks=("all",),
    ipv6=False,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a config command asks for; the flow set's ``scheduler`` is the pipe that a queue belongs to."""

    number: int
    link: Link
    flow_set: FlowSet


def read_request(words: Words, kind: Kind, switches: Switches) -> Request:
    """Everything behind ``config``; the number may be missing, and is 0 then."""
    word = words.peek() or ""
    number = int32(leading_number(words.take())[0]) if word[:1].isdigit() else 0
    return _Reader(words, kind, number, switches).read()


class _Reader:
    """Collects parameters."""

    def __init__(self, words: Words, kind: Kind, number: int, switches: Switches) -> None:
        self.words = words
        self.kind = kind
        self.number = number
        self.switches = switches
        self.link = Link()
        self.flow_set = FlowSet(number=number)

    def read(self) -> Request:
        while self.words:
            parameter = _PARAMETERS.get(self.words.take())
            if parameter is None:
                # The tool is one word too far already when it complains.
                raise RefusalError(f"unrecognised option ``{self.words.peek() or '(null)'}''", DATA_ERROR)
            parameter(self)
        self.check()
        return Request(number=self.number, link=self.link, flow_set=self.flow_set)

    def only_for(self, kind: Kind, complaint: str) -> None:
        if self.kind is not kind:
            raise RefusalError(complaint, DATA_ERROR)

    def argument(self, complaint: str) -> str:
        self.words.need(complaint)
        return self.words.take()

    # Parameters

    def noerror(self) -> None:
        self.flow_set = replace(self.flow_set, noerror=True)

    def plr(self) -> None:
        self.flow_set = replace(self.flow_set, loss=read_loss(self.argument("plr needs argument 0..1\n")))

    def queue(self) -> None:
        size, in_octets = self.amount(self.argument("queue needs queue size\n"))
        self.flow_set = replace(self.flow_set, size=size)
        if in_octets:
            self.flow_set = replace(self.flow_set, in_octets=True)

    def amount(self, text: str) -> tuple[int, bool]:
        """A queue's length, and whether it is one in octets."""
        number, unit = unsigned(text)
        if self.switches.units_in_full:
            factor = {"k": 1024, "m": 1024 * 1024}.get(unit[:1].lower(), 1)
            return int32(number * factor), _counts_octets(unit[1:] if factor > 1 else unit)
        if unit[:1] in ("K", "k") and unit:
            return int32(number * 1024), True
        return int32(number), unit.startswith(("B", "by"))

    def buckets(self) -> None:
        self.flow_set = replace(self.flow_set, buckets=int32(unsigned(self.argument("buckets needs argument\n"))[0]))

    def mask(self) -> None:
        mask, masked = read_mask(self.words, _WORDING)
        self.flow_set = replace(self.flow_set, mask=mask, masked=self.flow_set.masked or masked)

    def red(self) -> None:
        gentle = self.flow_set.red is not None and self.flow_set.red.gentle
        self.flow_set = replace(self.flow_set, red=read_red(self.words, _WORDING, gentle=gentle))

    def gred(self) -> None:
        self.flow_set = replace(self.flow_set, red=read_red(self.words, _WORDING, gentle=True))

    def droptail(self) -> None:
        self.flow_set = replace(self.flow_set, red=None)

    def bw(self) -> None:
        text = self.argument("bw needs bandwidth or interface\n")
        self.only_for(Kind.PIPE, "bandwidth only valid for pipes")
        if not self.switches.units_in_full and "a" <= text[:1] <= "z":
            raise RefusalError(f"bw {text}: an interface as clock is not modelled here", UNAVAILABLE)
        rate = self.rate(text)
        if rate < 0:
            raise RefusalError("bandwidth too large", DATA_ERROR)
        self.link = replace(self.link, bandwidth=rate)

    def rate(self, text: str) -> int:
        """bit/s."""
        number, unit = unsigned(text)
        thousands = {"k": 1000, "K": 1000, "M": 1_000_000}
        if self.switches.units_in_full:
            thousands["m"] = 1_000_000
        factor = thousands.get(unit[:1], 1)
        unit = unit[1:] if factor > 1 else unit
        octets = _counts_octets(unit) if self.switches.units_in_full else unit.startswith(("B", "by"))
        return int32(int32(number * factor) * 8 if octets else number * factor)

    def delay(self) -> None:
        self.only_for(Kind.PIPE, "delay only valid for pipes")
        self.link = replace(self.link, delay=int32(unsigned(self.argument("delay needs argument 0..10000ms\n"))[0]))

    def weight(self) -> None:
        self.only_for(Kind.QUEUE, "weight only valid for queues")
        self.flow_set = replace(
            self.flow_set, weight=int32(unsigned(self.argument("weight needs argument 0..100\n"))[0])
        )

    def pipe(self) -> None:
        self.only_for(Kind.QUEUE, "pipe only valid for queues")
        self.flow_set = replace(
            self.flow_set, scheduler=unsigned(self.argument("pipe needs pipe_number\n"))[0] & 0xFFFF
        )

    # All of them together

    def check(self) -> None:
        if self.kind is Kind.PIPE:
            self.refuse_if(self.number == 0, "pipe_nr must be > 0")
            self.refuse_if(self.link.delay > _LONGEST_DELAY, "delay must be < 10000")
        else:
            self.refuse_if(self.flow_set.scheduler == 0, "pipe must be > 0")
            self.refuse_if(self.flow_set.weight > _HEAVIEST, "weight must be <= 100")
        if self.flow_set.in_octets:
            self.refuse_if(self.flow_set.size > BYTE_LIMIT, "queue size must be < 1MB")
        else:
            self.refuse_if(self.flow_set.size > SLOT_LIMIT, "2 <= queue size <= 100")
        if self.flow_set.red is not None:
            check_red(self.flow_set.red)

    @staticmethod
    def refuse_if(wrong: bool, complaint: str) -> None:
        if wrong:
            raise RefusalError(complaint, DATA_ERROR)


def _counts_octets(unit: str) -> bool:
    """``bit`` and ``byte`` in any case; alone, b is bits and B octets (getbw of DragonFly's tool)."""
    if unit.lower().startswith("bit"):
        return False
    return unit.lower().startswith("byte") or unit.startswith("B")


_PARAMETERS: dict[str, Callable[[_Reader], None]] = {
    "plr": _Reader.plr,
    "noerror": _Reader.noerror,
    "buckets": _Reader.buckets,
    "weight": _Reader.weight,
    "mask": _Reader.mask,
    "droptail": _Reader.droptail,
    "red": _Reader.red,
    "gred": _Reader.gred,
    "bw": _Reader.bw,
    "bandwidth": _Reader.bw,
    "delay": _Reader.delay,
    "pipe": _Reader.pipe,
    "queue": _Reader.queue,
}
