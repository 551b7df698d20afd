"""Two rule files side by side: the packets that they treat differently, each tried on both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rules.analysis.difference import Difference, differences
from rules.analysis.finding import outcome_words
from rules.analysis.program import Label, Outcome
from simulator.linting.files import RuleFile
from simulator.linting.packets import Shown, shown, tried
from simulator.linting.profiles import same_space

__all__ = ["Pair", "compare"]


@dataclass(frozen=True)
class Pair:
    """Two rules that decide differently about some packets, and one of those."""

    difference: Difference
    packet: Shown
    is_shown: bool
    """Whether these rules decided about it when it was tried on both rule sets."""

    @property
    def is_certain(self) -> bool:
        return self.difference.certain and self.is_shown

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
        behind = self.difference.behind
        said["behind"] = None if behind is None else dict(zip("ab", behind, strict=True))
        return said | {"certain": self.is_certain, "witness": self.packet.as_json(), "words": self.words}

    @property
    def words(self) -> str:
        """The packet, and where the search for it begins."""
        behind = self.difference.behind
        return self.packet.words + (f", behind {behind[0]} and {behind[1]}" if behind is not None else "")


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


def _tried(one: RuleFile, other: RuleFile, difference: Difference) -> Pair:
    """The difference with its packet, which has been through both rule sets."""
    packet = shown(difference.witness)
    if difference.behind is not None and packet.reinjected is None:
        packet = replace(packet, reinjected=packet.hook)
    tags = difference.behind or (0, 0)
    sides = zip((one, other), tags, difference.ways, difference.outcomes, strict=True)
    is_shown = all(
        _went(tried(file.reloaded() if file.is_stateful else file.checker, packet, start_after=int(tag)), way, outcome)
        for file, tag, way, outcome in sides
    )
    return Pair(difference, packet, is_shown)


_COLLECTED = ("reass", "defrag")


def _went(answer: Mapping[str, Any], way: Sequence[Label], outcome: Outcome) -> bool:
    """Whether these rules, in this order, are those that did something with a packet."""
    first, *rest = way
    if outcome[-1] in _COLLECTED:
        # Whoever tries a fragment is told how it goes on alone.
        return way[-1] in answer["counted"]
    if answer["decided_by"] not in _names(first):
        return False
    return not rest or ("tee_then" in answer and _went(answer["tee_then"], rest, outcome))


def _names(label: Label) -> set[Label | None]:
    """What a node may be called by those who tried it: also what is dropped before any rule, and in a loop."""
    if isinstance(label, int):
        return {label}
    check = label.partition(":")[2]
    return {label, f"loop@{label}", check or None}


def compare(one: RuleFile, other: RuleFile) -> tuple[list[Pair], list[Label]]:
    """The pairs of rules that differ; none: the two are equal, as far as no rule is uncertain.

    The second list names rules that state, chance, routes or the like decide about.

    :raises rules.analysis.walk.TooManyPiecesError: when it cannot be decided.
    """
    mixed = one.conditions.is_linux != other.conditions.is_linux
    first, second = same_space(one, other, short=True)
    if _are_the_same(one, other):
        return [], []
    pairs = [_tried(one, other, each) for each in differences(first, second, written=not mixed)]
    uncertain = [node.label for program in (first, second) for node in program.nodes if not node.certain]
    return pairs, list(dict.fromkeys(uncertain))
