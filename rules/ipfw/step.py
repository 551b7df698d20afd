"""A rule in its place in the list, and that rule made ready to be searched: its questions, and what it does then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rules.blocks import NOWHERE
from rules.classifier import Clause
from rules.ipfw.compiled import ready
from rules.ipfw.first.bogus import guarded
from rules.ipfw.perform import PERFORM
from rules.ipfw.questions import TABLEARG
from rules.ipfw.rule import CHANCE_UNIT, Action, Rule
from rules.ipfw.switches import Switches
from rules.ipfw.verdict import Verdict
from rules.ipfw.world import Test, World

if TYPE_CHECKING:
    from rules.ipfw.engine import Engine

__all__ = ["Entry", "Step"]


class Entry:
    """A rule in its place in the list, with its counters."""

    __slots__ = (
        "is_listed",
        "logged",
        "matched_at",
        "octets",
        "packets",
        "position",
        "rule",
        "serial",
        "step",
        "version",
        "words",
    )

    def __init__(self, rule: Rule, serial: int) -> None:
        self.rule = rule
        self.words: str | None = None
        """The rule without number and set, once somebody has asked for it (see ``RuleSet.words_of``)."""
        self.serial = serial
        """Grows from rule to rule added; orders rules of one number (E-1)."""
        self.position = 0
        """Its place in the list of that version of the list (see ``Engine.position``)."""
        self.version = 0
        self.is_listed = True
        """False once it has been deleted."""
        self.packets = 0
        self.octets = 0
        self.matched_at: float | None = None
        self.logged = 0
        """Lines written since the last ``resetlog``."""
        self.step: Step | None = None

    def forget_everything(self) -> None:
        """What ``zero`` does to a rule."""
        self.packets = self.octets = 0
        self.matched_at = None
        self.logged = 0

    def forget_log(self) -> None:
        """What ``resetlog`` does to a rule."""
        self.logged = 0


class Step:
    """A rule, made ready."""

    __slots__ = (
        "asks",
        "chance",
        "effect",
        "entry",
        "entry_tests",
        "is_simple",
        "is_stateful",
        "key",
        "perform",
        "tests",
        "verdict",
    )

    def __init__(self, entry: Entry, world: World, switches: Switches) -> None:
        rule = entry.rule
        self.entry = entry
        self.key = (rule.number, entry.serial)
        self.effect = rule.effect
        self.chance = ready_chance(rule.chance, world)
        self.asks = ready(guarded(rule.elements) if switches.tcp_rules_refuse_offset_one else rule.elements, world)
        self.tests = tuple(one.test for one in self.asks)
        if switches.prob_is_last:
            self.tests += ready_chance(rule.chance, world, small_is_no=True)
            self.chance = ()
        looks_up = rule.state is not None and not rule.state.records
        self.is_stateful = looks_up or rule.effect.action is Action.CHECK_STATE
        # A rule with state looks the flow up before it asks anything (G-32), so it is always "met".
        self.entry_tests: tuple[Test, ...] = () if self.is_stateful else (*self.chance, *self.tests)
        self.perform = PERFORM[rule.effect.action]
        self.is_simple = self._is_simple()
        """It ends the search, always in the same way, and does nothing else."""
        self.verdict: Verdict | None = None
        """Of a simple rule, kept until the list changes."""

    def _is_simple(self) -> bool:
        rule, effect = self.entry.rule, self.effect
        ends = effect.action in (Action.ALLOW, Action.DENY, Action.DIVERT, Action.FWD)
        fixed = TABLEARG not in (effect.argument, effect.address)
        plain = rule.state is None and rule.log is None and rule.tag is None and not rule.deferred
        return ends and fixed and plain

    def decide(self, engine: Engine, octets: int) -> Verdict:
        """The verdict of a simple rule for a datagram without tags that met no other rule, counted (E-6)."""
        entry = self.entry
        entry.packets += 1
        entry.octets += octets
        entry.matched_at = engine.now()
        if entry.version != engine.version or self.verdict is None:
            effect, number = self.effect, entry.rule.number
            counted = {"counted": (number,), "counted_at": (engine.position(entry),)}
            self.verdict = _verdict(effect.action, number, effect.argument, effect.address, **counted)
        return self.verdict

    @property
    def state_name(self) -> str | None:
        """The state that a stateful rule looks for, None for any."""
        state = self.entry.rule.state
        return self.effect.state if state is None else state.name

    # What tables may know

    @property
    def is_idle(self) -> bool:
        """``check-state`` that has nothing to do but to look a flow up."""
        rule = self.entry.rule
        return rule.effect.action is Action.CHECK_STATE and rule.state is None and rule.log is None and rule.tag is None

    @property
    def is_skippable(self) -> bool:
        """Stateful, but met in vain when the flow has been looked up and the questions say no."""
        return self.is_stateful and (self.is_idle or self.entry.rule.state is not None)

    @property
    def reads_leftovers(self) -> bool:
        """Whether it may use a value in the register ``tablearg`` that the questions of another rule left there."""
        rule = self.entry.rule
        numbers = (
            self.effect.argument,
            self.effect.address,
            rule.tag and rule.tag.number,
            rule.state and rule.state.count,
        )
        if TABLEARG in numbers and (self.is_stateful or rule.state is not None):
            return True  # whoever meets its state does what it says, and asks nothing
        for one in self.asks:
            if one.reads_register:
                return True
            if one.sets_register:
                return False
        return TABLEARG in numbers

    def clauses(self, *, leftovers: bool) -> Iterator[Clause]:
        """What tables may know of it; ``leftovers``: values left in the register by rules that do not match are used.

        What happens before a question, or by asking it, must happen also to datagrams of which a later one says no.
        """
        if self.chance:
            return
        if self.entry.rule.effect.action is Action.CHECK_STATE:
            if self.is_idle:
                yield Clause(NOWHERE, None, lambda fields: False)
            return
        for one in self.asks:
            if one.may_raise or (leftovers and one.may_set_register):
                return
            allowed = one.allowed
            if allowed is not None:
                yield Clause(allowed, one.alternatives, one.test)


def ready_chance(chance: int | None, world: World, *, small_is_no: bool = False) -> tuple[Test, ...]:
    """``prob`` as a question (E-12): a 31-bit random number below a bound, or (``small_is_no``) not below the rest."""
    if chance is None:
        return ()
    draw = world.chance
    bound = chance
    if small_is_no:
        return (lambda fields: int(draw() * 0x80000000) >= CHANCE_UNIT - bound,)
    return (lambda fields: int(draw() * 0x80000000) < bound,)


def _verdict(action: Action, number: int, argument: int, address: int, **more: Any) -> Verdict:
    if action in (Action.DIVERT, Action.TEE):
        return Verdict(action, number, port=argument, **more)
    if action is Action.FWD:
        return Verdict(action, number, next_hop=(address, argument), **more)
    return Verdict(action, number, code=argument, **more)
