"""Episodes: a fresh router and some hundred steps each, so that a failure needs nothing from before its episode.

What an episode does follows from the seed, the profile and its number alone.  When one fails, steps are left out as
long as it still fails the same way, which mostly leaves a handful, and a command that repeats just these is given.
"""

from __future__ import annotations

import hashlib
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from benchmarks.fuzz.drawing import Step, steps, switches
from benchmarks.fuzz.machine import Machine

__all__ = ["STEPS", "Failure", "Outcome", "Plan", "run", "run_episode"]

STEPS = 400
"""Steps of an episode."""
_TRACED = 8
"""Every so many episodes a trace is looked at as well, which makes all slower."""
_PATIENCE = 20
"""Seconds that a step may take before it counts as hanging."""
_FAILURES = 5
"""Different failures of a profile after which it is left alone."""
_ATTEMPTS = 300
"""Runs that may be spent on leaving steps out."""


class HangingError(Exception):
    """A step takes for ever."""


@dataclass(frozen=True)
class Plan:
    """What one episode does."""

    profile: str
    seed: int
    episode: int
    only: tuple[int, ...] | None = None
    """The steps to do, from 1; None: all."""

    def drawn(self) -> tuple[dict[str, Any], list[tuple[int, Step]]]:
        """The router's switches, and the steps with their numbers."""
        rng = Random(f"{self.seed} {self.profile} {self.episode}")
        chosen = switches(rng, self.profile)
        every = list(enumerate(steps(rng, self.profile, STEPS), start=1))
        return chosen, every if self.only is None else [pair for pair in every if pair[0] in self.only]

    @property
    def traced(self) -> bool:
        return self.episode % _TRACED == 0

    @property
    def command(self) -> str:
        """What repeats it."""
        only = "" if self.only is None else f" --only {','.join(map(str, self.only))}"
        return f"python -m benchmarks.fuzz --profile {self.profile} --seed {self.seed} --episode {self.episode}{only}"


@dataclass
class Failure:
    """An episode that failed, with the fewest steps that do."""

    plan: Plan
    step: int
    """The step at which it failed, from 1; 0: afterwards."""
    error: str
    """The last line of the traceback."""
    traceback: str
    signature: tuple[str, ...]
    """What makes two failures the same: the exception's type, and where it was raised."""


@dataclass
class Outcome:
    """What a profile's episodes came to."""

    profile: str
    steps: int = 0
    episodes: int = 0
    done: Counter[str] = field(default_factory=Counter)
    """Steps by name."""
    failed: Counter[str] = field(default_factory=Counter)
    """Expected errors, by the errno's name."""
    packets: Counter[str] = field(default_factory=Counter)
    """The ledgers' sums."""
    dropped: Counter[str] = field(default_factory=Counter)
    """By reason."""
    failures: list[Failure] = field(default_factory=list)
    digest: str = ""
    """Of all that happened: the same for the same seed."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "profile": self.profile,
            "steps": self.steps,
            "episodes": self.episodes,
            "digest": self.digest,
            "done": dict(sorted(self.done.items())),
            "errors": dict(sorted(self.failed.items())),
            "packets": dict(self.packets),
            "dropped": dict(sorted(self.dropped.items())),
            "failures": [
                {"step": failure.step, "error": failure.error, "replay": failure.plan.command}
                for failure in self.failures
            ],
        }


def run(profile: str, seed: int, count: int, progress: Callable[[int], object] = lambda _: None) -> Outcome:
    """At least so many steps on a profile; `progress` gets the steps of each episode as it is over."""
    outcome = Outcome(profile)
    digest = hashlib.sha256()
    while outcome.steps < count and len(outcome.failures) < _FAILURES:
        plan = Plan(profile, seed, outcome.episodes)
        failure, machine = run_episode(plan, outcome, digest.update)
        outcome.episodes += 1
        if failure is None:
            outcome.failed += machine.failed
            _add_up(outcome, machine)
        elif all(failure.signature != known.signature for known in outcome.failures):
            outcome.failures.append(_smallest(failure))
        progress(STEPS)
    outcome.digest = digest.hexdigest()[:16]
    return outcome


def run_episode(
    plan: Plan, outcome: Outcome | None = None, note: Callable[[bytes], object] = lambda _: None
) -> tuple[Failure | None, Machine]:
    """One episode: how it failed, if it did, and its machine."""
    chosen, drawn = plan.drawn()
    machine = Machine(plan.profile, chosen, traced=plan.traced)
    number = 0
    try:
        with _impatience() as again:
            for number, step in drawn:
                if not number % 50:
                    again()
                note(machine.do(step).encode())
                if outcome is not None:
                    outcome.steps += 1
                    outcome.done[step.name] += 1
            number = 0
            again()
            machine.end()
    except Exception as error:
        return _failure(plan, number, error), machine
    note(str(machine.router.ledger).encode())
    for name in sorted(machine.router.interfaces):
        for octets in getattr(machine.router.interfaces[name].link, "sent", ()):
            note(octets)
    return None, machine


def _add_up(outcome: Outcome, machine: Machine) -> None:
    for name, count in machine.router.ledger.as_dict().items():
        if isinstance(count, dict):
            outcome.dropped.update(count)
        else:
            outcome.packets[name] += count


@contextmanager
def _impatience() -> Iterator[Callable[[], object]]:
    """HangingError is raised inside when nobody calls what this gives for too long."""

    def hanging(*_: object) -> None:
        raise HangingError(f"not over after {_PATIENCE} seconds")

    before = signal.signal(signal.SIGALRM, hanging)
    try:
        signal.alarm(_PATIENCE)
        yield lambda: signal.alarm(_PATIENCE)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _failure(plan: Plan, number: int, error: Exception) -> Failure:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "fuzz" not in frame.filename] or frames
    where = (ours[-1].filename.rpartition("/")[2], ours[-1].name, str(ours[-1].lineno))
    if isinstance(error, HangingError):
        where = ()
    text = "".join(traceback.format_exception(error))
    return Failure(plan, number, text.strip().splitlines()[-1], text, (type(error).__name__, *where))


def _smallest(failure: Failure) -> Failure:
    """The same failure with as few steps as can be found by leaving out halves, quarters, and single ones."""
    last = failure.step or STEPS
    kept: Sequence[int] = range(1, last + 1)
    attempts = 0 if failure.signature[0] == HangingError.__name__ else _ATTEMPTS
    size = max(len(kept) // 2, 1)
    while attempts > 0:
        shorter = None
        for start in range(0, len(kept), size):
            attempts -= 1
            candidate = [*kept[:start], *kept[start + size :]]
            again, _ = run_episode(
                Plan(failure.plan.profile, failure.plan.seed, failure.plan.episode, tuple(candidate))
            )
            if again is not None and again.signature == failure.signature:
                failure, shorter = again, candidate
                break
            if attempts <= 0:
                break
        if shorter is not None:
            kept = shorter
            size = min(size, max(len(kept) // 2, 1))
        elif size == 1:
            break
        else:
            size //= 2
    return failure
