"""`divertsim demo`: two hosts, our router between them, and a divert socket in the router."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from simulator.live.demonstration import CHAINS, Bench, Outcome, TunBench, picture, play
from simulator.live.host import HostError, JobError
from simulator.live.simulated import MemoryBench

__all__ = ["demo"]

_STYLES = {"demo": "bold", "router": "cyan", "program": "yellow", "ping": "green"}
_SPEAKER = 7
"""Columns for who speaks."""
_INTERRUPTED = 128
"""A shell's exit status for a signal is its number and this."""


@click.command()
@click.option("--chain", type=click.Choice(CHAINS), default="output", show_default=True, help="Chain of the rule.")
@click.option("--count", type=click.IntRange(1, 1000), default=3, show_default=True, help="Echo requests a phase.")
@click.option(
    "--mode",
    type=click.Choice(("auto", "tun", "memory")),
    default="auto",
    show_default=True,
    help="Real network stacks over TUN devices, simulated hosts over memory links, or TUN if this machine lets us.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as one JSON object, and nothing else.")
def demo(chain: str, count: int, mode: str, as_json: bool) -> None:
    """Ping through a router with one rule that diverts ICMP: to a program, to nobody, and with pass-through.

    The hosts live in network namespaces of their own, so this machine's network is not touched, and nothing is left of
    them afterwards. Exit status 0 when the three phases come out as the semantics of divert sockets promise, else 1.
    """
    console = Console(highlight=False)
    with _ending_by_signal(), _failing_in_one_line():
        bench = _bench(mode)
        with nullcontext(bench) if isinstance(bench, MemoryBench) else bench:
            if as_json:
                outcomes = list(play(bench, chain, count, lambda *_: None))
                phases = [_as_json(outcome) for outcome in outcomes]
                click.echo(json.dumps({"mode": bench.mode, "phases": phases}))
            else:
                _introduce(console, bench)
                outcomes = list(play(bench, chain, count, lambda who, line: _say(console, who, line)))
                _summarize(console, outcomes)
    sys.exit(0 if all(outcome.as_promised for outcome in outcomes) else 1)


def _bench(mode: str) -> TunBench | MemoryBench:
    """Where the demonstration takes place; says in one line why, if it is not where it was meant to be."""
    if mode == "memory":
        return MemoryBench()
    try:
        return TunBench()
    except HostError as error:
        if mode == "tun":
            raise click.ClickException(str(error)) from error
        click.echo(f"On memory links with simulated hosts, because: {error}", err=True)
        return MemoryBench()


@contextmanager
def _ending_by_signal() -> Iterator[None]:
    """Ctrl-C and SIGTERM unwind the stack, so that what was made is removed; then the exit status tells the signal."""

    def end(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_IGN)  # once is enough: the way out is not to be interrupted
        sys.exit(_INTERRUPTED + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _failing_in_one_line() -> Iterator[None]:
    """A host that dies, or a ping that cannot be run, is one line on standard error and exit status 1."""
    try:
        yield
    except (HostError, JobError) as error:
        raise click.ClickException(str(error).strip().splitlines()[-1]) from error


def _introduce(console: Console, bench: Bench) -> None:
    if isinstance(bench, TunBench):
        what = f"real network stacks in namespaces, TUN devices between them and the router ({bench.privilege})"
    else:
        what = "simulated hosts and memory links"
    console.print(Text(f"{picture()}\n{what}"), soft_wrap=True)


def _say(console: Console, who: str, line: str) -> None:
    text = Text(line, _STYLES[who])
    if who == "demo":
        console.print(text)
    elif console.is_terminal:
        # A line that is too long for the terminal goes on in its own column.
        row = Table.grid(padding=(0, 1))
        row.add_column(width=_SPEAKER)
        row.add_column()
        row.add_row(who, text)
        console.print(row)
    else:
        console.print(Text(f"{who:<{_SPEAKER}} ") + text, soft_wrap=True)


def _summarize(console: Console, outcomes: list[Outcome]) -> None:
    table = Table(title="\nEcho requests, and packets of both ways at the divert socket", title_justify="left")
    table.add_column("phase")
    columns: tuple[tuple[str, Callable[[Outcome], int]], ...] = (
        ("sent", lambda outcome: outcome.sent),
        ("replied", lambda outcome: outcome.replied),
        ("diverted", lambda outcome: outcome.diverted),
        ("reinjected", lambda outcome: outcome.reinjected),
        ("lost", lambda outcome: outcome.lost),
    )
    for title, _ in columns:
        table.add_column(title, justify="right")
    table.add_column("as promised")
    for outcome in outcomes:
        numbers = (str(value(outcome)) for _, value in columns)
        table.add_row(outcome.name, *numbers, Text("yes", "green") if outcome.as_promised else Text("no", "bold red"))
    console.print(table)


def _as_json(outcome: Outcome) -> dict[str, str | int]:
    counts = {key: getattr(outcome, key) for key in ("sent", "replied", "diverted", "reinjected")}
    return {"name": outcome.name, **counts}
