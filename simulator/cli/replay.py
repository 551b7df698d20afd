"""`divertsim replay`: a capture played through a router."""

from __future__ import annotations

import io
import json
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from threading import Event

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from rules.errors import CommandError
from simulator.cli.options import INTERFACE, PROFILE, assignments
from simulator.links.captures import Captured, CaptureError, read
from simulator.links.pcapng import PcapngWriter
from simulator.profiles import LinuxProfile, read_switches
from simulator.programs.listening import Listeners, LoopError, ProgramFailedError
from simulator.programs.registry import ProgramError
from simulator.replay.player import Replay
from simulator.router import Router

__all__ = ["replay"]

_SHOWN = 10
"""Rows of each table of the summary."""


@click.command()
@click.argument("capture", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@PROFILE
@click.option("--rules", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="One command a line.")
@click.option(
    "--in",
    "arriving",
    multiple=True,
    required=True,
    metavar="NAME=ADDRESS/LENGTH",
    help="An interface by which packets of the capture arrive; may be given several times.",
)
@INTERFACE
@click.option("--route", "routes", multiple=True, metavar="PREFIX=GATEWAY|INTERFACE", help="A static route.")
@click.option("--program", "programs", multiple=True, metavar="PORT=NAME", help="A program on a divert port.")
@click.option("--switch", "switches", multiple=True, metavar="NAME=VALUE", help="A switch of the profile.")
@click.option("-w", "--write", "output", type=click.Path(dir_okay=False, path_type=Path), help="A pcapng of it all.")
@click.option("--json", "as_json", is_flag=True, help="Report as one JSON object.")
def replay(
    capture: Path,
    profile: str,
    rules: Path | None,
    arriving: tuple[str, ...],
    interfaces: tuple[str, ...],
    routes: tuple[str, ...],
    programs: tuple[str, ...],
    switches: tuple[str, ...],
    output: Path | None,
    as_json: bool,
) -> None:
    """Play CAPTURE (pcap or pcapng) through a router and say what became of its packets.

    \b
      divertsim replay lan.pcapng --profile freebsd-13 --rules rules.ipfw \\
          --in em0=192.168.1.1/24 --interface em1=203.0.113.1/24 --route 0.0.0.0/0=em1 \\
          --program 8668=passthrough -w after.pcapng

    Packets arrive at the times of the capture, on the simulated clock.  A packet arrives by the interface that has the
    name of the capture's interface, else by the one on whose network its source is, else by the first.  A program may
    have options: --program '8668=mangle --ttl 9'.

    The pcapng written with -w has every packet as it came, with what became of it as its comment, and as it left;
    interfaces have the router's names.  Exit status 0, or 2 for input that makes no sense; of a damaged capture, what
    could be read is played and reported first.
    """
    if output is not None and output.exists() and output.samefile(capture):
        raise click.UsageError(f"-w {output} is the capture itself: it would be overwritten while it is read")
    router = _router(profile, switches)
    entering = assignments(arriving, "--in", IPv4Interface)
    others = assignments(interfaces, "--interface", IPv4Interface)
    for name in entering.keys() & others.keys():
        raise click.UsageError(f"{name} is given by --in and by --interface, {entering[name]} and {others[name]}")
    for name, address in (entering | others).items():
        try:
            router.add_interface(name, address, link=Replay.away())
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    _routes(router, routes)
    if rules is not None:
        _rules(router, rules)
    said = io.StringIO()
    listeners = Listeners(router.clock, said)
    _programs(router, listeners, programs)
    with ExitStack() as stack:
        writer = PcapngWriter(stack.enter_context(output.open("wb", buffering=1 << 20))) if output else None
        player = Replay(router, listeners, entering, writer)
        interrupted = Event()
        with _interruptible(interrupted):
            damage = _play(player, capture, interrupted)
            player.finish()
    if as_json:
        report = {"capture": str(capture), **player.tally.as_json(), **player.watcher.as_json()}
        report |= {"ledger": router.ledger.as_dict(), "error": damage}
        click.echo(json.dumps(report, indent=1))
    else:
        _print(player)
        if damage:
            click.echo(f"{capture}: {damage}", err=True)
    sys.exit(130 if interrupted.is_set() else 2 if damage else 0)


def _play(player: Replay, capture: Path, interrupted: Event) -> str | None:
    """Play it all, with a bar on a terminal; what stopped it, if something did."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(capture.name, total=capture.stat().st_size)
            for packet in _every(player.play(_until(interrupted, read(capture))), 1000):
                progress.update(task, completed=packet.offset)
    except CaptureError as error:
        return str(error)
    except (LoopError, ProgramFailedError) as error:
        return str(error)
    return f"interrupted after {player.tally.packets} packets" if interrupted.is_set() else None


@contextmanager
def _interruptible(interrupted: Event) -> Iterator[None]:
    """Inside, the first Ctrl-C only says so: what is under way is finished, and what is written is whole."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number: int, frame: object) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, before)  # the second one ends it at once

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _until(interrupted: Event, packets: Iterator[Captured]) -> Iterator[Captured]:
    for packet in packets:
        if interrupted.is_set():
            return
        yield packet


def _every(packets: Iterator[Captured], count: int) -> Iterator[Captured]:
    """Each packet of that many: a bar need not move for every one."""
    for packet in packets:
        if packet.number % count == 0:
            yield packet


def _router(profile: str, switches: tuple[str, ...]) -> Router:
    texts = assignments(switches, "--switch", str)
    try:
        return Router(profile, **read_switches(profile, texts))
    except (TypeError, ValueError) as error:
        raise click.UsageError(f"--switch: {error}") from None


def _routes(router: Router, routes: tuple[str, ...]) -> None:
    for prefix, target in assignments(routes, "--route", IPv4Network, name_first=False).items():
        by_name = target in router.interfaces
        try:
            via = None if by_name else str(IPv4Address(target))
            router.add_route(prefix, via=via, interface=target if by_name else None)
        except ValueError as error:
            raise click.UsageError(f"--route {prefix}={target}: {error}") from None


def _rules(router: Router, path: Path) -> None:
    command = router.ipchains if isinstance(router.profile, LinuxProfile) else router.ipfw
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{path}: not text in UTF-8: {error.reason} at octet {error.start}") from None
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            command(line.strip())
        except CommandError as error:
            raise click.UsageError(f"{path}:{number}: {error.stderr.strip()}\n    {line.strip()}") from None
        except ValueError as error:
            raise click.UsageError(f"{path}:{number}: {error}\n    {line.strip()}") from None


def _programs(router: Router, listeners: Listeners, programs: tuple[str, ...]) -> None:
    for port, words in assignments(programs, "--program", str).items():
        if not port.isdigit():
            raise click.UsageError(f"--program takes PORT=NAME, not {port}={words}")
        try:
            name, *options = shlex.split(words)
            listeners.add(router, int(port), name, options)
        except (ProgramError, ValueError) as error:
            raise click.UsageError(f"--program {port}={words}: {error}") from None


def _print(player: Replay) -> None:
    tally, watcher = player.tally, player.watcher
    other = f", {tally.other} without IPv4" if tally.other else ""
    cut = f", {tally.cut} cut short by the capture" if tally.cut else ""
    seconds = 0.0 if tally.first is None or tally.last is None else tally.last - tally.first
    click.echo(f"{tally.packets} packets of the capture in {seconds:.3f} s: {tally.played} played{other}{cut}")
    rows: list[tuple[str, dict[str, int]]] = [("fates", watcher.fates), ("rules", watcher.rules)]
    for title, counts in rows:
        click.echo(f"\n{title}")
        _table(sorted(counts.items(), key=lambda item: -item[1]))
    click.echo("\nways")
    _table([(" > ".join(steps), count) for steps, count in watcher.paths.counts.most_common()])


def _table(rows: list[tuple[str, int]]) -> None:
    width = len(str(max((count for _, count in rows), default=0)))
    for words, count in rows[:_SHOWN]:
        click.echo(f"  {count:>{width}}  {words}")
    if not rows:
        click.echo("  none")
    if len(rows) > _SHOWN:
        click.echo(f"  and {len(rows) - _SHOWN} more (--json has all)")
