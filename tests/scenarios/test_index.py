"""Every script says what it shows, and the index page repeats it."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.scenario.loading import load

from .index import PAGE, SCRIPTS, render


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run `make scenarios-index`"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_script_begins_with_a_comment_and_expects_something(path: Path) -> None:
    script, _ = load(path)
    assert script.description
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 80, "small enough to read in class"
