"""The words for the parts of a rule in ipfw(8)'s listings: addresses, lists, options, actions.

Sources: section 10.4 (L-2, L-5, L-6, L-10 to L-13) of the behavioural notes.  How they make a line is in
:mod:`rules.ipfw.ruleline`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rules.addresses import ALL_ONES, dotted, prefix_length
from rules.ipfw.first.questions import MaskedPort
from rules.ipfw.names import (
    DSCP_NAMES,
    FRAGMENT_BITS,
    GROUP_NAMES,
    IP_OPTIONS,
    LIMIT_MASKS,
    PROTOCOL_NAMES,
    SINGLE_MASKS,
    TCP_FLAGS,
    TCP_OPTIONS,
    TOS_BITS,
    UNREACH_NAMES,
    USER_NAMES,
    service_name,
)
from rules.ipfw.nat.instances import GLOBAL
from rules.ipfw.questions import (
    TABLEARG,
    AddressIn,
    AddressInNumberedTable,
    AddressInSet,
    AddressInTable,
    AddressIsLocal,
    AddressIsLocal6,
    AddressOfInterface,
    Antispoof,
    AnyFragment,
    Diverted,
    Dscp,
    End,
    Established,
    Family,
    Fib,
    FlowInTable,
    FragmentBits,
    Incoming,
    InterfaceAddress,
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
from rules.ipfw.rule import Action, Effect, Limit
from rules.ipfw.switches import Switches
from rules.predicates import (
    Destination,
    IcmpCode,
    IcmpType,
    LaterFragment,
    Predicate,
    Ranges,
    Source,
    TcpFlags,
    Via,
)

__all__ = [
    "Style",
    "action_words",
    "address_words",
    "argument_words",
    "end_of",
    "limit_words",
    "option_words",
    "port_words",
    "protocol_word",
]


@dataclass(frozen=True, slots=True)
class Style:
    """How to print: the system's ways, and the options ``-c``, ``-b`` and ``-N``."""

    switches: Switches
    compact: bool = False
    comment_only: bool = False
    resolve: bool = False


_NAME_OF_HOST = {0x7F000001: "localhost"}
_OWNER_NAMES: dict[str, dict[int, str]] = {"uid": USER_NAMES, "gid": GROUP_NAMES, "jail": {}}


def protocol_word(number: int) -> str:
    """Name of a protocol, or its number."""
    return PROTOCOL_NAMES.get(number, str(number)) if number else "ip"


# Values


def argument_words(number: int) -> str:
    return "tablearg" if number == TABLEARG else str(number)


def _block(address: int, mask: int, style: Style) -> str:
    length = prefix_length(mask)
    if mask == ALL_ONES and style.resolve and address in _NAME_OF_HOST:
        return _NAME_OF_HOST[address]
    if length is None:
        return f"{dotted(address)}:{dotted(mask)}"
    return dotted(address) if length == 32 else f"{dotted(address)}/{length}"


def _set_members(question: AddressInSet, *, runs: bool) -> str:
    """Runs of three and more as a range, shorter ones number by number (L-6); without ``runs``, all of them so."""
    parts: list[str] = []
    low, at = question.base & 0xFF, 0
    while at < question.size:
        if not question.members >> at & 1:
            at += 1
            continue
        end = at
        while end + 1 < question.size and question.members >> end + 1 & 1:
            end += 1
        if end >= at + 2 and runs:
            parts.append(f"{at + low}-{end + low}")
            at = end
        else:
            parts.append(str(at + low))
        at += 1
    return ("{" if parts else "") + ",".join(parts) + "}"


def address_words(question: Predicate, style: Style) -> str:
    """An address, list, set or table (L-6)."""
    match question:
        case Source(address, mask) | Destination(address, mask):
            return _block(address, mask, style)
        case AddressIn(_, blocks):
            return ",".join(_block(address, mask, style) for address, mask in blocks)
        case AddressInSet(base=base, size=size):
            return f"{dotted(base)}/{33 - size.bit_length()}{_set_members(question, runs=style.switches.address_lists)}"
        case AddressOfInterface() | AddressInNumberedTable():
            return str(question)
        case AddressInTable(table=table, value=value):
            return f"table({table})" if value is None else f"table({table},{value})"
    return "me6" if isinstance(question, AddressIsLocal6) else "me"


def port_words(ranges: Ranges, protocol: int, style: Style) -> str:
    """A list; with ``-N`` its numbers as services of the protocol printed last."""
    name_of_protocol = PROTOCOL_NAMES.get(protocol) if protocol else None

    def word(number: int) -> str:
        name = service_name(number, name_of_protocol) if style.resolve else None
        return name or argument_words(number)

    return ",".join(word(low) if low == high else f"{word(low)}-{word(high)}" for low, high in ranges.pairs)


def _numbers(ranges: Ranges, style: Style) -> str:
    """The argument of ``iplen`` and its like: a lone number is never a service."""
    (low, high), *more = ranges.pairs
    return argument_words(low) if low == high and not more else port_words(ranges, 0, style)


def _flags(word: str, present: int, absent: int, table: dict[str, int]) -> str:
    items = []
    for name, bits in table.items():
        if present & bits:
            present &= ~bits
            items.append(name)
        if absent & bits:
            absent &= ~bits
            items.append(f"!{name}")
    return f"{word} {','.join(items)}"


def _tcp_flags(question: TcpFlags) -> str:
    if question.present == TCP_FLAGS["syn"] and question.absent == TCP_FLAGS["ack"]:
        return "setup"
    return _flags("tcpflags", question.present, question.absent, TCP_FLAGS)


_NUMBER_WORDS = {
    "total_length": "iplen",
    "identification": "ipid",
    "ttl": "ipttl",
    "tcp_data_length": "tcpdatalen",
    "tcp_window": "tcpwin",
    "tcp_sequence": "tcpseq",
    "tcp_acknowledgment": "tcpack",
}
_DIVERTED_WORDS = {1: "diverted-loopback", 2: "diverted-output", 3: "diverted"}

_OPTION_WORDS: dict[type, Callable[[Any, Style], str]] = {
    Incoming: lambda question, style: "in",
    LaterFragment: lambda question, style: "frag offset" if style.switches.fragment_lists else "frag",
    FragmentBits: lambda question, style: _flags("frag", question.present, question.absent, FRAGMENT_BITS),
    Diverted: lambda question, style: _DIVERTED_WORDS[question.ways],
    AnyFragment: lambda question, style: "ipfrag",
    ReceivedBy: lambda question, style: _interface("recv", question.interfaces, style),
    TransmittedBy: lambda question, style: _interface("xmit", question.interfaces, style),
    Via: lambda question, style: _interface("via", question.interfaces, style),
    IcmpType: lambda question, style: f"icmptypes {question.types}",
    IcmpCode: lambda question, style: f"icmpcodes {question.codes}",
    NumberIn: lambda question, style: f"{_NUMBER_WORDS[question.field]} {_numbers(question.ranges, style)}",
    TcpNumber: lambda question, style: f"{_NUMBER_WORDS[question.field]} {_sequence(question.number, style)}",
    TcpMss: lambda question, style: f"tcpmss {_numbers(question.ranges, style)}",
    Mark: lambda question, style: f"mark {_mark(question)}",
    Tagged: lambda question, style: f"tagged {_numbers(question.tags, style)}",
    IpVersion: lambda question, style: f"ipver {question.version}",
    Family: lambda question, style: f"ip{question.version}",
    Precedence: lambda question, style: f"ipprecedence {question.level}",
    Dscp: lambda question, style: f"dscp {','.join(_dscp(point) for point in sorted(question.points))}",
    IpOptions: lambda question, style: _flags("ipoptions", question.present, question.absent, IP_OPTIONS),
    TcpOptions: lambda question, style: _flags("tcpoptions", question.present, question.absent, TCP_OPTIONS),
    TosBits: lambda question, style: _flags("iptos", question.present, question.absent, TOS_BITS),
    TcpFlags: lambda question, style: _tcp_flags(question),
    OwnedBy: lambda question, style: (
        f"{question.what} {_OWNER_NAMES[question.what].get(question.number, question.number)}"
    ),
    Established: lambda question, style: "established",
    VerifyReversePath: lambda question, style: "verrevpath",
    SourceReachable: lambda question, style: "versrcreach",
    Antispoof: lambda question, style: "antispoof",
    FlowInTable: lambda question, style: (
        f"flow table({question.table})" if question.value is None else f"flow table({question.table},{question.value})"
    ),
    Fib: lambda question, style: f"fib {question.number}",
    Never: lambda question, style: question.words,
    MaskedPort: lambda question, style: f"{'src' if question.end is End.SOURCE else 'dst'}-port {question}",
}


def _mark(question: Mark) -> str:
    value = "tablearg" if question.value == TABLEARG else f"{question.value:#x}" if question.value else "0"
    return value if question.mask == ALL_ONES else f"{value}:{question.mask:#x}"


def option_words(question: Predicate, style: Style) -> str:
    """An option with its keyword, for all questions but addresses, ports and protocols."""
    return _OPTION_WORDS[type(question)](question, style)


def _sequence(number: int, style: Style) -> int:
    """Most tools print sequence numbers as signed 32-bit integers."""
    return number - 0x100000000 if number & 0x80000000 and style.switches.signed_sequence_numbers else number


def _interface(word: str, interfaces: object, style: Style) -> str:
    twice = style.switches.lists_address_twice and isinstance(interfaces, InterfaceAddress)
    return f"{word} {interfaces} {word} " if twice else f"{word} {interfaces}"


def _dscp(point: int) -> str:
    return DSCP_NAMES.get(point, str(point))


_ADDRESSES = (
    AddressIn,
    AddressInNumberedTable,
    AddressInSet,
    AddressInTable,
    AddressIsLocal,
    AddressIsLocal6,
    AddressOfInterface,
)


def end_of(question: Predicate) -> End | None:
    """The address place that a question belongs to, None for everything else."""
    if isinstance(question, Source):
        return End.SOURCE
    if isinstance(question, Destination):
        return End.DESTINATION
    if isinstance(question, _ADDRESSES):
        return question.end
    return None


# Actions


def _forward(effect: Effect, switches: Switches) -> str:
    host = "tablearg" if effect.address == TABLEARG else dotted(effect.address)
    return f"fwd {host},{effect.argument}" if effect.argument else f"fwd {host}"


def _unreach(effect: Effect, switches: Switches) -> str:
    if effect.argument == 1:
        return switches.reject_word
    return f"unreach {UNREACH_NAMES.get(effect.argument, effect.argument)}"


_ACTION_WORDS: dict[Action, Callable[[Effect, Switches], str]] = {
    Action.FWD: _forward,
    Action.UNREACH: _unreach,
    Action.SETDSCP: lambda effect, switches: (
        "setdscp tablearg" if effect.argument == TABLEARG else f"setdscp {_dscp(effect.argument)}"
    ),
    Action.SETMARK: lambda effect, switches: (
        f"setmark {argument_words(effect.argument) if effect.argument <= 0 else hex(effect.argument)}"
    ),
    Action.CHECK_STATE: lambda effect, switches: (
        f"check-state :{effect.state or 'any'}" if switches.state_names else "check-state"
    ),
    Action.NAT: lambda effect, switches: (
        "nat global" if effect.argument == GLOBAL else f"nat {argument_words(effect.argument)}"
    ),
    **{
        action: lambda effect, switches: f"{effect.action.value} {argument_words(effect.argument)}"
        for action in (
            Action.SKIPTO,
            Action.CALL,
            Action.DIVERT,
            Action.TEE,
            Action.PIPE,
            Action.QUEUE,
            Action.SETFIB,
        )
    },
}


def action_words(effect: Effect, switches: Switches) -> str:
    """An action with its argument (L-2)."""
    words = _ACTION_WORDS.get(effect.action)
    return words(effect, switches) if words else effect.action.value


def limit_words(state: Limit, switches: Switches, *, apart: bool = False) -> str:
    """``keep-state`` or ``limit MASKS COUNT`` (L-12).

    ``apart``: each mask is a word, as the first ipfw lists them and as all read them; else the commas of later
    listings, and ``all`` for the four of them, which the first ipfw does not know.
    """
    name = f" :{state.name}" if switches.state_names else ""
    if not state.mask:
        return f"{'record' if state.records else 'keep'}-state{name}"
    masks, left = [], state.mask
    for word, bits in (SINGLE_MASKS if apart else LIMIT_MASKS).items():
        if left & bits == bits:
            left &= ~bits
            masks.append(word)
    words = (" " if apart else ",").join(masks)
    return f"{'set-' * state.records}limit {words} {argument_words(state.count)}{name}"
