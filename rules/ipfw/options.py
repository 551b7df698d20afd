"""The options of a rule: word -> how its arguments are read.

Sources: ipfw(8), RULE OPTIONS; E-16 to E-26, G-36 of the behavioural notes.  A reader takes the words it needs and
gives back the question, or None where the option asks nothing (``via any``).
"""

from __future__ import annotations

from collections.abc import Callable

from rules.ipfw.addressing import IP, source_or_destination, table_name, table_reference
from rules.ipfw.headeroptions import (
    dscp,
    flag_list,
    fragment,
    icmp_codes,
    icmp_types,
    numbers,
    precedence,
    tcp_number,
    tcp_sizes,
    version,
)
from rules.ipfw.names import GROUPS, IP_OPTIONS, TCP_FLAGS, TCP_OPTIONS, TOS_BITS, USERS
from rules.ipfw.optionreading import Context, Read, Reader, unsigned_argument
from rules.ipfw.placewords import interface, protocol
from rules.ipfw.portlists import ports
from rules.ipfw.questions import (
    TABLEARG,
    AddressInTable,
    Antispoof,
    AnyFragment,
    Comment,
    Diverted,
    End,
    Established,
    Family,
    Fib,
    FlowInTable,
    Incoming,
    IpOptions,
    Mark,
    Never,
    NumberIn,
    OwnedBy,
    ReceivedBy,
    SourceReachable,
    Tagged,
    TcpMss,
    TcpOptions,
    TosBits,
    TransmittedBy,
    VerifyReversePath,
)
from rules.ipfw.tablequestions import LOOKUP_KEYS
from rules.ipfw.words import DATA_ERROR, UNAVAILABLE, USAGE, RefusalError, Words, leading_number
from rules.predicates import DestinationPort, Predicate, Ranges, SourcePort, TcpFlags, Via

__all__ = ["OPTIONS"]

_COMMENT_LIMIT = 84


def _constant(question: Predicate) -> Reader:
    return lambda words, context: Read(question)


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


def _interface(question: Callable[..., Predicate]) -> Reader:
    def read(words: Words, context: Context) -> Read:
        words.need("recv, xmit, via require interface name or address")
        word = words.take()
        if word == "any":
            return Read(None, forgets_not=True)
        return Read(question(interface(word, context.switches)))

    return read


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
    "frag": fragment,
    "fragment": fragment,
    "layer2": _constant(Never("layer2")),
    "bridged": _constant(Never("layer2")),
    "recv": _interface(ReceivedBy),
    "xmit": _interface(TransmittedBy),
    "via": _interface(Via),
    "icmptypes": icmp_types,
    "icmptype": icmp_types,
    "icmpcodes": icmp_codes,
    "icmpcode": icmp_codes,
    "ipfrag": _constant(AnyFragment()),
    "ipttl": numbers("ttl", "ipttl requires TTL", "invalid ipttl"),
    "ipid": numbers("identification", "ipid requires id", "invalid ipid"),
    "iplen": numbers("total_length", "iplen requires length", "invalid ip len"),
    "ipversion": version,
    "ipver": version,
    "ipprecedence": precedence,
    "dscp": dscp,
    "ipoptions": flag_list("ipoptions", IP_OPTIONS, IpOptions),
    "ipopts": flag_list("ipoptions", IP_OPTIONS, IpOptions),
    "iptos": flag_list("iptos", TOS_BITS, TosBits),
    "uid": _owner("uid", USERS),
    "gid": _owner("gid", GROUPS),
    "jail": _jail,
    "established": _constant(Established()),
    "estab": _constant(Established()),
    "setup": _constant(TcpFlags(_SYN, _ACK)),
    "tcpdatalen": numbers("tcp_data_length", "tcpdatalen requires length", "invalid tcpdata len"),
    "tcpoptions": flag_list("tcpoptions", TCP_OPTIONS, TcpOptions),
    "tcpopts": flag_list("tcpoptions", TCP_OPTIONS, TcpOptions),
    "tcpseq": tcp_number("tcp_sequence"),
    "tcpack": tcp_number("tcp_acknowledgment"),
    "tcpwin": tcp_sizes("tcpwin", lambda ranges: NumberIn("tcp_window", ranges)),
    "tcpmss": tcp_sizes("tcpmss", TcpMss),
    "tcpflags": flag_list("tcpflags", TCP_FLAGS, TcpFlags),
    "tcpflgs": flag_list("tcpflags", TCP_FLAGS, TcpFlags),
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
