"""What the readers of options share: what the words before have settled, and what a reader gives back."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rules.ipfw.addressing import IP
from rules.ipfw.questions import TABLEARG
from rules.ipfw.switches import Switches
from rules.ipfw.words import DATA_ERROR, RefusalError, Words, leading_number
from rules.predicates import Predicate

__all__ = ["Context", "Read", "Reader", "unsigned_argument"]


class Context:
    """What the words before have settled: the protocol named last, whether ``not`` is pending, the system."""

    __slots__ = ("negated", "protocol", "switches")

    def __init__(self, switches: Switches) -> None:
        self.switches = switches
        self.protocol = IP
        self.negated = False


class Read(NamedTuple):
    """What an option asks; ``forgets_not``: a ``not`` before it is lost."""

    question: Predicate | None
    forgets_not: bool = False


Reader = Callable[[Words, Context], Read]


def unsigned_argument(words: Words, option: str) -> int:
    """A number of 1 to 65534, or ``tablearg``; taken."""
    word = words.need(f"{option}: missing argument")
    if words.accept("tablearg"):
        return TABLEARG
    number, rest = leading_number(word)
    if not word[:1].isdigit() or rest:
        raise RefusalError(f"{option}: invalid argument: {word}", DATA_ERROR)
    if not 1 <= number <= 65534:
        raise RefusalError(f"{option}: argument is out of range (1..65534): {word}", DATA_ERROR)
    words.take()
    return number
