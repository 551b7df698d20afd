"""Results as JUnit XML."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from simulator.cli.run import run

SCRIPTS = {
    "good": "router linux-2.2\nexpect nothing\n",
    "bad": 'router linux-2.2\ncase "one"\nexpect log "a < b"\ncase "two"\nexpect nothing\ncase "three"\neth0 goes up\n',
    "nonsense": "rooter linux-2.2\n",
    "binary": 'router linux-2.2\nexpect log "\\x00"\n',
}


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> ElementTree.Element:
    folder = tmp_path_factory.mktemp("junit")
    for name, text in SCRIPTS.items():
        (folder / f"{name}.scn").write_text(text)
    result = CliRunner().invoke(run, [str(folder), "--junit", str(folder / "out.xml")])
    assert result.exit_code == 2
    return ElementTree.parse(folder / "out.xml").getroot()


def test_sums(top: ElementTree.Element) -> None:
    counts = {Path(suite.get("name", "")).stem: suite for suite in top}
    found = {
        name: tuple(int(suite.get(each, "")) for each in ("tests", "failures", "errors"))
        for name, suite in counts.items()
    }
    assert found == {"good": (1, 0, 0), "bad": (3, 1, 1), "nonsense": (1, 0, 1), "binary": (1, 1, 0)}
    assert (top.get("tests"), top.get("failures"), top.get("errors")) == ("6", "2", "2")


def test_a_failure_has_its_place_and_the_whole_report(top: ElementTree.Element) -> None:
    case = next(case for case in top.iter("testcase") if case.get("name") == "one")
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("message", "").endswith("bad.scn:3:1: no message of router contains 'a < b': it said nothing")
    assert (failure.text or "").endswith('    expect log "a < b"\n    ^')
    assert float(case.get("time", "")) >= 0
    assert case.get("line") == "2"


def test_a_line_without_sense_is_an_error(top: ElementTree.Element) -> None:
    case = next(case for case in top.iter("testcase") if case.get("name") == "three")
    assert [child.tag for child in case] == ["error"]
    unread = next(case for case in top.iter("testcase") if (case.get("file") or "").endswith("nonsense.scn"))
    error = unread.find("error")
    assert error is not None
    assert "no statement begins with 'rooter'" in (error.text or "")
