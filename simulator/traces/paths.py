"""The ways that packets took, each with how many took it, as VPP's tracepath groups them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from simulator.trace import Kind
from simulator.traces.journeys import Journey

__all__ = ["Paths", "way"]


class Paths:
    """Counts journeys by their way; they can be added one at a time and forgotten."""

    def __init__(self, journeys: Iterable[Journey] = ()) -> None:
        self.counts: Counter[tuple[str, ...]] = Counter()
        for journey in journeys:
            self.add(journey)

    def add(self, journey: Journey) -> None:
        self.counts[way(journey)] += 1

    def __str__(self) -> str:
        width = len(str(max(self.counts.values(), default=0)))
        rows = [f"{count:>{width}}  {' > '.join(steps)}" for steps, count in self.counts.most_common()]
        total = self.counts.total()
        ways = f"{len(self.counts)} way{'' if len(self.counts) == 1 else 's'}"
        return "\n".join([f"{total} packet{'' if total == 1 else 's'}, {ways}", *rows])

    def as_json(self) -> list[dict[str, Any]]:
        return [{"count": count, "path": list(steps)} for steps, count in self.counts.most_common()]


def way(journey: Journey) -> tuple[str, ...]:
    """The steps of a journey without what differs from packet to packet."""
    steps: list[str] = []
    for event in journey.events:
        where = f"{journey.router}." if journey.router else ""
        interface = f"{where}{event.interface}" if event.interface else where.rstrip(".")
        match event.kind:
            case Kind.FIREWALL:
                port = "" if event.port is None else f" {event.port}"
                steps.append(f"{event.hook} {event.verdict}{port} ({event.rule})")
            case Kind.DROPPED:
                steps.append(f"dropped {event.reason.name if event.reason is not None else ''}")
            case Kind.DIVERTED | Kind.INJECTED:
                steps.append(f"{event.kind.value} {event.port}")
            case Kind.ROUTED | Kind.CHANGED:
                continue
            case Kind.RECEIVED | Kind.TRANSMITTED:
                steps.append(f"{event.kind.value} {interface}")
            case _:
                steps.append(event.kind.value)
    return tuple(steps)
