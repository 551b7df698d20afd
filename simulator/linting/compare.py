"""Two rule files side by side: the packets that they treat differently, each tried on both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rules.analysis.difference import Difference, differences
from rules.analysis.finding import outcome_words
from rules.analysis.program import Label
from simulator.linting.files import RuleFile
from simulator.linting.packets import Shown, shown
from simulator.linting.profiles import same_space

__all__ = ["Pair", "compare"]


@dataclass(frozen=True)
class Pair:
    """Two rules that decide differently about some packets, and one of those."""

    difference: Difference
    packet: Shown

    @property
    def outcomes(self) -> tuple[str, str]:
        first, second = self.difference.outcomes
        return outcome_words(first), outcome_words(second)

    @property
    def rules(self) -> tuple[Label, Label]:
        return self.difference.one, self.difference.other

    def as_json(self) -> dict[str, Any]:
        sides = zip("ab", self.rules, self.difference.lines, self.outcomes, strict=True)
        said: dict[str, Any] = {
            side: {"rule": rule, "line": line, "outcome": outcome} for side, rule, line, outcome in sides
        }
        return said | {"certain": self.difference.certain, "witness": self.packet.as_json()}


def _are_the_same(one: RuleFile, other: RuleFile) -> bool:
    """Whether both say the same to the same kernel, so that nothing can make a difference, whatever decides."""
    mine, theirs = one.checker.rules, other.checker.rules
    return one.conditions == other.conditions and (
        one.text == other.text
        or (
            mine is not None
            and theirs is not None
            and _all_tables(one) == _all_tables(other) == []
            and [*mine] == [*theirs]
        )
    )


def _all_tables(file: RuleFile) -> list[str]:
    """Lines that are about something else than rules: tables, pipes, instances of nat, sets."""
    lines = (line.strip().removeprefix("ipfw ").strip() for line in file.text.splitlines())
    return [line for line in lines if line and not line.startswith(("#", "add "))]


def compare(one: RuleFile, other: RuleFile) -> tuple[list[Pair], list[Label]]:
    """The pairs of rules that differ; none: the two are equal, as far as no rule is uncertain.

    The second list names rules that state, chance, routes or the like decide about.

    :raises rules.analysis.walk.TooManyPiecesError: when it cannot be decided.
    """
    mixed = one.conditions.is_linux != other.conditions.is_linux
    first, second = same_space(one, other, short=True)
    if _are_the_same(one, other):
        return [], []
    pairs = [Pair(each, shown(each.witness)) for each in differences(first, second, written=not mixed)]
    uncertain = [node.label for program in (first, second) for node in program.nodes if not node.certain]
    return pairs, list(dict.fromkeys(uncertain))
