"""The fuzzer: a short run of it on every profile, that it finds what is wrong, and that a seed says it all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fuzz import __main__ as command
from benchmarks.fuzz.episodes import Plan, run, run_episode
from simulator.ledger import Reason
from simulator.node import Node
from simulator.profiles import PROFILES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_short_run(profile: str) -> None:
    outcome = run(profile, seed=2, count=4000)
    assert not outcome.failures, "\n".join(
        f"{failure.plan.command}\n{failure.traceback}" for failure in outcome.failures
    )
    # It is no use if nothing happens.
    for what in ("transmitted", "delivered", "diverted", "injected", "merged"):
        assert outcome.packets[what] > 10, what
    assert len(outcome.dropped) > 15
    assert len(outcome.failed) > 5


def _forgetful() -> Any:
    """A drop that forgets to enter one reason into the ledger."""
    drop = Node.drop

    def forgetting(node: Node, packet: Any, reason: Reason) -> None:
        drop(node, packet, reason)
        node.ledger.dropped[reason] -= reason is Reason.BAD_CHECKSUM

    return forgetting


def test_a_fault_is_found_and_told_with_the_fewest_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Node, "drop", _forgetful())
    assert command.main(["--profile", "linux-2.2", "--steps", "800", "--seed", "3"]) == 1
    told = capsys.readouterr().err
    assert "UnexpectedError: the ledger does not balance" in told
    *_, replay = [line.strip() for line in told.splitlines() if "python -m benchmarks.fuzz" in line]
    words = replay.removeprefix("python -m benchmarks.fuzz ").split()
    only = words[words.index("--only") + 1]
    assert len(only.split(",")) <= 3
    assert command.main(words) == 1
    assert capsys.readouterr().out.splitlines()[-1].lstrip().startswith(only.split(",")[-1])
    monkeypatch.undo()
    assert command.main(words) == 0


def test_other_errors_than_those_expected_are_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr("simulator.sockets.base.QueueSocket.recvmsg", broken)
    failure, _ = run_episode(Plan("freebsd-13", 1, 1))
    assert failure is not None
    assert failure.error == "KeyError: 'oops'"


def test_the_same_seed_does_the_same_whatever_python_hashes() -> None:
    found = []
    for hashing in ("1", "2"):
        words = ["--profile", "freebsd-14", "--profile", "linux-2.0", "--steps", "1500", "--seed", "9", "--json"]
        environment = os.environ | {"PYTHONHASHSEED": hashing}
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.fuzz", *words], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        found.append([profile["digest"] for profile in json.loads(done.stdout)["profiles"]])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--profile", "plan-9"], "no such profile: 'plan-9' (there are linux-2.2,"),
        (["--steps", "0"], "at least one, not 0"),
        (["--episode", "3"], "--episode needs one --profile"),
        (["--only", "3"], "--only needs --episode"),
        (["--profile", "linux-2.2", "--episode", "1", "--only", "401"], "steps are counted from 1 to 400, not 401"),
    ],
)
def test_misuse(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(words)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
