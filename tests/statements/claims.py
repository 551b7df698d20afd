"""Which tests name which statements: what pytest collects, asked in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["ROOT", "Claim", "claims", "collect", "of"]

ROOT = Path(__file__).parent.parent.parent
_MARK = "mark.statement("


@dataclass(frozen=True, order=True)
class Claim:
    """A test says that it checks a statement in some profiles."""

    statement: str
    path: str
    """The file, from the root of the repository."""
    test: str
    """The function, with its class; all its parameters together."""
    profiles: tuple[str, ...]


def of(item: pytest.Item) -> tuple[list[str], list[str]]:
    """The statements that a test names, and the profiles in which it looks at them."""
    named = [name for mark in item.iter_markers("statement") for name in mark.args]
    parameter = getattr(item, "callspec", None) and item.callspec.params.get("profile")  # type: ignore[attr-defined]
    mark = item.get_closest_marker("profiles")
    profiles = [parameter] if parameter else list(mark.args) if mark else []
    return named, profiles


def collect(items: list[pytest.Item]) -> list[Claim]:
    """What these tests claim, the parameters of one function put together."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for item in items:
        named, profiles = of(item)
        path = item.path.relative_to(ROOT).as_posix()
        test = item.nodeid.partition("::")[2].partition("[")[0]
        for name in named:
            seen = found.setdefault((name, path, test), [])
            seen += [each for each in profiles if each not in seen]
    return sorted(Claim(*key, tuple(profiles)) for key, profiles in found.items())


class _Reporter:
    """A pytest plugin that tells the claims instead of running anything."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.claims = collect(items)


def claims() -> list[Claim]:
    """Every claim in the tests of this repository."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.statements.claims"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise RuntimeError(f"the tests cannot be collected:\n{run.stderr or run.stdout}")
    rows = json.loads(run.stdout.splitlines()[-1])
    return [Claim(row["statement"], row["path"], row["test"], tuple(row["profiles"])) for row in rows]


def _report() -> int:
    files = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if _MARK in path.read_text(encoding="utf-8")]
    reporter = _Reporter()
    status = pytest.main(["-qq", "--collect-only", *map(str, files)], plugins=[reporter])
    if status:
        return int(status)
    print()
    print(json.dumps([vars(claim) for claim in reporter.claims]))
    return 0


if __name__ == "__main__":
    sys.exit(_report())
