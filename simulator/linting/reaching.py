"""A packet that comes to a rule, tried on the rules; or the proof that none does."""

from __future__ import annotations

from rules.analysis.program import Label
from rules.analysis.survey import Survey
from rules.analysis.witness import witness
from simulator.checking.checker import Answer
from simulator.checking.questions import Question
from simulator.linting.files import RuleFile
from simulator.linting.packets import Shown, meets, shown

__all__ = ["NoSuchRuleError", "reaching"]


class NoSuchRuleError(LookupError):
    """There is no rule of that number or place."""


def reaching(file: RuleFile, label: Label, verdict: str | None = None) -> tuple[Shown, Answer] | None:
    """A packet of a first pass that matches a rule, with what becomes of it; None when there is none.

    ``verdict``: what it does to the packet: ``divert``, ``divert 8668``, ``accept``, ...

    :raises NoSuchRuleError: for a rule that is not there.
    :raises rules.analysis.walk.TooManyPiecesError: when it cannot be decided.
    """
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
                if meets(answer.details, label) and (verdict is None or _is(answer, verdict)):
                    return packet, answer
    return None


def _is(answer: Answer, verdict: str) -> bool:
    """Whether what became of a packet is said by these words."""
    wanted = verdict.lower().replace("allow", "accept")
    outcomes = [step.outcome.partition(" by ")[0].lower() for step in answer.steps]
    return any(outcome == wanted or outcome.startswith(f"{wanted} ") for outcome in outcomes)
