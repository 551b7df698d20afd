"""Addresses as ipfw(8) reads them: one word in, one question out.

Sources: ipfw(8), RULE BODY; E-13 to E-18, G-34, G-37 and table M-1 of the behavioural notes.  A word may also mean no
question at all (``any``): that is None.
"""

from __future__ import annotations

import re

from rules.addresses import ALL_ONES, prefix_length
from rules.ipfw.portlists import LONGEST
from rules.ipfw.questions import (
    AddressIn,
    AddressInNumberedTable,
    AddressInSet,
    AddressInTable,
    AddressIsLocal,
    AddressIsLocal6,
    AddressOfInterface,
    End,
)
from rules.ipfw.switches import Switches
from rules.ipfw.words import DATA_ERROR, NO_HOST, UNAVAILABLE, RefusalError, Words, leading_number
from rules.predicates import Destination, Predicate, Source

__all__ = [
    "ADDRESS_WORDS",
    "INTERFACE_NAME_OCTETS",
    "IP",
    "IP6",
    "address_of_host",
    "inet_aton",
    "source_or_destination",
    "table_name",
    "table_reference",
]

IP, IP6 = 0, 41
"""Protocol numbers that stand for any protocol, of IPv4 and of IPv6."""

ADDRESS_WORDS = 31
"""The kernel refuses an instruction longer than this many 32-bit words (G-34)."""

INTERFACE_NAME_OCTETS = 15
"""So many of an interface's name are kept."""

_HOSTS = {"localhost": 0x7F000001}


def inet_aton(text: str) -> int | None:
    """inet_aton(3): one to four parts, each decimal, octal or hexadecimal; the last one fills what is left."""
    parts = text.split(".")
    if not 1 <= len(parts) <= 4:
        return None
    numbers = []
    for part in parts:
        if not re.fullmatch(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*", part):
            return None
        numbers.append(leading_number(part, 0)[0])
    *heads, last = numbers
    if any(head > 255 for head in heads) or last >= 1 << 8 * (4 - len(heads)):
        return None
    address = last
    for place, head in enumerate(heads):
        address |= head << 8 * (3 - place)
    return address


def address_of_host(name: str) -> int | None:
    """What a host name or a numeric address stands for; only ``localhost`` resolves without a resolver."""
    address = inet_aton(name)
    return _HOSTS.get(name) if address is None else address


def table_name(text: str, switches: Switches) -> str:
    """Name of a lookup table: a number, or where the system has them, letters, digits, ``_``, ``-`` and ``.``."""
    number, rest = leading_number(text)
    if not rest and text.isdigit():
        return str(number & 0xFFFF)
    if switches.table_names and re.fullmatch(r"[A-Za-z0-9_.-]{1,63}", text):
        return text
    if not switches.table_names:
        return str(number & 0xFFFF)
    raise RefusalError(f"Invalid table name: {text}", DATA_ERROR)


def table_reference(word: str, switches: Switches) -> tuple[str, int | None]:
    """``table(NAME[,value])`` -> its parts."""
    inside, closing, _ = word[6:].partition(")")
    if not closing:
        raise RefusalError(f"forgotten parenthesis: '{word}'", DATA_ERROR)
    name, comma, value = inside.partition(",")
    return table_name(name, switches), leading_number(value, 0)[0] & 0xFFFFFFFF if comma else None


def source_or_destination(
    words: Words, end: End, *, protocol: int, negated: bool, switches: Switches, ip4_only: bool = False
) -> Predicate | None:
    """The question that the next word, taken, asks about an address.

    ``protocol`` is the one the rule named last: with ``ip6`` the word is read as an IPv6 address.  ``ip4_only``: as the
    argument of ``src-ip`` and ``dst-ip``, which never mean IPv6.
    """
    word = words.need("missing address")
    if not switches.address_lists:
        return _single(words, end, negated=negated, switches=switches)
    first = re.split("[/,]", word, maxsplit=1)[0]
    if not ip4_only and (protocol == IP6 or word == "me6" or _is_ip6(first)):
        return _ip6(words, switches, end)
    if words.accept("any"):
        return None
    if words.accept("me"):
        return AddressIsLocal(end)
    words.take()
    if word.startswith("table("):
        return AddressInTable(end, *table_reference(word, switches))
    return _blocks(word, end, negated=negated)


def _single(words: Words, end: End, *, negated: bool, switches: Switches) -> Predicate | None:
    """``any``, ``me``, one block, a set, and where there are such ``<N>`` and ``[INTERFACE]`` (ipfw2.c of 2003)."""
    if words.accept("any"):
        return None
    if words.accept("me"):
        return AddressIsLocal(end)
    word = words.take()
    if re.fullmatch("<.+>", word) and switches.table_syntax == "<N>":
        number, rest = leading_number(word[1:-1], 0)
        if rest:
            raise RefusalError(f"invalid tableid ``{word}''", DATA_ERROR)
        return AddressInNumberedTable(end, number & 0xFFFF)
    if re.fullmatch(r"\[.+\]", word) and switches.interface_addresses:
        name, colon, modifier = word[1:-1].partition(":")
        if colon and modifier != "net":
            raise RefusalError(f"invalid ifname modifier: {modifier}", DATA_ERROR)
        return AddressOfInterface(end, name[:INTERFACE_NAME_OCTETS], network=bool(colon))
    separator = "/" if "/" in word else ":"
    host, separated, rest = word.partition(separator)
    address = address_of_host(host)
    if address is None:
        raise RefusalError(f"hostname ``{host}'' unknown", NO_HOST)
    if not separated:
        return Source(address) if end is End.SOURCE else Destination(address)
    mask = _mask(separator, rest)
    base = address & mask
    if "{" in rest:
        return _single_members(end, base, mask, rest.partition("{")[2])
    if mask == 0:
        if negated:
            raise RefusalError("not any never matches", DATA_ERROR)
        return None
    return Source(base, mask) if end is End.SOURCE else Destination(base, mask)


def _single_members(end: End, base: int, mask: int, members: str) -> AddressInSet:
    """Numbers alone; the tool reads no further at anything else, and ends with status 0 where it complains."""
    length = prefix_length(mask)
    if length is None or not 24 <= length <= 31:
        raise RefusalError(f"invalid set with mask {-1 if length is None else length}", 0)
    size, low, bits = 1 << 32 - length, base & 0xFF, 0
    while members[:1].isdigit():
        number, rest = leading_number(members, 0)
        if not low <= number & 0xFFFF < low + size:
            raise RefusalError(f"addr {number & 0xFFFF} out of range [{low}-{low + size - 1}]", 0)
        bits |= 1 << (number & 0xFFFF) - low
        if not rest.startswith(","):
            break
        members = rest[1:]
    return AddressInSet(end, base, size, bits)


def _is_ip6(text: str) -> bool:
    return text.count(":") >= 2 and re.fullmatch(r"[0-9a-fA-F:.]+", text) is not None


def _ip6(words: Words, switches: Switches, end: End) -> Predicate | None:
    if words.accept("any"):
        return None
    word = words.need("missing address")
    if word == "me6" or words.means("me"):
        words.take()
        return AddressIsLocal6(end)
    words.take()
    if word.startswith("table("):
        return AddressInTable(end, *table_reference(word, switches))
    first = re.split("[/,]", word, maxsplit=1)[0]
    if _is_ip6(first):
        raise RefusalError(f"IPv6 addresses are not modelled here: {word}", UNAVAILABLE)
    raise RefusalError(f'bad address "{first}"', DATA_ERROR)


def _blocks(word: str, end: End, *, negated: bool) -> Predicate | None:
    """``a``, ``a/len``, ``a:mask``, a comma list of those, or one ``a/len{members}``."""
    blocks: list[tuple[int, int]] = []
    rest: str | None = word
    while rest is not None:
        found = re.match(r"([^/:,{]*)(?:([/:])([^,{]*))?", rest)
        assert found is not None
        host, kind, mask_text = found.groups()
        after = rest[found.end() :]
        address = address_of_host(host)
        if address is None:
            raise RefusalError(f"hostname ``{host}'' unknown", NO_HOST)
        mask = 0xFFFFFF00 if kind is None and after.startswith("{") else _mask(kind, mask_text)
        base = address & mask
        if after.startswith("{"):
            if blocks:
                raise RefusalError("address set cannot be in a list", DATA_ERROR)
            return _set(end, base, mask, after[1:])
        rest = after[1:] if after else None
        if mask == 0:
            if negated and rest is None and not blocks:
                raise RefusalError("not any never matches", DATA_ERROR)
            return None
        if mask == ALL_ONES and rest is None and not blocks:
            return Source(base) if end is End.SOURCE else Destination(base)
        blocks.append((base, mask))
    if 2 * len(blocks) + 1 > LONGEST:
        raise RefusalError("address list too long", DATA_ERROR)
    if len(blocks) == 1:
        return Source(*blocks[0]) if end is End.SOURCE else Destination(*blocks[0])
    return AddressIn(end, tuple(blocks))


def _mask(kind: str | None, text: str) -> int:
    if kind == ":":
        mask = inet_aton(text)
        if mask is None:
            raise RefusalError(f"bad netmask ``{text}''", DATA_ERROR)
        return mask
    if kind == "/":
        length = leading_number(text)[0]
        if length > 32:
            raise RefusalError(f"bad width ``{text}''", DATA_ERROR)
        # A negative length is shifted by its distance from 32, of which the processor heeds five bits.
        return ALL_ONES << (32 - length & 31) & ALL_ONES if length else 0
    return ALL_ONES


def _set(end: End, base: int, mask: int, members: str) -> AddressInSet:
    """What stands between the braces: numbers and ranges, values of the last octet (E-14)."""
    length = prefix_length(mask)
    if length is None or not 24 <= length <= 31:
        raise RefusalError(f"invalid set with mask {-1 if length is None else length}\n", DATA_ERROR)
    size = 1 << 32 - length
    low = base & 0xFF
    bits, begun = 0, None
    while members[:1].isdigit():
        number, rest = leading_number(members, 0)
        if not low <= number < low + size:
            raise RefusalError(f"addr {number} out of range [{low}-{low + size - 1}]\n", DATA_ERROR)
        if begun is not None:
            if begun > number:
                raise RefusalError(f"invalid range {begun}-{number}", DATA_ERROR)
            if rest.startswith("-"):
                raise RefusalError("double '-' in range", DATA_ERROR)
        for member in range(number if begun is None else begun, number + 1):
            bits |= 1 << member - low
        begun = number if rest.startswith("-") else None
        if rest.startswith("}"):
            break
        members = rest[1:]
    return AddressInSet(end, base, size, bits)
