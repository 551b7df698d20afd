"""`divertsim diff`: packets that two rule files treat differently, or the proof that there are none."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from rules.analysis.walk import TooManyPiecesError
from simulator.cli.linting import RULES, read, refuse
from simulator.cli.options import INTERFACE, PROFILE
from simulator.linting.compare import compare
from simulator.profiles import PROFILES

__all__ = ["diff"]

_PERHAPS = {
    False: " (perhaps: more than header fields decides)",
    True: " (perhaps: the packet did not show it when it was tried)",
}
"""By whether the analysis is certain."""


@click.command()
@click.argument("a", type=RULES)
@click.argument("b", type=RULES)
@PROFILE
@click.option("--profile-b", type=click.Choice(list(PROFILES)), metavar="NAME", help="The kernel of B, if another.")
@INTERFACE
@click.option("--json", "as_json", is_flag=True, help="Report as one JSON object.")
def diff(a: Path, b: Path, profile: str, profile_b: str | None, interfaces: tuple[str, ...], as_json: bool) -> None:
    """Packets that the rule files A and B treat differently, a packet for each pair of rules that decide; or "equal".

    One file may be of ipchains and the other of ipfw: then input is compared with `in` and output with `out`, forward
    is left out, and only what becomes of packets counts: accepted, denied, diverted where to.  Exit status 0 when they
    are equal, 1 when they differ or that cannot be told because state, chance or routes decide, 2 for a file that makes
    no sense.
    """
    if str(a) == str(b) == "-":
        raise click.UsageError("A and B cannot both be standard input (-)")
    first, second = read(a, profile, interfaces), read(b, profile_b or profile, interfaces)
    mixed = first.conditions.is_linux != second.conditions.is_linux
    try:
        pairs, uncertain = compare(first, second)
    except TooManyPiecesError as error:
        refuse(f"not decided: {error}")
    is_equal = not pairs and not uncertain
    if as_json:
        said = {
            "equal": is_equal,
            "differences": [pair.as_json() for pair in pairs],
            "uncertain": uncertain,
            "left_out": ["forward"] if mixed else [],
        }
        click.echo(json.dumps(said, indent=1))
        sys.exit(0 if is_equal else 1)
    names = [str(a), str(b)]
    if a == b:
        names = [f"{a} ({profile})", f"{b} ({profile_b or profile})"]
    for pair in pairs:
        (one, other), (does, instead) = pair.rules, pair.outcomes
        unsure = "" if pair.is_certain else _PERHAPS[pair.difference.certain]
        click.echo(f"{names[0]}: {does} by {one}; {names[1]}: {instead} by {other}{unsure}")
        click.echo(f"    {pair.words}")
    if mixed:
        click.echo("the forward chain is left out: ipfw has no such hook")
    if uncertain and not pairs:
        click.echo(
            f"no difference is found, but more than header fields decides in rules {', '.join(map(str, uncertain))}"
        )
    elif is_equal:
        click.echo("equal")
    sys.exit(0 if is_equal else 1)
