"""`divertsim conformance`: what it reports, what it prints, and what it says of files it cannot use."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from simulator.cli import main

RULES = {
    "name": "one-rule",
    "profile": "linux-2.2",
    "rules": ["-A input -p udp -j DENY"],
    "packets": [
        {
            "chain": "input",
            "interface": "eth0",
            "octets": "4500001c000100004011669ac0a80102c0a801010400003500080000",
            "mark": 0,
            "verdict": "DENY",
            "decided_by": "input:1",
            "matched": ["input:1"],
            "tos": 0,
            "checksum": 0x669A,
            "mark_after": 0,
            "redirect_port": None,
            "log": [],
            "netlink": [],
            "header": "bad-checksum",
        }
    ],
    "counters": {
        "input": {"policy": [0, 0], "rules": [[1, 28]]},
        "forward": {"policy": [0, 0], "rules": []},
        "output": {"policy": [0, 0], "rules": []},
    },
}
COMMANDS = {
    "name": "listing",
    "profile": "freebsd-10",
    "steps": [
        {
            "argv": ["add", "allow", "ip", "from", "any", "to", "any"],
            "stdout": "00100 allow ip from any to any\n",
            "stderr": "",
            "exit": 0,
        }
    ],
}


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["conformance", *words])


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def _write(*cases: object, name: str = "cases.jsonl") -> str:
        path = tmp_path / name
        text = "".join(json.dumps(case) + "\n" for case in cases)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return str(path)

    return _write


def changed(case: dict[str, Any], **changes: object) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(case))
    copy["packets"][0] |= changes
    return copy


def header(case: dict[str, Any]) -> str:
    """What our replay says of the header, which is not what these tests are about."""
    ours: str = json.loads(run("--answers", case["path"]).stdout)["packets"][0]["header"]
    return ours


@pytest.mark.parametrize("name", ["cases.jsonl", "cases.jsonl.gz"])
def test_agreement_is_reported_with_status_0(write: Any, name: str) -> None:
    case = changed(RULES, header=header({"path": write(RULES)}))
    done = run("--json", write(case, COMMANDS, name=name))
    assert done.exit_code == 0, done.stdout
    [report] = json.loads(done.stdout)["files"]
    assert (report["cases"], report["agreeing"], report["differences"]) == (2, 2, 0)


def test_a_disagreement_is_shown_side_by_side_with_status_1(write: Any) -> None:
    case = changed(RULES, header=header({"path": write(RULES)}), verdict="ACCEPT")
    done = run(write(case))
    assert done.exit_code == 1
    assert "case one-rule, packets[0].verdict" in done.stdout
    assert 'recorded  "ACCEPT"' in done.stdout
    assert 'ours      "DENY"' in done.stdout


def test_an_answer_of_ours_that_was_not_recorded_is_a_disagreement(write: Any) -> None:
    case = changed(RULES, header=header({"path": write(RULES)}))
    case["packets"][0]["log"] = None
    assert run(write(case)).exit_code == 1


def test_answers_need_none_in_the_file(write: Any) -> None:
    bare = {key: value for key, value in RULES.items() if key != "counters"}
    bare["packets"] = [{key: RULES["packets"][0][key] for key in ("chain", "interface", "octets", "mark")}]
    done = run("--answers", write(bare))
    assert done.exit_code == 0
    ours = json.loads(done.stdout)
    assert ours["name"] == "one-rule"
    assert ours["packets"][0]["decided_by"] == "input:1"
    assert ours["counters"] == RULES["counters"]


@pytest.mark.parametrize(
    ("case", "name"), [(COMMANDS, "freebsd-10.4"), (RULES, "linux-2.2.12"), (RULES, "linux-2.0.36")]
)
def test_a_profile_with_a_minor_version_is_that_of_its_major_one(write: Any, case: dict[str, Any], name: str) -> None:
    done = run("--answers", write(case | {"profile": name}))
    assert done.exit_code == 0
    assert "error" not in json.loads(done.stdout)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", ":1:2: "),
        ("{}\n", "case '?' is of no known format"),
        ("{}\n[]\n", ":2: not a JSON object"),
    ],
)
def test_unusable_files(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(text)
    done = run(str(path))
    assert done.exit_code == 2
    assert said in done.stderr
    assert str(path) in done.stderr


def test_a_broken_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl.gz"
    path.write_bytes(gzip.compress(b"{}\n" * 1000)[:20])
    done = run(str(path))
    assert done.exit_code == 2
    assert str(path) in done.stderr


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({"name": "x", "profile": "linux-2.2", "packets": []}, "cannot be played: no 'rules'"),
        ({"name": "x", "profile": "linux-2.2", "rules": ["-Q"], "packets": []}, "cannot be played: CommandError: "),
        ({"name": "x", "profile": "freebsd-10", "steps": [{}]}, "cannot be played: no 'advance'"),
    ],
)
def test_a_case_that_cannot_be_played_does_not_keep_the_others_from_it(write: Any, case: Any, said: str) -> None:
    done = run("--json", write(case, COMMANDS))
    assert done.exit_code == 2
    [report] = json.loads(done.stdout)["files"]
    assert (report["cases"], report["agreeing"], report["differences"]) == (2, 1, 1)
    assert said in report["first_differences"][0]["ours"]
    answers = run("--answers", write(case, COMMANDS))
    assert answers.exit_code == 2
    first, second = [json.loads(line) for line in answers.stdout.splitlines()]
    assert said in first["error"]
    assert second["steps"][0]["exit"] == 0
