"""What the kernel of the first ipfw does otherwise: fragments, state, chance, log lines (F-13, D-5, E-26, E-41)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rules.fields import Header
from rules.ipfw import Action, Host, RuleSet

SYN, ACK, FIN, RST = 2, 16, 1, 4
SEGMENT = Header(
    source=0x0A000002,
    destination=0x08080808,
    protocol=6,
    source_port=1000,
    destination_port=80,
    tcp_flags=SYN,
    tcp_options=b"",
    total_length=60,
    payload_length=40,
    receive_interface="em0",
)
ANSWER = Header(
    source=0x08080808,
    destination=0x0A000002,
    protocol=6,
    source_port=80,
    destination_port=1000,
    tcp_flags=SYN | ACK,
    tcp_options=b"",
    total_length=60,
    payload_length=40,
    receive_interface="em1",
)
ECHO = Header(source=0x0A000002, destination=0x08080808, protocol=1, icmp_type=8, icmp_code=0, receive_interface="em0")


def rule_set(*rules: str, dialect: str = "ipfw1", **more: object) -> RuleSet:
    made = RuleSet("freebsd-4", ipfw_dialect=dialect, **more)  # type: ignore[arg-type]
    for rule in rules:
        made.run(f"add {rule}")
    return made


def later(header: Header, offset: int, *, more: bool = False) -> Header:
    """A fragment that begins at ``offset`` eights of octets."""
    hidden = {"source_port": None, "destination_port": None, "tcp_flags": None, "tcp_options": None, "icmp_type": None}
    return replace(header, **hidden, icmp_code=None, fragment=offset | 0x2000 * more, identification=7)


# Fragments


@pytest.mark.parametrize(
    ("rule", "decided"),
    [
        ("deny tcp from any to any", None),
        ("deny tcp from any to any 80", None),
        ("deny tcp from any to any setup", None),
        ("deny tcp from any to any keep-state", None),
        ("deny ip from any to any uid root", None),
        ("deny tcp from any to any frag", None),
        ("deny ip from any to any", 100),
        ("deny tcp from 1.2.3.4 to any", 65535),
        ("deny tcp from any to any out", 65535),
        ("deny tcp from any to any via em1", 65535),
        ("deny tcp from any to any ipoptions rr", 65535),
        ("deny udp from any to any", 65535),
    ],
)
def test_a_fragment_that_hides_a_header_is_dropped_where_tcp_is_asked_about(rule: str, decided: int | None) -> None:
    """F-13: the questions about the IP header come first."""
    verdict = rule_set(f"100 {rule}", default="allow").evaluate(later(SEGMENT, 1))
    assert (verdict.rule, verdict.counted) == (decided, (decided,) if decided else ())
    assert (verdict.action is Action.ALLOW) == (decided == 65535)


def test_what_was_counted_before_stays_counted_and_the_refusal_is_logged() -> None:
    rules = rule_set("5 count ip from any to any", "10 allow tcp from any to any")
    verdict = rules.evaluate(later(SEGMENT, 1, more=True))
    assert verdict.counted == (5,)
    assert verdict.log == ("ipfw: -1 Refuse TCP 10.0.0.2 8.8.8.8 in via em0 (frag 7:40@8+)",)
    rules.set_variable("verbose", False)
    assert rules.evaluate(later(SEGMENT, 1)).log == ()


def test_refusals_are_logged_up_to_the_limit() -> None:
    rules = rule_set("10 allow tcp from any to any")
    rules.verbose_limit = 2
    lines = [rules.evaluate(later(SEGMENT, 1)).log for _ in range(3)]
    assert [len(each) for each in lines] == [1, 2, 0]
    assert lines[1][1] == "ipfw: limit 2 reached on entry -1"


def test_the_second_ipfw_of_the_same_system_just_does_not_match() -> None:
    rules = rule_set("10 deny tcp from any to any 80", dialect="ipfw2", default="allow")
    assert rules.evaluate(later(SEGMENT, 1)).rule == 65535


@pytest.mark.parametrize(
    ("rule", "header", "first", "second"),
    [
        ("icmp from any to any icmptypes 0", later(ECHO, 5), True, False),
        ("icmp from any to any icmptypes 0", ECHO, False, False),
        ("tcp from any to any established", later(SEGMENT, 5), True, False),
        ("tcp from any to any established", SEGMENT, False, False),
        ("tcp from any to any 80 established", later(SEGMENT, 5), False, False),
        ("tcp from any to any tcpflags syn", later(SEGMENT, 5), False, False),
        ("tcp from any to any", later(SEGMENT, 5), True, True),
    ],
)
def test_later_fragments_pass_types_and_established(rule: str, header: Header, first: bool, second: bool) -> None:
    found = [
        rule_set(f"10 allow {rule}", dialect=dialect).evaluate(header).action is Action.ALLOW
        for dialect in ("ipfw1", "ipfw2")
    ]
    assert found == [first, second]


def test_short_headers_are_dropped_but_not_those_of_sctp() -> None:
    for protocol, octets in ((6, 19), (17, 7), (1, 3)):
        header = Header(protocol=protocol, payload_length=octets)
        assert rule_set("10 allow ip from any to any").evaluate(header).rule is None
    assert rule_set("10 allow ip from any to any").evaluate(Header(protocol=132, payload_length=3)).rule == 10


# What never matches, and ports by mask


def test_not_me_is_nobody() -> None:
    host = Host({"em0": "10.0.0.2/24"})
    for word in ("not me", "not any"):
        rules = RuleSet("freebsd-4", host)
        rules.run(f"add 10 allow ip from {word} to any")
        assert [rules.evaluate(each).rule for each in (SEGMENT, ANSWER)] == [65535, 65535]
    rules = RuleSet("freebsd-4", host)
    rules.run("add 10 allow ip from me to any")
    assert [rules.evaluate(each).rule for each in (SEGMENT, ANSWER)] == [10, 65535]


@pytest.mark.parametrize(
    ("ports", "matching"), [("80:0xfff0", {80, 95}), ("80:0xfff0,8080", {80, 95, 8080}), (":0", {79, 80, 95, 96, 8080})]
)
def test_a_mask_of_a_port(ports: str, matching: set[int]) -> None:
    rules = rule_set("10 allow tcp from any to any 80:0")
    assert rules.evaluate(SEGMENT).rule == 10
    rules = rule_set(
        f"10 allow tcp from any to any 0{ports}" if ports.startswith(":") else f"10 allow tcp from any to any {ports}"
    )
    found = {
        port for port in (79, 80, 95, 96, 8080) if rules.evaluate(replace(SEGMENT, destination_port=port)).rule == 10
    }
    assert found == matching


@pytest.mark.parametrize(
    ("words", "interface", "matches"),
    [
        ("em0", "em0", True),
        ("em0", "em01", False),
        ("em*", "em12", True),
        ("em*", "emx0", False),
        ("em", "em0", True),
        ("em", "em1", False),
        ("any", "xl9", True),
        ("wlp3s0", "wlp3s0", True),
        ("outside", "outside", True),
    ],
)
def test_interfaces_are_a_driver_and_a_unit(words: str, interface: str, matches: bool) -> None:
    """E-18"""
    rules = rule_set(f"10 allow ip from any to any via {words}")
    assert (rules.evaluate(replace(SEGMENT, receive_interface=interface)).rule == 10) == matches


# Actions


def test_the_original_of_a_tee_is_accepted() -> None:
    verdict = rule_set("10 tee 5000 ip from any to any", "20 deny ip from any to any").evaluate(SEGMENT)
    assert (verdict.action, verdict.port, verdict.resume) == (Action.TEE, 5000, None)


def test_skipto_goes_forward_only() -> None:
    rules = rule_set("10 count ip from any to any", "20 skipto 10 ip from any to any", "30 allow ip from any to any")
    assert rules.evaluate(SEGMENT).counted == (10, 20, 30)
    assert rule_set("10 skipto 65535 ip from any to any", "20 allow ip from any to any").evaluate(SEGMENT).rule == 65535


@pytest.mark.parametrize(
    ("tag", "rule"), [(0, 10), (9, 10), (10, 20), (15, 20), (20, 65535), (65534, 65535), (65535, None)]
)
def test_re_entry(tag: int, rule: int | None) -> None:
    """X-1, X-3"""
    rules = rule_set("10 divert 1 ip from any to any", "10 divert 2 ip from any to any", "20 allow ip from any to any")
    assert rules.evaluate(SEGMENT, start_after=tag).rule == rule


def test_log_lines() -> None:
    """E-41: no codes, nothing about first fragments."""
    rules = rule_set(
        "10 count log ip from any to any", "20 unreach 5 log tcp from any to any", "30 reject log ip from any to any"
    )
    flow = "TCP 10.0.0.2:1000 8.8.8.8:80 in via em0"
    assert rules.evaluate(SEGMENT).log == (f"ipfw: 10 Count {flow}", f"ipfw: 20 Unreach {flow}")
    assert rules.evaluate(replace(SEGMENT, fragment=0x2000)).log[0] == f"ipfw: 10 Count {flow}"
    fragment = later(ECHO, 5, more=True)
    assert rules.evaluate(fragment).log[1] == "ipfw: 30 Unreach ICMP 10.0.0.2 8.8.8.8 in via em0 (frag 7:0@40)"


def test_prob_is_drawn_last_and_small_numbers_mean_no() -> None:
    drawn: list[float] = []

    def chance() -> float:
        drawn.append(0.1)
        return 0.1

    rules = rule_set("10 prob 0.5 allow udp from any to any", "20 prob 0.5 allow tcp from any to any", chance=chance)
    assert (rules.evaluate(SEGMENT).rule, len(drawn)) == (65535, 1)
    second = rule_set(
        "10 prob 0.5 allow udp from any to any", "20 prob 0.5 allow tcp from any to any", dialect="ipfw2", chance=chance
    )
    assert (second.evaluate(SEGMENT).rule, len(drawn)) == (20, 3)
    rules = rule_set("20 prob 0.5 allow tcp from any to any", chance=lambda: 0.6)
    assert rules.evaluate(SEGMENT).rule == 20


def test_t_tcp_options_are_found_in_both() -> None:
    header = replace(SEGMENT, tcp_options=bytes([11, 6, 0, 0, 0, 1]))
    for dialect in ("ipfw1", "ipfw2"):
        assert rule_set("10 allow tcp from any to any tcpoptions cc", dialect=dialect).evaluate(header).rule == 10
    later_systems = RuleSet("freebsd-10")
    later_systems.run("add 10 allow tcp from any to any tcpoptions cc")
    assert later_systems.evaluate(header).rule == 65535


# State


def test_states_are_listed_with_their_slot() -> None:
    rules = rule_set("10 allow tcp from any to any keep-state", "20 check-state")
    rules.evaluate(SEGMENT)
    rules.now = 5.0
    rules.evaluate(SEGMENT)
    static = "00010 allow tcp from any to any keep-state\n00020 check-state\n65535 deny ip from any to any\n"
    entry = "00010 1 60 (T 20s, slot 178) <-> 6, 10.0.0.2 1000<-> 8.8.8.8 80\n"
    assert rules.run("-d list") == f"{static}## Dynamic rules:\n{entry}"
    assert rules.run("-d list 20") == "00020 check-state\n## Dynamic rules:\n"
    assert rules.run("-d list 10").endswith(f"## Dynamic rules:\n{entry}")
    assert "<-> tcp, 10.0.0.2 1000<->" in rules.run("-dN list")
    rules.now = 40.0
    assert rules.run("-d list") == static


def test_every_packet_renews_an_open_connection() -> None:
    """D-5 is of the later ones, where acknowledgments have to progress."""
    for dialect, lives in (("ipfw1", "(T 300s"), ("ipfw2", "(300s)")):
        rules = rule_set("10 allow tcp from any to any keep-state", dialect=dialect)
        rules.evaluate(SEGMENT)
        rules.evaluate(replace(ANSWER, tcp_acknowledgment=1001))
        rules.evaluate(replace(SEGMENT, tcp_flags=ACK, tcp_acknowledgment=5001))
        assert lives in rules.run("-d list 10")
        rules.now = 200.0
        rules.evaluate(replace(SEGMENT, tcp_flags=ACK, tcp_acknowledgment=5001))
        assert (lives in rules.run("-d list 10")) == (dialect == "ipfw1")
    first = rule_set("10 allow tcp from any to any keep-state")
    for header in (SEGMENT, ANSWER, replace(SEGMENT, tcp_flags=FIN | ACK)):
        first.evaluate(header)
    assert "(T 300s" in first.run("-d list")
    first.evaluate(replace(ANSWER, tcp_flags=FIN | ACK))
    assert "(T 1s" in first.run("-d list")


def test_a_reached_limit_is_not_counted_by_the_rule() -> None:
    """E-26 counts it in the second ipfw."""
    counters = []
    for dialect in ("ipfw1", "ipfw2"):
        rules = rule_set("10 allow tcp from any to any setup limit src-addr 1", dialect=dialect)
        rules.evaluate(SEGMENT)
        verdict = rules.evaluate(replace(SEGMENT, source_port=1001))
        assert (verdict.action, verdict.rule) == (Action.DENY, 10)
        assert verdict.log == ("drop session, too many entries",)
        counters.append((next(iter(rules.counters)).packets, verdict.counted))
    assert counters == [(1, ()), (2, (10,))]
    assert "00010 0 0 (T 20s, slot 2) PARENT 1 6, 10.0.0.2 0<-> 0.0.0.0 0" in rules_with_limit().run("-d list")


def rules_with_limit() -> RuleSet:
    rules = rule_set("10 allow tcp from any to any setup limit src-addr 1")
    rules.evaluate(SEGMENT)
    return rules


def test_no_more_than_a_thousand_states() -> None:
    rules = rule_set("10 allow udp from any to any keep-state")
    header = Header(protocol=17, source_port=1, destination_port=53)
    verdicts = [rules.evaluate(replace(header, source=number)) for number in range(1001)]
    assert [verdict.action for verdict in verdicts[-2:]] == [Action.ALLOW, Action.DENY]
    assert verdicts[-1].log == ("Too many dynamic rules, sorry",)


def test_a_state_made_by_the_rule_is_followed_from_the_rules_own_place() -> None:
    rules = rule_set(
        "10 check-state",
        "20 count ip from any to any",
        "30 count tcp from any to any keep-state",
        "40 deny ip from any to any",
    )
    assert rules.evaluate(SEGMENT).counted == (20, 30, 40)
    assert rules.evaluate(ANSWER).counted == (30, 40)


def test_no_keepalives_are_sent() -> None:
    rules = rule_set("10 allow tcp from any to any keep-state")
    for header in (SEGMENT, ANSWER):
        rules.evaluate(header)
    rules.now = 290.0
    assert rules.keepalives() == []
