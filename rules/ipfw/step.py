"""A rule in its place in the list, and that rule made ready to be searched: its questions, and what it does then."""

from __future__ import annotations

from typing import Any

from rules.ipfw.compiled import ready
from rules.ipfw.perform import PERFORM
from rules.ipfw.questions import TABLEARG
from rules.ipfw.rule import Action, Rule
from rules.ipfw.verdict import Verdict
from rules.ipfw.world import Test, World

__all__ = ["Entry", "Step"]


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
        self.step: Step | None = None


class Step:
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
        self.perform = PERFORM[rule.effect.action]
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
