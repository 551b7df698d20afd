"""Lines for the log: of rules with ``log``, of state that cannot be made, of counters that are cleared.

Sources: statements D-6, E-41 and E-44 of the behavioural notes; ip_fw_log.c, ip_fw_dynamic.c, ip_fw_sockopt.c.
"""

from __future__ import annotations

from typing import Literal

from rules.addresses import dotted
from rules.fields import ICMP, TCP, UDP, Fields
from rules.ipfw.questions import TABLEARG
from rules.ipfw.rule import Action, Effect
from rules.ipfw.switches import LimitLog

__all__ = ["cleared_line", "full_line", "limit_line", "log_line", "refusal_line"]

_Flow = tuple[int, int, int, int, int]
_LIMIT_OPCODE = 40
"""O_LIMIT, which the kernel calls the type of the state."""

_WORDS = {
    Action.ALLOW: "Accept",
    Action.DENY: "Deny",
    Action.COUNT: "Count",
    Action.RETURN: "Return",
    Action.RESET: "Reset",
    Action.REASS: "Reass",
    Action.NAT: "Nat",
    Action.DEFRAG: "UNKNOWN",
    Action.CHECK_STATE: "UNKNOWN",
    Action.SETDSCP: "UNKNOWN",
    Action.SETMARK: "UNKNOWN",
}
_WORDS_WITH_ARGUMENT = {
    Action.DIVERT: "Divert",
    Action.TEE: "Tee",
    Action.PIPE: "Pipe",
    Action.QUEUE: "Queue",
    Action.SKIPTO: "SkipTo",
    Action.CALL: "Call",
    Action.SETFIB: "SetFib",
}


def _action(effect: Effect, argument: int, hop: int, *, terse: bool) -> str:
    if effect.action is Action.UNREACH:
        if terse:
            return "Unreach"
        return "Reject" if argument == 1 else f"Unreach {argument}"
    if effect.action is Action.FWD:
        host = dotted(hop if effect.address == TABLEARG else effect.address)
        return f"Forward to {host}:{argument}" if argument else f"Forward to {host}"
    if effect.action in _WORDS_WITH_ARGUMENT:
        return f"{_WORDS_WITH_ARGUMENT[effect.action]} {argument}"
    return _WORDS[effect.action]


def _flow(fields: Fields) -> str:
    source, destination = dotted(fields.source), dotted(fields.destination)
    first = fields.fragment_offset == 0
    match fields.protocol:
        case 6 | 17 as protocol:
            name = {TCP: "TCP", UDP: "UDP"}[protocol]
            if first:
                return f"{name} {source}:{fields.source_port} {destination}:{fields.destination_port}"
            return f"{name} {source} {destination}"
        case 1:
            assert fields.protocol == ICMP
            kind = f":{fields.icmp_type}.{fields.icmp_code}" if first else ""
            return f"ICMP{kind} {source} {destination}"
    return f"P:{fields.protocol} {source} {destination}"


def _fragment(fields: Fields, *, terse: bool = False) -> str:
    if fields.fragment_offset == 0 and (terse or not fields.more_fragments):
        return ""
    length = fields.total_length - fields.header_length
    more = "+" if fields.more_fragments and not terse else ""
    return f" (frag {fields.identification}:{length}@{fields.fragment_offset * 8}{more})"


def _place(fields: Fields) -> str:
    leaving = fields.transmit_interface
    way, interface = ("in", fields.receive_interface) if leaving is None else ("out", leaving)
    return f"{way} via {interface}" if interface else way


def log_line(number: int, effect: Effect, argument: int, hop: int, fields: Fields, *, terse: bool = False) -> str:
    """``ipfw: RULE ACTION FLOW in|out via INTERFACE[ FRAGMENT]``; ``argument`` and ``hop`` stand for ``tablearg``.

    ``terse``: as ip_fw.c has it, without the code of ``unreach`` and without a word about first fragments.
    """
    action = _action(effect, argument, hop, terse=terse)
    return f"ipfw: {number} {action} {_flow(fields)} {_place(fields)}{_fragment(fields, terse=terse)}"


def refusal_line(fields: Fields) -> str:
    """Of a packet that was dropped before any rule decided (F-13, ip_fw.c)."""
    return f"ipfw: -1 Refuse {_flow(fields)} {_place(fields)}{_fragment(fields)}"


def limit_line(style: LimitLog, number: int, flow: _Flow, masked: _Flow, entries: int) -> str:
    """A flow is refused because its ``limit`` is reached (D-6).  ``masked``: only what the limit counts by."""
    if style == "bare":
        return "drop session, too many entries"
    _, source, destination, source_port, destination_port = masked if style == "masked flow" else flow
    ends = f"{dotted(source)} {source_port} -> {dotted(destination)} {destination_port}"
    return f"ipfw: {number} drop session type {_LIMIT_OPCODE} {ends}, {entries} too many entries"


def full_line(style: LimitLog, what: Literal["state", "parent"]) -> str:
    """The table of states is full."""
    match style, what:
        case "bare", "state":
            return "Too many dynamic rules, sorry"
        case "bare", "parent":
            return "add parent failed"
        case "flow", _:
            return "ipfw: add_dyn_rule: Cannot allocate rule"
        case _, "state":
            return "ipfw: Cannot allocate dynamic state, consider increasing net.inet.ip.fw.dyn_max"
    return "ipfw: Cannot allocate parent dynamic state, consider increasing net.inet.ip.fw.dyn_parent_max"


def cleared_line(number: int | None, done: str, *, names_rule: bool) -> str:
    """``zero`` and ``resetlog`` (E-44); ``done`` is what was done to all rules, or to the rule of that number."""
    return f"ipfw: Entry {number} {done}." if number is not None and names_rule else f"ipfw: {done}."
