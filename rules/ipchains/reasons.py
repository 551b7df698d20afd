"""Why the rules of the chains that a packet went through did not match."""

from __future__ import annotations

from rules.fields import Fields
from rules.ipchains.chains import Chain, Entry
from rules.ipchains.engine import as_matched
from rules.ipchains.questions import questions
from rules.ipchains.switches import Switches
from rules.ipchains.tables import Tables
from rules.ipchains.verdict import Verdict
from rules.predicates import AnyOf, LaterFragment, Not, Predicate, ProtocolIs, Via
from rules.reasons import PassedOver, clause, protocol_word

__all__ = ["passed_over", "why_not"]


def passed_over(tables: Tables, chain: str, fields: Fields, interface: str, verdict: Verdict) -> list[PassedOver]:
    """Each rule that was tried and did not match, with the reason, in the order in which they were tried.

    ``verdict`` is what :meth:`Tables.traverse` gave for these fields in that chain.
    """
    found: list[PassedOver] = []
    matched = list(verdict.matched)
    _walk(tables, tables.chains[chain], fields, interface, verdict, matched, found)
    return found


def _walk(
    tables: Tables,
    chain: Chain,
    fields: Fields,
    interface: str,
    verdict: Verdict,
    matched: list[str],
    found: list[PassedOver],
) -> bool:
    """Follow the packet through a chain and those it jumps to; whether it was decided there."""
    for entry in chain.entries:
        if not matched or matched[0] != entry.label:
            found.append((entry.label, why_not(entry, fields, interface, tables.switches)))
            continue
        matched.pop(0)
        if entry.label == verdict.rule or (not matched and verdict.rule.startswith("loop@")):
            return True
        if entry.branch is not None:
            if _walk(tables, entry.branch, fields, interface, verdict, matched, found):
                return True
        elif entry.returns:
            return False
    return False


def why_not(entry: Entry, fields: Fields, interface: str, switches: Switches) -> str:
    """Why a rule does not match a packet: its first question that is answered no."""
    seen = as_matched(fields, switches)
    for question in questions(entry.rule, syn_test_spares_others=switches.syn_test_spares_others):
        inner, negated = (question.question, True) if isinstance(question, Not) else (question, False)
        if isinstance(inner, Via):
            if (interface in inner.interfaces) == negated:
                return f"the interface is {interface}, " + (f"not {inner.interfaces}" if not negated else "as excluded")
        elif not question.test(seen):
            return _clause(inner, seen, negated)
    return "a divert socket wrote it"


def _clause(question: Predicate, fields: Fields, negated: bool) -> str:
    if isinstance(question, LaterFragment):
        return "it is a fragment" if negated else "it is no fragment"
    if isinstance(question, AnyOf):
        return "it does not open a connection"
    words = str(question) if not isinstance(question, ProtocolIs) else protocol_word(question.number)
    for label in _LABELS:
        words = words.removeprefix(label)
    return clause(question, words, fields, negated=negated)


_LABELS = ("source port ", "destination port ", "source ", "destination ", "icmp type ", "icmp code ")
