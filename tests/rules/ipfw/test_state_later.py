"""What FreeBSD 12 and later can do with state, marks and segment sizes."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from rules.fields import Header
from rules.ipfw import Action, RuleSet

HERE, THERE = 0x0A000002, 0x08080808
ENGINES: tuple[Literal["plain", "fast"], ...] = ("plain", "fast")


def out(**changes: Any) -> Header:
    fields: dict[str, Any] = {
        "source": HERE,
        "destination": THERE,
        "protocol": 17,
        "source_port": 1000,
        "destination_port": 53,
        "total_length": 60,
        "payload_length": 40,
        "transmit_interface": "em0",
    }
    return Header(**{**fields, **changes})


def back(**changes: Any) -> Header:
    return out(
        source=THERE,
        destination=HERE,
        source_port=53,
        destination_port=1000,
        transmit_interface=None,
        receive_interface="em0",
        **changes,
    )


def rule_set(*commands: str, profile: str = "freebsd-14", engine: Literal["plain", "fast"] = "plain") -> RuleSet:
    rules = RuleSet(profile, engine=engine)
    for command in commands:
        rules.run(f"add {command}")
    return rules


@pytest.mark.parametrize("engine", ENGINES)
def test_record_state_makes_state_without_looking(engine: Literal["plain", "fast"]) -> None:
    """``keep-state`` looks up every flow; ``record-state`` leaves that to ``check-state``."""
    rules = rule_set("10 allow udp from any to any out record-state", "20 deny in", "30 check-state", engine=engine)
    assert rules.evaluate(out()).rule == 10
    assert rules.evaluate(back()).rule == 20
    rules.run("delete 20")
    assert rules.evaluate(back()).rule == 10
    kept = rule_set("10 allow udp from any to any out keep-state", "20 deny in", "30 check-state", engine=engine)
    assert [kept.evaluate(each).rule for each in (out(), back())] == [10, 10]


@pytest.mark.parametrize("engine", ENGINES)
def test_set_limit_counts_without_looking(engine: Literal["plain", "fast"]) -> None:
    rules = rule_set(
        "10 allow udp from any to any out set-limit src-addr 1", "20 deny in", "30 check-state", engine=engine
    )
    assert [rules.evaluate(out(source_port=port)).action for port in (1, 2)] == [Action.ALLOW, Action.DENY]
    assert rules.evaluate(back()).rule == 20


@pytest.mark.parametrize("engine", ENGINES)
def test_a_deferred_action_is_done_for_the_state_only(engine: Literal["plain", "fast"]) -> None:
    rules = rule_set(
        "5 check-state :nat",
        "10 divert 8668 udp from any to any out record-state :nat defer-action",
        "20 allow ip from any to any",
        engine=engine,
    )
    first = rules.evaluate(out())
    assert (first.action, first.counted) == (Action.ALLOW, (20,))
    answer = rules.evaluate(back())
    assert (answer.action, answer.port, answer.counted) == (Action.DIVERT, 8668, (10,))


def test_a_deferred_action_without_state_is_warned_of() -> None:
    rules = RuleSet("freebsd-13")
    result = rules.execute("add 10 allow ip from any to any defer-action")
    assert result.stderr == (
        'ipfw: Rule contains "defer-immediate-action" and doesn\'t contain any state-related options.\n'
    )
    assert (result.status, rules.evaluate(out()).counted) == (0, (65535,))


@pytest.mark.parametrize("engine", ENGINES)
def test_marks_live_as_long_as_the_search(engine: Literal["plain", "fast"]) -> None:
    rules = rule_set(
        "10 setmark 0x13 ip from any to any",
        "20 tee 5000 ip from any to any mark 3:0xf",
        "30 allow ip from any to any mark 0x13",
        engine=engine,
    )
    verdict = rules.evaluate(out())
    assert (verdict.action, verdict.counted) == (Action.TEE, (10, 20))
    assert rules.evaluate(out(), resume=verdict.resume).counted == (30,)
    rules.run("delete 10")
    assert rules.evaluate(out()).rule == 65535


def test_marks_and_tables() -> None:
    rules = RuleSet("freebsd-14")
    rules.run("table m create valtype mark")
    rules.run("table m add 10.0.0.0/8 0x2a")
    rules.run("table n create type number")
    rules.run("table n add 42 7")
    rules.run("add 10 setmark tablearg ip from table(m) to any")
    rules.run("add 20 allow ip from any to any lookup mark n")
    assert rules.evaluate(out()).counted == (10, 20)
    assert rules.run("table m list") == "10.0.0.0/8 0x2a\n"


@pytest.mark.parametrize(
    ("flags", "options", "matches"),
    [
        (2, bytes([2, 4, 5, 0xB4]), True),
        (18, bytes([1, 1, 2, 4, 5, 0xB4]), True),
        (2, bytes([2, 4, 5, 0xB5]), False),
        (16, bytes([2, 4, 5, 0xB4]), False),
        (2, bytes([1, 3, 3, 7]), False),
        (2, b"", False),
        (2, bytes([2, 0]), False),
    ],
)
def test_segment_sizes(flags: int, options: bytes, matches: bool) -> None:
    rules = rule_set("10 allow tcp from any to any tcpmss 500-1460", profile="freebsd-13")
    segment = out(protocol=6, tcp_flags=flags, tcp_options=options)
    assert (rules.evaluate(segment).rule == 10) == matches


def test_a_segment_cut_in_its_options_is_dropped() -> None:
    """F-13"""
    rules = rule_set("10 allow tcp from any to any tcpmss 500-1460", profile="freebsd-13")
    verdict = rules.evaluate(out(protocol=6, tcp_flags=2, tcp_options=None))
    assert (verdict.action, verdict.rule) == (Action.DENY, None)


def test_minus_capital_d_is_about_state_alone() -> None:
    rules = rule_set("10 allow udp from any to any out keep-state", "20 deny in")
    rules.evaluate(out())
    entry = "00010 STATE udp 10.0.0.2 1000 <-> 8.8.8.8 53 :default\n"
    assert rules.run("-D list") == f"## Dynamic rules (1 144):\n{entry}"
    assert rules.run("-D list 10") == f"## Dynamic rules:\n{entry}"
    rules.run("-D delete 10")
    assert (rules.run("-D list"), len(rules)) == ("", 3)
    assert RuleSet("freebsd-10").execute("-D list").stderr.startswith("ipfw: illegal option -- D\n")
