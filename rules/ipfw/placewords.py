"""Interfaces and protocols as ipfw(8) reads them: one word in, one question out (E-13, E-18; table M-1)."""

from __future__ import annotations

import re

from rules.ipfw.addressing import INTERFACE_NAME_OCTETS, IP, IP6, inet_aton, table_reference
from rules.ipfw.names import PROTOCOLS
from rules.ipfw.placequestions import driver_and_unit
from rules.ipfw.questions import Family, InterfaceAddress, InterfacePattern, InterfaceTable, InterfaceUnits
from rules.ipfw.switches import Switches
from rules.ipfw.words import DATA_ERROR, RefusalError, Words, leading_number
from rules.predicates import InterfaceName, Predicate, ProtocolIs

__all__ = ["interface", "protocol"]

_DRIVER_NAME_OCTETS = 9
"""Of the name of a driver with its unit, FreeBSD 4 keeps so many."""


def protocol(
    words: Words, *, compatible: bool, families: bool = True, whole: bool = True
) -> tuple[Predicate | None, int] | None:
    """The protocol that the next word names, taken: its question (None for ``ip``) and its number; None if it is none.

    ``compatible``: in its place before ``from``, where ``ipv4`` and ``ipv6`` are understood, too.  ``families``: the
    tool knows ``ip4`` and ``ip6``.  ``whole``: nothing may follow a number; else its low eight bits count.
    """
    if words.means("all") or words.peek() == "ip":
        words.take()
        return None, IP
    word = words.peek()
    if word is None:
        return None
    for family, names in ((4, ("ip4", "ipv4")), (6, ("ip6", "ipv6"))):
        if families and word in (names if compatible else names[:1]):
            words.take()
            return Family(family), IP6 if family == 6 else IP
    number, rest = leading_number(word)
    if not whole:
        number, rest = number & 0xFF, ""
    if rest or number <= 0:
        if word not in PROTOCOLS:
            return None
        number = PROTOCOLS[word]
    words.take()
    number &= 0xFFFF
    return ProtocolIs(number), number & 0xFF


def interface(
    word: str, switches: Switches
) -> InterfaceName | InterfacePattern | InterfaceUnits | InterfaceAddress | InterfaceTable:
    """The argument of ``recv``, ``xmit`` and ``via`` (E-18); ``any`` is not for here."""
    if word.startswith("table(") and switches.table_syntax == "table(N)":
        return InterfaceTable(*table_reference(word, switches))
    if not word[:1].isdigit():
        if switches.interface_units:
            return _units(word[:_DRIVER_NAME_OCTETS])
        name = word[:INTERFACE_NAME_OCTETS]
        return InterfacePattern(name) if re.search(r"[*?\[]", word) else InterfaceName(name)
    address = inet_aton(word)
    if address is None:
        raise RefusalError(f"bad ip address ``{word}''", DATA_ERROR)
    return InterfaceAddress(address)


def _units(name: str) -> InterfaceName | InterfaceUnits:
    """``em0``, or as :class:`InterfaceUnits` what is not just letters and a number: ``em*``, ``em``."""
    if re.fullmatch(r"[^0-9*]+(0|[1-9][0-9]*)", name):
        return InterfaceName(name)
    driver, star, _ = name.partition("*")
    if star and not re.search("[0-9]", driver):
        return InterfaceUnits(driver)
    return InterfaceUnits(*driver_and_unit(name))
