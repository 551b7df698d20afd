"""``ipchains -C``: what would happen to a packet that is made up from the words of a rule.

Source: linux.md section 3.  For DIVERT the word is ``diverted``; that is ours, since nobody knows what the patched
tool printed (C8).
"""

from __future__ import annotations

from rules.fields import ICMP, TCP, UDP, Header
from rules.ipchains.chains import Chain
from rules.ipchains.engine import traverse
from rules.ipchains.rule import Action, Flag, Rule
from rules.ipchains.switches import Switches
from rules.ipchains.verdict import Decision

__all__ = ["answer", "packet"]

_WORDS = {
    Action.ACCEPT: "accepted",
    Action.MASQ: "masqueraded",
    Action.DENY: "denied",
    Action.REJECT: "rejected",
    Action.REDIRECT: "redirected",
    Action.DIVERT: "diverted",
    Action.SKIP: "passed through chain",
}

_SYN = 0x02


def packet(rule: Rule) -> Header:
    """The packet that a rule describes (linux.md C4)."""
    protocol = rule.protocol & 0xFF
    ports = rule.source_ports[0], rule.destination_ports[0]
    has_ports = protocol in (TCP, UDP)
    is_icmp = protocol == ICMP
    return Header(
        source=rule.source,
        destination=rule.destination,
        protocol=protocol,
        total_length=15360,
        ttl=0,
        fragment=2 if Flag.FRAGMENT in rule.flags else 0,
        source_port=ports[0] if has_ports else None,
        destination_port=ports[1] if has_ports else None,
        icmp_type=ports[0] & 0xFF if is_icmp else None,
        icmp_code=ports[1] & 0xFF if is_icmp else None,
        tcp_flags=(_SYN if Flag.SYN in rule.flags else 0) if protocol == TCP else None,
    )


def answer(chain: Chain, rule: Rule, switches: Switches) -> str:
    """The word for it; nothing is counted, logged or changed."""
    verdict = traverse(chain, packet(rule), rule.interface, switches, testing=True)
    return "caught in loop" if verdict.decision is Decision.LOOP else _WORDS[verdict.action]
