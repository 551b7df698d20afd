"""`divertsim compare`: tables, JSON, Markdown, misuse."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from simulator import PROFILES
from simulator.cli.compare import compare
from simulator.mechanisms.page import markdown


@pytest.mark.parametrize("profile", PROFILES)
def test_json(profile: str) -> None:
    result = CliRunner().invoke(compare, ["--profile", profile, "--json"])
    assert result.exit_code == 0
    found = json.loads(result.output)
    assert found["profile"] == profile
    held = next(each for each in found["questions"] if each["question"] == "can hold a packet back")
    assert [name for name, answer in held["answers"].items() if answer["answer"]] == ["divert socket"]
    assert found["sightings"][0]["seen"][0]["where"] == "eth0 in"


def test_tables() -> None:
    result = CliRunner().invoke(compare, [], env={"COLUMNS": "160"})
    assert result.exit_code == 0
    assert "divert socket" in result.output
    assert "nothing went out" not in result.output
    told = CliRunner().invoke(compare, ["--evidence"], env={"COLUMNS": "160"})
    assert "nothing went out" in told.output


def test_markdown() -> None:
    result = CliRunner().invoke(compare, ["--markdown", "--profile", "freebsd-14"])
    assert result.output == markdown("freebsd-14")


@pytest.mark.parametrize("arguments", [["--json", "--markdown"], ["--profile", "linux-9"], ["what"]])
def test_misuse(arguments: list[str]) -> None:
    assert CliRunner().invoke(compare, arguments).exit_code == 2
