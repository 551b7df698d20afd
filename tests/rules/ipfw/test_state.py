"""Dynamic state: flows remembered by ``keep-state`` and ``limit`` (bsd.md D-1 to D-10)."""

from __future__ import annotations

from typing import Any

import pytest

from rules.fields import Header
from rules.ipfw import Action, RuleSet

SYN, ACK, FIN, RST = 2, 16, 1, 4
HERE, THERE = 0x0A000002, 0x08080808


def out(protocol: int = 17, **changes: Any) -> Header:
    fields = {
        "source": HERE,
        "destination": THERE,
        "protocol": protocol,
        "source_port": 1000,
        "destination_port": 53,
        "total_length": 60,
        "payload_length": 40,
        "transmit_interface": "em0",
    }
    return Header(**{**fields, **changes})


def back(protocol: int = 17, **changes: Any) -> Header:
    fields = {"source": THERE, "destination": HERE, "source_port": 53, "destination_port": 1000}
    way = {"transmit_interface": None, "receive_interface": "em0"}
    return out(protocol, **{**fields, **way, **changes})


def tcp(header: Header, flags: int, acknowledgment: int = 0) -> Header:
    header.protocol = 6
    header.tcp_flags = flags
    header.tcp_acknowledgment = acknowledgment
    return header


def rule_set(*commands: str, profile: str = "freebsd-10", default: str = "deny") -> RuleSet:
    rules = RuleSet(profile, default=default)
    for command in commands:
        rules.run(f"add {command}")
    return rules


def states(rules: RuleSet) -> list[str]:
    lines = rules.run("-d show").splitlines()
    return lines[len(rules) + 1 :]


def test_an_answer_passes_while_the_state_lives() -> None:
    rules = rule_set("10 check-state", "20 allow udp from any to any out keep-state")
    assert rules.evaluate(back()).rule == 65535
    assert rules.evaluate(out()).rule == 20
    answer = rules.evaluate(back())
    assert (answer.action, answer.rule, answer.counted) == (Action.ALLOW, 20, (20,))
    assert states(rules) == ["00020 1  60 (10s) STATE udp 10.0.0.2 1000 <-> 8.8.8.8 53"]
    rules.now += 9
    assert rules.evaluate(back(destination_port=1001)).rule == 65535
    assert rules.evaluate(back()).rule == 20
    rules.now += 10
    assert rules.evaluate(back()).rule == 65535
    assert states(rules) == []


def test_the_first_state_rule_looks_up_for_all() -> None:
    rules = rule_set("10 deny tcp from any to any keep-state", "20 allow udp from any to any out keep-state")
    rules.evaluate(out())
    assert rules.evaluate(back()).rule == 20


def test_what_the_parent_does_is_done() -> None:
    rules = rule_set("10 check-state", "20 divert 8668 udp from any to any out keep-state")
    rules.evaluate(out())
    assert (rules.evaluate(back()).action, rules.evaluate(back()).port) == (Action.DIVERT, 8668)
    rules = rule_set("10 check-state", "20 count udp from any to any out keep-state", "30 allow ip from any to any")
    rules.evaluate(out())
    assert rules.evaluate(back()).counted == (20, 30)


def test_a_reply_to_a_forwarded_flow_is_only_accepted() -> None:
    rules = rule_set("10 fwd 10.0.0.9 udp from any to any out keep-state")
    assert rules.evaluate(out()).action is Action.FWD
    assert rules.evaluate(out()).action is Action.FWD
    reply = rules.evaluate(back())
    assert (reply.action, reply.next_hop) == (Action.ALLOW, None)


@pytest.mark.parametrize(
    ("segments", "lifetime"),
    [
        ([(out, SYN, 0)], 20),
        ([(out, SYN, 0), (back, SYN | ACK, 1)], 20),
        ([(out, SYN, 0), (back, SYN | ACK, 1), (out, ACK, 1)], 300),
        ([(out, SYN, 0), (back, SYN | ACK, 1), (out, ACK, 1), (out, FIN | ACK, 2), (back, FIN | ACK, 3)], 1),
        ([(out, SYN, 0), (back, RST, 0)], 1),
        ([(out, ACK, 0)], 1),
    ],
)
def test_lifetimes_of_tcp(segments: list[Any], lifetime: int) -> None:
    rules = rule_set("10 allow tcp from any to any out keep-state", "20 allow ip from any to any")
    for way, flags, acknowledgment in segments:
        rules.evaluate(tcp(way(), flags, acknowledgment))
    (line,) = states(rules)
    assert f"({lifetime}s)" in line


def test_lifetimes_of_others() -> None:
    rules = rule_set("10 allow ip from any to any keep-state")
    rules.evaluate(out(1, source_port=None, destination_port=None))
    assert states(rules) == ["00010 0  0 (5s) STATE icmp 10.0.0.2 0 <-> 8.8.8.8 0"]


def test_limit_counts_flows_and_denies_beyond() -> None:
    rules = rule_set("10 allow udp from any to any limit src-addr 2")
    assert [rules.evaluate(out(source_port=port)).action.value for port in (1, 2, 3)] == ["allow", "allow", "deny"]
    assert rules.evaluate(out(source_port=1)).action is Action.ALLOW
    assert rules.evaluate(out(source_port=3)).counted == (10,)
    assert rules.evaluate(out(source_port=3, source=HERE + 1)).action is Action.ALLOW
    assert "PARENT 2 udp 10.0.0.2 0 <-> 0.0.0.0 0" in "\n".join(states(rules))
    rules.now += 10
    assert states(rules) == []
    assert rules.evaluate(out(source_port=3)).action is Action.ALLOW


def test_deleting_a_rule_forgets_its_flows() -> None:
    rules = rule_set("10 allow udp from any to any keep-state", "20 allow tcp from any to any limit dst-port 5")
    rules.evaluate(out())
    rules.evaluate(tcp(out(), SYN))
    assert len(states(rules)) == 3
    rules.run("delete 20")
    assert len(states(rules)) == 1
    rules.run("flush")
    assert rules.run("-d list") == "65535 deny ip from any to any\n"


def test_a_full_table_denies() -> None:
    rules = rule_set("10 allow ip from any to any keep-state")
    rules.states.lifetimes.maximum = 1
    assert rules.evaluate(out(source_port=1)).action is Action.ALLOW
    assert rules.evaluate(out(source_port=2)).action is Action.DENY


def test_names_keep_flows_apart() -> None:
    rules = rule_set(
        "10 check-state :web",
        "20 check-state",
        "25 deny in",
        "30 allow udp from any to any out keep-state",
        profile="freebsd-14",
    )
    rules.evaluate(out())
    assert rules.evaluate(back()).rule == 30
    rules.run("delete 20")
    assert rules.evaluate(back()).rule == 25
    rules.run("add 20 check-state :any")
    assert rules.evaluate(back()).rule == 30
    assert states(rules)[0].endswith(":default")


def test_listings_of_dynamic_rules() -> None:
    rules = rule_set("10 allow udp from any to any keep-state")
    rules.evaluate(out())
    entry = "00010 STATE udp 10.0.0.2 1000 <-> 8.8.8.8 53"
    static = "00010 allow udp from any to any keep-state\n65535 deny ip from any to any\n"
    assert rules.run("-d list") == f"{static}## Dynamic rules (1 144):\n{entry}\n"
    assert rules.run("-d list 10") == f"{static.splitlines()[0]}\n## Dynamic rules:\n{entry}\n"
    assert rules.run("-d list 65535") == "65535 deny ip from any to any\n## Dynamic rules:\n"
    assert "## Dynamic rules (1):\n00010 0 0 (10s) STATE" in rules_of_freebsd_4().run("-d list")


def rules_of_freebsd_4() -> RuleSet:
    rules = RuleSet("freebsd-4", ipfw_dialect="ipfw2")
    rules.run("add 10 allow udp from any to any keep-state")
    rules.evaluate(out())
    return rules


def test_a_tee_that_its_own_state_finds_again_does_not_go_on_for_ever() -> None:
    """The state of rule 10 sends each datagram from rule 20 back to 10, whose original goes on behind it (D-3)."""
    rules = rule_set("10 tee 8668 udp from any to any out keep-state", "20 check-state", "30 allow ip from any to any")
    verdict = rules.evaluate(out())
    copies = 0
    while verdict.resume is not None:
        copies += 1
        assert copies < 5000
        verdict = rules.evaluate(out(), resume=verdict.resume)
    assert (verdict.action, copies > 50) == (Action.DENY, True)
