"""A page that a teacher can project: the kernel's path as a drawing, the packet moving through it, step by step.

One file, without anything from a network: :func:`page` puts the data of some cases into ``page.html``, whose own script
draws them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from simulator.trace import Event, Kind, summary
from simulator.traces.diagrams import BSD, LINUX, Diagram
from simulator.traces.journeys import Journey, journeys, stages
from simulator.traces.phases import fate_words, stage_words
from simulator.wire.named import dissect

__all__ = ["MOST_STEPS", "Listing", "Moment", "Shown", "Unmet", "page"]

MOST_STEPS = 5_000
"""Steps of a case that a page holds; what comes behind is left out, and the page says so."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One event: in which router, and the line of a script that brought it about."""

    router: str
    event: Event
    line: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The rules of a router from some step on: (label, words) each."""

    step: int
    router: str
    rules: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Unmet:
    """What was expected and did not happen: after which step, the line that expected it, and why."""

    step: int
    line: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a page shows of one case."""

    title: str
    description: str
    moments: Sequence[Moment]
    listings: Sequence[Listing]
    families: dict[str, str]
    """``linux`` or ``bsd`` for each router."""
    failures: Sequence[Unmet] = ()


def page(cases: Iterable[Shown], title: str) -> str:
    """The page as text (HTML)."""
    data = {
        "title": title,
        "diagrams": {"linux": LINUX.as_json(), "bsd": BSD.as_json()},
        "cases": [_case(case) for case in cases],
    }
    text = files("simulator.traces").joinpath("page.html").read_text(encoding="utf-8")
    # What a script element may not contain is written in a way that JSON reads the same.
    embedded = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    return text.replace("/*DATA*/null", embedded, 1)


def _case(case: Shown) -> dict[str, Any]:
    moments = list(case.moments)
    kept = moments[:MOST_STEPS]
    return {
        "title": case.title,
        "description": case.description,
        "families": case.families,
        "steps": _steps(case, kept),
        "failures": [
            {"step": min(each.step, max(len(kept) - 1, 0)), "line": each.line, "why": each.why}
            for each in case.failures
        ],
        "left_out": len(moments) - len(kept),
        "listings": [
            {"step": listing.step, "router": listing.router, "rules": [list(rule) for rule in listing.rules]}
            for listing in case.listings
        ],
    }


def _steps(case: Shown, moments: list[Moment]) -> list[dict[str, Any]]:
    """The moments in order, each with what its packet's journey says of it."""
    steps: list[dict[str, Any]] = [{} for _ in moments]
    places: dict[tuple[str, int], list[int]] = {}
    for index, moment in enumerate(moments):
        places.setdefault((moment.router, moment.event.packet), []).append(index)
    for journey in journeys((moment.router, moment.event) for moment in moments):
        diagram = LINUX if case.families.get(journey.router) == "linux" else BSD
        _journey_steps(journey, diagram, places[journey.router, journey.packet], moments, steps)
    return steps


def _journey_steps(
    journey: Journey, diagram: Diagram, indices: list[int], moments: list[Moment], steps: list[dict[str, Any]]
) -> None:
    at = "host"
    fate = journey.fate
    for index, stage in zip(indices, stages(journey), strict=True):
        event = stage.event
        before, at = at, diagram.stage_of(event, at)
        place, said = stage_words(event)
        changed = {difference.name: difference.one for difference in stage.changes}
        octets = event.octets or b""
        steps[index] = {
            "router": journey.router,
            "packet": journey.packet,
            "after": journey.after,
            "time": event.time,
            "from": at if event is journey.events[0] else before,
            "stage": at,
            "kind": event.kind.value,
            "place": place,
            "said": said,
            "rule": event.rule,
            "text": event.text,
            "matched": list(event.matched),
            "port": event.port,
            "address": event.address,
            "summary": summary(octets),
            "fields": [[field.name, field.text, changed.get(field.name)] for field in dissect(octets)],
            "fate": fate_words(event) if event is fate else None,
            "dropped": event.kind is Kind.DROPPED,
            "line": moments[index].line,
        }
