"""``zero`` and ``resetlog`` since FreeBSD 5 (section M-2 of the behavioural notes)."""

from __future__ import annotations

from collections.abc import Callable

from rules.ipfw.chain import RESERVED_SET
from rules.ipfw.command import Command
from rules.ipfw.step import Entry
from rules.ipfw.words import DATA_ERROR, UNAVAILABLE, USAGE, RefusalError

__all__ = ["resetlog", "zero"]


def zero(command: Command) -> None:
    """Counters, and what was logged."""
    _clear(command, "Accounting cleared", "cleared", Entry.forget_everything)


def resetlog(command: Command) -> None:
    """What was logged alone."""
    _clear(command, "Logging counts reset", "logging count reset", Entry.forget_log)


def _clear(command: Command, all_done: str, one_done: str, clear: Callable[[Entry], None]) -> None:
    words = command.words
    if not words:
        for entry in () if command.dry else command.rules.chain:
            if entry.rule.set != RESERVED_SET:
                clear(entry)
        if not command.dry:
            command.log_cleared(None, "All logging counts reset" if all_done.startswith("Logging") else all_done)
        command.say(f"{all_done}.\n")
        return
    failed = False
    while words:
        word = words.take()
        if not word[:1].isdigit():
            raise RefusalError(f"invalid rule number ``{word}''", USAGE)
        if not word.isdigit() or int(word) > 0xFFFF:
            raise RefusalError(f"invalid rule number {word}\n", DATA_ERROR)
        number = int(word)
        found = [] if command.dry else [e for e in command.rules.chain.numbered(number, number) if command.in_set(e)]
        for entry in found:
            clear(entry)
        if not command.dry and (found or not command.switches.zero_log_names_rule):
            command.log_cleared(number, one_done)
        if not found:
            failed = True
            if command.switches.zero_absent_on_stdout:
                command.session.print(f"Entry {number} not found\n")
            else:
                command.session.complain(f"rule {number}: setsockopt(IP_FW_ZERO): Invalid argument")
        else:
            command.say(f"Entry {number} {one_done}.\n")
    if failed:
        command.session.status = UNAVAILABLE
