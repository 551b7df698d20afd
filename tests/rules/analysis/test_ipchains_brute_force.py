"""The same of ipchains: what lint claims of all packets is what is true of all packets of a tiny space."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any

from alike import Asked, classes, lowest, others
from hypothesis import given, note, settings
from hypothesis import strategies as st

from rules import ipchains
from rules.analysis.finding import Kind
from rules.analysis.findings import findings
from rules.analysis.ipchains import build
from rules.fields import Header
from rules.ipchains.chains import BUILT_IN

ADDRESSES = ["", "-s 10.0.0.0/31", "-s 10.0.0.1", "-s ! 10.0.0.1", "-s 192.0.2.9"]
PROTOCOLS = ["", "", "-p tcp", "-p tcp --dport 80", "-p tcp --dport ! 80", "-p udp --dport 65535", "-p icmp"]
PROTOCOLS += ["-p ! tcp", "-p tcp -y", "-p tcp ! -y", "-p icmp --icmp-type 8", "-p tcp --sport ! 0:65535", "-p 47"]
PROTOCOLS += ["-f", "! -f", "-p tcp -f", "-p icmp ! -f"]
INTERFACES = ["", "", "-i em0", "-i ! em0", "-i em+"]
TARGETS = ["-j ACCEPT", "-j ACCEPT", "-j DENY", "-j REJECT", "-j DIVERT 5000", "-j DIVERT 6000", "", "-j RETURN"]
DECIDING = ("ACCEPT", "DENY", "REJECT", "DIVERT")
PROFILES = ("linux-2.2", "linux-2.0")


@dataclass(frozen=True)
class Point:
    """A packet, where it is asked about, and whether a divert socket wrote it."""

    packet: Header
    interface: str
    diverted: bool


@dataclass(frozen=True)
class Rule:
    chain: str
    questions: tuple[str, ...]
    target: str

    @property
    def words(self) -> str:
        return " ".join([*filter(None, self.questions), self.target]).strip()


@st.composite
def lists(draw: st.DrawFn) -> tuple[str, list[Rule]]:
    """A profile, and rules in the order in which they are added; except in Linux 2.0 there are chains ``one``
    and ``two``."""
    profile = draw(st.sampled_from(PROFILES))
    has_users = profile != "linux-2.0"
    chain = st.sampled_from(["input", "input", "output", *(["input", "one", "one", "two"] if has_users else [])])
    targets = [*TARGETS, *(["-j one", "-j two", "-j one"] if has_users else [])]
    asked = st.tuples(*(st.sampled_from(each) for each in (ADDRESSES, PROTOCOLS, INTERFACES)))
    rule = st.builds(Rule, chain, asked, st.sampled_from(targets))
    return profile, draw(st.lists(rule, min_size=1, max_size=12))


def _packets() -> Iterator[Header]:
    transports: list[dict[str, Any]] = [
        {"protocol": protocol, "fragment": f}
        for protocol in (6, 17, 1, 47, 50)
        for f in (0x2000 | 5, 5, 1, 256, 512, 513, 0x2000 | 256)
    ]
    transports += [{"protocol": protocol, "fragment": f} for protocol in (47, 50) for f in (0, 0x2000)]
    for fragment, length in product((0, 0x2000), (100, 30, 24)):
        for port, flags in product((80, 65535, 7), (2, 16)):
            has = {} if length < 36 else {"source_port": 7, "destination_port": port, "tcp_flags": flags}
            transports.append({"protocol": 6, "fragment": fragment, "total_length": length, **has})
        for port in (80, 65535, 7):
            has = {} if length < 28 else {"source_port": 7, "destination_port": port}
            transports.append({"protocol": 17, "fragment": fragment, "total_length": length, **has})
        for kind in (8, 0):
            has = {} if length < 28 else {"icmp_type": kind, "icmp_code": 0}
            transports.append({"protocol": 1, "fragment": fragment, "total_length": length, **has})
    for source, transport in product((0x0A000000, 0x0A000001, 0xC0000209, 0x01020304), transports):
        yield Header(source=source, destination=1, payload_length=80, **{"total_length": 100, **transport})


def made(rules: list[Rule], profile: str, policies: tuple[str, ...]) -> ipchains.Tables:
    tables = ipchains.Tables(profile)
    users = [] if profile == "linux-2.0" else ["-N one", "-N two"]
    for command in [*users, *(f"-P {at} {to}" for at, to in zip(BUILT_IN, policies, strict=True))]:
        tables.run(command)
    for rule in rules:
        tables.run(f"-A {rule.chain} {rule.words}")
    return tables


POINTS = [Point(*each) for each in product(_packets(), ("em0", "em5", "lo"), (False, True))]


def _asked(profile: str) -> Asked[Point]:
    def matching(words: str) -> Any:
        tables = made([Rule("input", (words,), "-j ACCEPT")], profile, ("DENY",) * 3)
        return lambda point: "input:1" in tables.traverse("input", point.packet, point.interface).matched

    return Asked(POINTS, matching)


def _checks(profile: str) -> list[int]:
    """The points that no rule is asked about, by what decides."""
    tables = made([], profile, ("DENY",) * 3)
    found: dict[str, int] = {}
    for index, point in enumerate(POINTS):
        rule = tables.traverse("input", point.packet, point.interface).rule
        found[rule] = found.get(rule, 0) | 1 << index
    return list(found.values())


SPACES = {profile: _asked(profile) for profile in PROFILES}
CHECKS = {profile: _checks(profile) for profile in PROFILES}
DIVERTED = sum(1 << index for index, point in enumerate(POINTS) if point.diverted)


def search(tables: ipchains.Tables, chain: str, point: Point) -> ipchains.Verdict:
    return tables.traverse(chain, point.packet, point.interface, diverted=point.diverted)


@settings(max_examples=int(os.environ.get("DIVERTSIM_EXAMPLES", "150")), deadline=None)
@given(lists(), st.tuples(*[st.sampled_from(["ACCEPT", "DENY"])] * 3), st.randoms(use_true_random=False))
def test_what_lint_claims_is_what_brute_force_finds(
    drawn_for: tuple[str, list[Rule]], policies: tuple[str, ...], random: Random
) -> None:
    profile, drawn = drawn_for
    note("\n".join(f"-A {rule.chain} {rule.words}" for rule in drawn))
    tables = made(drawn, profile, policies)
    result = findings(build(tables))
    assert result.undecided == ()
    space = SPACES[profile]
    matching = [space.all(filter(None, rule.questions)) for rule in drawn]
    alike = classes(space.everything, [*matching, *CHECKS[profile], DIVERTED])
    ends = {(chain, group): search(tables, chain, POINTS[lowest(group)]) for chain in BUILT_IN for group in alike}
    for (chain, group), end in ends.items():
        for index in others(group, random):
            other = search(tables, chain, POINTS[index])
            assert (other.action, other.port, other.rule, other.matched) == (
                end.action,
                end.port,
                end.rule,
                end.matched,
            )
    met = {label for end in ends.values() for label in end.matched}
    told = {kind: {each.rule for each in result.found if each.kind is kind} for kind in Kind}
    numbers: dict[str, int] = {}
    labels = []
    for rule in drawn:
        numbers[rule.chain] = numbers.get(rule.chain, 0) + 1
        labels.append(f"{rule.chain}:{numbers[rule.chain]}")
    nothing = {label for label, points in zip(labels, matching, strict=True) if not points}
    assert told[Kind.NEVER_MATCHES] <= nothing
    assert told[Kind.NEVER_MATCHES] | told[Kind.SHADOWED] == set(labels) - met
    looping = {end.rule.removeprefix("loop@") for end in ends.values() if end.rule.startswith("loop@")}
    assert {rule for rule in told[Kind.LOOPING_CHAIN] if str(rule) in met} == looping
    redundant = set()
    for at, (label, rule) in enumerate(zip(labels, drawn, strict=True)):
        if label in met and rule.target.removeprefix("-j ").startswith(DECIDING):
            without = made(drawn[:at] + drawn[at + 1 :], profile, policies)
            if all(
                (other.action, other.port) == (end.action, end.port)
                for (chain, group), end in ends.items()
                for other in [search(without, chain, POINTS[lowest(group)])]
            ):
                redundant.add(label)
    assert told[Kind.REDUNDANT] == redundant
