"""Packets that get as far as a given rule: the ways there are walked, and questions answered so that they lead there.

A rule before it that would end the search has one of its questions answered no; one that sends the search elsewhere is
answered as the way wants it.  What is found is tried on a copy of the rules before it is given out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from hypothesis import strategies as st

from rules import ipchains, ipfw
from rules.copying import list_like, tables_like
from rules.fields import Header
from rules.ipfw.questions import TABLEARG
from rules.ipfw.rule import Action
from rules.ipfw.step import Entry
from rules.predicates import Predicate
from rules.strategies.asking import AnyRules, comes_to_rules, ipchains_asks, ipfw_asks
from rules.strategies.candidates import Candidates
from rules.strategies.domain import Ask, Domain
from rules.strategies.drawn import NoPacketError, chooser
from rules.strategies.words import told

__all__ = ["reaching"]

_MOST_SHAPES = 4
"""Pairs of protocol and fragment field that packets are drawn with."""

_MOST_LOOKS = 1_000
"""Rules that are looked at on all ways together before a shape of packet is given up."""

Stop = tuple[tuple[object, int], ...]
"""Where a search stands: the list and the position in it, and those that it will go back to before."""


class _Program(Protocol):
    """A rule set as the ways through it."""

    interfaces: Sequence[str]
    goal: tuple[Ask, ...]
    """What the rule itself asks, as far as that is one rule."""

    def begin(self) -> Stop: ...

    def is_goal(self, stop: Stop) -> bool: ...

    def asks(self, stop: Stop) -> tuple[Ask, ...] | None:
        """None where there is no rule any more."""

    def matched(self, stop: Stop) -> Stop | None:
        """Where it goes on when the rule matches; None where that ends the search, or is not known."""

    def missed(self, stop: Stop) -> Stop: ...

    def candidates(self, interfaces: Sequence[str], inside: int) -> Candidates: ...

    def reaches(self, header: Header) -> bool:
        """Whether it really gets there, tried on a copy."""


def reaching(
    rules: AnyRules, rule: int | str, *, hook: str = "", interfaces: Sequence[str] = ()
) -> st.SearchStrategy[Header]:
    """Packets that a given rule of a list matches, having come past all the rules before it.

    ``rule``: a number of ipfw's list, or ``"forward:2"``, the second rule of a chain of ipchains; a user chain is
    entered by way of ``hook`` (``"input"`` unless said).  ``interfaces``: what the host's interfaces are called.

    What rules before it do to a packet (tags, marks, code points) and dynamic state are not followed: a rule that can
    only be reached through them is not found, nor one that is reached by ``tablearg`` or behind ``call``.

    :raises NoPacketError: when no packet was found, which is no proof that there is none.
    :raises LookupError: for a rule that is not there.
    """
    program: _Program
    if isinstance(rules, ipfw.RuleSet):
        program = _Ipfw(rules, int(rule))
    else:
        program = _Ipchains(rules, str(rule), hook)
    names = interfaces or program.interfaces
    usual = program.candidates(names, 0)
    possible = (shape for shape in usual.shapes() if next(_found(program, usual.domain(shape)), None) is not None)
    shapes = list(islice(possible, _MOST_SHAPES))
    if not shapes:
        raise NoPacketError(f"no packet was found that reaches rule {rule}")

    @st.composite
    def drawn(draw: st.DrawFn) -> Header:
        shape = draw(st.sampled_from(shapes))
        whole = program.candidates(names, draw(st.integers(0, 0xFFFFFFFF))).domain(shape)
        for left in _found(program, whole):
            header = left.header(chooser(draw))
            if program.reaches(header):
                return header
            break  # another value of this way depends on what the rules before do: take the one that was tried
        first = next(_found(program, whole))
        return first.header(lambda rows: rows[0])

    return drawn().map(told)


def _found(program: _Program, domain: Domain) -> Iterator[Domain]:
    """What is left on each way that leads there, tried with its first values."""
    there = domain.all_of(program.goal)
    if there is None:
        return
    for left in _Walk(program).ways(program.begin(), there):
        if program.reaches(left.header(lambda rows: rows[0])):
            yield left


class _Walk:
    """One search for ways, depth first."""

    def __init__(self, program: _Program) -> None:
        self._program = program
        self._looks = 0

    def ways(self, stop: Stop, domain: Domain) -> Iterator[Domain]:
        """Iterative in the length of the list, so that long ones do not exhaust the stack."""
        waiting: list[Iterator[tuple[Stop, Domain]]] = [iter([(stop, domain)])]
        while waiting:
            step = next(waiting[-1], None)
            if step is None:
                waiting.pop()
                continue
            self._looks += 1
            if self._looks > _MOST_LOOKS:
                return
            here, left = step
            asks = self._program.asks(here)
            if asks is None:
                continue
            if self._program.is_goal(here):
                goal = left.all_of(asks)
                if goal is not None:
                    yield goal
                continue
            waiting.append(self._onward(here, left, asks))

    def _onward(self, here: Stop, left: Domain, asks: tuple[Ask, ...]) -> Iterator[tuple[Stop, Domain]]:
        matched, missed = self._program.matched(here), self._program.missed(here)
        if matched == missed:
            yield missed, left
            return
        for ask in asks:
            without = left.limited(ask, wanted=False)
            if without is not None:
                yield missed, without
        if matched is not None:
            inside = left.all_of(asks)
            if inside is not None:
                yield matched, inside


@dataclass
class _Ipfw:
    rules: ipfw.RuleSet
    number: int
    interfaces: Sequence[str] = ("em0", "em1")

    def __post_init__(self) -> None:
        disabled = self.rules.chain.disabled
        self._entries: list[Entry] = [each for each in self.rules.chain if not disabled >> each.rule.set & 1]
        self._asks = [ipfw_asks(entry.rule, self.rules) for entry in self._entries]
        if all(entry.rule.number != self.number for entry in self._entries):
            raise LookupError(f"there is no rule {self.number}")
        goals = [
            asks for entry, asks in zip(self._entries, self._asks, strict=True) if entry.rule.number == self.number
        ]
        self.goal = goals[0] if len(goals) == 1 else ()
        self._is_stateful = any(entry.rule.state is not None for entry in self._entries)
        self._copy = self._copied()

    def _copied(self) -> ipfw.RuleSet:
        return list_like(self.rules, (entry.rule for entry in self._entries), engine="plain")

    def begin(self) -> Stop:
        return (("", 0),)

    def is_goal(self, stop: Stop) -> bool:
        return self._entries[stop[0][1]].rule.number == self.number

    def asks(self, stop: Stop) -> tuple[Ask, ...] | None:
        position = stop[0][1]
        return self._asks[position] if position < len(self._entries) else None

    def missed(self, stop: Stop) -> Stop:
        return (("", stop[0][1] + 1),)

    def matched(self, stop: Stop) -> Stop | None:
        position = stop[0][1]
        effect = self._entries[position].rule.effect
        if effect.action in _GOING_ON:
            return self.missed(stop)
        if effect.action is Action.SKIPTO and effect.argument != TABLEARG:
            numbers = (each.rule.number for each in self._entries)
            return (
                ("", next((at for at, number in enumerate(numbers) if at > position and number >= effect.argument))),
            )
        return None

    def candidates(self, interfaces: Sequence[str], inside: int) -> Candidates:
        questions: list[Predicate] = []
        for entry in self._entries:
            questions += (element.question for element in entry.rule.elements)
        return Candidates(questions, interfaces, self.rules.world, inside)

    def reaches(self, header: Header) -> bool:
        if self._is_stateful:
            self._copy = self._copied()
        return self.number in self._copy.evaluate(header).counted


_GOING_ON = (Action.COUNT, Action.SETFIB, Action.SETDSCP, Action.SETMARK, Action.CHECK_STATE)


@dataclass
class _Ipchains:
    tables: ipchains.Tables
    label: str
    hook: str
    interfaces: Sequence[str] = ("eth0", "eth1")

    def __post_init__(self) -> None:
        chain, _, number = self.label.partition(":")
        chains = self.tables.chains
        if not number.isdigit() or chain not in chains or not 0 < int(number) <= len(chains[chain].rules):
            raise LookupError(f"there is no rule {self.label!r} (say, for example, 'input:1')")
        self._goal = (chain, int(number) - 1)
        self.hook = self.hook or (chain if chains[chain].policy is not None else "input")
        self._copy = tables_like(self.tables, {name: each.rules for name, each in chains.items()}, engine="plain")
        self._asks: dict[tuple[object, int], tuple[Ask, ...]] = {}
        self._questions: list[Predicate] = []
        for name, each in chains.items():
            for position, rule in enumerate(each.rules):
                self._asks[name, position], questions = ipchains_asks(rule, self.tables.switches)
                self._questions += questions
        self.goal = (comes_to_rules(self.tables.switches), *self._asks[self._goal])

    def _rules(self, name: object) -> tuple[ipchains.Rule, ...]:
        return tuple(self.tables.chains[str(name)].rules)

    def begin(self) -> Stop:
        return ((self.hook, 0),)

    def is_goal(self, stop: Stop) -> bool:
        return stop[-1] == self._goal

    def asks(self, stop: Stop) -> tuple[Ask, ...] | None:
        return self._asks.get(stop[-1])

    def missed(self, stop: Stop) -> Stop:
        *before, (name, position) = stop
        return self._settled((*before, (name, position + 1)))

    def _settled(self, stop: Stop) -> Stop:
        """Behind the end of a user chain it goes on where that was entered."""
        while len(stop) > 1 and stop[-1][1] >= len(self._rules(stop[-1][0])):
            stop = stop[:-1]
        return stop

    def matched(self, stop: Stop) -> Stop | None:
        name, position = stop[-1]
        target = self._rules(name)[position].target
        if not target:
            return self.missed(stop)
        *before, _ = stop
        if target == "RETURN":
            return self._settled(tuple(before)) if before else None
        if target in self.tables.chains and all(target != each for each, _ in stop):
            return self._settled((*before, (name, position + 1), (target, 0)))
        return None

    def candidates(self, interfaces: Sequence[str], inside: int) -> Candidates:
        return Candidates(self._questions, interfaces, None, inside)

    def reaches(self, header: Header) -> bool:
        interface = header.transmit_interface or header.receive_interface or ""
        return self.label in self._copy.traverse(self.hook, header, interface).matched
