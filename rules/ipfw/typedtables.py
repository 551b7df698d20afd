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

from rules.ipfw.switches import Switches
from rules.ipfw.tablecreation import CREATION, keyword, read_creation, read_limit
from rules.ipfw.tableentries import OS_ERROR, Entry, entries, key_of, shown
from rules.ipfw.tablerecords import Records
from rules.ipfw.tables import Table, free_index
from rules.ipfw.words import DATA_ERROR, UNAVAILABLE, USAGE, RefusalError, Words

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
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,63}")
_FOR_ALL = ("list", "info", "detail", "flush", "destroy")
_HEADER_OCTETS, _ENTRY_OCTETS = 296, 112
"""What ``info`` counts: the headers of the kernel's answer, and each entry in it."""


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
        if name != "all" and not _NAME.fullmatch(name):
            raise RefusalError(f"table name {name} is invalid", USAGE)
        words.need("table needs command")
        command = keyword(words, _COMMANDS, "table command")
        atomic = command == "atomic"
        if atomic:
            word = words.need("atomic needs command")
            command = keyword(words, _COMMANDS, "table command")
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
                records = Records(words, self.tables, self.say, self.dry, self.quiet)
                records.run(name, adds=command == "add", atomic=atomic)
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

    def _names(self) -> list[str]:
        return sorted(self.tables, key=lambda name: (len(name), name))

    def _failed(self, text: str, reason: str) -> RefusalError:
        return RefusalError(f"{text}: {reason}", OS_ERROR)

    # Making and changing tables

    def _create(self, name: str) -> None:
        wanted, missing, or_flush = read_creation(self.words, self.switches)
        if self.dry:
            return
        found = self.tables.get(name)
        if found is None:
            wanted.index = free_index(self.tables)
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

    def _modify(self, name: str) -> None:
        limit = None
        while self.words:
            if keyword(self.words, CREATION, "option") != "limit":
                raise RefusalError("cmd is not supported for modification", USAGE)
            limit = read_limit(self.words)
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
        if second == "all" or not _NAME.fullmatch(second):
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
