"""Log lines of rules with ``log`` (statement E-41 of the behavioural notes)."""

from __future__ import annotations

from rules.addresses import dotted
from rules.fields import ICMP, TCP, UDP, Fields
from rules.ipfw.questions import TABLEARG
from rules.ipfw.rule import Action, Effect

__all__ = ["log_line"]

_WORDS = {
    Action.ALLOW: "Accept",
    Action.DENY: "Deny",
    Action.COUNT: "Count",
    Action.RETURN: "Return",
    Action.RESET: "Reset",
    Action.REASS: "Reass",
    Action.CHECK_STATE: "UNKNOWN",
    Action.SETDSCP: "UNKNOWN",
}
_WORDS_WITH_ARGUMENT = {
    Action.DIVERT: "Divert",
    Action.TEE: "Tee",
    Action.SKIPTO: "SkipTo",
    Action.CALL: "Call",
    Action.SETFIB: "SetFib",
}


def _action(effect: Effect, tablearg: int) -> str:
    argument = tablearg if effect.argument == TABLEARG else effect.argument
    if effect.action is Action.UNREACH:
        return "Reject" if argument == 1 else f"Unreach {argument}"
    if effect.action is Action.FWD:
        host = dotted(tablearg if effect.address == TABLEARG else effect.address)
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


def _fragment(fields: Fields) -> str:
    if not fields.more_fragments and fields.fragment_offset == 0:
        return ""
    length = fields.total_length - fields.header_length
    more = "+" if fields.more_fragments else ""
    return f" (frag {fields.identification}:{length}@{fields.fragment_offset * 8}{more})"


def log_line(number: int, effect: Effect, tablearg: int, fields: Fields) -> str:
    """``ipfw: RULE ACTION FLOW in|out via INTERFACE[ FRAGMENT]``."""
    leaving = fields.transmit_interface
    way, interface = ("in", fields.receive_interface) if leaving is None else ("out", leaving)
    via = f" via {interface}" if interface else ""
    return f"ipfw: {number} {_action(effect, tablearg)} {_flow(fields)} {way}{via}{_fragment(fields)}"
