"""What the firewall writes to the log, and where the lines go (bsd.md 9.5, D-6)."""

from __future__ import annotations

from typing import Any

import pytest

from rules.fields import Header
from rules.ipfw import Action, RuleSet


def tcp(**changes: Any) -> Header:
    fields: dict[str, Any] = {
        "source": 0x0A000002,
        "destination": 0x08080808,
        "protocol": 6,
        "source_port": 1024,
        "destination_port": 80,
        "tcp_flags": 2,
        "total_length": 60,
        "payload_length": 40,
        "receive_interface": "em0",
    }
    return Header(**{**fields, **changes})


FLOW = "TCP 10.0.0.2:1024 8.8.8.8:80 in via em0"


@pytest.mark.parametrize(
    ("action", "word"),
    [
        ("allow", "Accept"),
        ("deny", "Deny"),
        ("reject", "Reject"),
        ("reset", "Reset"),
        ("unreach port", "Unreach 3"),
        ("count", "Count"),
        ("divert 8668", "Divert 8668"),
        ("tee 8668", "Tee 8668"),
        ("skipto 500", "SkipTo 500"),
        ("call 500", "Call 500"),
        ("fwd 10.0.0.9", "Forward to 10.0.0.9"),
        ("fwd 10.0.0.9,8080", "Forward to 10.0.0.9:8080"),
        ("reass", "Reass"),
        ("setfib 0", "SetFib 0"),
        ("setdscp ef", "UNKNOWN"),
    ],
)
def test_the_action_in_the_line(action: str, word: str) -> None:
    """E-41"""
    rules = RuleSet()
    rules.run(f"add 100 {action} log ip from any to any")
    assert rules.evaluate(tcp()).log == (f"ipfw: 100 {word} {FLOW}",)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"protocol": 17}, "UDP 10.0.0.2:1024 8.8.8.8:80 in via em0"),
        ({"transmit_interface": "em1"}, "TCP 10.0.0.2:1024 8.8.8.8:80 out via em1"),
        (
            {"protocol": 1, "source_port": None, "destination_port": None, "icmp_type": 8, "icmp_code": 0},
            "ICMP:8.0 10.0.0.2 8.8.8.8 in via em0",
        ),
        ({"protocol": 47, "source_port": None, "destination_port": None}, "P:47 10.0.0.2 8.8.8.8 in via em0"),
        (
            {"fragment": 0x2000 | 185, "identification": 7, "source_port": None, "destination_port": None},
            "TCP 10.0.0.2 8.8.8.8 in via em0 (frag 7:40@1480+)",
        ),
        (
            {"fragment": 0x2000, "identification": 7},
            "TCP 10.0.0.2:1024 8.8.8.8:80 in via em0 (frag 7:40@0+)",
        ),
    ],
)
def test_the_packet_in_the_line(changes: dict[str, Any], line: str) -> None:
    """E-41"""
    rules = RuleSet()
    rules.run("add 100 deny log ip from any to any")
    assert rules.evaluate(tcp(**changes)).log == (f"ipfw: 100 Deny {line}",)


def test_the_limit_of_lines_and_how_it_starts_anew() -> None:
    """E-42"""
    rules = RuleSet()
    rules.run("add 100 count log logamount 2 ip from any to any")
    lines = [rules.evaluate(tcp()).log for _ in range(3)]
    line = f"ipfw: 100 Count {FLOW}"
    assert lines == [(line,), (line, "ipfw: limit 2 reached on entry 100"), ()]
    rules.run("resetlog 100")
    assert rules.evaluate(tcp()).log == (line,)
    rules.run("zero")
    assert [len(rules.evaluate(tcp()).log) for _ in range(3)] == [1, 2, 0]


def test_nothing_is_logged_without_verbose() -> None:
    """E-40: the pseudo interface ipfw0, where it would go then, is not there."""
    rules = RuleSet()
    rules.run("add 100 count log logamount 1 ip from any to any")
    rules.run("disable verbose")
    assert rules.evaluate(tcp()).log == ()
    rules.run("zero")
    assert rules.messages == []
    rules.run("enable verbose")
    assert len(rules.evaluate(tcp()).log) == 2


ALL_CLEARED = ["Accounting cleared.", "All logging counts reset."]
NAMED = [*ALL_CLEARED, "Entry 5 cleared.", "Entry 5 logging count reset."]
NAMELESS = [*ALL_CLEARED, "cleared.", "logging count reset."]


@pytest.mark.parametrize(
    ("profile", "lines"),
    [
        ("freebsd-4", NAMED),
        ("dragonfly", NAMED),
        ("freebsd-10", NAMED),
        ("freebsd-11", NAMELESS),
        ("freebsd-14", NAMELESS),
    ],
)
def test_clearing_counters_is_logged(profile: str, lines: list[str]) -> None:
    """E-44"""
    rules = RuleSet(profile, ipfw_dialect="ipfw2")
    rules.run("add 5 count ip from any to any")
    for command in ("zero", "resetlog", "-q zero 5", "resetlog 5"):
        rules.run(command)
    assert rules.messages == [f"ipfw: {line}" for line in lines]
    rules.execute("-n zero 5")
    assert len(rules.messages) == 4


def test_the_log_goes_where_it_is_told() -> None:
    lines: list[str] = []
    rules = RuleSet(log=lines.append)
    rules.run("zero")
    assert (lines, rules.messages) == (["ipfw: Accounting cleared."], [])


@pytest.mark.parametrize(
    ("profile", "line"),
    [
        ("freebsd-4", "drop session, too many entries"),
        ("dragonfly", "drop session, too many entries"),
        ("freebsd-10", "ipfw: 10 drop session type 40 10.0.0.2 1025 -> 8.8.8.8 80, 2 too many entries"),
        ("freebsd-11", "ipfw: 10 drop session type 40 10.0.0.2 1025 -> 8.8.8.8 80, 2 too many entries"),
        ("freebsd-13", "ipfw: 10 drop session type 40 10.0.0.2 0 -> 0.0.0.0 0, 1 too many entries"),
    ],
)
def test_a_reached_limit_is_told_once_a_second(profile: str, line: str) -> None:
    """D-6"""
    rules = RuleSet(profile, ipfw_dialect="ipfw2", now=100.25)
    rules.run("add 10 allow tcp from any to any limit src-addr 1")
    assert rules.evaluate(tcp()).log == ()
    told = []
    for rules.now in (100.25, 100.5, 101.0, 101.9):
        verdict = rules.evaluate(tcp(source_port=1025))
        assert verdict.action is Action.DENY
        told.append(verdict.log)
    assert told == [(line,), (), (line,), ()]
    rules.run("disable verbose")
    rules.now = 103.0
    assert rules.evaluate(tcp(source_port=1025)).log == ()
