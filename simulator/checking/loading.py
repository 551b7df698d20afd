"""Rule files: one command a line, with or without the word ``ipfw`` or ``ipchains``; blank lines and comments."""

from __future__ import annotations

from collections.abc import Callable

from rules.errors import CommandError
from simulator.checking.checker import Checker

__all__ = ["RuleFileError", "load"]


class RuleFileError(Exception):
    """A line that the tool refuses: its number from 1, the line, and what the tool says."""

    def __init__(self, number: int, line: str, complaint: str) -> None:
        super().__init__(number, line, complaint)
        self.number = number
        self.line = line
        self.complaint = complaint

    def said(self, name: str) -> str:
        """As it is told of a file of that name."""
        return f"{name}:{self.number}: {self.complaint}\n    {self.line}"


def load(checker: Checker, text: str, done: Callable[[int], object] | None = None) -> None:
    """Run the commands; ``done`` is told the number of each line that was run.

    :raises RuleFileError: for the first that is refused; those before it have been run.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            checker.command(line)
        except CommandError as error:
            raise RuleFileError(number, line.strip(), error.stderr.strip()) from None
        if done is not None:
            done(number)
