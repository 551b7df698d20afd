"""Each property holds where it should, and fails where it should, with a scenario that plays."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import Phase, settings

from rules import ipchains, ipfw
from simulator import Router
from simulator.scenario.reading import read
from simulator.scenario.runner import play
from simulator.testing import properties
from simulator.testing.strategies import World

ALLOWS = {"default_accept": True}
QUICK = settings(max_examples=60, deadline=None, database=None)
FINDING = settings(max_examples=400, deadline=None, database=None, phases=[Phase.generate])
ETHERNETS = {"eth0": "192.168.1.1/24", "eth1": "10.0.0.1/24"}


def bsd(*rules: str, profile: str = "freebsd-13", accept: bool = True) -> World:
    return World(profile=profile, rules=rules, switches={"default_accept": accept})


def linux(*rules: str) -> World:
    return World(profile="linux-2.2", interfaces=ETHERNETS, rules=rules)


def holds(test: Callable[[], None]) -> None:
    QUICK(test)()


def fails(test: Callable[[], None], why: str) -> None:
    """It fails so; a router's failure comes with the scenario of it."""
    with pytest.raises(AssertionError, match=why) as caught:
        FINDING(test)()
    scripts = [note.partition("\n\n")[2] for note in caught.value.__notes__ if note.startswith("As a scenario")]
    for script in scripts:
        [case] = play(read(script, "failing.scn")).cases
        assert not case.failures


# -- routers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["freebsd-4", "freebsd-10", "freebsd-13", "freebsd-14", "dragonfly"])
def test_a_round_trip_by_ipfw(profile: str) -> None:
    holds(properties.round_trip(bsd("add 100 divert 8668 ip from any to any", profile=profile), 8668))


def test_a_round_trip_by_ipchains() -> None:
    world = linux("-A forward -p tcp -j DENY", "-A forward -j DIVERT 1234", "-A forward -p udp -d 0/0 53 -j DENY")
    holds(properties.round_trip(world, 1234))


def test_a_round_trip_of_what_the_router_itself_sends() -> None:
    """Its first datagram would have the identification 0, for which a divert socket gives another."""
    holds(properties.round_trip(linux("-A output -j DIVERT 1234"), 1234))


def test_rules_of_the_same_number_are_missed_on_the_way_back() -> None:
    """The search goes on behind all rules of the tag's number (bsd.md X-1)."""
    world = bsd("add 100 divert 8668 ip from any to any", "add 100 deny udp from any to any")
    fails(properties.round_trip(world, 8668), "with the program on port 8668")


def test_a_router_without_such_a_rule_has_no_round_trip() -> None:
    with pytest.raises(ValueError, match="no rule diverts to port 5000"):
        properties.round_trip(bsd("add 100 divert 8668 ip from any to any"), 5000)


INSIDE, OUTSIDE = "192.168.1.0/24", "10.0.0.128/25"


def test_there_is_no_way_but_through_the_program() -> None:
    holds(properties.only_through(bsd("add 100 divert 8668 ip from any to any out xmit em1"), INSIDE, OUTSIDE, 8668))


def test_a_hole_beside_the_program() -> None:
    world = bsd("add 50 allow tcp from any to any 8080", "add 100 divert 8668 ip from any to any out xmit em1")
    fails(properties.only_through(world, INSIDE, OUTSIDE, 8668), r"not diverted to port 8668: tcp .* 8080")


def test_a_copy_is_not_a_diversion() -> None:
    fails(properties.only_through(bsd("add 100 tee 8668 ip from any to any"), INSIDE, OUTSIDE, 8668), "not diverted")


LAN = "udp from 192.168.1.0/24 to 10.0.0.128/25 in recv em0"


@pytest.mark.parametrize(
    ("rule", "times"),
    [
        ("ip from any to any", 2),
        ("ip from any to any in", 1),
        ("ip from any to any out", 1),
        ("tcp from any to any", 0),
    ],
)
def test_how_often_a_packet_is_seen(rule: str, times: int) -> None:
    world = bsd(f"add 100 divert 8668 {rule}")
    holds(properties.seen(world, LAN, 8668, times))
    fails(properties.seen(world, LAN, 8668, times + 1), f"saw it {times} times, not {times + 1}")


def test_ipchains_diverts_once() -> None:
    world = linux("-A input -j DIVERT 1234", "-A forward -j DIVERT 1234", "-A output -j DIVERT 1234")
    holds(properties.seen(world, "-p udp -s 192.168.1.0/24 -d 10.0.0.128/25 -i eth0", 1234, 1))


def test_a_small_network_gives_packets_enough() -> None:
    """Of those that come from its own addresses, or the ends of a network, a router of Linux forwards none."""
    interfaces = {"eth0": "192.168.1.1/30", "eth1": "10.0.0.1/24"}
    world = World(profile="linux-2.2", interfaces=interfaces, rules=("-A forward -j DIVERT 1234",))
    for _ in range(8):
        holds(properties.seen(world, "-p tcp -s 192.168.1.0/30 -d 10.0.0.128/25", 1234))


def test_the_default_is_deny() -> None:
    holds(properties.default_is_deny(bsd("add 100 allow tcp from any to any", accept=False)))
    fails(properties.default_is_deny(bsd("add 100 allow tcp from any to any")), "in: allow by 65535")
    world = linux("-P forward DENY", "-A forward -p tcp -j ACCEPT")
    holds(properties.default_is_deny(world, hooks=["forward"]))
    fails(properties.default_is_deny(world), "input: ACCEPT by input:policy")
    with pytest.raises(ValueError, match="'forwrad'"):
        properties.default_is_deny(world, hooks=["forwrad"])
    with pytest.raises(ValueError, match=r"'input' .there are in, out"):
        properties.default_is_deny(bsd(), hooks=["input"])


def test_a_router_may_be_built_by_a_function() -> None:
    def gateway() -> Router:
        router = Router("freebsd-13", default_accept=True)
        router.add_interface("em0", "192.168.1.1/24")
        router.add_interface("em1", "10.0.0.1/24")
        router.ipfw("add 100 divert 8668 ip from any to any in")
        return router

    holds(properties.seen(gateway, LAN, 8668))


# -- rule sets ---------------------------------------------------------------------------------------------------------


def rules_of(*commands: str, profile: str = "freebsd-13") -> ipfw.RuleSet:
    rules = ipfw.RuleSet(profile)
    for command in commands:
        rules.run(command)
    return rules


def tables_of(*commands: str) -> ipchains.Tables:
    tables = ipchains.Tables()
    for command in commands:
        tables.run(command)
    return tables


def test_rule_sets_that_agree() -> None:
    split = rules_of(
        "add 1 deny ip from 10.0.0.0/9 to any",
        "add 2 deny ip from 10.128.0.0/9 to any",
        "add 3 allow ip from any to any",
    )
    whole = rules_of("add 100 deny ip from 10.0.0.0/8 to any", "add 200 allow ip from any to any")
    holds(properties.agree(split, whole))


def test_rule_sets_that_do_not() -> None:
    one = rules_of("add 100 deny ip from 10.0.0.0/8 to any", "add 200 allow ip from any to any")
    other = rules_of("add 100 deny ip from 10.0.0.0/9 to any", "add 200 allow ip from any to any")
    fails(properties.agree(one, other), "deny by 100, accept by 200: ")


def test_the_two_dialects_are_compared_where_both_have_a_hook() -> None:
    chains = tables_of("-A input -p tcp -s 10.0.0.0/8 -j DENY", "-A forward -j DENY")
    rules = rules_of("add 100 deny tcp from 10.0.0.0/8 to any in", "add 200 allow ip from any to any")
    holds(properties.agree(chains, rules))
    fails(properties.agree(chains, rules_of("add 200 allow ip from any to any")), "in: deny by input:1, accept by 200")


def test_a_rejection_is_an_unreachable_port_in_either_dialect() -> None:
    """As for ``divertsim diff``."""
    chains, rules = tables_of("-A input -p tcp -j REJECT"), "add 200 allow ip from any to any"
    holds(properties.agree(chains, rules_of("add 100 unreach port tcp from any to any in", rules)))
    fails(
        properties.agree(chains, rules_of("add 100 unreach host tcp from any to any in", rules)), "unreach 3 by input:1"
    )


def test_two_sets_of_chains_are_compared_in_all_three() -> None:
    fails(properties.agree(tables_of("-A forward -j DENY"), tables_of()), "forward: deny by forward:1, accept")


def test_order_matters_or_does_not() -> None:
    rules = rules_of(
        "add 100 deny tcp from any to any 25",
        "add 200 deny udp from any to any 53",
        "add 300 allow tcp from 10.0.0.0/8 to any",
        "add 400 divert 8668 ip from any to any",
    )
    holds(properties.order_does_not_matter(rules, 100, 200))
    fails(properties.order_does_not_matter(rules, 100, 200, 300), r"by 100, .* in the order \d00, \d00, \d00: tcp")
    tables = tables_of("-A input -p tcp -j DENY", "-A input -p udp -j REJECT", "-A input -s 10.0.0.0/8 -j ACCEPT")
    holds(properties.order_does_not_matter(tables, "input:1", "input:2"))
    fails(
        properties.order_does_not_matter(tables, "input:1", "input:3"),
        "by input:[123] in the order input:3, input:1: ",
    )


def test_what_has_no_order_is_refused() -> None:
    rules = rules_of(
        "add 100 allow tcp from any to any", "add 100 deny udp from any to any", "add 200 deny ip from any to any"
    )
    with pytest.raises(ValueError, match="two rules, not 1"):
        properties.order_does_not_matter(rules, 100)
    with pytest.raises(LookupError, match="2 rules 100"):
        properties.order_does_not_matter(rules, 100, 200)
    with pytest.raises(LookupError, match="0 rules 300"):
        properties.order_does_not_matter(rules, 200, 300)
    tables = tables_of("-A input -j DENY", "-A output -j DENY")
    with pytest.raises(ValueError, match="not of input and output"):
        properties.order_does_not_matter(tables, "input:1", "output:1")
    with pytest.raises(LookupError, match="'input:2'"):
        properties.order_does_not_matter(tables, "input:1", "input:2")


def test_state_and_chance_are_refused() -> None:
    rules = rules_of("add 100 allow tcp from any to any keep-state")
    with pytest.raises(ValueError, match="rule 100 decides by more than the packet"):
        properties.agree(rules, rules_of())
