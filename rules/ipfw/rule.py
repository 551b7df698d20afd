"""A rule as a value: what it asks, in the order asked, and what it does; and the actions there are.

Sources: ipfw(8), RULE FORMAT and RULE ACTIONS; statements E-3 to E-35 and G-32 of the behavioural notes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rules.predicates import Predicate

__all__ = [
    "CHANCE_UNIT",
    "DEFAULT_RULE",
    "DEFAULT_STATE",
    "Action",
    "Effect",
    "Element",
    "Limit",
    "Log",
    "Rule",
    "TagMark",
]

CHANCE_UNIT = 0x7FFFFFFF
"""``prob`` is kept as an integer of this many parts (E-12)."""

DEFAULT_STATE = "default"
"""Name of dynamic state that was given none."""

DEFAULT_RULE = 65535
"""Number of the rule that is always there and matches everything (E-2)."""


class Action(StrEnum):
    """What a rule does, or what became of a datagram; the value is the word of ipfw(8), and equals it."""

    ALLOW = "allow"
    DENY = "deny"
    COUNT = "count"
    SKIPTO = "skipto"
    CALL = "call"
    RETURN = "return"
    DIVERT = "divert"
    TEE = "tee"
    NAT = "nat"
    PIPE = "pipe"
    QUEUE = "queue"
    FWD = "fwd"
    UNREACH = "unreach"
    RESET = "reset"
    REASS = "reass"
    DEFRAG = "defrag"
    SETFIB = "setfib"
    SETDSCP = "setdscp"
    SETMARK = "setmark"
    CHECK_STATE = "check-state"


@dataclass(frozen=True, slots=True)
class Effect:
    """An action with its arguments.

    ``argument``: rule number, divert port, nat instance (0 for ``global``), ICMP code, code point or routing table,
    TABLEARG for the value of a table entry, 0 where there is none; ``address`` and ``argument``: where ``fwd`` sends
    to, port 0 for the packet's own; ``state``: the name that ``check-state`` looks for, None for any.
    """

    action: Action
    argument: int = 0
    address: int = 0
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Element:
    """One question of a rule, perhaps turned round, perhaps joined to the next one by ``or``."""

    question: Predicate
    negated: bool = False
    or_next: bool = False


@dataclass(frozen=True, slots=True)
class Log:
    """``log [logamount N]``; 0 is no limit."""

    amount: int = 0


@dataclass(frozen=True, slots=True)
class TagMark:
    """``tag N`` or ``untag N``."""

    number: int
    remove: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """``keep-state`` (``mask`` 0) or ``limit MASKS COUNT``; remembered as the last question of its rule (G-32).

    ``records``: ``record-state`` or ``set-limit``, which make state without looking for it first.
    """

    mask: int = 0
    count: int = 0
    negated: bool = False
    name: str = DEFAULT_STATE
    records: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of the list.  ``str()`` gives the words that follow ``ipfw add``."""

    number: int
    set: int = 0
    chance: int | None = None
    """``prob``, as a number of 0x7fffffff; None if the rule always applies."""
    effect: Effect
    log: Log | None = None
    tag: TagMark | None = None
    elements: tuple[Element, ...] = ()
    state: Limit | None = None
    deferred: bool = False
    """``defer-immediate-action``: what it does is done for packets of its state, not for those that it matches."""
    bare: bool = False
    """Written without ``proto from ... to ...`` (G-30)."""
    options_only: bool = False
    """Asks nothing there, or was written without ``proto from ... to ...`` (L-3, L-9)."""

    @property
    def key(self) -> tuple[int, int, str]:
        """Order of rules: number, set, words."""
        return (self.number, self.set, str(self))

    def __lt__(self, other: Rule) -> bool:
        return self.key < other.key

    def __str__(self) -> str:
        from rules.ipfw.retyping import command_words  # the printer needs the rule's type, the rule only its words

        return command_words(self)
