"""From a script's text to its model: the parser's tree (``syntax``) made into lines (``sentences``), lines into cases.

``include`` takes another script's lines in; what may be included is decided by who calls :func:`read`, with the
function that gives a name's text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from lark.exceptions import UnexpectedInput, VisitError

from simulator.scenario import model
from simulator.scenario.model import Place, ScriptError
from simulator.scenario.sentences.lines import Case, Include, Lines
from simulator.scenario.syntax import explained, parser

__all__ = ["MOST_LINES", "Reader", "read"]

Reader = Callable[[str], str]
"""Gives the text of an included script.  :raises OSError, ValueError: when there is none, or it may not be had."""

MOST_LINES = 20_000
"""Lines of one script, those of what it includes too."""

_DEEPEST = 8
"""Includes inside includes."""

_MOST_NESTED = 50
"""Brackets inside brackets."""


class _Allowance:
    """The lines that may still come: an included script's count each time that it is included."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._left = MOST_LINES

    def spend(self, text: str, place: Place | None) -> None:
        self._left -= text.count("\n") + 1
        if self._left < 0:
            most = f"a script has at most {MOST_LINES} lines"
            if place is None:
                raise ScriptError(Place(self._file, MOST_LINES, 1), most)
            raise ScriptError(place, f"{most}, those of what it includes too")


_ANNOUNCED = re.compile(r"^Fails: *(\S.*)$", re.M)


def read(text: str, file: str, reader: Reader | None = None) -> model.Script:
    """The script.  One whose first comment announces a failure may be unreadable: then that is what it says.

    :raises ScriptError: for text that is no script, with the place and what was expected there.
    """
    description = _description(text)
    announced = tuple(_ANNOUNCED.findall(description))
    try:
        allowance = _Allowance(file)
        allowance.spend(text.removesuffix("\n"), None)
        script = _read(text, file, reader, 0, allowance)
    except ScriptError as error:
        if not announced:
            raise
        return model.Script(file, description, (), (), announced, error)
    if announced and script.cases:
        raise ScriptError(script.cases[0].place, "a script whose first comment announces a failure has no cases")
    return replace(script, announced=announced)


def _read(text: str, file: str, reader: Reader | None, depth: int, allowance: _Allowance) -> model.Script:
    source = text if text.endswith("\n") else text + "\n"
    _check_nesting(source, file)
    try:
        lines = Lines(file, source).transform(parser().parse(source))
    except UnexpectedInput as error:
        raise explained(error, file, source) from None
    except VisitError as error:
        if isinstance(error.orig_exc, ScriptError):
            raise error.orig_exc from None
        raise
    setup: list[model.Line] = []
    cases: list[model.CaseBlock] = []
    current = setup
    for line in lines:
        match line.statement:
            case Case(name):
                if any(name == case.name for case in cases):
                    raise ScriptError(line.place, f"there is a case {name!r} already")
                current = []
                cases.append(model.CaseBlock(name, line.place, ()))
            case Include(path):
                current += _included(path, line.place, reader, depth, allowance)
            case _:
                current.append(line)
        if cases:
            cases[-1] = model.CaseBlock(cases[-1].name, cases[-1].place, tuple(current))
    return model.Script(file, _description(text), tuple(setup), tuple(cases))


def _check_nesting(source: str, file: str) -> None:
    """Brackets nested beyond any use would exhaust the stack of what reads them."""
    if source.count("(") + source.count("[") <= _MOST_NESTED:
        return
    for at, line in enumerate(source.split("\n"), start=1):
        depth = 0
        for column, character in enumerate(line, start=1):
            depth += (character in "([") - (character in ")]" and depth > 0)
            if depth > _MOST_NESTED:
                shown = line[: column + 20]
                raise ScriptError(Place(file, at, column, shown), f"brackets are nested {_MOST_NESTED} deep at most")


def _included(
    path: str, place: Place, reader: Reader | None, depth: int, allowance: _Allowance
) -> tuple[model.Line, ...]:
    if reader is None:
        raise ScriptError(place, "this script has no folder to include from")
    if depth == _DEEPEST:
        raise ScriptError(place, f"includes go {_DEEPEST} deep at most")
    try:
        text = reader(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ScriptError(place, f"cannot include {path!r}: {reason}") from None
    allowance.spend(text.removesuffix("\n"), place)
    script = _read(text, path, reader, depth + 1, allowance)
    if script.cases:
        raise ScriptError(script.cases[0].place, "an included script has no cases")
    return script.setup


def _description(text: str) -> str:
    """The comment that a script begins with."""
    said: list[str] = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        said.append(line.lstrip("#").strip())
    return "\n".join(said).strip()
