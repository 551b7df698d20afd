"""Ports as the first ipfw reads them: at most ten in a rule; a range or a mask only in front (G-38)."""

from __future__ import annotations

import re

from rules.ipfw.first.questions import MaskedPort
from rules.ipfw.names import PROTOCOL_NAMES, service_port
from rules.ipfw.questions import End
from rules.ipfw.words import DATA_ERROR, USAGE, RefusalError, leading_number
from rules.predicates import DestinationPort, Ranges, SourcePort

__all__ = ["MOST_PORTS", "begins_ports", "port_of", "ports"]

MOST_PORTS = 10
"""Of both ends together; a range counts as two."""

_NAME_OCTETS = 31


def begins_ports(word: str, protocol: int) -> bool:
    """Whether the word after an address is taken for ports: a digit, or a service, up to a comma or a dash."""
    return word[:1].isdigit() or port_of(word, protocol, to_dash=True) is not None


def port_of(text: str, protocol: int, *, to_dash: bool = False) -> int | None:
    """The port that a text names, up to a comma; None for no port.  A backslash takes the next letter as it is."""
    name = _unescaped(text[:_NAME_OCTETS], ",-" if to_dash else ",")
    number, rest = leading_number(name, 0)
    if not name or rest:
        return service_port(name, PROTOCOL_NAMES.get(protocol) if protocol else None)
    return number if 0 <= number <= 0xFFFF else None


def _unescaped(text: str, stops: str) -> str:
    kept, at = [], 0
    while at < len(text) and text[at] not in stops:
        if text[at] == "\\" and at + 1 < len(text):
            at += 1
        kept.append(text[at])
        at += 1
    return "".join(kept)


def _port(text: str, protocol: int) -> int:
    port = port_of(text, protocol)
    if port is None:
        name = _unescaped(text[:_NAME_OCTETS], ",")
        if name and not leading_number(name, 0)[1]:
            raise RefusalError(f"port ``{name}'' out of range", DATA_ERROR)
        raise RefusalError(f"unknown port ``{name}''", DATA_ERROR)
    return port


def ports(word: str, protocol: int, end: End, taken: int) -> tuple[SourcePort | DestinationPort | MaskedPort, int]:
    """The question that a list of ports asks, and how many of a rule's places it takes; ``taken`` are so already.

    Raises RefusalError with the tool's text.
    """
    first = re.match(r"(?:\\.|[^,:-])*", word)
    assert first is not None
    separator, rest = word[first.end() : first.end() + 1], word[first.end() + 1 :]
    pairs: list[tuple[int, int]] = []
    used = taken
    pair: tuple[int, int] | None = None
    others: str | None = word
    if separator and separator in "-:":
        low = _port(first.group(), protocol) if first.group() else 0
        used = _room(used)
        second, comma, after = rest.partition(",")
        pair = (low, _port(second, protocol) if second else 0xFFFF)
        used = _room(used)
        others = after if comma else None
    while others is not None:
        item, comma, after = others.partition(",")
        number = _port(item, protocol)
        used = _room(used)
        pairs.append((number, number))
        others = after if comma else None
    if separator == ":" and pair is not None:
        return MaskedPort(end, pair[0], pair[1], Ranges(tuple(pairs))), used - taken
    ranges = Ranges(((pair,) if pair is not None else ()) + tuple(pairs))
    return (SourcePort(ranges) if end is End.SOURCE else DestinationPort(ranges)), used - taken


def _room(used: int) -> int:
    """One place more."""
    if used >= MOST_PORTS:
        raise RefusalError(f"too many ports (max is {MOST_PORTS})", USAGE)
    return used + 1
