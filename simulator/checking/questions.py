"""Packets that somebody asks about: in ipfw's words, as scapy writes them, or as JSON objects, a line each.

Behind ``=>`` a line may say what should become of the packet: ``=> deny``, ``=> divert 8668 by 100``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from simulator import expressions
from simulator.nopacket import NoPacketError
from simulator.spoken import build, parse, speak

__all__ = ["Question", "QuestionError", "read", "read_line"]


class QuestionError(ValueError):
    """A line that says no packet: what is wrong, the line (from 1) and the column (from 1)."""

    def __init__(self, text: str, line: int, column: int = 1) -> None:
        super().__init__(text, line, column)
        self.text = text
        self.line = line
        self.column = column


@dataclass(frozen=True, kw_only=True)
class Question:
    """One packet that is asked about."""

    line: int
    words: str
    """The packet, as it was said or in ipfw's words."""
    octets: bytes
    given: Mapping[str, Any]
    """What was said of where it is, by the keys of the recorded cases: ``hook``, ``interface``, ``received_on``,
    ``reinjected``, ``start_after``, ``advance``, ``link``, ``tags``; on Linux ``chain``, ``interface``, ``mark``."""
    expected: str | None = None
    """What should become of it, in the words of answers."""


_KEYS: dict[str, type | tuple[type, ...]] = {
    "octets": str,
    "hook": str,
    "chain": str,
    "interface": str,
    "received_on": (str, type(None)),
    "reinjected": (str, type(None)),
    "start_after": int,
    "advance": (int, float),
    "link": (str, type(None)),
    "tags": list,
    "mark": int,
}
_CHOICES = {
    "hook": ("in", "out"),
    "chain": ("input", "forward", "output"),
    "reinjected": ("in", "out", None),
    "link": ("broadcast", "multicast", None),
}


def read(text: str, verdicts: Mapping[str, str]) -> Iterator[Question]:
    """The packets of a text, a line each; a text that begins with a bracket is one JSON array.

    ``verdicts``: the words for what may become of a packet -> those that answers use.

    :raises QuestionError: for a line that says none, or expects what has no name.
    """
    if text.lstrip().startswith("["):
        try:
            objects = json.loads(text)
        except ValueError as error:
            raise _json_error(error, 1) from None
        for number, value in enumerate(objects, start=1):
            yield _from_json(value, number, None)
        return
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield read_line(line, verdicts, number)


_EXPECTED = re.compile(r"\s*=>\s*(.+?)\s*$")
_THEN = re.compile(r"\s+then\s+(?=\S)", re.IGNORECASE)
_COMMENT = re.compile(r"\s#[^\"']*$")


def read_line(line: str, verdicts: Mapping[str, str], number: int = 1) -> Question:
    """The packet of one line.  :raises QuestionError: when it says none, or expects what has no name."""
    indent = len(line) - len(line.lstrip())
    words = _COMMENT.sub("", line).strip()
    expected = None
    if match := _EXPECTED.search(words):
        column = indent + match.start(1) + 1
        expected, words = _expected(match.group(1), verdicts, number, column), words[: match.start()].rstrip()
    if words.startswith("{"):
        try:
            value = json.loads(words)
        except ValueError as error:
            raise _json_error(error, number) from None
        return _from_json(value, number, expected)
    try:
        if re.match(r"[A-Z]\w*\(", words):
            octets = expressions.octets(words)
            return Question(line=number, words=words, octets=octets, given={}, expected=expected)
        spoken = parse(words)
        octets = build(spoken)
    except NoPacketError as error:
        raise QuestionError(error.text, number, indent + error.column + 1) from None
    except ValueError as error:
        raise QuestionError(str(error), number, indent + 1) from None
    said = {"hook": spoken.hook, "interface": spoken.interface, "received_on": spoken.received_on}
    if spoken.received_on is not None and spoken.hook != "out":
        said |= {"interface": spoken.interface or spoken.received_on, "received_on": None}
    given = {key: value for key, value in said.items() if value is not None}
    return Question(line=number, words=words, octets=octets, given=given, expected=expected)


def _expected(said: str, verdicts: Mapping[str, str], number: int, column: int) -> str:
    """What should happen, in the words of answers."""
    found = []
    at = 0
    for step in _THEN.split(said):
        word, *rest = step.split()
        if (verdict := verdicts.get(word.lower())) is None:
            told = f"nothing is called {word!r} (there are {', '.join(verdicts)})"
            raise QuestionError(told, number, column + said.index(word, at))
        at += len(step)
        found.append(" ".join([verdict, *rest]))
    return " then ".join(found)


def _json_error(error: ValueError, number: int) -> QuestionError:
    where = error if isinstance(error, json.JSONDecodeError) else None
    column = where.colno if where is not None else 1
    line = number + (where.lineno - 1 if where is not None else 0)
    return QuestionError(f"not JSON: {where.msg if where is not None else error}", line, column)


def _from_json(value: object, number: int, expected: str | None) -> Question:
    if not isinstance(value, dict):
        raise QuestionError(f"a packet is a JSON object, not {value!r}", number)
    for key, kinds in _KEYS.items():
        if key in value and (not isinstance(value[key], kinds) or isinstance(value[key], bool)):
            raise QuestionError(f"{key!r} is {value[key]!r}", number)
    for key, choices in _CHOICES.items():
        if key in value and value[key] not in choices:
            raise QuestionError(f"{key!r} is {value[key]!r}, not one of {', '.join(map(repr, choices))}", number)
    try:
        octets = bytes.fromhex(value.get("octets", ""))
    except ValueError:
        raise QuestionError(f"'octets' is no hex: {value['octets'][:40]!r}", number) from None
    if not octets:
        raise QuestionError("a packet needs 'octets'", number)
    given = {key: value[key] for key in _KEYS if key in value and key != "octets" and value[key] is not None}
    words = speak(octets, hook=given.get("hook"), interface=given.get("interface"))
    return Question(line=number, words=words, octets=octets, given=given, expected=expected)
