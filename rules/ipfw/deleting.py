"""``delete`` and ``flush`` since FreeBSD 5: rules and their dynamic state (section M-4 of the behavioural notes)."""

from __future__ import annotations

from rules.ipfw.chain import RESERVED_SET
from rules.ipfw.command import Command
from rules.ipfw.words import DATA_ERROR, RefusalError, leading_number

__all__ = ["delete", "flush"]


def delete(command: Command) -> None:
    """Rules by numbers, ranges or sets; with ``-D`` their state alone."""
    words = command.words
    words.need("missing rule specification")
    if command.kind is not None:
        command.delete_pipes()
        return
    of_sets = words.accept("set")
    if of_sets and command.set is not None:
        raise RefusalError("invalid syntax", DATA_ERROR)
    while (words.peek() or "")[:1].isdigit():
        number, rest = leading_number(words.take())
        high = number
        if rest.startswith("-") and command.switches.delete_ranges and not of_sets:
            high = leading_number(rest[1:])[0]
        low, high = number & 0xFFFF, high & 0xFFFF
        shown = 0 if of_sets else low
        if "D" in command.options:
            _forget_states(command, low, high)
            continue
        gone = 0 if command.dry else _delete(command, low, high, number & RESERVED_SET if of_sets else None)
        if not gone:
            _nothing_deleted(command, shown, high, of_sets=of_sets)


def _nothing_deleted(command: Command, low: int, high: int, *, of_sets: bool) -> None:
    """With ranges come the manners of ipfw2.c of FreeBSD 13: nothing of sets, nothing with ``-q``."""
    switches = command.switches
    if switches.delete_ranges and of_sets:
        return
    command.session.status = switches.delete_absent_status
    if switches.delete_ranges and not command.loud:
        return
    command.pass_on_warnings()
    if low != high and not of_sets:
        command.session.complain(f"no rules rules in {low}-{high} range")
    else:
        command.session.complain(switches.delete_absent.format(number=low))


def _forget_states(command: Command, low: int, high: int) -> None:
    """``-D delete``: the dynamic state of rules, not the rules."""
    for entry in () if command.dry else command.rules.chain.numbered(low, high):
        if command.in_set(entry):
            command.rules.states.forget(entry, command.rules.chain.default)


def _delete(command: Command, low: int, high: int, of_set: int | None) -> int:
    if of_set is not None:
        return command.rules.remove(lambda entry: entry.rule.set == of_set)
    if low == high == 0:
        return command.rules.remove(lambda entry: entry.rule.set != RESERVED_SET and command.in_set(entry))
    return command.rules.remove(lambda entry: low <= entry.rule.number <= high and command.in_set(entry))


def flush(command: Command) -> None:
    """All rules but those of set 31."""
    if command.kind is not None:
        command.flush_pipes()
        return
    if not command.dry:
        if command.set is None:
            command.rules.remove(lambda entry: entry.rule.set != RESERVED_SET)
        else:
            command.rules.remove(command.in_set)
    command.say("Flushed all rules.\n")
