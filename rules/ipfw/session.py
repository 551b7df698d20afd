"""One run of the tool: the options it was given, what it wrote, and its exit status."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = ["Options", "Session", "getopt"]


@dataclass(slots=True)
class Options:
    """The letters given so far; those of a file's lines add up."""

    letters: set[str] = field(default_factory=set)

    def __contains__(self, letter: str) -> bool:
        return letter in self.letters


class Session:
    """One run of the tool: what it printed, and how it calls itself."""

    def __init__(self) -> None:
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        self.name = "ipfw"
        self.options = Options()
        self.status = 0

    def print(self, text: str) -> None:
        self.stdout.append(text)

    def complain(self, text: str) -> None:
        """A line on standard error, behind the program's name."""
        self.stderr.append(f"{self.name}: {text}\n")


def getopt(arguments: list[str], letters: str, session: Session) -> list[str] | None:
    """getopt(3): collects option letters; the arguments behind them, None after a wrong one."""
    at = 0
    while at < len(arguments) and re.match("-.", arguments[at]):
        word = arguments[at]
        at += 1
        if word == "--":
            break
        for place, letter in enumerate(word[1:], 1):
            known = letters.find(letter)
            if known < 0 or letter == ":":
                session.complain(f"illegal option -- {letter}")
                return None
            if letters[known + 1 : known + 2] == ":":
                if not word[place + 1 :]:
                    if at == len(arguments):
                        session.complain(f"option requires an argument -- {letter}")
                        return None
                    at += 1
                session.options.letters.add(letter)
                break
            session.options.letters.add(letter)
            if letter == "p":
                break
    return arguments[at:]
