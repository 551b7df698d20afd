"""`divertsim demo` in memory, and how it is called wrongly."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from simulator.cli import main


@pytest.mark.parametrize("chain", ["input", "forward", "output"])
def test_json(chain: str) -> None:
    done = CliRunner().invoke(main, ["demo", "--mode", "memory", "--json", "--count", "4", "--chain", chain])
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {
        "mode": "memory",
        "phases": [
            {"name": "reinject", "sent": 4, "replied": 4, "diverted": 8, "reinjected": 8},
            {"name": "no-listener", "sent": 4, "replied": 0, "diverted": 0, "reinjected": 0},
            {"name": "pass-through", "sent": 4, "replied": 4, "diverted": 0, "reinjected": 0},
        ],
    }


def test_each_phase_shows_the_way_of_its_packets() -> None:
    done = CliRunner().invoke(main, ["demo", "--mode", "memory", "--count", "1"])
    assert done.exit_code == 0
    _, reinject, no_listener, pass_through = done.stdout.split("Phase ")
    for word in ("received", "input", "forward", "output", "diverted", "injected", "transmitted"):
        assert word in reinject
    assert "interceptor: The packet looks like this:" in reinject
    assert "interceptor" not in no_listener.split("\n", 1)[1]
    assert "NO_LISTENER" in no_listener
    assert "icmp_seq=1 ttl=" in pass_through


@pytest.mark.parametrize(
    ("words", "repeated"),
    [
        (["--chain", "sideways"], "sideways"),
        (["--count", "0"], "0"),
        (["--count", "many"], "many"),
        (["--mode", "carrier-pigeon"], "carrier-pigeon"),
        (["extra"], "extra"),
    ],
)
def test_misuse(words: list[str], repeated: str) -> None:
    done = CliRunner().invoke(main, ["demo", *words])
    assert done.exit_code == 2
    assert repeated in done.stderr
    assert done.stdout == ""
