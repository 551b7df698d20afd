"""How the options about fields of the IP, TCP and ICMP headers are read: numbers, lists, flags.

Sources: ipfw(8), RULE OPTIONS; E-16 to E-21, G-35 and table M-1 of the behavioural notes.
"""

from __future__ import annotations

from collections.abc import Callable

from rules.ipfw.names import DSCP_POINTS, FRAGMENT_BITS
from rules.ipfw.optionreading import Context, Read, Reader
from rules.ipfw.portlists import number_or_list
from rules.ipfw.questions import Dscp, FragmentBits, IpVersion, NumberIn, Precedence, TcpNumber
from rules.ipfw.words import DATA_ERROR, RefusalError, Words, leading_number
from rules.predicates import IcmpCode, IcmpType, LaterFragment, Predicate, Ranges

__all__ = [
    "dscp",
    "dscp_point",
    "flag_list",
    "fragment",
    "icmp_codes",
    "icmp_types",
    "numbers",
    "precedence",
    "tcp_number",
    "tcp_sizes",
    "version",
]

_COMPLAINTS_OF_2003 = {"ipid requires id": "ipid requires length"}


def dscp_point(word: str) -> int:
    """A differentiated services code point by name."""
    if word not in DSCP_POINTS:
        raise RefusalError("Unknown DSCP code", DATA_ERROR)
    return DSCP_POINTS[word]


def _flags(text: str, table: dict[str, int]) -> tuple[int, int]:
    """``a,!b`` -> bits that must be set, bits that must be clear."""
    present = absent = 0
    for item in text.removesuffix(",").split(","):
        name = item.removeprefix("!")
        if name not in table:
            raise RefusalError(f"invalid flag {name}", DATA_ERROR)
        if item.startswith("!"):
            absent |= table[name]
        else:
            present |= table[name]
    return present, absent


def numbers(field: str, complaint: str, refusal: str) -> Reader:
    def read(words: Words, context: Context) -> Read:
        lists = context.switches.number_lists
        words.need(complaint if lists else _COMPLAINTS_OF_2003.get(complaint, complaint))
        return Read(NumberIn(field, number_or_list(words, refusal, lists=lists)))

    return read


def tcp_sizes(word: str, question: Callable[[Ranges], Predicate]) -> Reader:
    """``tcpwin`` and ``tcpmss``, which share their complaints where there are both (ipfw2.c of FreeBSD 12)."""

    def read(words: Words, context: Context) -> Read:
        if "tcpmss" in context.switches.missing_words:
            words.need("tcpwin requires length")
            return Read(question(number_or_list(words, "invalid tcpwin len")))
        words.need("tcpmss/tcpwin requires size")
        return Read(question(number_or_list(words, f"invalid {word} size")))

    return read


def tcp_number(field: str) -> Reader:
    def read(words: Words, context: Context) -> Read:
        words.need("tcpseq/tcpack requires argument")
        return Read(TcpNumber(field, leading_number(words.take(), 0)[0] & 0xFFFFFFFF), forgets_not=True)

    return read


def flag_list(option: str, table: dict[str, int], question: Callable[[int, int], Predicate]) -> Reader:
    def read(words: Words, context: Context) -> Read:
        words.need(f"missing argument for {option}")
        return Read(question(*_flags(words.take(), table)))

    return read


def fragment(words: Words, context: Context) -> Read:
    """``frag``; where it takes a list and the next word is one, ``frag LIST``."""
    word = words.peek()
    names = (word or "").replace("!", "").removesuffix(",").split(",")
    if not context.switches.fragment_lists or not all(name in FRAGMENT_BITS for name in names):
        return Read(LaterFragment())
    present, absent = _flags(words.take(), FRAGMENT_BITS)
    return Read(LaterFragment() if (present, absent) == (1, 0) else FragmentBits(present, absent))


def icmp_types(words: Words, context: Context) -> Read:
    """Types up to the highest that the tool takes; one that takes all of them complains in the plural."""
    words.need("icmptypes requires list of types")
    highest = context.switches.highest_typed_icmp_type
    types = _octets(words.take(), "invalid ICMP type" if highest < 0xFF else "invalid ICMP types")
    if max(types, default=0) > highest:
        raise RefusalError("ICMP type out of range", DATA_ERROR)
    return Read(IcmpType(Ranges(tuple((number, number) for number in types))))


def icmp_codes(words: Words, context: Context) -> Read:
    words.need("icmpcodes requires list of codes")
    codes = _octets(words.take(), "invalid ICMP codes")
    return Read(IcmpCode(Ranges(tuple((number, number) for number in codes))))


def _octets(rest: str, complaint: str) -> list[int]:
    """Numbers in C notation, cut to eight bits, in order."""
    numbers = set()
    while rest:
        number, rest = leading_number(rest.removeprefix(","), 0)
        if rest and not rest.startswith(","):
            raise RefusalError(complaint, DATA_ERROR)
        numbers.add(number & 0xFF)
    return sorted(numbers)


def version(words: Words, context: Context) -> Read:
    words.need("ipver requires version")
    return Read(IpVersion(leading_number(words.take(), 0)[0] & 0xFFFF))


def precedence(words: Words, context: Context) -> Read:
    words.need("ipprecedence requires value")
    return Read(Precedence(leading_number(words.take(), 0)[0] & 7))


def dscp(words: Words, context: Context) -> Read:
    words.need("missing DSCP code")
    points = set()
    for item in words.take().split(","):
        if item[:1].isalpha():
            points.add(dscp_point(item))
            continue
        number = leading_number(item)[0]
        if not 0 <= number <= 63:
            raise RefusalError("Invalid DSCP value", DATA_ERROR)
        points.add(number)
    return Read(Dscp(frozenset(points)))
