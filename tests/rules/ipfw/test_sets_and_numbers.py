"""Numbers given by the list, and the 32 sets (bsd.md E-1 to E-5, M-2 to M-5)."""

from __future__ import annotations

import pytest

from rules.ipfw import RuleSet


def numbers(rules: RuleSet) -> list[int]:
    return [rule.number for rule in rules][:-1]


@pytest.mark.parametrize(
    ("last", "given"), [(1, 101), (100, 200), (65434, 65534), (65435, 65435), (65500, 65500), (65534, 65534)]
)
def test_a_rule_without_number_comes_last(last: int, given: int) -> None:
    rules = RuleSet()
    rules.run(f"add {last} allow in")
    rules.run("add deny out")
    assert numbers(rules) == [last, given]
    assert str(list(rules)[1]).endswith("out")


def test_equal_numbers_stay_in_order_of_age() -> None:
    rules = RuleSet()
    for tag in (1, 2, 3):
        rules.run(f"add 5 count tag {tag} in")
    assert [rule.tag.number for rule in rules if rule.tag] == [1, 2, 3]


def in_sets(*sets: int) -> RuleSet:
    rules = RuleSet()
    for number, owner in enumerate(sets, 1):
        rules.run(f"add {number} set {owner} count in")
    return rules


@pytest.mark.parametrize(
    ("command", "sets"),
    [
        ("set swap 1 2", [2, 1, 3, 31]),
        ("set move 1 to 3", [3, 2, 3, 31]),
        ("set move rule 2 to 7", [1, 7, 3, 31]),
        ("set move rule 258 to 7", [1, 7, 3, 31]),
        ("set move rule 65535 to 3", [1, 2, 3, 31]),
        ("set disable 31", [1, 2, 3, 31]),
        ("-n set swap 1 2", [1, 2, 3, 31]),
        ("flush", [31]),
        ("set 2 flush", [1, 3, 31]),
        ("delete set 1", [2, 3, 31]),
        ("delete 0", [31]),
        ("set 3 delete 3", [1, 2, 31]),
        ("-n flush", [1, 2, 3, 31]),
    ],
)
def test_sets(command: str, sets: list[int]) -> None:
    rules = in_sets(1, 2, 3)
    rules.run(command)
    assert [rule.set for rule in rules] == sets


def test_other_systems_move_rules_by_their_whole_number() -> None:
    rules = RuleSet("freebsd-11")
    rules.run("add 258 count in")
    rules.run("set move rule 258 to 7")
    assert next(iter(rules)).set == 7


def test_set_show() -> None:
    rules = RuleSet()
    everything = " ".join(map(str, range(31)))
    assert rules.run("set show") == f"enable {everything}\n"
    rules.run("set disable 1 4")
    rules.run("set enable 4")
    others = " ".join(str(number) for number in range(31) if number != 1)
    assert rules.run("set show") == f"disable 1 enable {others}\n"


def test_ranges_are_deleted_where_the_system_does_so() -> None:
    rules = RuleSet("freebsd-14")
    for number in (1, 2, 3, 4):
        rules.run(f"add {number} count in")
    rules.run("delete 2-3")
    assert numbers(rules) == [1, 4]
    old = in_sets(0, 0, 0)
    old.run("delete 2-3")
    assert numbers(old) == [1, 3]
