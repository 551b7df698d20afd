"""The commands of ipfw(8) but ``add``'s grammar: options, dispatch, and what each does to a rule set.

Sources: ipfw(8); sections 10.1, 10.2, 10.4 and 10.5 of the behavioural notes.  A command works on a
:class:`~rules.ipfw.ruleset.RuleSet`; it writes to a :class:`Session`, one run of the tool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rules.ipfw.acceptable import is_acceptable
from rules.ipfw.chain import RESERVED_SET
from rules.ipfw.grammar import read_rule
from rules.ipfw.listcommand import ListCommand
from rules.ipfw.listing import Style
from rules.ipfw.log import cleared_line
from rules.ipfw.nat.commands import NatCommand, nat_command
from rules.ipfw.pipes import Kind, take_kind
from rules.ipfw.questions import tables_of
from rules.ipfw.report import Columns, Report
from rules.ipfw.rule import Rule
from rules.ipfw.session import Session, getopt
from rules.ipfw.setcommands import set_command
from rules.ipfw.step import Entry
from rules.ipfw.tablecommands import table_command
from rules.ipfw.typedtables import TypedTables
from rules.ipfw.usage import HELP_TEXT, USAGE_TEXT
from rules.ipfw.words import (
    DATA_ERROR,
    UNAVAILABLE,
    USAGE,
    RefusalError,
    Words,
    glue_commas,
    leading_number,
    split_line,
)

if TYPE_CHECKING:
    from rules.ipfw.ruleset import RuleSet

__all__ = ["run_command"]

_BAD_ARGUMENTS = "bad arguments, for usage summary ``ipfw''"


def run_command(rules: RuleSet, arguments: Sequence[str], session: Session) -> None:
    """One invocation: a command, or a file of commands; complains and sets the session's status."""
    try:
        if arguments and arguments[-1].startswith("/"):
            _file(rules, list(arguments), session)
        elif not _command(rules, list(arguments), session):
            raise RefusalError(USAGE_TEXT, USAGE)
    except RefusalError as refusal:
        session.complain(refusal.text)
        session.status = refusal.status


# Files (G-8)


def _file(rules: RuleSet, arguments: list[str], session: Session) -> None:
    path = arguments[-1]
    text = rules.files.get(path)
    if text is None:
        raise RefusalError(f"pathname: {path}: No such file or directory", USAGE)
    rest = getopt(arguments, "cfNnp:qS", session)
    if rest is None:
        raise RefusalError(_BAD_ARGUMENTS, USAGE)
    if "p" in session.options:
        raise RefusalError("a preprocessor is not modelled here", UNAVAILABLE)
    if len(rest) != 1:
        raise RefusalError(f"extraneous filename arguments {path}", USAGE)
    for number, line in enumerate(text.splitlines(), 1):
        session.name = f"Line {number}"
        _command(rules, [line], session)
        if session.status:
            return


# One command (G-1 to G-7)


def _command(rules: RuleSet, arguments: list[str], session: Session) -> bool:
    """Run one command line; False if there is nothing in it, or a wrong option."""
    if not arguments:
        return False
    words_of_line = split_line(arguments[0]) if len(arguments) == 1 else glue_commas(arguments)
    if not words_of_line:
        return False
    counters_before = "a" in session.options
    session.options.letters.discard("a")
    letters = "abcdDefhinNp:qs:STtv" if rules.switches.dynamic_only else "abcdefhinNp:qs:STtv"
    rest = getopt(words_of_line, letters, session)
    if rest is None:
        return False
    if "h" in session.options:
        session.stderr.append(HELP_TEXT)
        return True
    if "p" in session.options:
        raise RefusalError("An absolute pathname must be used with -p option.", USAGE)
    words = Words(rest, deprecates=rules.switches.deprecates_abbreviations)
    command = _Command(rules, words, session)
    try:
        command.dispatch()
    except RefusalError as refusal:
        command.pass_on_warnings()
        session.complain(refusal.text)
        session.status = refusal.status
    command.pass_on_warnings()
    if counters_before:
        session.options.letters.add("a")
    return True


class _Command:
    """One command being carried out."""

    def __init__(self, rules: RuleSet, words: Words, session: Session) -> None:
        self.rules = rules
        self.words = words
        self.session = session
        self.options = session.options
        self.set: int | None = None
        """N of ``set N COMMAND``."""
        self.kind: Kind | None = None
        """Of ``pipe COMMAND`` and its like."""
        self.counters = "a" in self.options

    def pass_on_warnings(self) -> None:
        """Write out what reading the words gave rise to."""
        for warning in self.words.warnings:
            self.session.complain(warning)
        self.words.warnings.clear()

    @property
    def loud(self) -> bool:
        return "q" not in self.options

    @property
    def dry(self) -> bool:
        """``-n``: nothing reaches the kernel."""
        return "n" in self.options

    def dispatch(self) -> None:
        words = self.words
        words.need(_BAD_ARGUMENTS)
        if len(words) > 1 and (words.peek() or "")[:1].isdigit():
            words.swap()
        word = words.peek() or ""
        of_nat = "nat".startswith(word) and "nat" not in self.rules.switches.missing_words
        if of_nat:
            words.take()
            words.need("missing command")
            if len(words) > 1 and (words.peek() or "")[:1].isdigit():
                words.swap()
            if self._nat():
                return
            word = words.peek() or ""
        else:
            self.kind = take_kind(words, schedulers=self.rules.switches.schedulers)
        plain = not of_nat and self.kind is None
        if plain and "set".startswith(word) and (words.peek(1) or "")[:1].isdigit():
            words.take()
            self.set = self._set_number(words.take())
        words.need("missing command")
        if self.kind is not None and len(words) > 1 and (words.peek() or "")[:1].isdigit():
            words.swap()
        if self.set is None:
            for name, handler in _WITHOUT_SET if self.kind is None else (*_OF_PIPES, *_WITHOUT_SET):
                if words.accept(name):
                    handler(self)
                    return
        for name, handler in _WITH_SET:
            if words.accept(name):
                handler(self)
                return
        for unmodelled in ("internal", "nat64clat", "nat64stl", "nat64lsn", "nptv6"):
            if self.rules.switches.typed_tables and unmodelled.startswith(words.peek() or " "):
                raise RefusalError(f"{unmodelled} is not modelled here", UNAVAILABLE)
        raise RefusalError(f"bad command `{words.peek()}'", USAGE)

    def _set_number(self, text: str) -> int:
        if not text.isdigit() or int(text) > RESERVED_SET:
            raise RefusalError(f"invalid set number {text}\n", DATA_ERROR)
        return int(text)

    def style(self) -> Style:
        options = self.options
        return Style(
            self.rules.switches,
            compact="c" in options or "b" in options,
            comment_only="b" in options,
            resolve="N" in options,
        )

    # add

    def add(self) -> None:
        rules = self.rules
        rule = read_rule(self.words, rules.switches, verbose_limit=rules.verbose_limit, fibs=rules.fibs)
        if not self.dry and not (is_acceptable(rule, fibs=rules.fibs) and self._tables_fit(rule)):
            raise RefusalError(f"getsockopt({rules.switches.add_call}): Invalid argument", UNAVAILABLE)
        entry = Entry(rule, 0) if self.dry else rules.add(rule)
        self.pass_on_warnings()
        if self.loud:
            report = Report(self.style(), Columns(sets="S" in self.options))
            self.session.print(report.line(entry))

    def _tables_fit(self, rule: Rule) -> bool:
        """Whether the tables that a rule asks are of the kind that it needs; those that are not there are made."""
        world = self.rules.world
        wanted = [*tables_of(rule.elements)]
        if world.typed_tables:
            kinds = [world.tables[name].kind if name in world.tables else kind for name, kind in wanted]
            if kinds != [kind for _, kind in wanted]:
                return False
        for name, kind in wanted:
            world.table(name, kind)
        return True

    # delete, flush (M-4)

    def delete(self) -> None:
        words = self.words
        words.need("missing rule specification")
        if self.kind is not None:
            self._delete_pipes(self.kind)
            return
        of_sets = words.accept("set")
        if of_sets and self.set is not None:
            raise RefusalError("invalid syntax", DATA_ERROR)
        while (words.peek() or "")[:1].isdigit():
            number, rest = leading_number(words.take())
            high = number
            if rest.startswith("-") and self.rules.switches.delete_ranges and not of_sets:
                high = leading_number(rest[1:])[0]
            low, high = number & 0xFFFF, high & 0xFFFF
            shown = 0 if of_sets else low
            if "D" in self.options:
                self._forget_states(low, high)
                continue
            gone = 0 if self.dry else self._delete(low, high, number & RESERVED_SET if of_sets else None)
            if not gone:
                self._nothing_deleted(shown, high, of_sets=of_sets)

    def _nothing_deleted(self, low: int, high: int, *, of_sets: bool) -> None:
        """With ranges come the manners of ipfw2.c of FreeBSD 13: nothing of sets, nothing with ``-q``."""
        switches = self.rules.switches
        if switches.delete_ranges and of_sets:
            return
        self.session.status = switches.delete_absent_status
        if switches.delete_ranges and not self.loud:
            return
        self.pass_on_warnings()
        if low != high and not of_sets:
            self.session.complain(f"no rules rules in {low}-{high} range")
        else:
            self.session.complain(switches.delete_absent.format(number=low))

    def _forget_states(self, low: int, high: int) -> None:
        """``-D delete``: the dynamic state of rules, not the rules."""
        for entry in () if self.dry else self.rules.chain.numbered(low, high):
            if self._in_set(entry):
                self.rules.states.forget(entry, self.rules.chain.default)

    def _delete(self, low: int, high: int, of_set: int | None) -> int:
        if of_set is not None:
            return self.rules.remove(lambda entry: entry.rule.set == of_set)
        if low == high == 0:
            return self.rules.remove(lambda entry: entry.rule.set != RESERVED_SET and self._in_set(entry))
        return self.rules.remove(lambda entry: low <= entry.rule.number <= high and self._in_set(entry))

    def _in_set(self, entry: Entry) -> bool:
        return self.set is None or entry.rule.set == self.set

    def flush(self) -> None:
        if self.kind is not None:
            said = "" if self.dry else self.rules.pipes.flush()
            if self.loud:
                self.session.print(said)
            return
        if not self.dry:
            if self.set is None:
                self.rules.remove(lambda entry: entry.rule.set != RESERVED_SET)
            else:
                self.rules.remove(self._in_set)
        if self.loud:
            self.session.print("Flushed all rules.\n")

    # zero, resetlog (M-2)

    def zero(self) -> None:
        self._clear("Accounting cleared", "cleared", Entry.forget_everything)

    def resetlog(self) -> None:
        self._clear("Logging counts reset", "logging count reset", Entry.forget_log)

    def _clear(self, all_done: str, one_done: str, clear: Callable[[Entry], None]) -> None:
        words = self.words
        if not words:
            for entry in () if self.dry else self.rules.chain:
                if entry.rule.set != RESERVED_SET:
                    clear(entry)
            if not self.dry:
                self._log_cleared(None, "All logging counts reset" if all_done.startswith("Logging") else all_done)
            if self.loud:
                self.session.print(f"{all_done}.\n")
            return
        failed = False
        while words:
            word = words.take()
            if not word[:1].isdigit():
                raise RefusalError(f"invalid rule number ``{word}''", USAGE)
            if not word.isdigit() or int(word) > 0xFFFF:
                raise RefusalError(f"invalid rule number {word}\n", DATA_ERROR)
            number = int(word)
            found = [] if self.dry else [e for e in self.rules.chain.numbered(number, number) if self._in_set(e)]
            for entry in found:
                clear(entry)
            if not self.dry and (found or not self.rules.switches.zero_log_names_rule):
                self._log_cleared(number, one_done)
            if not found:
                failed = True
                if self.rules.switches.zero_absent_on_stdout:
                    self.session.print(f"Entry {number} not found\n")
                else:
                    self.session.complain(f"rule {number}: setsockopt(IP_FW_ZERO): Invalid argument")
            elif self.loud:
                self.session.print(f"Entry {number} {one_done}.\n")
        if failed:
            self.session.status = UNAVAILABLE

    def _log_cleared(self, number: int | None, done: str) -> None:
        """E-44."""
        if self.rules.variables["verbose"]:
            names_rule = self.rules.switches.zero_log_names_rule
            self.rules.log(cleared_line(number, done, names_rule=names_rule))

    # list, show

    def show(self) -> None:
        self.counters = True
        self.listing()

    def listing(self) -> None:
        if self.dry:
            self.session.stderr.append("Testing only, list disabled\n")
            return
        if self.kind is not None:
            self.session.print(self.rules.pipes.listing(self.kind, self.words, verbose="v" in self.options))
            return
        ListCommand(self.rules, self.words, self.session, self.style(), self.counters, self._in_set).run()

    # nat

    def _nat(self) -> bool:
        """A command of nat's own; False for any other, which is meant for rules even so."""
        status = nat_command(
            NatCommand(
                self.words,
                self.rules.nats,
                self.rules.world.surroundings,
                self.rules.switches,
                self.session.print,
                self.session.complain,
                quiet=not self.loud,
                dry=self.dry,
            )
        )
        self.session.status = status or self.session.status
        return status is not None

    # pipe, queue, sched

    def config(self) -> None:
        assert self.kind is not None
        self.rules.pipes.configure(self.kind, self.words, dry=self.dry)

    def _delete_pipes(self, kind: Kind) -> None:
        words, numbers = self.words, []
        while (words.peek() or "")[:1].isdigit():
            numbers.append(leading_number(words.take())[0])
        complaints, status = ([], 0) if self.dry else self.rules.pipes.delete(kind, numbers)
        for complaint in complaints:
            self.session.complain(complaint)
        self.session.status = status

    # set

    def sets(self) -> None:
        rules = self.rules
        self.session.print(set_command(self.words, rules.chain, dry=self.dry, octets=rules.switches.rule_move_octet))

    # enable, disable, table

    def enable(self) -> None:
        self._switch(on=True)

    def disable(self) -> None:
        self._switch(on=False)

    def _switch(self, *, on: bool) -> None:
        words = self.words
        if not words:
            words.warn("missing keyword to enable/disable\n")
            return
        for name in self.rules.variables:
            if words.accept(name):
                if not self.dry:
                    self.rules.set_variable(name, on)
                return
        if words.accept("altq"):
            raise RefusalError("altq is not modelled here", UNAVAILABLE)
        words.warn(f"unrecognize enable/disable keyword: {words.peek()}\n")

    def table(self) -> None:
        rules = self.rules
        words, tables, switches = self.words, rules.world.tables, rules.switches
        quiet, as_addresses = not self.loud, "i" in self.options
        if not switches.typed_tables:
            output = table_command(words, tables, switches, dry=self.dry, quiet=quiet, as_addresses=as_addresses)
            self.session.print(output)
            return
        TypedTables(
            words,
            tables,
            switches,
            references=rules.references,
            say=self.session.print,
            dry=self.dry,
            quiet=quiet,
            as_addresses=as_addresses,
        ).run()


_Handler = Callable[[_Command], None]
_WITHOUT_SET: tuple[tuple[str, _Handler], ...] = (
    ("add", _Command.add),
    ("set", _Command.sets),
    ("table", _Command.table),
    ("enable", _Command.enable),
    ("disable", _Command.disable),
)
_OF_PIPES: tuple[tuple[str, _Handler], ...] = (("config", _Command.config),)
_WITH_SET: tuple[tuple[str, _Handler], ...] = (
    ("delete", _Command.delete),
    ("flush", _Command.flush),
    ("zero", _Command.zero),
    ("resetlog", _Command.resetlog),
    ("print", _Command.listing),
    ("list", _Command.listing),
    ("show", _Command.show),
)
