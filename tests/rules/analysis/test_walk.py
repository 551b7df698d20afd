"""Walks through small programs: which pieces come where, and whether they are sure to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rules.analysis import ipchains, ipfw, walk
from rules.analysis.program import Flow, Node, Program
from rules.analysis.space import Region, intersection
from rules.analysis.walk import Arrival, TooManyPiecesError, Walker
from rules.fields import Header
from rules.ipchains import Tables
from rules.ipfw import RuleSet


def program(*commands: str, profile: str = "freebsd-13") -> Program:
    rules = RuleSet(profile)
    for number, command in enumerate(commands, start=1):
        rules.run(f"add {number}00 {command}")
    return ipfw.build(rules)


def packets(made: Program, protocol: int, hook: str = "in") -> Region:
    """Whole datagrams of a protocol, in one pass."""
    space = made.space
    number = space.dimensions[space.index["protocol"]].holds(protocol)
    whole = space.dimensions[space.index["fragment"]].holds(0)
    wanted = space.at({hook})
    for name, atoms in (("protocol", number), ("fragment", whole)):
        both = intersection(wanted, space.region(name, atoms))
        assert both is not None
        wanted = both
    found, *_ = (part for valid in space.valid() if (part := intersection(valid, wanted)) is not None)
    return found


def ways(made: Program, region: Region, **how: int) -> set[tuple[object, tuple[object, ...], bool]]:
    """Where a region ends, which rules matched before, and whether that is sure."""
    labels = [node.label for node in made.nodes]
    return {
        (labels[each.node], tuple(labels[node] for node in each.matched), each.certain)
        for each in Walker(made).arrivals(region, 0, **how)
    }


TCP = 6


# Certainty


def test_a_rule_that_is_not_certain_lets_packets_go_both_ways() -> None:
    made = program("prob 0.5 deny tcp from any to any", "allow ip from any to any")
    assert ways(made, packets(made, TCP)) == {(100, (), False), (200, (), False)}
    assert ways(made, packets(made, 17)) == {(200, (), True)}


def test_what_is_not_certain_stays_so() -> None:
    made = program("prob 0.5 count ip from any to any", "count ip from any to any", "allow ip from any to any")
    assert ways(made, packets(made, TCP)) == {(300, (100, 200), False), (300, (200,), False)}


def test_looking_for_a_rule_behind_one_that_is_not_certain() -> None:
    made = program("prob 0.5 deny ip from any to any", "allow ip from any to any")
    assert ways(made, packets(made, TCP), until=1) == {(200, (), False)}
    assert ways(made, packets(made, TCP), until=0) == {(100, (), False)}


def test_reassembly_that_is_not_certain() -> None:
    made = program("prob 0.5 reass ip from any to any", "allow ip from any to any")
    space = made.space
    fragments = space.region("fragment", space.dimensions[space.index["fragment"]].holds(0x2000))
    region = intersection(fragments, space.valid()[0])
    assert region is not None
    assert ways(made, region) == {(100, (), False), (200, (), False)}


# Where packets go


def test_calls_come_back_behind_the_call() -> None:
    made = program(
        "skipto 300 ip from any to any",
        "allow ip from any to any",
        "call 500 tcp from any to any",
        "deny ip from any to any",
        "return ip from any to any",
    )
    assert ways(made, packets(made, TCP)) == {(400, (100, 300, 500), True)}
    assert ways(made, packets(made, 17)) == {(400, (100,), True)}


def test_a_return_without_a_call_goes_on() -> None:
    made = program("return ip from any to any", "allow ip from any to any")
    assert ways(made, packets(made, TCP)) == {(200, (100,), True)}


def test_calls_go_sixteen_deep_and_then_on() -> None:
    """A rule that calls itself, as often as the rule set itself does; once more it only matches (bsd.md E-34)."""
    commands = ("call 100 ip from any to any", "allow ip from any to any")
    rules = RuleSet("freebsd-13")
    for number, command in enumerate(commands, start=1):
        rules.run(f"add {number}00 {command}")
    *calls, _ = rules.evaluate(Header(total_length=100)).counted
    made = program(*commands)
    assert ways(made, packets(made, TCP)) == {(200, (*calls, 100), True)}


def test_a_rule_that_is_passed_by() -> None:
    made = program("deny tcp from any to any", "allow ip from any to any")
    assert ways(made, packets(made, TCP), without=0) == {(200, (), True)}


def test_looking_for_a_rule_finds_nothing_before_or_behind_it() -> None:
    made = program("deny tcp from any to any", "count ip from any to any", "allow ip from any to any")
    assert ways(made, packets(made, TCP), until=1) == set()
    assert ways(made, packets(made, 17), until=1) == {(200, (), True)}


def test_the_original_of_tee_goes_on_as_one_that_no_socket_wrote() -> None:
    """bsd.md X-9."""
    made = program("tee 5000 tcp from any to any", "deny ip from any to any diverted", "allow ip from any to any")
    at = made.space.index["reinjected"]
    written = made.space.region("reinjected", made.space.dimensions[at].holds("in"))
    for protocol, ends in ((TCP, (300, (100,), True)), (17, (200, (), True))):
        region = intersection(written, packets(made, protocol))
        assert region is not None
        assert ways(made, region) == {ends}
        (arrival,) = Walker(made).arrivals(region, 0)
        assert arrival.region == region  # as it came
        assert arrival.forgot == (protocol == TCP)


def test_a_chain_that_is_entered_while_it_is_passed_drops_the_packet() -> None:
    tables = Tables("linux-2.2")
    for command in ("-N one", "-N two", "-A input -j one", "-A one -p tcp -j two", "-A two -j one", "-P input ACCEPT"):
        tables.run(command)
    made = ipchains.build(tables)
    start = made.starts["input"]
    region = packets(made, TCP, "input")
    (arrival,) = Walker(made).arrivals(region, start)
    assert (made.nodes[arrival.node].label, arrival.outcome) == ("two:1", ("DENY",))
    looping = arrival.node
    assert [each.node for each in Walker(made).arrivals(region, start, until=looping)] == [looping]
    (other,) = Walker(made).arrivals(packets(made, 17, "input"), start)
    assert (made.nodes[other.node].label, other.outcome) == ("input:policy", ("ACCEPT",))


def test_pieces_are_disjoint_and_together_everything() -> None:
    made = program(
        "allow tcp from 192.0.2.0/25 to any 80-90",
        "deny ip from 192.0.2.0/24 to any in",
        "skipto 500 udp from any to 198.51.100.0/24",
        "deny ip from any to any frag",
        "allow ip from any to any",
    )

    def size(region: Region) -> int:
        found = 1
        for atoms in region:
            found *= atoms.bit_count()
        return found

    for valid in made.space.valid():
        arrivals = list(Walker(made).arrivals(valid, 0))
        assert sum(size(each.region) for each in arrivals) == size(valid)
        assert all(_disjoint(arrivals))


def _disjoint(arrivals: list[Arrival]) -> Iterator[bool]:
    for index, one in enumerate(arrivals):
        for other in arrivals[:index]:
            yield intersection(one.region, other.region) is None


def test_a_walk_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """No rule set makes one: a call without a limit, to itself."""
    made = program("allow ip from any to any")
    region = made.space.valid()[0]
    turning = Node("turn", "", None, (region,), Flow.JUMPS, target=0)
    made = Program(made.space, (turning,), made.starts, "ipfw", made.places)
    monkeypatch.setattr(walk, "MOST_STEPS", 2000)
    with pytest.raises(TooManyPiecesError, match="more than 2,000 steps"):
        list(Walker(made).arrivals(region, 0))
