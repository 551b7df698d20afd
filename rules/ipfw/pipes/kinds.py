"""Who a command line is about: ``pipe``, ``queue`` (also ``flowset``), ``sched``."""

from __future__ import annotations

from enum import StrEnum

from rules.ipfw.words import Words

__all__ = ["Kind", "take_kind"]


class Kind(StrEnum):
    """The first word of the command."""

    PIPE = "pipe"
    QUEUE = "queue"
    SCHED = "sched"


_NEW = {"pipe": Kind.PIPE, "queue": Kind.QUEUE, "flowset": Kind.QUEUE, "sched": Kind.SCHED}
_OLD = {"pipe": Kind.PIPE, "queue": Kind.QUEUE}


def take_kind(words: Words, *, schedulers: bool) -> Kind | None:
    """Take the word if it is one of these, or a beginning of it; only ``pipe`` may be cut short without a word."""
    for name, kind in (_NEW if schedulers else _OLD).items():
        if name == "pipe" and name.startswith(words.peek() or " "):
            words.take()
            return kind
        if words.accept(name):
            return kind
    return None
