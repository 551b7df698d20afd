"""Packets that two programs treat differently, by the rules that decide; or the proof that there are none.

Both programs lie in one space.  The regions of the first that end at one rule are walked through the second, and where
outcomes differ, that part is a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rules.analysis.program import END_OF_CALLS, Flow, Label, Outcome, Program
from rules.analysis.space import Region, Space, difference, intersection
from rules.analysis.walk import Arrival, Walker
from rules.analysis.witness import Witness, witness

__all__ = ["Difference", "cuts", "differences", "plain_outcome"]

_WORDS: dict[str, Outcome] = {
    "allow": ("accept",),
    "ACCEPT": ("accept",),
    "deny": ("deny",),
    "DENY": ("deny",),
    "REJECT": ("unreach", 3),
    "MASQ": ("masq",),
}


@dataclass(frozen=True)
class Difference:
    """One pair of rules that decide differently about some packets."""

    one: Label
    other: Label
    lines: tuple[int | None, int | None]
    outcomes: tuple[Outcome, Outcome]
    """What becomes of them, copies on the way included."""
    certain: bool
    """Else something other than header fields may decide."""
    witness: Witness
    ways: tuple[tuple[Label, ...], tuple[Label, ...]]
    """In each program the rules that did something with it or a copy of it, in order."""
    behind: tuple[Label, Label] | None = None
    """In each program the rule that gave the packet to a socket (or pipe, ...) before, if one did; the search goes on
    behind it."""


@dataclass(frozen=True)
class _Search:
    """Where packets begin in both programs, and which."""

    begins: tuple[int, int]
    region: Region
    behind: tuple[Label, Label] | None = None
    certain: bool = True


def plain_outcome(outcome: Outcome) -> Outcome:
    """An outcome in words that both dialects share: ``accept``, ``deny``, ``divert 8668``; its own for what only one
    has."""
    if not outcome:
        return outcome
    first, *rest = outcome
    return _WORDS.get(str(first), (str(first).lower(), *rest))


def cuts(space: Space) -> Iterator[tuple[str, tuple[int, int]]]:
    """Where a space cuts its dimensions of numbers, as blocks for another space that is to have the same atoms."""
    widths = {"source": 32, "destination": 32, "source_port": 16, "destination_port": 16, "total_length": 16}
    widths |= {"identification": 16, "ttl": 8, "tcp_sequence": 32, "tcp_acknowledgment": 32, "tcp_window": 16}
    for dimension in space.dimensions:
        if dimension.name in ("place",):
            continue
        width = widths.get(dimension.name)
        lows = [atom.low for atom in dimension.atoms if isinstance(atom.low, int)] if width is not None else []
        # Where an atom begins, a single value cuts; where it ends, the next begins.
        yield from ((dimension.name, (low, (1 << (width or 32)) - 1)) for low in lows or [0])


def differences(
    one: Program, other: Program, same: Callable[[Outcome], Outcome] = plain_outcome, *, written: bool = True
) -> Iterator[Difference]:
    """Each pair of deciding rules between which there is a difference, once, with a packet that shows it.

    What both hand to a socket may come back in both, with any header, and is looked at behind those rules.  Without
    ``written`` first passes begin only with packets that no divert socket wrote.

    :raises rules.analysis.walk.TooManyPiecesError: when it cannot be decided.
    """
    walkers = Walker(one), Walker(other)
    told: set[tuple[object, ...]] = set()
    perhaps: dict[tuple[object, ...], Difference] = {}
    searches = list(_starts(one, other, written))
    begun: set[tuple[int, int]] = set()
    while searches:
        search = searches.pop(0)
        for arrival in _checked(walkers[0], search.region, search.begins[0]):
            for met in _checked(walkers[1], arrival.region, search.begins[1]):
                outcomes = _all(arrival, same), _all(met, same)
                if outcomes[0] == outcomes[1]:
                    for given in zip(_given(arrival), _given(met), strict=True):
                        searches += _returns(one, other, given, begun)
                elif (pair := _pair(one, other, arrival, met)) not in told:
                    if search.certain and arrival.certain and met.certain:
                        told.add(pair)
                        yield _difference(one, other, arrival, met, outcomes, search)
                    elif pair not in perhaps:
                        perhaps[pair] = _difference(one, other, arrival, met, outcomes, search)
    yield from (each for pair, each in perhaps.items() if pair not in told)


def _checked(walker: Walker, region: Region, begin: int) -> Iterator[Arrival]:
    """What becomes of packets that begin somewhere: the checks before all rules look at them first."""
    program = walker.program
    rest = [region]
    for number in range(program.checks if begin else 0):
        node, before, rest = program.nodes[number], rest, []
        for piece in before:
            pieces = [piece]
            for match in node.matches:
                inside = intersection(piece, match)
                if inside is not None:
                    yield Arrival(inside, number, node.outcome, (), (), node.certain)
                pieces = [part for each in pieces for part in difference(each, match)]
            rest += pieces
    for piece in rest:
        yield from walker.arrivals(piece, begin)


def _pair(one: Program, other: Program, arrival: Arrival, met: Arrival) -> tuple[object, ...]:
    """Who decides: several nodes may be one check before the rules."""
    nodes = one.nodes[arrival.node], other.nodes[met.node]
    return tuple((node.label, node.line) for node in nodes)


def _labels(program: Program, arrival: Arrival) -> tuple[Label, ...]:
    return tuple(program.nodes[node].label for node in _given(arrival))


def _given(arrival: Arrival) -> list[int]:
    """The nodes that did something with a packet or a copy of it, in order."""
    return [*(node for node, _ in arrival.on_the_way), arrival.node]


def _returns(one: Program, other: Program, pair: tuple[int, int], begun: set[tuple[int, int]]) -> Iterator[_Search]:
    """What two nodes hand over alike may come back in both, once."""
    nodes = one.nodes[pair[0]], other.nodes[pair[1]]
    begins = nodes[0].comes_back, nodes[1].comes_back
    if END_OF_CALLS in begins or begins in begun or nodes[0].flow is Flow.CALLS:
        return
    begun.add(begins)
    # A program may write anything; what a pipe lets go is what came to it, which is not followed here.
    is_written = nodes[0].outcome[:1] in (("divert",), ("tee",))
    for region in _written(one.space) if is_written else one.space.valid():
        yield _Search(begins, region, (nodes[0].label, nodes[1].label), is_written)


def _written(space: Space) -> Iterator[Region]:
    """Every packet that may come back."""
    at = space.index.get("reinjected")
    for valid in space.valid():
        if at is None:
            yield valid
        else:
            yield (*valid[:at], valid[at] & ~space.dimensions[at].holds(None), *valid[at + 1 :])


def _difference(
    one: Program, other: Program, arrival: Arrival, met: Arrival, outcomes: tuple[Outcome, Outcome], search: _Search
) -> Difference:
    first, second = one.nodes[arrival.node], other.nodes[met.node]
    return Difference(
        first.label,
        second.label,
        (first.line, second.line),
        outcomes,
        search.certain and arrival.certain and met.certain,
        witness(one.space, met.region),
        (_labels(one, arrival), _labels(other, met)),
        search.behind,
    )


def _all(arrival: Arrival, same: Callable[[Outcome], Outcome]) -> Outcome:
    """The copies on the way, then the end."""
    copies = tuple(word for _, outcome in arrival.on_the_way for word in outcome)
    return (*copies, *same(arrival.outcome))


def _starts(one: Program, other: Program, written: bool) -> Iterator[_Search]:
    """First passes, of all that are packets."""
    space = one.space
    at = space.index.get("reinjected")
    for hook, begin in one.starts.items():
        for valid in space.valid():
            here = intersection(valid, space.at({hook}))
            if here is None:
                continue
            if at is not None and not written:
                here = (*here[:at], here[at] & space.dimensions[at].holds(None), *here[at + 1 :])
            yield _Search((begin, other.starts[hook]), here)
