"""`divertsim conformance`: play recorded cases and compare, or print our answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from simulator.conformance.formats import CaseError, Difference, Format, compare, format_of, read

__all__ = ["conformance"]

_SHOWN = 400
"""Characters of a differing value that are shown."""


@dataclass
class _Tally:
    """What one file came to."""

    file: str
    format: str = "-"
    cases: int = 0
    agreeing: int = 0
    unplayable: int = 0
    answers: int = 0
    differences: list[tuple[str, Difference]] = field(default_factory=list)

    def as_json(self, most: int) -> dict[str, Any]:
        first = [
            {"case": name, "place": found.place, "recorded": found.recorded, "ours": found.ours}
            for name, found in self.differences[:most]
        ]
        return {
            "file": self.file,
            "format": self.format,
            "cases": self.cases,
            "agreeing": self.agreeing,
            "unplayable": self.unplayable,
            "answers": self.answers,
            "differences": len(self.differences),
            "first_differences": first,
        }


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--answers", is_flag=True, help="Compare nothing; print our answers, one JSON object a case.")
@click.option("--json", "as_json", is_flag=True, help="Report as one JSON object.")
@click.option("--most", type=click.IntRange(0), default=5, show_default=True, help="Differences shown for each file.")
def conformance(files: tuple[Path, ...], answers: bool, as_json: bool, most: int) -> None:
    """Play case FILES (.jsonl or .jsonl.gz) and report where the simulator disagrees with what they recorded.

    The formats are: rule sets with packets and transcripts of commands (ipchains and ipfw), fragment streams, and
    sequences of divert socket calls.  With --answers nothing is compared, and the files need no answers in them.
    Linux cases are played on the stock kernel and tool, without the divert patch, as they were recorded.
    Exit status 0 when everything agrees, 1 when something does not, 2 for files or cases that make no sense.
    """
    try:
        if answers:
            _print_answers(files)
            return
        tallies = [_play(path) for path in files]
    except CaseError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        click.echo(json.dumps({"files": [tally.as_json(most) for tally in tallies]}))
    else:
        _report(Console(highlight=False, soft_wrap=True), tallies, most)
    if any(tally.unplayable for tally in tallies):
        sys.exit(2)
    sys.exit(1 if any(tally.differences for tally in tallies) else 0)


def _print_answers(files: tuple[Path, ...]) -> None:
    failed = False
    for path in files:
        for case in _cases(path):
            try:
                ours = _replay(_kind(path, case), case)
            except _UnplayableError as error:
                failed = True
                ours = {"error": str(error)}
            click.echo(json.dumps({"name": case.get("name"), **ours}))
    sys.exit(2 if failed else 0)


class _UnplayableError(Exception):
    """A case whose inputs are missing or make no sense; the others are played all the same."""


def _kind(path: Path, case: Any) -> Format:
    try:
        return format_of(case)
    except CaseError as error:
        raise CaseError(f"{path}: {error}") from error


def _replay(kind: Format, case: Any) -> dict[str, Any]:
    """Our answers.  Whatever a case brings about is told as its own failure."""
    try:
        return kind.replay(case)
    except KeyError as error:
        raise _UnplayableError(f"cannot be played: no {error}") from error
    except Exception as error:
        raise _UnplayableError(f"cannot be played: {type(error).__name__}: {error}") from error


def _play(path: Path) -> _Tally:
    tally = _Tally(str(path))
    for case in _cases(path):
        kind = _kind(path, case)
        tally.format = kind.name
        tally.cases += 1
        name = str(case.get("name"))
        try:
            ours = _replay(kind, case)
            found = compare(kind, case, ours)
        except _UnplayableError as error:
            tally.unplayable += 1
            tally.differences.append((name, Difference("the case", None, str(error))))
            continue
        except KeyError as error:
            raise CaseError(f"{path}: case {name!r} has no {error} to compare with") from error
        tally.agreeing += not found
        tally.answers += kind.units(ours)
        tally.differences += [(name, each) for each in found]
    return tally


def _cases(path: Path) -> Iterator[Any]:
    """The cases of a file, with a progress bar where a person looks on."""
    cases = list(read(path))
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from cases
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield from progress.track(cases, description=escape(path.name))


def _report(console: Console, tallies: list[_Tally], most: int) -> None:
    table = Table()
    table.add_column("file", overflow="fold")
    table.add_column("format", overflow="fold")
    for title in ("cases", "agreeing", "answers", "differences"):
        table.add_column(title, justify="right")
    for tally in tallies:
        numbers = (tally.cases, tally.agreeing, tally.answers, len(tally.differences))
        table.add_row(escape(Path(tally.file).name), tally.format, *map(str, numbers))
    console.print(table)
    for tally in tallies:
        for name, found in tally.differences[:most]:
            console.print(f"\n{escape(tally.file)}: case {escape(name)}, {escape(found.place)}")
            console.print(f"  recorded  {escape(_short(found.recorded))}")
            console.print(f"  ours      {escape(_short(found.ours))}")
        if len(tally.differences) > most:
            console.print(f"\n{escape(tally.file)}: {len(tally.differences) - most} more differences")


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
