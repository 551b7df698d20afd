"""Every statement has a test or a reason, every claim is about a statement, and the page is up to date."""

from __future__ import annotations

from functools import cache

import pytest

from statements.audit import problems
from statements.claims import Claim, claims
from statements.page import PAGE, named, render
from statements.registry import GROUPS, Statement, expand, statements


@cache
def claimed() -> tuple[Claim, ...]:
    return tuple(claims())


def test_every_statement_has_a_test_or_a_reason() -> None:
    assert problems(statements(), claimed()) == []


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(list(claimed())), "make statements writes it anew"


def statement(*profiles: str, **left_out: str) -> Statement:
    reasons = {name.replace("_", "-"): reason for name, reason in left_out.items()}
    return Statement("bsd.md S-1", "so", profiles, reasons, open=False)


def claim(*profiles: str, name: str = "bsd.md S-1") -> Claim:
    return Claim(name, "tests/test_x.py", "test_y", profiles)


@pytest.mark.parametrize(
    ("known", "found", "problem"),
    [
        (statement("freebsd-4"), [claim("freebsd-4")], None),
        (statement("freebsd-4"), [claim("freebsd-4", "freebsd-10")], None),
        (statement("freebsd-4", freebsd_4="too old"), [], None),
        (statement("freebsd-4"), [], "no test names bsd.md S-1 in freebsd-4"),
        (statement("freebsd-4", "dragonfly"), [claim("freebsd-4")], "no test names bsd.md S-1 in dragonfly"),
        (statement("freebsd-4"), [claim()], "does not say in which profiles"),
        (statement("freebsd-4"), [claim("freebsd-4", "freebsd-99")], "which is no profile"),
        (statement("freebsd-4"), [claim("freebsd-4"), claim("freebsd-4", name="bsd.md S-99")], "which is no statement"),
        (statement("freebsd-4", dragonfly="no"), [claim("freebsd-4")], "where it does not belong"),
        (statement("freebsd-4", freebsd_4="no"), [claim("freebsd-4")], "but a test names it there"),
    ],
)
def test_what_is_a_problem(known: Statement, found: list[Claim], problem: str | None) -> None:
    told = problems([known], found)
    if problem is None:
        assert told == []
    else:
        assert any(problem in line for line in told), told


def test_groups_of_profiles() -> None:
    assert expand(["every BSD"]) == GROUPS["every BSD"]
    assert named(expand(["every BSD"])) == "every BSD"
    assert named(["freebsd-4", "dragonfly", "linux-2.2"]) == "before FreeBSD 5, linux-2.2"
    with pytest.raises(ValueError, match="freebsd-99"):
        expand(["freebsd-99"])
