"""The kernel's operations on chains, and what they are refused with."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from rules.fields import Header
from rules.ipchains import PROFILES, Action, Chains, Flag, Rule, Tables

DENY = Rule(target="DENY")


@pytest.fixture
def chains() -> Chains:
    made = Chains(PROFILES["linux-2.2"])
    made.create("used")
    made.create("full")
    made.append("full", DENY)
    made.append("input", Rule(target="used"))
    return made


@pytest.mark.parametrize(
    ("operation", "number"),
    [
        (lambda chains: chains.append("none", DENY), errno.ENOENT),
        (lambda chains: chains.append("input", Rule(target="none")), errno.ENOENT),
        (lambda chains: chains.append("input", Rule(target="output")), errno.ENOENT),
        (lambda chains: chains.append("input", Rule(target="QUEUE")), errno.ENOENT),
        (lambda chains: chains.append("input", Rule(target="accept")), errno.ENOENT),
        (lambda chains: chains.append("input", Rule(flags=Flag(0x40))), errno.EINVAL),
        (lambda chains: chains.append("input", Rule(source_ports=(1, 2))), errno.EINVAL),
        (lambda chains: chains.append("input", Rule(protocol=47, source_ports=(1, 2))), errno.EINVAL),
        (lambda chains: chains.insert("input", 0, DENY), errno.EINVAL),
        (lambda chains: chains.insert("input", 3, DENY), errno.EINVAL),
        (lambda chains: chains.replace("input", 2, DENY), errno.EINVAL),
        (lambda chains: chains.replace("input", 1, Rule(target="none")), errno.ENOENT),
        (lambda chains: chains.delete("input", DENY), errno.EINVAL),
        (lambda chains: chains.delete_number("input", 2), errno.ENOENT),
        (lambda chains: chains.delete_number("output", 1), errno.ENOENT),
        (lambda chains: chains.create("used"), errno.EEXIST),
        (lambda chains: chains.create("forward"), errno.EEXIST),
        (lambda chains: chains.delete_chain("none"), errno.ENOENT),
        (lambda chains: chains.delete_chain("input"), errno.EBUSY),
        (lambda chains: chains.delete_chain("forward"), errno.EBUSY),
        (lambda chains: chains.delete_chain("used"), errno.EBUSY),
        (lambda chains: chains.delete_chain("full"), errno.ENOTEMPTY),
        (lambda chains: chains.flush("none"), errno.ENOENT),
        (lambda chains: chains.zero("none"), errno.ENOENT),
        (lambda chains: chains.set_policy("used", Action.DENY), errno.EINVAL),
        (lambda chains: chains.set_policy("input", Action.MASQ), errno.EINVAL),
        (lambda chains: chains.set_policy("forward", Action.DIVERT), errno.EINVAL),
        (lambda chains: chains.set_policy("none", Action.DENY), errno.ENOENT),
    ],
)
def test_refused(chains: Chains, operation: Callable[[Chains], None], number: int) -> None:
    def state() -> list[object]:
        return [(chain.name, chain.rules, chain.policy, chain.references) for chain in chains.values()]

    before = state()
    with pytest.raises(OSError) as refusal:
        operation(chains)
    assert refusal.value.errno == number
    assert state() == before


def test_places(chains: Chains) -> None:
    chains.insert("full", 1, Rule(target="ACCEPT"))
    chains.insert("full", 3, Rule(target="REJECT"))
    chains.delete_number("full", 2)
    assert [(entry.number, entry.label, entry.rule.target) for entry in chains["full"].entries] == [
        (1, "full:1", "ACCEPT"),
        (2, "full:2", "REJECT"),
    ]


def test_references(chains: Chains) -> None:
    assert chains["used"].references == 1
    chains.replace("input", 1, Rule(target="full"))
    assert (chains["used"].references, chains["full"].references) == (0, 1)
    chains.flush("input")
    assert chains["full"].references == 0
    chains.delete_chain("used")
    assert list(chains) == ["input", "forward", "output", "full"]


def test_delete_compares_neither_marks_nor_tos(chains: Chains) -> None:
    chains.append("output", Rule(target="DENY", mark=9, flags=Flag.MARK_ABSOLUTE, tos_and=1, tos_xor=8))
    chains.append("output", DENY)
    chains.delete("output", Rule(target="DENY", mark=1))
    assert chains["output"].rules == (DENY,)


def test_replace_keeps_the_counters() -> None:
    tables = Tables()
    tables.run("-A input -j DENY")
    tables.traverse("input", Header(total_length=100), "eth0")
    tables.run("-R input 1 -j ACCEPT")
    entry = tables.chains["input"].entries[0]
    assert (entry.packets, entry.octets, entry.rule.target) == (1, 100, "ACCEPT")
    tables.run("-Z input")
    assert (entry.packets, entry.octets) == (0, 0)


def test_a_chain_with_the_name_of_a_target_is_never_reached(chains: Chains) -> None:
    chains.create("ACCEPT")
    chains.append("output", Rule(target="ACCEPT"))
    assert chains["ACCEPT"].references == 0


def test_linux_2_0_has_no_user_chains() -> None:
    with pytest.raises(OSError) as refusal:
        Chains(PROFILES["linux-2.0"]).create("mine")
    assert refusal.value.errno == errno.EINVAL
