"""``ipfw table`` since FreeBSD 11: tables have names, kinds, kinds of values, limits and locks.

    table NAME create [type KIND[:PARTS]] [valtype FIELDS] [algo NAME] [limit N] [locked] [missing] [or-flush]
    table NAME modify limit N | lock | unlock | swap NAME | destroy | flush | info | detail | list
    table NAME [atomic] add KEY [VALUE] [KEY VALUE] ... | delete KEY ... | lookup KEY
    table all list | info | detail | flush | destroy

Source: ipfw(8), LOOKUP TABLES; sbin/ipfw/tables.c and ip_fw_table.c.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from rules.ipfw.switches import Switches
from rules.ipfw.tableentries import OS_ERROR, Entry, entries, guess_kind, key_of, shown, value_of
from rules.ipfw.tables import FLOW_PARTS, VALUE_FIELDS, Kind, Table, Value
from rules.ipfw.words import DATA_ERROR, UNAVAILABLE, USAGE, RefusalError, Words, leading_number

__all__ = ["TypedTables"]

_COMMANDS = (
    "add",
    "delete",
    "create",
    "destroy",
    "flush",
    "modify",
    "swap",
    "info",
    "detail",
    "list",
    "lookup",
    "atomic",
    "lock",
    "unlock",
)
_FOR_ALL = ("list", "info", "detail", "flush", "destroy")
_CREATION = ("type", "valtype", "algo", "limit", "locked", "missing", "or-flush")
_HEADER_OCTETS, _ENTRY_OCTETS = 296, 112
"""What ``info`` counts: the headers of the kernel's answer, and each entry in it."""


@dataclass(slots=True)
class _Result:
    """What became of one key: the tool's word for it, the key, and the value to show."""

    word: str
    entry: Entry
    value: Value

    @property
    def changed(self) -> bool:
        return self.word in ("added", "deleted", "updated")


class TypedTables:
    """One run of the command.

    ``references``: how many rules name a table.  ``say`` takes what it prints.  ``dry``, ``quiet`` and
    ``as_addresses`` are the options ``-n``, ``-q`` and ``-i``.
    """

    def __init__(
        self,
        words: Words,
        tables: dict[str, Table],
        switches: Switches,
        *,
        references: Callable[[str], int],
        say: Callable[[str], object],
        dry: bool,
        quiet: bool,
        as_addresses: bool,
    ) -> None:
        self.words = words
        self.tables = tables
        self.switches = switches
        self.references = references
        self.say = say
        self.dry = dry
        self.quiet = quiet
        self.as_addresses = as_addresses

    def run(self) -> None:
        """Carry out what follows ``table``."""
        words = self.words
        name = words.need("table needs name")
        words.take()
        if name != "all" and not re.fullmatch(r"[A-Za-z0-9_.-]{1,63}", name):
            raise RefusalError(f"table name {name} is invalid", USAGE)
        words.need("table needs command")
        command = self._keyword(_COMMANDS, "table command")
        atomic = command == "atomic"
        if atomic:
            word = words.need("atomic needs command")
            command = self._keyword(_COMMANDS, "table command")
            if command != "add":
                raise RefusalError(f"atomic is not compatible with {word}", USAGE)
        if name == "all":
            if command not in _FOR_ALL:
                raise RefusalError("table name required", USAGE)
            for each in self._names():
                self._one_of_all(each, command)
            return
        match command:
            case "add" | "delete":
                self._records(name, adds=command == "add", atomic=atomic)
            case "create":
                self._create(name)
            case "modify":
                self._modify(name)
            case "swap":
                self._swap(name)
            case "lock" | "unlock":
                self._lock(name, locked=command == "lock")
            case "lookup":
                self._lookup(name)
            case "destroy":
                self._destroy(name)
            case "flush":
                self._flush(name)
            case _:
                self._show(name, command)

    def _keyword(self, keywords: tuple[str, ...], what: str) -> str:
        """The keyword that the next word, taken, is or alone begins."""
        word = self.words.take()
        found = [keyword for keyword in keywords if keyword.startswith(word)] if word else []
        if len(found) != 1:
            raise RefusalError(f"ambiguous {what} {word}", USAGE)
        return found[0]

    def _names(self) -> list[str]:
        return sorted(self.tables, key=lambda name: (len(name), name))

    def _failed(self, text: str, reason: str) -> RefusalError:
        return RefusalError(f"{text}: {reason}", OS_ERROR)

    # Making and changing tables

    def _create(self, name: str) -> None:
        wanted, missing, or_flush = self._creation()
        if self.dry:
            return
        found = self.tables.get(name)
        if found is None:
            wanted.index = _free_index(self.tables)
            self.tables[name] = wanted
            return
        if not missing:
            raise self._failed("Table creation failed", "File exists")
        same = all(
            getattr(found, part) == getattr(wanted, part)
            for part in ("limit", "kind", "flow", "fields", "algorithm", "locked")
        )
        if not same:
            raise RefusalError("The existing table is not compatible with one you are creating.", DATA_ERROR)
        if or_flush:
            if found.locked:
                raise self._failed("Table flush on creation failed", "Permission denied")
            found.flush()

    def _creation(self) -> tuple[Table, bool, bool]:
        """The table that the options after ``create`` describe; whether it may exist; whether it is then emptied."""
        kind, algorithm, limit, locked, missing, or_flush = Kind.ADDRESS, "", 0, False, False, False
        flow: tuple[str, ...] = ()
        fields: tuple[str, ...] | None = None
        known = tuple(word for word in _CREATION if f"create {word}" not in self.switches.missing_words)
        while self.words:
            match self._keyword(known, "option"):
                case "limit":
                    limit = self._limit()
                case "type":
                    self.words.need("table type required")
                    kind, flow = self._kind(self.words.take())
                case "valtype":
                    self.words.need("table value type required")
                    fields = self._fields(self.words.take())
                case "algo":
                    algorithm = self.words.need("table algorithm name required")
                    self.words.take()
                case "locked":
                    locked = True
                case "missing":
                    missing = True
                case "or-flush":
                    missing = or_flush = True
        table = Table(kind, flow=flow, fields=fields, limit=limit, locked=locked)
        if algorithm not in ("", table.algorithm):
            raise RefusalError(f"algorithm {algorithm} is not modelled here, only {table.algorithm}", UNAVAILABLE)
        return table, missing, or_flush

    def _limit(self) -> int:
        self.words.need("limit value required")
        return leading_number(self.words.take())[0] & 0xFFFFFFFF

    def _kind(self, text: str) -> tuple[Kind, tuple[str, ...]]:
        name, colon, parts = text.partition(":")
        known = [kind for kind in Kind if f"type {kind}" not in self.switches.missing_words]
        if name not in known:
            raise RefusalError(f"Unknown tabletype: {name}. Supported: {', '.join(known)}", USAGE)
        kind = Kind(name)
        if not colon:
            return kind, ()
        if kind is not Kind.FLOW:
            raise RefusalError(f"Unsupported suboptions: {parts}", USAGE)
        given = parts.split(",")
        for part in given:
            if part not in FLOW_PARTS:
                raise RefusalError(f"unable to parse flow option {part}", USAGE)
        return kind, tuple(part for part in FLOW_PARTS if part in given)

    def _fields(self, text: str) -> tuple[str, ...]:
        known = [field for field in VALUE_FIELDS if f"valtype {field}" not in self.switches.missing_words]
        given = text.split(",")
        for field in given:
            if field not in known:
                raise RefusalError(f"Unknown value type: {field}. Supported: {', '.join(known)}", USAGE)
        return tuple(field for field in VALUE_FIELDS if field in given)

    def _modify(self, name: str) -> None:
        limit = None
        while self.words:
            if self._keyword(_CREATION, "option") != "limit":
                raise RefusalError("cmd is not supported for modification", USAGE)
            limit = self._limit()
        if self.dry:
            return
        if name not in self.tables:
            raise self._failed("Table modification failed", "No such process")
        if limit is not None:
            self.tables[name].limit = limit

    def _lock(self, name: str, *, locked: bool) -> None:
        if self.dry:
            return
        if name not in self.tables:
            raise self._failed(f"Table {'lock' if locked else 'unlock'} failed", "No such process")
        self.tables[name].locked = locked

    def _swap(self, name: str) -> None:
        self.words.need("second table name required")
        second = self.words.take()
        if second == "all" or not re.fullmatch(r"[A-Za-z0-9_.-]{1,63}", second):
            raise RefusalError(f"table name {second} is invalid", USAGE)
        one, other = self.tables.get(name), self.tables.get(second)
        if self.dry or one is None or other is None or one is other:
            return  # the tool says nothing of tables that are not there
        if one.kind is not other.kind or one.flow != other.flow:
            raise RefusalError("Unable to swap table: check types", USAGE)
        if (one.limit and len(other) > one.limit) or (other.limit and len(one) > other.limit):
            raise RefusalError("Unable to swap table: check limits", USAGE)
        if not one.locked and not other.locked:
            one.exchange(other)

    def _destroy(self, name: str, *, of_all: bool = False) -> None:
        if self.dry:
            return
        missing, busy = name not in self.tables, bool(self.references(name))
        if not missing and not busy:
            del self.tables[name]
            return
        reason = "No such process" if missing else "Device busy"
        if of_all:
            if not self.quiet:
                self.words.warn(f"failed to destroy table({name}) in set 0: {reason}")
        elif busy and not missing:
            raise self._failed(f"failed to destroy table {name}", reason)
        elif not self.quiet:
            self.words.warn(f"failed to destroy table {name}: {reason}")

    def _flush(self, name: str, *, of_all: bool = False) -> None:
        if self.dry:
            return
        table = self.tables.get(name)
        if table is None:
            if not self.quiet:
                self.words.warn(f"failed to flush table {name} info: No such process")
        elif not table.locked:
            table.flush()
        elif not of_all:
            raise self._failed(f"failed to flush table {name} info", "Permission denied")

    # Looking

    def _one_of_all(self, name: str, command: str) -> None:
        match command:
            case "destroy":
                self._destroy(name, of_all=True)
            case "flush":
                self._flush(name, of_all=True)
            case "list":
                self.say(f"--- table({name}), set(0) ---\n")
                self._list(self.tables[name])
            case _:
                self._info(name)

    def _show(self, name: str, command: str) -> None:
        if self.dry:
            return
        if name not in self.tables:
            raise self._failed("failed to request table info", "No such process")
        if command == "list":
            self._list(self.tables[name])
        else:
            self._info(name)

    def _list(self, table: Table) -> None:
        for entry, value in entries(table):
            self.say(shown(entry, value, table, as_address=self.as_addresses))

    def _info(self, name: str) -> None:
        table = self.tables[name]
        kind = str(table.kind) + (f":{','.join(table.flow)}" if table.flow else "")
        self.say(f"--- table({name}), set(0) ---\n")
        self.say(f" kindex: {table.index}, type: {kind}{', locked' if table.locked else ''}\n")
        self.say(f" references: {self.references(name)}, valtype: {','.join(table.fields or ('legacy',))}\n")
        self.say(f" algorithm: {table.algorithm}\n")
        self.say(f" items: {len(table)}, size: {_HEADER_OCTETS + _ENTRY_OCTETS * len(table)}\n")
        if table.limit:
            self.say(f" limit: {table.limit}\n")

    def _lookup(self, name: str) -> None:
        key = self.words.need("address required")
        table = self.tables.get(name)
        if table is None:
            raise RefusalError(f"Table {name} does not exist", DATA_ERROR)
        assert table.kind is not None
        entry = key_of(key, table.kind, table.flow)
        if entry.exact is None:
            found = table.longest(entry.network)
            if found is not None:
                network, length, value = found
                self.say(shown(Entry(network, length), value, table, as_address=self.as_addresses))
                return
        elif entry.exact in table.exact:
            self.say(shown(entry, table.exact[entry.exact], table, as_address=self.as_addresses))
            return
        raise RefusalError(f"Entry {key} not found", UNAVAILABLE)

    # Records

    def _records(self, name: str, *, adds: bool, atomic: bool) -> None:
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
            table.index = _free_index(self.tables)
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


def _free_index(tables: dict[str, Table]) -> int:
    used = {table.index for table in tables.values()}
    return next(index for index in range(1, len(tables) + 2) if index not in used)
