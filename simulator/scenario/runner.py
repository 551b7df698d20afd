"""Plays scripts: each case from its setup on, line by line, collecting what was expected and did not happen.

A failed expectation does not end a case: the lines behind it still tell something.  A line that makes no sense does.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from simulator.profiles import LinuxProfile
from simulator.programs.listening import LoopError, ProgramFailedError
from simulator.scenario import model
from simulator.scenario.acting import ACTIONS, Done
from simulator.scenario.expecting import EXPECTATIONS, UnmetError
from simulator.scenario.model import Line, Place, ScriptError
from simulator.scenario.packets import Files
from simulator.scenario.setting import SETTINGS
from simulator.scenario.world import Station, World, listed_rules
from simulator.spoken import speak
from simulator.trace import Event, Kind

__all__ = ["CaseResult", "Failure", "Moment", "Rules", "ScriptResult", "play", "play_case"]


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong at one line."""

    place: Place
    why: str
    expected: bytes | None = None
    """The whole packet that was expected there."""
    actual: bytes | None = None
    """The packet that came instead."""
    led_here: tuple[Moment, ...] = ()
    """What happened since the action before, unless an earlier failure of the case has told it."""
    is_script_error: bool = False
    """The line makes no sense; the case ended here."""
    moment: int = 0
    """How many moments of the case had been by then."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of one router, and the line of the script that brought it about."""

    router: str
    event: Event
    place: Place | None


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one router: (label, words) each, as from the moment of that index on."""

    moment: int
    router: str
    rules: tuple[tuple[str, str], ...]


@dataclass
class CaseResult:
    """How a case went."""

    name: str
    """Empty for a script without cases."""
    place: Place
    failures: list[Failure] = field(default_factory=list)
    announced: list[Failure] = field(default_factory=list)
    """Failures that the script's first comment announces; they are as they should be."""
    moments: list[Moment] = field(default_factory=list)
    """Everything that happened, in order."""
    listings: list[Rules] = field(default_factory=list)
    """The rules of each router, from each moment on at which a command changed them."""
    families: dict[str, str] = field(default_factory=dict)
    """``linux`` or ``bsd`` for each router."""
    expectations: int = 0
    seconds: float = 0.0
    """Of the machine's time."""
    said: str = ""
    """What its programs printed."""

    @property
    def passed(self) -> bool:
        return not self.failures


@dataclass
class ScriptResult:
    """How a script went."""

    script: model.Script
    cases: list[CaseResult]

    @property
    def passed(self) -> bool:
        return all(case.passed for case in self.cases)


def play(script: model.Script, files: Files | None = None) -> ScriptResult:
    """Every case of a script, each in a world of its own."""
    return ScriptResult(script, [play_case(script, case, files) for case in script.blocks])


def play_case(script: model.Script, case: model.CaseBlock, files: Files | None = None) -> CaseResult:
    """One case: the script's setup, then the case's own lines, then that nothing was left over."""
    result = CaseResult(case.name, case.place)
    started = time.perf_counter()
    if script.unreadable is not None:
        error = script.unreadable
        result.failures.append(Failure(error.place, error.message, is_script_error=True))
    else:
        _Player(result, files).play((*script.setup, *case.lines))
    if script.announced:
        result.failures, result.announced = _as_announced(script.announced, result.failures, case.place)
    result.seconds = time.perf_counter() - started
    return result


def _as_announced(texts: Iterable[str], failures: list[Failure], place: Place) -> tuple[list[Failure], list[Failure]]:
    """What is wrong with a script that is to fail, and the failures that are as it says.

    Each text is to be found in the reason of one failure, in order; what is left of either is wrong.
    """
    rest = list(failures)
    met: list[Failure] = []
    wrong: list[Failure] = []
    for text in texts:
        if rest and text in rest[0].why:
            met.append(rest.pop(0))
        else:
            wrong.append(Failure(place, f"the first comment announces a failure that did not come next: {text}"))
    return wrong + rest, met


class _Player:
    """The state of one case while it is played."""

    def __init__(self, result: CaseResult, files: Files | None) -> None:
        self._result = result
        self._world = World(files)
        self._past = Done(None)
        self._acted: Place | None = None
        self._answered = True
        """A failed action was asked about, or did not fail."""
        self._told: Place | None = None
        """The action whose events a failure has shown."""
        self._kept: dict[str, int] = {}

    def play(self, lines: Iterable[Line]) -> None:
        last = self._result.place
        try:
            for line in lines:
                last = line.place
                self._line(line)
            self._ask_about_failure()
            self._settle_accounts(last)
        except ScriptError as error:
            self._fail(error.place, error.message, is_script_error=True)
        except (LoopError, ProgramFailedError) as error:
            self._fail(last, str(error), is_script_error=True)
        self._keep(self._acted)
        self._world.programs.finish()
        self._result.said = self._world.said.getvalue()

    def _line(self, line: Line) -> None:
        statement = line.statement
        if type(statement) in EXPECTATIONS and isinstance(statement, model.Failure):
            self._answered = True
        else:
            self._ask_about_failure()
        if line.time is not None:
            self._let_time_pass(line.time, line.place)
        kind = type(statement)
        if kind in EXPECTATIONS:
            self._result.expectations += 1
            try:
                EXPECTATIONS[kind](self._world, statement, self._past, line.place)
            except UnmetError as error:
                self._fail(line.place, error.why, expected=error.expected, actual=error.actual)
        elif kind in ACTIONS:
            self._keep(self._acted)
            self._world.begin_action()
            self._acted = line.place
            done = self._past = ACTIONS[kind](self._world, statement, line.place)
            self._answered = done.code is None
            if kind is model.Command and done.station is not None:
                self._list_rules(done.station)
        elif statement is not None:
            SETTINGS[kind](self._world, statement, line.place)
            if kind is model.Router and self._world.current is not None:
                self._list_rules(self._world.current)

    def _let_time_pass(self, when: model.Time, place: Place) -> None:
        now = self._world.clock.now()
        until = now + when.seconds if when.relative else when.seconds
        if until < now:
            raise ScriptError(place, f"@{when.seconds:g} is past: it is {now:g} s")
        self._world.advance_to(until)

    def _ask_about_failure(self) -> None:
        """An action that failed without being asked about is a failure of the case, at the action's line."""
        if not self._answered and self._acted is not None:
            done = self._past
            self._fail(self._acted, f"failed with {done.code}: {done.text.strip()}")
        self._answered = True

    def _settle_accounts(self, place: Place) -> None:
        self._keep(self._acted)
        for where, octets in self._world.leftovers():
            why = f"{where} a packet that no line expected: {speak(octets)}"
            self._result.failures.append(
                Failure(self._came_from(octets) or place, why, moment=len(self._result.moments))
            )
        for station in self._world.stations.values():
            if not station.router.ledger.balanced:
                self._fail(place, f"the ledger of {station.name} does not balance: {station.router.ledger}")

    def _list_rules(self, station: Station) -> None:
        """Remember the rules of a router, if they are others than before."""
        self._keep(self._acted)
        rules = tuple(listed_rules(station.router))
        last = next((each for each in reversed(self._result.listings) if each.router == station.name), None)
        if last is None or last.rules != rules:
            self._result.listings.append(Rules(len(self._result.moments), station.name, rules))
            is_linux = isinstance(station.router.profile, LinuxProfile)
            self._result.families[station.name] = "linux" if is_linux else "bsd"

    def _came_from(self, octets: bytes) -> Place | None:
        """The line that brought a packet about that left or was diverted."""
        fates = (Kind.TRANSMITTED, Kind.DIVERTED, Kind.COPIED)
        moments = (each for each in reversed(self._result.moments) if each.event.kind in fates)
        return next((each.place for each in moments if each.event.octets == octets), None)

    def _fail(
        self,
        place: Place,
        why: str,
        *,
        expected: bytes | None = None,
        actual: bytes | None = None,
        is_script_error: bool = False,
    ) -> None:
        self._keep(self._acted)
        since = () if self._told == self._acted else tuple(self._since_action())
        self._told = self._acted
        self._result.failures.append(
            Failure(place, why, expected, actual, since, is_script_error, len(self._result.moments))
        )

    def _since_action(self) -> Iterator[Moment]:
        return (moment for moment in self._result.moments if moment.place == self._acted)

    def _keep(self, place: Place | None) -> None:
        """The events that are not kept yet belong to the action at that place, in the order of their times."""
        fresh: list[Moment] = []
        for name, station in self._world.stations.items():
            kept = self._kept.get(name, 0)
            fresh += [Moment(name, event, place) for event in station.events[kept:]]
            self._kept[name] = len(station.events)
        self._result.moments += sorted(fresh, key=lambda moment: moment.event.time)
