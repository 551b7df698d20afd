"""Rules that mean something else to another kernel of the family: the file under one profile beside the same file under
the others that take it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rules.analysis.difference import plain_outcome
from rules.analysis.finding import outcome_words
from rules.analysis.front import Build, in_one_space
from rules.analysis.program import Label, Node, Program
from rules.analysis.space import Region, difference, intersection
from rules.analysis.walk import TooManyPiecesError, Walker
from rules.analysis.witness import witness
from rules.ipfw.switches import DIALECTS, Dialect
from simulator.checking.loading import RuleFileError
from simulator.linting.files import RuleFile
from simulator.linting.packets import Shown, shown, tried
from simulator.profiles import PROFILES

__all__ = ["profile_dependent", "same_space"]

Told = tuple[Label, int | None, tuple[Label, ...], str, Shown]
"""Rule, line, by, reason, packet."""


def profile_dependent(file: RuleFile) -> tuple[list[Told], list[tuple[str, str]]]:
    """The rules whose meaning differs, each once; and the profiles that do not take the file, with the complaint."""
    found: dict[tuple[Label, int | None], Told] = {}
    refused: list[tuple[str, str]] = []
    for name, profile in PROFILES.items():
        if name == file.conditions.profile or type(profile) is not type(PROFILES[file.conditions.profile]):
            continue
        try:
            other = RuleFile(file.text, replace(file.conditions, profile=name, dialect=_dialect(file, name)))
        except RuleFileError as error:
            refused.append((name, f"line {error.number}: {error.complaint}"))
            continue
        if not _may_differ(file, other):
            continue
        try:
            for told in _differing(file, other):
                found.setdefault(told[:2], told)
        except TooManyPiecesError:
            continue
    return list(found.values()), refused


def _may_differ(file: RuleFile, other: RuleFile) -> bool:
    """Whether the rules became others, or what the kernel does with rules differs where it matters to one pass."""
    mine, theirs = file.checker.rules, other.checker.rules
    if mine is None or theirs is None:
        return True
    asked = [
        [
            (
                rules.switches.tee_original,
                rules.switches.highest_icmp_type,
                rules.switches.ipfw_dialect,
                rules.switches.transaction_tcp,
                rules.switches.dscp_zero_is_tablearg,
            ),
            *rules,
        ]
        for rules in (mine, theirs)
    ]
    return asked[0] != asked[1]


def _dialect(file: RuleFile, name: str) -> Dialect | None:
    """Of a profile that has both rule languages the one in which the file is written; None elsewhere."""
    rules = file.checker.rules
    return rules.switches.ipfw_dialect if rules is not None and name in DIALECTS else None


def _differing(file: RuleFile, other: RuleFile) -> Iterator[Told]:
    """Rules that match other packets there, or do something else with them, where that changes what becomes of one."""
    one, two = same_space(file, other)
    theirs = _by_line(two)
    for key, node in _by_line(one).items():
        twin = theirs.get(key)
        if twin is None or not (node.certain and twin.certain):
            continue
        for region in _apart(node, twin):
            told = _shown(file, other, one, two, node, region)
            if told is not None:
                yield told
                break


def same_space(file: RuleFile, other: RuleFile, *, short: bool = False) -> tuple[Program, Program]:
    """Both programs in one space.  A file of ipchains and one of ipfw meet at ``in`` and ``out``.

    ``short``: what is dropped before any rule is part of it.
    """
    mixed = file.conditions.is_linux != other.conditions.is_linux
    hooks = {"input": "in", "output": "out"} if mixed else None

    def build(side: RuleFile) -> Build:
        return lambda extra, names: side.program(short=short, hooks=hooks, extra=extra, names=names)

    return in_one_space(build(file), build(other))


def _by_line(program: Program) -> dict[tuple[Label, int | None], Node]:
    return {
        (node.label, node.line): node
        for node in program.nodes
        if not node.is_policy and node.outcome != ("state",) and node.line is not None
    }


def _apart(node: Node, twin: Node) -> Iterator[Region]:
    """Packets about which the two differ by themselves."""
    if (node.flow, plain_outcome(node.outcome)) != (twin.flow, plain_outcome(twin.outcome)):
        yield from node.matches
        return
    for mine, others in ((node.matches, twin.matches), (twin.matches, node.matches)):
        for region in mine:
            rest = [region]
            for wider in others:
                rest = [part for piece in rest for part in difference(piece, wider)]
            yield from rest


def _shown(file: RuleFile, other: RuleFile, one: Program, two: Program, node: Node, region: Region) -> Told | None:
    """A packet of a region of which the whole rule sets make different things, tried on both."""
    first, second = Walker(one), Walker(two)
    for start in sorted(set(one.starts.values())):
        hooks = {hook for hook, at in one.starts.items() if at == start}
        here = intersection(region, one.space.at(hooks))
        if here is None:
            continue
        for mine in first.arrivals(here, start):
            for theirs in second.arrivals(mine.region, start):
                ends = (mine.outcome, mine.on_the_way != ()), (theirs.outcome, theirs.on_the_way != ())
                if ends[0] == ends[1] or not (mine.certain and theirs.certain):
                    continue
                packet = shown(witness(one.space, theirs.region))
                if packet.reinjected is not None:
                    continue
                answers = [tried(each.reloaded(), packet) for each in (file, other)]
                deciders = one.nodes[mine.node].label, two.nodes[theirs.node].label
                if tuple(answer["decided_by"] for answer in answers) != deciders and node.outcome[:1] != ("tee",):
                    continue
                does = [outcome_words(each.outcome) for each in (mine, theirs)]
                names = file.conditions.profile, other.conditions.profile
                reason = f"{does[0]} by rule {deciders[0]} on {names[0]}, {does[1]} by rule {deciders[1]} on {names[1]}"
                by = tuple(dict.fromkeys(label for label in deciders if label != node.label))
                return node.label, node.line, by, f"it means something else on {names[1]}: {reason}", packet
    return None
