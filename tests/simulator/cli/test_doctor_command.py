"""What `divertsim doctor` prints of what it found, and its exit status."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import simulator.cli.doctor
from simulator.cli import main
from simulator.live.diagnosis import Check, State, examine

GOOD = Check("Python", State.OK, "3.11")
OPTIONAL = Check("ping", State.OPTIONAL, "none")
MISSING = Check("python-pytun", State.MISSING, "not there", "pip install 'divertsim[lab]'")


@pytest.mark.parametrize(
    ("checks", "status", "mode"),
    [([GOOD, OPTIONAL], 0, "tun"), ([GOOD, MISSING], 1, "memory")],
    ids=["good", "missing"],
)
def test_status_and_json(monkeypatch: pytest.MonkeyPatch, checks: list[Check], status: int, mode: str) -> None:
    monkeypatch.setattr(simulator.cli.doctor, "examine", lambda: checks)
    done = CliRunner().invoke(main, ["doctor", "--json"])
    assert done.exit_code == status
    assert json.loads(done.stdout) == {
        "mode": mode,
        "checks": [
            {"name": check.name, "state": check.state.value, "detail": check.detail, "remedy": check.remedy}
            for check in checks
        ],
    }


def test_a_remedy_keeps_its_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator.cli.doctor, "examine", lambda: [GOOD, MISSING])
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == 1
    assert "remedy: pip install 'divertsim[lab]'" in done.stdout
    assert "memory links" in done.stdout


def test_every_missing_thing_has_a_remedy() -> None:
    for check in examine():
        assert check.detail
        assert bool(check.remedy) or check.state is not State.MISSING


def test_misuse() -> None:
    assert CliRunner().invoke(main, ["doctor", "--cure"]).exit_code == 2
