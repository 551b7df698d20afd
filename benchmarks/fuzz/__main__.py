"""`python -m benchmarks.fuzz`: random reads, writes, rule changes and packets on every profile.

After each step the router's ledger must balance, and nothing may be raised but an OSError that a program would expect
there.  The same seed does the same.  Exit status 0: nothing found, 1: something failed, 2: misuse.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks.fuzz.episodes import STEPS, Failure, Outcome, Plan, run, run_episode
from simulator.profiles import PROFILES


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and tell."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--profile", action="append", metavar="NAME", help="only this one; may be given again")
    parser.add_argument("--steps", type=_positive, default=1_000_000, help="steps on each profile, default 1,000,000")
    parser.add_argument("--seed", type=int, default=0, help="another number does other things, default 0")
    parser.add_argument("--episode", type=int, metavar="N", help="one episode of one profile, step by step")
    parser.add_argument("--only", type=_numbers, metavar="N,N,...", help="with --episode: these steps of it alone")
    parser.add_argument("--json", action="store_true", help="print one JSON object, and nothing else")
    options = parser.parse_args(arguments)
    profiles = options.profile or list(PROFILES)
    for name in profiles:
        if name not in PROFILES:
            parser.error(f"no such profile: {name!r} (there are {', '.join(PROFILES)})")
    if options.episode is None:
        if options.only is not None:
            parser.error("--only needs --episode")
        return _run(profiles, options.seed, options.steps, options.json)
    if len(profiles) != 1 or options.profile is None:
        parser.error("--episode needs one --profile")
    if options.episode < 0:
        parser.error(f"episodes are counted from 0: {options.episode}")
    return _replay(Plan(profiles[0], options.seed, options.episode, options.only), options.json)


def _positive(text: str) -> int:
    number = int(text.replace(",", "").replace("_", ""))
    if number <= 0:
        raise argparse.ArgumentTypeError(f"at least one, not {text}")
    return number


def _numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(int(word) for word in text.split(","))
    for number in numbers:
        if not 1 <= number <= STEPS:
            raise argparse.ArgumentTypeError(f"steps are counted from 1 to {STEPS}, not {number}")
    return numbers


def _run(profiles: list[str], seed: int, count: int, as_json: bool) -> int:
    console = Console(stderr=True)
    outcomes = []
    start = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        for profile in profiles:
            task = bar.add_task(profile, total=count)
            outcomes.append(run(profile, seed, count, lambda steps, task=task: bar.advance(task, steps)))
            bar.remove_task(task)
            for failure in outcomes[-1].failures:
                _tell(failure)
    if as_json:
        seconds = round(time.monotonic() - start, 1)
        found = {"seed": seed, "seconds": seconds, "profiles": [outcome.as_dict() for outcome in outcomes]}
        print(json.dumps(found, indent=1))
    else:
        _show(outcomes)
    return 1 if any(outcome.failures for outcome in outcomes) else 0


def _tell(failure: Failure) -> None:
    """A failure, on standard error: where it failed, what raised, and how to see it again."""
    plan = failure.plan
    where = f"step {failure.step}" if failure.step else "the end"
    print(f"\n{plan.profile}, seed {plan.seed}, episode {plan.episode}, at {where}:", file=sys.stderr)
    print(failure.traceback, file=sys.stderr)
    print(f"To repeat it:\n  {plan.command}\n", file=sys.stderr, flush=True)


def _show(outcomes: list[Outcome]) -> None:
    table = Table(title="Steps after each of which the ledger balanced", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("profile", no_wrap=True)
    columns = ("steps", "received", "diverted", "injected", "errors", "failures")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for outcome in outcomes:
        figures = {**outcome.packets, "steps": outcome.steps}
        figures |= {"errors": outcome.failed.total(), "failures": len(outcome.failures)}
        table.add_row(outcome.profile, *(f"{figures.get(column, 0):,}" for column in columns))
    Console().print(table)


def _replay(plan: Plan, as_json: bool) -> int:
    chosen, drawn = plan.drawn()
    if not as_json:
        print(f"Router({plan.profile!r}, {', '.join(f'{name}={value!r}' for name, value in chosen.items())})")
    failure, machine = run_episode(plan)
    if as_json:
        steps = [{"step": number, "does": str(step)} for number, step in drawn]
        told = None if failure is None else {"step": failure.step, "error": failure.error}
        print(json.dumps({"profile": plan.profile, "switches": chosen, "steps": steps, "failure": told}, indent=1))
        return 0 if failure is None else 1
    for number, step in drawn:
        print(f"{number:4} {step}")
        if failure is not None and number == failure.step:
            break
    if failure is None:
        print(machine.router.ledger)
        return 0
    print(failure.traceback, file=sys.stderr)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
