"""How benchmarks are measured here: contestants and yardstick in turn, round by round, and the median of the ratios.

A machine's speed changes while one looks (other tenants, clock frequency), so an absolute figure says little tomorrow.
What was measured in the same round had the same weather.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from statistics import median
from typing import NamedTuple

__all__ = ["Effort", "Row", "compare"]


class Effort(NamedTuple):
    """How much is measured: rounds, and seconds that one contestant has in a round."""

    rounds: int
    seconds: float


class Row(NamedTuple):
    """One line of the table: medians in `unit`; `ratio` is the median of the rounds' ratios."""

    subject: str
    contestant: str
    yardstick: str
    figure: float
    yardstick_figure: float
    unit: str
    ratio: float


def compare(
    subject: str, unit: str, yardstick: str, contestants: Mapping[str, Callable[[float], float]], effort: Effort
) -> list[Row]:
    """Measure all contestants, the yardstick among them by name, and one row for each of the others.

    A contestant gets the seconds it has and returns its speed, larger being better.
    """
    for run in contestants.values():
        run(min(effort.seconds, 0.1))  # caches, imports and allocators are warm when it counts
    speeds: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(effort.rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            gc.collect()
            speeds[name].append(contestants[name](effort.seconds))
    ours = speeds.pop(yardstick)
    return [
        Row(
            subject,
            name,
            yardstick,
            median(theirs),
            median(ours),
            unit,
            median(one / other for one, other in zip(theirs, ours, strict=True)),
        )
        for name, theirs in speeds.items()
    ]
