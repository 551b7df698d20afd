"""How scripts went, in words: a line a case, and for each failure the place, the two packets and what led there.

Plain text without colours; who prints it may add them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from simulator.scenario.model import Script
from simulator.scenario.runner import Failure, ScriptResult
from simulator.trace import summary
from simulator.wire.named import dissect, side_by_side

__all__ = ["case_title", "failure_report", "summary_line"]

_MOST_EVENTS = 40
"""Events that are shown of what led to a failure."""


def case_title(script: Script, name: str) -> str:
    """The script, and the case in it if that has a name."""
    return f"{script.file}: {name}" if name else script.file


def summary_line(results: Iterable[ScriptResult], seconds: float) -> str:
    """``12 scripts, 34 cases: 33 passed, 1 failed (120 expectations, 0.4 s)``"""
    results = list(results)
    cases = [case for result in results for case in result.cases]
    failed = sum(not case.passed for case in cases)
    outcome = f"{len(cases) - failed} passed" + (f", {failed} failed" if failed else "")
    expectations = sum(case.expectations for case in cases)
    return (
        f"{_count(len(results), 'script')}, {_count(len(cases), 'case')}: {outcome} "
        f"({_count(expectations, 'expectation')}, {seconds:.1f} s)"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def failure_report(failure: Failure) -> str:
    """All that helps with one failure."""
    return "\n".join(_failure_lines(failure))


def _failure_lines(failure: Failure) -> Iterator[str]:
    kind = "error" if failure.is_script_error else "failed"
    yield f"{failure.place}: {kind}: {failure.why}"
    if failure.place.text:
        yield failure.place.caret()
    if failure.expected is not None and failure.actual is not None:
        yield from side_by_side(failure.expected, failure.actual)
    elif failure.actual is not None:
        yield f"  the packet: {summary(failure.actual)}"
        yield from (f"      {field.name:<13} {field.text}" for field in dissect(failure.actual))
    elif failure.expected is not None:
        yield f"  the expected packet: {summary(failure.expected)}"
    if failure.led_here:
        several = len({moment.router for moment in failure.led_here}) > 1
        yield "  what happened since the action before:"
        left_out = len(failure.led_here) - _MOST_EVENTS
        if left_out > 0:
            yield f"      ({left_out} events before these)"
        for moment in failure.led_here[-_MOST_EVENTS:]:
            yield "    " + (f"{moment.router:<8}" if several else "") + str(moment.event)
