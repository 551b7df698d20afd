"""Commands and options of ipchains 1.3.9: their letters, their long names, and which go together.

Source: ipchains(8), linux.md U4-U8.  The order of :class:`Option` is the order in which the tool checks them.
"""

from __future__ import annotations

from enum import Enum

from rules.ipchains.rule import Inverse
from rules.ipchains.words import Argument, LongOption

__all__ = ["ALLOWED", "COMPANIONS", "COMPULSORY", "LONG", "RULE_COMMANDS", "SHORT", "Command", "Option"]


class Command(Enum):
    """What is to be done; the value orders them for complaints."""

    INSERT = (0, "I")
    DELETE = (1, "D")
    DELETE_NUMBER = (2, "D")
    REPLACE = (3, "R")
    APPEND = (4, "A")
    LIST = (5, "L")
    FLUSH = (6, "F")
    ZERO = (7, "Z")
    NEW_CHAIN = (8, "N")
    DELETE_CHAIN = (9, "X")
    SET_POLICY = (10, "P")
    MASQUERADING = (11, "M")
    SET_TIMEOUTS = (12, "S")
    CHECK = (13, "C")

    def __init__(self, order: int, letter: str) -> None:
        self.order = order
        self.letter = letter


class Option(Enum):
    """What may be said besides; the letter is what complaints call it, the rest what ``!`` before it means."""

    NUMERIC = (0, "n", None)
    SOURCE = (1, "s", Inverse.SOURCE)
    DESTINATION = (2, "d", Inverse.DESTINATION)
    PROTOCOL = (3, "p", Inverse.PROTOCOL)
    JUMP = (4, "j", None)
    SYN = (5, "y", Inverse.SYN)
    BIDIRECTIONAL = (6, "b", None)
    VERBOSE = (7, "v", None)
    LOG = (8, "l", None)
    EXACT = (9, "x", None)
    TOS = (10, "t", None)
    INTERFACE = (11, "i", Inverse.INTERFACE)
    FRAGMENT = (12, "f", Inverse.FRAGMENT)
    MARK = (13, "m", None)
    SOURCE_PORTS = (14, "s", Inverse.SOURCE_PORTS)
    DESTINATION_PORTS = (15, "d", Inverse.DESTINATION_PORTS)
    OUTPUT = (16, "o", None)
    LINE_NUMBERS = (17, "3", None)

    def __init__(self, order: int, letter: str, inverse: Inverse | None) -> None:
        self.order = order
        self.letter = letter
        self.inverse = inverse


_FOR_RULES = frozenset(Option) - {Option.NUMERIC, Option.EXACT, Option.LINE_NUMBERS}
_FOR_LISTS = frozenset({Option.NUMERIC, Option.VERBOSE, Option.EXACT, Option.LINE_NUMBERS})
_VERBOSE_ONLY = frozenset({Option.VERBOSE})
_COMPULSORY_FOR_CHECK = frozenset({Option.SOURCE, Option.DESTINATION, Option.PROTOCOL, Option.INTERFACE})

ALLOWED: dict[Command, frozenset[Option]] = {
    Command.INSERT: _FOR_RULES,
    Command.DELETE: _FOR_RULES,
    Command.DELETE_NUMBER: _VERBOSE_ONLY,
    Command.REPLACE: _FOR_RULES - {Option.BIDIRECTIONAL},
    Command.APPEND: _FOR_RULES,
    Command.LIST: _FOR_LISTS,
    Command.FLUSH: _VERBOSE_ONLY,
    Command.ZERO: _VERBOSE_ONLY,
    Command.NEW_CHAIN: _VERBOSE_ONLY,
    Command.DELETE_CHAIN: _VERBOSE_ONLY,
    Command.SET_POLICY: _VERBOSE_ONLY,
    Command.MASQUERADING: frozenset(),
    Command.SET_TIMEOUTS: _VERBOSE_ONLY,
    Command.CHECK: _COMPULSORY_FOR_CHECK
    | {
        Option.SYN,
        Option.BIDIRECTIONAL,
        Option.VERBOSE,
        Option.FRAGMENT,
        Option.SOURCE_PORTS,
        Option.DESTINATION_PORTS,
    },
}
"""Of two commands given together it is enough that one allows an option."""

COMPULSORY: dict[Command, frozenset[Option]] = {Command.CHECK: _COMPULSORY_FOR_CHECK}

COMPANIONS: dict[Command, frozenset[Command]] = {
    Command.LIST: frozenset({Command.ZERO, Command.MASQUERADING}),
    Command.ZERO: frozenset({Command.LIST}),
    Command.MASQUERADING: frozenset({Command.LIST, Command.SET_TIMEOUTS}),
    Command.SET_TIMEOUTS: frozenset({Command.MASQUERADING}),
}
"""Commands that may already have been given when this one comes; all others may not."""

RULE_COMMANDS = frozenset({Command.APPEND, Command.INSERT, Command.REPLACE, Command.DELETE})
"""Commands with a rule in them, whose addresses default to any."""

_NONE, _REQUIRED, _OPTIONAL = Argument.NONE, Argument.REQUIRED, Argument.OPTIONAL

SHORT: dict[str, Argument] = (
    dict.fromkeys("ACDRINPSpsdjimt", _REQUIRED) | dict.fromkeys("LFZXho", _OPTIONAL) | dict.fromkeys("MVfbvnlxy", _NONE)
)

LONG: tuple[LongOption, ...] = (
    LongOption("append", _REQUIRED, "A"),
    LongOption("delete", _REQUIRED, "D"),
    LongOption("insert", _REQUIRED, "I"),
    LongOption("replace", _REQUIRED, "R"),
    LongOption("list", _OPTIONAL, "L"),
    LongOption("flush", _OPTIONAL, "F"),
    LongOption("zero", _OPTIONAL, "Z"),
    LongOption("check", _REQUIRED, "C"),
    LongOption("new-chain", _REQUIRED, "N"),
    LongOption("delete-chain", _REQUIRED, "X"),
    LongOption("policy", _REQUIRED, "P"),
    LongOption("masquerading", _NONE, "M"),
    LongOption("set", _REQUIRED, "S"),
    LongOption("bidirectional", _NONE, "b"),
    LongOption("source", _REQUIRED, "s"),
    LongOption("destination", _REQUIRED, "d"),
    LongOption("src", _REQUIRED, "s"),
    LongOption("dst", _REQUIRED, "d"),
    LongOption("source-port", _REQUIRED, "sport"),
    LongOption("destination-port", _REQUIRED, "dport"),
    LongOption("icmp-type", _REQUIRED, "sport"),
    LongOption("sport", _REQUIRED, "sport"),
    LongOption("dport", _REQUIRED, "dport"),
    LongOption("protocol", _REQUIRED, "p"),
    LongOption("interface", _REQUIRED, "i"),
    LongOption("jump", _REQUIRED, "j"),
    LongOption("TOS", _REQUIRED, "t"),
    LongOption("mark", _REQUIRED, "m"),
    LongOption("numeric", _NONE, "n"),
    LongOption("log", _NONE, "l"),
    LongOption("output", _OPTIONAL, "o"),
    LongOption("verbose", _NONE, "v"),
    LongOption("exact", _NONE, "x"),
    LongOption("fragments", _NONE, "f"),
    LongOption("syn", _NONE, "y"),
    LongOption("version", _NONE, "V"),
    LongOption("help", _NONE, "h"),
    LongOption("line-numbers", _NONE, "line-numbers"),
    LongOption("no-warnings", _NONE, "no-warnings"),
)
"""In the tool's order, which its complaints about ambiguous prefixes follow."""
