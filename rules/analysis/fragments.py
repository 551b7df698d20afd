"""Rules with ports and the fragments that have none: those that a divert rule loses, and those that slip past a
refusal (bsd.md F-4; linux.md F22)."""

from __future__ import annotations

from collections.abc import Iterator

from rules.analysis.finding import Kind, outcome_words
from rules.analysis.program import Flow, Node
from rules.analysis.rewritten import Collecting, Told
from rules.analysis.space import Region, intersection
from rules.analysis.survey import Survey
from rules.analysis.walk import Arrival
from rules.fields import MORE_FRAGMENTS, OFFSET_MASK

__all__ = ["fragments"]

_REFUSED = frozenset({"deny", "unreach", "reset", "DENY", "REJECT"})
_ACCEPTED = frozenset({"allow", "fwd", "nat", "ACCEPT", "MASQ", "REDIRECT"})
_TRANSPORT = frozenset(
    {"source_port", "destination_port", "tcp_flags", "icmp_type", "icmp_code", "tcp_sequence", "tcp_acknowledgment"}
    | {"tcp_window", "tcp_options"}
)


def fragments(survey: Survey, node: Node, arrivals: list[Arrival], collecting: Collecting) -> Iterator[Told]:
    """What becomes of later fragments whose first fragment a rule with ports takes."""
    action = str(node.outcome[0]) if node.outcome else ""
    hands_over = action.lower() in ("divert", "tee")
    if not node.asks_ports or not (hands_over or action in _REFUSED):
        return
    if node.flow not in (Flow.ENDS, Flow.NEXT):
        return
    space = survey.space
    at = space.index["fragment"]
    begins = space.dimensions[at].where(lambda value: bool(value & MORE_FRAGMENTS) and not value & OFFSET_MASK)
    for arrival in arrivals:
        first = _with(arrival.region, at, begins)
        if first is None or not arrival.certain:
            continue
        for rest in _later_fragments(survey, first, arrival):
            told = _lost(survey, node, first, rest, collecting) if hands_over else _slips(survey, node, rest)
            if told is not None:
                yield told
                return


def _lost(survey: Survey, node: Node, first: Region, rest: Arrival, collecting: Collecting) -> Told | None:
    action, taker = str(node.outcome[0]), survey.program.nodes[rest.node]
    if rest.outcome == node.outcome or node.outcome in (each for _, each in rest.on_the_way):
        return None
    if survey.program.nodes[rest.node].flow is Flow.COLLECTS:
        return None
    does = f"{_rule(taker)} has those ({outcome_words(rest.outcome)})"
    hooks = collecting.get(action, frozenset())
    waits = _at_hooks(survey, first, hooks)
    if waits is not None:
        reason = f"it asks for ports, which later fragments lack: {does}, the first one waits for them and is lost"
        return Kind.FRAGMENTS_LOST, reason, [rest.node], waits
    reason = f"it asks for ports, which later fragments lack: {does}, and the socket gets the first one alone"
    return Kind.FRAGMENTS_LOST, reason, [rest.node], first


def _at_hooks(survey: Survey, region: Region, hooks: frozenset[str]) -> Region | None:
    return intersection(region, survey.space.at(hooks)) if hooks else None


def _slips(survey: Survey, node: Node, rest: Arrival) -> Told | None:
    if not rest.outcome or rest.outcome[0] not in _ACCEPTED:
        return None
    taker = survey.program.nodes[rest.node]
    reason = f"it asks for ports, which later fragments lack: {_rule(taker)} lets them through"
    return Kind.FRAGMENTS_SLIP, reason, [rest.node], rest.region


def _rule(node: Node) -> str:
    return str(node.label) if node.is_policy and isinstance(node.label, str) else f"rule {node.label}"


def _later_fragments(survey: Survey, region: Region, arrival: Arrival) -> Iterator[Arrival]:
    """What is sure to become of the later fragments of the datagrams whose first fragments are in a region."""
    space = survey.space
    at = space.index["fragment"]
    # TCP fragments with offset 1 are refused by some kernels, so those behind are looked at.
    later = space.dimensions[at].where(lambda value: value & OFFSET_MASK > 1)
    loose = [
        dimension.full if dimension.name in _TRANSPORT | {"total_length"} else atoms
        for dimension, atoms in zip(space.dimensions, region, strict=True)
    ]
    loose[at] = later
    for valid in space.valid():
        wanted = intersection(tuple(loose), valid)
        if wanted is None:
            continue
        for start, begins in survey.starts():
            here = intersection(wanted, begins)
            if here is not None:
                yield from (each for each in survey.walker.arrivals(here, start) if each.certain)


def _with(region: Region, index: int, atoms: int) -> Region | None:
    both = region[index] & atoms
    return (*region[:index], both, *region[index + 1 :]) if both else None
