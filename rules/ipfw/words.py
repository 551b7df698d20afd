"""How a command line becomes words, and how the tool reads a word: prefixes, numbers, messages.

Sources: ipfw(8), G-2, G-6, G-7 and table M-1 of the behavioural notes; strtol(3) for numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = [
    "DATA_ERROR",
    "NO_HOST",
    "UNAVAILABLE",
    "USAGE",
    "RefusalError",
    "Words",
    "glue_commas",
    "leading_number",
    "split_line",
    "state_name",
]

USAGE, DATA_ERROR, NO_HOST, UNAVAILABLE = 64, 65, 68, 69
"""Exit statuses of sysexits(3)."""

_BLANKS = " \t\f\v\n\r"


class RefusalError(Exception):
    """The tool gives up: ``text`` without the program's name, and an exit status."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text, status)
        self.text = text
        self.status = status


def split_line(line: str) -> list[str]:
    """A single argument, or a line of a file, as words: ``#`` begins a comment, blanks after a comma vanish (G-2).

    A comma at the very end is lost, as the tool loses it.
    """
    line = line.partition("#")[0].strip(_BLANKS)
    line = re.sub(rf",[{_BLANKS}]+", ",", line)
    return line.removesuffix(",").split()


def glue_commas(arguments: Iterable[str]) -> list[str]:
    """Several arguments as words: one that ends in a comma takes the next one up (G-2)."""
    words: list[str] = []
    joined = ""
    for argument in arguments:
        joined += argument
        if not argument.endswith(","):
            words.append(joined)
            joined = ""
    if joined:
        words.append(joined)
    return words


_NUMBER = {
    0: re.compile(r"\s*[+-]?(0[xX][0-9a-fA-F]+|[0-9]+)"),
    10: re.compile(r"\s*[+-]?[0-9]+"),
}


def leading_number(text: str, base: int = 10) -> tuple[int, str]:
    """The number that a text begins with, and the rest, as strtol(3) has it; (0, text) if there is none.

    Base 0 is C notation: ``0x`` hexadecimal, ``0`` octal.
    """
    found = _NUMBER[base].match(text)
    if found is None:
        return 0, text
    digits, rest = found.group().strip(), text[found.end() :]
    sign = -1 if digits[0] == "-" else 1
    digits = digits.lstrip("+-")
    if base == 0 and digits[:2].lower() == "0x":
        return sign * int(digits, 16), rest
    if base == 0 and digits[0] == "0":
        octal = re.match(r"[0-7]+", digits)
        assert octal is not None
        return sign * int(octal.group(), 8), digits[octal.end() :] + rest
    return sign * int(digits), rest


def state_name(word: str) -> str:
    """``:NAME`` of dynamic state -> NAME."""
    if not re.fullmatch(r":[A-Za-z0-9_.-]{1,63}", word):
        raise RefusalError(f"Invalid state name {word}", DATA_ERROR)
    return word[1:]


class Words:
    """The words of one command, read from the left; keeps the warnings that reading gives rise to."""

    __slots__ = ("_at", "_deprecates", "_words", "warnings")

    def __init__(self, words: Sequence[str], *, deprecates: bool = True) -> None:
        self._words = list(words)
        self._at = 0
        self._deprecates = deprecates
        self.warnings: list[str] = []

    def __bool__(self) -> bool:
        return self._at < len(self._words)

    def __len__(self) -> int:
        return len(self._words) - self._at

    def peek(self, ahead: int = 0) -> str | None:
        """The next word, or the one that far behind it; None past the end."""
        at = self._at + ahead
        return self._words[at] if at < len(self._words) else None

    def need(self, complaint: str) -> str:
        """The next word, not taken; a usage error if there is none."""
        if self._at >= len(self._words):
            raise RefusalError(complaint, USAGE)
        return self._words[self._at]

    def take(self) -> str:
        """The next word, which must be there."""
        self._at += 1
        return self._words[self._at - 1]

    def shorten(self, letters: int) -> None:
        """Drop letters from the front of the next word."""
        self._words[self._at] = self._words[self._at][letters:]

    def number_last(self) -> None:
        """A number that stands before a command goes behind it (G-6)."""
        words, at = self._words, self._at
        if len(words) > at + 1 and words[at][:1].isdigit():
            words[at], words[at + 1] = words[at + 1], words[at]

    def rest(self) -> list[str]:
        """All words that are left, taken."""
        words = self._words[self._at :]
        self._at = len(self._words)
        return words

    def warn(self, text: str) -> None:
        """A line for standard error that stops nothing."""
        self.warnings.append(text)

    def means(self, keyword: str, ahead: int = 0) -> bool:
        """Is the next word this keyword, or a beginning of it? An abbreviation is reported (G-7)."""
        word = self.peek(ahead)
        if word is None or not keyword.startswith(word):
            return False
        if word != keyword and self._deprecates:
            self.warn(f"DEPRECATED: '{word}' matched '{keyword}' as a sub-string")
        return True

    def accept(self, keyword: str) -> bool:
        """Take the next word if it means this keyword."""
        if self.means(keyword):
            self._at += 1
            return True
        return False
