"""DragonFly's lookup tables: numbered, made and unmade by command, without values (DF-6; ip_fw2.c, ipfw_table_*)."""

from __future__ import annotations

from collections.abc import Callable

from rules.addresses import mask_of
from rules.ipfw.tables import Table

__all__ = ["MOST_TABLES", "NumberedTable"]

MOST_TABLES = 64
"""``net.inet.ip.fw.table_max``: tables have numbers below this one."""


class NumberedTable(Table):
    """A table that must be made before it is used; its entries have no values, and remember their use.

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
        found = self.longest(address)
        if found is None:
            return None
        entry = found[:2]
        self.uses[entry] = (self.uses.get(entry, (0, 0.0))[0] + 1, self._now())
        return 0

    def delete(self, address: int, length: int) -> bool:
        self.uses.pop((address & mask_of(length), length), None)
        return super().delete(address, length)

    def flush(self) -> None:
        super().flush()
        self.uses.clear()
