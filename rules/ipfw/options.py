"""The options of a rule: word -> how its arguments are read.

Sources: ipfw(8), RULE OPTIONS; E-16 to E-26, G-35, G-36 and table M-1 of the behavioural notes.  A reader takes the
words it needs and gives back the question, or None where the option asks nothing (``via any``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rules.ipfw.addressing import (
    IP,
    interface,
    number_or_list,
    ports,
    protocol,
    source_or_destination,
    table_name,
    table_reference,
)
from rules.ipfw.names import DSCP_POINTS, FRAGMENT_BITS, GROUPS, IP_OPTIONS, TCP_FLAGS, TCP_OPTIONS, TOS_BITS, USERS
from rules.ipfw.questions import (
    TABLEARG,
    AddressInTable,
    Antispoof,
    AnyFragment,
    Comment,
    Diverted,
    Dscp,
    End,
    Established,
    Family,
    Fib,
    FlowInTable,
    FragmentBits,
    Incoming,
    IpOptions,
    IpVersion,
    Mark,
    Never,
    NumberIn,
    OwnedBy,
    Precedence,
    ReceivedBy,
    SourceReachable,
    Tagged,
    TcpMss,
    TcpNumber,
    TcpOptions,
    TosBits,
    TransmittedBy,
    VerifyReversePath,
)
from rules.ipfw.switches import Switches
from rules.ipfw.tablequestions import LOOKUP_KEYS
from rules.ipfw.words import DATA_ERROR, UNAVAILABLE, USAGE, RefusalError, Words, leading_number
from rules.predicates import (
    DestinationPort,
    IcmpCode,
    IcmpType,
    LaterFragment,
    Predicate,
    Ranges,
    SourcePort,
    TcpFlags,
    Via,
)

__all__ = ["OPTIONS", "Context", "dscp_point", "unsigned_argument"]

_COMMENT_LIMIT = 84
_COMPLAINTS_OF_2003 = {"ipid requires id": "ipid requires length"}


class Context:
    """What the words before have settled: the protocol named last, whether ``not`` is pending, the system."""

    __slots__ = ("negated", "protocol", "switches")

    def __init__(self, switches: Switches) -> None:
        self.switches = switches
        self.protocol = IP
        self.negated = False


class Read(NamedTuple):
    """What an option asks; ``forgets_not``: a ``not`` before it is lost."""

    question: Predicate | None
    forgets_not: bool = False


Reader = Callable[[Words, Context], Read]


def unsigned_argument(words: Words, option: str) -> int:
    """A number of 1 to 65534, or ``tablearg``; taken."""
    word = words.need(f"{option}: missing argument")
    if words.accept("tablearg"):
        return TABLEARG
    number, rest = leading_number(word)
    if not word[:1].isdigit() or rest:
        raise RefusalError(f"{option}: invalid argument: {word}", DATA_ERROR)
    if not 1 <= number <= 65534:
        raise RefusalError(f"{option}: argument is out of range (1..65534): {word}", DATA_ERROR)
    words.take()
    return number


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


def _constant(question: Predicate) -> Reader:
    return lambda words, context: Read(question)


def _numbers(field: str, complaint: str, refusal: str) -> Reader:
    def read(words: Words, context: Context) -> Read:
        lists = context.switches.number_lists
        words.need(complaint if lists else _COMPLAINTS_OF_2003.get(complaint, complaint))
        return Read(NumberIn(field, number_or_list(words, refusal, lists=lists)))

    return read


def _tcp_sizes(word: str, question: Callable[[Ranges], Predicate]) -> Reader:
    """``tcpwin`` and ``tcpmss``, which share their complaints where there are both (ipfw2.c of FreeBSD 12)."""

    def read(words: Words, context: Context) -> Read:
        if "tcpmss" in context.switches.missing_words:
            words.need("tcpwin requires length")
            return Read(question(number_or_list(words, "invalid tcpwin len")))
        words.need("tcpmss/tcpwin requires size")
        return Read(question(number_or_list(words, f"invalid {word} size")))

    return read


def _mark(words: Words, context: Context) -> Read:
    words.need("missing mark value:mask")
    value_text, colon, mask_text = words.take().partition(":")
    mask = leading_number(mask_text, 0)[0] & 0xFFFFFFFF if colon else 0xFFFFFFFF
    if value_text == "tablearg":
        return Read(Mark(TABLEARG, mask))
    value = leading_number(value_text, 0)[0] & 0xFFFFFFFF
    if value & mask != value:
        v, m, both = (_hexadecimal(number) for number in (value, mask, value & mask))
        text = "Static mark value: some bits in value are set that will be masked out by mask"
        raise RefusalError(f"{text} ({v} & {m}) = {both} != {v}", DATA_ERROR)
    return Read(Mark(value, mask))


def _hexadecimal(number: int) -> str:
    """As ``%#x`` prints it, which leaves 0 bare."""
    return f"{number:#x}" if number else "0"


def _flag_list(option: str, table: dict[str, int], question: Callable[[int, int], Predicate]) -> Reader:
    def read(words: Words, context: Context) -> Read:
        words.need(f"missing argument for {option}")
        return Read(question(*_flags(words.take(), table)))

    return read


def _fragment(words: Words, context: Context) -> Read:
    """``frag``; where it takes a list and the next word is one, ``frag LIST``."""
    word = words.peek()
    names = (word or "").replace("!", "").removesuffix(",").split(",")
    if not context.switches.fragment_lists or not all(name in FRAGMENT_BITS for name in names):
        return Read(LaterFragment())
    present, absent = _flags(words.take(), FRAGMENT_BITS)
    return Read(LaterFragment() if (present, absent) == (1, 0) else FragmentBits(present, absent))


def _icmp_types(words: Words, context: Context) -> Read:
    """Types up to the highest that the tool takes; one that takes all of them complains in the plural."""
    words.need("icmptypes requires list of types")
    highest = context.switches.highest_typed_icmp_type
    types = _octets(words.take(), "invalid ICMP type" if highest < 0xFF else "invalid ICMP types")
    if max(types, default=0) > highest:
        raise RefusalError("ICMP type out of range", DATA_ERROR)
    return Read(IcmpType(Ranges(tuple((number, number) for number in types))))


def _icmp_codes(words: Words, context: Context) -> Read:
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


def _interface(question: Callable[..., Predicate]) -> Reader:
    def read(words: Words, context: Context) -> Read:
        words.need("recv, xmit, via require interface name or address")
        word = words.take()
        if word == "any":
            return Read(None, forgets_not=True)
        return Read(question(interface(word, context.switches)))

    return read


def _version(words: Words, context: Context) -> Read:
    words.need("ipver requires version")
    return Read(IpVersion(leading_number(words.take(), 0)[0] & 0xFFFF))


def _precedence(words: Words, context: Context) -> Read:
    words.need("ipprecedence requires value")
    return Read(Precedence(leading_number(words.take(), 0)[0] & 7))


def _dscp(words: Words, context: Context) -> Read:
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


def _owner(what: str, names: dict[str, int]) -> Reader:
    """A name, or any number: whether somebody has it is not asked, unlike in the tool."""

    def read(words: Words, context: Context) -> Read:
        words.need(f"{what} requires argument")
        word = words.take()
        number, rest = leading_number(word, 0)
        if rest and word not in names:
            raise RefusalError(f'{what} "{word}" nonexistent', DATA_ERROR)
        return Read(OwnedBy(what, names[word] if rest else number & 0xFFFFFFFF))

    return read


def _jail(words: Words, context: Context) -> Read:
    words.need("jail requires argument")
    word = words.take()
    number, rest = leading_number(word, 0)
    if rest or number < 0:
        text = f'jail "{word}" not found' if context.switches.jail_names else "jail requires prison ID"
        raise RefusalError(text, DATA_ERROR)
    return Read(OwnedBy("jail", number))


def _tcp_number(field: str) -> Reader:
    def read(words: Words, context: Context) -> Read:
        words.need("tcpseq/tcpack requires argument")
        return Read(TcpNumber(field, leading_number(words.take(), 0)[0] & 0xFFFFFFFF), forgets_not=True)

    return read


def _protocol(words: Words, context: Context) -> Read:
    words.need("missing protocol")
    families = "ip4" not in context.switches.missing_words
    found = protocol(words, compatible=False, families=families, whole=context.switches.tool != "2003")
    if found is None:
        raise RefusalError(f"invalid protocol ``{words.peek()}''", DATA_ERROR)
    question, context.protocol = found
    return Read(question)


def _address(end: End, name: str) -> Reader:
    def read(words: Words, context: Context) -> Read:
        words.need(f"missing {name} IP")
        question = source_or_destination(
            words, end, protocol=IP, negated=context.negated, switches=context.switches, ip4_only=True
        )
        return Read(question)

    return read


def _ports(question: Callable[[Ranges], Predicate], name: str) -> Reader:
    def read(words: Words, context: Context) -> Read:
        words.need(f"missing {name} port")
        if words.accept("any"):
            return Read(None)
        ranges = ports(words, context.protocol, forgiving=context.switches.tool == "2003")
        if ranges is None:
            raise RefusalError(f"invalid {name} port {words.peek()}", DATA_ERROR)
        return Read(question(ranges))

    return read


def _tagged(words: Words, context: Context) -> Read:
    word = words.peek()
    if word is not None and ("-" in word or "," in word):
        tags = ports(words, IP)
        if tags is None:
            raise RefusalError(f"tagged: invalid tag list: {word}", DATA_ERROR)
        return Read(Tagged(tags))
    number = unsigned_argument(words, "tagged")
    return Read(Tagged(Ranges(((number, number),))))


def _fib(words: Words, context: Context) -> Read:
    words.need("fib requires fib number")
    return Read(Fib(leading_number(words.take(), 0)[0] & 0xFFFF))


def _lookup(words: Words, context: Context) -> Read:
    if len(words) < 2:
        raise RefusalError("format: lookup argument tablenum", USAGE)
    word = words.take()
    if word not in LOOKUP_KEYS or f"lookup {word}" in context.switches.missing_words:
        raise RefusalError(f"format: cannot lookup on {word}", USAGE)
    name = table_name(words.take(), context.switches)
    return Read(AddressInTable(End.DESTINATION, name, None, word))


def _flow(words: Words, context: Context) -> Read:
    word = words.need("missing table name")
    if not word.startswith("table("):
        raise RefusalError('enclose table name into "table()"', DATA_ERROR)
    return Read(FlowInTable(*table_reference(words.take(), context.switches)))


def _comment(words: Words, context: Context) -> Read:
    parts = words.rest()
    if sum(len(part) + 1 for part in parts) > _COMMENT_LIMIT:
        raise RefusalError("comment too long (max 80 chars)", DATA_ERROR)
    return Read(Comment(" ".join(parts)) if parts else None)


def _unmodelled(what: str) -> Reader:
    def read(words: Words, context: Context) -> Read:
        raise RefusalError(f"{what} is not modelled here", UNAVAILABLE)

    return read


_SYN, _ACK = TCP_FLAGS["syn"], TCP_FLAGS["ack"]

OPTIONS: dict[str, Reader] = {
    "in": _constant(Incoming()),
    "diverted": _constant(Diverted(3)),
    "diverted-loopback": _constant(Diverted(1)),
    "diverted-output": _constant(Diverted(2)),
    "frag": _fragment,
    "fragment": _fragment,
    "layer2": _constant(Never("layer2")),
    "bridged": _constant(Never("layer2")),
    "recv": _interface(ReceivedBy),
    "xmit": _interface(TransmittedBy),
    "via": _interface(Via),
    "icmptypes": _icmp_types,
    "icmptype": _icmp_types,
    "icmpcodes": _icmp_codes,
    "icmpcode": _icmp_codes,
    "ipfrag": _constant(AnyFragment()),
    "ipttl": _numbers("ttl", "ipttl requires TTL", "invalid ipttl"),
    "ipid": _numbers("identification", "ipid requires id", "invalid ipid"),
    "iplen": _numbers("total_length", "iplen requires length", "invalid ip len"),
    "ipversion": _version,
    "ipver": _version,
    "ipprecedence": _precedence,
    "dscp": _dscp,
    "ipoptions": _flag_list("ipoptions", IP_OPTIONS, IpOptions),
    "ipopts": _flag_list("ipoptions", IP_OPTIONS, IpOptions),
    "iptos": _flag_list("iptos", TOS_BITS, TosBits),
    "uid": _owner("uid", USERS),
    "gid": _owner("gid", GROUPS),
    "jail": _jail,
    "established": _constant(Established()),
    "estab": _constant(Established()),
    "setup": _constant(TcpFlags(_SYN, _ACK)),
    "tcpdatalen": _numbers("tcp_data_length", "tcpdatalen requires length", "invalid tcpdata len"),
    "tcpoptions": _flag_list("tcpoptions", TCP_OPTIONS, TcpOptions),
    "tcpopts": _flag_list("tcpoptions", TCP_OPTIONS, TcpOptions),
    "tcpseq": _tcp_number("tcp_sequence"),
    "tcpack": _tcp_number("tcp_acknowledgment"),
    "tcpwin": _tcp_sizes("tcpwin", lambda ranges: NumberIn("tcp_window", ranges)),
    "tcpmss": _tcp_sizes("tcpmss", TcpMss),
    "tcpflags": _flag_list("tcpflags", TCP_FLAGS, TcpFlags),
    "tcpflgs": _flag_list("tcpflags", TCP_FLAGS, TcpFlags),
    "proto": _protocol,
    "src-ip": _address(End.SOURCE, "source"),
    "dst-ip": _address(End.DESTINATION, "destination"),
    "src-port": _ports(SourcePort, "source"),
    "dst-port": _ports(DestinationPort, "destination"),
    "verrevpath": _constant(VerifyReversePath()),
    "versrcreach": _constant(SourceReachable()),
    "antispoof": _constant(Antispoof()),
    "ipsec": _constant(Never("ipsec")),
    "ip4": _constant(Family(4)),
    "ipv4": _constant(Family(4)),
    "ip6": _constant(Family(6)),
    "ipv6": _constant(Family(6)),
    "tagged": _tagged,
    "fib": _fib,
    "sockarg": _constant(Never("sockarg")),
    "lookup": _lookup,
    "flow": _flow,
    "//": _comment,
    "MAC": _unmodelled("MAC"),
    "mac": _unmodelled("MAC"),
    "mac-type": _unmodelled("mac-type"),
    "src-ip6": _unmodelled("src-ip6"),
    "src-ipv6": _unmodelled("src-ipv6"),
    "dst-ip6": _unmodelled("dst-ip6"),
    "dst-ipv6": _unmodelled("dst-ipv6"),
    "icmp6types": _unmodelled("icmp6types"),
    "icmp6type": _unmodelled("icmp6type"),
    "ext6hdr": _unmodelled("ext6hdr"),
    "flow-id": _unmodelled("flow-id"),
    "rdr": _unmodelled("rdr"),
    "redirect": _unmodelled("rdr"),
    "mark": _mark,
}
"""``in`` and the others that stand for one question; ``out``, ``keep-state``, ``limit``, braces, ``not`` and ``or``
belong to the rule's grammar (:mod:`rules.ipfw.grammar`)."""
