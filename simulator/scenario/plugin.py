"""What pytest gains where divertsim is installed: scripts are tests, and datagrams are compared by their fields.

Each case of each ``*.scn`` file is a test.  ``router`` is a router for one test, by default a Linux 2.2; the marker
``@pytest.mark.router("freebsd-13", default_accept=True)`` chooses another.  ``trace`` is what happens in it.  When an
``assert`` finds two datagrams (or two lists of them) unequal, it shows their fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import pytest

if TYPE_CHECKING:
    from simulator.router import Router
    from simulator.scenario.model import CaseBlock, Script
    from simulator.scenario.packets import Files
    from simulator.scenario.runner import CaseResult
    from simulator.trace import Trace

__all__ = ["ScriptCase", "ScriptFile", "router", "trace"]

# Everything of the simulator is imported when it is needed: a run of pytest that has no use for it pays nothing.


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "router(profile, **switches): the kernel of the `router` fixture, and its switches (divertsim)"
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScriptFile | None:
    if file_path.suffix == ".scn" and not file_path.name.startswith("_"):
        return ScriptFile.from_parent(parent, path=file_path)
    return None


class ScriptFile(pytest.File):
    """A script; its cases are the tests."""

    def collect(self) -> Iterable[ScriptCase]:
        from simulator.scenario.loading import load
        from simulator.scenario.model import ScriptError

        try:
            script, files = load(self.path)
        except ScriptError as error:
            raise self.CollectError(str(error)) from None
        for case in script.blocks:
            yield ScriptCase.from_parent(self, name=case.name or self.path.stem, script=script, case=case, files=files)


class CaseFailedError(Exception):
    """A case did not see what it expected."""

    def __init__(self, result: CaseResult) -> None:
        super().__init__(result.name)
        self.result = result


class ScriptCase(pytest.Item):
    """A case of a script."""

    def __init__(self, *, script: Script, case: CaseBlock, files: Files, **more: Any) -> None:
        super().__init__(**more)
        self._script = script
        self._case = case
        self._files = files

    def runtest(self) -> None:
        from simulator.scenario.runner import play_case

        result = play_case(self._script, self._case, self._files)
        if result.said:
            self.add_report_section("call", "programs", result.said)
        if not result.passed:
            raise CaseFailedError(result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from simulator.scenario.report import failure_report

        if isinstance(excinfo.value, CaseFailedError):
            return "\n\n".join(map(failure_report, excinfo.value.result.failures))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        name = f"{self.path.name}: {self._case.name}" if self._case.name else self.path.name
        return self.path, self._case.place.line - 1, name


@pytest.fixture
def router(request: pytest.FixtureRequest) -> Router:
    """A router of its own for each test; the marker ``router`` says of which kernel."""
    from simulator.router import Router

    marker = request.node.get_closest_marker("router")
    return Router(*marker.args, **marker.kwargs) if marker is not None else Router()


@pytest.fixture
def trace(router: Router) -> Iterator[Trace]:
    """What happens in ``router`` during the test."""
    with router.trace() as events:
        yield events


def pytest_assertrepr_compare(config: pytest.Config, op: str, left: object, right: object) -> list[str] | None:
    """``assert sent == [ping]`` that fails shows the fields that differ, the right side as the expected one; all with
    ``-vv``."""
    if op != "==":
        return None
    from simulator.testing.octets import explain, explain_many

    all_fields = config.get_verbosity() > 1
    if _is_datagram(left) and _is_datagram(right):
        return ["datagrams that differ:", *explain(right, left, all_fields=all_fields)]
    if isinstance(left, list) and isinstance(right, list) and all(map(_is_datagram, (*left, *right))):
        return [f"{len(left)} and {len(right)} datagrams:", *explain_many(right, left, all_fields=all_fields)]
    return None


def _is_datagram(value: object) -> TypeGuard[bytes]:
    return isinstance(value, bytes) and len(value) >= 20 and value[0] >> 4 == 4
