"""`divertsim compare`: what the ways to get at packets see and can do, by trying each of them."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from simulator.mechanisms import QUESTIONS, Answer, Mechanism, Question, ask, mechanisms_of, sightings
from simulator.mechanisms.page import markdown
from simulator.profiles import PROFILES

__all__ = ["compare"]

_STYLES = {"yes": "green", "no": "red", "-": "dim"}


@click.command()
@click.option(
    "--profile", type=click.Choice(list(PROFILES)), default="linux-2.2", show_default=True, help="The kernel."
)
@click.option("--evidence", is_flag=True, help="Say in each cell what happened when it was tried.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the tables as they stand in docs/mechanisms.md.")
def compare(profile: str, evidence: bool, as_json: bool, as_markdown: bool) -> None:
    """Compare packet taps, raw sockets, netlink copies, tee and divert sockets.

    Every mechanism that the kernel has is opened on a router of its own, meets the same packets, and tries the same
    things; the answers are what came of it.  The comparison is that of the Divert Sockets mini-HOWTO, section 6.1.
    """
    if as_json and as_markdown:
        raise click.UsageError("--json and --markdown exclude each other")
    if as_markdown:
        click.echo(markdown(profile), nl=False)
        return
    answers = {mechanism: ask(profile, mechanism) for mechanism in mechanisms_of(profile)}
    if as_json:
        click.echo(json.dumps(_as_json(profile, answers), indent=1))
        return
    console = Console(highlight=False)
    _show_packet(console, profile)
    _show_answers(console, profile, answers, evidence=evidence)


def _as_json(profile: str, answers: dict[Mechanism, list[tuple[Question, Answer]]]) -> dict[str, Any]:
    packet, seen = sightings(profile)
    found = []
    for index, question in enumerate(QUESTIONS):
        cells = {mechanism.name: rows[index][1] for mechanism, rows in answers.items()}
        told = {name: {"answer": cell.yes, "evidence": cell.evidence} for name, cell in cells.items()}
        found.append({"question": question.text, "tried": question.tried, "answers": told})
    sighted = [
        {
            "mechanism": each.mechanism,
            "setup": each.setup,
            "seen": [{"where": where, "packet": words} for where, words in each.seen],
        }
        for each in seen
    ]
    return {"profile": profile, "packet": packet, "sightings": sighted, "questions": found}


def _show_packet(console: Console, profile: str) -> None:
    packet, seen = sightings(profile)
    table = Table(title=f"One packet comes in by eth0 and leaves by eth1 ({profile}): {packet}", title_justify="left")
    for name in ("mechanism", "opened by", "saw it", "as"):
        table.add_column(name)
    for each in seen:
        for number, (where, words) in enumerate(each.seen or [("not at all", "")]):
            first = number == 0
            header = words.partition(", ")[2]  # what does not change on the way is said in the title
            table.add_row(each.mechanism if first else "", Text(each.setup if first else ""), where, header)
    console.print(table)


def _show_answers(
    console: Console, profile: str, answers: dict[Mechanism, list[tuple[Question, Answer]]], *, evidence: bool
) -> None:
    table = Table(title="\nWhat each can do, tried", title_justify="left", show_lines=evidence)
    table.add_column("")
    for mechanism in answers:
        table.add_column(mechanism.name)
    for index, question in enumerate(QUESTIONS):
        cells = [rows[index][1] for rows in answers.values()]
        table.add_row(question.text, *(_cell(each, evidence=evidence) for each in cells))
    console.print(table)
    console.print("yes and no are what happened; - means that there was no way to try.  --evidence tells more.")


def _cell(answer: Answer, *, evidence: bool) -> Text:
    cell = Text(answer.word, _STYLES[answer.word])
    return cell + Text(f": {answer.evidence}", "default") if evidence else cell
