"""A list of rules that changes and is searched: when it is worth having tables, and what happens to them at a change.

Making tables costs as much as asking each rule some dozens of times; a list that is searched little, or whose packets
are all decided by its first rules, is better asked rule by rule.  Nobody knows the packets to come, so what was asked
is counted: when asking has cost as much as tables would have, and a search asks more rules than looking up costs,
tables are made.  That is at most twice the cost of having known (the rule for renting or buying skis).

A change does not spoil tables.  A rule that joins the list is *new*: the tables do not know it, and it is asked in its
turn among the candidates.  A rule that leaves is replaced by an item that never matches.  Asking new rules is counted
too, and leads to new tables in the same way.  So adding ten thousand rules one by one makes no tables, or a few times
when each is followed by packets, and adding one rule to ten thousand makes none.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Any, Generic, TypeVar

from rules.classifier import Classifier, Clause, Reader

__all__ = ["Engine", "Roster"]

_PRICE = 60
"""What the tables of a rule cost, in questions: measured, 20 to 110, as the rules and the machine are."""
_WORTH = 24
"""How many rules a search must ask on the average for a look to be cheaper: measured, 15 to 30."""


class Engine(StrEnum):
    """How a list of rules is searched.  The answer is the same."""

    PLAIN = "plain"
    """Rule by rule: the reference."""
    FAST = "fast"
    """By tables, as soon as anything is searched."""
    AUTO = "auto"
    """By tables where that pays."""

    @classmethod
    def _missing_(cls, value: object) -> Engine:
        raise ValueError(f"engine={value!r} is none of {', '.join(cls)}")


Item = TypeVar("Item")


class Roster(Generic[Item]):
    """Items in list order.  ``clauses`` gives what tables can know of one, ``reader`` reads fields (see Classifier)."""

    __slots__ = (
        "_asked",
        "_clauses",
        "_gone",
        "_offsets",
        "_reader",
        "_searches",
        "engine",
        "is_counted",
        "items",
        "new",
        "tables",
    )

    def __init__(self, engine: Engine, clauses: Callable[[Item], Iterable[Clause]], reader: Reader) -> None:
        self.engine = engine
        self._clauses = clauses
        self._reader = reader
        self.items: list[Item] = []
        self.tables: Classifier | None = None
        self.new: list[int] = []
        """Places of the items that the tables do not know, in order."""
        self._offsets: list[int] = []
        """For each of them, how many items before it the tables know."""
        self._gone = self._asked = self._searches = 0
        self.is_counted = False
        """Whether this list may come to tables, so that searches have to say what they asked."""
        self.take(())

    # Changes

    def take(self, items: Iterable[Item]) -> None:
        """Begin anew with these."""
        self.items = list(items)
        self.forget()

    def forget(self) -> None:
        """Drop the tables."""
        self.tables = None
        self._begin()

    def _begin(self) -> None:
        self._gone = self._asked = self._searches = 0
        self._set_new([])

    def insert(self, place: int, item: Item) -> None:
        """A new item, before the one that is there now."""
        self.items.insert(place, item)
        if len(self.new) > len(self.items) // 4:
            self.forget()
        at = bisect_left(self.new, place)
        joined = [place] if self.tables is not None else []
        self._set_new([*self.new[:at], *joined, *[each + 1 for each in self.new[at:]]])

    def remove(self, place: int, nothing: Item) -> bool:
        """An item leaves.  False if ``nothing``, which never matches, had to take its place, for the tables know it."""
        at = bisect_left(self.new, place)
        if self.tables is not None and self.new[at : at + 1] != [place]:
            self.items[place] = nothing
            self._gone += 1
            return False
        del self.items[place]
        self._set_new([*self.new[:at], *[each - 1 for each in self.new[at + 1 :]]])
        return True

    def _set_new(self, new: list[int]) -> None:
        self.new = new
        self._offsets = [place - number for number, place in enumerate(new)]
        self.is_counted = self.engine is Engine.FAST or (self.engine is Engine.AUTO and len(self.items) > _WORTH)

    # Searches

    def asked(self, number: int) -> None:
        """A search has asked so many items that no table knows."""
        self._asked += number
        self._searches += 1

    @property
    def is_due(self) -> bool:
        """Whether tables should be made now."""
        if self.tables is None and self.engine is Engine.FAST:
            return True
        if self._asked <= _PRICE * len(self.items) and self._gone <= len(self.items) // 2:
            return False
        if self.tables is None and self._asked < _WORTH * self._searches:
            self._asked = self._searches = 0
            return False
        return True

    def make_tables(self) -> Classifier:
        """Tables of all items."""
        self.tables = Classifier(map(self._clauses, self.items), len(self.items), self._reader)
        self._begin()
        return self.tables

    def base(self, place: int) -> int:
        """How many items before a place the tables know."""
        return place - bisect_left(self.new, place)

    def next_place(self, known: int, place: int) -> tuple[int, bool]:
        """The next item to ask from ``place`` on, and whether it is new.

        ``known``: the next candidate, as a number among the items that the tables know.
        """
        candidate = known + bisect_right(self._offsets, known)
        at = bisect_left(self.new, place)
        if at < len(self.new) and self.new[at] < candidate:
            return self.new[at], True
        return candidate, False

    def candidates(self, tables: Classifier, subject: Any) -> Iterator[Item]:
        """The items that may match, in order."""
        found, items, size = tables.candidates(subject), self.items, tables.size
        if not self.new:
            while found:
                bits = found.bit_length()
                yield items[size - bits]
                found ^= 1 << bits - 1
            return
        self.asked(len(self.new))
        place = 0
        while place < len(items):
            bits = found.bit_length()
            place, is_new = self.next_place(size - bits, place)
            yield from items[place : place + 1]
            place += 1
            if not is_new and found:
                found ^= 1 << bits - 1
