"""`divertsim run`: play scripts and say what they expected and did not see."""

from __future__ import annotations

import json
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from simulator.scenario.junit import as_junit
from simulator.scenario.loading import find_scripts, load
from simulator.scenario.model import Place, ScriptError
from simulator.scenario.report import case_title, failure_report, summary_line
from simulator.scenario.runner import CaseResult, Failure, ScriptResult, play_case
from simulator.traces.journeys import Journey, SelectionError, Selector, journeys
from simulator.traces.page import Listing, Shown, Unmet, page
from simulator.traces.page import Moment as PageMoment
from simulator.traces.paths import Paths
from simulator.traces.phases import phases, phases_as_json

__all__ = ["run"]


@click.command()
@click.argument("scripts", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--case", "-k", "wanted", metavar="TEXT", help="Only cases whose title contains this text.")
@click.option("--verbose", "-v", is_flag=True, help="A line for each case, and what its programs printed.")
@click.option("--trace", "traced", is_flag=True, help="Show the way of each packet in numbered phases.")
@click.option("--paths", "by_path", is_flag=True, help="Show the ways that packets took, with how many took each.")
@click.option("--html", "html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page that shows it all.")
@click.option("--only", "only", metavar="BODY", help="Trace packets that match the body of an ipfw rule.")
@click.option(
    "--junit", "junit", type=click.Path(dir_okay=False, path_type=Path), help="Write the results as JUnit XML."
)
@click.option("--json", "as_json", is_flag=True, help="Report as one JSON object.")
def run(
    scripts: tuple[Path, ...],
    wanted: str | None,
    verbose: bool,
    traced: bool,
    by_path: bool,
    html: Path | None,
    only: str | None,
    junit: Path | None,
    as_json: bool,
) -> None:
    """Play SCRIPTS (.scn files, or folders of them) against simulated routers.

    Every case of a script is played in a world of its own, and what it expects is compared with what happens.  Exit
    status 0 when everything is as expected, 1 when something is not, 2 for a script that makes no sense.
    """
    views = _views(traced, by_path, only)
    paths = find_scripts(scripts)
    if not paths:
        raise click.UsageError(f"no scripts (*.scn) in {', '.join(map(str, scripts))}")
    started = time.perf_counter()
    results, errors = _play(paths, wanted)
    seconds = time.perf_counter() - started
    if html is not None:
        html.write_text(_page(results, views), encoding="utf-8")
    if junit is not None:
        as_junit(results, errors).write(junit, encoding="utf-8", xml_declaration=True)
    if wanted is not None and not any(result.cases for result in results) and not errors:
        raise click.UsageError(f"no case with {wanted!r} in its title")
    if as_json:
        click.echo(json.dumps(_as_json(results, errors, seconds, views), indent=1))
    else:
        _print(results, errors, seconds, verbose, views)
    broken = bool(errors) or any(failure.is_script_error for failure in _failures(results))
    sys.exit(2 if broken else 0 if all(result.passed for result in results) else 1)


@dataclass(frozen=True)
class _Views:
    """What is to be shown of the packets' ways."""

    phases: bool
    paths: bool
    selects: Callable[[bytes], bool]

    def journeys(self, case: CaseResult, *, named: bool = False) -> list[Journey]:
        """Those that the filter takes; ``named``: with the router's name even where there is only one."""
        named = named or len({moment.router for moment in case.moments}) > 1
        pairs = ((moment.router if named else "", moment.event) for moment in case.moments)
        return [journey for journey in journeys(pairs) if self.selects(journey.octets)]


def _views(traced: bool, by_path: bool, only: str | None) -> _Views:
    if only is None:
        return _Views(traced, by_path, lambda octets: True)
    try:
        return _Views(traced or not by_path, by_path, Selector(only))
    except SelectionError as error:
        wanted = f"{error}: the body of an ipfw rule is wanted, not {only!r}"
        raise click.BadParameter(wanted, param_hint="--only") from None


def _play(paths: list[Path], wanted: str | None) -> tuple[list[ScriptResult], list[ScriptError]]:
    results: list[ScriptResult] = []
    errors: list[ScriptError] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        for path in progress.track(paths, description="scripts"):
            try:
                script, files = load(path)
            except ScriptError as error:
                errors.append(error)
                continue
            except OSError as error:
                errors.append(ScriptError(Place(str(path), 1, 1), f"cannot read it: {error.strerror or error}"))
                continue
            result = ScriptResult(script, [])
            for case in script.blocks:
                title = case_title(script, case.name)
                if wanted is None or wanted in title:
                    result.cases.append(play_case(script, case, files))
            results.append(result)
    return results, errors


def _page(results: list[ScriptResult], views: _Views) -> str:
    shown = [_shown(result, case, views) for result in results for case in result.cases]
    names = [Path(result.script.file).name for result in results]
    return page(shown, names[0] if len(names) == 1 else f"{len(names)} scenarios")


def _shown(result: ScriptResult, case: CaseResult, views: _Views) -> Shown:
    """A case as the page wants it; what the filter leaves out moves the places of the listings."""
    wanted = {(journey.router, journey.packet) for journey in views.journeys(case, named=True)}
    kept = [index for index, each in enumerate(case.moments) if (each.router, each.event.packet) in wanted]
    return Shown(
        title=case.name or Path(result.script.file).stem,
        description=result.script.description,
        moments=[
            PageMoment(case.moments[index].router, case.moments[index].event, _line(case.moments[index].place))
            for index in kept
        ],
        listings=[Listing(bisect_left(kept, each.moment), each.router, each.rules) for each in case.listings],
        families=case.families,
        failures=[
            Unmet(max(bisect_left(kept, each.moment) - 1, 0), _line(each.place), each.why) for each in case.failures
        ],
    )


def _line(place: Place | None) -> str:
    return "" if place is None else f"{place.line}: {place.text.strip()}"


def _failures(results: list[ScriptResult]) -> Iterator[Failure]:
    return (failure for result in results for case in result.cases for failure in case.failures)


def _print(
    results: list[ScriptResult], errors: list[ScriptError], seconds: float, verbose: bool, views: _Views
) -> None:
    for error in errors:
        click.echo(f"error: {error}\n")
    for result in results:
        for case in result.cases:
            seen = views.journeys(case) if views.phases or views.paths else []
            if verbose or seen or not case.passed:
                click.echo(f"{'passed' if case.passed else 'FAILED'}  {case_title(result.script, case.name)}")
            if verbose and case.said:
                click.echo(case.said.rstrip("\n"))
            if seen and views.phases:
                click.echo(phases(seen) + "\n")
            if seen and views.paths:
                click.echo(f"{Paths(seen)}\n")
            for failure in (*case.announced, *case.failures) if verbose else case.failures:
                click.echo(failure_report(failure))
                click.echo()
    click.echo(summary_line(results, seconds) + (f", {len(errors)} unreadable" if errors else ""))


def _as_json(results: list[ScriptResult], errors: list[ScriptError], seconds: float, views: _Views) -> dict[str, Any]:
    return {
        "passed": not errors and all(result.passed for result in results),
        "seconds": round(seconds, 3),
        "errors": [
            {"place": str(error.place), "line": error.place.line, "column": error.place.column, "why": error.message}
            for error in errors
        ],
        "cases": [_case_as_json(result, case, views) for result in results for case in result.cases],
    }


def _case_as_json(result: ScriptResult, case: CaseResult, views: _Views) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    if views.phases:
        seen["trace"] = phases_as_json(views.journeys(case))
    if views.paths:
        seen["paths"] = Paths(views.journeys(case)).as_json()
    return {
        "script": result.script.file,
        "case": case.name,
        "passed": case.passed,
        "expectations": case.expectations,
        "seconds": round(case.seconds, 6),
        "failures": [
            {
                "file": failure.place.file,
                "line": failure.place.line,
                "column": failure.place.column,
                "why": failure.why,
                "expected": None if failure.expected is None else failure.expected.hex(),
                "actual": None if failure.actual is None else failure.actual.hex(),
                "is_script_error": failure.is_script_error,
            }
            for failure in case.failures
        ],
        **seen,
    }
