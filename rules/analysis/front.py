"""The public front: rule sets in, findings, differences and packets out; no files, no router, no octets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rules.analysis import ipchains, ipfw
from rules.analysis.difference import Difference, cuts
from rules.analysis.difference import differences as between
from rules.analysis.finding import Findings
from rules.analysis.findings import findings
from rules.analysis.program import Label, Outcome, Program
from rules.analysis.rewritten import Collecting
from rules.analysis.survey import Survey
from rules.analysis.witness import Witness, witness
from rules.blocks import Block
from rules.ipchains import Tables
from rules.ipfw import RuleSet

__all__ = ["Build", "Comparison", "Reached", "differences", "in_one_space", "lint", "reaches"]

_MEETING = {"input": "in", "output": "out"}
"""Where chains are compared with the passes of ipfw."""

Build = Callable[[Iterable[tuple[str, Block]], Iterable[str]], Program]
"""Makes a program; of another that is to have the same space, the cuts (:func:`rules.analysis.difference.cuts`) and the
interfaces."""


@dataclass(frozen=True)
class Comparison:
    """What two rule sets treat differently."""

    differences: tuple[Difference, ...]
    uncertain: tuple[Label, ...]
    """Rules about which more than header fields decides: state, chance, routes, owners."""

    @property
    def equal(self) -> bool:
        """Whether it is proven that there is no difference."""
        return not self.differences and not self.uncertain


@dataclass(frozen=True)
class Reached:
    """A packet that comes to a rule in its first pass, and matches it."""

    witness: Witness
    outcome: Outcome
    """What then becomes of it."""
    certain: bool
    """Else state, chance or the like may decide otherwise."""


def lint(
    rules: RuleSet | Tables,
    *,
    interfaces: Sequence[str] = (),
    knows_host: bool = False,
    tag: int | None = None,
    collecting: Collecting | None = None,
) -> Findings:
    """What is wrong, or odd, with a rule set, said of all packets; the kinds are in docs/lint.md.

    ``profile-dependent`` is not among them, for which the rules are needed as they were typed.

    ``interfaces``: those of the host that no rule names.  ``knows_host``: the rule set was made with the host's
    addresses, so ``me`` is exact.  ``tag``: programs write with this tag, not with the one that they got.
    ``collecting``: the passes in which fragments that match ``divert`` or ``tee`` are put together first; by default
    ``{"divert": {"in", "out"}}``, as in FreeBSD 5 and later (bsd.md F-3).
    """
    return findings(_build(rules, interfaces, knows_host)((), ()), tag=tag, collecting=collecting)


def differences(
    one: RuleSet | Tables, other: RuleSet | Tables, *, interfaces: Sequence[str] = (), knows_host: bool = False
) -> Comparison:
    """The packets that two rule sets treat differently: one for each pair of rules that decide.

    A rule set of ipchains and one of ipfw are compared at input and ``in``, output and ``out``, without what divert
    sockets write back.

    :raises rules.analysis.TooManyPiecesError: when it cannot be decided in reasonable time.
    """
    mixed = isinstance(one, Tables) != isinstance(other, Tables)
    programs = in_one_space(*(_build(rules, interfaces, knows_host, short=True, mixed=mixed) for rules in (one, other)))
    uncertain = [node.label for program in programs for node in program.nodes if not node.certain]
    return Comparison(tuple(between(*programs, written=not mixed)), tuple(dict.fromkeys(uncertain)))


def reaches(
    rules: RuleSet | Tables, rule: Label, *, interfaces: Sequence[str] = (), knows_host: bool = False
) -> Reached | None:
    """A packet that comes to a rule in its first pass and matches it; None when there is none, which is proven.

    ``rule``: its number, or ``"input:3"``.

    :raises LookupError: for a rule that is not there.
    :raises rules.analysis.TooManyPiecesError: when it cannot be decided in reasonable time.
    """
    program = _build(rules, interfaces, knows_host)((), ())
    nodes = program.nodes
    numbers = [number for number, node in enumerate(nodes) if node.label == rule and node.outcome != ("state",)]
    if not numbers:
        raise LookupError(f"there is no rule {rule}")
    survey = Survey(program)
    found: Reached | None = None
    for number in numbers:
        for arrival in survey.first_arrivals(number):
            for end in survey.walker.arrivals(arrival.region, number, forgot=arrival.forgot):
                certain = arrival.certain and end.certain and nodes[number].certain
                if certain or found is None:
                    found = Reached(witness(program.space, end.region), end.outcome, certain)
                if certain:
                    return found
    return found


def in_one_space(one: Build, other: Build) -> tuple[Program, Program]:
    """Two programs in one space, whose dimensions are cut wherever either of them cuts."""
    first, second = one((), ()), other((), ())
    if [(each.name, each.atoms) for each in first.space.dimensions] == [
        (each.name, each.atoms) for each in second.space.dimensions
    ]:
        return first, second
    names = {
        name
        for program in (first, second)
        for place in program.places
        for name in (place.received_on, place.leaves_by)
        if name and not name.startswith("other")
    }
    extra = [cut for program in (first, second) for cut in cuts(program.space)]
    return one(extra, names), other(extra, names)


def _build(
    rules: RuleSet | Tables, interfaces: Sequence[str], knows_host: bool, *, short: bool = False, mixed: bool = False
) -> Build:
    if isinstance(rules, Tables):
        hooks = _MEETING if mixed else None
        return lambda extra, names: ipchains.build(rules, names={*names, *interfaces}, extra=extra, hooks=hooks)
    return lambda extra, names: ipfw.build(
        rules, interfaces=interfaces, knows_host=knows_host, names=names, extra=extra, short=short
    )
