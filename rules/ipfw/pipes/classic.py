"""Pipes of FreeBSD 4 and DragonFly: pipes, each with a flow set of its own, and queues, each of one pipe.

A change of parameters loses nothing that is queued; deleting a pipe loses what is in it and in its queues, which stay
and serve again when there is a pipe of that number (config_pipe, delete_pipe of ip_dummynet.c).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from rules.ipfw.pipes.classicwords import SLOT_LIMIT, read_request
from rules.ipfw.pipes.kinds import Kind
from rules.ipfw.pipes.printing import (
    FLOW_HEADING,
    flow_words,
    loss_words,
    mask_words,
    rate_words,
    red_words,
    size_words,
)
from rules.ipfw.pipes.values import NO_TRAFFIC, FlowSet, Link, Traffic, flow_set_of
from rules.ipfw.switches import Switches
from rules.ipfw.words import RefusalError, Words, leading_number

__all__ = ["ClassicPipes", "Pipe"]

_LARGEST_NUMBER = 65535
_HASH_SIZE, _SMALLEST_HASH, _LARGEST_HASH = 64, 4, 65536
_SLOTS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipe:
    """A pipe: its link and the flow set of its own."""

    number: int
    link: Link
    flow_set: int


class ClassicPipes:
    """The configuration.  A pipe's own flow set is numbered as in :mod:`rules.ipfw.pipes.values`."""

    def __init__(self, switches: Switches) -> None:
        self.switches = switches
        self.traffic: Traffic = NO_TRAFFIC
        self.say: Callable[[str], object] = lambda message: None
        self.pipes: dict[int, Pipe] = {}
        self.flow_sets: dict[int, FlowSet] = {}

    def pipe_of(self, flow_set: FlowSet) -> Pipe | None:
        """The pipe that serves a flow set."""
        return self.pipes.get(flow_set.scheduler)

    # What the tool does

    def configure(self, kind: Kind, words: Words, *, dry: bool) -> None:
        """``config``: read everything, then change."""
        request = read_request(words, kind, self.switches)
        if dry:
            return
        wanted = request.flow_set
        if kind is Kind.PIPE:
            done = self._configure_pipe(request.number, request.link, wanted)
        else:
            done = self._configure_queue(wanted)
        if not done:
            raise RefusalError(f"setsockopt(IP_DUMMYNET_CONFIGURE): {os.strerror(errno.EINVAL)}", 1)

    def delete(self, kind: Kind, numbers: list[int]) -> tuple[list[str], int]:
        """``delete N ...``: what the tool complains of, and its exit status."""
        absent = [number for number in numbers if not self._delete(kind, number)]
        reason = os.strerror(errno.EINVAL)
        return [f"rule {number}: setsockopt(IP_DUMMYNET_DEL): {reason}" for number in absent], 1 if absent else 0

    def flush(self) -> str:
        """``flush``: everything goes."""
        for number in [*self.flow_sets]:
            self._drop_flow_set(number)
        for number in [*self.pipes]:
            del self.pipes[number]
            self.traffic.scheduler_gone(number)
        return "Flushed all pipes.\n"

    def listing(self, kind: Kind, words: Words, *, verbose: bool) -> str:
        """``list`` and ``show``: all pipes or the one that is named first, and in any case all queues."""
        only = leading_number(words.take())[0] if words else 0
        words.rest()
        lines: list[str] = []
        for number in self._in_order(self.pipes):
            if only in (0, number):
                pipe = self.pipes[number]
                rate = rate_words(pipe.link.bandwidth, unlimited="unlimited", gigabits=False)
                lines += self._flow_set(f"{number:05}: {rate} {pipe.link.delay:4} ms ", self.flow_sets[pipe.flow_set])
        for number in self._in_order(number for number in self.flow_sets if number <= _LARGEST_NUMBER):
            flow_set = self.flow_sets[number]
            prefix = f"q{number:05}: weight {flow_set.weight} pipe {flow_set.scheduler} "
            lines += self._flow_set(prefix, flow_set)
        return "".join(lines)

    def _in_order(self, numbers: Iterable[int]) -> list[int]:
        """By number, or in the order of a hash table, in a slot the newest first."""
        if not self.switches.pipes_by_hash:
            return sorted(numbers)
        slots: list[list[int]] = [[] for _ in range(_SLOTS)]
        for number in numbers:
            slots[(number >> 12 ^ number >> 8 ^ number >> 4 ^ number) % _SLOTS].insert(0, number)
        return [number for slot in slots for number in slot]

    def _flow_set(self, prefix: str, flow_set: FlowSet) -> list[str]:
        counts = self.traffic.queues(flow_set.number)
        size = f"{size_words(flow_set)}{loss_words(flow_set)}"
        full = red_words(flow_set.red, "\t  ")
        lines = [f"{prefix} {size} {len(counts)} queues ({flow_set.buckets} buckets) {full}\n"]
        lines.append(mask_words(flow_set.mask, ""))
        if counts:
            lines.append(FLOW_HEADING)
        return [*lines, *(flow_words(count, count.slot) for count in counts)]

    # config

    def _configure_pipe(self, number: int, link: Link, wanted: FlowSet) -> bool:
        if not 0 < number <= _LARGEST_NUMBER:
            return False
        own = flow_set_of(number, is_pipe=True)
        is_new = number not in self.pipes
        self.pipes[number] = Pipe(number=number, link=link, flow_set=own)
        self.flow_sets[own] = self._settled(replace(wanted, number=own, scheduler=number), self.flow_sets.get(own))
        if not is_new:
            self.traffic.link_changed(number)
        return True

    def _configure_queue(self, wanted: FlowSet) -> bool:
        if not 0 < wanted.number <= _LARGEST_NUMBER:
            return False
        before = self.flow_sets.get(wanted.number)
        if before is None:
            wanted = replace(wanted, weight=min(wanted.weight, 100) or 1)
        elif before.scheduler != wanted.scheduler:
            return False
        else:
            wanted = replace(wanted, weight=before.weight)
        self.flow_sets[wanted.number] = self._settled(wanted, before)
        return True

    def _settled(self, wanted: FlowSet, before: FlowSet | None) -> FlowSet:
        """A queue's length within its limits; the number of buckets is settled when the flow set is made."""
        if not wanted.in_octets and not 0 < wanted.size <= SLOT_LIMIT:
            wanted = replace(wanted, size=50)
        if before is not None:
            return replace(wanted, buckets=before.buckets)
        buckets = min(max(wanted.buckets or _HASH_SIZE, _SMALLEST_HASH), _LARGEST_HASH)
        return replace(wanted, buckets=buckets if wanted.masked else 1)

    # delete

    def _drop_flow_set(self, number: int) -> None:
        self.traffic.queues_gone(number)
        del self.flow_sets[number]

    def _delete(self, kind: Kind, number: int) -> bool:
        if kind is Kind.QUEUE:
            if not 0 < number <= _LARGEST_NUMBER or number not in self.flow_sets:
                return False
            self._drop_flow_set(number)
            return True
        pipe = self.pipes.pop(number, None)
        if pipe is None:
            return False
        for flow_set in self.flow_sets.values():
            if flow_set.scheduler == number and flow_set.number != pipe.flow_set:
                self.traffic.queues_gone(flow_set.number)
        self._drop_flow_set(pipe.flow_set)
        self.traffic.scheduler_gone(number)
        return True
