"""A rule, and a dynamic entry, as the first ipfw(8) lists them (L-4, L-10 to L-12, L-16; ipfw.c).

The tool prints a structure, so everything has its place whatever the order it was typed in.
"""

from __future__ import annotations

from rules.addresses import dotted
from rules.ipfw.first.grammar import NOBODY
from rules.ipfw.first.questions import MaskedPort
from rules.ipfw.listing import Style, action_words, address_words, end_of, limit_words
from rules.ipfw.names import (
    GROUP_NAMES,
    IP_OPTIONS,
    PROTOCOL_NAMES,
    TCP_FLAGS,
    TCP_OPTIONS,
    USER_NAMES,
    service_name,
)
from rules.ipfw.questions import (
    End,
    Established,
    Incoming,
    IpOptions,
    Never,
    OwnedBy,
    ReceivedBy,
    TcpOptions,
    TransmittedBy,
)
from rules.ipfw.rule import CHANCE_UNIT, Action, Element, Rule
from rules.ipfw.ruleline import second_body
from rules.ipfw.state import Kind, State
from rules.predicates import (
    DestinationPort,
    IcmpType,
    LaterFragment,
    Predicate,
    ProtocolIs,
    Ranges,
    SourcePort,
    TcpFlags,
    Via,
)

__all__ = ["body", "state_line"]

_FLAGS_IN_ORDER = {name: TCP_FLAGS[name] for name in ("fin", "syn", "rst", "psh", "ack", "urg")}
_TCP_OPTIONS = {name: TCP_OPTIONS[name] for name in ("mss", "window", "sack", "ts", "cc")}
_OWNER_NAMES = {"uid": USER_NAMES, "gid": GROUP_NAMES}


def body(rule: Rule, style: Style) -> str:
    """A rule from its ``prob`` on.  What this language cannot say is printed as the second one has it."""
    if rule.effect.action is Action.CHECK_STATE:
        return "check-state"
    words = [f"prob {rule.chance / CHANCE_UNIT:f}"] if rule.chance is not None else []
    words.append(action_words(rule.effect, style.switches))
    if rule.log is not None:
        words.append(f"log logamount {rule.log.amount}" if rule.log.amount else "log")
    lines = _Line(style)
    for place, element in enumerate(rule.elements):
        follows_or = place > 0 and rule.elements[place - 1].or_next
        if not lines.add(element, follows_or=follows_or):
            return second_body(rule, style)
    if rule.state is not None:
        lines.options["state"] = limit_words(rule.state, style.switches, apart=True)
    return " ".join([*words, *lines.words()])


class _Line:
    """The places of a line."""

    ORDER = (
        "uid",
        "gid",
        "state",
        "bridged",
        "direction",
        "via",
        "recv",
        "xmit",
        "frag",
        "ipopt",
        "tcp",
        "tcpoptions",
        "icmptype",
    )

    def __init__(self, style: Style) -> None:
        self.style = style
        self.protocol = 0
        self.addresses = {End.SOURCE: "any", End.DESTINATION: "any"}
        self.ports = {End.SOURCE: "", End.DESTINATION: ""}
        self.options: dict[str, str] = {}

    def words(self) -> list[str]:
        name = PROTOCOL_NAMES.get(self.protocol, str(self.protocol))
        source = f"from {self.addresses[End.SOURCE]}{self.ports[End.SOURCE]}"
        destination = f"to {self.addresses[End.DESTINATION]}{self.ports[End.DESTINATION]}"
        return [name, source, destination, *(self.options[place] for place in self.ORDER if place in self.options)]

    def add(self, element: Element, *, follows_or: bool) -> bool:
        """Put a question in its place; False if there is none for it."""
        question, negated = element.question, element.negated
        if follows_or:  # the later fragments that types and ``established`` let pass
            return isinstance(question, LaterFragment) and not negated
        if element.or_next and not isinstance(question, IcmpType | Established):
            return False
        if isinstance(question, Incoming):
            self.options["direction"] = "out" if negated else "in"
            return True
        end = end_of(question)
        if end is not None:
            self.addresses[end] = "not " * negated + address_words(question, self.style)
            return True
        return not negated and self._add(question)

    def _add(self, question: Predicate) -> bool:
        match question:
            case ProtocolIs(number):
                self.protocol = number
            case SourcePort(ports):
                self.ports[End.SOURCE] = f" {self._ports(ports)}"
            case DestinationPort(ports):
                self.ports[End.DESTINATION] = f" {self._ports(ports)}"
            case MaskedPort(end, port, mask, others):
                more = f",{self._ports(others)}" if others.pairs else ""
                self.ports[end] = f" {self._port(port)}:0x{mask:04x}{more}"
            case OwnedBy(what, number) if what in _OWNER_NAMES:
                self.options[what] = f"{what} {_OWNER_NAMES[what].get(number, number)}"
            case Via(interfaces):
                self.options["via"] = f"via {interfaces}"
            case ReceivedBy(interfaces):
                self.options["recv"] = f"recv {interfaces}"
            case TransmittedBy(interfaces):
                self.options["xmit"] = f"xmit {interfaces}"
            case LaterFragment():
                self.options["frag"] = "frag"
            case IpOptions(present, absent):
                self.options["ipopt"] = _flags("ipopt", present, absent, IP_OPTIONS)
            case Established():
                self.options["tcp"] = "established"
            case TcpFlags(present, absent):
                self.options.setdefault("tcp", _tcp_flags(present, absent))
            case TcpOptions(present, absent):
                self.options["tcpoptions"] = _flags("tcpoptions", present, absent, _TCP_OPTIONS)
            case IcmpType(types):
                self.options["icmptype"] = f"icmptype {types}"
            case Never("bridged"):
                self.options["bridged"] = "bridged"
            case Never() if question in _NOBODY_WORDS:
                end, words = _NOBODY_WORDS[question]
                self.addresses[end] = words
            case _:
                return False
        return True

    def _port(self, number: int) -> str:
        protocol = PROTOCOL_NAMES.get(self.protocol) if self.protocol else None
        return (service_name(number, protocol) if self.style.resolve else None) or str(number)

    def _ports(self, ranges: Ranges) -> str:
        return ",".join(
            self._port(low) if low == high else f"{self._port(low)}-{self._port(high)}" for low, high in ranges.pairs
        )


_NOBODY_WORDS = {question: (end, f"not {word}") for (end, word), question in NOBODY.items()}


def _tcp_flags(present: int, absent: int) -> str:
    if (present, absent) == (TCP_FLAGS["syn"], TCP_FLAGS["ack"]):
        return "setup"
    return _flags("tcpflags", present, absent, _FLAGS_IN_ORDER)


def _flags(word: str, present: int, absent: int, table: dict[str, int]) -> str:
    items = []
    for name, bits in table.items():
        if present & bits:
            items.append(name)
        if absent & bits:
            items.append(f"!{name}")
    return f"{word} {','.join(items)}"


_KIND_WORDS = {Kind.STATE: " <->", Kind.LIMIT: " LIMIT", Kind.PARENT: " PARENT {children}"}


def state_line(state: State, remaining: int, slot: int, *, resolve: bool) -> str:
    """One dynamic entry, its line ended: seconds to live and bucket in parentheses (show_dyn_ipfw)."""
    protocol, source, destination, source_port, destination_port = state.flow
    name = PROTOCOL_NAMES.get(protocol) if resolve else None
    kind = _KIND_WORDS[state.kind].format(children=state.children)
    counters = f"{state.owner.rule.number:05} {state.packets} {state.octets} (T {remaining}s, slot {slot})"
    ends = f"{dotted(source)} {source_port}<-> {dotted(destination)} {destination_port}"
    return f"{counters}{kind} {name or protocol}, {ends}\n"
