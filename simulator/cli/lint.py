"""`divertsim lint`: what is wrong, or odd, with a rule file, said of all packets at once."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import click

from rules.analysis.findings import Kind
from simulator.cli.linting import DEFAULT, DIALECT, RULES, read
from simulator.cli.options import INTERFACE, PROFILE
from simulator.linting.lint import Report
from simulator.linting.lint import lint as run
from simulator.linting.sarif import sarif

__all__ = ["lint"]


def _kinds(text: str | None, option: str) -> frozenset[Kind]:
    found = set()
    for word in (text or "").split(","):
        if not word.strip():
            continue
        try:
            found.add(Kind(word.strip()))
        except ValueError:
            names = ", ".join(kind.value for kind in Kind)
            raise click.UsageError(f"{option}: no kind {word.strip()!r} (there are {names})") from None
    if text is not None and not found:
        raise click.UsageError(f"{option} takes KIND,..., not {text!r}")
    return frozenset(found)


@click.command()
@click.argument("rules", type=RULES)
@PROFILE
@INTERFACE
@DEFAULT
@DIALECT
@click.option("--tag", type=click.IntRange(0, 65535), help="Divert programs write with this tag, not the one they got.")
@click.option("--only", metavar="KIND,...", help="Tell only these kinds of findings.")
@click.option("--ignore", metavar="KIND,...", help="Do not tell these.")
@click.option("--json", "as_json", is_flag=True, help="Report as one JSON object.")
@click.option("--sarif", "sarif_file", type=click.Path(dir_okay=False, path_type=Path), help="Write SARIF 2.1.0 too.")
def lint(
    rules: Path,
    profile: str,
    interfaces: tuple[str, ...],
    default: str | None,
    dialect: str | None,
    tag: int | None,
    only: str | None,
    ignore: str | None,
    as_json: bool,
    sarif_file: Path | None,
) -> None:
    """What is wrong, or odd, with the rule file RULES, said of all packets at once, with packets that show it.

    RULES has one command a line, with or without the word `ipfw` or `ipchains`; `-` is standard input.
    The kinds of findings:

    \b
      never-matches, shadowed, redundant, unreached-divert, diverted-twice, divert-loop, fragments-lost,
      fragments-slip, missing-target, unreachable-chain, looping-chain, profile-dependent

    Where state, chance, routes or owners decide, nothing is claimed.  Exit status 0 when nothing is found, 1 when
    something is, 2 for a file that makes no sense.
    """
    kinds = (_kinds(only, "--only") or frozenset(Kind)) - _kinds(ignore, "--ignore")
    if not kinds:
        raise click.UsageError(f"--only {only} and --ignore {ignore} leave no kind")
    report = run(read(rules, profile, interfaces, default, dialect), tag=tag, kinds=kinds)
    if sarif_file is not None:
        made = json.dumps(sarif(report, rules, version("divertsim")), indent=1)
        try:
            sarif_file.write_text(made + "\n", encoding="utf-8")
        except OSError as error:
            raise click.UsageError(f"--sarif {sarif_file}: {error.strerror}") from None
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=1))
    else:
        _print(report, rules)
    sys.exit(1 if report.found else 0)


def _print(report: Report, path: Path) -> None:
    for each in report.found:
        where = f"{path}:{each.line}" if each.line else str(path)
        what = "chain" if each.kind is Kind.UNREACHABLE_CHAIN else "rule"
        click.echo(f"{where}: {each.kind.value}: {what} {each.rule}: {each.reason}")
        if each.packet is not None:
            click.echo(f"    {each.packet.words}")
    for rule, reason in report.undecided:
        click.echo(f"{path}: not decided: rule {rule}: {reason}")
    if not report.found:
        click.echo(f"{path}: nothing found")
