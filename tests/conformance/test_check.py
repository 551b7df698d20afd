"""`divertsim check` asked about recorded packets, as JSON objects with the keys of the recordings: a sample."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

from simulator.checking.checker import Checker, checker_for
from simulator.checking.questions import read_line
from tests.conformance.recorded import cases

_KEYS = {"hook", "chain", "interface", "received_on", "octets", "mark", "reinjected", "start_after", "advance"}
_KEYS |= {"link", "tags"}


def answers(checker: Checker, case: dict[str, Any]) -> list[tuple[object, object]]:
    found = []
    for command in case["rules"]:
        checker.command(command)
    for packet in case["packets"]:
        given = {key: value for key, value in packet.items() if key in _KEYS}
        details = checker.ask(read_line(json.dumps(given), checker.verdicts)).details
        found.append((details["verdict"], details["decided_by"]))
    return found


def wanted(case: dict[str, Any]) -> list[tuple[object, object]]:
    return [(packet["verdict"], packet["decided_by"]) for packet in case["packets"]]


def test_ipfw() -> None:
    for case in islice(cases("ipfw-verdicts.jsonl.gz"), 0, None, 12):
        default = "deny" if case["default"] == "deny" else "allow"
        routes = dict(case["routes"])
        checker = checker_for("freebsd-10", case["interfaces"], routes, default=default)
        assert answers(checker, case) == wanted(case), case["name"]


def test_ipchains() -> None:
    for case in islice(cases("ipchains-verdicts.jsonl.gz"), 0, None, 8):
        assert answers(checker_for("linux-2.2", {}, {}), case) == wanted(case), case["name"]
