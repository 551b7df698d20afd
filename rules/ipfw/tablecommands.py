"""``ipfw table`` before FreeBSD 11: what lookup tables hold (ipfw(8), LOOKUP TABLES).

The texts are those of FreeBSD 10's tool: ``table N add ADDRESS[/LENGTH] [VALUE]``, ``delete``, ``flush``, ``list``, and
``table all list|flush``.  An address may also be the name of an interface, for ``recv table(N)``.
"""

from __future__ import annotations

from rules.ipfw.addressing import address_of_host, table_name
from rules.ipfw.switches import Switches
from rules.ipfw.tableentries import OS_ERROR, Entry, entries, shown
from rules.ipfw.tables import Table
from rules.ipfw.words import DATA_ERROR, NO_HOST, USAGE, RefusalError, Words, leading_number

__all__ = ["table_command"]


def table_command(
    words: Words, tables: dict[str, Table], switches: Switches, *, dry: bool, quiet: bool, as_addresses: bool
) -> str:
    """Carry out what follows ``table``; gives back what it prints.

    ``dry``: check only.  ``quiet``: a key that is there gets another value, one that is not there is no fault.
    ``as_addresses``: values are printed as addresses.
    """
    everything = words.peek() == "all"
    name = words.take() if everything else table_name(words.need("table needs a table number or name"), switches)
    if not everything:
        words.take()
    words.need("table needs command")
    if words.accept("add") and not everything:
        _add(words, tables, name, dry=dry, quiet=quiet)
        return ""
    if words.accept("delete") and not everything:
        _delete(words, tables, name, dry=dry, quiet=quiet)
        return ""
    chosen = sorted(tables) if everything else [name]
    if words.accept("flush"):
        for each in chosen:
            if not dry and each in tables:
                tables[each].flush()
        return ""
    if words.accept("list") or words.accept("show"):
        heading = "---table({})---\n" if everything else ""
        found = [(each, tables[each]) for each in chosen if tables.get(each)]
        return "".join(heading.format(each) + _listing(table, as_addresses=as_addresses) for each, table in found)
    raise RefusalError(f"invalid table command {words.peek()}", USAGE)


def _entry(words: Words) -> Entry:
    word = words.need("IP address required")
    words.take()
    host, slash, length_text = word.partition("/")
    length = 32
    if slash:
        length, rest = leading_number(length_text)
        if rest or not 0 <= length <= 32:
            raise RefusalError(f"bad width ``{length_text}''", DATA_ERROR)
    elif host[:1].isalpha() and address_of_host(host) is None:
        return Entry(exact=host)
    address = address_of_host(host)
    if address is None:
        raise RefusalError(f"hostname ``{host}'' unknown", NO_HOST)
    return Entry(address, length)


def _value(text: str) -> int:
    if "." not in text and text[:1].isdigit():
        return leading_number(text, 0)[0] & 0xFFFFFFFF
    address = address_of_host(text)
    if address is None:
        raise RefusalError(f"hostname ``{text}'' unknown", NO_HOST)
    return address


def _add(words: Words, tables: dict[str, Table], name: str, *, dry: bool, quiet: bool) -> None:
    entry = _entry(words)
    value = _value(words.take()) if words else 0
    if dry:
        return
    table = tables.setdefault(name, Table())
    if entry.value_in(table) is not None and not quiet:
        raise RefusalError("setsockopt(IP_FW_TABLE_XADD): File exists", OS_ERROR)
    entry.store(table, value)


def _delete(words: Words, tables: dict[str, Table], name: str, *, dry: bool, quiet: bool) -> None:
    entry = _entry(words)
    if dry:
        return
    table = tables.setdefault(name, Table())
    if entry.value_in(table) is None and not quiet:
        raise RefusalError("setsockopt(IP_FW_TABLE_XDEL): No such process", OS_ERROR)
    entry.drop(table)


def _listing(table: Table, *, as_addresses: bool) -> str:
    return "".join(shown(entry, value, table, as_address=as_addresses) for entry, value in entries(table))
