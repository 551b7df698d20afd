"""The words of a command line as GNU ``getopt_long`` hands them out, in order, operands among the options.

Source: getopt_long(3); the texts of its complaints are those of glibc.  The tool looks at the words behind an option
itself and takes some of them, so the scanner lets its user do that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from rules.errors import CommandError

__all__ = ["PROGRAM", "Argument", "LongOption", "Scanner", "problem", "usage_error"]

PROGRAM = "ipchains"
_TRY = f"Try `{PROGRAM} -h' or '{PROGRAM} --help' for more information.\n"


def usage_error(text: str = "") -> CommandError:
    """Status 2: this text, then where help is to be had (linux.md U1)."""
    return CommandError(text + _TRY, 2)


def problem(message: str) -> CommandError:
    """Status 2 with a message of the tool's own."""
    return usage_error(f"{PROGRAM}: {message}\n")


class Argument(Enum):
    """Whether an option has one."""

    NONE = 0
    REQUIRED = 1
    OPTIONAL = 2
    """Only glued to the option: ``-Linput``, ``--list=input``."""


class LongOption(NamedTuple):
    """A long spelling; several may stand for one letter."""

    name: str
    argument: Argument
    letter: str


class Scanner:
    """One pass over the words.

    :meth:`next` gives an option's letter and argument, or ``""`` and an operand, or None at the end.  After it,
    :attr:`index` is the place of the next word.
    """

    def __init__(self, words: Sequence[str], short: Mapping[str, Argument], long: Sequence[LongOption]) -> None:
        self.words = words
        self.index = 0
        self._short = short
        self._long = long
        self._cluster = ""
        """Letters of the present word that are still to come."""

    def next(self) -> tuple[str, str | None] | None:
        """The next option or operand; :class:`CommandError` as getopt complains."""
        if self._cluster:
            return self._letter()
        if self.index > len(self.words):
            # The tool has stepped over the end and would read its environment as an operand.
            raise usage_error()
        if self.index == len(self.words):
            return None
        word = self.words[self.index]
        if word == "--":
            self.index += 1
            return None
        if word.startswith("--"):
            self.index += 1
            return self._long_option(word[2:])
        if word.startswith("-") and word != "-":
            self._cluster = word[1:]
            return self._letter()
        self.index += 1
        return "", word

    def _letter(self) -> tuple[str, str | None]:
        letter, self._cluster = self._cluster[0], self._cluster[1:]
        if not self._cluster:
            self.index += 1
        argument = self._short.get(letter)
        if argument is None:
            raise usage_error(f"{PROGRAM}: invalid option -- '{letter}'\n")
        if argument is Argument.NONE:
            return letter, None
        if self._cluster:
            glued, self._cluster = self._cluster, ""
            self.index += 1
            return letter, glued
        if argument is Argument.OPTIONAL:
            return letter, None
        if self.index >= len(self.words):
            raise usage_error(f"{PROGRAM}: option requires an argument -- '{letter}'\n")
        self.index += 1
        return letter, self.words[self.index - 1]

    def _long_option(self, text: str) -> tuple[str, str | None]:
        name, equals, value = text.partition("=")
        option = self._long_named(name, text)
        if equals:
            if option.argument is Argument.NONE:
                raise usage_error(f"{PROGRAM}: option '--{option.name}' doesn't allow an argument\n")
            return option.letter, value
        if option.argument is not Argument.REQUIRED:
            return option.letter, None
        if self.index >= len(self.words):
            raise usage_error(f"{PROGRAM}: option '--{option.name}' requires an argument\n")
        self.index += 1
        return option.letter, self.words[self.index - 1]

    def _long_named(self, name: str, text: str) -> LongOption:
        """The option of that name, or the only one that begins so; synonyms are no second one."""
        candidates = [option for option in self._long if option.name.startswith(name)]
        for option in candidates:
            if option.name == name:
                return option
        if not candidates:
            raise usage_error(f"{PROGRAM}: unrecognized option '--{text}'\n")
        first, *others = candidates
        rivals = [other for other in others if other[1:] != first[1:]]
        if rivals:
            names = "".join(f" '--{option.name}'" for option in (first, *rivals))
            raise usage_error(f"{PROGRAM}: option '--{text}' is ambiguous; possibilities:{names}\n")
        return first

    # -- the words behind an option ------------------------------------------------------------------------------

    def at(self, index: int) -> str | None:
        """The word at a place, if there is one."""
        return self.words[index] if 0 <= index < len(self.words) else None

    def operand(self, skip: int = 0) -> str | None:
        """The word so many places ahead, unless it looks like an option or a negation."""
        word = self.at(self.index + skip)
        return None if word is None or word.startswith(("-", "!")) else word

    def take(self) -> str:
        """The next word, which the caller has looked at."""
        self.index += 1
        return self.words[self.index - 1]
