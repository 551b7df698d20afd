"""Each packet's way in numbered phases: where it was, which rule said what, what changed, what became of it.

The arrangement is that of Cisco's packet-tracer and of nft's trace; the words are the kernels'.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from simulator.trace import Event, Kind, summary
from simulator.traces.journeys import FATES, Journey, Stage, stages

__all__ = ["fate_words", "phases", "phases_as_json", "stage_words"]


def phases(journeys: Iterable[Journey]) -> str:
    """All journeys as text."""
    return "\n\n".join("\n".join(_journey(journey)) for journey in journeys)


def _journey(journey: Journey) -> Iterator[str]:
    where = f"{journey.router} " if journey.router else ""
    yield f"{where}#{journey.packet}  {summary(journey.octets)}"
    if journey.after is not None:
        yield f"    written by the program that was given #{journey.after}"
    for number, stage in enumerate(stages(journey), start=1):
        place, said = stage_words(stage.event)
        yield f"    {number:>2}  {stage.event.time:<9.4f} {place:<22} {said}".rstrip()
        if earlier := _matched_before(stage.event):
            yield f"{'':43}after {', '.join(earlier)} matched"
        for change in stage.changes:
            yield f"{'':43}{change}"
    fate = journey.fate
    yield f"    =>  {fate_words(fate) if fate is not None else 'still on its way'}"


def _matched_before(event: Event) -> tuple[str, ...]:
    """The rules that matched before the one that decided."""
    decided_last = event.matched[-1:] == (event.rule,)
    return event.matched[:-1] if decided_last else event.matched


def stage_words(event: Event) -> tuple[str, str]:
    """Where, and what was said there: ``("forward eth1", "DIVERT 1234  forward:1: -A forward -j DIVERT 1234")``."""
    interface = f" {event.interface}" if event.interface else ""
    if event.kind is Kind.FIREWALL:
        port = "" if event.port is None else f" {event.port}"
        words = f": {event.text}" if event.text else ""
        return f"{event.hook}{interface}", f"{event.verdict}{port}  {event.rule}{words}"
    said = [event.address or "", event.detail or ""]
    if event.kind is Kind.INJECTED and event.detail:
        said = [event.detail.rstrip(":"), f"to port {event.port}", event.address or ""]
    if event.port is not None and event.kind is not Kind.INJECTED:
        said.insert(0, f"port {event.port}")
    if event.reason is not None:
        said.append(event.reason.value)
    return f"{event.kind.value}{interface}", " ".join(filter(None, said))


def fate_words(event: Event) -> str:
    """What became of the packet, in a few words."""
    if event.kind is Kind.DROPPED and event.reason is not None:
        return f"dropped: {event.reason.value} ({event.reason.name})"
    if event.kind is Kind.TRANSMITTED:
        return f"left by {event.interface}" + (f", to {event.address}" if event.address else "")
    if event.kind is Kind.DELIVERED:
        return "delivered to this host's own protocols"
    if event.kind is Kind.DIVERTED:
        return f"diverted to port {event.port}, address {event.address}"
    if event.kind is Kind.MERGED:
        return f"merged {event.detail}"
    return "held until the rest of its datagram comes"


def phases_as_json(journeys: Iterable[Journey]) -> list[dict[str, Any]]:
    """The same for programs: for each packet its events, with the changes, and its fate."""
    return [
        {
            "router": journey.router or None,
            "packet": journey.packet,
            "after": journey.after,
            "summary": summary(journey.octets),
            "events": [_stage_as_json(stage) for stage in stages(journey)],
            "fate": journey.fate.kind.value if journey.fate is not None else None,
        }
        for journey in journeys
    ]


def _stage_as_json(stage: Stage) -> dict[str, Any]:
    found = stage.event.as_dict()
    if stage.changes:
        found["changes"] = [{"field": each.name, "from": each.one, "to": each.other} for each in stage.changes]
    found["ends"] = stage.event.kind in FATES
    return found
