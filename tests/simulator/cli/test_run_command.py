"""`divertsim run`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from simulator.cli.run import run

GOOD = "router linux-2.2\nexpect nothing\n"
BAD = 'router linux-2.2\ncase "one"\nexpect log "x"\ncase "two"\nexpect nothing\n'
NONSENSE = "rooter linux-2.2\n"
LATE_NONSENSE = "router linux-2.2\neth0 receives ping\n"


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(run, [str(each) for each in arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"good": GOOD, "bad": BAD, "nonsense": NONSENSE, "late": LATE_NONSENSE}.items():
        (tmp_path / f"{name}.scn").write_text(text)
    (tmp_path / "_part.scn").write_text(NONSENSE)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("good.scn", 0, "1 script, 1 case: 1 passed (1 expectation"),
        ("bad.scn", 1, "1 script, 2 cases: 1 passed, 1 failed (2 expectations"),
        ("nonsense.scn", 2, "nonsense.scn:1:1: no statement begins with 'rooter'"),
        ("late.scn", 2, "late.scn:2:1: error: no interface 'eth0'"),
        (".", 2, "3 scripts, 4 cases: 2 passed, 2 failed (3 expectations, "),
    ],
)
def test_exit_status_and_report(folder: Path, name: str, status: int, said: str) -> None:
    result = invoke(folder / name)
    assert said in result.output
    assert result.exit_code == status


def test_only_some_cases(folder: Path) -> None:
    result = invoke(folder / "bad.scn", "-k", "two", "-v")
    assert result.exit_code == 0
    assert result.output.splitlines()[0].endswith("bad.scn: two")
    assert "no case with 'three'" in invoke(folder / "bad.scn", "-k", "three").output


def test_what_programs_print_is_shown_with_verbose(tmp_path: Path) -> None:
    (tmp_path / "a.scn").write_text(
        "router linux-2.2\ninterface eth0 10.0.0.1/24\nipchains -A input -j DIVERT 1\nprogram 1 interceptor\n"
        "allow other packets\neth0 receives icmp from 10.0.0.2 to 10.0.0.1\n"
    )
    assert "Source address: 10.0.0.2" in invoke(tmp_path / "a.scn", "-v").output


def test_json(folder: Path) -> None:
    result = invoke(folder / "bad.scn", folder / "nonsense.scn", "--json")
    report = json.loads(result.output)
    assert report["passed"] is False
    assert [(case["case"], case["passed"]) for case in report["cases"]] == [("one", False), ("two", True)]
    (failure,) = report["cases"][0]["failures"]
    assert (failure["line"], failure["column"]) == (3, 1)
    assert report["errors"][0]["line"] == 1


def test_misuse(tmp_path: Path) -> None:
    assert invoke().exit_code == 2
    assert "no scripts" in invoke(tmp_path).output
    assert invoke(tmp_path / "none.scn").exit_code == 2


def test_a_misspelt_path_is_misuse(tmp_path: Path) -> None:
    (tmp_path / "a.scn").write_text("router linux-2.2\ninterface eth0 10.0.0.1/24\nexpect path inptu accept\n")
    result = invoke(tmp_path / "a.scn")
    assert result.exit_code == 2
    assert "a.scn:3:13: error: the firewall has no hook 'inptu'" in result.output


TRACED = """
router linux-2.2
interface eth0 10.0.0.1/24
allow other packets
eth0 receives icmp from 10.0.0.2 to 10.0.0.1
"""


def test_traces_and_paths(tmp_path: Path) -> None:
    (tmp_path / "a.scn").write_text(TRACED)
    output = invoke(tmp_path / "a.scn", "--trace", "--paths").output
    assert "#1  icmp 10.0.0.2 > 10.0.0.1 echo request" in output
    assert "2 packets, 2 ways" in output
    only = invoke(tmp_path / "a.scn", "--only", "icmp from 10.0.0.1 to any").output
    assert "#1 " not in only
    assert "#2  icmp 10.0.0.1 > 10.0.0.2 echo reply" in only
    report = json.loads(invoke(tmp_path / "a.scn", "--trace", "--paths", "--json").output)
    assert [each["packet"] for each in report["cases"][0]["trace"]] == [1, 2]
    assert [each["count"] for each in report["cases"][0]["paths"]] == [1, 1]
    assert "the body of an ipfw rule is wanted" in invoke(tmp_path / "a.scn", "--only", "foo from any").output


def test_the_page_shows_what_was_not_as_expected(folder: Path) -> None:
    page = folder / "page.html"
    assert invoke(folder / "bad.scn", "--html", page).exit_code == 1
    assert '"failures":[{"step":0,"line":"3: expect log ' in page.read_text()


def test_an_unreadable_script_does_not_stop_the_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_text = Path.read_text

    def refused(path: Path, **options: str) -> str:
        if path.name == "bad.scn":
            raise PermissionError(13, "Permission denied")
        return read_text(path, **options)

    monkeypatch.setattr(Path, "read_text", refused)
    result = invoke(folder / "bad.scn", folder / "good.scn")
    assert result.exit_code == 2
    assert "bad.scn:1:1: cannot read it: Permission denied" in result.output
    assert "1 script, 1 case: 1 passed" in result.output
