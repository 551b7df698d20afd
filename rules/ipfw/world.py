"""What questions and actions reach for beyond the datagram: host, tables, chance, and the registers of one search."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rules.ipfw.nat.instances import Instances
from rules.ipfw.numberedtables import NumberedTable
from rules.ipfw.surroundings import Surroundings
from rules.ipfw.tables import Kind, Table, Value, part_of

if TYPE_CHECKING:
    from rules.fields import Fields

__all__ = ["BogusFragmentError", "Test", "TransportCutShortError", "World"]

Test = Callable[["Fields"], bool]
"""A question made ready: asked about one datagram, it answers."""


class TransportCutShortError(Exception):
    """The datagram ends before the transport header that a question needs; the search ends with a drop (F-13)."""


class BogusFragmentError(TransportCutShortError):
    """A TCP fragment that begins behind the first eight octets of its segment met a rule that asks about TCP (F-13)."""


class World:
    """The host, the lookup tables and the registers that live as long as one search."""

    __slots__ = (
        "_now",
        "chance",
        "fib",
        "highest_icmp_type",
        "nats",
        "numbered_tables",
        "surroundings",
        "tablearg",
        "tables",
        "transaction_tcp",
        "typed_tables",
    )

    def __init__(
        self,
        surroundings: Surroundings,
        chance: Callable[[], float],
        *,
        highest_icmp_type: int = 40,
        typed_tables: bool = False,
        transaction_tcp: bool = False,
        now: Callable[[], float] = float,
    ) -> None:
        self.surroundings = surroundings
        self.highest_icmp_type = highest_icmp_type
        """Greater types match no ``icmptypes``."""
        self.typed_tables = typed_tables
        self.transaction_tcp = transaction_tcp
        """``tcpoptions cc`` finds the options of T/TCP."""
        self._now = now
        self.numbered_tables: dict[int, NumberedTable] = {}
        """DragonFly's tables, by number."""
        self.tables: dict[str, Table] = {}
        """Lookup tables by name; a table comes into being when something first names it."""
        self.nats = Instances()
        """What ``nat N config`` configured."""
        self.chance = chance
        """A random number in [0, 1), for ``prob``."""
        self.tablearg: Value = 0
        """Value of the last table entry that matched in this search."""
        self.fib = 0
        """The routing table that ``setfib`` chose in this search."""

    def table(self, name: str, kind: Kind | None = None) -> Table:
        """The table of this name, made if there is none: of that kind, where tables have one."""
        found = self.tables.get(name)
        if found is None:
            index = 1 + max((table.index for table in self.tables.values()), default=0)
            found = self.tables[name] = Table(kind if self.typed_tables else None, index=index)
        return found

    def numbered_table(self, number: int) -> NumberedTable:
        """DragonFly's table of this number; nothing is in it until a command makes it."""
        return self.numbered_tables.setdefault(number, NumberedTable(self._now))

    def argument(self, field: str) -> int:
        """What the table entry that matched last gives for one use (``tablearg``)."""
        return part_of(self.tablearg, field)
