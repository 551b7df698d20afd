"""Lookup tables (ipfw(8), LOOKUP TABLES): prefixes with a 32-bit value each, the longest prefix wins."""

from __future__ import annotations

from collections.abc import Iterator

from rules.addresses import mask_of

__all__ = ["Table"]


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
