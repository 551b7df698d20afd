"""Brute force over a space of packets that is small enough to ask about each, made quick.

Each question is asked of every packet once, and its answers are kept as the bits of an integer, so that what thousands
of rules match is found by ANDs.  Packets that match the same rules of a list are *alike*: no list of these rules can
treat them differently, so of each such class one packet is sent through the list.  That the rule set itself agrees is
asked of a few more of each class (:func:`others`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import Generic, TypeVar

__all__ = ["Asked", "bits", "classes", "lowest", "others"]

Point = TypeVar("Point")


class Asked(Generic[Point]):
    """A space, and which of its points answer yes to what has been asked."""

    def __init__(self, points: Sequence[Point], ask: Callable[[str], Callable[[Point], bool]]) -> None:
        self.points = points
        self.everything = (1 << len(points)) - 1
        self._ask = ask
        self._answers: dict[str, int] = {}

    def __call__(self, question: str) -> int:
        """The points that answer yes, as bits."""
        if question not in self._answers:
            test = self._ask(question)
            text = "".join("1" if test(point) else "0" for point in reversed(self.points))
            self._answers[question] = int(text, 2)
        return self._answers[question]

    def all(self, questions: Iterable[str]) -> int:
        found = self.everything
        for question in questions:
            found &= self(question)
        return found


def classes(everything: int, sets: Iterable[int]) -> list[int]:
    """The points that no set tells apart: disjoint, and together everything."""
    found = [everything]
    for each in sets:
        found = [part for old in found for part in (old & each, old & ~each) if part]
    return found


def lowest(points: int) -> int:
    return (points & -points).bit_length() - 1


def bits(points: int) -> Iterator[int]:
    """The positions of the bits that are set, from the lowest."""
    text = bin(points)[:1:-1]
    at = text.find("1")
    while at >= 0:
        yield at
        at = text.find("1", at + 1)


def others(points: int, random: Random) -> Iterator[int]:
    """Two members of a class, besides the lowest."""
    for _ in range(2):
        above = points >> random.randrange(points.bit_length())
        if above:
            yield points.bit_length() - above.bit_length() + lowest(above)
