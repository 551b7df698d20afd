"""What a replay learns from the router's events: each packet's fate, rule and way; forgotten as soon as it is told.

A journey is kept while its packet is on its way, so memory depends on how many packets are under way at once (those
that wait for a fragment, in a pipe, at a socket), and not on how many there were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from simulator.trace import Event, Kind
from simulator.traces.journeys import FATES, Journey
from simulator.traces.paths import Paths
from simulator.traces.phases import fate_words
from simulator.wire.named import differences

__all__ = ["MOST_UNDER_WAY", "Watcher", "comment"]

MOST_UNDER_WAY = 50_000
"""Journeys that are kept at once; when there are more, the oldest are told as they stand."""

_LASTING = FATES - {Kind.HELD}


class Watcher:
    """Listens to the events of one router.  ``tell`` is given each journey when it has ended."""

    def __init__(self, tell: Callable[[Journey], object]) -> None:
        self.fates: Counter[str] = Counter()
        self.rules: Counter[str] = Counter()
        """How many packets each rule decided about, by ``hook rule``."""
        self.paths = Paths()
        self._tell = tell
        self._journeys: dict[int, Journey] = {}
        self._diverted: dict[int | None, int] = {}

    def __call__(self, event: Event) -> None:
        journey = self._journeys.get(event.packet)
        if journey is None:
            journey = self._journeys[event.packet] = Journey("", event.packet)
            if event.kind is Kind.INJECTED:
                journey.after = self._diverted.get(event.port)
            if len(self._journeys) > MOST_UNDER_WAY:
                self._end(next(iter(self._journeys)))
        journey.events.append(event)
        if event.kind is Kind.FIREWALL:
            self.rules[f"{event.hook} {event.rule}"] += 1
        elif event.kind in _LASTING:
            if event.kind is Kind.DIVERTED:
                self._diverted[event.port] = event.packet
            self._end(event.packet)

    def _end(self, packet: int) -> None:
        journey = self._journeys.pop(packet)
        fate = journey.fate
        self.fates[_fate_name(fate)] += 1
        self.paths.add(journey)
        self._tell(journey)

    def finish(self) -> None:
        """Nothing happens any more: what is still under way is told as it stands."""
        for packet in list(self._journeys):
            self._end(packet)

    def as_json(self) -> dict[str, Any]:
        return {
            "fates": dict(self.fates.most_common()),
            "rules": dict(self.rules.most_common()),
            "paths": self.paths.as_json(),
        }


def _fate_name(fate: Event | None) -> str:
    if fate is None:
        return "under way"
    if fate.reason is not None:
        return f"dropped {fate.reason.name}"
    return fate.kind.value if fate.port is None else f"{fate.kind.value} to {fate.port}"


def comment(journey: Journey) -> str:
    """A journey in a line: what the firewall said, what changed, and the fate."""
    said = [
        f"{event.hook} {event.verdict}{'' if event.port is None else f' {event.port}'} ({event.rule})"
        for event in journey.events
        if event.kind is Kind.FIREWALL
    ]
    first, last = journey.events[0].octets, journey.events[-1].octets
    if first is not None and last is not None and first != last:
        changes = [str(each) for each in differences(first, last) if not each.name.endswith("chksum")]
        said.append("changed: " + ", ".join(changes) if changes else "checksum changed")
    fate = journey.fate
    said.append(fate_words(fate) if fate is not None else "still on its way")
    back = [] if journey.after is None else [f"written by the program that was given packet {journey.after}"]
    return "; ".join([*back, *said])
