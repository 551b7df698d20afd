"""Findings of small rule sets: cases that brute force found, and those that its lists rarely have."""

from __future__ import annotations

import pytest

from rules.analysis import ipchains, ipfw
from rules.analysis.finding import Finding, Kind
from rules.analysis.findings import findings
from rules.analysis.program import Program
from rules.analysis.survey import Survey
from rules.fields import OFFSET_MASK
from rules.ipchains import Tables
from rules.ipfw import RuleSet


def lint(*commands: str, profile: str = "freebsd-13", tag: int | None = None) -> tuple[Finding, ...]:
    rules = RuleSet(profile)
    for command in commands:
        rules.run(f"add {command}")
    return findings(ipfw.build(rules), tag=tag).found


def told(*commands: str, kind: Kind, tag: int | None = None) -> dict[object, tuple[object, ...]]:
    """The rules of which a kind is told, each with those that bring it about."""
    return {each.rule: each.by for each in lint(*commands, tag=tag) if each.kind is kind}


# Found by brute force


def test_where_calls_lead_back_only_what_is_reached_comes_back() -> None:
    """Behind a divert rule that nothing reaches, nothing comes back to reach others."""
    rules = ("100 allow ip from any to any", "200 divert 5000 ip from any to any", "300 call 900 ip from any to any")
    assert set(told(*rules, kind=Kind.SHADOWED)) == {200, 300}


def test_what_comes_back_behind_a_later_rule_may_come_to_an_earlier_one() -> None:
    """300 is reached by what comes back behind 600 alone, by way of the call; 400 by what comes back behind 300."""
    rules = (
        "100 skipto 500 ip from any to any",
        "300 divert 5000 ip from any to any",
        "400 deny ip from any to any",
        "500 count ip from any to any",
        "600 divert 5000 ip from any to any",
        "700 call 300 ip from any to any",
    )
    assert told(*rules, kind=Kind.SHADOWED) == {}


def test_a_rule_is_redundant_whatever_tee_copied_before_it() -> None:
    rules = [
        "400 call 900 icmp from any to any",
        "500 tee 5000 ip from any to any",
        "600 allow ip from any to any",
        "700 allow tcp from any to any",
        "800 allow ip from any to any",
    ]
    assert told(*rules, kind=Kind.REDUNDANT) == {600: (700, 800)}
    # But not if without it another copy would be made.
    rules[3] = "700 tee 5000 tcp from any to any"
    assert told(*rules, kind=Kind.REDUNDANT) == {}


def test_what_is_denied_on_its_way_in_does_not_go_out() -> None:
    rules = ["100 divert 5000 ip from any to any", "200 deny ip from any to any in", "300 allow ip from any to any"]
    assert told(*rules, kind=Kind.DIVERTED_TWICE) == {}
    rules[1] = "200 deny udp from any to any in"
    assert told(*rules, kind=Kind.DIVERTED_TWICE) == {100: (100,)}


def test_between_both_passes_the_ttl_falls_by_one() -> None:
    rules = ["100 divert 5000 ip from any to any ipttl 64", "200 allow ip from any to any"]
    assert told(*rules, kind=Kind.DIVERTED_TWICE) == {}
    rules[0] = "100 divert 5000 ip from any to any ipttl 63,64"
    (found,) = (each for each in lint(*rules) if each.kind is Kind.DIVERTED_TWICE)
    assert found.witness is not None
    assert found.witness.header.ttl == 64
    rules = ["100 divert 5000 ip from any to any in", "200 divert 5000 ip from any to any ipttl 63 out"]
    assert told(*rules, "300 allow ip from any to any", kind=Kind.DIVERTED_TWICE) == {100: (200,)}
    # What comes in with a TTL of one is not forwarded.
    rules = ["100 divert 5000 ip from any to any ipttl 0,1", "200 allow ip from any to any"]
    assert told(*rules, kind=Kind.DIVERTED_TWICE) == {}


def test_the_one_ttl_that_becomes_another_is_found() -> None:
    rules = ("100 divert 5000 ip from any to any in", "200 divert 5000 ip from any to any ipttl 3 out")
    (found,) = (each for each in lint(*rules, "300 allow ip from any to any") if each.kind is Kind.DIVERTED_TWICE)
    assert found.witness is not None
    assert found.witness.header.ttl == 4


def test_what_ends_inside_its_tcp_header_comes_to_no_rule() -> None:
    """bsd.md F-13."""
    assert set(told("100 deny tcp from any to any setup iplen 38", kind=Kind.NEVER_MATCHES)) == {100}
    assert told("100 deny tcp from any to any setup iplen 40", kind=Kind.NEVER_MATCHES) == {}


def test_what_a_pipe_lets_go_is_not_what_a_socket_wrote() -> None:
    """bsd.md X-9."""
    rules = _rules(
        "100 pipe 1 ip from any to any", "200 deny ip from any to any diverted", "300 deny tcp from any to any"
    )
    assert {each.rule for each in findings(ipfw.build(rules)).found if each.kind is Kind.SHADOWED} == {200, 300}
    rules.variables["one_pass"] = 0
    assert {each.rule for each in findings(ipfw.build(rules)).found if each.kind is Kind.SHADOWED} == {200}


def test_where_a_rule_drops_fragments_on_the_way_it_is_not_redundant() -> None:
    """The first ipfw drops TCP fragments with offset 1 that come to a question about TCP (bsd.md F-13)."""
    rules = ("add 100 allow tcp from any to any", "add 200 allow ip from any to any")
    kinds = {}
    for profile in ("freebsd-4", "freebsd-10"):
        made = RuleSet(profile)
        for command in rules:
            made.run(command)
        kinds[profile] = [each.kind for each in findings(ipfw.build(made)).found]
    assert kinds == {"freebsd-4": [], "freebsd-10": [Kind.REDUNDANT]}


def test_fragments_come_back_as_something_else() -> None:
    """They are handed over as a whole datagram (bsd.md F-3), which is no fragment."""
    rules = ("100 divert 5000 ip from any to any frag", "200 allow ip from any to any")
    assert told(*rules, kind=Kind.DIVERTED_TWICE) == {}
    assert told(*rules, kind=Kind.DIVERT_LOOP, tag=0) == {}
    program = ipfw.build(_rules(*rules))
    alone = findings(program, collecting={}, tag=0).found
    assert {each.kind for each in alone} == {Kind.DIVERTED_TWICE, Kind.DIVERT_LOOP}


def _rules(*commands: str) -> RuleSet:
    rules = RuleSet("freebsd-13")
    for command in commands:
        rules.run(f"add {command}")
    return rules


def test_a_packet_that_another_program_had_in_between() -> None:
    rules = (
        "100 divert 5000 ip from any to any in",
        "200 divert 6000 ip from any to any in",
        "300 divert 5000 ip from any to any in",
        "400 allow ip from any to any",
    )
    assert told(*rules, kind=Kind.DIVERTED_TWICE) == {100: (300,)}


def test_programs_between_which_calls_send_a_packet_to_and_fro() -> None:
    rules = (
        "50 skipto 300 ip from any to any",
        "100 divert 5000 ip from any to any in",
        "200 allow ip from any to any",
        "300 divert 6000 ip from any to any in",
        "400 call 100 ip from any to any",
    )
    assert told(*rules, kind=Kind.DIVERTED_TWICE) == {}
    assert told(*rules[:2], *rules[3:], kind=Kind.DIVERTED_TWICE) == {300: (300,)}


def test_the_original_of_tee_is_no_longer_one_that_a_socket_wrote() -> None:
    """bsd.md X-9: so 300 does not save it from the loop."""
    rules = (
        "100 allow tcp from any to any",
        "200 tee 5000 ip from any to any",
        "300 allow ip from any to any diverted",
        "400 divert 5000 ip from any to any in",
    )
    assert told(*rules, kind=Kind.DIVERT_LOOP, tag=0) == {400: (400,)}
    assert told(rules[0], *rules[2:], kind=Kind.DIVERT_LOOP, tag=0) == {}


# Certainty: never a false claim

PLAIN = {
    Kind.SHADOWED: ["allow ip from any to any", "deny tcp from any to any"],
    Kind.REDUNDANT: ["allow tcp from any to any", "allow ip from any to any"],
    Kind.UNREACHED_DIVERT: ["allow ip from any to any", "divert 5000 tcp from any to any"],
    Kind.DIVERTED_TWICE: [
        "divert 5000 ip from any to any in",
        "divert 5000 tcp from any to any in",
        "allow ip from any to any",
    ],
    Kind.DIVERT_LOOP: ["count ip from any to any", "divert 5000 ip from any to any in", "allow ip from any to any"],
    Kind.FRAGMENTS_LOST: ["divert 5000 udp from any to any 53", "allow ip from any to any"],
    Kind.FRAGMENTS_SLIP: ["deny udp from any to any 69", "allow ip from any to any"],
}
UNSURE = [
    (Kind.SHADOWED, 0),
    (Kind.REDUNDANT, 0),
    (Kind.REDUNDANT, 1),
    (Kind.UNREACHED_DIVERT, 0),
    (Kind.DIVERTED_TWICE, 0),
    (Kind.DIVERTED_TWICE, 1),
    (Kind.DIVERT_LOOP, 1),
    (Kind.FRAGMENTS_LOST, 0),
    (Kind.FRAGMENTS_LOST, 1),
    (Kind.FRAGMENTS_SLIP, 0),
    (Kind.FRAGMENTS_SLIP, 1),
]


def _kinds(commands: list[str]) -> set[Kind]:
    numbered = (f"{number}00 {command}" for number, command in enumerate(commands, start=1))
    return {each.kind for each in lint(*numbered, tag=100)}


@pytest.mark.parametrize("kind", PLAIN)
def test_what_is_sure_is_claimed(kind: Kind) -> None:
    assert kind in _kinds(PLAIN[kind])


@pytest.mark.parametrize(("kind", "at"), UNSURE)
@pytest.mark.parametrize("decider", ["prob 0.5 {}", "{} uid root", "{} keep-state"])
def test_what_something_else_decides_is_not_claimed(kind: Kind, at: int, decider: str) -> None:
    if "keep-state" in decider and kind in (Kind.SHADOWED, Kind.UNREACHED_DIVERT):
        return  # by its state or by its questions, the rule takes everything all the same
    commands = list(PLAIN[kind])
    commands[at] = decider.format(commands[at])
    assert kind not in _kinds(commands)


@pytest.mark.parametrize("kind", [Kind.DIVERTED_TWICE, Kind.DIVERT_LOOP, Kind.FRAGMENTS_LOST, Kind.FRAGMENTS_SLIP])
def test_nor_what_comes_to_its_rules_only_perhaps(kind: Kind) -> None:
    assert kind not in _kinds(["prob 0.5 allow ip from any to any", *PLAIN[kind]])


def test_nor_that_a_forwarded_packet_is_let_through_which_may_be_dropped() -> None:
    rules = ["divert 5000 ip from any to any", "deny ip from any to any in", "allow ip from any to any"]
    assert Kind.DIVERTED_TWICE in _kinds([rules[0], "count ip from any to any in", rules[2]])
    assert Kind.DIVERTED_TWICE not in _kinds([rules[0], f"prob 0.5 {rules[1]}", rules[2]])


def test_a_rule_that_only_perhaps_takes_packets_is_not_named_as_the_one_that_takes_them() -> None:
    rules = ("100 prob 0.5 deny ip from any to any", "200 allow ip from any to any", "300 deny tcp from any to any")
    assert told(*rules, kind=Kind.SHADOWED) == {300: (200,)}


def test_nor_one_that_what_comes_back_does_not_pass() -> None:
    rules = ("100 allow tcp from any to any", "200 divert 5000 udp from any to any in", "300 deny ip from any to any")
    assert told(*rules, "400 deny tcp from any to any", kind=Kind.SHADOWED) == {400: (300,)}


def test_fragments_that_reass_collects_behind_a_divert_rule_are_not_lost() -> None:
    """The kernel has one queue for both."""
    rules = ["100 divert 5000 udp from any to any 53", "200 reass ip from any to any", "300 allow ip from any to any"]
    assert told(*rules, kind=Kind.FRAGMENTS_LOST) == {}
    rules[1] = "200 reass tcp from any to any"
    assert set(told(*rules, kind=Kind.FRAGMENTS_LOST)) == {100}


# ipchains


def chains(*commands: str, profile: str = "linux-2.2") -> Program:
    tables = Tables(profile)
    for command in commands:
        tables.run(command)
    return ipchains.build(tables)


ALL_ICMP = ("-A input -p icmp --sport 0:255 -j ACCEPT", "-A input -p icmp -f -j ACCEPT")
"""Every type, and every fragment; but not the fragments that are taken for none."""


def test_an_offset_that_is_a_multiple_of_256_is_seen_as_none() -> None:
    """linux.md F23: to the matcher such a fragment is none, and its type 65535."""
    program = chains(*ALL_ICMP, "-A input -p icmp -j DENY")
    assert not [each for each in findings(program).found if each.kind is Kind.SHADOWED]
    (number,) = (index for index, node in enumerate(program.nodes) if node.label == "input:3")
    offsets = {
        atom.low & OFFSET_MASK
        for arrival in Survey(program).first_arrivals(number)
        for atom in program.space.values(arrival.region)["fragment"]
    }
    assert offsets == {256}


def test_where_no_offset_is_taken_for_another_nothing_is_left() -> None:
    found = findings(chains(*ALL_ICMP, "-A input -p icmp -j DENY", profile="linux-2.0")).found
    assert [(each.kind, each.rule) for each in found if each.kind is Kind.SHADOWED] == [(Kind.SHADOWED, "input:3")]
