"""``docs/scenarios-index.md``, as text: the first comment of every script, folder by folder."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from simulator.scenario.loading import find_scripts, load
from simulator.scenario.model import Script

__all__ = ["PAGE", "SCRIPTS", "render"]

_ROOT = Path(__file__).parent.parent.parent
PAGE = _ROOT / "docs" / "scenarios-index.md"
SCRIPTS = find_scripts((_ROOT / "scenarios",))

_HEAD = """\
# The scenarios

Lessons that are tests: `divertsim run scenarios` plays them all, `divertsim run FILE --trace` shows what happens in
one, step by step.  [The language](scenarios.md) is a page of its own.

This page is written by `make scenarios-index` from the first comment of each script; a test fails when it is out of
date.
"""


def _folder(path: Path) -> Iterator[str]:
    """The heading: what the folder's README says, else its name."""
    about = path / "README.md"
    if about.exists():
        title, _, text = about.read_text(encoding="utf-8").strip().partition("\n")
        yield f"## {title.lstrip('# ')}\n"
        yield text.strip() + "\n"
    else:
        yield f"## {path.name}\n"


def _row(path: Path, script: Script) -> str:
    said = [line.strip() for line in script.description.splitlines()]
    words = " ".join(f"*{line}*" if line.startswith("Fails:") else line for line in said if line)
    cases = "<br>".join(case.name for case in script.cases)
    link = f"[{path.stem}](../{path.relative_to(_ROOT).as_posix()})"
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in (link, words, cases))} |"


def render() -> str:
    parts = [_HEAD]
    for folder, paths in groupby(SCRIPTS, key=lambda path: path.parent):
        parts += _folder(folder)
        rows = [_row(path, load(path)[0]) for path in paths]
        parts.append("\n".join(["| script | what it shows | cases |", "|---|---|---|", *rows]) + "\n")
    return "\n".join(parts)
