"""A search that has met a rule which does more than end it: what it carries along, and what the rules met do to it.

Sources: sections 5, 6 and 9 of the behavioural notes (X-9 to X-11, E-12, E-30, E-34, E-41, D-2, D-3, D-9, G-32).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rules.fields import ICMP, Fields
from rules.ipfw.log import log_line
from rules.ipfw.questions import TABLEARG
from rules.ipfw.rule import Action
from rules.ipfw.state import Direction, State
from rules.ipfw.step import Entry, Step
from rules.ipfw.verdict import Resume, Verdict

if TYPE_CHECKING:
    from rules.ipfw.engine import Engine

__all__ = ["Search"]

_MOST_STEPS = 1_000_000
"""Bound on the jumps of one search: ``call`` can go round in circles (E-34)."""
_MOST_RETURNS = 100
"""Bound on how often one datagram is sent back by state: made by a ``tee`` rule and found again further down
(``check-state``), it would send it there for ever, a copy each time (D-3, D-9)."""

_ICMP_QUERIES = frozenset({8, 10, 13, 15, 17})
"""ICMP types that ``unreach`` answers (E-30)."""


_VALUE_FIELDS = {
    action: {
        "call": "skipto",
        "tee": "divert",
        "setfib": "fib",
        "setdscp": "dscp",
        "queue": "pipe",
        "ngtee": "netgraph",
        "setmark": "mark",
    }.get(action.value, action.value)
    for action in Action
}
"""Which part of a table's value ``tablearg`` means as an action's argument."""


class _Altered:
    """A datagram in which the search itself has changed something: fields set here hide those underneath."""

    def __init__(self, fields: Fields, **changed: object) -> None:
        self._fields = fields
        if isinstance(fields, _Altered):
            self.__dict__.update(fields.__dict__)
        self.__dict__.update(changed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fields, name)


class Search:
    """A search that has met a rule which does more than end it."""

    __slots__ = (
        "calls",
        "engine",
        "fields",
        "found",
        "hits",
        "lines",
        "looked_for",
        "looked_up",
        "returns",
        "steps",
        "tos",
    )

    def __init__(self, engine: Engine, fields: Fields, calls: tuple[int, ...] = ()) -> None:
        self.engine = engine
        self.fields = fields
        self.calls = calls
        self.hits: list[Entry] = []
        self.lines: list[str] = []
        self.tos: int | None = None
        self.looked_up = False
        self.looked_for: str | None = None
        self.found: tuple[State, Direction] | None = None
        self.steps = 0
        self.returns = 0

    def take_up(self, resume: Resume) -> None:
        """Go on as the search stood when it was left; what was said of a re-injection no longer holds (X-9)."""
        self.returns = resume.returns
        changed: dict[str, object] = {"reinjected": None}
        if resume.tos is not None:
            changed["tos"] = self.tos = resume.tos
        if resume.tags is not None:
            changed["tags"] = resume.tags
        if resume.mark:
            changed["mark"] = resume.mark
        self.fields = _Altered(self.fields, **changed)
        self.engine.world.fib = resume.fib

    def change(self, **changed: object) -> None:
        """From here on the datagram looks like this."""
        self.fields = _Altered(self.fields, **changed)

    # A rule is met

    def met(self, step: Step, position: int) -> Verdict | int:
        """All questions before state said yes; ``position`` is the step behind.  A verdict, or where to go on."""
        if step.is_stateful:
            return self._met_stateful(step, position)
        if step.entry.rule.state is not None:
            return self._remember(step, position)
        return position if step.entry.rule.deferred else self._act(step, position)

    def _met_stateful(self, step: Step, position: int) -> Verdict | int:
        entry = step.entry
        is_check = step.effect.action is Action.CHECK_STATE
        if not all(test(self.fields) for test in step.chance):
            return position
        if is_check:
            self._log(step)
            self._tag(step)
        state = entry.rule.state
        found = self._probe(step.effect.state if state is None else state.name)
        if found is not None:
            return self._act_for(found)
        if state is None:
            return position
        if not all(test(self.fields) for test in step.tests):
            return position
        return self._remember(step, position)

    def _remember(self, step: Step, position: int) -> Verdict | int:
        """The rule matches, and makes state of the packet's flow before it acts (E-26)."""
        entry = step.entry
        state = entry.rule.state
        assert state is not None
        count = self.engine.world.argument("limit") if state.count == TABLEARG else state.count
        if not self.engine.states.install(entry, self.fields, state.mask, count, state.name):
            self.lines += self.engine.states.complaints
            if self.engine.switches.limit_reached_counts:
                self.count(entry)
            return self.end(Action.DENY, entry)
        return position if state.negated or entry.rule.deferred else self._act(step, position)

    def _probe(self, name: str | None) -> State | None:
        """The flow's state, looked up once in a search (D-2), or once for each name in turn."""
        if self.looked_up and self.looked_for in (None, name):
            return None
        self.looked_up, self.looked_for = True, name
        self.found = self.engine.states.lookup(self.fields, name)
        return self.found[0] if self.found else None

    def _act_for(self, state: State) -> Verdict | int:
        """Do what the rule says that made the state, and go on from its place (D-3, D-9)."""
        self.returns += 1
        state.packets += 1
        state.octets += self.fields.total_length
        owner: Entry = state.owner
        step = self.engine.step_of(owner)
        return self._act(step, self.engine.behind(owner.rule.number, owner.serial))

    def _act(self, step: Step, position: int) -> Verdict | int:
        self.steps += 1
        if self.steps > _MOST_STEPS or self.returns > _MOST_RETURNS:
            return self.end(Action.DENY, step.entry)
        if step.entry.rule.log is not None:
            self._log(step)
        if step.entry.rule.tag is not None:
            self._tag(step)
        return step.perform(self, step, position)

    def _log(self, step: Step) -> None:
        entry = step.entry
        log = entry.rule.log
        if log is None or not self.engine.verbose or (log.amount and entry.logged >= log.amount):
            return
        entry.logged += 1
        engine = self.engine
        hop, terse = engine.world.argument("ipv4"), engine.switches.terse_log
        self.lines.append(log_line(entry.rule.number, step.effect, self.argument(step), hop, self.fields, terse=terse))
        if entry.logged == log.amount:
            self.lines.append(f"ipfw: limit {log.amount} reached on entry {entry.rule.number}")

    def _tag(self, step: Step) -> None:
        mark = step.entry.rule.tag
        if mark is None:
            return
        number = self.engine.world.argument("tag") if mark.number == TABLEARG else mark.number
        tags = self.fields.tags
        self.change(tags=tags - {number} if mark.remove else tags | {number})

    # What actions use

    def count(self, entry: Entry) -> None:
        """A rule's counters go up (E-6)."""
        entry.packets += 1
        entry.octets += self.fields.total_length
        entry.matched_at = self.engine.now()
        self.hits.append(entry)

    def argument(self, step: Step) -> int:
        """The action's argument, the table's where it says ``tablearg``."""
        number = step.effect.argument
        return self.engine.world.argument(_VALUE_FIELDS[step.effect.action]) if number == TABLEARG else number

    def end(self, action: Action, decider: Entry | None, *, resume: bool = False, **more: Any) -> Verdict:
        """The verdict, with everything that happened on the way to it."""
        world = self.engine.world
        later = None
        if resume and decider is not None:
            fields = self.fields
            place = decider.rule.number, decider.serial
            held = action in (Action.PIPE, Action.QUEUE)
            later = Resume(*place, self.tos, fields.tags, world.fib, self.calls, self.returns, fields.mark, held)
        return Verdict(
            action,
            None if decider is None else decider.rule.number,
            counted=tuple([entry.rule.number for entry in self.hits]),
            counted_at=tuple([self.engine.position(entry) for entry in self.hits]),
            tags=self.fields.tags,
            tos=self.tos,
            fib=world.fib,
            calls=self.calls,
            log=tuple(self.lines),
            resume=later,
            **more,
        )

    def can_be_answered(self) -> bool:
        """Whether ``unreach`` and ``reset`` send anything (E-30)."""
        fields = self.fields
        return (
            fields.fragment_offset == 0
            and (fields.protocol != ICMP or fields.icmp_type in _ICMP_QUERIES)
            and not fields.link_broadcast
            and fields.destination >> 28 != 0xE
        )
