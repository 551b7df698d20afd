"""Fragment streams: what a Linux 2.2 host makes of packets arriving at given times.

A case has ``events`` (``at`` in seconds, ``octets`` in hex) and an ``end``.  The answers are ``results``, one for each
event and one for each expired datagram in the order in which they happen, and the ``statistics`` at the end.  Timers
due at an instant fire before a packet of the same instant.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from simulator.conformance.profiles import profile_of
from simulator.reassembly import Outcome
from simulator.reassembly_linux import LinuxReassembly

__all__ = ["canonical", "replay"]

_WORDS = {
    Outcome.PASSED: "passed",
    Outcome.HELD: "queued",
    Outcome.REASSEMBLED: "reassembled",
    Outcome.DROPPED: "failed",
}


def replay(case: Mapping[str, Any]) -> dict[str, Any]:
    """Our answers to one case: ``results`` and ``statistics``.  Recorded answers in the case are not looked at."""
    if not profile_of(case.get("profile", "linux-2.2")).startswith("linux"):
        raise ValueError(f"streams are played on Linux profiles, not on {case['profile']!r}")
    reassembly: LinuxReassembly[int] = LinuxReassembly()
    results: list[dict[str, Any]] = []
    for index, event in enumerate(case["events"]):
        results += _timeouts(reassembly, event["at"])
        result = reassembly.add(bytes.fromhex(event["octets"]), event["at"], index)
        answer: dict[str, Any] = {"event": index, "at": event["at"], "result": _WORDS[result.outcome]}
        if result.octets is not None:
            answer["octets"] = result.octets.hex()
        if result.log:
            answer["log"] = list(result.log)
        answer["memory"] = reassembly.memory
        results.append(answer)
    results += _timeouts(reassembly, case["end"])
    return {
        "results": results,
        "statistics": {
            "reqds": reassembly.requests,
            "oks": reassembly.successes,
            "fails": reassembly.failures,
            "timeouts": reassembly.timeouts,
            "mem": reassembly.memory,
        },
    }


def canonical(answers: Mapping[str, Any]) -> dict[str, Any]:
    """The answers with expiries of one instant in a fixed order, since their order means nothing."""
    results: list[dict[str, Any]] = []
    for (event, _), group in groupby(answers["results"], key=lambda result: (result["event"], result["at"])):
        same_instant = list(group)
        if event is None:
            same_instant.sort(key=lambda result: str(result["icmp"]["about"]))
        results += same_instant
    return {"results": results, "statistics": answers["statistics"]}


def _timeouts(reassembly: LinuxReassembly[int], now: float) -> list[dict[str, Any]]:
    return [
        {
            "event": None,
            "at": timeout.at,
            "result": "timeout",
            "icmp": {"type": 11, "code": 1, "about": timeout.about.hex(), "offset_zero": timeout.has_start},
        }
        for timeout in reassembly.expire(now)
    ]
