"""`divertsim doctor`: what this machine lacks for a live router, and the remedy."""

from __future__ import annotations

import json
import sys

import click
from rich.console import Console
from rich.text import Text

from simulator.live.diagnosis import Check, State, examine, ready

__all__ = ["doctor"]

_STYLES = {State.OK: "green", State.MISSING: "bold red", State.OPTIONAL: "yellow"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the checks as one JSON object.")
def doctor(as_json: bool) -> None:
    """Try everything that a router between real network stacks needs, and explain what is missing.

    Exit status 0 when `divertsim demo` can run on TUN devices here, 1 when it will run on memory links.
    """
    checks = examine()
    good = ready(checks)
    if as_json:
        found = [check._asdict() | {"state": check.state.value} for check in checks]
        click.echo(json.dumps({"mode": "tun" if good else "memory", "checks": found}, indent=1))
    else:
        _show(checks, good)
    sys.exit(0 if good else 1)


def _show(checks: list[Check], good: bool) -> None:
    console = Console(highlight=False)
    width = max(len(check.name) for check in checks)
    for check in checks:
        # Text, because a remedy may hold brackets that rich would take for markup.
        line = Text.assemble(
            (f"{check.state.value:<10}", _STYLES[check.state]), f"{check.name:<{width}}  {check.detail}"
        )
        console.print(line, soft_wrap=True)
        if check.remedy:
            console.print(Text(f"{'':<10}{'':<{width}}  remedy: {check.remedy}"), soft_wrap=True)
    console.print()
    if good:
        last = "Everything is there: divertsim demo runs on TUN devices between network namespaces."
    else:
        last = (
            "divertsim demo runs on memory links here; rules, routers on memory links, conformance and the demo in "
            "memory need none of this."
        )
    console.print(last, soft_wrap=True)
