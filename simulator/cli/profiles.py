"""`divertsim profiles`: every switch in which kernels differ, side by side, with its source."""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import get_close_matches

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from simulator.comparison import Row, compare, markdown, words_of
from simulator.profiles import PROFILES

__all__ = ["profiles"]

_UNBOUNDED = 10_000
_WIDEST = 26
_MOST_ITEMS = 4
"""Longer sets are shown by their size in the table; naming the switch shows them whole."""

_PREAMBLE = """\
# Profiles, switch by switch

Every behaviour in which the kernels differ is a named switch; a profile is a value for each.  Any of them can be set by
keyword: `Router("freebsd-10", tee_original="accepted")`.  Statements such as `bsd.md R-2` are explained in
[decisions.md](decisions.md).  This page is what `divertsim profiles --all --markdown` prints.

"""


@click.command()
@click.argument("names", nargs=-1, metavar="[PROFILE | SWITCH]...")
@click.option("--all", "everything", is_flag=True, help="Also the switches in which the profiles agree.")
@click.option("--json", "as_json", is_flag=True, help="Print every switch as one JSON object.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the page docs/profiles.md.")
def profiles(names: tuple[str, ...], everything: bool, as_json: bool, as_markdown: bool) -> None:
    """Compare kernels: the switches in which they differ, side by side.

    Name profiles to compare only those (`divertsim profiles freebsd-10 freebsd-13`), or switches to be told what they
    mean and where that is known from (`divertsim profiles tee_original`).
    """
    if as_json and as_markdown:
        raise click.UsageError("--json and --markdown exclude each other")
    chosen = [name for name in PROFILES if name in names] or [*PROFILES]
    rows = compare([PROFILES[name] for name in chosen])
    explained = _switches(names, rows, chosen)
    if explained:
        rows = [row for row in rows if row.name in explained]
    elif not everything and not as_json and len(chosen) > 1:
        rows = [row for row in rows if row.differs]
    if as_json:
        click.echo(json.dumps({"profiles": chosen, "switches": [row.as_json() for row in rows]}, indent=1))
    elif as_markdown:
        click.echo(_PREAMBLE + markdown(rows), nl=False)
    elif explained:
        _explain(rows)
    else:
        _show(rows, chosen)


def _switches(names: Sequence[str], rows: Sequence[Row], chosen: Sequence[str]) -> set[str]:
    """The names that are switches.  :raises click.UsageError: for one that is neither that nor a profile."""
    known = {row.name for row in rows}
    explained = {name for name in names if name not in PROFILES}
    for name in names:
        if name not in PROFILES and name not in known:
            elsewhere = {row.name for row in compare([*PROFILES.values()])}
            if name in elsewhere:
                raise click.UsageError(f"{', '.join(chosen)}: no switch {name!r}")
            near = get_close_matches(name, [*PROFILES, *elsewhere], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f" (profiles are {', '.join(PROFILES)})"
            raise click.UsageError(f"{name!r} is neither a profile nor a switch{hint}")
    return explained


def _console() -> Console:
    """As wide as the terminal; where output goes elsewhere, nothing is folded."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_UNBOUNDED)


def _show(rows: Sequence[Row], chosen: Sequence[str]) -> None:
    console = _console()
    for group in dict.fromkeys(row.group for row in rows):
        mine = [row for row in rows if row.group == group]
        table = Table(title=group, title_justify="left", title_style="bold")
        table.add_column("switch", overflow="fold")
        for profile in mine[0].values:
            table.add_column(profile, overflow="fold", max_width=_WIDEST)
        table.add_column("source", style="dim", overflow="fold")
        for row in mine:
            usual = _most_frequent([words_of(row.name, value) for value in row.values.values()])
            cells = [_cell(row.name, value, usual) for value in row.values.values()]
            table.add_row(row.name, *cells, Text(", ".join(row.sources)))
        console.print(table)
        console.print()
    if not rows:
        console.print(f"{', '.join(chosen)}: no switch differs (--all shows what they agree in)")
        return
    hint = "divertsim profiles SWITCH says what a switch means; --all shows those in which all agree."
    console.print(hint, style="dim")


def _cell(name: str, value: object, usual: str) -> Text:
    """A value, marked where it is not what most profiles have."""
    return Text(words_of(name, value, most=_MOST_ITEMS), "" if words_of(name, value) == usual else "yellow")


def _most_frequent(words: Sequence[str]) -> str:
    return max(words, key=words.count)


def _explain(rows: Sequence[Row]) -> None:
    console = _console()
    for row in rows:
        console.print(Text.assemble((row.name, "bold"), f"  ({row.group})"))
        console.print(Text(row.text.replace("``", "")))
        width = max(map(len, row.values))
        for profile, value in row.values.items():
            console.print(Text(f"  {profile:<{width}}  {words_of(row.name, value)}"))
        console.print()
