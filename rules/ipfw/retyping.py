"""The words that make a rule again: what :func:`str` gives for one.

A listing cannot always be typed again, because it fills places as they come (:mod:`rules.ipfw.listing`); these words
always can, and give an equal rule in every system that has its words.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import UnionType

from rules.ipfw.listing import Style, action_words, address_words, end_of, limit_words, option_words, protocol_word
from rules.ipfw.questions import (
    AddressInTable,
    AddressIsLocal6,
    Comment,
    End,
    Family,
    Incoming,
)
from rules.ipfw.rule import CHANCE_UNIT, DEFAULT_STATE, Action, Element, Rule
from rules.ipfw.switches import PROFILES
from rules.predicates import DestinationPort, Predicate, ProtocolIs, SourcePort

__all__ = ["command_words", "question_words"]

_STYLE = Style(PROFILES["freebsd-11"])


def command_words(rule: Rule) -> str:
    """What follows ``ipfw add``."""
    words = [str(rule.number)] if rule.number else []
    if rule.set:
        words.append(f"set {rule.set}")
    if rule.chance is not None:
        words.append(f"prob {(rule.chance + 0.5) / CHANCE_UNIT!r}")
    words.append(action_words(rule.effect, _STYLE.switches))
    if rule.effect.action is Action.CHECK_STATE and rule.effect.state != DEFAULT_STATE:
        words.append(f":{rule.effect.state or 'any'}")
    if rule.log is not None:
        words.append(f"log logamount {rule.log.amount}")
    if rule.tag is not None:
        number = "tablearg" if rule.tag.number < 0 else rule.tag.number
        words.append(f"{'untag' if rule.tag.remove else 'tag'} {number}")
    if rule.effect.action is not Action.CHECK_STATE:
        words += _body(rule)
    return " ".join(words)


def _body(rule: Rule) -> list[str]:
    questions = [element for element in rule.elements if not isinstance(element.question, Comment)]
    comments = [element for element in rule.elements if isinstance(element.question, Comment)]
    words, rest = (
        ([] if rule.bare else ["ip from any to any"], questions)
        if rule.options_only or rule.bare
        else _places(questions)
    )
    words += _options(rest)
    if rule.state is not None:
        words.append("not " * rule.state.negated + limit_words(rule.state, _STYLE.switches, apart=True))
        if rule.state.name != DEFAULT_STATE:
            words.append(f":{rule.state.name}")
    if rule.deferred:
        words.append("defer-immediate-action")
    for element in comments:
        assert isinstance(element.question, Comment)
        words.append("not " * element.negated + f"// {element.question.text}")
    return words


# PROTOCOL from SOURCE [PORTS] to DESTINATION [PORTS]


def _places(elements: Sequence[Element]) -> tuple[list[str], Sequence[Element]]:
    """The positional part of a rule, and the elements that it could not hold."""
    protocols, rest = _block(elements, ProtocolIs | Family)
    words = [_alternatives(protocols) or "ip"]
    last = protocols[-1].question if protocols else None
    only_ip6 = isinstance(last, Family) and last.version == 6
    for preposition, end, port in (("from", End.SOURCE, SourcePort), ("to", End.DESTINATION, DestinationPort)):
        addresses, behind = _block(rest, object, end)
        if only_ip6 and not all(isinstance(each.question, AddressIsLocal6 | AddressInTable) for each in addresses):
            addresses, behind = [], rest
        words.append(f"{preposition} {_alternatives(addresses) or 'any'}")
        rest = behind
        if rest and isinstance(rest[0].question, port) and not rest[0].or_next:
            words.append("not " * rest[0].negated + str(rest[0].question.ports))
            rest = rest[1:]
    return words, rest


def _block(
    elements: Sequence[Element], kinds: type | UnionType, end: End | None = None
) -> tuple[Sequence[Element], Sequence[Element]]:
    """The block at the front, if all its alternatives are of these kinds and about this end."""
    for size, element in enumerate(elements, 1):
        question = element.question
        is_lookup = isinstance(question, AddressInTable) and question.key is not None
        if is_lookup or not isinstance(question, kinds) or end_of(question) is not end:
            return [], elements
        if not element.or_next:
            return elements[:size], elements[size:]
    return [], elements


def _alternatives(block: Sequence[Element]) -> str:
    words = " or ".join("not " * element.negated + _place(element.question) for element in block)
    return f"{{ {words} }}" if len(block) > 1 else words


def _place(question: Predicate) -> str:
    if isinstance(question, ProtocolIs):
        return protocol_word(question.number)
    if isinstance(question, Family):
        return f"ip{question.version}"
    return _address(question)


# Options


def _options(elements: Sequence[Element]) -> list[str]:
    words, in_braces = [], False
    for element in elements:
        if element.or_next and not in_braces:
            words.append("{")
        words.append(_option(element))
        if element.or_next:
            words.append("or")
        elif in_braces:
            words.append("}")
        in_braces = element.or_next
    return words


def _option(element: Element) -> str:
    question = element.question
    if isinstance(question, Incoming):
        return "out" if element.negated else "in"
    return "not " * element.negated + _keyword(question)


def _keyword(question: Predicate) -> str:
    if isinstance(question, ProtocolIs):
        return f"proto {protocol_word(question.number)}"
    if isinstance(question, SourcePort):
        return f"src-port {question.ports}"
    if isinstance(question, DestinationPort):
        return f"dst-port {question.ports}"
    if isinstance(question, AddressInTable) and question.key is not None:
        return f"lookup {question.key} {question.table}"
    end = end_of(question)
    if end is None:
        return option_words(question, _STYLE)
    return f"{'src' if end is End.SOURCE else 'dst'}-ip {_address(question)}"


def question_words(question: Predicate) -> str:
    """What a question asks for, without the keyword of a place: ``10.0.0.0/8``, ``80``, ``tcp``, but ``ipttl 3``."""
    words = _keyword(question)
    keyword, blank, rest = words.partition(" ")
    return rest if blank and keyword in _PLACE_KEYWORDS else words


_PLACE_KEYWORDS = frozenset({"proto", "src-port", "dst-port", "src-ip", "dst-ip", "recv", "xmit", "via", "icmptypes"})


def _address(question: Predicate) -> str:
    words = address_words(question, _STYLE)
    # The tool lists a set without members as "1.2.3.0/24}", which would be read as a block.
    return words.replace("}", "{}") if "}" in words and "{" not in words else words
