"""What is left to choose from when some questions must be answered yes and others no.

Fields are chosen from values that the questions themselves name, with their neighbours (:mod:`candidates`), so nothing
is drawn in vain: a question strikes out what does not answer it as wished, and whatever stays is an answer.  Fields
that one question reads together are chosen together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice, product

from rules.fields import Fields, Header
from rules.ipfw.world import TransportCutShortError

__all__ = ["Ask", "Domain", "Row", "Wishes"]

_MOST_TRIES = 50_000
"""Combinations of values of fields that one question reads together that are looked at; the later ones are left out."""

Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """A question made ready: ``reads`` names the fields that the answer depends on."""

    test: Callable[[Fields], bool]
    reads: frozenset[str]

    def answer(self, fields: Fields) -> bool | None:
        """None where the search ends at the question itself (F-13)."""
        try:
            return bool(self.test(fields))
        except TransportCutShortError:
            return None


Wishes = tuple[tuple[Ask, bool], ...]
"""Questions, each with the answer that is wished for."""


class Domain:
    """For each group of fields the rows of values that are still allowed, the nicest first.  A value: never changed."""

    __slots__ = ("groups", "start")

    def __init__(self, start: Header, groups: Mapping[tuple[str, ...], tuple[Row, ...]]) -> None:
        self.start = start
        """The fields about which there is no choice."""
        self.groups = groups

    def limited(self, ask: Ask, *, wanted: bool = True) -> Domain | None:
        """What is left when the question is answered so; None for nothing."""
        read = [names for names in self.groups if not ask.reads.isdisjoint(names)]
        scratch = replace(self.start)
        if not read:
            return self if ask.answer(scratch) is wanted else None
        merged = tuple(name for names in read for name in names)
        kept = tuple(row for row in self._rows(read) if _answer(ask, scratch, merged, row) is wanted)
        if not kept:
            return None
        others = {names: rows for names, rows in self.groups.items() if names not in read}
        return Domain(self.start, {**others, merged: kept})

    def _rows(self, read: Iterable[tuple[str, ...]]) -> Iterator[Row]:
        combined = product(*(self.groups[names] for names in read))
        return islice((tuple(value for row in rows for value in row) for rows in combined), _MOST_TRIES)

    def all_of(self, asks: Iterable[Ask]) -> Domain | None:
        """What is left when every question is answered yes."""
        left: Domain | None = self
        for ask in asks:
            if left is None:
                return None
            left = left.limited(ask)
        return left

    def header(self, choose: Callable[[tuple[Row, ...]], Row]) -> Header:
        """A header of what is left; ``choose`` picks the row of each group."""
        made = replace(self.start)
        for names in sorted(self.groups):
            _put(made, names, choose(self.groups[names]))
        return made


def _put(header: Header, names: tuple[str, ...], row: Row) -> None:
    for name, value in zip(names, row, strict=True):
        setattr(header, name, value)


def _answer(ask: Ask, scratch: Header, names: tuple[str, ...], row: Row) -> bool | None:
    _put(scratch, names, row)
    return ask.answer(scratch)
