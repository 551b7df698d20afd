"""`python -m benchmarks`: the table of ratios; `--json` for machines, `--quick` for a first look."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from itertools import groupby

from rich.console import Console
from rich.table import Table

from benchmarks import lint, live, memory, rules, taps
from benchmarks.measure import Effort, Row
from simulator.live.host import HostError

_SUBJECTS: dict[str, Callable[[Effort], list[Row]]] = {
    "memory": memory.measure,
    "rules": rules.measure,
    "lint": lint.measure,
    "taps": taps.measure,
    "live": live.measure,
}
_FULL = Effort(rounds=7, seconds=1.0)
_QUICK = Effort(rounds=3, seconds=0.3)


def main() -> int:
    """Measure and print; 2 for a wrong word on the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "subjects", nargs="*", metavar="SUBJECT", help=f"{' or '.join(_SUBJECTS)}; all when none is named"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON array of rows, and nothing else")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    options = parser.parse_args()
    if unknown := [subject for subject in options.subjects if subject not in _SUBJECTS]:
        parser.error(f"no such subject: {unknown[0]!r} (there are {', '.join(_SUBJECTS)})")
    rows: list[Row] = []
    for subject in options.subjects or _SUBJECTS:
        try:
            rows += _SUBJECTS[subject](_QUICK if options.quick else _FULL)
        except HostError as error:
            print(f"{subject}: not measured here: {error}", file=sys.stderr)
    if options.json:
        print(json.dumps([row._asdict() for row in rows], indent=1))
    else:
        _show(rows)
    return 0


def _show(rows: list[Row]) -> None:
    table = Table(title="Speed against a yardstick measured in the same rounds (medians)", title_justify="left")
    table.add_column("")
    table.add_column("speed", justify="right", no_wrap=True)
    table.add_column("ratio", justify="right", no_wrap=True)
    for (subject, yardstick), group in groupby(rows, key=lambda row: (row.subject, row.yardstick)):
        members = list(group)
        first = members[0]
        table.add_section()
        table.add_row(f"[bold]{subject}[/]: {yardstick}", f"{first.yardstick_figure:,.0f} {first.unit}", "1")
        for row in members:
            table.add_row(f"  {row.contestant}", f"{row.figure:,.0f} {row.unit}", f"{row.ratio:.2f}")
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
