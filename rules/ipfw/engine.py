"""Searching the rule list: one datagram, one pass, one verdict.

Sources: sections 5, 6 and 9 of the behavioural notes (X-1 to X-11, T-2, T-3, E-10 to E-37, D-2, D-3, D-9).

Every rule is made ready once: a :class:`~rules.ipfw.step.Step`, its questions and what to do when all say yes.  The
search goes from step to step; a step that does not end it says where to go on.  A rule whose action simply ends the
search, met first by a datagram without tags, hands out one verdict that was made beforehand.

There are two ways to the next step that matches, with the same answer (:mod:`rules.roster` chooses).  The plain one,
:meth:`Engine._ask`, asks step after step.  The fast one, :meth:`Engine._look_up`, asks only the candidates that the
tables of :mod:`rules.classifier` leave.  Candidates are looked up anew when a step has changed the datagram, when the
search jumps, or when the flow has been looked up: until then every rule with state is a candidate, since meeting the
first one looks the flow up (D-2), whatever it asks; afterwards it is like any other.

Tables know nothing of what is beyond the datagram, so nothing but a change of the list outdates them.  A rule of a
disabled set stays in its place and never matches, and so does one that was deleted after the tables were made.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from rules import roster
from rules.classifier import Classifier, Clause, read_attributes, vector
from rules.fields import ICMP, OFFSET_MASK, TCP, Fields
from rules.ipfw.log import refusal_line
from rules.ipfw.rule import Action
from rules.ipfw.search import Search
from rules.ipfw.state import StateTable
from rules.ipfw.step import Entry, Step
from rules.ipfw.switches import Switches
from rules.ipfw.verdict import Resume, Verdict
from rules.ipfw.world import BogusFragmentError, Test, TransportCutShortError, World
from rules.roster import Roster

if TYPE_CHECKING:
    from rules.ipfw.chain import Chain

__all__ = ["Engine"]

SCTP = 132
_TRANSPORT_OCTETS = {TCP: 20, 17: 8, ICMP: 4, SCTP: 12}
"""Octets of transport header that must be there at offset 0 (F-13)."""

_Item = tuple[tuple[Test, ...], Step]
_NEVER: tuple[Test, ...] = (lambda fields: False,)
_MANY_CHANGES = 8
"""A list changed in more than one rule of so many is taken over anew."""


class Engine:
    """The steps of the rules, and the search through them."""

    def __init__(
        self,
        world: World,
        states: StateTable,
        switches: Switches,
        now: Callable[[], float],
        engine: roster.Engine = roster.Engine.AUTO,
    ) -> None:
        self.world = world
        self.states = states
        self.switches = switches
        self.now = now
        self.verbose = True
        self.one_pass = True
        self.verbose_limit = 0
        """``net.inet.ip.fw.verbose_limit``: most lines of a rule, 0 for no limit (E-42)."""
        self.transport_octets = {
            protocol: octets
            for protocol, octets in _TRANSPORT_OCTETS.items()
            if protocol != SCTP or switches.sctp_header_needed
        }
        self._refused = 0
        self.roster: Roster[_Item] = Roster(engine, self._clauses, read_attributes)
        self.keys: list[tuple[int, int]] = []
        """(number, serial) of each step."""
        self._gone: list[tuple[int, int]] = []
        """Of those that were deleted and are kept in their place for the tables."""
        self.version = 0
        """Grows with every change of the list."""
        self._disabled = 0
        self._leftovers = False
        """The tables were made for a list in which values left in the register by rules that do not match are used."""
        self._stateful = 0
        """The rules that only have to be met until the flow has been looked up, as bits of the tables."""
        self._stateful_by_name: dict[str | None, int] = {}

    # The list

    def follow(self, chain: Chain) -> None:
        """Take over what has changed in the list since the last time."""
        changes, chain.changes = chain.changes, []
        self.version += 1
        self._disabled = chain.disabled
        if len(changes) > len(self.keys) // _MANY_CHANGES:
            self._take(self.step_of(entry) for entry in chain)
        else:
            for entry in changes:
                if entry is None:
                    self.roster.items[:] = [self._item(step) for _, step in self.roster.items]
                elif entry.is_listed:
                    self._insert(self.step_of(entry))
                else:
                    self._remove(self.step_of(entry))

    def position(self, entry: Entry) -> int:
        """An entry's place in the whole list, worked out when it is first asked for after a change."""
        if entry.version != self.version:
            entry.version = self.version
            key = (entry.rule.number, entry.serial)
            entry.position = bisect_left(self.keys, key) - bisect_left(self._gone, key)
            self.step_of(entry).verdict = None
        return entry.position

    def step_of(self, entry: Entry) -> Step:
        """An entry's step, made when it is first asked for."""
        if entry.step is None:
            entry.step = Step(entry, self.world, self.switches)
        return entry.step

    def _item(self, step: Step) -> _Item:
        entry = step.entry
        passed_by = not entry.is_listed or self._disabled >> entry.rule.set & 1
        return (_NEVER if passed_by else step.entry_tests, step)

    def _take(self, steps: Iterable[Step]) -> None:
        items = [self._item(step) for step in steps]
        self.keys = [step.key for _, step in items]
        self._gone = []
        self.roster.take(items)

    def _insert(self, step: Step) -> None:
        place = bisect_left(self.keys, step.key)
        self.keys.insert(place, step.key)
        self.roster.insert(place, self._item(step))
        if self.roster.tables is not None and step.reads_leftovers and not self._leftovers:
            self._drop_tables()

    def _remove(self, step: Step) -> None:
        place = bisect_left(self.keys, step.key)
        if self.keys[place] != step.key:
            return  # it came and went before anybody looked
        if self.roster.remove(place, self._item(step)):
            del self.keys[place]
        else:
            insort(self._gone, step.key)

    def first_from(self, number: int) -> int:
        """The first step whose number is not below; the last one, if there is none (E-33)."""
        return min(bisect_left(self.keys, (number,)), len(self.keys) - 1)

    def behind(self, number: int, serial: int) -> int:
        """The step that follows a rule in list order, whether or not that is still there (X-10, X-11)."""
        return min(bisect_right(self.keys, (number, serial)), len(self.keys) - 1)

    # Tables

    def _clauses(self, item: _Item) -> list[Clause]:
        return list(item[1].clauses(leftovers=self._leftovers))

    def _drop_tables(self) -> None:
        """And the rules that were kept for them alone."""
        self._take([step for _, step in self.roster.items if step.entry.is_listed])

    def _make_tables(self) -> None:
        self._drop_tables()
        steps = [step for _, step in self.roster.items]
        self._leftovers = any(step.reads_leftovers for step in steps)
        self.roster.make_tables()
        names: dict[str | None, list[int]] = {}
        for place, step in enumerate(steps):
            if step.is_skippable:
                names.setdefault(step.state_name, []).append(len(steps) - 1 - place)
        self._stateful_by_name = {name: vector(bits) for name, bits in names.items()}
        self._stateful = sum(self._stateful_by_name.values())

    def _candidates(self, tables: Classifier, fields: Fields, position: int, search: Search | None) -> int:
        """What has to be asked from a step on, as bits of the tables."""
        found = tables.candidates(fields)
        if self._stateful:
            found |= self._looking_up(search)
        if position:
            found &= (1 << tables.size - self.roster.base(position)) - 1
        return found

    def _looking_up(self, search: Search | None) -> int:
        """The rules that look the flow up when they are met."""
        if search is None or not search.looked_up:
            return self._stateful
        if search.looked_for is None:
            return 0
        return self._stateful & ~self._stateful_by_name.get(search.looked_for, 0)

    # Searching

    def search(
        self, fields: Fields, start_after: int = 0, resume: Resume | None = None, calls: tuple[int, ...] = ()
    ) -> Verdict:
        """One pass through the list: see :meth:`rules.ipfw.RuleSet.evaluate`."""
        needed = self.transport_octets.get(fields.protocol, 0)
        suspicious = needed and (fields.payload_length < needed or fields.fragment & OFFSET_MASK)
        if suspicious and self._is_cut_short(fields, needed):
            return Verdict(Action.DENY, None, tags=fields.tags)
        roster = self.roster
        if roster.is_counted and roster.is_due:
            self._make_tables()  # which changes positions
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
        if not roster.is_counted:
            return self._ask(fields, position, search)
        if roster.tables is not None:
            return self._look_up(roster.tables, fields, position, search)
        verdict = self._ask(fields, position, search)
        roster.asked(max(self.first_from(verdict.rule or 0) - position, 0))
        return verdict

    def _ask(self, fields: Fields, position: int, search: Search | None) -> Verdict:
        """Step after step: the reference."""
        steps = self.roster.items
        try:
            while True:
                tests, step = steps[position]
                position += 1
                for test in tests:
                    if not test(fields):
                        break
                else:
                    if search is None:
                        if step.is_simple and not fields.tags:
                            return step.decide(self, fields.total_length)
                        search = Search(self, fields)
                    outcome = search.met(step, position)
                    if isinstance(outcome, Verdict):
                        return outcome
                    position = outcome
                    fields = search.fields
        except TransportCutShortError as reason:
            return self._end_inside(search or Search(self, fields), reason)

    def _look_up(self, tables: Classifier, fields: Fields, position: int, search: Search | None) -> Verdict:
        """Candidate after candidate."""
        roster = self.roster
        steps, new, size, is_new = roster.items, roster.new, tables.size, False
        if new:
            roster.asked(len(new))
        try:
            found = self._candidates(tables, fields, position, search)
            while True:
                bits = found.bit_length()
                place = size - bits
                if new:
                    place, is_new = roster.next_place(place, position)
                tests, step = steps[place]
                position = place + 1
                for test in tests:
                    if not test(fields):
                        break
                else:
                    if search is None:
                        if step.is_simple and not fields.tags:
                            return step.decide(self, fields.total_length)
                        search = Search(self, fields)
                    outcome = search.met(step, position)
                    if isinstance(outcome, Verdict):
                        return outcome
                    if outcome != position or step.is_stateful or search.fields is not fields:
                        fields, position = search.fields, outcome
                        found = self._candidates(tables, fields, position, search)
                        continue
                if not is_new:
                    found ^= 1 << bits - 1
        except TransportCutShortError as reason:
            return self._end_inside(search or Search(self, fields), reason)

    def _end_inside(self, search: Search, reason: TransportCutShortError) -> Verdict:
        """A question could not be asked: the packet is dropped, and no rule has decided (F-13)."""
        if isinstance(reason, BogusFragmentError):
            search.lines += self._refuse(search.fields)
        return search.end(Action.DENY, None)

    def _refuse(self, fields: Fields) -> list[str]:
        """What is logged of a fragment that no rule decided about (F-13)."""
        self._refused += 1
        if not self.verbose or (self.verbose_limit and self._refused > self.verbose_limit):
            return []
        lines = [refusal_line(fields)]
        if self._refused == self.verbose_limit:
            lines.append(f"ipfw: limit {self.verbose_limit} reached on entry -1")
        return lines

    def _is_cut_short(self, fields: Fields, needed: int) -> bool:
        if fields.fragment_offset:
            return self.switches.offset_one_is_bogus and fields.protocol == TCP and fields.fragment_offset == 1
        return fields.payload_length < needed
