"""A rule as ipfw(8) lists it, from its ``prob`` on (L-1.4 to L-1.8 of the behavioural notes)."""

from __future__ import annotations

from rules.ipfw.byplace import by_place
from rules.ipfw.inorder import in_order
from rules.ipfw.listing import Style, action_words, argument_words
from rules.ipfw.questions import Comment
from rules.ipfw.rule import CHANCE_UNIT, Rule

__all__ = ["second_body"]


def second_body(rule: Rule, style: Style) -> str:
    """A rule of the second language from its ``prob`` on, without number, counters and set (L-1.4 to L-1.8)."""
    switches = style.switches
    action = action_words(rule.effect, switches)
    parts = []
    if rule.chance is not None:
        parts.append(f"prob {rule.chance / CHANCE_UNIT:f}")
    parts.append(action)
    if rule.log is not None:
        parts.append(f"log logamount {rule.log.amount}" if rule.log.amount else "log")
    if rule.tag is not None:
        parts.append(f"{'untag' if rule.tag.remove else 'tag'} {argument_words(rule.tag.number)}")
    if style.comment_only:
        comments = [element.question.text for element in rule.elements if isinstance(element.question, Comment)]
        return " ".join([*parts, "//", comments[0] if comments else "..."])
    questions = by_place(rule, style) if switches.listed_by_place else in_order(rule, style)
    return " ".join([*parts, questions] if questions else parts)
