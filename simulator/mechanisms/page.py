"""The comparison as tables of Markdown, for docs/mechanisms.md."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.mechanisms.questions import QUESTIONS
from simulator.mechanisms.readers import mechanisms_of
from simulator.mechanisms.sightings import sightings

__all__ = ["markdown"]


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def markdown(profile: str) -> str:
    """Two tables: what each mechanism saw of one packet, and what each can do."""
    mechanisms = mechanisms_of(profile)
    packet, seen = sightings(profile)
    sighted = [
        (
            each.mechanism,
            f"`{each.setup}`",
            "<br>".join(where for where, _ in each.seen) or "not at all",
            "<br>".join(words for _, words in each.seen),
        )
        for each in seen
    ]
    asked = []
    for question in QUESTIONS:
        answers = [question.find_out(profile, mechanism) for mechanism in mechanisms]
        asked.append(
            [f"{question.text} ({question.tried})", *(f"**{each.word}**: {each.evidence}" for each in answers)]
        )
    lines = [
        f"### {profile}",
        "",
        f"One packet, forwarded from eth0 to eth1: {packet}.",
        "",
        *_table(("mechanism", "opened by", "saw it", "as"), sighted),
        "",
        *_table(("", *(each.name for each in mechanisms)), asked),
    ]
    return "\n".join(lines) + "\n"
