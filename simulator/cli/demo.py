"""`divertsim demo`: two hosts, our router between them, and a divert socket in the router."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console
from rich.table import Table
from rich.text import Text

from simulator.live.demonstration import CHAINS, Bench, Outcome, TunBench, picture, play
from simulator.live.host import HostError, JobError
from simulator.live.lessons import Taught, is_linux, lesson_for, run
from simulator.live.simulated import MemoryBench
from simulator.profiles import PROFILES
from simulator.programs.registry import ProgramError, find

__all__ = ["demo"]

_STYLES = {"demo": "bold", "router": "cyan", "program": "yellow", "ping": "green", "tcp": "green"}
_SPEAKER = 7
"""Columns for who speaks."""
_INTERRUPTED = 128
"""A shell's exit status for a signal is its number and this."""


@click.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.option("--program", metavar="NAME", help="Show this divert program at work instead: divertsim programs.")
@click.option("--profile", type=click.Choice(list(PROFILES)), help="With --program: the kernel of the router.")
@click.option(
    "--chain", type=click.Choice(CHAINS), default="output", show_default=True, help="Chain of the rule (Linux)."
)
@click.option("--count", type=click.IntRange(1, 1000), default=3, show_default=True, help="Echo requests a phase.")
@click.option(
    "--mode",
    type=click.Choice(("auto", "tun", "memory")),
    default="auto",
    show_default=True,
    help="Real network stacks over TUN devices, simulated hosts over memory links, or TUN if this machine lets us.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as one JSON object, and nothing else.")
@click.option("-h", "--help", "as_help", is_flag=True, help="Show this message, and the options of the program.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF THE PROGRAM]")
@click.pass_context
def demo(
    context: click.Context,
    program: str | None,
    profile: str | None,
    chain: str,
    count: int,
    mode: str,
    as_json: bool,
    as_help: bool,
    words: tuple[str, ...],
) -> None:
    """Ping through a router with one rule that diverts ICMP: to a program, to nobody, and with pass-through.

    The hosts live in network namespaces of their own, so this machine's network is not touched, and nothing is left of
    them afterwards. Exit status 0 when the three phases come out as the semantics of divert sockets promise, else 1.

    With --program a divert program is shown with traffic that suits it, and what it changes in each packet; options
    that are not listed here are the program's own, such as in `divertsim demo --program mangle --ttl 42`.
    """
    try:
        entry = None if program is None else find(program)
        if as_help:
            click.echo(context.get_help())
            if entry is not None:
                click.echo(f"\n{entry.name}: {entry.summary}\n{entry.options_text()}".rstrip())
            return
        if entry is not None:
            entry.parser().parse_args(list(words or lesson_for(entry.name).options))
    except ProgramError as error:
        raise click.UsageError(str(error)) from error
    if entry is None:
        _refuse(context, words, profile)
    elif profile is not None and not is_linux(profile) and not _is_default(context, "chain"):
        raise click.UsageError(f"--chain is for Linux: {profile} has none")
    console = Console(highlight=False)
    with _ending_by_signal(), _failing_in_one_line():
        bench = _bench(mode)
        with nullcontext(bench) if isinstance(bench, MemoryBench) else bench:
            if entry is not None:
                sys.exit(_teach(console, bench, entry.name, words, profile, chain, count, as_json))
            if as_json:
                outcomes = list(play(bench, chain, count, lambda *_: None))
                phases = [_as_json(outcome) for outcome in outcomes]
                click.echo(json.dumps({"mode": bench.mode, "phases": phases}))
            else:
                _introduce(console, bench)
                outcomes = list(play(bench, chain, count, lambda who, line: _say(console, who, line)))
                _summarize(console, outcomes)
    sys.exit(0 if all(outcome.as_promised for outcome in outcomes) else 1)


def _is_default(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.DEFAULT


def _refuse(context: click.Context, words: tuple[str, ...], profile: str | None) -> None:
    """What has no meaning without a program."""
    if words and words[0].startswith("-"):
        raise click.NoSuchOption(words[0], ctx=context)
    if words:
        raise click.UsageError(f"Got unexpected extra argument ({words[0]})")
    if profile is not None:
        raise click.UsageError("--profile is for --program: the three phases are those of linux-2.2")


def _teach(
    console: Console,
    bench: TunBench | MemoryBench,
    program: str,
    words: tuple[str, ...],
    profile: str | None,
    chain: str,
    count: int,
    as_json: bool,
) -> int:
    """Show a program; the exit status."""
    lesson = partial(run, bench, program, words, profile=profile, chain=chain, count=count)
    try:
        if as_json:
            taught = lesson(say=lambda *_: None)
            click.echo(json.dumps({"mode": bench.mode, **taught._asdict()}))
        else:
            _introduce(console, bench)
            taught = lesson(say=lambda who, line: _say(console, who, line))
            _sum_up(console, taught)
    except ProgramError as error:
        raise click.UsageError(str(error)) from error
    return 1 if taught.as_promised is False else 0


def _sum_up(console: Console, taught: Taught) -> None:
    what = "echo request" if taught.traffic == "ping" else "connection"
    counts = f"{_many(taught.sent, what)}, {taught.replied} answered; {_many(taught.diverted, 'packet')} diverted"
    console.print(f"\n{counts}, {taught.reinjected} written back", soft_wrap=True)
    if taught.as_promised is False:
        console.print(Text("not as promised", "bold red"))


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


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
        console.print(text, soft_wrap=not console.is_terminal)
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
