"""What is done to a router, written down as a script: a failing test leaves a scenario that anybody can play.

>>> from simulator import Router
>>> from simulator.scenario import record
>>> router = Router("freebsd-13", default_accept=True)
>>> em0 = router.add_interface("em0", "192.168.1.1/24")
>>> with record(router, on_failure="failing.scn") as recording:
...     em0.receive(datagram)
...     assert em0.sent == []
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path

from simulator.history import Act
from simulator.router import Router
from simulator.scenario.composing import Composer
from simulator.scenario.model import ScriptError
from simulator.scenario.told import BUILDING, Sentences, UnsayableError, unsaid_of
from simulator.scenario.watching import Read, Received, Sent, Step, Watcher, Wrote
from simulator.trace import Event, Kind

__all__ = ["Recording", "record"]


@contextmanager
def record(router: Router, on_failure: str | Path | None = None) -> Iterator[Recording]:
    """Inside, everything that is done to the router is recorded; what was done to build it is part of the script.

    When something is raised inside, a failed assertion above all, the script is added to what is raised (pytest shows
    it), or written to the file ``on_failure``, and what was raised stands in its first comment.  Under Hypothesis the
    last example that fails is the smallest.  Ctrl-C, ``assume`` and ``pytest.skip`` are no failures.

    Take the router before any packet has passed: fragments and dynamic rules that wait in it are not recorded.
    """
    recording = Recording(router)
    try:
        with recording:
            yield recording
    except BaseException as error:
        if is_failure(error):
            recording.explain(error, on_failure)
        raise


def is_failure(error: BaseException) -> bool:
    """Whether what was raised says that something is wrong, not that somebody breaks off or wants another example:
    Ctrl-C, ``assume`` of Hypothesis, ``pytest.skip``."""
    if isinstance(error, Exception):
        return not type(error).__module__.startswith("hypothesis.")
    return type(error).__name__ == "Failed"  # of pytest.fail, which is no Exception


def _first_line(error: BaseException) -> str:
    said = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


class Recording:
    """A recording; what it has taken down so far is ``script``."""

    def __init__(self, router: Router) -> None:
        self._watcher = Watcher(router)
        self.why = ""
        """Why it was made, for the first comment."""

    def __enter__(self) -> Recording:
        self._watcher.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._watcher.__exit__()

    def explain(self, error: BaseException, path: str | Path | None = None) -> None:
        """Add the script to what was raised, or write it to a file and add where."""
        self.why = _first_line(error)
        if path is None:
            error.add_note(f"As a scenario:\n\n{self.script}")
        else:
            found = self.save(path)
            error.add_note(f"The scenario is in {found}: divertsim run {shlex.quote(str(found))}")

    @property
    def script(self) -> str:
        """The text of the script.  It says what happened, as expectations; it is for you to say what should have.

        What the language has no words for stands in comments, and so does the first thing that goes another way when
        the script is played.
        """
        self._watcher.look()
        return _Writer(self._watcher).script(self.why)

    def save(self, path: str | Path) -> Path:
        """Write the script to a file, its name ends in ``.scn``.  :raises OSError: when that cannot be done."""
        found = Path(path)
        found.write_text(self.script, encoding="utf-8")
        return found


class _Writer:
    """From steps to a script."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._composer = Composer()
        self._sentences = Sentences(watcher.router, self._composer.address_of)

    def script(self, why: str) -> str:
        composer, before = self._composer, self._watcher.began_at
        composer.comment(why or "What was done to a router, and what came of it.")
        if before:
            composer.comment(f"Not recorded: {before} packet{'s' * (before > 1)} that had passed before.")
        for step in self._watcher.steps:
            try:
                self._write(step)
            except UnsayableError as error:
                self._leave_out(str(error))
            except ScriptError as error:
                self._leave_out(error.message)
        composer.until(self._watcher.router.clock.now())
        composer.read_the_rest()
        if (other := _first_difference(self._watcher.events, composer.events)) is not None:
            composer.blank()
            composer.comment(f"Played, it goes another way than what was recorded: {other}")
        return composer.text()

    def _leave_out(self, what: str) -> None:
        self._composer.comment(f"Left out, for scripts have no words for it: {what}")

    def _write(self, step: Step) -> None:
        composer, sentences = self._composer, self._sentences
        composer.until(step.time)
        if isinstance(step, Act) and step.method in BUILDING:
            composer.build(*BUILDING[step.method](step.arguments))
            if unsaid := unsaid_of(step):
                self._leave_out(unsaid)
        elif isinstance(step, Read):
            if (name := sentences.name_of(step.sock)) is not None:
                composer.read(name)
        else:
            is_packet = isinstance(step, Received | Sent | Wrote)
            for parts in sentences.of(step):  # one line may need what the one before did
                if is_packet:
                    composer.blank()
                composer.do(*parts)


# Whether it is the same


_OUTCOMES = frozenset(
    {Kind.FIREWALL, Kind.TRANSMITTED, Kind.DIVERTED, Kind.COPIED, Kind.DELIVERED, Kind.DROPPED, Kind.MERGED}
)


def _first_difference(recorded: Sequence[Event], played: Sequence[Event]) -> str | None:
    """The first outcome in which the script goes another way."""
    pairs = zip_longest(*([event for event in events if event.kind in _OUTCOMES] for events in (recorded, played)))
    for one, other in pairs:
        if one is None or other is None or _what(one) != _what(other):
            return f"{_shown(one)}; played: {_shown(other)}"
    return None


def _what(event: Event) -> tuple[object, ...]:
    return event.kind, event.interface, event.hook, event.rule, event.verdict, event.reason, event.octets


def _shown(event: Event | None) -> str:
    return "nothing" if event is None else " ".join(str(event).split())
