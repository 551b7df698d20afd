"""Lookup tables (ipfw(8), LOOKUP TABLES): what rules look up in, and the values that they find.

A table of addresses holds prefixes, of which the longest wins; tables of interfaces, numbers and flows hold keys that
must be equal.  A value is one number for every use, or (FreeBSD 11 and later) one number for each use that the table
was made for.  Before FreeBSD 11 a table has no kind of its own: it is whatever was put into it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

from rules.addresses import mask_of

__all__ = ["FLOW_PARTS", "VALUE_FIELDS", "Key", "Kind", "Table", "Value", "free_index", "part_of"]

VALUE_FIELDS = (
    "skipto",
    "pipe",
    "fib",
    "nat",
    "dscp",
    "tag",
    "divert",
    "netgraph",
    "limit",
    "ipv4",
    "ipv6",
    "mark",
)
"""What a value may be used for, in the order in which several are written."""

FLOW_PARTS = ("src-ip", "proto", "src-port", "dst-ip", "dst-port")
"""Parts of a flow, in the order of a key."""

Value = int | Mapping[str, int]
"""One number for everything, or one for each field."""

Key = str | int | tuple[int, ...]
"""An interface, a number, or the parts of a flow."""


def part_of(value: Value, field: str) -> int:
    """The number that a value has for one use; 0 if it has none."""
    return value if isinstance(value, int) else value.get(field, 0)


class Kind(StrEnum):
    """What the keys of a table are."""

    ADDRESS = "addr"
    MAC = "mac"
    INTERFACE = "iface"
    NUMBER = "number"
    FLOW = "flow"


_ALGORITHMS = {
    Kind.ADDRESS: "addr:radix",
    Kind.MAC: "mac:radix",
    Kind.INTERFACE: "iface:array",
    Kind.NUMBER: "number:array",
    Kind.FLOW: "flow:hash",
}


class Table:
    """Keys with values."""

    __slots__ = ("_by_length", "_lengths", "algorithm", "exact", "fields", "flow", "index", "kind", "limit", "locked")

    def __init__(
        self,
        kind: Kind | None = None,
        *,
        flow: tuple[str, ...] = (),
        fields: tuple[str, ...] | None = None,
        algorithm: str = "",
        limit: int = 0,
        locked: bool = False,
        index: int = 0,
    ) -> None:
        self.kind = kind
        """None: not said, before FreeBSD 11."""
        self.flow = flow or (FLOW_PARTS if kind is Kind.FLOW else ())
        """The parts that make a key of a table of flows."""
        self.fields = fields
        """What its values are for; None: one number for everything."""
        self.algorithm = algorithm or (_ALGORITHMS[kind] if kind else "")
        self.limit = limit
        """The most entries there may be; 0: any number."""
        self.locked = locked
        self.index = index
        """The kernel's number for it."""
        self._by_length: dict[int, dict[int, Value]] = {}
        self._lengths: tuple[tuple[int, dict[int, Value]], ...] = ()
        self.exact: dict[Key, Value] = {}
        """Values by interface, number or flow."""

    # Prefixes

    def add(self, address: int, length: int, value: Value) -> bool:
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

    def find(self, address: int, length: int) -> Value | None:
        """The value of exactly that prefix."""
        return self._by_length.get(length, {}).get(address & mask_of(length))

    def lookup(self, address: int) -> Value | None:
        """The value of the longest prefix that holds the address."""
        for mask, entries in self._lengths:
            value = entries.get(address & mask)
            if value is not None:
                return value
        return None

    def longest(self, address: int) -> tuple[int, int, Value] | None:
        """The longest prefix that holds the address, as (network, length, value)."""
        for length in sorted(self._by_length, reverse=True):
            network = address & mask_of(length)
            if network in self._by_length[length]:
                return network, length, self._by_length[length][network]
        return None

    def _sort(self) -> None:
        lengths = sorted((length for length, entries in self._by_length.items() if entries), reverse=True)
        self._lengths = tuple((mask_of(length), self._by_length[length]) for length in lengths)

    # The whole

    def flush(self) -> None:
        """Remove everything."""
        self._by_length.clear()
        self.exact.clear()
        self._sort()

    def exchange(self, other: Table) -> None:
        """Take the other table's contents, limit and values, and give it one's own; rules keep the table they name."""
        for name in ("_by_length", "_lengths", "algorithm", "exact", "fields", "flow", "limit", "locked"):
            mine, theirs = getattr(self, name), getattr(other, name)
            setattr(self, name, theirs)
            setattr(other, name, mine)

    @property
    def is_full(self) -> bool:
        """Nothing more may be added."""
        return bool(self.limit) and len(self) >= self.limit

    def __iter__(self) -> Iterator[tuple[int, int, Value]]:
        """The prefixes as (network, length, value), in order of address, shorter ones first."""
        entries = [(net, length, value) for length, block in self._by_length.items() for net, value in block.items()]
        return iter(sorted(entries, key=lambda entry: entry[:2]))

    def __len__(self) -> int:
        return sum(map(len, self._by_length.values())) + len(self.exact)


def free_index(tables: dict[str, Table]) -> int:
    """The smallest index that no table has."""
    used = {table.index for table in tables.values()}
    return next(index for index in range(1, len(tables) + 2) if index not in used)
