"""Ports, and lists of ports or other numbers, as ipfw(8) reads them (ipfw(8), RULE BODY; table M-1)."""

from __future__ import annotations

import re

from rules.ipfw.names import PROTOCOL_NAMES, service_port
from rules.ipfw.words import DATA_ERROR, RefusalError, Words, leading_number
from rules.predicates import Ranges

__all__ = ["LONGEST", "number_or_list", "port", "ports"]

LONGEST = 63
"""An instruction has at most so many 32-bit words for the tool."""


def port(text: str, protocol: int) -> tuple[int, str] | None:
    """The port that a text begins with, a number in C notation or the name of a service, and the rest; None if none.

    A backslash in a name takes the next letter as it is, so ``ftp\\-data`` is not a range.
    """
    if text[:1].isdigit():
        number, rest = leading_number(text, 0)
        return number, rest
    found = re.match(r"(?:\\.|[A-Za-z0-9\\_.])*", text)
    assert found is not None
    name = found.group().replace("\\", "")
    number_of_name = service_port(name, PROTOCOL_NAMES.get(protocol) if protocol else None) if name else None
    return None if number_of_name is None else (number_of_name, text[found.end() :])


def ports(words: Words, protocol: int, *, forgiving: bool = False) -> Ranges | None:
    """The next word as a list of ports and ranges, taken; None, the word left, if it is not one.

    ``forgiving``: as ipfw2.c of 2003, which stops reading where it finds no port.
    """
    word = words.peek()
    assert word is not None
    if forgiving:
        return _ports_of_2003(words, protocol)
    pairs: list[tuple[int, int]] = []
    rest = word
    while rest:
        here = rest
        found = port(rest, protocol)
        if found is None:
            return None
        low, rest = found
        high = low
        if rest.startswith("-"):
            here = rest[1:]
            found = port(here, protocol)
            if found is None or found[1][:1] not in ("", ","):
                return None
            high, rest = found
        elif rest and not rest.startswith(","):
            words.warn(f"port list: invalid separator <{rest[0]}> in <{here}>")
            return None
        pairs.append((low & 0xFFFF, high & 0xFFFF))
        if rest == ",":
            return None
        rest = rest[1:]
    return _ranges(words, pairs)


def _ports_of_2003(words: Words, protocol: int) -> Ranges | None:
    pairs: list[tuple[int, int]] = []
    rest = words.peek() or ""
    while rest:
        here = rest
        found = port(rest, protocol)
        if found is None:
            break
        low, rest = found
        high = low
        if rest.startswith("-"):
            found = port(rest[1:], protocol) if rest[1:] else None
            if found is None:
                break
            high, rest = found
        elif rest and not rest.startswith(","):
            raise RefusalError(f"invalid separator <{rest[0]}> in <{here}>\n", DATA_ERROR)
        pairs.append((low & 0xFFFF, high & 0xFFFF))
        rest = rest[1:]
    return _ranges(words, pairs)


def _ranges(words: Words, pairs: list[tuple[int, int]]) -> Ranges | None:
    """The word, taken, as what was read of it; None if that is nothing."""
    if not pairs:
        return None
    if len(pairs) + 1 > LONGEST:
        raise RefusalError("too many ports/ranges\n", DATA_ERROR)
    words.take()
    return Ranges(tuple(pairs))


def number_or_list(words: Words, complaint: str, *, lists: bool = True) -> Ranges:
    """A number in C notation, or with ``-`` or ``,`` a list: the argument of ``iplen`` and its like."""
    word = words.peek()
    assert word is not None
    if lists and ("-" in word or "," in word):
        ranges = ports(words, 0)
        if ranges is None:
            raise RefusalError(f"{complaint} {word}", DATA_ERROR)
        return ranges
    number = leading_number(words.take(), 0)[0] & 0xFFFF
    return Ranges(((number, number),))
