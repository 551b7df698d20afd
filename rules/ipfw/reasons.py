"""Why the rules that a search went past did not match."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rules.fields import Fields
from rules.ipfw.chain import RESERVED_SET
from rules.ipfw.compiled import ready
from rules.ipfw.questions import Comment, Incoming
from rules.ipfw.retyping import question_words
from rules.ipfw.rule import Action, Element
from rules.ipfw.step import Entry
from rules.ipfw.verdict import Verdict
from rules.ipfw.world import TransportCutShortError, World
from rules.predicates import LaterFragment
from rules.reasons import PassedOver, clause

if TYPE_CHECKING:
    from rules.ipfw.ruleset import RuleSet

__all__ = ["passed_over", "why_not"]

_JUMPS = {Action.SKIPTO, Action.CALL}


def passed_over(
    rules: RuleSet, fields: Fields, verdict: Verdict, start_after: int = 0, *, resumed: Verdict | None = None
) -> list[PassedOver]:
    """Each rule that the search looked at and that did not match, with the reason, in list order.

    ``verdict`` is what :meth:`RuleSet.evaluate` gave for these fields, ``resumed`` the one before it, behind whose rule
    the search went on.  Rules that a ``skipto`` jumped over were not looked at; what ``call`` led to is followed as far
    as it goes forward.
    """
    found: list[PassedOver] = []
    matched = set(verdict.counted_at)
    skip_to = start_after + 1
    first = resumed.counted_at[-1] + 1 if resumed is not None else 0
    for position, entry in enumerate(rules.chain):
        rule = entry.rule
        if position < first or rule.number < skip_to or rules.chain.disabled >> rule.set & 1:
            continue
        if position in matched:
            if position == verdict.counted_at[-1] and rule.number == verdict.rule:
                break
            if rule.effect.action in _JUMPS and rule.effect.argument > rule.number:
                skip_to = rule.effect.argument
            continue
        if rule.set == RESERVED_SET and entry is rules.chain.default:
            break
        found.append((str(rule.number), why_not(entry, fields, rules.world)))
    return found


def why_not(entry: Entry, fields: Fields, world: World) -> str:
    """Why a rule does not match a packet: its first question that is answered no (E-10)."""
    rule = entry.rule
    for block in _blocks(rule.elements):
        try:
            if all(each.test(fields) for each in ready(block, world)):
                continue
        except TransportCutShortError:
            return "the packet ends inside its TCP options"
        return " and ".join(_clause(element, fields) for element in block)
    if rule.chance is not None:
        return "chance was against it (prob)"
    if rule.effect.action is Action.DEFRAG:
        return "it is no incoming fragment"
    if rule.state is not None or rule.effect.action is Action.CHECK_STATE:
        return "there is no dynamic state for it"
    if rule.effect.action in (Action.RETURN, Action.CALL):
        return "there is nowhere to return to" if rule.effect.action is Action.RETURN else "calls are nested too deep"
    return "the search went past it"


def _blocks(elements: Sequence[Element]) -> Iterator[tuple[Element, ...]]:
    """What has to hold together: an element, or the alternatives of an or-block."""
    block: list[Element] = []
    for element in elements:
        block.append(element)
        if not element.or_next:
            yield tuple(block)
            block = []
    if block:
        yield tuple(block)


def _clause(element: Element, fields: Fields) -> str:
    question = element.question
    if isinstance(question, Incoming):
        return "it is on its way in, not out" if element.negated else "it is on its way out, not in"
    if isinstance(question, LaterFragment):
        return "it is a later fragment" if element.negated else "it is no later fragment"
    if isinstance(question, Comment):
        return "the rule excludes everything"
    return clause(question, question_words(question), fields, negated=element.negated)
