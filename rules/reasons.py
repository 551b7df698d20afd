"""Why a rule did not match a packet, in a clause: ``the destination port is 53, not 80``.

Each dialect says which question failed and how it spells what was wanted; what the packet has instead is said here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rules.addresses import dotted
from rules.fields import Fields
from rules.predicates import Predicate

__all__ = ["PassedOver", "clause", "grouped", "listed", "protocol_word"]

PassedOver = tuple[str, str]
"""A rule, and the clause that says why it did not match."""

_PROTOCOLS = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 51: "ah", 89: "ospf", 132: "sctp"}
_FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr")


def _flags(value: int) -> str:
    return ",".join(name for bit, name in enumerate(_FLAGS) if value >> bit & 1) or "none"


def protocol_word(value: int) -> str:
    """A protocol by its name, if it is a known one."""
    return _PROTOCOLS.get(value, str(value))


_FIELDS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "source": ("source", dotted),
    "destination": ("destination", dotted),
    "protocol": ("protocol", protocol_word),
    "source_port": ("source port", str),
    "destination_port": ("destination port", str),
    "icmp_type": ("ICMP type", str),
    "icmp_code": ("ICMP code", str),
    "tcp_flags": ("TCP flags", _flags),
    "tcp_sequence": ("sequence number", str),
    "tcp_acknowledgment": ("acknowledgment number", str),
    "tcp_window": ("window", str),
    "tcp_data_length": ("length of the TCP data", str),
    "tcp_options": ("TCP options", bytes.hex),
    "options": ("IP options", lambda value: value.hex() or "none"),
    "ttl": ("TTL", str),
    "tos": ("type of service", "{:#04x}".format),
    "total_length": ("length", str),
    "identification": ("identification", str),
    "fragment": ("fragment field", "{:#06x}".format),
    "fragment_offset": ("fragment offset", lambda value: f"{value * 8} octets"),
    "tags": ("tags", lambda value: ",".join(map(str, sorted(value))) or "none"),
    "mark": ("mark", str),
}
"""Names of fields for people, and how their values are written."""

_PLURALS = frozenset({"TCP flags", "TCP options", "IP options", "tags"})
_INTERFACES = {"receive_interface": "it came in by", "transmit_interface": "it leaves by"}


def _have(name: str, fields: Fields) -> str:
    """What the packet has: ``the TTL is 64``."""
    value = getattr(fields, name)
    if name in _INTERFACES:
        return f"{_INTERFACES[name]} {value or 'no interface'}"
    if name == "reinjected":
        return "a divert socket wrote it" if value else "no divert socket wrote it"
    words, shown = _FIELDS[name]
    verb = "are" if words in _PLURALS else "is"
    return f"it has no {words}" if value is None else f"the {words} {verb} {shown(value)}"


def clause(question: Predicate, wanted: str, fields: Fields, *, negated: bool = False) -> str:
    """Why a question was answered no.

    ``wanted`` is what it asks for, in the dialect's spelling and without the field's name; ``negated`` says that the
    rule wants anything else.
    """
    reads = sorted(question.reads)
    if reads == ["receive_interface", "transmit_interface"]:
        reads = ["receive_interface" if fields.transmit_interface is None else "transmit_interface"]
    known = [_have(name, fields) for name in reads if name in _FIELDS or name in _INTERFACES or name == "reinjected"]
    if not known:
        return f"it is {wanted}, which the rule excludes" if negated else f"it is not {wanted}"
    have = " and ".join(known)
    return f"{have}, which 'not {wanted}' excludes" if negated else f"{have}, not {wanted}"


def listed(names: Sequence[str]) -> str:
    """``rule 100``, ``rules 100 and 200``, ``rules 100, 200 and 300``."""
    if len(names) == 1:
        return f"rule {names[0]}"
    return f"rules {', '.join(names[:-1])} and {names[-1]}"


def grouped(passed_over: Iterable[PassedOver]) -> list[str]:
    """Rules that did not match for the same reason in one clause, in the order of the first of each."""
    by_reason: dict[str, list[str]] = {}
    for rule, reason in passed_over:
        rules = by_reason.setdefault(reason, [])
        if rule not in rules:
            rules.append(rule)
    return [f"{listed(rules)} did not match because {reason}" for reason, rules in by_reason.items()]
