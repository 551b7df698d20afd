"""What the kernel refuses of rules that the tool has read (E-4, G-34)."""

from __future__ import annotations

from rules.ipfw.addressing import ADDRESS_WORDS
from rules.ipfw.numberedtables import MOST_TABLES
from rules.ipfw.questions import (
    AddressIn,
    AddressInNumberedTable,
    AddressInSet,
    AddressInTable,
    Comment,
    Fib,
    NumberIn,
    ReceivedBy,
    Tagged,
    TransmittedBy,
)
from rules.ipfw.rule import DEFAULT_RULE, Rule
from rules.predicates import DestinationPort, Predicate, SourcePort, Via

__all__ = ["instruction_length", "is_acceptable"]


def instruction_length(question: Predicate) -> int:
    """How many 32-bit words the kernel's instruction for a question has (G-34)."""
    match question:
        case SourcePort(lists) | DestinationPort(lists) | NumberIn(_, lists) | Tagged(lists):
            return 1 + len(lists.pairs)
        case AddressIn(_, blocks):
            return 1 + 2 * len(blocks)
        case AddressInSet(size=size):
            return 2 + (size + 31) // 32
        case AddressInTable(value=value, key=key):
            return 1 + (value is not None) + 2 * (key is not None)
        case ReceivedBy() | TransmittedBy() | Via():
            return 6
        case Comment(text):
            return 2 + len(text) // 4
    return 2


def _names_no_table(question: Predicate) -> bool:
    return isinstance(question, AddressInNumberedTable) and question.number >= MOST_TABLES


def is_acceptable(rule: Rule, *, fibs: int) -> bool:
    """Whether the kernel takes a rule that the tool has read (E-4, G-34)."""
    lengths = [instruction_length(element.question) for element in rule.elements]
    return (
        rule.number < DEFAULT_RULE
        and all(
            length <= ADDRESS_WORDS
            for element, length in zip(rule.elements, lengths, strict=True)
            if not isinstance(element.question, Comment)
        )
        and not any(_names_no_table(element.question) for element in rule.elements)
        and not any(isinstance(element.question, Fib) and element.question.number >= fibs for element in rule.elements)
    )
