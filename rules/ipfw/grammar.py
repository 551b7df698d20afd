"""The grammar of ``ipfw add``: words -> :class:`~rules.ipfw.rule.Rule`.

    [number] [set N] [prob P] ACTION [log [logamount N]] [tag N | untag N] BODY
    BODY    = [ protocols "from" addresses [ports] "to" addresses [ports] ] options
    options = { [not | !] OPTION | "{" OPTION "or" OPTION ... "}" } [ "//" comment ]

Sources: ipfw(8), RULE FORMAT; section 10.3 (G-30 to G-37) and table M-1 of the behavioural notes.  The reader goes from
left to right and never back; a ``not`` whose operand asks nothing (``not any``) stays pending and turns the next
question round, as in the real tool.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isnan

from rules.ipfw.acceptable import instruction_length
from rules.ipfw.actions import read_action
from rules.ipfw.addressing import source_or_destination
from rules.ipfw.names import LIMIT_MASKS
from rules.ipfw.optionreading import Context, unsigned_argument
from rules.ipfw.options import OPTIONS
from rules.ipfw.placewords import protocol
from rules.ipfw.portlists import ports
from rules.ipfw.questions import (
    End,
)
from rules.ipfw.rule import CHANCE_UNIT, DEFAULT_STATE, Action, Element, Limit, Log, Rule, TagMark
from rules.ipfw.switches import Switches
from rules.ipfw.words import DATA_ERROR, UNAVAILABLE, USAGE, RefusalError, Words, leading_number, state_name
from rules.predicates import DestinationPort, Predicate, SourcePort

__all__ = ["read_chance", "read_rule"]

_STATE_WORDS = ("keep-state", "limit", "record-state", "set-limit")
_DEFERRING = ("defer-action", "defer-immediate-action")
_RULE_WORDS = 254


def read_rule(words: Words, switches: Switches, *, verbose_limit: int = 0, fibs: int = 1) -> Rule:
    """The rule that the words after ``add`` describe; number 0 where none is given.

    Raises RefusalError with the tool's text.
    """
    number = 0
    if (words.peek() or "")[:1].isdigit():
        number = leading_number(words.take())[0]
        if not switches.wide_rule_numbers:
            number &= 0xFFFF
    owner = 0
    if words.peek(1) is not None and words.accept("set"):
        owner = leading_number(words.peek() or "")[0]
        if not 0 <= owner <= switches.highest_set:
            raise RefusalError(f"illegal set {words.peek()}", DATA_ERROR)
        words.take()
    chance = None
    if words.peek(1) is not None and words.accept("prob"):
        chance = read_chance(words.take())
    effect = read_action(words, switches, fibs)
    log, tag = _parameters(words, switches, verbose_limit)
    body = _Body(words, switches)
    if effect.action is not Action.CHECK_STATE:
        body.read()
        if body.deferred and body.state is None:
            words.warn('Rule contains "defer-immediate-action" and doesn\'t contain any state-related options.')
    elif switches.state_names and words.peek() == "//":
        body.read_comment()
    return Rule(
        number=number,
        set=owner,
        chance=chance,
        effect=effect,
        log=log,
        tag=tag,
        elements=tuple(body.elements),
        state=body.state,
        deferred=body.deferred,
        options_only=body.options_only,
        bare=body.bare,
    )


def read_chance(text: str) -> int | None:
    """``prob P`` in parts of :data:`CHANCE_UNIT`; None for 1, which is always."""
    try:
        chance = float(text)
    except ValueError:
        chance = 0.0
    if isnan(chance) or not 0 < chance <= 1:
        raise RefusalError(f"illegal match prob. {text}", DATA_ERROR)
    return None if chance == 1 else int(chance * CHANCE_UNIT)


def _parameters(words: Words, switches: Switches, verbose_limit: int) -> tuple[Log | None, TagMark | None]:
    """``log``, ``tag`` and ``untag`` in any order, each once."""
    log: Log | None = None
    tag: TagMark | None = None
    if switches.tool == "2003":
        return Log(_logamount(words, verbose_limit)) if words.accept("log") else None, None
    while (word := words.peek()) in ("log", "altq", "tag", "untag") and word not in switches.missing_words:
        words.take()
        if word == "log":
            if log is not None:
                raise RefusalError("log cannot be specified more than once", DATA_ERROR)
            log = Log(_logamount(words, verbose_limit))
        elif word == "altq":
            raise RefusalError("altq is not modelled here", UNAVAILABLE)
        else:
            if tag is not None:
                raise RefusalError("tag and untag cannot be specified more than once", USAGE)
            assert word is not None
            tag = TagMark(unsigned_argument(words, word), remove=word == "untag")
    return log, tag


def _logamount(words: Words, verbose_limit: int) -> int:
    if not words.accept("logamount"):
        return verbose_limit
    amount = leading_number(words.need("logamount requires argument"))[0]
    if amount < 0:
        raise RefusalError("logamount must be positive", DATA_ERROR)
    words.take()
    return amount


class _Body:
    """The part of a rule that asks questions, as it is being read."""

    def __init__(self, words: Words, switches: Switches) -> None:
        self.words = words
        self.switches = switches
        self.context = Context(switches)
        self.elements: list[Element] = []
        self.state: Limit | None = None
        self.deferred = False
        self.options_only = self.bare = False
        self._room = _RULE_WORDS
        self._in_braces = False
        self._joinable = False
        """There is a last question that ``or`` may join to the next one."""

    def read(self) -> None:
        if self._protocols():
            self._expect("from")
            self._addresses(End.SOURCE, "source")
            self._ports(SourcePort)
            self._expect("to")
            self._addresses(End.DESTINATION, "dst")
            self._ports(DestinationPort)
        else:
            self.bare = True
        self._options()

    def read_comment(self) -> None:
        """Only a comment, behind ``check-state``."""
        self.words.take()
        self._option("//")

    # Positional part

    def _protocols(self) -> bool:
        """``proto`` or ``{ proto or ... }``; False if the body has options only (G-30)."""
        words, context = self.words, self.context
        self._open_brace()
        while True:
            self._not()
            if not words and not self.switches.needs_body_words:
                return False
            word = words.need("missing protocol")
            if word in ("mac", "MAC"):
                raise RefusalError("MAC is not modelled here", UNAVAILABLE)
            switches = self.switches
            families, whole = "ip4" not in switches.missing_words, switches.tool != "2003"
            found = protocol(words, compatible=True, families=families, whole=whole)
            if found is None:
                if self.elements:
                    raise RefusalError(f"invalid protocol ``{word}''", DATA_ERROR)
                return False
            question, context.protocol = found
            self._ask(question)
            if not self._or():
                return True

    def _addresses(self, end: End, name: str) -> None:
        self._open_brace()
        while True:
            self._not()
            self.words.need(f"missing {name} address")
            question = source_or_destination(
                self.words,
                end,
                protocol=self.context.protocol,
                negated=self.context.negated,
                switches=self.switches,
            )
            self._ask(question)
            if not self._or():
                return

    def _ports(self, question: Callable[..., Predicate]) -> None:
        self._not()
        if self.words and not self.words.accept("any"):
            ranges = ports(self.words, self.context.protocol, forgiving=self.switches.tool == "2003")
            if ranges is not None:
                self._ask(question(ranges))

    def _expect(self, keyword: str) -> None:
        if not self.words.accept(keyword):
            raise RefusalError(f"missing ``{keyword}''", USAGE)

    def _open_brace(self) -> None:
        word = self.words.peek()
        if word is not None and word[:1] in ("{", "("):
            if self._in_braces:
                raise RefusalError('nested "(" not allowed\n', USAGE)
            self._joinable = False
            self._in_braces = True
            if len(word) == 1:
                self.words.take()
            else:
                self.words.shorten(1)

    def _or(self) -> bool:
        """``or`` before another alternative; else the closing brace, where one is due."""
        if self.words.means("or"):
            if not self._joinable or not self._in_braces:
                raise RefusalError("invalid OR block", DATA_ERROR)
            self.words.take()
            self._join()
            return True
        if self._in_braces:
            if self.words.peek() not in (")", "}"):
                raise RefusalError('missing ")"\n', USAGE)
            self.words.take()
            self._joinable = False
            self._in_braces = False
        return False

    # What both parts share

    def _not(self) -> None:
        if self.words.means("not"):
            self._turn_round()
            self.words.take()

    def _turn_round(self) -> None:
        if self.context.negated:
            raise RefusalError('double "not" not allowed\n', USAGE)
        self.context.negated = True

    def _ask(self, question: Predicate | None) -> None:
        """Append a question; one that asks nothing leaves a pending ``not`` for the next (G-37)."""
        if question is not None:
            self._room -= instruction_length(question)
            if self._room < 0:
                raise RefusalError("Rule too long", DATA_ERROR)
            self.elements.append(Element(question, self.context.negated))
            self.context.negated = False
            self._joinable = True

    def _join(self) -> None:
        last = self.elements[-1]
        self.elements[-1] = Element(last.question, last.negated, or_next=True)

    # Options

    def _options(self) -> None:
        words = self.words
        self.options_only = bool(words) and not self.elements
        self._joinable = False
        while words:
            word = words.take()
            if word.startswith("!"):
                self._turn_round()
                word = word[1:]
            if word == "not":
                self._turn_round()
            elif word in ("or", "|"):
                if not self._in_braces or not self._joinable:
                    raise RefusalError('invalid "or" block\n', USAGE)
                self._join()
            elif word in ("{", "("):
                if self._in_braces:
                    raise RefusalError('+nested "(" not allowed\n', USAGE)
                self._in_braces = True
            elif word in ("}", ")"):
                if not self._in_braces:
                    raise RefusalError('+missing ")"\n', USAGE)
                self._in_braces = False
                self._joinable = False
            else:
                self._option(word)

    def _option(self, word: str) -> None:
        context = self.context
        if word == "out":
            context.negated = not context.negated
            word = "in"
        if word in _STATE_WORDS and word not in self.switches.missing_words:
            self._state(word)
            return
        if word in _DEFERRING and word not in self.switches.missing_words:
            if self.deferred:
                raise RefusalError("only one defer-action is allowed", USAGE)
            self.deferred = True
            return
        reader = OPTIONS.get(word)
        if reader is None or word in self.switches.missing_words:
            raise RefusalError(f"unrecognised option [-1] {word}\n", USAGE)
        read = reader(self.words, context)
        if read.forgets_not:
            context.negated = False
        self._ask(read.question)

    def _state(self, word: str) -> None:
        records = "record-state" not in self.switches.missing_words
        limits = word in ("limit", "set-limit")
        if self._in_braces:
            pair = ("limit or set-limit" if limits else "keep-state or record-state") if records else word
            raise RefusalError(f"{pair} cannot be part of an or block", USAGE)
        if self.state is not None:
            others = "rdr, keep-state" if "rdr" not in self.switches.missing_words else "keep-state"
            those = "keep-state, record-state,  limit and set-limit" if records else f"{others} and limit"
            raise RefusalError(f"only one of {those} is allowed", USAGE)
        mask = count = 0
        negated = self.context.negated and not limits
        if limits and self.switches.tool == "2003":
            mask, count = self._limit_of_2003()
        elif limits:
            while (name := self.words.peek()) is not None and name in LIMIT_MASKS:
                mask |= LIMIT_MASKS[name]
                self.words.take()
            if mask == 0:
                raise RefusalError("limit: missing limit mask", USAGE)
            count = unsigned_argument(self.words, "limit")
        name = DEFAULT_STATE
        if self.switches.state_names and (self.words.peek() or "").startswith(":"):
            word_of_name = self.words.take()
            name = state_name(word_of_name)
            if name == "any":
                raise RefusalError(f"Invalid state name {word_of_name}", DATA_ERROR)
        self.state = Limit(mask, count, negated, name, records=word in ("record-state", "set-limit"))
        self.context.negated = False
        self._joinable = False

    def _limit_of_2003(self) -> tuple[int, int]:
        """The word before the last may be a mask; the count comes behind the last mask, whatever it is."""
        words, mask = self.words, 0
        complaint = "limit needs mask and # of connections"
        words.need(complaint)
        while len(words) > 1 and words.peek() in LIMIT_MASKS:
            mask |= LIMIT_MASKS[words.take()]
        count = leading_number(words.take())[0] & 0xFFFF
        if not count:
            raise RefusalError("limit: limit must be >0", USAGE)
        if not mask:
            raise RefusalError("missing limit mask", USAGE)
        return mask, count
