"""Strategies keep what they promise, asked of the engines; and examples are nice ones."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from ipaddress import IPv4Address

import pytest
from hypothesis import HealthCheck, Phase, assume, find, given, settings
from hypothesis import strategies as st
from hypothesis.vendor.pretty import pretty

from rules import ipchains, ipfw
from rules.analysis.findings import Kind, findings
from rules.analysis.ipchains import build as analysis_of_ipchains
from rules.analysis.ipfw import build as analysis_of_ipfw
from rules.analysis.program import Program
from rules.analysis.space import NotAnalysedError
from rules.fields import OFFSET_MASK, Header
from rules.ipfw.step import Entry, Step
from rules.strategies import (
    NoPacketError,
    headers,
    ipchains_lists,
    ipchains_rules,
    ipfw_actions,
    ipfw_lists,
    ipfw_questions,
    ipfw_rules,
    matching,
    missing,
    networks,
    reaching,
)

HOST = ipfw.Host({"em0": "10.0.0.1/24", "em1": "192.168.1.1/24"}, [("10.0.0.0/24", "em0"), ("0.0.0.0/0", "em1")])
TABLES = ("table 1 create", "table 1 add 10.0.0.0/24 7", "table 2 create type number", "table 2 add 80 5")
NEVER = ("layer2", "ipsec", "sockarg", "ip6", "ipversion 6", "flow 'table(3)'")
ALWAYS = ("fib 0", "ip4", "ipversion 4")
PROFILES = ("freebsd-4", "freebsd-10", "freebsd-13", "freebsd-14", "dragonfly")


def any_of(
    strategy: st.SearchStrategy[Header], which: Callable[[Header], bool] = lambda header: True, most: int = 20
) -> Header:
    """One that is drawn early on."""
    found: list[Header] = []
    examples = settings(max_examples=most, phases=[Phase.generate], database=None)
    examples(given(strategy)(lambda header: found.append(header) if which(header) else None))()
    return found[0]


def rule_set(*commands: str, profile: str = "freebsd-13") -> ipfw.RuleSet:
    rules = ipfw.RuleSet(profile, HOST)
    if rules.switches.typed_tables:
        commands = (*TABLES, *commands)
    for command in commands:
        rules.run(command)
    return rules


def answers(rule: ipfw.Rule, rules: ipfw.RuleSet, header: Header) -> list[bool]:
    return [bool(ask.test(header)) for ask in Step(Entry(rule, 0), rules.world, rules.switches).asks]


@settings(max_examples=30)
@given(st.data(), st.sampled_from(PROFILES))
def test_ipfw_matches_what_is_drawn_from_a_rule_and_misses_what_is_not(data: st.DataObject, profile: str) -> None:
    actions = {"allow": 1, "deny": 1, "divert": 1}
    rules = rule_set(profile=profile)
    command = data.draw(ipfw_rules(profile, actions=actions))
    rules.run(command)
    rule = next(iter(rules))
    try:
        header = data.draw(matching(rule, rules=rules))
    except NoPacketError:
        assume(False)
    assert all(answers(rule, rules, header))
    verdict = rules.evaluate(header)
    assert verdict.rule == rule.number
    try:
        other = data.draw(missing(rule, rules=rules))
    except NoPacketError:
        return
    assert answers(rule, rules, other).count(False) == 1
    assert rules.evaluate(other).rule != rule.number


@pytest.mark.parametrize("profile", ["freebsd-4", "freebsd-14"])
def test_every_question_of_every_kernel_has_packets_on_both_sides(profile: str) -> None:
    """Those that no packet answers yes here, or none no, are the ones that say so."""
    rules = rule_set(profile=profile)
    for word, ways in ipfw_questions(profile).items():
        for words in ways:
            protocol = next(
                each
                for each in ("ip", "tcp", "udp", "icmp")
                if not rules.execute(f"add 100 allow {each} from any to any {words}").status
            )
            rule = next(iter(rules))
            rules.run("delete 100")
            for strategy in (matching, missing):
                if strategy is matching and words in NEVER:
                    continue
                if strategy is missing and words in ALWAYS:
                    continue
                if word == "lookup" and not rules.switches.typed_tables:
                    continue
                if strategy is missing and not rule.elements:
                    continue  # 'recv any' asks nothing
                header = any_of(strategy(rule, rules=rules), most=2)
                assert answers(rule, rules, header).count(False) == (strategy is missing), (protocol, words)


@settings(max_examples=60)
@given(st.data(), ipchains_rules(user_chains=()))
def test_ipchains_matches_what_is_drawn_from_a_rule(data: st.DataObject, rule: ipchains.Rule) -> None:
    tables = ipchains.Tables()
    tables.chains.append("input", rule)
    for strategy, hits in ((matching, ("input:1",)), (missing, ())):
        try:
            header = data.draw(strategy(rule))
        except NoPacketError:
            continue
        verdict = tables.traverse("input", header, header.transmit_interface or header.receive_interface or "")
        assert verdict.decision is not ipchains.Decision.CHECK
        assert tuple(verdict.matched) == hits


@settings(max_examples=60)
@given(st.data(), ipfw_lists(least=1, rules=ipfw_rules(most_questions=1)))
def test_ipfw_reaches_the_rule(data: st.DataObject, commands: list[str]) -> None:
    rules = rule_set(*commands)
    numbers = sorted({rule.number for rule in rules})
    number = data.draw(st.sampled_from(numbers))
    try:
        header = data.draw(reaching(rules, number))
    except NoPacketError:
        assume(False)
    before = [counter.packets for counter in rules.counters if counter.number == number]
    assert number in rules.evaluate(header).counted
    assert [counter.packets for counter in rules.counters if counter.number == number] != before


@settings(max_examples=8, suppress_health_check=[HealthCheck.filter_too_much])  # many drawn rules cannot be reached
@given(st.data(), ipchains_lists(most=3, effects=False))
def test_ipchains_reaches_the_rule(data: st.DataObject, commands: list[str]) -> None:
    tables = ipchains.Tables()
    for command in commands:
        tables.run(command)
    labels = [entry.label for name in ("input", "u0") for entry in tables.chains[name].entries]
    assume(labels)
    label = data.draw(st.sampled_from(labels))
    try:
        header = data.draw(reaching(tables, label))
    except NoPacketError:
        assume(False)
    interface = header.transmit_interface or header.receive_interface or ""
    assert label in tables.traverse("input", header, interface).matched


def test_a_way_is_found_past_every_rule_before() -> None:
    rules = rule_set(
        "add 100 skipto 300 tcp from 10.0.0.0/8 to any",
        "add 200 deny tcp from any to any",
        "add 300 deny ip from any to any not 25",
        "add 400 deny ip from 10.0.0.0/9 to any",
        "add 500 divert 8668 ip from any to any via em1",
    )
    header = any_of(reaching(rules, 500), lambda header: header.protocol == 6)
    assert (header.source >> 24, header.destination_port) == (10, 25)
    assert rules.evaluate(header).counted == (100, 500)


def test_a_long_list_is_no_trouble() -> None:
    ports = (f"add {number} deny udp from any to any {number}" for number in range(1, 301))
    rules = rule_set(*ports, "add 400 allow in")
    assert rules.evaluate(any_of(reaching(rules, 400), lambda header: header.protocol == 17)).rule == 400


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(NoPacketError, match="no packet matches"):
        matching("deny tcp from any to any tcpflags syn,!syn")
    with pytest.raises(NoPacketError, match="no packet matches"):
        matching("deny ip from me to any")
    with pytest.raises(NoPacketError, match="just misses"):
        missing("deny ip from any to any")
    with pytest.raises(NoPacketError, match="rule 200"):
        reaching(rule_set("add 100 deny ip from any to any", "add 200 allow in"), 200)
    with pytest.raises(LookupError, match="no rule 300"):
        reaching(rule_set(), 300)
    with pytest.raises(LookupError, match="no rule 'input:1'"):
        reaching(ipchains.Tables(), "input:1")
    with pytest.raises(ipfw.CommandError):
        matching("deny tcp form any to any")
    with pytest.raises(ValueError, match="no action reass there"):
        ipfw_rules("freebsd-4", actions={"reass": 1})


def test_examples_shrink_to_round_values() -> None:
    quick = settings(max_examples=20, database=None)
    header = find(matching("deny tcp from any to any 25"), lambda header: True, settings=quick)
    assert (header.source, header.destination, header.destination_port) == (0xC0000201, 0xC6336401, 25)
    assert find(ipfw_lists(least=1, most=1), lambda commands: True, settings=quick) == [
        "add 100 allow ip from any to any"
    ]
    assert find(networks(), lambda network: True, settings=quick) == "192.0.2.0/24"


def test_shares_steer() -> None:
    only = ipfw_rules(actions={"divert": 1}, questions={"frag": 1}, negated=0, alternatives=0)
    seen: list[str] = []
    settings(max_examples=50)(given(only)(lambda command: seen.append(command)))()
    assert all("divert" in each for each in seen)
    assert any(each.endswith("frag") for each in seen)
    assert not any("via" in each or "established" in each for each in seen)


@pytest.mark.parametrize("profile", PROFILES)
def test_kernels_get_their_own_words(profile: str) -> None:
    actions = ipfw_actions(profile)
    assert ("reass" in actions) is (profile not in ("freebsd-4", "dragonfly"))
    assert {"allow", "deny", "divert", "tee"} <= set(actions)

    @settings(max_examples=60)
    @given(ipfw_lists(profile, rules=ipfw_rules(profile, actions=dict.fromkeys(actions, 1), states=0.2, logged=0.1)))
    def taken(commands: list[str]) -> None:
        rules = rule_set(profile=profile)
        for each in commands:
            rules.run(each)

    taken()


@given(headers())
def test_headers_hold_together(header: Header) -> None:
    later = bool(header.fragment & OFFSET_MASK)
    assert header.total_length == header.header_length + header.payload_length
    assert (header.source_port is not None) == (header.protocol in (6, 17) and not later)
    assert (header.icmp_type is not None) == (header.protocol == 1 and not later)
    assert (header.tcp_options is not None) == (header.protocol == 6 and not later)
    if header.more_fragments:
        assert header.payload_length % 8 == 0


@pytest.mark.parametrize(
    ("words", "port"),
    [
        ("-p tcp -d 0/0 7777 -j DENY", 7777),
        ("-p udp -d 10.0.0.0/8 53 -i eth1 -j DIVERT 1234", 53),
        ("deny tcp from any to any 7777", 7777),
        ("deny udp from any to 10.0.0.0/8 53 in recv em1", 53),
    ],
)
def test_rules_of_every_day_have_packets(words: str, port: int) -> None:
    assert any_of(matching(words)).destination_port == port


def never_matches(program: Program) -> bool:
    return any(finding.kind is Kind.NEVER_MATCHES for finding in findings(program).found)


@settings(max_examples=150)
@given(ipchains_rules(user_chains=(), targets={"DENY": 1}))
def test_no_packet_of_ipchains_is_overlooked(rule: ipchains.Rule) -> None:
    """Where nothing is found, the exact analysis has nothing either."""
    try:
        matching(rule)
    except NoPacketError:
        tables = ipchains.Tables()
        tables.chains.append("input", rule)
        try:
            program = analysis_of_ipchains(tables)
        except NotAnalysedError:
            assume(False)  # a mask with many holes
        assert never_matches(program), str(rule)


@settings(max_examples=150)
@given(ipfw_rules(actions={"deny": 1}, chance=0, most_questions=2))
def test_no_packet_of_ipfw_is_overlooked(command: str) -> None:
    rules = rule_set(command)
    try:
        matching(next(iter(rules)), rules=rules)
    except NoPacketError:
        program = analysis_of_ipfw(rules, interfaces=["em0", "em1"], knows_host=True)
        certain = all(node.certain for node in program.nodes)
        assert never_matches(program) or not certain, command


def test_a_pass_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="no such pass: 'inn'"):
        headers(passes=["inn"])


@given(headers())
def test_a_header_prints_as_what_makes_it(header: Header) -> None:
    assert eval(repr(header), {"Header": Header, "IPv4Address": IPv4Address}) == header
    assert "".join(pretty(header).split()) == "".join(repr(header).split())


def test_a_header_prints_what_is_not_usual() -> None:
    header = Header(source=0x0A000001, fragment=185, ttl=64)
    assert repr(header) == 'Header(source=int(IPv4Address("10.0.0.1")), fragment=0xb9)'


@given(headers(protocol=st.just(132), fragments=False))
def test_a_whole_packet_has_the_header_that_ipfw_wants_of_it(header: Header) -> None:
    rules = ipfw.RuleSet("freebsd-13")
    rules.run("add 100 allow ip from any to any")
    assert rules.evaluate(header).rule == 100


@pytest.mark.parametrize("module", ["rules.strategies", "simulator.testing.strategies", "simulator.testing.properties"])
def test_without_hypothesis_it_says_what_to_install(module: str) -> None:
    code = f"import sys; sys.modules['hypothesis'] = None; import {module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'divertsim[strategies]'" in done.stderr.splitlines()[-1]
