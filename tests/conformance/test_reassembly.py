"""What running kernels made of fragments: Linux 2.2.12 of whole streams, FreeBSD 11 and 13 of what arrived for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from recorded import cases

from simulator.conformance.reassembly import canonical, replay
from simulator.fragments import BSD, FREEBSD_5, FREEBSD_13, BsdPolicy, BsdReassembly, fragment

DIVERT = {"divert-freebsd.jsonl.gz": FREEBSD_13, "divert-freebsd11.jsonl.gz": FREEBSD_5}
COUNTERS = ("fragments", "fragdropped", "fragtimeout", "toosmall", "toolong", "reassembled")


def test_linux_streams() -> None:
    """Results, octets, messages, memory, expiries and statistics of every stream."""
    count = 0
    for case in cases("reassembly-linux-2.2.jsonl.gz"):
        answers = replay({"events": case["events"], "end": case["end"]})
        assert canonical(answers) == canonical(case), case["name"]
        count += 1
    assert count


def is_fragment(octets: bytes) -> bool:
    return len(octets) >= 20 and octets[0] >> 4 == 4 and bool(octets[6] & 0x3F or octets[7])


def without_checksum_and_ttl(octets: bytes) -> bytes:
    return octets[:8] + octets[9:10] + octets[12:]


@pytest.mark.parametrize("name", DIVERT)
def test_freebsd_fragments_received(name: str) -> None:
    """Sequences in which every fragment that arrived went into the queues, and nothing else did: all counters agree
    at the end, and every datagram that we put together was delivered or read from a divert socket."""
    compared = reassembled = 0
    for case in cases(name):
        ours, datagrams, received, counters = received_fragments(case["steps"], DIVERT[name])
        queued = sum(counters.get(counter, 0) for counter in ("fragments", "toosmall", "toolong"))
        if not received or queued != received:
            continue
        theirs = {counter: counters.get(counter, 0) for counter in COUNTERS}
        assert {counter: getattr(ours, counter) for counter in COUNTERS} == theirs, case["name"]
        seen = {without_checksum_and_ttl(octets) for octets in seen_octets(case["steps"])}
        assert {without_checksum_and_ttl(octets) for octets in datagrams} <= seen, case["name"]
        compared += 1
        reassembled += len(datagrams)
    assert compared
    assert reassembled


def received_fragments(
    steps: list[dict[str, Any]], policy: BsdPolicy
) -> tuple[BsdReassembly[int], list[bytes], int, dict[str, int]]:
    """Our reassembly and its datagrams at the last look at the counters; how many fragments arrived; the counters."""
    last_look = max((index for index, step in enumerate(steps) if step["op"] == "stats"), default=-1)
    reassembly: BsdReassembly[int] = BsdReassembly(policy)
    datagrams: list[bytes] = []
    received, now = 0, 0.0
    for index, step in enumerate(steps[: last_look + 1]):
        if step["op"] == "time":
            now += step["ms"] / 1000
            reassembly.expire(now)
        elif step["op"] == "rx" and is_fragment(octets := bytes.fromhex(step["hex"])):
            received += 1
            result = reassembly.add(octets, now, index)
            if result.octets is not None:
                datagrams.append(result.octets)
    counters: dict[str, int] = steps[last_look]["result"]["ip"] if last_look >= 0 else {}
    return reassembly, datagrams, received, counters


def seen_octets(steps: list[dict[str, Any]]) -> Iterator[bytes]:
    """Everything that was handed on: to an interface, a protocol, or a reader of a socket."""
    for step in steps:
        for event in step["result"].get("events", ()):
            yield bytes.fromhex(event["hex"])
        if step["op"] == "recv" and "hex" in step["result"]:
            yield bytes.fromhex(step["result"]["hex"])


@pytest.mark.parametrize("name", DIVERT)
def test_freebsd_fragments_sent(name: str) -> None:
    """A datagram that left in several pieces is cut by us at the same places, with the same headers."""
    compared = 0
    for case in cases(name):
        mtus = {interface["name"]: interface["mtu"] for interface in case["config"]["interfaces"]}
        for step in case["steps"]:
            if step["op"] not in ("send", "tx", "rx"):
                continue
            whole = bytes.fromhex(step["hex"])
            events = [event for event in step["result"].get("events", ()) if event["ev"] == "tx"]
            sent = [(event["if"], bytes.fromhex(event["hex"])) for event in events]
            sent = [(name, octets) for name, octets in sent if way(octets) == way(whole)]
            if len(sent) < 2 or len(whole) <= mtus[sent[0][0]]:
                continue
            pieces = fragment(whole, mtus[sent[0][0]], style=BSD)
            assert [comparable(piece) for piece in pieces] == [comparable(octets) for _, octets in sent], case["name"]
            compared += 1
    assert compared


def way(octets: bytes) -> bytes:
    """Protocol and addresses."""
    return octets[9:10] + octets[12:20]


def comparable(octets: bytes) -> bytes:
    """Without identification, TTL and checksum, in which the way through the host shows."""
    return octets[:4] + octets[6:8] + octets[9:10] + octets[12:]
