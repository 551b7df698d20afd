"""What stands behind ``table NAME create`` and ``modify``: kinds, kinds of values, limits (ipfw(8), LOOKUP TABLES)."""

from __future__ import annotations

from rules.ipfw.switches import Switches
from rules.ipfw.tables import FLOW_PARTS, VALUE_FIELDS, Kind, Table
from rules.ipfw.words import UNAVAILABLE, USAGE, RefusalError, Words, leading_number

__all__ = ["CREATION", "keyword", "read_creation", "read_limit"]

CREATION = ("type", "valtype", "algo", "limit", "locked", "missing", "or-flush")
"""The options."""


def keyword(words: Words, keywords: tuple[str, ...], what: str) -> str:
    """The keyword that the next word, taken, is or alone begins."""
    word = words.take()
    found = [keyword for keyword in keywords if keyword.startswith(word)] if word else []
    if len(found) != 1:
        raise RefusalError(f"ambiguous {what} {word}", USAGE)
    return found[0]


def read_creation(words: Words, switches: Switches) -> tuple[Table, bool, bool]:
    """The table that the options after ``create`` describe; whether it may exist; whether it is then emptied."""
    kind, algorithm, limit, locked, missing, or_flush = Kind.ADDRESS, "", 0, False, False, False
    flow: tuple[str, ...] = ()
    fields: tuple[str, ...] | None = None
    known = tuple(word for word in CREATION if f"create {word}" not in switches.missing_words)
    while words:
        match keyword(words, known, "option"):
            case "limit":
                limit = read_limit(words)
            case "type":
                words.need("table type required")
                kind, flow = _kind(words.take(), switches)
            case "valtype":
                words.need("table value type required")
                fields = _fields(words.take(), switches)
            case "algo":
                algorithm = words.need("table algorithm name required")
                words.take()
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


def read_limit(words: Words) -> int:
    """The argument of ``limit``."""
    words.need("limit value required")
    return leading_number(words.take())[0] & 0xFFFFFFFF


def _kind(text: str, switches: Switches) -> tuple[Kind, tuple[str, ...]]:
    name, colon, parts = text.partition(":")
    known = [kind for kind in Kind if f"type {kind}" not in switches.missing_words]
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


def _fields(text: str, switches: Switches) -> tuple[str, ...]:
    known = [field for field in VALUE_FIELDS if f"valtype {field}" not in switches.missing_words]
    given = text.split(",")
    for field in given:
        if field not in known:
            raise RefusalError(f"Unknown value type: {field}. Supported: {', '.join(known)}", USAGE)
    return tuple(field for field in VALUE_FIELDS if field in given)
