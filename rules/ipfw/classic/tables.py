"""``ipfw table`` of DragonFly: numbered tables, made and unmade by command, without values (ipfw2.c, table_*; DF-6)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rules.addresses import dotted
from rules.ipfw.addressing import inet_aton
from rules.ipfw.numberedtables import MOST_TABLES, NumberedTable
from rules.ipfw.words import DATA_ERROR, UNAVAILABLE, USAGE, RefusalError, Words, leading_number

if TYPE_CHECKING:
    from rules.ipfw.ruleset import RuleSet

__all__ = ["numbered_table_command"]

_NO_TABLE, _BAD_NUMBER, _EXISTS = "No such file or directory", "Invalid argument", "File exists"


def numbered_table_command(words: Words, rules: RuleSet, letters: set[str], say: Callable[[str], None]) -> None:
    """Carry out what follows ``table``, its number behind the command; ``say`` takes what it prints.

    ``letters``: the tool's options.  Raises RefusalError with the tool's text; what was done before stays done.
    """
    for name, handler in _COMMANDS:
        if words.accept(name):
            say(handler(words, _Tables(rules, say), letters))
            return
    raise RefusalError(f"bad command `{words.peek()}'", USAGE)


class _Tables:
    """The tables of a rule set, by number."""

    def __init__(self, rules: RuleSet, say: Callable[[str], None]) -> None:
        self._rules = rules
        self.say = say
        self.now = rules.time

    def get(self, number: int) -> NumberedTable:
        return self._rules.world.numbered_table(number)

    def made(self) -> dict[int, NumberedTable]:
        """Those that exist, in order."""
        return {number: table for number, table in sorted(self._rules.world.numbered_tables.items()) if table.made}

    def existing(self, number: int, call: str) -> NumberedTable:
        """The table, for a call that the kernel refuses when there is none."""
        if number >= MOST_TABLES:
            raise RefusalError(f"{call}: {_BAD_NUMBER}", UNAVAILABLE)
        if number not in self.made():
            raise RefusalError(f"{call}: {_NO_TABLE}", UNAVAILABLE)
        return self.get(number)


def _number(words: Words) -> int:
    if not words:
        raise RefusalError("missing table id", DATA_ERROR)
    word = words.take()
    number, rest = leading_number(word, 0)
    if rest:
        raise RefusalError(f"invalid table id {word}", DATA_ERROR)
    return number & 0xFFFFFFFF


def _unless_quiet(text: str, letters: set[str]) -> str:
    return "" if "q" in letters else text


def _create(words: Words, tables: _Tables, letters: set[str]) -> str:
    number = _number(words)
    if number >= MOST_TABLES or number in tables.made():
        reason = _BAD_NUMBER if number >= MOST_TABLES else _EXISTS
        raise RefusalError(f"setsockopt(IP_FW_TBL_CREATE): {reason}", UNAVAILABLE)
    tables.get(number).made = True
    return _unless_quiet(f"Created table {number}\n", letters)


def _destroy(words: Words, tables: _Tables, letters: set[str]) -> str:
    number = _number(words)
    table = tables.existing(number, "setsockopt(IP_FW_TBL_DESTROY)")
    table.flush()
    table.made = False
    return _unless_quiet(f"Destroyed table {number}\n", letters)


def _flush(words: Words, tables: _Tables, letters: set[str]) -> str:
    if not words:
        for table in tables.made().values():
            table.flush()
        return _unless_quiet("Flushed all tables\n", letters)
    number = _number(words)
    tables.existing(number, "setsockopt(IP_FW_TBL_FLUSH)").flush()
    return _unless_quiet(f"Flushed table {number}\n", letters)


def _list(words: Words, tables: _Tables, letters: set[str]) -> str:
    return "".join(f"{number}\n" for number in tables.made())


# Entries


def _entry(word: str) -> tuple[int, int]:
    """``ADDRESS`` or ``NETWORK/LENGTH``; a network may leave out its last octets, length 0 means that of its class."""
    network, slash, length_text = word.partition("/")
    if not slash:
        address = inet_aton(word) if re.fullmatch(r"[0-9]+(\.[0-9]+){3}", word) else None
        if address is None:
            raise RefusalError(f"invalid address {word}", DATA_ERROR)
        return address, 32
    address = _network(network)
    length, rest = leading_number(length_text, 0)
    if address is None or rest:
        raise RefusalError(f"invalid address {word}", DATA_ERROR)
    return address, min(length, 32) if length else _class_length(address)


def _network(text: str) -> int | None:
    """inet_network(3), as route(8) fills it up: ``10`` is 10.0.0.0, ``10.1`` is 10.1.0.0."""
    parts = text.split(".")
    if not 1 <= len(parts) <= 4 or not all(re.fullmatch("0[xX][0-9a-fA-F]+|[0-9]+", part) for part in parts):
        return None
    octets = [leading_number(part, 0)[0] for part in parts]
    if any(octet > 0xFF for octet in octets):
        return None
    return sum(octet << 8 * (3 - place) for place, octet in enumerate(octets))


def _class_length(address: int) -> int:
    """Class A, B, C, D; all of the addresses for 0.0.0.0."""
    if address == 0:
        return 0
    return {0: 8, 1: 8, 2: 16}.get(address >> 30, 4 if address >> 28 == 0xE else 24 if address >> 29 == 6 else 32)


def _alter(words: Words, tables: _Tables, letters: set[str], *, adding: bool) -> str:
    number = _number(words)
    if not words:
        raise RefusalError("missing addresses", DATA_ERROR)
    call = f"setsockopt(IP_FW_TBL_{'ADD' if adding else 'DEL'})"
    verb, done, preposition = ("add", "Added", "to") if adding else ("delete", "Deleted", "from")
    for word in words.rest():
        entry = _entry(word)
        table = tables.existing(number, call)
        if table.add(*entry, 0) if adding else table.delete(*entry):
            tables.say(_unless_quiet(f"{done} {word} {preposition} table {number}\n", letters))
        else:
            tables.say(f"Failed to {verb} {word} {preposition} table {number}\n")
    return ""


def _add(words: Words, tables: _Tables, letters: set[str]) -> str:
    return _alter(words, tables, letters, adding=True)


def _delete(words: Words, tables: _Tables, letters: set[str]) -> str:
    return _alter(words, tables, letters, adding=False)


# What is in a table


def _print(words: Words, tables: _Tables, letters: set[str]) -> str:
    table = tables.existing(_number(words), "getsockopt(IP_FW_TBL_GET)")
    uses = {(network, length): table.uses.get((network, length), (0, 0.0)) for network, length, _ in table}
    width = max((len(str(count)) for count, _ in uses.values()), default=1)
    lines = []
    for (network, length), (count, last) in uses.items():
        counter = f"{count:{width}} " if "a" in letters else ""
        time = (f"{datetime.fromtimestamp(last, UTC):%a %b %e %H:%M:%S %Y} " if last else " " * 25) * ("t" in letters)
        lines.append(f"{counter}{time}{dotted(network)}{f'/{length}' if length < 32 else ''}\n")
    return "".join(lines)


def _show(words: Words, tables: _Tables, letters: set[str]) -> str:
    letters.add("a")
    return _print(words, tables, letters)


def _zero(words: Words, tables: _Tables, letters: set[str]) -> str:
    chosen = tables.made().values()
    for table in [tables.existing(_number(words), "setsockopt(IP_FW_TBL_ZERO)")] if words else chosen:
        table.uses.clear()
    return _unless_quiet("Accounting cleared\n", letters)


def _expire(words: Words, tables: _Tables, letters: set[str]) -> str:
    """``table [N] expire SECONDS``: without what was not used for so long."""
    if not words:
        raise RefusalError("missing expire time", DATA_ERROR)
    number = _number(words) if len(words) > 1 else None
    seconds, rest = leading_number(words.peek() or "", 0)
    if rest:
        raise RefusalError(f"invalid expire timeout {words.peek()}", DATA_ERROR)
    chosen = tables.made().values()
    gone = 0
    for table in chosen if number is None else [tables.existing(number, "getsockopt(IP_FW_TBL_EXPIRE)")]:
        for network, length, _ in [*table]:
            if table.uses.get((network, length), (0, 0.0))[1] + seconds <= tables.now():
                table.delete(network, length)
                gone += 1
    return _unless_quiet(f"Expired {gone} address{'' if gone == 1 else 'es'}\n", letters)


_COMMANDS: tuple[tuple[str, Callable[[Words, _Tables, set[str]], str]], ...] = (
    ("create", _create),
    ("destroy", _destroy),
    ("list", _list),
    ("add", _add),
    ("delete", _delete),
    ("flush", _flush),
    ("print", _print),
    ("show", _show),
    ("zero", _zero),
    ("expire", _expire),
)
"""In the order in which the tool tries them."""
