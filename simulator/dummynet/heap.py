"""A heap from which anything can be taken out; what has the same key comes out in the order in which it went in."""

from __future__ import annotations

import heapq
from itertools import count
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["Heap", "Heaped"]


class Heaped(Protocol):
    """What a heap holds; it knows which heap it is in, and its place there."""

    heap: Any
    entry: int


Item = TypeVar("Item", bound=Heaped)


class Heap(Generic[Item]):
    """Items by a key, the smallest first."""

    _order = count(1)

    def __init__(self) -> None:
        self._entries: list[tuple[int, int, Item]] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, key: int, item: Item) -> None:
        item.heap, item.entry = self, next(self._order)
        heapq.heappush(self._entries, (key, item.entry, item))
        self._size += 1

    def remove(self, item: Item) -> None:
        """Take out an item that is in here."""
        item.heap = None
        self._size -= 1

    def first(self) -> tuple[int, Item]:
        """The smallest key, and whose it is; there must be one."""
        while True:
            key, entry, item = self._entries[0]
            if item.heap is self and item.entry == entry:
                return key, item
            heapq.heappop(self._entries)

    def pop(self) -> Item:
        item = self.first()[1]
        heapq.heappop(self._entries)
        self.remove(item)
        return item
