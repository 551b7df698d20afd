"""`divertsim ipchains-save` and `divertsim ipchains-restore`: ipchains tables as text, and back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from rules.ipchains import PROFILES, Tables, restore, save
from rules.ipchains.tables import Result

__all__ = ["ipchains_restore", "ipchains_save"]

_PROFILE = click.option(
    "--profile", type=click.Choice(tuple(PROFILES)), default="linux-2.2", show_default=True, help="Kernel."
)
_Text = click.Path(exists=True, dir_okay=False, allow_dash=True)


@click.command("ipchains-save")
@click.argument("rules", type=_Text)
@click.argument("chain", required=False)
@click.option("-v", "verbose", is_flag=True, help="Tell every rule as it is saved.")
@_PROFILE
def ipchains_save(rules: str, chain: str | None, verbose: bool, profile: str) -> None:
    """Print the tables that the command file RULES makes (- for standard input) as ipchains-save would, or one CHAIN.

    RULES has one ipchains command a line, with or without the word ipchains; # starts a comment.  Unlike the old
    script this keeps the port of a DIVERT rule.  Exit status 1 when a command fails, or there is no such chain.
    """
    tables = Tables(profile)
    _carry_out(tables, rules)
    result = save(tables, chain)
    told = [line for line in result.stdout.splitlines() if verbose and line.startswith("-A")]
    _finish(Result(result.stdout, result.stderr + "".join(f"{line}\n" for line in told), result.status))


@click.command("ipchains-restore")
@click.argument("saved", type=_Text)
@click.option("--rules", type=_Text, help="Command file that makes the tables to restore upon; else they are empty.")
@click.option("-f", "flush", is_flag=True, help="Flush user chains that exist already, instead of skipping them.")
@click.option("-p", "make_targets", is_flag=True, help="Make chains that rules jump to.")
@click.option("-v", "verbose", is_flag=True, help="Tell every line as it is carried out.")
@_PROFILE
def ipchains_restore(
    saved: str, rules: str | None, flush: bool, make_targets: bool, verbose: bool, profile: str
) -> None:
    """Restore the text SAVED (- for standard input) and print the tables as ipchains commands, one a line.

    What the script tells on the way goes to standard error.  Built-in chains are not flushed, so restoring upon the
    same rules doubles them, as it always did.  Exit status 1 when a line fails.
    """
    tables = Tables(profile)
    if rules is not None:
        _carry_out(tables, rules)
    result = restore(tables, _read(saved), flush=lambda _: flush, make_targets=make_targets, verbose=verbose)
    click.echo(result.stdout, nl=False, err=True)
    lines = "".join(f"{command}\n" for command in _commands(tables)) if result.status == 0 else ""
    _finish(Result(lines, result.stderr, result.status))


def _commands(tables: Tables) -> Iterator[str]:
    """The commands that make these tables from fresh ones: policies, user chains, rules."""
    for name, chain in tables.chains.items():
        yield f"ipchains -P {name} {chain.policy.name}" if chain.policy is not None else f"ipchains -N {name}"
    for name, chain in tables.chains.items():
        for rule in chain.rules:
            yield f"ipchains {rule.command(name)}"


def _read(path: str) -> str:
    if path == "-":
        return sys.stdin.read()
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path}: {error}") from error


def _carry_out(tables: Tables, path: str) -> None:
    """Run a command file; at the first command that fails, its line and the tool's words, and exit status 1."""
    for number, line in enumerate(_read(path).splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        result = tables.execute(words[1:] if words[0] == "ipchains" else words)
        if result.status:
            click.echo(f"{path}:{number}: {' '.join(words)}\n{result.stderr}", nl=False, err=True)
            sys.exit(1)


def _finish(result: Result) -> None:
    click.echo(result.stdout, nl=False)
    click.echo(result.stderr, nl=False, err=True)
    sys.exit(result.status)
