"""`divertsim profiles`: kernels side by side."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from simulator.cli import main


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["profiles", *words])


def test_differing_switches_only_unless_all_are_asked_for() -> None:
    few, many = run("freebsd-10", "freebsd-11"), run("freebsd-10", "freebsd-11", "--all")
    assert few.exit_code == many.exit_code == 0
    assert "fast_forward" in few.output
    assert "default_accept" not in few.output
    assert "default_accept" in many.output
    assert "linux" not in many.output


def test_one_profile_shows_everything() -> None:
    assert "default_accept" in run("freebsd-10").output


def test_profiles_that_agree() -> None:
    assert "tee_original" in run("freebsd-4", "freebsd-10").output
    assert "tee_original" not in run("freebsd-10", "freebsd-13").output


def test_a_switch_is_explained_in_full() -> None:
    output = run("missing_words", "dragonfly", "freebsd-4").output
    assert "G-35" in output
    assert "antispoof" in output


def test_json_has_every_switch() -> None:
    found = json.loads(run("freebsd-10", "freebsd-14", "--json").output)
    assert found["profiles"] == ["freebsd-10", "freebsd-14"]
    (switch,) = [each for each in found["switches"] if each["switch"] == "shutdown_errno"]
    assert switch["values"] == {"freebsd-10": 0, "freebsd-14": "EOPNOTSUPP"}
    assert switch["differs"]
    assert "S-9" in switch["sources"]
    assert any(not each["differs"] for each in found["switches"])
    (only,) = json.loads(run("tee_original", "--json").output)["switches"]
    assert set(only["values"]) == {"freebsd-4", "freebsd-10", "freebsd-11", "freebsd-13", "freebsd-14", "dragonfly"}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["freebsd-12"], "'freebsd-12' is neither a profile nor a switch"),
        (["tee_orignal"], "did you mean 'tee_original'?"),
        (["freebsd-10", "pass_through"], "freebsd-10: no switch 'pass_through'"),
        (["--json", "--markdown"], "exclude each other"),
    ],
)
def test_misuse(words: list[str], complaint: str) -> None:
    done = run(*words)
    assert done.exit_code == 2
    assert complaint in done.output
