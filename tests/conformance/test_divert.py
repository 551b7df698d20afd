"""What whole FreeBSD 11 and 13 hosts answered to sequences of socket calls, packets, rules and time."""

from __future__ import annotations

from typing import Any

import pytest
from recorded import cases

from simulator.conformance.divert import canonical, replay

FILES = ("divert-freebsd.jsonl.gz", "divert-freebsd11.jsonl.gz")

DIFFERING: dict[tuple[str, str], str] = {}
"""(profile, name) of a sequence that does not agree, and why.  One that starts to agree fails the test."""


def inputs(case: dict[str, Any]) -> dict[str, Any]:
    """The case without its recorded answers."""
    return case | {"steps": [{key: step[key] for key in step if key != "result"} for step in case["steps"]]}


def differing_steps(case: dict[str, Any]) -> list[str]:
    """The steps whose result is not the recorded one, with both."""
    recorded = canonical({"results": [step["result"] for step in case["steps"]]}, case)["results"]
    ours = canonical(replay(inputs(case)), case)["results"]
    return [
        f"step {number} {step['op']}: recorded {theirs}, ours {mine}"
        for number, (step, theirs, mine) in enumerate(zip(case["steps"], recorded, ours, strict=True))
        if theirs != mine
    ]


@pytest.mark.parametrize("file", FILES)
def test_sequences(file: str) -> None:
    """Every result of every step, events and counters included; only what is not to be compared is masked."""
    differences = {}
    agreeing = set()
    for case in cases(file):
        key = (case["profile"], case["name"])
        found = differing_steps(case)
        if not found:
            agreeing.add(key)
        elif key not in DIFFERING:
            differences[key] = found[0]
    assert not differences
    assert agreeing
    assert not agreeing & DIFFERING.keys(), "listed as differing, but agrees now"


def test_masking_keeps_the_rest() -> None:
    """Only checksums, the chosen port and mbuf memory are masked."""
    case = {
        "steps": [
            {"op": "bind", "sock": "d", "addr": "10020000" + "00" * 12},
            {"op": "getsockname", "sock": "d"},
            {"op": "sockinfo", "sock": "d"},
            {"op": "recv", "sock": "d"},
            {"op": "rx"},
        ]
    }
    packet = "45000014" + "00" * 6 + "abcd" + "00" * 8
    outgoing = "1002640000000000" + "00" * 8
    results = [
        {"errno": None},
        {"errno": None, "addr": "1002dead" + "00" * 12},
        {"errno": None, "cc": 1, "mbcnt": 2},
        {"errno": None, "hex": packet, "addr": outgoing},
        {"errno": None, "events": [{"ev": "local", "hex": packet}, {"ev": "tx", "hex": packet}]},
    ]
    masked = canonical({"results": results}, case)["results"]
    hidden = packet[:20] + "...." + packet[24:]
    assert masked == [
        {"errno": None},
        {"errno": None, "addr": "1002port" + "00" * 12},
        {"errno": None, "cc": 1},
        {"errno": None, "hex": hidden, "addr": outgoing},
        {"errno": None, "events": [{"ev": "local", "hex": hidden}, {"ev": "tx", "hex": packet}]},
    ]
