"""Places in a script's text, and what is wrong there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

__all__ = ["Place", "ScriptError"]


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a script's text."""

    file: str
    line: int
    """From 1."""
    column: int
    """From 1."""
    text: str = field(default="", compare=False, repr=False)
    """The whole line."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def further(self, columns: int) -> Place:
        """So many columns to the right."""
        return replace(self, column=self.column + columns)

    def at(self, word: object) -> Place:
        """Where a word first stands in the line, from this place on; this place, where it does not stand so."""
        found = _word(word, r"[\w.-]").search(self.text, self.column - 1)
        return self if found is None else replace(self, column=found.start() + 1)

    def at_named(self, message: str, words: Iterable[object]) -> Place:
        """Where the first of the words stands that a message names; this place, where it names none."""
        return next((self.at(word) for word in words if _word(word, r"[\w-]").search(message)), self)

    def caret(self) -> str:
        """The line with a caret under the place."""
        before = "".join("\t" if character == "\t" else " " for character in self.text[: self.column - 1])
        return f"    {self.text}\n    {before}^"


def _word(word: object, letter: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!{letter})(?=\S){re.escape(str(word))}(?!{letter})")


class ScriptError(Exception):
    """A script that makes no sense at some place."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(place, message)
        self.place = place
        self.message = message

    def __str__(self) -> str:
        return f"{self.place}: {self.message}\n{self.place.caret()}"
