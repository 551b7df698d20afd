"""Pipes of FreeBSD 8 and later: links, schedulers and flow sets, as the kernel keeps them (ip_dummynet.c).

``pipe N config`` makes a link with two schedulers on it: N, which serves the queues that name it, and N + SPAN, a FIFO
for what ``pipe N`` rules send, with a flow set of its own (N + 2 * SPAN).  ``sched N config`` sets the type of the
scheduler N, ``queue N config`` makes the flow set N.  A change of a scheduler's type or mask, of a queue's parameters,
and every deletion loses what is queued; a change of a link's bandwidth, delay or burst does not.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from rules.ipfw.pipes import modernlisting
from rules.ipfw.pipes.kinds import Kind
from rules.ipfw.pipes.modernwords import BYTE_LIMIT, SLOT_LIMIT, Request, read_request
from rules.ipfw.pipes.values import NO_TRAFFIC, SPAN, FlowMask, FlowSet, Link, Traffic
from rules.ipfw.switches import Switches
from rules.ipfw.words import RefusalError, Words

__all__ = ["SCHEDULERS", "ModernPipes", "Scheduler", "table_size"]

_HASH_SIZE = 64
"""``net.inet.ip.dummynet.hash_size``."""
_LARGEST_HASH = 65536
_FIFO, _WF2Q = "FIFO", "WF2Q+"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bound:
    """A parameter of a flow set that a scheduler keeps within limits; ``name``: in the kernel's message."""

    parameter: Literal["weight", "lmax"]
    default: int
    low: int
    high: int
    name: str


SCHEDULERS: dict[str, tuple[_Bound, ...]] = {
    _FIFO: (),
    _WF2Q: (_Bound(parameter="weight", default=1, low=1, high=100, name="WF2Q+ weight"),),
    "RR": (
        _Bound(parameter="weight", default=1, low=1, high=65536, name="RR weight"),
        _Bound(parameter="lmax", default=1500, low=64, high=2048, name="RR quantum"),
    ),
    "QFQ": (
        _Bound(parameter="weight", default=1, low=1, high=65536, name="qfq weight"),
        _Bound(parameter="lmax", default=1500, low=1, high=2000, name="qfq maxlen"),
    ),
    "PRIO": (_Bound(parameter="weight", default=0, low=0, high=63, name="PRIO priority"),),
}
"""The types, with what each asks of its flow sets.  All but FIFO serve many queues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """A scheduler and the link it serves; ``flow_set`` is FIFO's own, 0 for the others."""

    number: int
    type: str
    mask: FlowMask = field(default_factory=FlowMask)
    masked: bool = False
    buckets: int = 0
    link: Link = field(default_factory=Link)
    flow_set: int = 0

    @property
    def many_queues(self) -> bool:
        return self.type != _FIFO


def table_size(buckets: int) -> int:
    """Slots of the hash table that is made for so many buckets: the next or the previous power of two (dn_ht_init)."""
    largest = (1 << buckets.bit_length()) - 1
    smallest = largest >> 1
    return (largest if smallest * 4000 // 3000 < buckets else smallest) + 1


class ModernPipes:
    """The configuration.  ``say`` takes the kernel's messages."""

    def __init__(self, switches: Switches) -> None:
        self.switches = switches
        self.traffic: Traffic = NO_TRAFFIC
        self.say: Callable[[str], object] = lambda message: None
        self.schedulers: dict[int, Scheduler] = {}
        self.flow_sets: dict[int, FlowSet] = {}
        self.attached: dict[int, list[int]] = {}
        """By scheduler: its flow sets, the one attached last first."""

    # What the tool does

    def configure(self, kind: Kind, words: Words, *, dry: bool) -> None:
        """``config``: read everything, then change."""
        request = read_request(words, kind, self.switches)
        if dry:
            return
        error = _CONFIGURE[kind](self, request)
        if error:
            raise RefusalError(f"setsockopt(IP_DUMMYNET_CONFIGURE): {os.strerror(error)}", 1)

    def delete(self, kind: Kind, numbers: list[int]) -> tuple[list[str], int]:
        """``delete N ...``: what the tool complains of, and its exit status: the last number's."""
        complaints, status = [], 0
        for number in numbers:
            status = 0 if _DELETE[kind](self, number) else 1
            if status:
                # The tool prints its own exit status where the number should be.
                complaints.append(f"rule 1: setsockopt(IP_DUMMYNET_DEL): {os.strerror(errno.EINVAL)}")
        return complaints, status

    def flush(self) -> str:
        """``flush``: everything goes; nothing is said."""
        for number in [*self.schedulers]:
            self._drop_scheduler(number)
        for number in [*self.flow_sets]:
            self._drop_flow_set(number)
        return ""

    def listing(self, kind: Kind, words: Words, *, verbose: bool) -> str:
        """``list`` and ``show``."""
        return modernlisting.listing(self, kind, words, verbose=verbose)

    # config

    def _configure_pipe(self, request: Request) -> int:
        if not 0 < request.number < SPAN or request.link is None:
            return errno.EINVAL
        error = self._configure_scheduler(request, pipe=True)
        if error:
            return error
        for number in (request.number, request.number + SPAN):
            self.schedulers[number] = replace(self.schedulers[number], link=request.link)
            self.traffic.link_changed(number)
        flow_set = replace(
            request.flow_set,
            number=request.number + 2 * SPAN,
            scheduler=request.flow_set.scheduler or request.number + SPAN,
        )
        self._configure_flow_set(flow_set)
        return 0

    def _configure_queue(self, request: Request) -> int:
        flow_set = request.flow_set
        before = self.flow_sets.get(flow_set.number)
        if flow_set.number >= 3 * SPAN or (before is None and not flow_set.scheduler):
            return errno.EPERM
        self._configure_flow_set(flow_set)
        return 0

    def _configure_sched(self, request: Request) -> int:
        if not 0 < request.number < SPAN:
            return errno.EINVAL
        error = self._configure_scheduler(request, pipe=False)
        if error:
            return error
        own = replace(
            request.flow_set,
            number=request.number + SPAN,
            scheduler=request.flow_set.scheduler or request.number,
        )
        self._configure_flow_set(own)
        return 0

    def _configure_scheduler(self, request: Request, *, pipe: bool) -> int:
        """The scheduler N, then the FIFO behind it; a pipe's mask is the FIFO's."""
        type_of = self._type(request.type)
        if type_of is None:
            return errno.EINVAL
        number = request.number
        buckets = self._buckets(request.buckets, "sched buckets") if request.masked else request.buckets
        wanted = Scheduler(number=number, type="", mask=request.mask, masked=request.masked, buckets=buckets)
        before = self.schedulers.get(number)
        if type_of:
            self._make(replace(wanted, type=type_of))
        elif before is None:
            plain = Scheduler(number=number, type=_WF2Q) if pipe else replace(wanted, type=_WF2Q)
            self._make(plain)
        elif not pipe:
            self._make(replace(wanted, type=before.type))
        fifo = replace(wanted, number=number + SPAN, type=_FIFO)
        if pipe or fifo.number not in self.schedulers:
            self._make(fifo)
        return 0

    @staticmethod
    def _type(text: str) -> str | None:
        """The type of that name in any case; empty for none given, None for an unknown one."""
        if not text:
            return ""
        return next((name for name in SCHEDULERS if name.lower() == text.lower()), None)

    def _make(self, wanted: Scheduler) -> None:
        """A scheduler as wanted: new, the same as before, or made anew on the same link."""
        number = wanted.number
        before = self.schedulers.get(number)
        if before is not None:
            wanted = replace(wanted, link=before.link)
            if replace(before, flow_set=0) == wanted:
                return
            self._drop_scheduler(number)
        if not wanted.many_queues:
            own = number if number in self.flow_sets else number + SPAN
            wanted = replace(wanted, flow_set=own)
            if own == number + SPAN:
                self.schedulers[number] = wanted
                self._configure_flow_set(FlowSet(number=own, scheduler=number))
        self.schedulers[number] = wanted
        for flow_set in [*self.flow_sets.values()]:
            if flow_set.scheduler == number and flow_set.number not in self.attached.get(number, ()):
                self._attach(flow_set)

    def _configure_flow_set(self, wanted: FlowSet) -> None:
        """A flow set as wanted; an old one keeps what is not said anew."""
        wanted = self._sized(wanted)
        if wanted.masked:
            wanted = replace(wanted, buckets=self._buckets(wanted.buckets, "flowset buckets"))
        else:
            wanted = replace(wanted, buckets=1)
        before = self.flow_sets.get(wanted.number, FlowSet(number=wanted.number))
        wanted = replace(
            wanted,
            scheduler=wanted.scheduler or before.scheduler,
            weight=before.weight if wanted.weight == -1 else wanted.weight,
            lmax=before.lmax if wanted.lmax == -1 else wanted.lmax,
            priority=before.priority if wanted.priority == -1 else wanted.priority,
        )
        if wanted == before and not self.mask_of(before):
            return
        self._detach(before)
        self.flow_sets[wanted.number] = wanted
        if wanted.scheduler in self.schedulers:
            self._attach(wanted)

    def _sized(self, flow_set: FlowSet) -> FlowSet:
        """A queue's length within its limits, 50 slots or 16,384 octets where none is given."""
        if flow_set.in_octets:
            size = flow_set.size if flow_set.size >= 1500 else 16384
            return replace(flow_set, size=min(size, BYTE_LIMIT))
        size = flow_set.size if flow_set.size >= 1 else 50
        return replace(flow_set, size=min(size, SLOT_LIMIT))

    def _buckets(self, buckets: int, name: str) -> int:
        return self._bound(buckets, _HASH_SIZE, 1, _LARGEST_HASH, name)

    def _bound(self, number: int, default: int, low: int, high: int, name: str) -> int:
        """A number within limits; the kernel says when it had to change it (ipdn_bound_var)."""
        if low <= number <= high:
            return number
        bounded, what = (default, "Bump") if number < low else (high, "Clamp")
        self.say(f"{what} {name} to {bounded} (was {number})")
        return bounded

    def _attach(self, flow_set: FlowSet) -> None:
        scheduler = self.schedulers[flow_set.scheduler]
        for bound in SCHEDULERS[scheduler.type]:
            is_weight = bound.parameter == "weight"
            number = flow_set.weight if is_weight else flow_set.lmax
            number = self._bound(number, bound.default, bound.low, bound.high, bound.name)
            flow_set = replace(flow_set, weight=number) if is_weight else replace(flow_set, lmax=number)
        self.flow_sets[flow_set.number] = flow_set
        self.attached.setdefault(scheduler.number, []).insert(0, flow_set.number)

    def mask_of(self, flow_set: FlowSet) -> FlowMask:
        """By which the queues of a flow set are told apart: its own mask and its scheduler's."""
        scheduler = self.schedulers.get(flow_set.scheduler)
        if scheduler is None or not scheduler.masked:
            return flow_set.mask
        return flow_set.mask | scheduler.mask

    # delete

    def _detach(self, flow_set: FlowSet) -> None:
        """Its queues go; the flow set itself stays, served by nobody."""
        siblings = self.attached.get(flow_set.scheduler, [])
        if flow_set.number in siblings:
            siblings.remove(flow_set.number)
        self.traffic.queues_gone(flow_set.number)

    def _drop_flow_set(self, number: int) -> bool:
        flow_set = self.flow_sets.pop(number, None)
        if flow_set is None:
            return False
        self._detach(flow_set)
        return True

    def _drop_scheduler(self, number: int) -> bool:
        if self.schedulers.pop(number, None) is None:
            return False
        for flow_set in self.attached.pop(number, []):
            self.traffic.queues_gone(flow_set)
        self.traffic.scheduler_gone(number)
        return True

    def _delete_pipe(self, number: int) -> bool:
        """Both schedulers, with the flow sets of their own."""
        done = True
        for each in (number, number + SPAN):
            if each in self.schedulers:
                self._drop_flow_set(each + SPAN)
                self._drop_scheduler(each)
            else:
                done = False
        return done

    def _delete_queue(self, number: int) -> bool:
        return 1 <= number < SPAN and self._drop_flow_set(number)

    def _delete_sched(self, number: int) -> bool:
        """The kernel does not do this."""
        return False


_CONFIGURE: dict[Kind, Callable[[ModernPipes, Request], int]] = {
    Kind.PIPE: ModernPipes._configure_pipe,
    Kind.QUEUE: ModernPipes._configure_queue,
    Kind.SCHED: ModernPipes._configure_sched,
}
_DELETE: dict[Kind, Callable[[ModernPipes, int], bool]] = {
    Kind.PIPE: ModernPipes._delete_pipe,
    Kind.QUEUE: ModernPipes._delete_queue,
    Kind.SCHED: ModernPipes._delete_sched,
}
