"""One command being carried out: what the tools of all systems share of it.

Sources: ipfw.c, ipfw2.c; sections 10.1, 10.2 and 10.5 of the behavioural notes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.ipfw.chain import RESERVED_SET
from rules.ipfw.log import cleared_line
from rules.ipfw.pipes import Kind
from rules.ipfw.session import Session
from rules.ipfw.step import Entry
from rules.ipfw.words import DATA_ERROR, UNAVAILABLE, RefusalError, Words, leading_number

if TYPE_CHECKING:
    from rules.ipfw.ruleset import RuleSet

__all__ = ["BAD_ARGUMENTS", "Command"]

BAD_ARGUMENTS = "bad arguments, for usage summary ``ipfw''"


class Command:
    """The words of a command, the rule set that it works on, and the run of the tool that it writes to."""

    unmodelled_switches: tuple[str, ...] = ()
    """What ``enable`` and ``disable`` know besides the variables."""

    def __init__(self, rules: RuleSet, words: Words, session: Session) -> None:
        self.rules = rules
        self.switches = rules.switches
        self.words = words
        self.session = session
        self.options = session.options
        self.set: int | None = None
        """N of ``set N COMMAND``."""
        self.kind: Kind | None = None
        """Of ``pipe COMMAND`` and its like."""

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

    def say(self, text: str) -> None:
        """A line of success, unless ``-q``."""
        if self.loud:
            self.session.print(text)

    def in_set(self, entry: Entry) -> bool:
        """Whether a rule is in the set that was asked for."""
        return self.set is None or entry.rule.set == self.set

    def set_number(self, text: str) -> int:
        """N of ``set N COMMAND``."""
        if not text.isdigit() or int(text) > RESERVED_SET:
            raise RefusalError(f"invalid set number {text}\n", DATA_ERROR)
        return int(text)

    def log_cleared(self, number: int | None, done: str) -> None:
        """What the kernel logs of cleared counters (E-44)."""
        if self.rules.variables["verbose"]:
            self.rules.log(cleared_line(number, done, names_rule=self.switches.zero_log_names_rule))

    # pipe, queue, sched

    def configure_pipe(self) -> None:
        assert self.kind is not None
        self.rules.pipes.configure(self.kind, self.words, dry=self.dry)

    def delete_pipes(self) -> None:
        assert self.kind is not None
        words, numbers = self.words, []
        while (words.peek() or "")[:1].isdigit():
            numbers.append(leading_number(words.take())[0])
        complaints, status = ([], 0) if self.dry else self.rules.pipes.delete(self.kind, numbers)
        for complaint in complaints:
            self.session.complain(complaint)
        self.session.status = status

    def flush_pipes(self) -> None:
        self.say("" if self.dry else self.rules.pipes.flush())

    def list_pipes(self) -> None:
        assert self.kind is not None
        self.session.print(self.rules.pipes.listing(self.kind, self.words, verbose="v" in self.options))

    # enable, disable

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
        for name in self.unmodelled_switches:
            if words.accept(name):
                raise RefusalError(f"{name} is not modelled here", UNAVAILABLE)
        words.warn(f"unrecognize enable/disable keyword: {words.peek()}\n")
