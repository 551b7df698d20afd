"""User chains that no packet comes to, and those that packets come to twice on one way (linux.md F4)."""

from __future__ import annotations

from collections.abc import Iterator

from rules.analysis.program import Flow, Label, Program
from rules.analysis.space import Region
from rules.analysis.survey import Survey

__all__ = ["looping", "unreachable"]


def _called(program: Program, first: int, behind: int) -> Iterator[str]:
    """The chains that the rules of a stretch of nodes jump to."""
    names = {begins: name for name, (begins, _) in program.chains.items()}
    for node in program.nodes[first:behind]:
        if node.flow is Flow.CALLS and node.target in names:
            yield names[node.target]


def unreachable(program: Program) -> list[str]:
    """The user chains that nothing jumps to from a built-in chain, not even by way of others."""
    users = program.chains
    inside = {index for first, behind in users.values() for index in range(first, behind)}
    met: set[str] = set()
    coming = [
        name
        for index in range(len(program.nodes))
        if index not in inside
        for name in _called(program, index, index + 1)
    ]
    while coming:
        name = coming.pop()
        if name not in met:
            met.add(name)
            coming += _called(program, *users[name])
    return [name for name in users if name not in met]


def looping(survey: Survey) -> Iterator[tuple[Label, int, Region | None]]:
    """Rules at which a packet is dropped because it is still on its way through the chain that they jump to: each with
    its node, and packets that come there from a hook; None where only one that is sent to the chain itself does."""
    program = survey.program
    suspects = {name for name in program.chains if name in _reached_from(program, name)}
    if not suspects:
        return
    told: set[int] = set()
    for start, region in survey.starts():
        for valid in program.space.valid():
            wanted = tuple(left & right for left, right in zip(region, valid, strict=True))
            if not all(wanted):
                continue
            for arrival in survey.walker.arrivals(wanted, start):
                node = program.nodes[arrival.node]
                if node.flow is Flow.CALLS and arrival.node not in told:
                    told.add(arrival.node)
                    yield node.label, arrival.node, arrival.region
    lonely = suspects & set(unreachable(program))
    for name in sorted(lonely):
        first, behind = program.chains[name]
        for index in range(first, behind):
            node = program.nodes[index]
            if node.flow is Flow.CALLS and index not in told and node.matches:
                back = next((each for each, (begins, _) in program.chains.items() if begins == node.target), "")
                if back == name or name in _reached_from(program, back):
                    told.add(index)
                    yield node.label, index, None


def _reached_from(program: Program, name: str) -> set[str]:
    """The chains that a chain jumps to, and those that they jump to."""
    met: set[str] = set()
    coming = list(_called(program, *program.chains[name]))
    while coming:
        other = coming.pop()
        if other not in met:
            met.add(other)
            coming += _called(program, *program.chains[other])
    return met
