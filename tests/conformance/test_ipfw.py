"""What the real ipfw(8) and the kernel's rule engine said: every packet, every counter, every line of output."""

from __future__ import annotations

from typing import Any

import pytest
from recorded import cases

from simulator.conformance.ipfw import replay_commands, replay_verdicts

GIVEN = {"hook", "interface", "received_on", "octets", "reinjected", "start_after", "advance", "link", "tags"}
"""Keys of a packet that are input; all others are answers."""


@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_verdicts(engine: str) -> None:
    """Every answer about each packet, and the list and its counters at the end."""
    packets = 0
    for case in cases("ipfw-verdicts.jsonl.gz"):
        theirs = {
            "packets": [{key: packet[key] for key in packet.keys() - GIVEN} for packet in case["packets"]],
            "counters": case["counters"],
            "list": case["list"],
        }
        assert replay_verdicts(case, engine) == theirs, case["name"]
        packets += len(case["packets"])
    assert packets


@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_commands(engine: str) -> None:
    """Each command's standard output, standard error and exit status; each packet's verdict in between."""
    steps = 0
    for case in cases("ipfw-commands.jsonl.gz"):
        ours = replay_commands(case, engine)["steps"]
        theirs = [_answers(step) for step in case["steps"]]
        assert ours == theirs, case["name"]
        steps += len(theirs)
    assert steps


def _answers(step: dict[str, Any]) -> dict[str, Any]:
    if "argv" in step:
        return {key: step[key] for key in ("stdout", "stderr", "exit")}
    if "packet" in step:
        return {"packet": {key: step["packet"][key] for key in ("verdict", "decided_by")}}
    return {}
