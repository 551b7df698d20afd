"""``ipfw table``: what lookup tables hold (ipfw(8), LOOKUP TABLES).

The texts are those of FreeBSD 10's tool: ``table N add ADDRESS[/LENGTH] [VALUE]``, ``delete``, ``flush``, ``list``, and
``table all list|flush``.  An address may also be the name of an interface, for ``recv table(N)``.
"""

from __future__ import annotations

from rules.addresses import dotted
from rules.ipfw.addressing import address_of_host, inet_aton, table_name
from rules.ipfw.switches import Switches
from rules.ipfw.tables import Table
from rules.ipfw.words import DATA_ERROR, NO_HOST, USAGE, RefusalError, Words, leading_number

__all__ = ["table_command"]

_OS_ERROR = 71


def table_command(words: Words, tables: dict[str, Table], switches: Switches, *, dry: bool) -> str:
    """Carry out what follows ``table``; gives back what it prints.  ``dry``: check only."""
    everything = words.peek() == "all"
    name = words.take() if everything else table_name(words.need("table needs a table number or name"), switches)
    if not everything:
        words.take()
    words.need("table needs command")
    if words.accept("add") and not everything:
        _add(words, tables, name, dry=dry)
        return ""
    if words.accept("delete") and not everything:
        _delete(words, tables, name, dry=dry)
        return ""
    chosen = sorted(tables) if everything else [name]
    if words.accept("flush"):
        for each in chosen:
            if not dry and each in tables:
                tables[each].flush()
        return ""
    if words.accept("list") or words.accept("show"):
        heading = "---table({})---\n" if everything else ""
        return "".join(heading.format(each) + _listing(tables.get(each, Table())) for each in chosen)
    raise RefusalError(f"invalid table command {words.peek()}", USAGE)


def _entry(words: Words) -> tuple[int, int] | str:
    word = words.need("IP address required")
    words.take()
    host, slash, length_text = word.partition("/")
    length = 32
    if slash:
        length, rest = leading_number(length_text)
        if rest or not 0 <= length <= 32:
            raise RefusalError(f"bad width ``{length_text}''", DATA_ERROR)
    elif host[:1].isalpha() and address_of_host(host) is None:
        return host
    address = address_of_host(host)
    if address is None:
        raise RefusalError(f"hostname ``{host}'' unknown", NO_HOST)
    return address, length


def _value(text: str) -> int:
    address = inet_aton(text) if "." in text else None
    return (leading_number(text, 0)[0] if address is None else address) & 0xFFFFFFFF


def _add(words: Words, tables: dict[str, Table], name: str, *, dry: bool) -> None:
    entry = _entry(words)
    value = _value(words.take()) if words else 0
    if dry:
        return
    table = tables.setdefault(name, Table())
    if isinstance(entry, str):
        is_new = entry not in table.names
        table.names.setdefault(entry, value)
    else:
        is_new = table.add(*entry, value)
    if not is_new:
        raise RefusalError("setsockopt(IP_FW_TABLE_XADD): File exists", _OS_ERROR)


def _delete(words: Words, tables: dict[str, Table], name: str, *, dry: bool) -> None:
    entry = _entry(words)
    if dry:
        return
    table = tables.setdefault(name, Table())
    found = table.names.pop(entry, None) is not None if isinstance(entry, str) else table.delete(*entry)
    if not found:
        raise RefusalError("setsockopt(IP_FW_TABLE_XDEL): No such process", _OS_ERROR)


def _listing(table: Table) -> str:
    lines = [f"{dotted(network)}/{length} {value}\n" for network, length, value in table]
    lines += [f"{interface} {value}\n" for interface, value in sorted(table.names.items())]
    return "".join(lines)
