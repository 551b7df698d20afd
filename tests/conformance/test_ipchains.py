"""What the engine of Linux 2.2.12 and ipchains 1.3.9 answered: every packet, every counter, every printed line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from recorded import CORPUS, cases

from rules.addresses import dotted
from rules.fields import TCP, UDP
from rules.ipchains import Names
from simulator.conformance.ipchains import replay_commands, replay_verdicts

PACKET_INPUT = ("chain", "interface", "octets", "mark")
STEP_INPUT = ("argv", "packet", "stdout_omitted")


def only(keys: tuple[str, ...], values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key in keys}


@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_rule_sets(engine: str) -> None:
    """Verdict, deciding rule, trail, TOS, checksum, mark, port, log and copies of every packet; all counters."""
    count = 0
    for case in cases("ipchains-verdicts.jsonl.gz"):
        inputs = [only(PACKET_INPUT, packet) for packet in case["packets"]]
        ours = replay_verdicts({"profile": case["profile"], "rules": case["rules"], "packets": inputs}, engine)
        for given, answer, packet in zip(inputs, ours["packets"], case["packets"], strict=True):
            assert given | answer == packet, case["name"]
            count += 1
        assert ours["counters"] == case["counters"], case["name"]
        assert list(ours["counters"]) == list(case["counters"]), case["name"]
    assert count


def test_names() -> None:
    """The names that the transcripts use mean the same in our own tables, and are shown the same."""
    path = CORPUS / "host-names.json"
    if not path.exists():
        pytest.skip(f"no recorded names at {path}")
    recorded = json.loads(path.read_text(encoding="utf-8"))
    names = Names.standard()
    for name, address in (recorded["hosts"] | recorded["networks"]).items():
        assert [dotted(found) for found in names.host_or_network(name)] == [address]
    for name, number in recorded["protocols"].items():
        assert names.protocol_numbers[name] == number
    for number, name in recorded["protocol_shown_as"].items():
        assert names.protocol_names[int(number)] == name
    for transport, protocol in (("tcp", TCP), ("udp", UDP)):
        for name, port in recorded["services"][transport].items():
            assert names.port(name, protocol) == port
        for port, name in recorded["service_shown_as"][transport].items():
            assert names.service(int(port), protocol) == name


@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_transcripts(engine: str) -> None:
    """Standard output, standard error and exit status of every command; names come from our own tables."""
    count = 0
    for case in cases("ipchains-commands.jsonl.gz"):
        inputs = [only(STEP_INPUT, step) for step in case["steps"]]
        environment = only(("environment",), case)
        ours = replay_commands({"profile": case["profile"], "steps": inputs} | environment, engine)
        for given, answer, step in zip(inputs, ours["steps"], case["steps"], strict=True):
            wanted = {key: value for key, value in step.items() if key not in ("host", "note")}
            assert given | answer == wanted, case["name"]
            count += 1
    assert count
