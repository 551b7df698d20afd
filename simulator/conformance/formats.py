"""The formats of case files: how each is recognised, played, and compared with what it recorded.

A case is one JSON object.  Playing it gives our answers in the very shape that the format has for answers; recorded
answers in the case, if there are any, are looked at only by the comparison.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from simulator.conformance import divert, ipchains, ipfw, reassembly

__all__ = ["FORMATS", "CaseError", "Difference", "Format", "compare", "format_of", "read"]

Case = Mapping[str, Any]
Answers = dict[str, Any]


class CaseError(Exception):
    """A case file that cannot be read or understood.  The message names the file and the line."""


class Difference(NamedTuple):
    """One place where our answer is not the recorded one."""

    place: str
    """Such as ``packets[3].verdict``."""
    recorded: Any
    ours: Any


@dataclass(frozen=True)
class Format:
    """One kind of case."""

    name: str
    recognises: Callable[[Case], bool]
    replay: Callable[[Case], Answers]
    recorded: Callable[[Case], Answers]
    """The recorded answers, in the shape of ``replay``."""
    units: Callable[[Answers], int]
    """How many answers a case has."""
    canonical: Callable[[Answers, Case], Answers] = lambda answers, _: answers
    """The answers without what must not be compared literally."""


def _without(items: list[Case], *inputs: str) -> list[Answers]:
    """The answers of packets or steps: what is not an input."""
    return [{key: value for key, value in item.items() if key not in inputs} for item in items]


def _ipchains_packets(case: Case) -> Answers:
    return {
        "packets": _without(case["packets"], "chain", "interface", "octets", "mark", "note"),
        "counters": case["counters"],
    }


def _ipchains_steps(case: Case) -> Answers:
    inputs = ("argv", "packet", "host", "note")
    return {"steps": _without(case["steps"], *inputs)}


def _ipfw_packets(case: Case) -> Answers:
    inputs = ("hook", "interface", "received_on", "octets", "reinjected", "start_after", "advance", "link", "tags")
    return {"packets": _without(case["packets"], *inputs), "counters": case["counters"], "list": case["list"]}


def _ipfw_step(step: Case) -> Answers:
    if "packet" in step:
        return {"packet": {key: step["packet"].get(key) for key in ("verdict", "decided_by")}}
    return {key: value for key, value in step.items() if key in ("stdout", "stderr", "exit")}


def _ipfw_steps(case: Case) -> Answers:
    return {"steps": [_ipfw_step(step) for step in case["steps"]]}


def _divert_replay(case: Case) -> Answers:
    results = divert.replay(case)["results"]
    return {"steps": [step | {"result": result} for step, result in zip(case["steps"], results, strict=True)]}


def _divert_steps(case: Case) -> Answers:
    return {"steps": case["steps"]}


def _divert_canonical(answers: Answers, case: Case) -> Answers:
    return divert.canonical({"results": [step["result"] for step in answers["steps"]]}, case)


def _stream(case: Case) -> Answers:
    return {"results": case["results"], "statistics": case["statistics"]}


def _is(profile: str, key: str) -> Callable[[Case], bool]:
    return lambda case: str(case.get("profile", "")).startswith(profile) and key in case


def _count(key: str) -> Callable[[Answers], int]:
    return lambda answers: len(answers[key])


FORMATS: tuple[Format, ...] = (
    Format(
        "reassembly streams",
        lambda case: "events" in case,
        reassembly.replay,
        _stream,
        _count("results"),
        lambda answers, _: reassembly.canonical(answers),
    ),
    Format(
        "divert sequences",
        lambda case: "config" in case and "steps" in case,
        _divert_replay,
        _divert_steps,
        _count("steps"),
        _divert_canonical,
    ),
    Format("ipchains packets", _is("linux", "packets"), ipchains.replay_verdicts, _ipchains_packets, _count("packets")),
    Format("ipchains commands", _is("linux", "steps"), ipchains.replay_commands, _ipchains_steps, _count("steps")),
    Format("ipfw packets", _is("", "packets"), ipfw.replay_verdicts, _ipfw_packets, _count("packets")),
    Format("ipfw commands", _is("", "steps"), ipfw.replay_commands, _ipfw_steps, _count("steps")),
)
"""The first that recognises a case is its format."""


def format_of(case: Case) -> Format:
    """:raises CaseError: when no format recognises it."""
    for each in FORMATS:
        if each.recognises(case):
            return each
    raise CaseError(f"case {case.get('name', '?')!r} is of no known format (its keys: {', '.join(case)})")


def read(path: Path) -> Iterator[Case]:
    """The cases of a ``.jsonl`` or ``.jsonl.gz`` file.  :raises CaseError: with the file and the line."""
    opened = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opened(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                case = json.loads(line)
                if not isinstance(case, dict):
                    raise CaseError(f"{path}:{number}: not a JSON object")
                yield case
    except json.JSONDecodeError as error:
        raise CaseError(f"{path}:{number}:{error.colno}: {error.msg}") from error
    except (OSError, EOFError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CaseError(f"{path}:{number + 1}: {reason}") from error


def compare(kind: Format, case: Case, ours: Answers) -> list[Difference]:
    """Every place where our answers differ from the recorded ones; an absent answer equals null."""
    return list(_differences("", kind.canonical(kind.recorded(case), case), kind.canonical(ours, case)))


def _differences(place: str, recorded: Any, ours: Any) -> Iterator[Difference]:
    if isinstance(recorded, dict) and isinstance(ours, dict):
        for key in {**recorded, **ours}:
            inner = f"{place}.{key}" if place else str(key)
            yield from _differences(inner, recorded.get(key), ours.get(key))
    elif isinstance(recorded, list) and isinstance(ours, list) and len(recorded) == len(ours):
        for index, (theirs, mine) in enumerate(zip(recorded, ours, strict=True)):
            yield from _differences(f"{place}[{index}]", theirs, mine)
    elif recorded != ours:
        yield Difference(place, recorded, ours)
