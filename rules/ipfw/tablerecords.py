"""``table NAME add`` and ``delete``: records of tables since FreeBSD 11, and what the tool says of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rules.ipfw.tableentries import OS_ERROR, Entry, guess_kind, key_of, shown, value_of
from rules.ipfw.tables import Table, Value, free_index
from rules.ipfw.words import DATA_ERROR, USAGE, RefusalError, Words

__all__ = ["Records"]


@dataclass(slots=True)
class _Result:
    """What became of one key: the tool's word for it, the key, and the value to show."""

    word: str
    entry: Entry
    value: Value

    @property
    def changed(self) -> bool:
        return self.word in ("added", "deleted", "updated")


@dataclass(slots=True)
class Records:
    """One run of the command; the fields are those of :class:`~rules.ipfw.typedtables.TypedTables`."""

    words: Words
    tables: dict[str, Table]
    say: Callable[[str], object]
    dry: bool
    quiet: bool

    def run(self, name: str, *, adds: bool, atomic: bool) -> None:
        """Add or delete what the words name.  ``atomic``: all of it or nothing."""
        self.words.need("address required")
        table = self._table_for(name, adds=adds)
        assert table.kind is not None
        records: list[tuple[Entry, Value]] = []
        while self.words:
            entry = key_of(self.words.take(), table.kind, table.flow)
            value: Value = 0 if table.fields is None else {}
            if adds and self.words:
                value = value_of(self.words.take(), table.fields)
            records.append((entry, value))
        if self.dry:
            return
        if name not in self.tables:
            table.index = free_index(self.tables)
            self.tables[name] = table
        results, fault = self._apply(table, records, adds=adds, atomic=atomic)
        harmless = fault in (None, "record already exists" if adds else "record not found")
        if self.quiet and harmless:
            return
        for result in results:
            reverted = "(reverted)" if fault and atomic and result.changed else ""
            self.say(f"{result.word}{reverted}: {shown(result.entry, result.value, table)}")
        if fault is not None:
            raise RefusalError(f"{'Adding' if adds else 'Deleting'} record failed: {fault}", OS_ERROR)

    def _table_for(self, name: str, *, adds: bool) -> Table:
        """The table that records are for; one that is not there yet is made by the first that is added."""
        found = self.tables.get(name)
        if found is not None:
            return found
        if not adds:
            raise RefusalError(f"Table {name} does not exist", DATA_ERROR)
        key = self.words.peek() or ""
        kind = guess_kind(key)
        if kind is None:
            raise RefusalError(f"Table {name} does not exist, cannot guess key '{key}' type", USAGE)
        if not self.quiet:
            self.words.warn(f"DEPRECATED: inserting data into non-existent table {name}. (auto-created)")
        return Table(kind)

    def _apply(
        self, table: Table, records: list[tuple[Entry, Value]], *, adds: bool, atomic: bool
    ) -> tuple[list[_Result], str | None]:
        """Carry the records out; what became of each, and the first fault.  ``atomic``: all of them or none."""
        if table.locked:
            return [_Result("ignored", *record) for record in records], "table is locked"
        fault: str | None = None
        results: list[_Result] = []
        undo: list[tuple[Entry, Value | None]] = []
        for entry, value in records:
            if fault is not None and atomic:
                results.append(_Result("ignored", entry, value))
                continue
            before = entry.value_in(table)
            result, wrong = self._add(table, entry, value) if adds else self._delete(table, entry, value)
            results.append(result)
            if wrong is None:
                undo.append((entry, before))
            fault = fault or wrong
        if fault is not None and atomic:
            for entry, old in reversed(undo):
                entry.drop(table) if old is None else entry.store(table, old)
        return results, fault

    def _add(self, table: Table, entry: Entry, value: Value) -> tuple[_Result, str | None]:
        there = entry.value_in(table)
        if there is not None and not self.quiet:
            return _Result("exists", entry, value), "record already exists"
        if there is None and table.is_full:
            return _Result("limit", entry, value), "limit hit"
        entry.store(table, value)
        return _Result("added" if there is None else "updated", entry, value), None

    def _delete(self, table: Table, entry: Entry, value: Value) -> tuple[_Result, str | None]:
        there = entry.value_in(table)
        if there is None:
            return _Result("notfound", entry, value), "record not found"
        entry.drop(table)
        return _Result("deleted", entry, there), None
