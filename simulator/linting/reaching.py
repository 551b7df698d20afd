"""A packet that comes to a rule, tried on the rules; or the proof that none does."""

from __future__ import annotations

from collections.abc import Iterable

from rules.analysis.finding import outcome_words
from rules.analysis.program import Label
from rules.analysis.survey import Survey
from rules.analysis.witness import witness
from simulator.checking.checker import Answer
from simulator.checking.questions import Question
from simulator.linting.files import RuleFile
from simulator.linting.packets import Shown, meets, shown

__all__ = ["NoSuchRuleError", "NoSuchVerdictError", "reaching"]

_VERDICTS = {
    True: ["accept", "deny", "reject", "masq", "redirect", "divert"],
    False: [
        "accept",
        "allow",
        "deny",
        "unreach",
        "reject",
        "reset",
        "divert",
        "tee",
        "fwd",
        "nat",
        "pipe",
        "queue",
        "reass",
        "defrag",
    ],
}
"""The first words of what may become of a packet, by whether it is Linux that decides."""

_SAME = {"allow": "accept", "reject": "unreach"}
"""In ipfw."""


class NoSuchRuleError(LookupError):
    """There is no rule of that number or place."""


class NoSuchVerdictError(ValueError):
    """No packet ever meets with such a thing; the message repeats it, and says what there is."""


def reaching(file: RuleFile, label: Label, verdict: str | None = None) -> tuple[Shown, Answer] | None:
    """A packet of a first pass that matches a rule, with what becomes of it; None when there is none.

    ``verdict``: what it does to the packet: ``divert``, ``divert 8668``, ``accept``, ...

    :raises NoSuchRuleError: for a rule that is not there.
    :raises NoSuchVerdictError: for a word that is none.
    :raises rules.analysis.walk.TooManyPiecesError: when it cannot be decided.
    """
    wanted = _wanted(verdict, file.conditions.is_linux)
    program = file.program()
    numbers = [
        number for number, node in enumerate(program.nodes) if node.label == label and node.outcome != ("state",)
    ]
    if not numbers:
        raise NoSuchRuleError(label)
    survey = Survey(program)
    for number in numbers:
        for arrival in survey.first_arrivals(number):
            for after in survey.walker.arrivals(arrival.region, number, forgot=arrival.forgot):
                packet = shown(witness(program.space, after.region))
                if packet.reinjected is not None:
                    continue
                checker = file.reloaded()
                question = Question(line=0, words=packet.words, octets=packet.octets, given=packet.given)
                answer = checker.ask(question)
                outcomes = [step.outcome.partition(" by ")[0].lower() for step in answer.steps]
                # Who answers calls every refusal one; which it is stands in the rule.
                outcomes.append(outcome_words(after.outcome).lower())
                if meets(answer.details, label) and (wanted is None or _is(outcomes, wanted)):
                    return packet, answer
    return None


def _wanted(verdict: str | None, is_linux: bool) -> str | None:
    """The words that are asked for, as they are told."""
    if verdict is None:
        return None
    first, *rest = verdict.lower().split() or [""]
    if first not in _VERDICTS[is_linux]:
        raise NoSuchVerdictError(f"nothing is called {verdict!r} (there are {', '.join(_VERDICTS[is_linux])})")
    return " ".join([first if is_linux else _SAME.get(first, first), *rest])


def _is(outcomes: Iterable[str], wanted: str) -> bool:
    """Whether what became of a packet is said by these words."""
    return any(outcome == wanted or outcome.startswith(f"{wanted} ") for outcome in outcomes)
