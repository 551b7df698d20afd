"""What the engine of Linux 2.2.12 and ipchains 1.3.9 answered: every packet, every counter, every printed line."""

from __future__ import annotations

from typing import Any

from recorded import cases

from simulator.conformance.ipchains import replay_commands, replay_verdicts

PACKET_INPUT = ("chain", "interface", "octets", "mark")
STEP_INPUT = ("argv", "packet", "stdout_omitted")


def only(keys: tuple[str, ...], values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key in keys}


def test_rule_sets() -> None:
    """Verdict, deciding rule, trail, TOS, checksum, mark, port, log and copies of every packet; all counters."""
    count = 0
    for case in cases("ipchains-verdicts.jsonl.gz"):
        inputs = [only(PACKET_INPUT, packet) for packet in case["packets"]]
        ours = replay_verdicts({"profile": case["profile"], "rules": case["rules"], "packets": inputs})
        for given, answer, packet in zip(inputs, ours["packets"], case["packets"], strict=True):
            assert given | answer == packet, case["name"]
            count += 1
        assert ours["counters"] == case["counters"], case["name"]
        assert list(ours["counters"]) == list(case["counters"]), case["name"]
    assert count


def test_transcripts() -> None:
    """Standard output, standard error and exit status of every command; names come from our own tables."""
    count = 0
    for case in cases("ipchains-commands.jsonl.gz"):
        inputs = [only(STEP_INPUT, step) for step in case["steps"]]
        environment = only(("environment",), case)
        ours = replay_commands({"profile": case["profile"], "steps": inputs} | environment)
        for given, answer, step in zip(inputs, ours["steps"], case["steps"], strict=True):
            wanted = {key: value for key, value in step.items() if key not in ("host", "note")}
            assert given | answer == wanted, case["name"]
            count += 1
    assert count
