"""The rule list: rules in order of number, 32 sets, counters.

Sources: E-1 to E-6 and section 10.2 of the behavioural notes.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import replace

from rules.ipfw.rule import DEFAULT_RULE, Action, Effect, Rule
from rules.ipfw.step import Entry

__all__ = ["RESERVED_SET", "Chain"]

RESERVED_SET = 31
"""The set that cannot be disabled and that ``flush`` leaves alone (E-2)."""


def _place(entry: Entry) -> tuple[int, int]:
    return (entry.rule.number, entry.serial)


class Chain:
    """Entries in list order; the last one is rule 65535, which matches everything and is always there."""

    def __init__(self, default: Action, *, step: int = 100) -> None:
        self.step = step
        """``net.inet.ip.fw.autoinc_step``, 1 to 1000 (E-3)."""
        self.disabled = 0
        """Bit n for a disabled set n."""
        self.changes: list[Entry | None] = [None]
        """What changed since a search last looked: entries that came or went, None for sets."""
        self._serial = 0
        last = Rule(number=DEFAULT_RULE, set=RESERVED_SET, effect=Effect(default))
        self._entries = [Entry(last, 0)]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, position: int) -> Entry:
        """The entry at that place of the list, from 0."""
        return self._entries[position]

    @property
    def default(self) -> Entry:
        """Rule 65535."""
        return self._entries[-1]

    def add(self, rule: Rule) -> Entry:
        """Insert a rule behind those of its number; number 0 becomes the next free one (E-1, E-3)."""
        if rule.number == 0:
            rule = replace(rule, number=self._next_number())
        self._serial += 1
        entry = Entry(rule, self._serial)
        insort(self._entries, entry, key=_place)
        self.changes.append(entry)
        return entry

    def _next_number(self) -> int:
        last = self._entries[-2].rule.number if len(self._entries) > 1 else 0
        step = min(max(self.step, 1), 1000)
        return last if last >= DEFAULT_RULE - step else last + step

    def remove(self, doomed: Callable[[Entry], bool]) -> list[Entry]:
        """Take out all entries but the last one that the question says yes to."""
        gone = [entry for entry in self._entries[:-1] if doomed(entry)]
        if gone:
            last = self._entries[-1]
            self._entries = [entry for entry in self._entries[:-1] if not doomed(entry)]
            self._entries.append(last)
            for entry in gone:
                entry.is_listed = False
            self.changes += gone
        return gone

    def numbered(self, low: int, high: int) -> list[Entry]:
        """The entries with a number in this range, rule 65535 included."""
        first = bisect_left(self._entries, (low, 0), key=_place)
        behind = bisect_left(self._entries, (high + 1, 0), key=_place)
        return self._entries[first:behind]

    def has(self, number: int, serial: int) -> bool:
        """Whether a rule that was added is still there."""
        return any(entry.serial == serial for entry in self.numbered(number, number))

    def move(self, moving: Callable[[Entry], bool], target: Callable[[Entry], int]) -> None:
        """Give all entries but the last one that the question says yes to another set."""
        for entry in self._entries[:-1]:
            if moving(entry):
                entry.rule = replace(entry.rule, set=target(entry))
        self.changes.append(None)

    def enable(self, enabled: int, disabled: int) -> None:
        """Switch sets, given as bits, on and off; the reserved one stays on (E-5)."""
        self.disabled = (self.disabled | disabled) & ~enabled & ~(1 << RESERVED_SET)
        self.changes.append(None)
