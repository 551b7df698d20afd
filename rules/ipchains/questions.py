"""The questions a rule comes to, in the vocabulary of :mod:`rules.predicates`.

Source: linux.md section 2.2, F17-F25, F37, F41, F45.  They are to be asked of a packet *as the matcher sees it*
(:func:`rules.ipchains.engine.as_matched`), where the offset says whether the matcher takes it for a fragment.
"""

from __future__ import annotations

from rules.fields import ICMP, TCP
from rules.ipchains.rule import ALL_PORTS, Flag, Inverse, Rule
from rules.predicates import (
    AnyOf,
    Destination,
    DestinationPort,
    IcmpCode,
    IcmpType,
    InterfaceName,
    InterfacePrefix,
    LaterFragment,
    Not,
    Predicate,
    ProtocolIs,
    Ranges,
    Source,
    SourcePort,
    TcpFlags,
    Via,
)

__all__ = ["header_questions", "interfaces", "questions"]

_SYN, _RST, _ACK = 0x02, 0x04, 0x10


def questions(rule: Rule, *, syn_test_spares_others: bool = False) -> tuple[Predicate, ...]:
    """Everything that must be answered yes, the interface first.

    An engine that is told the interface asks :func:`interfaces` instead of the first.
    """
    named = interfaces(rule)
    first = () if named is None else (_turned(rule, Via(named), Inverse.INTERFACE),)
    return first + header_questions(rule, syn_test_spares_others=syn_test_spares_others)


def interfaces(rule: Rule) -> InterfaceName | InterfacePrefix | None:
    """The interfaces it names, inversion not counted; None when every one passes."""
    if Flag.WILDCARD not in rule.flags:
        return InterfaceName(rule.interface)
    if not rule.interface and Inverse.INTERFACE not in rule.inverse:
        return None
    return InterfacePrefix(rule.interface)


def header_questions(rule: Rule, *, syn_test_spares_others: bool = False) -> tuple[Predicate, ...]:
    """The questions about the packet itself, in the kernel's order."""
    asked: list[Predicate] = []
    if rule.source_mask or rule.source or Inverse.SOURCE in rule.inverse:
        asked.append(_turned(rule, Source(rule.source, rule.source_mask), Inverse.SOURCE))
    if rule.destination_mask or rule.destination or Inverse.DESTINATION in rule.inverse:
        asked.append(_turned(rule, Destination(rule.destination, rule.destination_mask), Inverse.DESTINATION))
    if Flag.FRAGMENT in rule.flags:
        asked.append(_turned(rule, LaterFragment(), Inverse.FRAGMENT))
    if Flag.SYN in rule.flags:
        asked += _syn_questions(rule, syn_test_spares_others)
    if rule.protocol:
        asked.append(_turned(rule, ProtocolIs(rule.protocol), Inverse.PROTOCOL))
        asked += _port_questions(rule)
    return tuple(asked)


def _turned(rule: Rule, question: Predicate, by: Inverse) -> Predicate:
    return Not(question) if by in rule.inverse else question


def _syn_questions(rule: Rule, spares_others: bool) -> list[Predicate]:
    """linux.md F22, F24, F45: a fragment never passes, not even ``! -y``."""
    opening = _turned(rule, TcpFlags(present=_SYN, absent=_ACK | _RST), Inverse.SYN)
    if spares_others:
        return [AnyOf((Not(ProtocolIs(TCP)), opening))]
    return [Not(LaterFragment()), opening]


def _port_questions(rule: Rule) -> list[Predicate]:
    """linux.md F22, F25, F37: a fragment passes the range 0-65535 and no other, inverted or not."""
    asked: list[Predicate] = []
    icmp = rule.protocol == ICMP
    for ports, inverse, question in (
        (rule.source_ports, Inverse.SOURCE_PORTS, IcmpType if icmp else SourcePort),
        (rule.destination_ports, Inverse.DESTINATION_PORTS, IcmpCode if icmp else DestinationPort),
    ):
        inverted = inverse in rule.inverse
        if ports == ALL_PORTS:
            if inverted:
                asked.append(LaterFragment())
        elif inverted:
            asked += [Not(LaterFragment()), Not(question(Ranges((ports,))))]
        else:
            asked.append(question(Ranges((ports,))))
    return asked
