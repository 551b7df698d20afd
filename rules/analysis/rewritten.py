"""Packets that divert sockets write back: those that are diverted to one port twice, and those that go round for ever
(bsd.md X-1, X-6, X-7)."""

from __future__ import annotations

from collections.abc import Iterator

from rules.analysis.finding import Kind
from rules.analysis.program import Flow, Label, Node
from rules.analysis.space import Region
from rules.analysis.survey import Survey
from rules.analysis.walk import Arrival

__all__ = ["Told", "diverted_twice", "loops"]

Told = tuple[Kind, str, list[int], Region]
"""Kind, reason, the nodes that bring it about, packets that show it."""


def _behind(survey: Survey, label: Label) -> int:
    """The node at which a packet goes on that comes back with a tag: the first with a greater number (X-1)."""
    nodes = survey.program.nodes
    return next(
        (i for i, each in enumerate(nodes) if isinstance(each.label, int) and each.label > int(label)), len(nodes) - 1
    )


def _is_divert(node: Node) -> bool:
    return node.outcome[:1] == ("divert",) and node.flow is Flow.ENDS and isinstance(node.label, int)


def diverted_twice(survey: Survey, number: int, node: Node, arrivals: list[Arrival]) -> Iterator[Told]:
    """A packet that is written back as it was, and is diverted to the port that it came from."""
    if not _is_divert(node) or node.outcome[1] == "tablearg":
        return
    yield from _in_one_pass(survey, number, node, arrivals)
    yield from _by_both_passes(survey, number, node, arrivals)


def _written(survey: Survey, region: Region) -> Iterator[Region]:
    """The packets of a region as they come back unchanged: what asks about divert sockets sees one."""
    at = survey.space.index.get("reinjected")
    if at is None:
        yield region
        return
    dimension = survey.space.dimensions[at]
    places = survey.space.index["place"]
    for hook in ("in", "out"):
        here = region[places] & survey.space.at({hook})[places]
        if here:
            sets = list(region)
            sets[at], sets[places] = dimension.holds(hook), here
            yield tuple(sets)


def _in_one_pass(survey: Survey, number: int, node: Node, arrivals: list[Arrival]) -> Iterator[Told]:
    start = _behind(survey, node.label)
    for arrival in arrivals:
        if not arrival.certain:
            continue
        for again in _written(survey, arrival.region):
            for later in survey.walker.arrivals(again, start):
                if later.outcome == node.outcome and later.node != number and later.certain:
                    other = survey.program.nodes[later.node].label
                    reason = f"what comes back from port {node.outcome[1]} is diverted there again, by rule {other}"
                    yield Kind.DIVERTED_TWICE, reason, [later.node], _as_it_came(survey, later.region, arrival.region)
                    return


def _by_both_passes(survey: Survey, number: int, node: Node, arrivals: list[Arrival]) -> Iterator[Told]:
    """A forwarded packet that is diverted to one port on its way in and on its way out (X-6)."""
    space = survey.space
    at = space.index["place"]
    for arrival in arrivals:
        came = {atom.low.received_on for atom in space.values(arrival.region)["place"] if atom.low.hook == "in"}
        if not came or not arrival.certain:
            continue
        out = space.at({"out"}, came)[at] & _other_interfaces(survey)
        if not out:
            continue
        region = _as_it_came(survey, (*arrival.region[:at], out, *arrival.region[at + 1 :]), None)
        for later in survey.walker.arrivals(region, survey.program.starts["out"]):
            if later.outcome == node.outcome and later.certain:
                other = survey.program.nodes[later.node].label
                by = "it" if later.node == number else f"rule {other}"
                port = node.outcome[1]
                reason = f"a forwarded packet goes to port {port} on its way in, and by {by} again on its way out"
                incoming = _at_in(survey, later.region, arrival.region)
                yield Kind.DIVERTED_TWICE, reason, [later.node], incoming
                return


def _other_interfaces(survey: Survey) -> int:
    """Places where a packet leaves by another interface than it came in by, as forwarded ones mostly do."""
    place = survey.space.dimensions[survey.space.index["place"]]
    return place.where(lambda value: value.leaves_by != value.received_on)


def _as_it_came(survey: Survey, later: Region, before: Region | None) -> Region:
    """Packets of a later search as they were before a divert socket wrote them."""
    at = survey.space.index.get("reinjected")
    if at is None:
        return later
    first = survey.space.dimensions[at].holds(None) if before is None else before[at]
    return (*later[:at], first, *later[at + 1 :])


def _at_in(survey: Survey, later: Region, before: Region) -> Region:
    """The packets of the second pass, as they were in the first: they came in where the second says so."""
    space = survey.space
    at = space.index["place"]
    received = {atom.low.received_on for atom in space.values(later)["place"]}
    sets = [mine & theirs for mine, theirs in zip(later, before, strict=True)]
    sets[at] = before[at] & space.at({"in"}, received)[at]
    written = space.index.get("reinjected")
    if written is not None:
        sets[written] = before[written]
    return tuple(sets)


def loops(survey: Survey, number: int, node: Node, arrivals: list[Arrival], tag: int | None) -> Iterator[Told]:
    """A program that writes with a tag of its own may get its packet back for ever (X-7)."""
    if tag is None or not _is_divert(node) or tag >= int(node.label):
        return
    start = _behind(survey, tag)
    for arrival in arrivals:
        if not arrival.certain:
            continue
        for again in _written(survey, arrival.region):
            for later in survey.walker.arrivals(again, start, until=number):
                if later.certain:
                    reason = f"a packet that is written back with tag {tag} comes to it again, for ever"
                    yield Kind.DIVERT_LOOP, reason, [number], _as_it_came(survey, later.region, arrival.region)
                    return
