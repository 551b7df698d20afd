"""`divertsim programs`: the divert programs that can be run by name, and their options."""

from __future__ import annotations

import json
from typing import Any

import click

from simulator.programs.registry import PROGRAMS, Entry, ProgramError, find

__all__ = ["programs"]


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of programs with their options.")
def programs(name: str | None, as_json: bool) -> None:
    """List the divert programs, or show one with its options.

    See one at work with `divertsim demo --program NAME`; run one on a machine that has divert sockets with
    `python -m simulator.programs NAME PORT`.
    """
    try:
        entries = [find(each) for each in ([name] if name is not None else PROGRAMS)]
    except ProgramError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        click.echo(json.dumps([_as_dict(entry) for entry in entries], indent=1))
    elif name is None:
        width = max(map(len, PROGRAMS))
        for entry in entries:
            click.echo(f"{entry.name:<{width}}  {entry.summary}")
    else:
        click.echo(f"{entries[0].name}: {entries[0].summary}\n{entries[0].options_text()}".rstrip())


def _as_dict(entry: Entry) -> dict[str, Any]:
    return {"name": entry.name, "summary": entry.summary, "options": entry.described()}
