"""Packets that divert sockets write back: those that are diverted to one port twice, and those that go round for ever
(bsd.md X-1, X-6, X-7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rules.analysis.finding import Kind
from rules.analysis.program import Flow, Label, Node
from rules.analysis.space import Region, Space
from rules.analysis.survey import Survey
from rules.analysis.walk import Arrival
from rules.analysis.witness import witness
from rules.fields import MORE_FRAGMENTS, OFFSET_MASK

__all__ = ["Collecting", "Told", "diverted_twice", "loops"]

_LET_THROUGH = (("allow",), ("fwd",), ("tee",))
"""Ends after which a packet goes on to be forwarded."""

Collecting = Mapping[str, frozenset[str]]
"""For ``divert`` and ``tee``, the hooks at which fragments that match are collected until the datagram is whole."""

Told = tuple[Kind, str, list[int], Region]
"""Kind, reason, the nodes that bring it about, packets that show it."""


def _behind(survey: Survey, label: Label) -> int:
    """The node at which a packet goes on that comes back with a tag: the first with a greater number (X-1)."""
    nodes = survey.program.nodes
    found = next(
        (i for i, each in enumerate(nodes) if isinstance(each.label, int) and each.label > int(label)), len(nodes) - 1
    )
    while found and isinstance(nodes[found - 1].label, str):
        found -= 1  # what is dropped on the way into that rule
    return found


def _is_divert(node: Node) -> bool:
    return node.outcome[:1] == ("divert",) and node.flow is Flow.ENDS and isinstance(node.label, int)


def diverted_twice(
    survey: Survey, number: int, node: Node, arrivals: list[Arrival], collecting: Collecting
) -> Iterator[Told]:
    """A packet that is written back as it was, and is diverted to the port that it came from."""
    if not _is_divert(node) or node.outcome[1] == "tablearg":
        return
    sure = [arrival for arrival in arrivals if arrival.certain]
    yield from _in_one_pass(survey, number, node, sure, collecting)
    yield from _by_both_passes(survey, number, node, sure, collecting)


def _written(survey: Survey, region: Region, collecting: Collecting) -> Iterator[Region]:
    """The packets of a region as they come back unchanged: what asks about divert sockets sees one.

    Of what the kernel puts together before it hands it over only whole datagrams are looked at: what fragments become
    is another packet.
    """
    space = survey.space
    places, fragment, reinjected = space.index["place"], space.index["fragment"], space.index.get("reinjected")
    whole = space.dimensions[fragment].where(lambda value: not value & (MORE_FRAGMENTS | OFFSET_MASK))
    for hook in ("in", "out"):
        sets = list(region)
        sets[places] &= space.at({hook})[places]
        if hook in collecting.get("divert", ()):
            sets[fragment] &= whole
        if reinjected is not None:
            sets[reinjected] = space.dimensions[reinjected].holds(hook)
        if all(sets):
            yield tuple(sets)


def _ends(survey: Survey, region: Region, start: int, given: frozenset[int] = frozenset()) -> Iterator[Arrival]:
    """What is sure to become of packets that a program wrote back, and of those that other programs then get, when
    these write them back as well.

    ``given``: the nodes that handed them over before.  Where calls lead back to one, there is no end to it.
    """
    for arrival in survey.walker.arrivals(region, start):
        if not arrival.certain:
            continue
        yield arrival
        node = survey.program.nodes[arrival.node]
        if _is_divert(node) and arrival.node not in given:
            yield from _ends(survey, arrival.region, _behind(survey, node.label), given | {arrival.node})


def _in_one_pass(
    survey: Survey, number: int, node: Node, arrivals: list[Arrival], collecting: Collecting
) -> Iterator[Told]:
    start = _behind(survey, node.label)
    for arrival in arrivals:
        for again in _written(survey, arrival.region, collecting):
            for later in _ends(survey, again, start):
                if later.outcome == node.outcome:
                    by = "it" if later.node == number else f"rule {survey.program.nodes[later.node].label}"
                    reason = f"what comes back from port {node.outcome[1]} is diverted there again, by {by}"
                    yield Kind.DIVERTED_TWICE, reason, [later.node], _as_it_came(survey, later.region, arrival.region)
                    return


def _by_both_passes(
    survey: Survey, number: int, node: Node, arrivals: list[Arrival], collecting: Collecting
) -> Iterator[Told]:
    """A forwarded packet that is diverted to one port on its way in and, if it is then let through, on its way out
    (X-6)."""
    space = survey.space
    for arrival in arrivals:
        for again in _written(survey, _at_hook(survey, arrival.region, "in"), collecting):
            for through in _ends(survey, again, _behind(survey, node.label)):
                if through.outcome[:1] not in _LET_THROUGH:
                    continue
                incoming = _as_it_came(survey, through.region, arrival.region)
                for before, outgoing in _forwarded(survey, incoming):
                    for later in survey.walker.arrivals(outgoing, survey.program.starts["out"]):
                        if later.outcome == node.outcome and later.certain:
                            by = "it" if later.node == number else f"rule {survey.program.nodes[later.node].label}"
                            reason = (
                                f"a forwarded packet goes to port {node.outcome[1]} on its way in, "
                                f"and by {by} again on its way out"
                            )
                            yield Kind.DIVERTED_TWICE, reason, [later.node], _at_in(space, later.region, before)
                            return


def _at_hook(survey: Survey, region: Region, hook: str) -> Region:
    return tuple(mine & theirs for mine, theirs in zip(region, survey.space.at({hook}), strict=True))


def _forwarded(survey: Survey, incoming: Region) -> Iterator[tuple[Region, Region]]:
    """Packets that come in, and the same as they go out: by another interface, as most do, not written by a program in
    this pass, and with a TTL one less."""
    space = survey.space
    place, ttl, written = space.index["place"], space.index.get("ttl"), space.index.get("reinjected")
    came = {atom.low.received_on for atom in space.values(incoming)["place"]}
    sets = list(incoming)
    sets[place] = space.at({"out"}, came)[place] & space.dimensions[place].where(
        lambda value: value.leaves_by != value.received_on
    )
    if written is not None:
        sets[written] = space.dimensions[written].holds(None)
    if not all(sets):
        return
    if ttl is None:
        yield incoming, tuple(sets)
        return
    for number in range(len(space.dimensions[ttl].atoms)):
        if incoming[ttl] >> number & 1:
            before = (*incoming[:ttl], 1 << number, *incoming[ttl + 1 :])
            lived = witness(space, before).header.ttl
            if lived > 1:
                yield before, (*sets[:ttl], space.dimensions[ttl].holds(lived - 1), *sets[ttl + 1 :])


def _as_it_came(survey: Survey, later: Region, before: Region) -> Region:
    """Packets of a later search as they were before a divert socket wrote them."""
    at = survey.space.index.get("reinjected")
    return later if at is None else (*later[:at], before[at], *later[at + 1 :])


def _at_in(space: Space, later: Region, before: Region) -> Region:
    """The packets of the second pass, as they were in the first: they came in where the second says so."""
    place = space.index["place"]
    received = {atom.low.received_on for atom in space.values(later)["place"]}
    sets = [mine & theirs for mine, theirs in zip(later, before, strict=True)]
    sets[place] = before[place] & space.at({"in"}, received)[place]
    for name in ("reinjected", "ttl"):
        if name in space.index:
            sets[space.index[name]] = before[space.index[name]]
    return tuple(sets)


def loops(
    survey: Survey, number: int, node: Node, arrivals: list[Arrival], collecting: Collecting, tag: int | None
) -> Iterator[Told]:
    """A program that writes with a tag of its own may get its packet back for ever (X-7)."""
    if tag is None or not _is_divert(node) or tag >= int(node.label):
        return
    start = _behind(survey, tag)
    for arrival in arrivals:
        if not arrival.certain:
            continue
        for again in _written(survey, arrival.region, collecting):
            for later in survey.walker.arrivals(again, start, until=number):
                if later.certain:
                    reason = f"a packet that is written back with tag {tag} comes to it again, for ever"
                    yield Kind.DIVERT_LOOP, reason, [number], _as_it_came(survey, later.region, arrival.region)
                    return
