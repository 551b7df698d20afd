"""``pipe|queue|sched list`` as FreeBSD 8 and later print it (dummynet.c: list_pipes, print_flowset_parms, list_flow).

Objects come in the order in which the kernel's hash tables hold them: by slot, in a slot the newest first.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rules.ipfw.pipes.kinds import Kind
from rules.ipfw.pipes.printing import (
    FLOW_HEADING,
    burst_words,
    flow_words,
    loss_words,
    mask_words,
    rate_words,
    red_words,
    size_words,
)
from rules.ipfw.pipes.values import SPAN, FlowCount, FlowMask, FlowSet
from rules.ipfw.words import Words

if TYPE_CHECKING:
    from rules.ipfw.pipes.modern import ModernPipes, Scheduler

__all__ = ["listing"]

_SLOTS = 64


def in_order(numbers: Iterable[int]) -> list[int]:
    """Numbers, the oldest first, in the order in which a hash table of schedulers or flow sets holds them."""
    slots: list[list[int]] = [[] for _ in range(_SLOTS)]
    for number in numbers:
        slots[(number >> 8 ^ number >> 4 ^ number) % _SLOTS].insert(0, number)
    return [number for slot in slots for number in slot]


def _ranges(words: Sequence[str]) -> tuple[list[tuple[int, int]], list[str]]:
    """``N``, ``N-N`` and lists of them; what is no number is complained of, letter by letter, as the tool does."""
    ranges: list[tuple[int, int]] = []
    complaints: list[str] = []
    error = ""
    queue = list(words)
    while queue:
        text = queue.pop(0)
        found = re.match(r"\s*[0-9]*(-[0-9]*)?", text)
        assert found is not None
        digits, rest = found.group(), text[found.end() :]
        if not digits.strip("- "):
            error = os.strerror(errno.EINVAL)
        if rest and rest[0] != ",":
            complaints.append(f"invalid number: {text}: {error or 'Undefined error: 0'}")
            queue.insert(0, rest[1:])
            continue
        low, dash, high = digits.strip().partition("-")
        first = int(low or 0)
        last = int(high or 0) if dash else first
        if rest:
            queue.insert(0, rest[1:])
        if first <= last < SPAN - 1:
            ranges.append((first, last))
    return ranges, complaints


def listing(pipes: ModernPipes, kind: Kind, words: Words, *, verbose: bool) -> str:
    """The whole listing, or that of the numbers named."""
    ranges, complaints = _ranges(words.rest())
    for complaint in complaints * 2:  # the tool reads them twice
        words.warn(complaint)
    listed = _Listing(pipes, verbose=verbose)

    def wanted(number: int) -> bool:
        return not ranges or any(low <= number <= high for low, high in ranges)

    if kind is Kind.QUEUE:
        for number in in_order(pipes.flow_sets):
            if number < SPAN and wanted(number):
                listed.queue(pipes.flow_sets[number])
    else:
        offset = SPAN if kind is Kind.PIPE else 0
        for number in in_order(pipes.schedulers):
            if 0 < number - offset < SPAN and wanted(number - offset):
                listed.scheduler(pipes.schedulers[number])
    return "".join(listed.lines)


class _Listing:
    """Lines; the heading of flows is printed once."""

    def __init__(self, pipes: ModernPipes, *, verbose: bool) -> None:
        self.pipes = pipes
        self.verbose = verbose
        self.lines: list[str] = []
        self.headed = False

    def flows(self, counts: Sequence[FlowCount]) -> None:
        for count in counts:
            if not self.headed:
                self.lines.append(FLOW_HEADING)
                self.headed = True
            self.lines.append(flow_words(count, count.slot & 0xFF))

    def flow_set(self, flow_set: FlowSet) -> None:
        flows = len(self.pipes.traffic.queues(flow_set.number))
        served = f"sched {flow_set.scheduler} weight {flow_set.weight} lmax {flow_set.lmax} pri {flow_set.priority}"
        self.lines.append(
            f"q{flow_set.number:05} {size_words(flow_set)}{loss_words(flow_set)} {flows} flows"
            f" ({flow_set.buckets} buckets) {served} {red_words(flow_set.red, chr(9) + ' ')}\n"
        )
        if flow_set.masked:
            self.lines.append(self.mask(flow_set.mask))

    @staticmethod
    def mask(mask: FlowMask) -> str:
        return mask_words(mask, "queue, " if mask.queue else " ")

    def queue(self, flow_set: FlowSet) -> None:
        self.flow_set(flow_set)
        self.flows(self.pipes.traffic.queues(flow_set.number))

    def scheduler(self, scheduler: Scheduler) -> None:
        pipes, link = self.pipes, scheduler.link
        rate = rate_words(link.bandwidth, unlimited="unlimited     ", gigabits=pipes.switches.gigabits)
        burst = str(link.burst) if self.verbose else burst_words(link.burst)
        self.lines.append(f"{scheduler.number % SPAN:05}: {rate} {link.delay:4} ms burst {burst}\n")
        if scheduler.flow_set in pipes.flow_sets:
            self.flow_set(pipes.flow_sets[scheduler.flow_set])
        instances = pipes.traffic.instances(scheduler.number)
        self.lines.append(
            f" sched {scheduler.number} type {scheduler.type} flags 0x{int(scheduler.masked):x}"
            f" {scheduler.buckets} buckets {len(instances)} active\n"
        )
        if scheduler.masked:
            self.lines.append(self.mask(scheduler.mask))
        children = [number for number in pipes.attached.get(scheduler.number, ()) if number < SPAN]
        if children:
            self.lines.append(f"   Children flowsets: {''.join(f'{number} ' for number in children)}\n")
        self.flows(instances)
