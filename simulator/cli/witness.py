"""`divertsim witness`: find a packet that comes to a rule."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from rules.analysis.walk import TooManyPiecesError
from simulator.cli.linting import DEFAULT, DIALECT, RULES, read, refuse
from simulator.cli.options import INTERFACE, PROFILE
from simulator.linting.reaching import NoSuchRuleError, NoSuchVerdictError, reaching

__all__ = ["witness"]


@click.command()
@click.argument("rules", type=RULES)
@PROFILE
@INTERFACE
@DEFAULT
@DIALECT
@click.option("--reaches", required=True, metavar="RULE", help="The rule: 400, or input:3.")
@click.option("--verdict", metavar="WORDS", help="What becomes of the packet: divert, 'divert 8668', accept, deny, ...")
@click.option("--json", "as_json", is_flag=True, help="Report as one JSON object.")
def witness(
    rules: Path,
    profile: str,
    interfaces: tuple[str, ...],
    default: str | None,
    dialect: str | None,
    reaches: str,
    verdict: str | None,
    as_json: bool,
) -> None:
    """Find a packet that comes to a rule of the rule file RULES, and matches it.

    The packet is told in ipfw's words, which `divertsim check` reads, and as octets; it has been tried on the rules.
    Exit status 1 when there is none, 2 for a file or a rule that makes no sense.
    """
    if not reaches.strip():
        raise click.UsageError(f"--reaches takes a rule (400, or input:3), not {reaches!r}")
    file = read(rules, profile, interfaces, default, dialect)
    label = int(reaches) if reaches.isascii() and reaches.isdecimal() else reaches
    try:
        found = reaching(file, label, verdict)
    except NoSuchVerdictError as error:
        raise click.UsageError(f"--verdict: {error}") from None
    except NoSuchRuleError:
        refuse(f"{rules}: there is no rule {reaches}")
    except TooManyPiecesError as error:
        refuse(f"not decided: {error}")
    does = f" with {verdict}" if verdict else ""
    if found is None:
        click.echo(
            json.dumps({"witness": None}) if as_json else f"no packet comes to rule {reaches}{does} in its first pass"
        )
        sys.exit(1)
    packet, answer = found
    if as_json:
        said = {
            "witness": packet.as_json(),
            "words": packet.words,
            "outcome": " then ".join(step.outcome for step in answer.steps),
        }
        click.echo(json.dumps(said, indent=1))
        return
    click.echo(packet.words)
    for step in answer.steps:
        click.echo(f"    {step.outcome}" + (f": {step.rule_text}" if step.rule_text else ""))
    click.echo(f"    {packet.octets.hex()}")
