"""What each action does when its rule matches (section 9.3 of the behavioural notes; E-26 to E-37, T-2, F-11).

An action ends the search with a verdict, or says with which step the search goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rules.ipfw.nat.instances import GLOBAL
from rules.ipfw.questions import TABLEARG
from rules.ipfw.rule import Action
from rules.ipfw.state import Direction
from rules.ipfw.verdict import Verdict

if TYPE_CHECKING:
    from rules.ipfw.search import Search
    from rules.ipfw.step import Step

__all__ = ["PERFORM", "Perform"]

_CALL_DEPTH = 16
_RST = 4

Perform = Callable[["Search", "Step", int], Verdict | int]
"""(search, the step met, the step behind it): a verdict, or where to go on."""


def _allow(search: Search, step: Step, position: int) -> Verdict:
    search.count(step.entry)
    return search.end(Action.ALLOW, step.entry)


def _deny(search: Search, step: Step, position: int) -> Verdict:
    search.count(step.entry)
    return search.end(Action.DENY, step.entry)


def _go_on(search: Search, step: Step, position: int) -> int:
    search.count(step.entry)
    return position


def _skip_to(search: Search, step: Step, position: int) -> int:
    search.count(step.entry)
    return search.engine.first_from(max(search.argument(step), step.entry.rule.number + 1))


def _call(search: Search, step: Step, position: int) -> int:
    if len(search.calls) >= _CALL_DEPTH:
        search.lines.append("ipfw: call stack error, go to next rule")
        return position
    search.count(step.entry)
    search.calls = (*search.calls, step.entry.rule.number)
    return search.engine.first_from(search.argument(step))


def _return(search: Search, step: Step, position: int) -> int:
    if not search.calls:
        return position
    search.count(step.entry)
    *calls, caller = search.calls
    search.calls = tuple(calls)
    return search.engine.first_from(caller + 1)


def _divert(search: Search, step: Step, position: int) -> Verdict:
    search.count(step.entry)
    return search.end(Action.DIVERT, step.entry, port=search.argument(step) & 0xFFFF)


def _tee(search: Search, step: Step, position: int) -> Verdict:
    search.count(step.entry)
    goes_on = search.engine.switches.tee_original == "next rule"
    return search.end(Action.TEE, step.entry, port=search.argument(step) & 0xFFFF, resume=goes_on)


def _nat(search: Search, step: Step, position: int) -> Verdict:
    """Denied where there is no such instance; translated, it is accepted or goes on behind this rule (E-36, X-10)."""
    search.count(step.entry)
    number = search.argument(step)
    engine = search.engine
    if step.effect.argument != GLOBAL and number not in engine.world.nats:
        return search.end(Action.DENY, step.entry)
    return search.end(Action.NAT, step.entry, number=number, resume=not engine.one_pass)


def _shape(action: Action) -> Perform:
    """``pipe`` and ``queue``: accepted when it comes out, or on behind this rule (E-36, X-10)."""

    def perform(search: Search, step: Step, position: int) -> Verdict:
        search.count(step.entry)
        engine = search.engine
        goes_on = not engine.one_pass or engine.switches.one_pass_asked == "when it comes back"
        return search.end(action, step.entry, number=search.argument(step) & 0xFFFF, resume=goes_on)

    return perform


def _forward(search: Search, step: Step, position: int) -> Verdict:
    """A reply that meets the state of a ``fwd`` rule is only accepted."""
    search.count(step.entry)
    found = search.found
    if found is not None and found[0].owner is step.entry and found[1] is Direction.REVERSE:
        return search.end(Action.ALLOW, step.entry)
    address = step.effect.address
    hop = search.engine.world.argument("ipv4") if address == TABLEARG else address
    return search.end(Action.FWD, step.entry, next_hop=(hop, search.argument(step)))


def _unreach(search: Search, step: Step, position: int) -> Verdict:
    search.count(step.entry)
    return search.end(Action.UNREACH, step.entry, code=step.effect.argument, replies=search.can_be_answered())


def _reset(search: Search, step: Step, position: int) -> Verdict:
    search.count(step.entry)
    flags = search.fields.tcp_flags
    replies = flags is not None and not flags & _RST and search.can_be_answered()
    return search.end(Action.RESET, step.entry, replies=replies)


def _reassemble(search: Search, step: Step, position: int) -> Verdict | int:
    """Whole datagrams go on; a fragment is counted twice and waits for the others (F-11)."""
    search.count(step.entry)
    if not search.fields.more_fragments and not search.fields.fragment_offset:
        return position
    search.count(step.entry)
    return search.end(Action.REASS, step.entry, resume=True)


def _defragment(search: Search, step: Step, position: int) -> Verdict | int:
    """Incoming fragments are counted and wait for the others; what is whole, or leaving, goes on uncounted (DF-6)."""
    fields = search.fields
    is_fragment = fields.more_fragments or fields.fragment_offset != 0
    if not is_fragment or fields.transmit_interface is not None:
        return position
    search.count(step.entry)
    return search.end(Action.DEFRAG, step.entry, resume=True)


def _set_fib(search: Search, step: Step, position: int) -> int:
    search.count(step.entry)
    search.engine.world.fib = search.argument(step)
    return position


def _set_dscp(search: Search, step: Step, position: int) -> int:
    search.count(step.entry)
    search.tos = (search.argument(step) & 63) << 2 | search.fields.tos & 3
    search.change(tos=search.tos)
    return position


def _set_mark(search: Search, step: Step, position: int) -> int:
    """The mark lives as long as the search, through tee and reass (ip_fw2.c of FreeBSD 14)."""
    search.count(step.entry)
    search.change(mark=search.argument(step) & 0xFFFFFFFF)
    return position


PERFORM: dict[Action, Perform] = {
    Action.ALLOW: _allow,
    Action.DENY: _deny,
    Action.COUNT: _go_on,
    Action.SKIPTO: _skip_to,
    Action.CALL: _call,
    Action.RETURN: _return,
    Action.DIVERT: _divert,
    Action.TEE: _tee,
    Action.NAT: _nat,
    Action.PIPE: _shape(Action.PIPE),
    Action.QUEUE: _shape(Action.QUEUE),
    Action.FWD: _forward,
    Action.UNREACH: _unreach,
    Action.RESET: _reset,
    Action.REASS: _reassemble,
    Action.DEFRAG: _defragment,
    Action.SETFIB: _set_fib,
    Action.SETDSCP: _set_dscp,
    Action.SETMARK: _set_mark,
    Action.CHECK_STATE: _go_on,
}
