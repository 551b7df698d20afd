"""`divertsim exec`: somebody's divert program, a Python script, against a router from a file."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from simulator.hosting.description import SHOWN, DescriptionError, load
from simulator.hosting.report import Result, as_json, as_text
from simulator.hosting.run import host
from simulator.hosting.world import World
from simulator.links.pcap import PcapWriter

__all__ = ["execute"]


@click.command(name="exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option(
    "--router",
    "description",
    type=click.Path(path_type=Path),
    help="The router and its traffic, a TOML file. Otherwise the script's name with .toml for .py.",
)
@click.option("--profile", help="Another kernel than the file says.")
@click.option("--show", multiple=True, type=click.Choice(SHOWN), help="What to show at the end; may be given again.")
@click.option(
    "-w", "pcap", type=click.Path(path_type=Path), metavar="FILE", help="Write what was sent to a capture file."
)
@click.option(
    "--json",
    "as_object",
    is_flag=True,
    help="Print one JSON object on standard output; the script's own output goes to standard error.",
)
@click.argument("script", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def execute(
    description: Path | None,
    profile: str | None,
    show: tuple[str, ...],
    pcap: Path | None,
    as_object: bool,
    script: Path,
    arguments: tuple[str, ...],
) -> None:
    """Run SCRIPT, a Python program with divert sockets, against a simulated router.

    The script is not changed. Its divert, raw and UDP sockets are the router's, ipfw or ipchains run by it change the
    router's rules, and the traffic that the file describes arrives while it waits. When that is over the script is
    interrupted as by Ctrl-C.

    The exit status is the script's own; 2 for a wrong description.
    """
    if not script.is_file():
        raise click.UsageError(f"no such script: {script}")
    if description is None:
        description = script.with_suffix(".toml")
        if not description.is_file():
            raise click.UsageError(f"there is no {description}: say --router FILE")
    try:
        loaded = load(description)
        shown = show or loaded.show
        world = World(loaded, profile=profile, traced="trace" in shown)
    except (DescriptionError, OSError) as error:
        _fail(error)

    output = os.dup(1)

    def tell(result: Result) -> None:
        if pcap is not None:
            try:
                with pcap.open("wb") as file:
                    capture = PcapWriter(file)
                    for sent in world.sent:
                        capture.write(sent.time, sent.octets)
            except OSError as error:
                _fail(error)
        text = json.dumps(as_json(result), indent=1) if as_object else as_text(result, shown)
        with os.fdopen(output, "w", encoding="utf-8") as stream:
            print(text, file=stream)

    if as_object:
        sys.stdout.flush()
        os.dup2(2, 1)
    try:
        result = host(world, str(script), arguments, tell)
    except OSError as error:  # the script cannot be read
        _fail(error)
    tell(result)
    sys.stdout.flush()
    sys.exit(result.status)


def _fail(error: Exception) -> NoReturn:
    click.echo(f"divertsim exec: {error}", err=True)
    sys.exit(2)
