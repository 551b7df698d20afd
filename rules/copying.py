"""A rule set once more, with other rules in it, or the same: counters at 0, and without dynamic state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rules import ipchains, ipfw
from rules.ipfw.rule import DEFAULT_RULE

__all__ = ["list_like", "tables_like"]


def list_like(rules: ipfw.RuleSet, others: Iterable[ipfw.Rule], *, engine: str = "auto") -> ipfw.RuleSet:
    """A list of other rules on the same host, with its lookup tables, nat instances, disabled sets, and rule 65535."""
    default = rules.chain.default.rule.effect.action.value
    made = ipfw.RuleSet(rules.switches, rules.world.surroundings, default=default, engine=engine)
    made.world.tables, made.world.numbered_tables = rules.world.tables, rules.world.numbered_tables
    made.world.nats = rules.world.nats
    made.chain.disabled = rules.chain.disabled
    for rule in others:
        if rule.number != DEFAULT_RULE:
            made.add(rule)
    return made


def tables_like(
    tables: ipchains.Tables, others: Mapping[str, Iterable[ipchains.Rule]], *, engine: str = "auto"
) -> ipchains.Tables:
    """Tables with the same chains and policies; ``others`` are the rules of each."""
    made = ipchains.Tables(tables.switches, names=tables.names, engine=engine)
    for name, chain in tables.chains.items():
        if chain.policy is None:
            made.run(["-N", name])
        elif chain.policy is not made.chains[name].policy:
            made.run(["-P", name, chain.policy.name])
    for name, rules in others.items():
        for rule in rules:
            made.chains.append(name, rule)
    return made
