"""Places in a script's text, and what is wrong there."""

from __future__ import annotations

from dataclasses import dataclass, field

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

    def caret(self) -> str:
        """The line with a caret under the place."""
        before = "".join("\t" if character == "\t" else " " for character in self.text[: self.column - 1])
        return f"    {self.text}\n    {before}^"


class ScriptError(Exception):
    """A script that makes no sense at some place."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(place, message)
        self.place = place
        self.message = message

    def __str__(self) -> str:
        return f"{self.place}: {self.message}\n{self.place.caret()}"
