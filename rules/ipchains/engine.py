"""The way of a packet through the chains, rule by rule: the reference that everything faster must agree with.

Theory of operation (linux.md sections 2.2 to 2.5).  Before any rule a fragment is looked at (:func:`checked`).  Then
rules are tried in order.  Each rule that matches counts the packet and has its effects, in the kernel's order: log,
TOS, mark, netlink copy.  Then its target is done: a verdict ends the search, a user chain is entered, RETURN or the
end of a chain goes back to where that chain was entered from, and the end of a built-in chain is its policy.

The kernel keeps in every chain where to return to; a chain that still has such a place is on the path, and jumping to
it is a loop.  Here that is the dictionary ``path``, so that a chain asked for by name may be entered once more, as
there (linux.md F4).

A packet "as the matcher sees it" (:func:`as_matched`) is the packet itself unless it is a fragment or too short for
its transport header.  For those the matcher's idea of a fragment, quirk F23 included, is put into the fields, and the
questions of :mod:`rules.predicates` need to know nothing about it.

DIVERT follows linux.md T6: it ends the search; a packet that a divert socket wrote passes DIVERT rules as if they did
not match, their counters unmoved.  With pass-through a matching DIVERT rule without a listener counts, has its
effects, and the search goes on with the next rule.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from rules.fields import ICMP, MORE_FRAGMENTS, OFFSET_MASK, TCP, UDP, Fields, Header
from rules.ipchains.chains import Chain
from rules.ipchains.entry import Entry, Matched
from rules.ipchains.messages import backtrace, loop_detected, packet_line, packet_log
from rules.ipchains.rule import Action, Flag
from rules.ipchains.switches import Switches
from rules.ipchains.verdict import Copy, Decision, Verdict
from rules.roster import Roster

__all__ = ["as_matched", "checked", "traverse"]

_NEEDED = {TCP: 16, UDP: 8, ICMP: 8}
"""Octets of transport header without which a packet counts as a fragment, judged by its total length (linux.md F20)."""
_NEEDED_2_0 = {TCP: 16, UDP: 8}
_FRAGMENT_BITS = MORE_FRAGMENTS | OFFSET_MASK
_WITH_PORT = {Action.REDIRECT, Action.DIVERT}
_PASSING = {Action.ACCEPT, Action.MASQ, Action.REDIRECT, Action.DIVERT}


def as_matched(fields: Fields, switches: Switches) -> Fields:
    """The packet as rules are tried on it (linux.md F20-F23, F38)."""
    offset = fields.fragment & OFFSET_MASK
    if not offset:
        if not _is_short(fields, _NEEDED):
            return fields
        return _seen(fields, offset=1, port=None)
    if switches.offset_as_char and not offset & 0xFF:
        return _seen(fields, offset=0, port=0xFFFF)
    return _seen(fields, offset=offset, port=None)


def _is_short(fields: Fields, needed: dict[int, int]) -> bool:
    return fields.total_length < fields.header_length + needed.get(fields.protocol, 0)


def _seen(fields: Fields, *, offset: int, port: int | None) -> Header:
    """The same packet with another offset and every port, type and code the same."""
    return Header(
        source=fields.source,
        destination=fields.destination,
        protocol=fields.protocol,
        header_length=fields.header_length,
        tos=fields.tos,
        total_length=fields.total_length,
        identification=fields.identification,
        fragment=offset,
        ttl=fields.ttl,
        options=fields.options,
        payload_length=fields.payload_length,
        source_port=port,
        destination_port=port,
        icmp_type=port,
        icmp_code=port,
        tcp_flags=None if port is None else 0,
        receive_interface=fields.receive_interface,
        transmit_interface=fields.transmit_interface,
        mark=fields.mark,
    )


def checked(fields: Fields, interface: str, switches: Switches) -> Verdict | None:
    """What is decided before any rule, no counter touched (linux.md F27, F28, F40; Z1 for 2.0)."""
    offset = fields.fragment & OFFSET_MASK
    if offset == 1 and fields.protocol == TCP:
        return _suspect(fields, interface, switches, "suspect-tcp-fragment", "Suspect TCP fragment.")
    if offset:
        if switches.later_fragments_accepted and fields.protocol in _NEEDED:
            return Verdict(Action.ACCEPT, Decision.CHECK, "later-fragment", (), fields.tos, fields.mark, False)
        return None
    if switches.short_packets_denied and _is_short(fields, _NEEDED_2_0):
        return Verdict(Action.DENY, Decision.CHECK, "short-transport-header", (), fields.tos, fields.mark, False)
    if switches.short_first_fragments_denied and fields.fragment & MORE_FRAGMENTS and _is_short(fields, _NEEDED):
        return _suspect(fields, interface, switches, "suspect-short-first-fragment", "Suspect short first fragment.")
    return None


def _suspect(fields: Fields, interface: str, switches: Switches, rule: str, message: str) -> Verdict:
    log = (message, packet_line(fields, interface, (0, 0), 0)) if switches.suspects_logged else ()
    return Verdict(Action.DENY, Decision.CHECK, rule, (), fields.tos, fields.mark, False, log=log)


def _candidates(chain: Chain, entries: Sequence[Entry], seen: Fields, interface: str) -> Iterator[Entry]:
    """The rules of a long chain to be tried: all of them, or the candidates that its tables leave."""
    roster = chain.roster
    if roster.is_due:
        roster.take(entries)
        roster.make_tables()
    if roster.tables is None:
        return _counted(roster, entries)
    return filter(None, roster.candidates(roster.tables, Matched(seen, interface)))


def _counted(roster: Roster[Entry | None], entries: Sequence[Entry]) -> Iterator[Entry]:
    """All of them, telling how many that was."""
    asked = 0
    try:
        for entry in entries:
            asked += 1
            yield entry
    finally:
        roster.asked(asked)


def traverse(
    chain: Chain,
    fields: Fields,
    interface: str,
    switches: Switches,
    *,
    diverted: bool = False,
    listening: Container[int] | None = None,
    testing: bool = False,
) -> Verdict:
    """Send a packet through a chain.

    ``interface`` is the device name this chain sees.  ``diverted`` and ``listening`` are explained above.  With
    ``testing`` nothing is counted, logged, changed or copied, and the end of a user chain is an answer (linux.md C1).
    """
    if fields.fragment & _FRAGMENT_BITS or switches.short_packets_denied:
        decided = checked(fields, interface, switches)
        if decided is not None:
            return decided
    tos = fields.tos
    mark = fields.mark
    rules = chain.listed if chain.is_numbered else chain.entries
    if not rules:
        return _ended(chain, fields, (), tos, mark, (), (), testing)
    seen = as_matched(fields, switches)
    length = fields.total_length
    trail: list[str] = []
    log: list[str] = []
    copies: list[Copy] = []
    path: dict[Chain, tuple[Chain, Iterator[Entry], int]] = {}
    entries = _candidates(chain, rules, seen, interface) if chain.roster.is_counted else iter(rules)
    counted_from = 0

    while True:
        for entry in entries:
            if diverted and entry.action is Action.DIVERT:
                continue
            admits = entry.admits
            if admits is not None and not admits(interface):
                continue
            for test in entry.tests:
                if not test(seen):
                    break
            else:
                break
        else:
            if chain not in path:
                if not testing and switches.tos_only_if_accepted and chain.policy not in _PASSING:
                    tos = fields.tos
                return _ended(chain, fields, tuple(trail), tos, mark, tuple(log), tuple(copies), testing)
            chain, entries, counted_from = path.pop(chain)
            continue

        trail.append(entry.label)
        if not testing:
            entry.packets += 1
            entry.octets += length
            if not entry.silent:
                rule = entry.rule
                if Flag.LOG in rule.flags:
                    number = entry.number - counted_from if switches.log_number_restarts else entry.number
                    log.append(packet_log(fields, seen, interface, chain.name, rule, number, tos))
                tos = tos & rule.tos_and ^ rule.tos_xor
                mark = rule.mark if Flag.MARK_ABSOLUTE in rule.flags else mark + rule.mark & 0xFFFFFFFF
                if Flag.NETLINK in rule.flags:
                    copies.append(Copy(tos, mark, interface, rule.output_size))

        branch = entry.branch
        if branch is not None:
            if branch in path:
                if not testing:
                    log += (loop_detected(branch.name), backtrace(_way_back(chain, path)))
                action, decision, label = Action.DENY, Decision.LOOP, f"loop@{entry.label}"
                break
            path[branch] = chain, entries, entry.number
            rules = branch.entries
            entries = _candidates(branch, rules, seen, interface) if branch.roster.is_counted else iter(rules)
            chain, counted_from = branch, 0
        elif entry.returns:
            # As if the chain had no more rules; in a built-in chain that is its policy.
            entries = iter(())
        elif entry.action is None or (
            entry.action is Action.DIVERT and listening is not None and entry.rule.port not in listening
        ):
            counted_from = entry.number
        else:
            action, decision, label = entry.action, Decision.RULE, entry.label
            if entry.silent and len(trail) == 1 and not mark and (entry.rule.port or action is not Action.REDIRECT):
                verdict = entry.verdicts.get(tos)
                if verdict is None:
                    port = entry.rule.port if action in _WITH_PORT else None
                    verdict = Verdict(action, decision, label, (label,), tos, 0, False, port)
                    entry.verdicts[tos] = verdict
                return verdict
            break

    if switches.tos_only_if_accepted and action not in _PASSING:
        tos = fields.tos
    port = None
    if decision is Decision.RULE and action in _WITH_PORT:
        port = entry.rule.port or _own_port(seen)
    changed = tos != fields.tos or mark != fields.mark
    return Verdict(action, decision, label, tuple(trail), tos, mark, changed, port, tuple(log), tuple(copies))


def _ended(
    chain: Chain,
    fields: Fields,
    matched: tuple[str, ...],
    tos: int,
    mark: int,
    log: tuple[str, ...],
    copies: tuple[Copy, ...],
    testing: bool,
) -> Verdict:
    """The end of the chain that the search began in."""
    policy = chain.policy
    if policy is None:
        return Verdict(Action.SKIP, Decision.END, f"{chain.name}:end", matched, tos, mark, False)
    if not testing:
        chain.packets += 1
        chain.octets += fields.total_length
    if matched or mark:
        changed = tos != fields.tos or mark != fields.mark
        label = f"{chain.name}:policy"
        return Verdict(policy, Decision.POLICY, label, matched, tos, mark, changed, None, log, copies)
    verdict = chain.verdicts.get(tos)
    if verdict is None:
        verdict = Verdict(policy, Decision.POLICY, f"{chain.name}:policy", (), tos, 0, False)
        chain.verdicts[tos] = verdict
    return verdict


def _way_back(chain: Chain, path: dict[Chain, tuple[Chain, Iterator[Entry], int]]) -> list[str]:
    names = [chain.name]
    while chain in path:
        chain = path.pop(chain)[0]
        names.append(chain.name)
    return names


def _own_port(seen: Fields) -> int:
    """Where REDIRECT to port 0 goes (linux.md F36)."""
    port = seen.destination_port
    return 0xFFFF if port is None else port
