"""Which TCP flows of the dynamic state are about to be forgotten, and how their ends are asked whether they still live.

Sources: statement D-4 of the behavioural notes; ipfw_dyn_send_ka of ip_fw_dynamic.c (FreeBSD 10), ipfw_tick of ip_fw2.c
(FreeBSD 4) and dyn_enqueue_keepalive_ipv4 (FreeBSD 12).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rules.fields import TCP
from rules.ipfw.state import Direction, Kind, State, StateTable

__all__ = ["Keepalive", "due"]

_BOTH_SYN = 0x0202


class Keepalive(NamedTuple):
    """A TCP segment without data that asks the end at ``destination``; the sequence number is one it has seen."""

    source: int
    destination: int
    source_port: int
    destination_port: int
    sequence: int
    acknowledgment: int


def due(states: StateTable, now: float) -> list[Keepalive]:
    """The probes of every open TCP flow that will be gone within ``keepalive_interval`` seconds."""
    if not states.lifetimes.keepalive:
        return []
    last = now + states.lifetimes.keepalive_interval
    return [probe for state in states if _is_dying(state, states, last) for probe in _probes(state, states)]


def _is_dying(state: State, states: StateTable, last: float) -> bool:
    if state.kind is Kind.PARENT or state.flow[0] != TCP or state.flags & _BOTH_SYN != _BOTH_SYN:
        return False
    return state.expires <= last if states.switches.keepalive_inclusive else state.expires < last


def _probes(state: State, states: StateTable) -> Iterator[Keepalive]:
    _, source, destination, source_port, destination_port = state.flow
    forward, reverse = state.acks[Direction.FORWARD], state.acks[Direction.REVERSE]
    if _is_asked(state, Direction.REVERSE, states):
        yield Keepalive(source, destination, source_port, destination_port, _before(reverse), forward)
    if _is_asked(state, Direction.FORWARD, states):
        yield Keepalive(destination, source, destination_port, source_port, _before(forward), reverse)


def _before(sequence: int) -> int:
    return sequence - 1 & 0xFFFFFFFF


def _is_asked(state: State, end: Direction, states: StateTable) -> bool:
    """Whether the end whose packets go this way is asked."""
    match states.switches.keepalive_ends:
        case "none":
            return False
        case "both":
            return True
        case "silent":
            return end not in state.acked
    return end not in state.acked and state.acks[end] > 0
