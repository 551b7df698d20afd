"""Lookup tables (ipfw(8), LOOKUP TABLES): prefixes with a 32-bit value each, the longest prefix wins."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rules.addresses import mask_of

__all__ = ["MOST_TABLES", "NumberedTable", "Table"]

MOST_TABLES = 64
"""``net.inet.ip.fw.table_max`` of DragonFly: tables have numbers below this one."""


class Table:
    """Prefix -> value, with longest-prefix lookup."""

    __slots__ = ("_by_length", "_lengths", "names")

    def __init__(self) -> None:
        self._by_length: dict[int, dict[int, int]] = {}
        self._lengths: tuple[tuple[int, dict[int, int]], ...] = ()
        self.names: dict[str, int] = {}
        """Values by interface name, for ``recv table(N)``."""

    def add(self, address: int, length: int, value: int) -> bool:
        """Add a prefix; False if it is there already (its value stays)."""
        entries = self._by_length.setdefault(length, {})
        network = address & mask_of(length)
        if network in entries:
            return False
        entries[network] = value
        self._sort()
        return True

    def delete(self, address: int, length: int) -> bool:
        """Remove a prefix; False if there is none."""
        found = self._by_length.get(length, {}).pop(address & mask_of(length), None)
        self._sort()
        return found is not None

    def flush(self) -> None:
        """Remove everything."""
        self._by_length.clear()
        self.names.clear()
        self._sort()

    def _sort(self) -> None:
        lengths = sorted((length for length, entries in self._by_length.items() if entries), reverse=True)
        self._lengths = tuple((mask_of(length), self._by_length[length]) for length in lengths)

    def lookup(self, address: int) -> int | None:
        """The value of the longest prefix that holds the address."""
        for mask, entries in self._lengths:
            value = entries.get(address & mask)
            if value is not None:
                return value
        return None

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """(network, length, value), in order of address, shorter prefixes first."""
        entries = [(net, length, value) for length, block in self._by_length.items() for net, value in block.items()]
        return iter(sorted(entries))

    def __len__(self) -> int:
        return sum(map(len, self._by_length.values())) + len(self.names)


class NumberedTable(Table):
    """A table of DragonFly: it must be made before it is used, its entries have no values, and remember their use.

    ``now``: seconds, for the time of the last use.
    """

    __slots__ = ("_now", "made", "uses")

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__()
        self._now = now
        self.made = False
        """``table N create`` was said; until then nothing is in it."""
        self.uses: dict[tuple[int, int], tuple[int, float]] = {}
        """(network, length) -> how often it matched, and when last; without an entry, never."""

    def lookup(self, address: int) -> int | None:
        """0 for an address that the table has, None for others; the entry that it is remembers that."""
        for length in sorted(self._by_length, reverse=True):
            network = address & mask_of(length)
            if network in self._by_length[length]:
                self.uses[network, length] = (self.uses.get((network, length), (0, 0.0))[0] + 1, self._now())
                return 0
        return None

    def delete(self, address: int, length: int) -> bool:
        self.uses.pop((address & mask_of(length), length), None)
        return super().delete(address, length)

    def flush(self) -> None:
        super().flush()
        self.uses.clear()
