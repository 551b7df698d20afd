"""`divertsim check` and `divertsim explain`: what a rule file would do to packets, and why."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any, NoReturn

import click

from simulator.checking.checker import Answer, Checker, checker_for
from simulator.checking.loading import RuleFileError, load
from simulator.checking.questions import Question, QuestionError, read, read_line
from simulator.cli.options import INTERFACE, PROFILE, assignments
from simulator.profiles import PROFILES, LinuxProfile

__all__ = ["check", "explain"]

_COMMON = (
    click.argument("rules", type=click.Path(exists=True, dir_okay=False, path_type=Path)),
    click.argument("packets", type=str),
    PROFILE,
    INTERFACE,
    click.option("--route", "routes", multiple=True, metavar="PREFIX=INTERFACE", help="A route (for verrevpath)."),
    click.option("--default", type=click.Choice(["deny", "allow"]), help="What ipfw's rule 65535 does (deny)."),
    click.option(
        "--ipfw-dialect",
        "dialect",
        type=click.Choice(["ipfw1", "ipfw2"]),
        help="Which rule language freebsd-4 speaks (ipfw1).",
    ),
    click.option("--json", "as_json", is_flag=True, help="Report as one JSON object."),
)


def _common(command: Any) -> Any:
    for decorate in reversed(_COMMON):
        command = decorate(command)
    return command


@click.command()
@_common
@click.option("--explain", "why", is_flag=True, help="Say why the other rules did not match.")
def check(*, why: bool, **asked: Any) -> None:
    """What the rule file RULES would do to PACKETS, and which rule decides.

    RULES has one command a line, with or without the word `ipfw` or `ipchains`.  PACKETS is a file of packets, one a
    line, or one packet itself:

    \b
      tcp from 192.0.2.1 1234 to 10.0.0.1 80 in via em0     in ipfw's words
      IP(src="192.0.2.1", dst="10.0.0.1")/ICMP()            as scapy writes it
      {"octets": "4500...", "hook": "in", "interface": "em0"}

    Behind `=>` a line may say what should happen: `=> deny`, `=> divert 8668 by 100`.  A packet that says no direction
    is on its way in; one that says no interface is at the one whose network it comes from or goes to.  Packets are
    asked about in order, and dynamic state lives on from one to the next.  Exit status 1 when a packet does not meet
    what its line says, 2 for a file that makes no sense, such as a verdict that there is not.
    """
    _answer(why=why, **asked)


@click.command()
@_common
def explain(**asked: Any) -> None:
    """Why the rule file RULES does to PACKETS what it does: `divertsim check --explain`."""
    _answer(why=True, **asked)


def _answer(
    *,
    rules: Path,
    packets: str,
    profile: str,
    interfaces: tuple[str, ...],
    routes: tuple[str, ...],
    default: str | None,
    dialect: str | None,
    as_json: bool,
    why: bool,
) -> None:
    if default is not None and isinstance(PROFILES[profile], LinuxProfile):
        raise click.UsageError(f"{profile} has no rule 65535: set policies with 'ipchains -P' in {rules}")
    if dialect is not None and isinstance(PROFILES[profile], LinuxProfile):
        raise click.UsageError(f"{profile} has no ipfw")
    named = assignments(interfaces, "--interface", IPv4Interface)
    networks = assignments(routes, "--route", IPv4Network, name_first=False)
    try:
        checker = checker_for(profile, named, networks, default=default, dialect=dialect)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    _load(checker, rules)
    questions = list(_questions(packets, checker.verdicts))
    answers = [checker.ask(question) for question in questions]
    if as_json:
        click.echo(json.dumps({"profile": profile, "packets": [answer.as_json() for answer in answers]}, indent=1))
    else:
        for answer in answers:
            _print(answer, why=why)
    failed = sum(not answer.as_expected for answer in answers)
    if failed and not as_json:
        click.echo(f"{failed} of {len(answers)} packets did not meet what their lines say")
    sys.exit(1 if failed else 0)


def _load(checker: Checker, path: Path) -> None:
    """Run a rule file; the first line that the tool refuses ends everything, in the tool's words and its place."""
    try:
        load(checker, _text(path))
    except RuleFileError as error:
        _refuse(error.said(str(path)))


def _questions(packets: str, verdicts: Mapping[str, str]) -> Iterator[Question]:
    """The packets of a file; of what is no file, the packet that the words say."""
    path = Path(packets)
    is_file = len(packets) < 256 and path.is_file()
    text = _text(path) if is_file else packets
    try:
        yield from read(text, verdicts) if is_file else [read_line(text, verdicts)]
    except QuestionError as error:
        line = text.splitlines()[error.line - 1] if text.splitlines() else ""
        where = (
            f"{path}:{error.line}:{error.column}" if is_file else f"PACKETS (no such file, so a packet):{error.column}"
        )
        _refuse(f"{where}: {error.text}\n    {line}\n    {' ' * (error.column - 1)}^")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        _refuse(f"{path}: not text in UTF-8: {error.reason} at octet {error.start}")


def _refuse(text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(2)


def _print(answer: Answer, *, why: bool) -> None:
    where = f"{answer.hook} {answer.interface}"
    click.echo(f"{answer.question.words}   [{where}]")
    if why:
        steps = len(answer.steps)
        for number, line in enumerate(answer.explanation):
            click.echo(f"    {'  ' if number >= steps else 'then ' if number else ''}{line}")
    else:
        reply = answer.details.get("reply")
        for step in answer.steps:
            answers = f" (answers {reply})" if reply and step is answer.steps[-1] else ""
            text = f": {step.rule_text}" if step.rule_text else ""
            click.echo(f"    {'then ' * (step is not answer.steps[0])}{step.said}{answers}{text}")
    if not answer.as_expected:
        click.echo(f"    EXPECTED {answer.question.expected}")
