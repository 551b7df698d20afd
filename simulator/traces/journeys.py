"""Journeys: the events of a trace, packet by packet.

A journey is what happened to one packet in one router, from where it came into being there to its fate.  A packet that
a program writes back is another one (the kernel's view, and the ledger's); where the journey of one leads to the
journey of another, :attr:`Journey.after` says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rules import ipfw
from rules.errors import CommandError
from simulator.packet import Packet
from simulator.trace import Event, Kind
from simulator.wire.named import Difference, differences

__all__ = ["FATES", "Journey", "SelectionError", "Selector", "journeys", "stages"]

FATES = frozenset({Kind.TRANSMITTED, Kind.DELIVERED, Kind.DIVERTED, Kind.DROPPED, Kind.MERGED, Kind.HELD})
"""Events that end a packet's way; HELD only until the rest of its datagram comes."""


@dataclass
class Journey:
    """One packet in one router."""

    router: str
    """Empty where there is only one."""
    packet: int
    """Its number in that router's trace."""
    events: list[Event] = field(default_factory=list)
    after: int | None = None
    """The packet that was diverted before a program wrote this one."""

    @property
    def octets(self) -> bytes:
        """As it came."""
        return self.events[0].octets or b""

    @property
    def fate(self) -> Event | None:
        """The event that ended it; None while it is still on its way."""
        return next((event for event in reversed(self.events) if event.kind in FATES), None)


@dataclass(frozen=True)
class Stage:
    """One event of a journey, and the header fields that had changed by then."""

    event: Event
    changes: tuple[Difference, ...]


def journeys(events: Iterable[tuple[str, Event]]) -> list[Journey]:
    """The journeys of a trace of (router, event) pairs, in the order of their beginnings."""
    found: dict[tuple[str, int], Journey] = {}
    diverted: dict[tuple[str, int | None], int] = {}
    for router, event in events:
        key = (router, event.packet)
        if key not in found:
            found[key] = Journey(router, event.packet)
            if event.kind is Kind.INJECTED:
                found[key].after = diverted.get((router, event.port))
        found[key].events.append(event)
        if event.kind in (Kind.DIVERTED, Kind.COPIED):
            diverted[router, event.port] = event.packet
    return list(found.values())


def stages(journey: Journey) -> Iterator[Stage]:
    """The events with what the packet's octets show of changes since the event before."""
    before = journey.events[0].octets
    for event in journey.events:
        now = event.octets
        changes = differences(before, now) if before is not None and now is not None and before != now else ()
        yield Stage(event, changes)
        before = now if now is not None else before


class SelectionError(ValueError):
    """A filter that ipfw does not understand; the message is the tool's."""


class Selector:
    """Packets that match the body of an ipfw rule, such as ``icmp from any to 10.0.0.2``, as they came.

    :raises SelectionError: for words that are no rule body.
    """

    def __init__(self, body: str) -> None:
        self._rules = ipfw.RuleSet(profile="freebsd-13")
        try:
            self._rules.run(["add", "1", "allow", *body.split()])
        except CommandError as error:
            raise SelectionError(error.stderr.strip().removeprefix("ipfw: ")) from None

    def __call__(self, octets: bytes) -> bool:
        return self._rules.evaluate(Packet(octets)).rule == 1
