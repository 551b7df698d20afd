"""The documents do not lie: their Python runs, and what they point at is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simulator.scenario.reading import read
from simulator.scenario.report import failure_report
from simulator.scenario.runner import play

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def _snippets() -> list[tuple[str, str]]:
    found = []
    for path in DOCUMENTS:
        for number, code in enumerate(re.findall(r"```python\n(.*?)```", path.read_text(), re.S), start=1):
            found.append((f"{path.name}:{number}", code))
    return found


@pytest.mark.parametrize("code", [pytest.param(code, id=name) for name, code in _snippets()])
def test_python_in_documents_runs(code: str) -> None:
    exec(compile(code, "<document>", "exec"), {})


def _scripts() -> list[tuple[str, str]]:
    return [
        (f"{path.name}:{number}", text)
        for path in DOCUMENTS
        for number, text in enumerate(re.findall(r"```scn\n(.*?)```", path.read_text(), re.S), start=1)
    ]


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in _scripts()])
def test_scripts_in_documents_pass(text: str) -> None:
    failures = [failure_report(each) for case in play(read(text, "document")).cases for each in case.failures]
    assert not failures, "\n".join(failures)


def test_the_readme_shows_a_divert_in_about_ten_lines() -> None:
    [(_, code)] = [each for each in _snippets() if each[0] == "README.md:1"]
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith(("from", "import"))]
    assert len(lines) <= 10


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_point_at_something(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_every_room_that_the_architecture_names_is_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    for room in re.findall(r"^\| `([\w./]+)` \|", text, re.M):
        assert (ROOT / room).exists(), room
