"""Why rules did not match, in clauses."""

from __future__ import annotations

import pytest

from rules import ipchains, ipfw
from rules.fields import Header
from rules.ipchains.reasons import passed_over as chains_passed_over
from rules.ipfw.reasons import passed_over
from rules.reasons import grouped

SYN = Header(
    source=0x0A000001,
    destination=0x0A000002,
    protocol=6,
    source_port=1024,
    destination_port=53,
    tcp_flags=2,
    total_length=40,
    receive_interface="em0",
)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("tcp from any to any 80", "the destination port is 53, not 80"),
        ("tcp from any 25,80-90 to any", "the source port is 1024, not 25,80-90"),
        ("udp from any to any", "the protocol is tcp, not udp"),
        ("ip from not 10.0.0.0/8 to any", "the source is 10.0.0.1, which 'not 10.0.0.0/8' excludes"),
        ("ip from any to 192.0.2.0/24,192.0.3.1", "the destination is 10.0.0.2, not 192.0.2.0/24,192.0.3.1"),
        ("ip from any to me", "the destination is 10.0.0.2, not me"),
        ("ip from table(1) to any", "the source is 10.0.0.1, not table(1)"),
        ("ip from any to any out", "it is on its way in, not out"),
        ("ip from any to any not in", "it is on its way in, not out"),
        ("ip from any to any via em1", "it came in by em0, not em1"),
        ("ip from any to any recv em1", "it came in by em0, not em1"),
        ("ip from any to any xmit em1", "it leaves by no interface, not em1"),
        ("ip from any to any frag", "it is no later fragment"),
        ("tcp from any to any established", "the TCP flags are syn, not established"),
        ("tcp from any to any tcpflags !syn", "the TCP flags are syn, not tcpflags !syn"),
        ("icmp from any to any icmptypes 8", "the protocol is tcp, not icmp"),
        ("ip from any to any icmptypes 8", "it has no ICMP type, not 8"),
        ("ip from any to any ipttl 3-5", "the TTL is 64, not ipttl 3-5"),
        ("ip from any to any { frag or ipttl 3 }", "it is no later fragment and the TTL is 64, not ipttl 3"),
        ("ip from any to any tagged 7", "the tags are none, not tagged 7"),
        ("ip from any to any diverted", "no divert socket wrote it, not diverted"),
        ("ip from any to any not tcpflags syn", "the TCP flags are syn, which 'not tcpflags syn' excludes"),
    ],
)
def test_the_first_question_that_fails_is_told(rule: str, reason: str) -> None:
    rules = ipfw.RuleSet()
    rules.run(f"add 100 allow {rule}")
    assert passed_over(rules, SYN, rules.evaluate(SYN)) == [("100", reason)]


def test_what_the_search_did_not_look_at_is_not_told() -> None:
    rules = ipfw.RuleSet()
    for command in (
        "add 50 allow udp from any to any",
        "add 100 count tcp from any to any",
        "add 150 allow udp from any to any",
        "add 200 skipto 400 tcp from any to any",
        "add 300 allow udp from any to any",
        "add 400 set 3 allow udp from any to any",
        "add 500 deny tcp from any to any",
        "add 600 allow udp from any to any",
        "set disable 3",
    ):
        rules.run(command)
    verdict = rules.evaluate(SYN)
    assert [rule for rule, _ in passed_over(rules, SYN, verdict)] == ["50", "150"]
    verdict = rules.evaluate(SYN, start_after=100)
    assert [rule for rule, _ in passed_over(rules, SYN, verdict, 100)] == ["150"]


def test_chance_and_state() -> None:
    rules = ipfw.RuleSet(chance=lambda: 0.9)
    rules.run("add 100 prob 0.5 allow ip from any to any")
    rules.run("add 200 check-state")
    verdict = rules.evaluate(SYN)
    assert passed_over(rules, SYN, verdict) == [
        ("100", "chance was against it (prob)"),
        ("200", "there is no dynamic state for it"),
    ]


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("-p udp", "the protocol is tcp, not udp"),
        ("-p tcp -d 0/0 25:80 ! -y", "the TCP flags are syn, which 'not tcp flags syn,!rst,!ack' excludes"),
        ("-p tcp -d 0/0 80", "the destination port is 53, not 80"),
        ("-s ! 10.0.0.0/8", "the source is 10.0.0.1, which 'not 10.0.0.0/8' excludes"),
        ("-i eth1", "the interface is eth0, not eth1"),
        ("-i ! eth0", "the interface is eth0, as excluded"),
        ("-i ppp+", "the interface is eth0, not ppp+"),
        ("-f", "it is no fragment"),
    ],
)
def test_ipchains(rule: str, reason: str) -> None:
    tables = ipchains.Tables()
    tables.run(f"-A input {rule} -j DENY")
    verdict = tables.traverse("input", SYN, "eth0")
    assert chains_passed_over(tables, "input", SYN, "eth0", verdict) == [("input:1", reason)]


def test_ipchains_through_user_chains() -> None:
    tables = ipchains.Tables()
    for command in (
        "-N u",
        "-A u -p udp -j DENY",
        "-A u -s 10.0.0.1 -j RETURN",
        "-A u -j DENY",
        "-A input -p icmp -j ACCEPT",
        "-A input -j u",
        "-A input -d 10.0.0.9 -j DENY",
        "-A input -j ACCEPT",
        "-A input -j DENY",
    ):
        tables.run(command)
    verdict = tables.traverse("input", SYN, "eth0")
    assert verdict.rule == "input:4"
    found = chains_passed_over(tables, "input", SYN, "eth0", verdict)
    assert [rule for rule, _ in found] == ["input:1", "u:1", "input:3"]


def test_rules_with_one_reason_share_a_sentence() -> None:
    assert grouped([("100", "a"), ("200", "b"), ("300", "a"), ("400", "a")]) == [
        "rules 100, 300 and 400 did not match because a",
        "rule 200 did not match because b",
    ]
