"""Keys and values of lookup tables, as ``ipfw table`` reads and prints them since FreeBSD 11.

Source: tentry_fill_key_type, guess_key_type, tentry_fill_value and table_show_entry of sbin/ipfw/tables.c.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from rules.addresses import dotted
from rules.ipfw.addressing import INTERFACE_NAME_OCTETS, address_of_host, inet_aton
from rules.ipfw.names import DSCP_POINTS, PROTOCOLS, service_port
from rules.ipfw.tables import Key, Kind, Table, Value
from rules.ipfw.words import DATA_ERROR, NO_HOST, UNAVAILABLE, USAGE, RefusalError, leading_number

__all__ = ["OS_ERROR", "Entry", "entries", "guess_kind", "key_of", "shown", "value_of"]

OS_ERROR = 71
_NO_MAC = "tables of MAC addresses are not modelled here"


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of a table: a prefix, or something that must be equal."""

    network: int = 0
    length: int = 0
    exact: Key | None = None

    def value_in(self, table: Table) -> Value | None:
        """The value of exactly this key."""
        return table.find(self.network, self.length) if self.exact is None else table.exact.get(self.exact)

    def store(self, table: Table, value: Value) -> None:
        """Put it in, or give it another value."""
        if self.exact is None:
            table.delete(self.network, self.length)
            table.add(self.network, self.length, value)
        else:
            table.exact[self.exact] = value

    def drop(self, table: Table) -> None:
        """Take it out."""
        if self.exact is None:
            table.delete(self.network, self.length)
        else:
            table.exact.pop(self.exact, None)


# Keys


def _strict(text: str) -> int | None:
    """inet_pton(3): four decimal parts without leading zeros."""
    if not re.fullmatch(r"(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}", text):
        return None
    return inet_aton(text)


def _refuse_ip6(text: str) -> None:
    if text.count(":") >= 2 and re.fullmatch(r"[0-9a-fA-F:.]+", text):
        raise RefusalError(f"IPv6 addresses are not modelled here: {text}", UNAVAILABLE)


def guess_kind(key: str) -> Kind | None:
    """What kind of table a key seems to be for, when the table does not exist yet."""
    if re.match(r"[0-9a-fA-F:]", key):
        host = key.partition("/")[0]
        _refuse_ip6(host)
        if _strict(host) is not None:
            return Kind.ADDRESS
        _, rest = leading_number(host)
        if not rest:
            return Kind.NUMBER
        if rest != host and rest.startswith("."):
            return None
    if "." not in key:
        return Kind.INTERFACE
    return None if address_of_host(key) is None else Kind.ADDRESS


def key_of(text: str, kind: Kind, flow: tuple[str, ...]) -> Entry:
    """The entry that a word names in a table of this kind."""
    return _KEYS[kind](text, flow)


def _address(text: str, flow: tuple[str, ...]) -> Entry:
    host, slash, width = text.partition("/")
    _refuse_ip6(host)
    address = _strict(host)
    length = leading_number(width)[0] if slash else 32
    if address is None:
        address, length = address_of_host(host), 32
        if address is None:
            raise RefusalError(f"hostname ``{host}'' unknown", NO_HOST)
    if not 0 <= length <= 32:
        raise RefusalError(f"bad IPv4 mask width: {width}", DATA_ERROR)
    return Entry(address, length)


def _interface(text: str, flow: tuple[str, ...]) -> Entry:
    return Entry(exact=text[:INTERFACE_NAME_OCTETS])


def _number(text: str, flow: tuple[str, ...]) -> Entry:
    number, rest = leading_number(text)
    if rest:
        raise RefusalError(f"Invalid number: {text}", DATA_ERROR)
    return Entry(exact=number & 0xFFFFFFFF)


def _mac(text: str, flow: tuple[str, ...]) -> Entry:
    raise RefusalError(_NO_MAC, UNAVAILABLE)


def _flow(text: str, flow: tuple[str, ...]) -> Entry:
    words = text.split(",")
    parts = []
    for name, missing in zip(flow, (words + [None] * len(flow))[: len(flow)], strict=True):
        parts.append(_PARTS[name](missing, name))
    return Entry(exact=tuple(parts))


def _flow_address(text: str | None, name: str) -> int:
    if text is None:
        raise RefusalError(f"invalid key: {name.replace('-', ' ')} missing", DATA_ERROR)
    _refuse_ip6(text)
    return _strict(text) or 0


def _flow_protocol(text: str | None, name: str) -> int:
    if text is None:
        raise RefusalError("invalid key: proto missing", DATA_ERROR)
    number, rest = leading_number(text)
    if rest:
        if text not in PROTOCOLS:
            raise RefusalError(f"Unknown proto: {text}", DATA_ERROR)
        number = PROTOCOLS[text]
    if not 0 <= number <= 255:
        raise RefusalError(f"Bad protocol number: {number & 0xFFFFFFFF}", DATA_ERROR)
    return number


def _flow_port(text: str | None, name: str) -> int:
    if text is None:
        raise RefusalError(f"invalid key: {name.replace('-', ' ')} missing", DATA_ERROR)
    number, rest = leading_number(text)
    if rest:
        named = service_port(text, None)
        if named is None:
            raise RefusalError(f"Unknown service: {text}", DATA_ERROR)
        number = named
    return number & 0xFFFF


_PARTS: dict[str, Callable[[str | None, str], int]] = {
    "src-ip": _flow_address,
    "proto": _flow_protocol,
    "src-port": _flow_port,
    "dst-ip": _flow_address,
    "dst-port": _flow_port,
}
_KEYS: dict[Kind, Callable[[str, tuple[str, ...]], Entry]] = {
    Kind.ADDRESS: _address,
    Kind.INTERFACE: _interface,
    Kind.NUMBER: _number,
    Kind.MAC: _mac,
    Kind.FLOW: _flow,
}


# Values


def value_of(text: str, fields: tuple[str, ...] | None) -> Value:
    """The value that a word stands for in a table whose values are for these uses."""
    if fields is None:
        number, rest = leading_number(text, 0)
        if not rest:
            return number & 0xFFFFFFFF
        address = address_of_host(text)
        if address is None:
            raise RefusalError(f"Unable to parse value {text}", OS_ERROR)
        return address
    values: dict[str, int] = {}
    parts = text.split(",")
    for field, part in zip(fields, parts, strict=False):
        values[field] = _part(part, field)
    if len(parts) < len(fields):
        raise RefusalError("Not enough fields inside value", USAGE)
    return values


def _part(text: str, field: str) -> int:
    if field == "ipv4":
        address = address_of_host(text)
        if address is not None:
            return address
    elif field == "dscp" and text[:1].isalpha():
        if text in DSCP_POINTS:
            return DSCP_POINTS[text]
        field = "DSCP code"
    elif field == "dscp":
        number, rest = leading_number(text)
        if not rest and 0 <= number <= 63:
            return number
        field = "DSCP value"
    elif field == "ipv6":
        _refuse_ip6(text)
    else:
        number, rest = _hexadecimal(text) if field == "mark" else leading_number(text)
        if not rest:
            return number & (0xFFFF if field in ("divert", "skipto") else 0xFFFFFFFF)
    raise RefusalError(f"Unable to parse {text} as {field}", USAGE)


def _hexadecimal(text: str) -> tuple[int, str]:
    digits = text.removeprefix("0x").removeprefix("0X")
    return (int(digits, 16), "") if re.fullmatch(r"[0-9a-fA-F]+", digits) else (0, text)


# Printing


def shown(entry: Entry, value: Value, table: Table, *, as_address: bool = False) -> str:
    """``KEY VALUE``, its line ended; ``as_address``: ``-i``."""
    return f"{_key_words(entry, table)} {_value_words(value, table, as_address=as_address)}\n"


def entries(table: Table) -> list[tuple[Entry, Value]]:
    """Everything in the table, in the order of a listing."""
    found = [(Entry(network, length), value) for network, length, value in table]
    exact = sorted(table.exact.items(), key=lambda item: _order(item[0]))
    return found + [(Entry(exact=key), value) for key, value in exact]


def _order(key: Key) -> tuple[int, str, tuple[int, ...]]:
    if isinstance(key, str):
        return len(key), key, ()
    return 0, "", key if isinstance(key, tuple) else (key,)


def _key_words(entry: Entry, table: Table) -> str:
    if entry.exact is None:
        return f"{dotted(entry.network)}/{entry.length}"
    if not isinstance(entry.exact, tuple):
        return str(entry.exact)
    return ",".join(
        dotted(part) if name.endswith("-ip") else str(part) for name, part in zip(table.flow, entry.exact, strict=True)
    )


def _value_words(value: Value, table: Table, *, as_address: bool) -> str:
    if isinstance(value, int):
        return dotted(value) if as_address else str(value)
    return ",".join(_field_words(field, value.get(field, 0)) for field in table.fields or ())


def _field_words(field: str, number: int) -> str:
    if field == "ipv4":
        return dotted(number)
    if field == "mark":
        return f"{number:#x}" if number else "0"
    return str(number)
