"""A rule of either dialect, made ready to be asked: from its words, or as the value that it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rules import ipchains, ipfw
from rules.errors import CommandError
from rules.fields import Fields
from rules.ipchains.engine import checked
from rules.ipchains.questions import questions
from rules.ipfw.questions import AddressInTable, Comment, OwnedBy
from rules.ipfw.step import Entry, Step
from rules.ipfw.world import World
from rules.predicates import Predicate
from rules.strategies.domain import Ask

__all__ = ["AnyRule", "AnyRules", "Asked", "asked", "comes_to_rules", "every_rule", "ipchains_asks", "ipfw_asks"]

AnyRule = str | ipfw.Rule | ipchains.Rule
AnyRules = ipfw.RuleSet | ipchains.Tables


@dataclass(frozen=True, slots=True)
class Asked:
    """What a rule asks."""

    words: str
    asks: tuple[Ask, ...]
    questions: tuple[Predicate, ...]
    world: World | None
    """The host it stands on, for ipfw."""
    interfaces: Sequence[str]
    """What interfaces are called there, unless somebody says so."""
    before: tuple[Ask, ...] = ()
    """What is asked of every packet before any rule."""


def every_rule(rules: AnyRules) -> list[AnyRule]:
    """The rules of a set, those that somebody put there: no policies, no rule 65535."""
    if isinstance(rules, ipchains.Tables):
        return [rule for chain in rules.chains.values() for rule in chain.rules]
    return [rule for rule in rules if rule.number != ipfw.rule.DEFAULT_RULE]


def asked(rule: AnyRule, rules: AnyRules | None, profile: str | None) -> Asked:
    """What a rule asks on the host of ``rules``, or else in a kernel of that profile without addresses and tables.

    :raises rules.CommandError: for words that are no rule, as the tool does.
    """
    if isinstance(rule, ipchains.Rule) or (isinstance(rule, str) and rule.lstrip().startswith("-")):
        return _ipchains(rule, rules if isinstance(rules, ipchains.Tables) else ipchains.Tables(profile or "linux-2.2"))
    return _ipfw(rule, rules if isinstance(rules, ipfw.RuleSet) else ipfw.RuleSet(profile or "freebsd-13"))


def _ipchains(rule: str | ipchains.Rule, tables: ipchains.Tables) -> Asked:
    if isinstance(rule, str):
        words = rule.split()
        command = words if words[:1] == ["-A"] else ["-A", "input", *words]
        scratch = ipchains.Tables(tables.switches, names=tables.names)
        for name, chain in tables.chains.items():
            if chain.policy is None:
                scratch.run(["-N", name])
        scratch.run(command)
        rule = scratch.chains[command[1]].rules[-1]
    asks, found = ipchains_asks(rule, tables.switches)
    return Asked(str(rule), asks, found, None, ("eth0", "eth1"), (comes_to_rules(tables.switches),))


def comes_to_rules(switches: ipchains.Switches) -> Ask:
    """Whether ipchains tries rules on a packet at all: some fragments are refused before (linux.md F27, F28)."""
    reads = frozenset({"protocol", "fragment", "fragment_offset", "total_length", "header_length"})
    return Ask(lambda fields: checked(fields, "", switches) is None, reads)


def ipchains_asks(rule: ipchains.Rule, switches: ipchains.Switches) -> tuple[tuple[Ask, ...], tuple[Predicate, ...]]:
    """The questions of a rule of ipchains, asked of a packet as the matcher sees it (linux.md F20-F23)."""
    found = questions(rule, syn_test_spares_others=switches.syn_test_spares_others)

    def seen(question: Predicate) -> Ask:
        def test(fields: Fields) -> bool:
            return question.test(ipchains.as_matched(fields, switches))

        return Ask(test, question.reads)

    return tuple(map(seen, found)), found


def _ipfw(rule: str | ipfw.Rule, rules: ipfw.RuleSet) -> Asked:
    if isinstance(rule, str):
        scratch = ipfw.RuleSet(rules.switches, rules.world.surroundings)
        scratch.world.tables = rules.world.tables
        scratch.world.nats = rules.world.nats
        words = rule.split()
        words = words[1:] if words[:1] == ["ipfw"] else words
        words = words if words[:1] == ["add"] else ["add", *words]
        scratch.run(words)
        [rule, *others] = [each for each in scratch if each.number != ipfw.rule.DEFAULT_RULE]
        if others:
            raise CommandError(f"{' '.join(words)!r} makes {1 + len(others)} rules\n", 64)
    asks = ipfw_asks(rule, rules)
    found = tuple(element.question for element in rule.elements)
    return Asked(str(rule), asks, found, rules.world, ("em0", "em1"))


def ipfw_asks(rule: ipfw.Rule, rules: ipfw.RuleSet) -> tuple[Ask, ...]:
    """The questions of a rule of ipfw, alternatives joined; chance and dynamic state are none."""
    step = Step(Entry(rule, 0), rules.world, rules.switches)
    return tuple(Ask(one.test, _reads(question for question, _ in one.alternatives)) for one in step.asks)


def _reads(questions: Iterable[Predicate]) -> frozenset[str]:
    """What they read; whose a packet is, which is no header field, included."""
    found: set[str] = set()
    for question in questions:
        if isinstance(question, Comment):
            continue
        found |= question.reads
        if isinstance(question, OwnedBy) or (isinstance(question, AddressInTable) and question.key in ("uid", "jail")):
            found.add("owner")
    return frozenset(found)
