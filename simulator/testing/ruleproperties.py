"""Properties of rule sets alone, each a test in one line; packets are drawn from the rules themselves.

What they try, ``divertsim diff`` proves (docs/lint.md), where nothing but header fields decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rules import ipchains, ipfw
from rules.analysis.difference import plain_outcome
from rules.analysis.finding import outcome_words
from rules.copying import list_like, tables_like
from rules.fields import Header
from rules.ipfw.rule import Action
from rules.strategies import NoPacketError, headers, matching, missing
from rules.strategies.asking import AnyRules, every_rule
from simulator.spoken import speak
from simulator.testing.datagrams import octets_of

__all__ = ["agree", "order_does_not_matter"]

Test = Callable[[], None]
"""A test for pytest; ``hypothesis.settings`` can be put on it."""


def agree(one: AnyRules, other: AnyRules) -> Test:
    """``test_agree = agree(old, new)``: two rule sets do the same with every packet, in first passes.

    The input chain of ipchains is compared with ipfw's ``in``, the output chain with ``out``; the forward chain, which
    ipfw does not have, only with another one.

    :raises ValueError: for rules with dynamic state or chance, whose answer is not one of the packet alone.
    """
    for rules in (one, other):
        _check_stateless(rules)
    hooks = _HOOKS if isinstance(one, ipchains.Tables) and isinstance(other, ipchains.Tables) else _HOOKS[:2]

    @given(_packets(one, other))
    def test_agree(header: Header) -> None:
        for hook in hooks:
            if (hook == "in") is (header.transmit_interface is None):
                _compare(hook, header, one, other)

    return test_agree


def order_does_not_matter(rules: AnyRules, *labels: int | str) -> Test:
    """``test_order = order_does_not_matter(rules, 100, 200, 300)``: in whatever order these rules stand in these
    places, the same becomes of every packet.  Rules of ipchains are ``"input:1"``, all of one chain.

    :raises ValueError: for rules with dynamic state or chance, fewer than two labels, or rules of several chains.
    :raises LookupError: for a rule that is not there, or a number that several have.
    """
    _check_stateless(rules)
    if len(labels) < 2:
        raise ValueError(f"an order needs two rules, not {len(labels)}")
    reordered = _reordering(rules, labels)
    made: dict[tuple[int, ...], AnyRules] = {}

    @given(st.permutations(range(len(labels))), _packets(rules))
    def test_order_does_not_matter(order: list[int], header: Header) -> None:
        other = made.get(tuple(order)) or made.setdefault(tuple(order), reordered(order))
        for hook in _HOOKS if isinstance(rules, ipchains.Tables) else _HOOKS[:2]:
            if (hook == "in") is (header.transmit_interface is None):
                _compare(hook, header, rules, other, f" in the order {', '.join(str(labels[at]) for at in order)}")

    return test_order_does_not_matter


_HOOKS = ("in", "out", "forward")


def _check_stateless(rules: AnyRules) -> None:
    if isinstance(rules, ipfw.RuleSet):
        for rule in rules:
            if rule.state is not None or rule.chance is not None:
                raise ValueError(f"rule {rule.number} decides by more than the packet: {rule}")


def _packets(*sets: AnyRules) -> st.SearchStrategy[Header]:
    """Packets that match a rule of these, near misses, and any."""
    return st.one_of([headers(), *(each for rules in sets for each in _of_rules(rules))])


def _of_rules(rules: AnyRules) -> Iterator[st.SearchStrategy[Header]]:
    for rule in every_rule(rules):
        for draw in (matching, missing):
            try:
                yield draw(rule, rules=rules)
            except NoPacketError:
                continue


# Comparing


def _compare(hook: str, header: Header, one: AnyRules, other: AnyRules, how: str = "") -> None:
    """``how``: what is to be said of the other rules."""
    said = _outcome(one, hook, header), _outcome(other, hook, header)
    if said[0][0] != said[1][0]:
        (first, here), (second, there) = said
        try:
            packet = speak(octets_of(header))
        except ValueError:
            packet = repr(header)
        raise AssertionError(f"{hook}: {first} by {here}, {second} by {there}{how}: {packet}")


def _outcome(rules: AnyRules, hook: str, header: Header) -> tuple[str, str]:
    """What becomes of a packet, in words that both dialects share, and the rule that decides."""
    if isinstance(rules, ipchains.Tables):
        chain = {"in": "input", "out": "output", "forward": "forward"}[hook]
        answer = rules.traverse(chain, header, header.transmit_interface or header.receive_interface or "")
        said: tuple[object, object] = (answer.action.name, answer.port)
        rule = answer.rule
    else:
        verdict = rules.evaluate(header)
        rest = verdict.port or verdict.number or verdict.next_hop or None
        said = verdict.action.value, verdict.code if verdict.action is Action.UNREACH else rest
        rule = str(verdict.rule)
    return outcome_words(plain_outcome(tuple(map(str, filter(lambda word: word is not None, said))))), rule


# Changing the order


def _reordering(rules: AnyRules, labels: Sequence[int | str]) -> Callable[[Sequence[int]], AnyRules]:
    if isinstance(rules, ipchains.Tables):
        places = [_place(rules, str(label)) for label in labels]
        [name, *more] = dict.fromkeys(name for name, _ in places)
        if more:
            raise ValueError(f"rules of one chain have an order, not of {name} and {more[0]}")
        return lambda order: _reordered_tables(rules, name, [place for _, place in places], order)
    numbers = [int(label) for label in labels]
    for number in numbers:
        found = sum(rule.number == number for rule in rules)
        if found != 1:
            raise LookupError(f"there are {found} rules {number}, where one is wanted")
    return lambda order: _reordered_list(rules, numbers, order)


def _place(tables: ipchains.Tables, label: str) -> tuple[str, int]:
    name, _, number = label.partition(":")
    chain = tables.chains.get(name)
    if chain is None or not number.isdigit() or not 0 < int(number) <= len(chain.rules):
        raise LookupError(f"there is no rule {label!r} (say, for example, 'input:1')")
    return name, int(number) - 1


def _reordered_list(rules: ipfw.RuleSet, numbers: list[int], order: Sequence[int]) -> ipfw.RuleSet:
    by_number = {rule.number: rule for rule in rules}
    there = {number: by_number[numbers[order[at]]] for at, number in enumerate(numbers)}
    return list_like(rules, (replace(there.get(rule.number, rule), number=rule.number) for rule in rules))


def _reordered_tables(tables: ipchains.Tables, name: str, places: list[int], order: Sequence[int]) -> ipchains.Tables:
    rules = {each: list(chain.rules) for each, chain in tables.chains.items()}
    for at, place in enumerate(places):
        rules[name][place] = tables.chains[name].rules[places[order[at]]]
    return tables_like(tables, rules)
