"""The commands of ipfw(8) as FreeBSD 4 and DragonFly have it, for both rule languages.

The words are those of the shell: a lone argument is not split, a comma glues nothing.  Every command may be cut short;
of several that begin so, the one that the tool tries first is meant.  Sources: ipfw.c, ipfw2.c (main, ipfw_main,
ipfw_readfile, list, zero ...); sections 10.1, 10.2 and 10.5 (M-2a, M-3) of the behavioural notes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rules.ipfw.acceptable import is_acceptable
from rules.ipfw.classic.listcommand import columns, listing, show, style
from rules.ipfw.classic.tables import numbered_table_command
from rules.ipfw.classic.usage import HELP_TEXT, USAGE_TEXT
from rules.ipfw.command import BAD_ARGUMENTS, Command
from rules.ipfw.first import grammar as first
from rules.ipfw.first.usage import USAGE_TEXT as FIRST_USAGE_TEXT
from rules.ipfw.grammar import read_rule
from rules.ipfw.pipes import take_kind
from rules.ipfw.report import Report
from rules.ipfw.rule import Rule
from rules.ipfw.session import Session, getopt
from rules.ipfw.setcommands import set_command
from rules.ipfw.step import Entry
from rules.ipfw.words import DATA_ERROR, UNAVAILABLE, USAGE, RefusalError, Words, leading_number

if TYPE_CHECKING:
    from rules.ipfw.ruleset import RuleSet

__all__ = ["run_classic"]

_MOST_WORDS = 32
"""Words of a line in a file, the program's name among them, that are too many."""


class _UsageError(Exception):
    """The tool prints its usage, without its name in front."""


def run_classic(rules: RuleSet, arguments: Sequence[str], session: Session) -> None:
    """One invocation: a command, or a file of commands; complains and sets the session's status."""
    try:
        if arguments and arguments[-1].startswith("/") and arguments[-1] in rules.files:
            _file(rules, list(arguments), session)
        else:
            _command(rules, list(arguments), session)
    except RefusalError as refusal:
        _refuse(refusal, session)
    except _UsageError:
        session.stderr.append(_LANGUAGES[rules.switches.ipfw_dialect].usage)
        session.status = USAGE


def _refuse(refusal: RefusalError, session: Session) -> None:
    if refusal.status:
        session.complain(refusal.text)
    else:  # the tool writes some texts without its name, and ends as if all were well
        session.stderr.append(f"{refusal.text}\n")
    session.status = refusal.status


def _file(rules: RuleSet, arguments: list[str], session: Session) -> None:
    """The last argument is a file that can be read; another path is taken for a command."""
    path = arguments[-1]
    rest = getopt(arguments, "D:U:p:q", session)
    if rest is None:
        raise RefusalError(BAD_ARGUMENTS, USAGE)
    letters = session.options.letters
    if "p" in letters:
        raise RefusalError("a preprocessor is not modelled here", UNAVAILABLE)
    for letter in "DU":
        if letter in letters:
            raise RefusalError(f"-{letter} requires -p", USAGE)
    if len(rest) != 1:
        raise RefusalError("extraneous filename arguments", USAGE)
    quiet = ["-q"] if "q" in letters else []
    for number, line in enumerate(rules.files[path].splitlines(), 1):
        words = line.partition("#")[0].split()
        if len(words) + len(quiet) >= _MOST_WORDS - 1:
            raise RefusalError(f"Line {number}: too many arguments", USAGE)
        if words:
            _command(rules, quiet + words, session)
        if session.status:
            return


def _command(rules: RuleSet, arguments: list[str], session: Session) -> None:
    language = _LANGUAGES[rules.switches.ipfw_dialect]
    if not arguments:
        raise _UsageError
    rest = getopt(arguments, language.letters, session)
    if rest is None:
        raise _UsageError
    if "h" in session.options:
        session.stderr.append(HELP_TEXT)
        return
    words = Words(rest, deprecates=False)
    command = _Command(rules, words, session)
    try:
        language.dispatch(command)
    finally:
        command.pass_on_warnings()


class _Command(Command):
    """A command of FreeBSD 4 or DragonFly."""

    # Dispatch

    def dispatch_first(self) -> None:
        """ipfw.c: the number of a rule may stand before the command."""
        words = self.words
        words.need(BAD_ARGUMENTS)
        if self._pipes("pipe requires arguments", _FIRST_COMMANDS):
            return
        words.number_last()
        self._choose(_FIRST_COMMANDS)

    def dispatch_second(self) -> None:
        """ipfw2.c."""
        words = self.words
        words.need(BAD_ARGUMENTS)
        if self._pipes("missing command", _SECOND_COMMANDS):
            return
        if self.switches.table_syntax == "<N>" and words.accept("table"):
            words.need("missing command")
            words.number_last()
            numbered_table_command(words, self.rules, self.options.letters, self.session.print)
            return
        self._choose(_SECOND_COMMANDS)

    def _pipes(self, complaint: str, commands: _Commands) -> bool:
        """``pipe`` and ``queue`` with a command of their own, or one that is meant for rules even so."""
        words = self.words
        self.kind = take_kind(words, schedulers=self.switches.schedulers)
        if self.kind is None:
            return False
        words.need(complaint)
        words.number_last()
        own = {name: (name, handler) for name, handler in _PIPE_COMMANDS}
        first, *rest = [own.get(name, (name, handler)) for name, handler in commands]
        self._choose((first, own["config"], *rest))
        return True

    def _choose(self, commands: _Commands) -> None:
        for name, handler in commands:
            if self.words.accept(name):
                handler(self)
                return
        raise RefusalError(f"bad command `{self.words.peek()}'", USAGE)

    # add

    def read_first(self) -> tuple[Rule, bool]:
        """A rule of the first language, and whether the kernel takes it."""
        rules = self.rules
        surroundings = rules.world.surroundings
        rule = first.read_rule(self.words, verbose_limit=rules.verbose_limit, surroundings=surroundings)
        return rule, first.is_acceptable(rule)

    def read_second(self) -> tuple[Rule, bool]:
        """The same of the second language."""
        rules = self.rules
        rule = read_rule(self.words, self.switches, verbose_limit=rules.verbose_limit, fibs=rules.fibs)
        return rule, is_acceptable(rule, fibs=rules.fibs)

    def add(self) -> None:
        rule, acceptable = _LANGUAGES[self.switches.ipfw_dialect].read(self)
        if not acceptable:
            raise RefusalError(f"getsockopt({self.switches.add_call}): Invalid argument", UNAVAILABLE)
        entry = self.rules.add(rule)
        self.pass_on_warnings()
        report = Report(style(self), columns(self))
        report.packets_width = report.octets_width = 10
        self.say(report.line(entry))

    # delete, flush, zero, resetlog (M-2 to M-4)

    def delete(self) -> None:
        words = self.words
        of_sets = self.switches.ipfw_dialect == "ipfw2" and words.accept("set")
        while (words.peek() or "")[:1].isdigit():
            number = leading_number(words.take())[0] & 0xFFFF
            if not self._delete(number, of_sets=of_sets):
                shown = number | (1 << 24 if of_sets else 0)
                self.session.complain(self.switches.delete_absent.format(number=shown))
                self.session.status = UNAVAILABLE

    def _delete(self, number: int, *, of_sets: bool) -> bool:
        if of_sets:
            if number > self.switches.highest_set:
                return False
            self.rules.remove(lambda entry: entry.rule.set == number)
            return True
        return bool(self.rules.remove(lambda entry: entry.rule.number == number))

    def flush(self) -> None:
        self.rules.remove(lambda entry: True)
        self.say("Flushed all rules.\n")

    def zero(self) -> None:
        said = "Accounting cleared"
        self._clear("IP_FW_ZERO", said, said, "cleared", Entry.forget_everything, USAGE)

    def resetlog(self) -> None:
        logged = f"All logging counts {'cleared' if self.switches.ipfw_dialect == 'ipfw1' else 'reset'}"
        self._clear(
            "IP_FW_RESETLOG", "Logging counts reset", logged, "logging count reset", Entry.forget_log, DATA_ERROR
        )

    def _clear(
        self, call: str, all_done: str, all_logged: str, done: str, clear: Callable[[Entry], None], bad_number: int
    ) -> None:
        words, chain = self.words, self.rules.chain
        if not words:
            for entry in chain:
                clear(entry)
            self.log_cleared(None, all_logged)
            self.say(f"{all_done}.\n")
        while words:
            word = words.peek() or ""
            if not word[:1].isdigit():
                raise RefusalError(f"invalid rule number ``{word}''", bad_number)
            number = leading_number(words.take())[0] & 0xFFFF
            found = chain.numbered(number, number)
            for entry in found:
                clear(entry)
            if found:
                self.log_cleared(number, done)
                self.say(f"Entry {number} {done}\n")
            else:
                self.session.complain(f"rule {number}: setsockopt({call}): Invalid argument")
                self.session.status = UNAVAILABLE

    # set

    def sets(self) -> None:
        highest = self.switches.highest_set
        self.session.print(set_command(self.words, self.rules.chain, dry=False, octets=False, highest=highest))


_Handler = Callable[[_Command], None]
_Commands = tuple[tuple[str, _Handler], ...]
_PIPE_COMMANDS: _Commands = (
    ("config", _Command.configure_pipe),
    ("delete", _Command.delete_pipes),
    ("flush", _Command.flush_pipes),
    ("print", _Command.list_pipes),
    ("list", _Command.list_pipes),
    ("show", _Command.list_pipes),
)
_FIRST_COMMANDS: tuple[tuple[str, _Handler], ...] = (
    ("add", _Command.add),
    ("delete", _Command.delete),
    ("flush", _Command.flush),
    ("zero", _Command.zero),
    ("resetlog", _Command.resetlog),
    ("print", listing),
    ("list", listing),
    ("show", show),
)
_SECOND_COMMANDS: tuple[tuple[str, _Handler], ...] = (
    *_FIRST_COMMANDS[:7],
    ("enable", _Command.enable),
    ("disable", _Command.disable),
    ("set", _Command.sets),
    ("show", show),
)
"""In the order in which the tool tries them."""


class _Language(NamedTuple):
    """What the tool has for each rule language."""

    letters: str
    usage: str
    dispatch: _Handler
    read: Callable[[_Command], tuple[Rule, bool]]


_LANGUAGES = {
    "ipfw1": _Language("s:adefNqtv", FIRST_USAGE_TEXT, _Command.dispatch_first, _Command.read_first),
    "ipfw2": _Language("hs:acdefNqStv", USAGE_TEXT, _Command.dispatch_second, _Command.read_second),
}
