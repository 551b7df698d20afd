"""``list``, ``show`` and ``print`` of FreeBSD 4 and DragonFly: rules, their counters, dynamic entries.

Sources: ipfw.c, ipfw2.c (list, show_dyn_ipfw); sections 10.2 and 10.4 of the behavioural notes.
"""

from __future__ import annotations

from rules.ipfw.command import Command
from rules.ipfw.first.listing import state_line
from rules.ipfw.listing import Style
from rules.ipfw.report import Columns, Report
from rules.ipfw.rule import DEFAULT_RULE
from rules.ipfw.state import State
from rules.ipfw.words import UNAVAILABLE, USAGE, leading_number

__all__ = ["columns", "listing", "show", "style"]


def style(command: Command) -> Style:
    """How rules are written, from the command's options."""
    return Style(command.switches, compact="c" in command.options, resolve="N" in command.options)


def columns(command: Command) -> Columns:
    """What stands before a rule, from the command's options."""
    options = command.options
    return Columns(
        counters="a" in options,
        sets="S" in options,
        time="t" if "t" in options else None,
        expired="e" in options,
    )


def show(command: Command) -> None:
    """``list`` with the counters."""
    command.options.letters.add("a")
    listing(command)


def listing(command: Command) -> None:
    """All rules, or those of the numbers that the words name."""
    chain = command.rules.chain
    states = [*command.rules.states] if "d" in command.options else []
    widening = states if command.switches.ipfw_dialect == "ipfw2" else []
    report = Report(style(command), columns(command), chain.disabled, chain, widening)
    numbers = _numbers(command)
    if numbers is None:
        for entry in chain:
            command.session.print(report.line(entry))
    for number in numbers or ():
        found = chain.numbered(number, number) if number <= DEFAULT_RULE else []
        for entry in found:
            command.session.print(report.line(entry))
        if not found:
            command.session.status = command.session.status or UNAVAILABLE
            command.session.complain(f"rule {number} does not exist")
    if states:
        _list_states(command, report, states, numbers)


def _numbers(command: Command) -> list[int] | None:
    """The rules asked for, None for all of them; says which words are no numbers."""
    if not command.words:
        return None
    numbers = []
    for word in command.words.rest():
        number, rest = leading_number(word)
        if rest:
            command.session.status = USAGE
            command.session.complain(f"invalid rule number: {word}")
        else:
            numbers.append(number)
    return numbers


def _list_states(command: Command, report: Report, states: list[State], numbers: list[int] | None) -> None:
    """L-17: the number of entries is told in the second language, and when all are listed."""
    counted = numbers is None and command.switches.ipfw_dialect == "ipfw2"
    command.session.print(f"## Dynamic rules ({len(states)}):\n" if counted else "## Dynamic rules:\n")
    line = _STATES[command.switches.ipfw_dialect]
    for number in [None] if numbers is None else numbers:
        for state in states:
            if number in (None, state.owner.rule.number):
                command.session.print(line(command, report, state))


def _first_state(command: Command, report: Report, state: State) -> str:
    """A dynamic entry of the first ipfw; an expired one, a parent too, only with ``-e``."""
    remaining = max(int(state.expires - command.rules.time()), 0)
    if not remaining and "e" not in command.options:
        return ""
    return state_line(state, remaining, command.rules.states.slot_of(state.flow), resolve="N" in command.options)


def _second_state(command: Command, report: Report, state: State) -> str:
    """A dynamic entry of the second ipfw."""
    return report.state(state, command.rules.time())


_STATES = {"ipfw1": _first_state, "ipfw2": _second_state}
"""How each rule language writes a dynamic entry."""
