"""Results as JUnit XML, as CI systems read it: a suite for each script, a case for each case.

A failed expectation is a ``failure``, a line that makes no sense an ``error``; each with the whole report.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from simulator.scenario.model import ScriptError
from simulator.scenario.report import failure_report
from simulator.scenario.runner import CaseResult, Failure, ScriptResult

__all__ = ["as_junit"]

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold (section 2.2)."""


def as_junit(results: Iterable[ScriptResult], errors: Iterable[ScriptError] = ()) -> ElementTree[Element]:
    """One ``testsuites`` element; ``errors`` are of scripts that could not be read.  Times are seconds."""
    top = Element("testsuites", name="divertsim")
    suites = [_suite(result.script.file, [_case(result, case) for case in result.cases]) for result in results]
    suites += [_suite(error.place.file, [_unread(error)]) for error in errors]
    top.extend(suites)
    for name in ("tests", "failures", "errors"):
        top.set(name, str(sum(int(suite.get(name, "0")) for suite in suites)))
    top.set("time", _seconds(sum(float(suite.get("time", "0")) for suite in suites)))
    indent(top)
    return ElementTree(top)


def _suite(file: str, cases: list[Element]) -> Element:
    suite = Element("testsuite", name=file, tests=str(len(cases)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("errors", str(sum(case.find("error") is not None for case in cases)))
    suite.set("time", _seconds(sum(float(case.get("time", "0")) for case in cases)))
    suite.extend(cases)
    return suite


def _case(result: ScriptResult, case: CaseResult) -> Element:
    file = result.script.file
    element = Element("testcase", classname=file, name=case.name or file, file=file, line=str(case.place.line))
    element.set("time", _seconds(case.seconds))
    for failure in case.failures:
        kind = "error" if failure.is_script_error else "failure"
        SubElement(element, kind, message=_clean(_first(failure))).text = _clean(failure_report(failure))
    if case.said:
        SubElement(element, "system-out").text = _clean(case.said)
    return element


def _first(failure: Failure) -> str:
    return f"{failure.place}: {failure.why.splitlines()[0]}"


def _unread(error: ScriptError) -> Element:
    file, line = error.place.file, str(error.place.line)
    element = Element("testcase", classname=file, name=file, file=file, line=line, time=_seconds(0))
    SubElement(element, "error", message=_clean(error.message)).text = _clean(str(error))
    return element


def _seconds(value: float) -> str:
    return f"{value:.6f}"


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
