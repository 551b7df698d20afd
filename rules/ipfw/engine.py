"""Searching the rule list: one datagram, one pass, one verdict.

Sources: sections 5, 6 and 9 of the behavioural notes (X-1 to X-11, T-2, T-3, E-10 to E-37, D-2, D-3, D-9).

When the list changes, every enabled rule becomes a *step*: its questions made ready, and what to do when all say yes.
The search goes from step to step; a step that does not end it says where to go on.  A rule whose action simply ends
the search, met first by a datagram without tags, hands out one verdict that it made beforehand.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import Any

from rules.fields import ICMP, TCP, Fields
from rules.ipfw.compiled import ready
from rules.ipfw.log import log_line
from rules.ipfw.questions import TABLEARG
from rules.ipfw.rule import Action, Rule
from rules.ipfw.state import Direction, State, StateTable
from rules.ipfw.switches import Switches
from rules.ipfw.verdict import Resume, Verdict
from rules.ipfw.world import Test, TransportCutShortError, World

__all__ = ["Engine", "Entry"]

_CALL_DEPTH = 16
_MOST_STEPS = 1_000_000
"""Bound on the jumps of one search: ``call`` can go round in circles (E-34)."""

_TRANSPORT_OCTETS = {TCP: 20, 17: 8, ICMP: 4, 132: 12}
"""Octets of transport header that must be there at offset 0 (F-13)."""

_ICMP_QUERIES = frozenset({8, 10, 13, 15, 17})
"""ICMP types that ``unreach`` answers (E-30)."""

_RST = 4


class Entry:
    """A rule in its place in the list, with its counters."""

    __slots__ = ("logged", "matched_at", "octets", "packets", "position", "rule", "serial", "step")

    def __init__(self, rule: Rule, serial: int) -> None:
        self.rule = rule
        self.serial = serial
        """Grows from rule to rule added; orders rules of one number (E-1)."""
        self.position = 0
        self.packets = 0
        self.octets = 0
        self.matched_at: float | None = None
        self.logged = 0
        """Lines written since the last ``resetlog``."""
        self.step: _Step | None = None


class Engine:
    """The steps of the enabled rules, and the search through them."""

    def __init__(self, world: World, states: StateTable, switches: Switches, now: Callable[[], float]) -> None:
        self.world = world
        self.states = states
        self.switches = switches
        self.now = now
        self.verbose = True
        self.steps: list[tuple[tuple[Test, ...], _Step]] = []
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

    def step_of(self, entry: Entry) -> _Step:
        """An entry's step, made when it is first asked for."""
        if entry.step is None:
            entry.step = _Step(entry, self.world)
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
            search = _Search(self, fields, resume.calls)
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
            search = _Search(self, fields, calls)
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
                        search = _Search(self, fields, calls)
                    outcome = search.met(step, position)
                    if isinstance(outcome, Verdict):
                        return outcome
                    position = outcome
                    fields = search.fields
        except TransportCutShortError:
            return (search or _Search(self, fields, calls)).end(Action.DENY, None)

    def _is_cut_short(self, fields: Fields, needed: int) -> bool:
        if fields.fragment_offset:
            return self.switches.offset_one_is_bogus and fields.protocol == TCP and fields.fragment_offset == 1
        return fields.payload_length < needed


class _Step:
    """An enabled rule, made ready."""

    __slots__ = ("chance", "effect", "entry", "entry_tests", "perform", "tests", "verdict")

    def __init__(self, entry: Entry, world: World) -> None:
        rule = entry.rule
        self.entry = entry
        self.effect = rule.effect
        self.chance = ready_chance(rule.chance, world)
        questions = ready(rule.elements, world)
        self.tests = questions
        stateful = rule.state is not None or rule.effect.action is Action.CHECK_STATE
        # A rule with state looks the flow up before it asks anything (G-32), so it is always "met".
        self.entry_tests: tuple[Test, ...] = () if stateful else (*self.chance, *questions)
        self.perform = _PERFORM[rule.effect.action]
        self.verdict: Verdict | None = None
        self.make_verdict()

    def make_verdict(self) -> None:
        """The verdict that every datagram without tags gets which meets this rule first, if it is always the same."""
        entry, rule = self.entry, self.entry.rule
        ends = rule.effect.action in (Action.ALLOW, Action.DENY, Action.DIVERT, Action.FWD)
        fixed = TABLEARG not in (rule.effect.argument, rule.effect.address)
        if ends and fixed and not self.is_stateful and rule.log is None and rule.tag is None:
            self.verdict = _verdict(
                rule.effect.action,
                rule.number,
                rule.effect.argument,
                rule.effect.address,
                counted=(rule.number,),
                counted_at=(entry.position,),
            )

    @property
    def is_stateful(self) -> bool:
        return self.entry.rule.state is not None or self.effect.action is Action.CHECK_STATE


def ready_chance(chance: int | None, world: World) -> tuple[Test, ...]:
    """``prob`` as the question that is asked first (E-12): a 31-bit random number below a bound."""
    if chance is None:
        return ()
    draw = world.chance
    bound = chance
    return (lambda fields: int(draw() * 0x80000000) < bound,)


def _verdict(action: Action, number: int, argument: int, address: int, **more: Any) -> Verdict:
    if action in (Action.DIVERT, Action.TEE):
        return Verdict(action, number, port=argument, **more)
    if action is Action.FWD:
        return Verdict(action, number, next_hop=(address, argument), **more)
    return Verdict(action, number, code=argument, **more)


class _Altered:
    """A datagram in which the search itself has changed something: fields set here hide those underneath."""

    def __init__(self, fields: Fields, **changed: object) -> None:
        self.__dict__.update(changed)
        self._fields = fields

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fields, name)


class _Search:
    """A search that has met a rule which does more than end it."""

    __slots__ = ("calls", "engine", "fields", "found", "hits", "lines", "looked_for", "looked_up", "steps", "tos")

    def __init__(self, engine: Engine, fields: Fields, calls: tuple[int, ...]) -> None:
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

    def take_up(self, resume: Resume) -> None:
        """Go on as the search stood when it was left; what was said of a re-injection no longer holds (X-9)."""
        changed: dict[str, object] = {"reinjected": None}
        if resume.tos is not None:
            changed["tos"] = self.tos = resume.tos
        if resume.tags is not None:
            changed["tags"] = resume.tags
        self.fields = _Altered(self.fields, **changed)
        self.engine.world.fib = resume.fib

    def change(self, **changed: object) -> None:
        """From here on the datagram looks like this."""
        self.fields = _Altered(self.fields, **changed)

    # A rule is met

    def met(self, step: _Step, position: int) -> Verdict | int:
        """All questions before state said yes; ``position`` is the step behind.  A verdict, or where to go on."""
        self.steps += 1
        if self.steps > _MOST_STEPS:
            return self.end(Action.DENY, step.entry)
        if step.is_stateful:
            return self._met_stateful(step, position)
        return self._act(step, position)

    def _met_stateful(self, step: _Step, position: int) -> Verdict | int:
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
        count = self.engine.world.tablearg if state.count == TABLEARG else state.count
        if not self.engine.states.install(entry, self.fields, state.mask, count, state.name):
            self.count(entry)
            return self.end(Action.DENY, entry)
        return position if state.negated else self._act(step, position)

    def _probe(self, name: str | None) -> State | None:
        """The flow's state, looked up once in a search (D-2), or once for each name in turn."""
        if self.looked_up and self.looked_for in (None, name):
            return None
        self.looked_up, self.looked_for = True, name
        self.found = self.engine.states.lookup(self.fields, name)
        return self.found[0] if self.found else None

    def _act_for(self, state: State) -> Verdict | int:
        """Do what the rule says that made the state, and go on from its place (D-3, D-9)."""
        state.packets += 1
        state.octets += self.fields.total_length
        owner: Entry = state.owner
        step = self.engine.step_of(owner)
        return self._act(step, self.engine.behind(owner.rule.number, owner.serial))

    def _act(self, step: _Step, position: int) -> Verdict | int:
        if step.entry.rule.log is not None:
            self._log(step)
        if step.entry.rule.tag is not None:
            self._tag(step)
        return step.perform(self, step, position)

    def _log(self, step: _Step) -> None:
        entry = step.entry
        log = entry.rule.log
        if log is None or not self.engine.verbose or (log.amount and entry.logged >= log.amount):
            return
        entry.logged += 1
        self.lines.append(log_line(entry.rule.number, step.effect, self.engine.world.tablearg, self.fields))
        if entry.logged == log.amount:
            self.lines.append(f"ipfw: limit {log.amount} reached on entry {entry.rule.number}")

    def _tag(self, step: _Step) -> None:
        mark = step.entry.rule.tag
        if mark is None:
            return
        number = self.engine.world.tablearg if mark.number == TABLEARG else mark.number
        tags = self.fields.tags
        self.change(tags=tags - {number} if mark.remove else tags | {number})

    # What actions use

    def count(self, entry: Entry) -> None:
        """A rule's counters go up (E-6)."""
        entry.packets += 1
        entry.octets += self.fields.total_length
        entry.matched_at = self.engine.now()
        self.hits.append(entry)

    def argument(self, step: _Step) -> int:
        """The action's argument, the table's where it says ``tablearg``."""
        number = step.effect.argument
        return self.engine.world.tablearg if number == TABLEARG else number

    def end(self, action: Action, decider: Entry | None, *, resume: bool = False, **more: Any) -> Verdict:
        """The verdict, with everything that happened on the way to it."""
        world = self.engine.world
        later = None
        if resume and decider is not None:
            fields = self.fields
            later = Resume(decider.rule.number, decider.serial, self.tos, fields.tags, world.fib, self.calls)
        return Verdict(
            action,
            None if decider is None else decider.rule.number,
            counted=tuple([entry.rule.number for entry in self.hits]),
            counted_at=tuple([entry.position for entry in self.hits]),
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


# Actions (section 9.3): what each does when its rule matches


def _allow(search: _Search, step: _Step, position: int) -> Verdict:
    search.count(step.entry)
    return search.end(Action.ALLOW, step.entry)


def _deny(search: _Search, step: _Step, position: int) -> Verdict:
    search.count(step.entry)
    return search.end(Action.DENY, step.entry)


def _go_on(search: _Search, step: _Step, position: int) -> int:
    search.count(step.entry)
    return position


def _skip_to(search: _Search, step: _Step, position: int) -> int:
    search.count(step.entry)
    return search.engine.first_from(max(search.argument(step), step.entry.rule.number + 1))


def _call(search: _Search, step: _Step, position: int) -> int:
    if len(search.calls) >= _CALL_DEPTH:
        search.lines.append("ipfw: call stack error, go to next rule")
        return position
    search.count(step.entry)
    search.calls = (*search.calls, step.entry.rule.number)
    return search.engine.first_from(search.argument(step))


def _return(search: _Search, step: _Step, position: int) -> int:
    if not search.calls:
        return position
    search.count(step.entry)
    *calls, caller = search.calls
    search.calls = tuple(calls)
    return search.engine.first_from(caller + 1)


def _divert(search: _Search, step: _Step, position: int) -> Verdict:
    search.count(step.entry)
    return search.end(Action.DIVERT, step.entry, port=search.argument(step) & 0xFFFF)


def _tee(search: _Search, step: _Step, position: int) -> Verdict:
    search.count(step.entry)
    goes_on = search.engine.switches.tee_original == "next rule"
    return search.end(Action.TEE, step.entry, port=search.argument(step) & 0xFFFF, resume=goes_on)


def _forward(search: _Search, step: _Step, position: int) -> Verdict:
    """A reply that meets the state of a ``fwd`` rule is only accepted."""
    search.count(step.entry)
    found = search.found
    if found is not None and found[0].owner is step.entry and found[1] is Direction.REVERSE:
        return search.end(Action.ALLOW, step.entry)
    address = step.effect.address
    hop = search.engine.world.tablearg if address == TABLEARG else address
    return search.end(Action.FWD, step.entry, next_hop=(hop, search.argument(step)))


def _unreach(search: _Search, step: _Step, position: int) -> Verdict:
    search.count(step.entry)
    return search.end(Action.UNREACH, step.entry, code=step.effect.argument, replies=search.can_be_answered())


def _reset(search: _Search, step: _Step, position: int) -> Verdict:
    search.count(step.entry)
    flags = search.fields.tcp_flags
    replies = flags is not None and not flags & _RST and search.can_be_answered()
    return search.end(Action.RESET, step.entry, replies=replies)


def _reassemble(search: _Search, step: _Step, position: int) -> Verdict | int:
    """Whole datagrams go on; a fragment is counted twice and waits for the others (F-11)."""
    search.count(step.entry)
    if not search.fields.more_fragments and not search.fields.fragment_offset:
        return position
    search.count(step.entry)
    return search.end(Action.REASS, step.entry, resume=True)


def _set_fib(search: _Search, step: _Step, position: int) -> int:
    search.count(step.entry)
    search.engine.world.fib = search.argument(step)
    return position


def _set_dscp(search: _Search, step: _Step, position: int) -> int:
    search.count(step.entry)
    search.tos = (search.argument(step) & 63) << 2 | search.fields.tos & 3
    search.change(tos=search.tos)
    return position


_PERFORM: dict[Action, Callable[[_Search, _Step, int], Verdict | int]] = {
    Action.ALLOW: _allow,
    Action.DENY: _deny,
    Action.COUNT: _go_on,
    Action.SKIPTO: _skip_to,
    Action.CALL: _call,
    Action.RETURN: _return,
    Action.DIVERT: _divert,
    Action.TEE: _tee,
    Action.FWD: _forward,
    Action.UNREACH: _unreach,
    Action.RESET: _reset,
    Action.REASS: _reassemble,
    Action.SETFIB: _set_fib,
    Action.SETDSCP: _set_dscp,
    Action.CHECK_STATE: _go_on,
}
