"""Searching the rule list: one datagram, one pass, one verdict.

Sources: sections 5, 6 and 9 of the behavioural notes (X-1 to X-11, T-2, T-3, E-10 to E-37, D-2, D-3, D-9).

When the list changes, every enabled rule becomes a *step*: its questions made ready, and what to do when all say yes.
The search goes from step to step; a step that does not end it says where to go on.  A rule whose action simply ends
the search, met first by a datagram without tags, hands out one verdict that it made beforehand.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable

from rules.fields import ICMP, TCP, Fields
from rules.ipfw.rule import Action
from rules.ipfw.search import Search
from rules.ipfw.state import StateTable
from rules.ipfw.step import Entry, Step
from rules.ipfw.switches import Switches
from rules.ipfw.verdict import Resume, Verdict
from rules.ipfw.world import Test, TransportCutShortError, World

__all__ = ["Engine"]

_TRANSPORT_OCTETS = {TCP: 20, 17: 8, ICMP: 4, 132: 12}
"""Octets of transport header that must be there at offset 0 (F-13)."""


class Engine:
    """The steps of the enabled rules, and the search through them."""

    def __init__(self, world: World, states: StateTable, switches: Switches, now: Callable[[], float]) -> None:
        self.world = world
        self.states = states
        self.switches = switches
        self.now = now
        self.verbose = True
        self.one_pass = True
        self.steps: list[tuple[tuple[Test, ...], Step]] = []
        self.numbers: list[int] = []
        self.keys: list[tuple[int, int]] = []

    def rebuild(self, entries: Iterable[Entry], disabled: int) -> None:
        """Take over a changed list; ``disabled`` has bit n for a set n whose rules are skipped (E-5)."""
        self.steps = []
        self.numbers = []
        self.keys = []
        for position, entry in enumerate(entries):
            step = self.step_of(entry)
            if entry.position != position:
                entry.position = position
                step.make_verdict()
            if not disabled >> entry.rule.set & 1:
                self.steps.append((step.entry_tests, step))
                self.numbers.append(entry.rule.number)
                self.keys.append((entry.rule.number, entry.serial))

    def step_of(self, entry: Entry) -> Step:
        """An entry's step, made when it is first asked for."""
        if entry.step is None:
            entry.step = Step(entry, self.world)
        return entry.step

    def first_from(self, number: int) -> int:
        """The first step whose number is not below; the last one, if there is none (E-33)."""
        return min(bisect_left(self.numbers, number), len(self.steps) - 1)

    def behind(self, number: int, serial: int) -> int:
        """The step that follows a rule in list order, whether or not that is still there (X-10, X-11)."""
        return min(bisect_right(self.keys, (number, serial)), len(self.steps) - 1)

    def search(
        self, fields: Fields, start_after: int = 0, resume: Resume | None = None, calls: tuple[int, ...] = ()
    ) -> Verdict:
        """One pass through the list: see :meth:`rules.ipfw.RuleSet.evaluate`."""
        needed = _TRANSPORT_OCTETS.get(fields.protocol)
        if needed and self._is_cut_short(fields, needed):
            return Verdict(Action.DENY, None, tags=fields.tags)
        world = self.world
        world.tablearg = world.fib = 0
        search = None
        if resume is not None:
            search = Search(self, fields, resume.calls)
            search.take_up(resume)
            fields = search.fields
            position = self.behind(resume.number, resume.serial)
        elif start_after:
            if start_after >= 65535 and self.switches.tag_beyond_list == "drop":
                return Verdict(Action.DENY, None, tags=fields.tags)
            position = self.first_from(min(start_after, 65534) + 1)
        else:
            position = 0
        if calls and search is None:
            search = Search(self, fields, calls)
        steps = self.steps
        try:
            while True:
                tests, step = steps[position]
                position += 1
                for test in tests:
                    if not test(fields):
                        break
                else:
                    if search is None:
                        verdict = step.verdict
                        if verdict is not None and not fields.tags:
                            entry = step.entry
                            entry.packets += 1
                            entry.octets += fields.total_length
                            entry.matched_at = self.now()
                            return verdict
                        search = Search(self, fields, calls)
                    outcome = search.met(step, position)
                    if isinstance(outcome, Verdict):
                        return outcome
                    position = outcome
                    fields = search.fields
        except TransportCutShortError:
            return (search or Search(self, fields, calls)).end(Action.DENY, None)

    def _is_cut_short(self, fields: Fields, needed: int) -> bool:
        if fields.fragment_offset:
            return self.switches.offset_one_is_bogus and fields.protocol == TCP and fields.fragment_offset == 1
        return fields.payload_length < needed
