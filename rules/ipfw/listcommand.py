"""``list``, ``show`` and ``print``: rules with their counters, and dynamic entries.

Sources: ipfw2.c (ipfw_list); sections 10.2 and 10.4 of the behavioural notes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rules.ipfw.listing import Style
from rules.ipfw.report import Columns, Report
from rules.ipfw.rule import DEFAULT_RULE
from rules.ipfw.session import Session
from rules.ipfw.state import State
from rules.ipfw.step import Entry
from rules.ipfw.words import UNAVAILABLE, USAGE, Words, leading_number

if TYPE_CHECKING:
    from rules.ipfw.ruleset import RuleSet

__all__ = ["ListCommand"]


@dataclass(slots=True)
class ListCommand:
    """One listing: of everything, or of the numbers and ranges that the words name."""

    rules: RuleSet
    words: Words
    session: Session
    style: Style
    counters: bool
    in_set: Callable[[Entry], bool]
    """Whether a rule is in the set that was asked for (``set N list``)."""

    def run(self) -> None:
        rules, options = self.rules, self.session.options
        alone = "D" in options
        states = [*rules.states] if "d" in options or alone else []
        time = "T" if "T" in options else "t" if "t" in options else None
        columns = Columns(counters=self.counters, sets="S" in options, time=time, expired="e" in options)
        entries = [entry for entry in rules.chain if self.in_set(entry)]
        ranges = [self._range(word) for word in self.words.rest()]
        fetched = [entry for entry in self._fetched(ranges) if self.in_set(entry)]
        report = Report(self.style, columns, rules.chain.disabled, fetched, states)
        if alone:
            entries = []
        if not ranges:
            for entry in entries:
                self.session.print(report.line(entry))
        for low, high, bad in ranges:
            if bad is not None:
                self.session.status = USAGE
                self.session.complain(f"invalid rule number: {bad}")
            elif not alone:
                self._list_range(entries, report, low, high)
        if states:
            self._list_states(report, states, [(low, high) for low, high, bad in ranges if bad is None], bool(ranges))

    def _fetched(self, ranges: list[tuple[int, int, str | None]]) -> Iterable[Entry]:
        """The rules that the tool asks the kernel for, whose counters set the widths of the columns: those of the
        widest range, the number behind it, and one more rule."""
        chain = self.rules.chain
        last = max((high for _, high, _ in ranges), default=0)
        if not last:
            return chain
        first = min(min(low for low, _, _ in ranges), DEFAULT_RULE)
        fetched = chain.numbered(first, min(last + 1, DEFAULT_RULE))
        return fetched + chain.numbered(min(last, DEFAULT_RULE) + 2, DEFAULT_RULE)[:1]

    @staticmethod
    def _range(word: str) -> tuple[int, int, str | None]:
        low, rest = leading_number(word)
        high = low
        if rest.startswith("-"):
            high, rest = leading_number(rest[1:])
        return low & 0xFFFFFFFF, high & 0xFFFFFFFF, word if rest else None

    def _list_range(self, entries: list[Entry], report: Report, low: int, high: int) -> None:
        found = [entry for entry in entries if low <= entry.rule.number <= high]
        for entry in found:
            self.session.print(report.line(entry))
        if not found:
            self.session.status = self.session.status or UNAVAILABLE
            if low == high:
                self.session.complain(f"rule {low} does not exist")
            else:
                self.session.complain(f"no rules in range {low}-{high}")

    def _list_states(self, report: Report, states: list[State], ranges: list[tuple[int, int]], selected: bool) -> None:
        sizes = f" {self.rules.states.octets}" if self.rules.switches.dynamic_header_sizes else ""
        self.session.print("## Dynamic rules:\n" if selected else f"## Dynamic rules ({len(states)}{sizes}):\n")
        for low, high in ranges if selected else [(0, DEFAULT_RULE)]:
            for state in states:
                if low <= state.owner.rule.number <= high and self.in_set(state.owner):
                    self.session.print(report.state(state, self.rules.time()))
