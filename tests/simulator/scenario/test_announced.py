"""Scripts whose first comment announces how they fail."""

from __future__ import annotations

import pytest

from simulator.scenario.model import ScriptError
from simulator.scenario.reading import read
from simulator.scenario.runner import CaseResult, play

WORLD = """
router linux-2.2
interface eth0 192.168.1.1/24
eth0 receives icmp from 192.168.1.2 to 10.0.0.2
"""
SILENT = WORLD + "expect log \"a\"\nexpect log 'b'\nexpect eth0 sends any\n"
NONSENSE = "rooter linux-2.2\n"

MISSING = "the first comment announces a failure that did not come next: "


def run(comment: str, text: str) -> CaseResult:
    (case,) = play(read(f"# A lesson.\n{comment}{text}", "a.scn")).cases
    return case


@pytest.mark.parametrize(
    ("announced", "text", "reasons"),
    [
        (["contains 'a'", "contains 'b'"], SILENT, []),
        (["contains 'a'"], SILENT, ["no message of router contains 'b'"]),
        (["contains 'b'", "contains 'a'"], SILENT, [MISSING + "contains 'b'", "no message of router contains 'b'"]),
        (["contains 'a'", "contains 'b'", "no packet"], SILENT, [MISSING + "no packet"]),
        (["contains 'c'"], WORLD + "expect eth0 sends any\n", [MISSING + "contains 'c'"]),
        (["no statement begins with 'rooter'"], NONSENSE, []),
        (["no statement begins with 'router'"], NONSENSE, [MISSING, "no statement begins with 'rooter'"]),
    ],
    ids=["both", "another", "other order", "one too many", "none", "unreadable", "unreadable otherwise"],
)
def test_exactly_what_is_announced(announced: list[str], text: str, reasons: list[str]) -> None:
    case = run("".join(f"# Fails: {each}\n" for each in announced), text)
    assert [failure.why[: len(reason)] for failure, reason in zip(case.failures, reasons, strict=True)] == reasons
    assert len(case.announced) == len(announced) - sum(reason.startswith(MISSING) for reason in reasons)


def test_no_cases() -> None:
    with pytest.raises(ScriptError, match="has no cases"):
        read("# Fails: x\ncase 'a'\nexpect nothing\n", "a.scn")


def test_further_down_it_is_a_comment_like_any_other() -> None:
    script = read("# A lesson.\n\n# Fails: no packet\n" + WORLD + "expect eth0 sends any\n", "a.scn")
    assert script.announced == ()
