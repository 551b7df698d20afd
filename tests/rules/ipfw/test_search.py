"""What becomes of a datagram: actions, where the search goes on, what is counted (bsd.md sections 5, 6 and 9)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rules.fields import MORE_FRAGMENTS, Header
from rules.ipfw import Action, Host, Route, RuleSet, Verdict

HOST = Host({"em0": "10.0.0.1/24", "em1": "192.168.1.1/24"}, [("10.0.0.0/24", "em0"), ("0.0.0.0/0", "em1")])


def rule_set(*commands: str, profile: str = "freebsd-10", **options: Any) -> RuleSet:
    rules = RuleSet(profile, HOST, **options)
    for command in commands:
        rules.run(f"add {command}" if command.split()[0].isdigit() else command)
    return rules


def udp(**changes: Any) -> Header:
    fields = {
        "source": 0x0A000002,
        "destination": 0x08080808,
        "protocol": 17,
        "source_port": 1000,
        "destination_port": 53,
        "total_length": 60,
        "payload_length": 40,
        "receive_interface": "em0",
    }
    return Header(**{**fields, **changes})


def tcp(flags: int = 2, **changes: Any) -> Header:
    more = {"tcp_sequence": 1, "tcp_acknowledgment": 0, "tcp_window": 1024, "tcp_options": b"", "tcp_data_length": 20}
    return udp(protocol=6, tcp_flags=flags, **{**more, **changes})


def icmp(kind: int = 8, **changes: Any) -> Header:
    none = {"source_port": None, "destination_port": None}
    return udp(protocol=1, icmp_type=kind, icmp_code=0, **{**none, **changes})


def fate(verdict: Verdict) -> tuple[str, int | None, list[int]]:
    return verdict.action.value, verdict.rule, list(verdict.counted)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (("10 allow udp from any to any",), ("allow", 10, [10])),
        (("10 allow tcp from any to any",), ("deny", 65535, [65535])),
        (("10 count in", "20 deny in"), ("deny", 20, [10, 20])),
        (("10 skipto 30 in", "20 deny in", "30 allow in"), ("allow", 30, [10, 30])),
        (("10 skipto 40000 in", "20 allow in"), ("deny", 65535, [10, 65535])),
        (("50 skipto 10 in", "50 deny in", "60 allow in"), ("allow", 60, [50, 60])),
        (
            ("10 call 50 in", "20 allow in", "40 deny in", "50 count in", "60 return in"),
            ("allow", 20, [10, 50, 60, 20]),
        ),
        (("10 return in", "20 allow in"), ("allow", 20, [20])),
        (("10 divert 8668 in", "20 allow in"), ("divert", 10, [10])),
        (("10 unreach port in",), ("unreach", 10, [10])),
        (("10 reset in",), ("reset", 10, [10])),
        (("10 fwd 10.0.0.9,80 in",), ("fwd", 10, [10])),
        (("10 reass in", "20 allow in"), ("allow", 20, [10, 20])),
        (("10 set 5 deny in", "set disable 5", "20 allow in"), ("allow", 20, [20])),
        (("10 skipto 20 in", "20 set 5 deny in", "set disable 5", "30 allow in"), ("allow", 30, [10, 30])),
        (("10 prob 0.0000000001 deny in", "20 allow in"), ("allow", 20, [20])),
        (("10 prob 1 deny in",), ("deny", 10, [10])),
        (("10 setdscp ef in", "20 allow dscp ef"), ("allow", 20, [10, 20])),
        (("10 count tag 7 in", "20 allow tagged 7"), ("allow", 20, [10, 20])),
        (("10 count tag 7 in", "20 count untag 7 in", "30 allow not tagged 7"), ("allow", 30, [10, 20, 30])),
        (("table 1 add 8.0.0.0/8 20", "10 skipto tablearg dst-ip table(1)", "20 allow in"), ("allow", 20, [10, 20])),
    ],
)
def test_where_the_search_ends(rules: tuple[str, ...], expected: tuple[str, int, list[int]]) -> None:
    assert fate(rule_set(*rules).evaluate(udp())) == expected


@pytest.mark.parametrize(
    ("options", "header", "matches"),
    [
        ("ip from me to any", udp(source=0x0A000001), True),
        ("ip from me to any", udp(), False),
        ("ip from any to any in", udp(), True),
        ("ip from any to any out", udp(transmit_interface="em1"), True),
        ("ip from any to any recv em0 xmit em1", udp(transmit_interface="em1"), True),
        ("ip from any to any xmit em0", udp(), False),
        ("ip from any to any via em0", udp(transmit_interface="em1"), False),
        ("ip from any to any via em0", udp(), True),
        ("ip from any to any via e?[0-3]", udp(), True),
        ("ip from any to any via 10.0.0.1", udp(), True),
        ("ip from any to any via 192.168.1.1", udp(), False),
        ("ip from any to any not 53", icmp(), True),
        ("ip from any to any 53", udp(protocol=132), True),
        ("udp from any to any 52,54-60", udp(), False),
        ("ip from 10.0.0.0/24{1,2} to any", udp(), True),
        ("ip from 10.0.0.0/24{1,3} to any", udp(), False),
        ("ip from any to any established", tcp(2), False),
        ("ip from any to any established", tcp(0), True),
        ("ip from any to any setup", tcp(2), True),
        ("ip from any to any setup", tcp(18), False),
        ("ip from any to any tcpflags syn,!syn", tcp(2), False),
        ("ip from any to any icmptypes 8", icmp(), True),
        ("ip from any to any frag", udp(fragment=MORE_FRAGMENTS), False),
        ("ip from any to any frag", udp(fragment=100, source_port=None, destination_port=None), True),
        ("ip from any to any ipttl 60-64", udp(), True),
        ("ip from any to any iplen 60", udp(), True),
        ("ip from any to any ipprecedence 5", udp(tos=0xA4), True),
        ("ip from any to any iptos lowdelay,!throughput", udp(tos=0x10), True),
        ("ip from any to any iptos lowdelay,!throughput", udp(tos=0x18), False),
        ("ip from any to any ipoptions rr,!ts", udp(options=b"\x01\x07\x03\x04"), True),
        ("ip from any to any not ipoptions rr", udp(options=b"\x44\x00\x00\x00"), True),
        ("ip from any to any tcpoptions mss,!sack", tcp(tcp_options=b"\x02\x04\x05\xb4"), True),
        ("ip from any to any tcpdatalen 20", tcp(), True),
        ("ip from any to any verrevpath", udp(source=0x0A000009), True),
        ("ip from any to any verrevpath", udp(source=0x01010101), False),
        ("ip from any to any versrcreach", udp(source=0x01010101), False),
        ("ip from any to any antispoof", udp(source=0x0A000009, receive_interface="em1"), False),
        ("ip from any to any antispoof", udp(source=0x01010101), True),
        ("ip from any to any diverted", udp(reinjected="in"), True),
        ("ip from any to any diverted-output", udp(reinjected="in"), False),
        ("ip from any to any uid root", udp(), False),
        ("ip from any to any not layer2 ip4 not ip6 ipversion 4 fib 0", udp(), True),
        ("ip from any to any { out or not frag }", udp(), True),
        ("ip from { 1.2.3.4 or not 10.0.0.3 } to any", udp(), True),
    ],
)
def test_questions(options: str, header: Header, matches: bool) -> None:
    verdict = rule_set(f"10 allow {options}").evaluate(header)
    assert (verdict.rule == 10) is matches


def test_what_verdicts_carry() -> None:
    assert rule_set("10 divert 8668 in").evaluate(udp()).port == 8668
    assert rule_set("10 fwd 10.0.0.9,80 in").evaluate(udp()).next_hop == (0x0A000009, 80)
    assert rule_set("10 reject in").evaluate(udp()).code == 1
    marked = rule_set("10 count tag 7 in", "20 setdscp 46 in", "30 allow in").evaluate(udp(tos=1, tags=frozenset({5})))
    assert (marked.tags, marked.tos) == (frozenset({5, 7}), 46 << 2 | 1)
    plain = rule_set("10 allow in").evaluate(udp(tags=frozenset({5})))
    assert (plain.tags, plain.tos) == (frozenset({5}), None)


@pytest.mark.parametrize(
    ("action", "header", "replies"),
    [
        ("unreach port", udp(), True),
        ("unreach port", icmp(8), True),
        ("unreach port", icmp(0), False),
        ("unreach port", icmp(3), False),
        ("unreach port", udp(fragment=5), False),
        ("unreach port", udp(destination=0xE0000001), False),
        ("unreach port", udp(link_broadcast=True), False),
        ("reset", tcp(2), True),
        ("reset", tcp(4), False),
        ("reset", udp(), False),
    ],
)
def test_replies(action: str, header: Header, replies: bool) -> None:
    assert rule_set(f"10 {action} ip from any to any").evaluate(header).replies is replies


@pytest.mark.parametrize(
    ("header", "cut"),
    [
        (udp(payload_length=7), True),
        (udp(payload_length=8), False),
        (tcp(payload_length=19), True),
        (icmp(payload_length=3), True),
        (udp(protocol=132, payload_length=11), True),
        (udp(protocol=47, payload_length=0), False),
        (udp(payload_length=0, fragment=7), False),
    ],
)
def test_a_cut_transport_header_is_dropped_before_any_rule(header: Header, cut: bool) -> None:
    verdict = rule_set("10 allow ip from any to any").evaluate(header)
    assert fate(verdict) == (("deny", None, []) if cut else ("allow", 10, [10]))


def test_tcpoptions_of_a_cut_header_drop_inside_the_rule() -> None:
    rules = rule_set("10 count in", "20 allow tcpoptions mss", "30 allow in")
    assert fate(rules.evaluate(tcp(tcp_options=None))) == ("deny", None, [10])
    assert fate(rules.evaluate(tcp())) == ("allow", 30, [10, 30])


def test_a_tcp_fragment_at_octet_8_is_bogus_on_freebsd_13() -> None:
    header = tcp(fragment=1)
    assert rule_set("10 allow in").evaluate(header).rule == 10
    assert rule_set("10 allow in", profile="freebsd-13").evaluate(header).rule is None


# tee


def test_tee_goes_on_at_the_next_rule_of_the_list() -> None:
    rules = rule_set("10 count tag 3 in", "20 tee 5000 in", "20 count in", "30 allow in")
    first = rules.evaluate(udp())
    assert (*fate(first), first.port) == ("tee", 20, [10, 20], 5000)
    rest = rules.evaluate(udp(), resume=first.resume)
    assert (*fate(rest), rest.tags) == ("allow", 30, [20, 30], frozenset({3}))
    assert rest.counted_at == (2, 3)


@pytest.mark.parametrize("profile", ["freebsd-4", "dragonfly"])
def test_tee_ends_the_search_in_old_systems(profile: str) -> None:
    verdict = rule_set("20 tee 5000 ip from any to any", profile=profile).evaluate(udp())
    assert (verdict.action, verdict.resume) == (Action.TEE, None)


def test_after_a_tee_a_datagram_no_longer_counts_as_diverted() -> None:
    rules = rule_set("20 tee 5000 diverted", "30 deny diverted", "40 allow in")
    verdict = rules.evaluate(udp(reinjected="in"))
    assert rules.evaluate(udp(reinjected="in"), resume=verdict.resume).rule == 40


def test_going_on_survives_changes_of_the_list() -> None:
    rules = rule_set("20 tee 5000 in", "20 deny in", "30 allow in")
    verdict = rules.evaluate(udp())
    rules.run("delete 20")
    rules.run("add 20 deny in")
    rules.run("add 25 count in")
    assert fate(rules.evaluate(udp(), resume=verdict.resume)) == ("deny", 20, [20])


def test_reass_counts_a_fragment_twice_and_goes_on_with_the_whole() -> None:
    rules = rule_set("10 reass in", "20 allow in")
    fragment = udp(fragment=MORE_FRAGMENTS)
    verdict = rules.evaluate(fragment)
    assert fate(verdict) == ("reass", 10, [10, 10])
    assert fate(rules.evaluate(replace(fragment, fragment=0), resume=verdict.resume)) == ("allow", 20, [20])


def test_calls_nest_sixteen_deep_and_travel_with_the_packet() -> None:
    rules = rule_set("10 call 10 in", "20 allow in")
    assert fate(rules.evaluate(udp())) == ("allow", 20, [10] * 16 + [20])
    rules = rule_set("10 call 30 in", "20 deny in", "30 allow in", "40 return out")
    first = rules.evaluate(udp())
    assert first.calls == (10,)
    again = rules.evaluate(udp(transmit_interface="em1"), calls=first.calls)
    assert again.calls == ()


# Counters, logs, variables


def test_counters_and_zero() -> None:
    rules = rule_set("10 count in", "20 allow in")
    rules.evaluate(udp())
    rules.evaluate(udp())
    assert list(rules.counters) == [(10, 2, 120), (20, 2, 120), (65535, 0, 0)]
    rules.run("zero 10")
    assert rules.run("show") == (
        "00010 0   0 count ip from any to any in\n"
        "00020 2 120 allow ip from any to any in\n"
        "65535 0   0 deny ip from any to any\n"
    )


def test_log_lines_up_to_their_limit() -> None:
    rules = rule_set("10 deny log logamount 2 udp from any to any")
    line = "ipfw: 10 Deny UDP 10.0.0.2:1000 8.8.8.8:53 in via em0"
    assert rules.evaluate(udp()).log == (line,)
    assert rules.evaluate(udp()).log == (line, "ipfw: limit 2 reached on entry 10")
    assert rules.evaluate(udp()).log == ()
    rules.run("resetlog 10")
    assert rules.evaluate(udp()).log == (line,)
    rules.run("disable verbose")
    assert rules.evaluate(udp()).log == ()


@pytest.mark.parametrize(
    ("rule", "header", "line"),
    [
        ("tee 5000 log", icmp(), "ipfw: 10 Tee 5000 ICMP:8.0 10.0.0.2 8.8.8.8 in via em0"),
        ("unreach 1 log", udp(fragment=4), "ipfw: 10 Reject UDP 10.0.0.2 8.8.8.8 in via em0 (frag 0:40@32)"),
        ("fwd 10.0.0.9,80 log", udp(protocol=89), "ipfw: 10 Forward to 10.0.0.9:80 P:89 10.0.0.2 8.8.8.8 in via em0"),
        ("skipto 20 log", udp(transmit_interface="em1"), "ipfw: 10 SkipTo 20 UDP 10.0.0.2:1000 8.8.8.8:53 out via em1"),
    ],
)
def test_log_lines(rule: str, header: Header, line: str) -> None:
    assert rule_set(f"10 {rule} ip from any to any").evaluate(header).log == (line,)


def test_a_disabled_firewall_lets_everything_pass() -> None:
    rules = rule_set("disable firewall")
    assert rules.evaluate(udp()).action is Action.ALLOW
    assert list(rules.counters) == [(65535, 0, 0)]


def test_tables_give_their_values() -> None:
    rules = rule_set("table 1 add 10.0.0.0/8 7000", "table 1 add 10.0.0.0/24 8000", "table 2 add em0 5")
    rules.run("add 10 divert tablearg src-ip table(1) recv table(3)")
    rules.run("add 20 divert tablearg src-ip table(1)")
    assert rules.evaluate(udp()).port == 8000
    rules.run("table 1 delete 10.0.0.0/24")
    assert rules.evaluate(udp()).port == 7000
    rules.run("add 5 deny ip from table(1,8000) to any")
    rules.run("add 6 allow ip from table(1,7000) to any recv table(2)")
    assert rules.evaluate(udp()).rule == 6
    assert rules.run("table 1 list") == "10.0.0.0/8 7000\n"
    assert rules.run("table all list") == "---table(1)---\n10.0.0.0/8 7000\n---table(2)---\nem0 5\n"
    assert rules.execute("table 1 add 10.0.0.0/8").status == 71


def test_routes_of_kinds() -> None:
    class Odd(Host):
        def route(self, address: int) -> Route | None:
            return Route("em0", is_reject=True)

    rules = RuleSet(surroundings=Odd())
    rules.run("add 10 allow versrcreach")
    assert rules.evaluate(udp()).rule == 65535


@pytest.mark.parametrize(("default", "action"), [("deny", Action.DENY), ("allow", Action.ALLOW)])
def test_the_default_rule(default: str, action: Action) -> None:
    assert RuleSet(default=default).evaluate(udp()).action is action


def test_misuse_is_told() -> None:
    with pytest.raises(ValueError, match="freebsd-3"):
        RuleSet("freebsd-3")
    with pytest.raises(ValueError, match="maybe"):
        RuleSet(default="maybe")


def test_a_rule_that_tags_may_be_met_ever_so_often() -> None:
    """``call`` sends the search round in circles until its bound (E-34)."""
    rules = RuleSet("freebsd-10")
    for command in ("add 300 call 300 ip from any to any", "add 400 call 300 tag 5 ip from any to any"):
        rules.run(command)
    rules.run("add 500 return ip from any to any")
    assert rules.evaluate(Header(protocol=17, total_length=60, payload_length=40)).action is Action.DENY
