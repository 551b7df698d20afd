"""The commands of ipfw(8) but ``add``'s grammar: options, dispatch, and what each does to a rule set.

Sources: ipfw(8); sections 10.1, 10.2, 10.4 and 10.5 of the behavioural notes.  A command works on a
:class:`~rules.ipfw.ruleset.RuleSet`; it writes to a :class:`Session`, one run of the tool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rules.ipfw.acceptable import is_acceptable
from rules.ipfw.clearing import resetlog, zero
from rules.ipfw.command import BAD_ARGUMENTS, Command
from rules.ipfw.deleting import delete, flush
from rules.ipfw.grammar import read_rule
from rules.ipfw.listcommand import ListCommand
from rules.ipfw.listing import Style
from rules.ipfw.nat.commands import NatCommand, nat_command
from rules.ipfw.pipes import take_kind
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
    UNAVAILABLE,
    USAGE,
    RefusalError,
    Words,
    glue_commas,
    split_line,
)

if TYPE_CHECKING:
    from rules.ipfw.ruleset import RuleSet

__all__ = ["run_command"]


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
        raise RefusalError(BAD_ARGUMENTS, USAGE)
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


class _Command(Command):
    """A command since FreeBSD 5."""

    unmodelled_switches = ("altq",)

    def dispatch(self) -> None:
        words = self.words
        words.need(BAD_ARGUMENTS)
        words.number_last()
        word = words.peek() or ""
        of_nat = "nat".startswith(word) and "nat" not in self.switches.missing_words
        if of_nat:
            words.take()
            words.need("missing command")
            words.number_last()
            if self._nat():
                return
            word = words.peek() or ""
        else:
            self.kind = take_kind(words, schedulers=self.switches.schedulers)
        plain = not of_nat and self.kind is None
        if plain and "set".startswith(word) and (words.peek(1) or "")[:1].isdigit():
            words.take()
            self.set = self.set_number(words.take())
        words.need("missing command")
        if self.kind is not None:
            words.number_last()
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
            if self.switches.typed_tables and unmodelled.startswith(words.peek() or " "):
                raise RefusalError(f"{unmodelled} is not modelled here", UNAVAILABLE)
        raise RefusalError(f"bad command `{words.peek()}'", USAGE)

    def style(self) -> Style:
        options = self.options
        return Style(
            self.switches,
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

    # list, show

    def show(self) -> None:
        self._list(counters=True)

    def listing(self) -> None:
        self._list(counters="a" in self.options)

    def _list(self, *, counters: bool) -> None:
        if self.dry:
            self.session.stderr.append("Testing only, list disabled\n")
        elif self.kind is not None:
            self.list_pipes()
        else:
            ListCommand(self.rules, self.words, self.session, self.style(), counters, self.in_set).run()

    # nat

    def _nat(self) -> bool:
        """A command of nat's own; False for any other, which is meant for rules even so."""
        status = nat_command(
            NatCommand(
                self.words,
                self.rules.nats,
                self.rules.world.surroundings,
                self.switches,
                self.session.print,
                self.session.complain,
                quiet=not self.loud,
                dry=self.dry,
            )
        )
        self.session.status = status or self.session.status
        return status is not None

    # set

    def sets(self) -> None:
        rules = self.rules
        self.session.print(set_command(self.words, rules.chain, dry=self.dry, octets=rules.switches.rule_move_octet))

    # table

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
_OF_PIPES: tuple[tuple[str, _Handler], ...] = (("config", _Command.configure_pipe),)
_WITH_SET: tuple[tuple[str, _Handler], ...] = (
    ("delete", delete),
    ("flush", flush),
    ("zero", zero),
    ("resetlog", resetlog),
    ("print", _Command.listing),
    ("list", _Command.listing),
    ("show", _Command.show),
)
