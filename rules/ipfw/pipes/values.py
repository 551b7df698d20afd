"""What pipes, queues and schedulers are made of, as values (ipfw(8), TRAFFIC SHAPER; dummynet(4)).

Numbers are the kernel's own.  A ``pipe N`` rule sends to the flow set N + 2 * :data:`SPAN`, a ``queue N`` rule to the
flow set N, so that both sorts live in one table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from rules.fields import Fields

__all__ = [
    "EVERYTHING",
    "NO_TRAFFIC",
    "PROBABILITY",
    "RED_UNIT",
    "SPAN",
    "FlowCount",
    "FlowId",
    "FlowMask",
    "FlowSet",
    "Link",
    "Red",
    "Traffic",
    "flow_set_of",
]

SPAN = 65536
"""How far the numbers of one sort of object reach (DN_MAX_ID)."""

PROBABILITY = 0x7FFFFFFF
"""``plr`` is kept as an integer of this many parts."""

RED_UNIT = 1 << 16
"""RED's weights and probabilities are fixed point numbers of this many parts (SCALE_RED)."""

_WORD = 0xFFFFFFFF


def flow_set_of(number: int, *, is_pipe: bool) -> int:
    """The flow set that a rule ``pipe N`` or ``queue N`` sends to."""
    return number + 2 * SPAN if is_pipe else number


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowMask:
    """The bits of a flow's name that count; ``queue`` is listed, and tells no flows apart."""

    protocol: int = 0
    source: int = 0
    source_port: int = 0
    destination: int = 0
    destination_port: int = 0
    queue: bool = False

    def __or__(self, other: FlowMask) -> FlowMask:
        return FlowMask(
            protocol=self.protocol | other.protocol,
            source=self.source | other.source,
            source_port=self.source_port | other.source_port,
            destination=self.destination | other.destination,
            destination_port=self.destination_port | other.destination_port,
            queue=self.queue or other.queue,
        )

    def __bool__(self) -> bool:
        return self != _NOTHING


_NOTHING = FlowMask()
EVERYTHING = FlowMask(protocol=0xFF, source=_WORD, source_port=0xFFFF, destination=_WORD, destination_port=0xFFFF)


class FlowId(NamedTuple):
    """Which flow a datagram belongs to; a datagram without ports has the ports 0."""

    protocol: int = 0
    source: int = 0
    source_port: int = 0
    destination: int = 0
    destination_port: int = 0

    @classmethod
    def of(cls, fields: Fields) -> FlowId:
        """The flow of a datagram."""
        return cls(
            fields.protocol,
            fields.source,
            fields.source_port or 0,
            fields.destination,
            fields.destination_port or 0,
        )

    def masked(self, mask: FlowMask) -> FlowId:
        """What the mask leaves of it."""
        return FlowId(
            self.protocol & mask.protocol,
            self.source & mask.source,
            self.source_port & mask.source_port,
            self.destination & mask.destination,
            self.destination_port & mask.destination_port,
        )

    @property
    def hash(self) -> int:
        """By which FreeBSD 8 and later find a flow (flow_id_hash of ip_dummynet.c)."""
        protocol, source, source_port, destination, destination_port = self
        addresses = destination ^ destination >> 15 ^ source << 1 ^ source >> 16
        return (addresses ^ destination_port << 1 ^ source_port ^ protocol) & _WORD

    @property
    def short_hash(self) -> int:
        """By which FreeBSD 4 and DragonFly do (find_queue)."""
        protocol, source, source_port, destination, destination_port = self
        addresses = (destination ^ destination >> 15 ^ source << 1 ^ source >> 16) & 0xFFFF
        return addresses ^ destination_port << 1 ^ source_port ^ protocol


class FlowCount(NamedTuple):
    """One line of a listing: a flow, where it is found, and its counters."""

    slot: int
    flow: FlowId
    packets: int
    octets: int
    queued: int
    queued_octets: int
    drops: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Red:
    """``red`` and ``gred``: random early detection.

    ``weight`` (w_q) and ``probability`` (max_p) in parts of :data:`RED_UNIT`; ``low`` and ``high`` in slots or octets,
    as the queue is measured.  ``ecn`` marks what would be dropped, where the datagram allows it.
    """

    weight: int = 0
    low: int = 0
    high: int = 0
    probability: int = 0
    gentle: bool = False
    ecn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """``bandwidth`` in bit/s, 0 for no limit; ``delay`` in ms; ``burst`` in octets."""

    bandwidth: int = 0
    delay: int = 0
    burst: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowSet:
    """The queues of a pipe, or those that ``queue N`` sends to.

    ``scheduler``: what serves them; in FreeBSD 4 and DragonFly the number of the pipe, 0 for a pipe's own.
    ``size``: of one queue, in slots or octets.  ``loss``: ``plr`` in parts of :data:`PROBABILITY`.
    """

    number: int
    scheduler: int = 0
    size: int = 0
    in_octets: bool = False
    loss: int = 0
    noerror: bool = False
    mask: FlowMask = _NOTHING
    masked: bool = False
    buckets: int = 0
    red: Red | None = None
    weight: int = 0
    lmax: int = 0
    priority: int = 0


class Traffic(Protocol):
    """What is in the pipes: asked by listings, told of every change that concerns it."""

    def instances(self, scheduler: int) -> Sequence[FlowCount]:
        """The instances of a scheduler, in the kernel's order."""

    def queues(self, flow_set: int) -> Sequence[FlowCount]:
        """The queues of a flow set, in the kernel's order."""

    def link_changed(self, scheduler: int) -> None:
        """A link has other parameters now: saved-up credit is gone."""

    def scheduler_gone(self, scheduler: int) -> None:
        """A scheduler is deleted or made anew: what is in it is lost."""

    def queues_gone(self, flow_set: int) -> None:
        """The queues of a flow set are deleted: what is in them is lost."""


class _NoTraffic:
    """Of a rule set on its own."""

    def instances(self, scheduler: int) -> Sequence[FlowCount]:
        return ()

    def queues(self, flow_set: int) -> Sequence[FlowCount]:
        return ()

    def link_changed(self, scheduler: int) -> None:
        pass

    def scheduler_gone(self, scheduler: int) -> None:
        pass

    def queues_gone(self, flow_set: int) -> None:
        pass


NO_TRAFFIC: Traffic = _NoTraffic()
