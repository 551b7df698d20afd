"""Where a packet goes on that a divert socket wrote: one sentence, tried on random rule lists of every BSD."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simulator.sockets.divert import DivertSocket
from tests.bsd_worlds import ALL, LEFT, OUTGOING, OWN, RIGHT, BsdWorld
from tests.datagrams import udp

DISABLED = 5

NUMBERS = st.sampled_from([100, 100, 100, 200, 200, 300]) | st.integers(1, 65534)
SETS = st.sampled_from([0, 0, 0, DISABLED])
ACTIONS = st.sampled_from(["count", "count", "divert 8668", "allow", "deny", "skipto 200"])
LISTS = st.lists(st.tuples(NUMBERS, SETS, ACTIONS), min_size=1, max_size=10)
Rules = list[tuple[int, int, str]]


@pytest.mark.parametrize("profile", ALL)
@pytest.mark.statement("bsd.md X-1", "bsd.md X-2", "bsd.md X-4", "bsd.md X-5")
@given(LISTS, st.data())
@example([(100, 0, "divert 8668"), (100, 0, "deny"), (200, 0, "allow")], None)
def test_what_is_written_first_meets_the_first_rule_with_a_number_strictly_above_its_tag(
    profile: str, rules: Rules, data: st.DataObject | None
) -> None:
    """X-1, X-2, X-4, X-5: whatever rules carry the tag's own number, however many, before or behind the one that
    diverted; whether or not any does; and sets that are switched off do not count."""
    tag = data.draw(st.sampled_from([0, *(number for number, _, _ in rules)]) | st.integers(0, 65534)) if data else 100
    outgoing = data.draw(st.booleans()) if data else False
    world = BsdWorld(profile)
    direction = "out" if outgoing else "in"
    for number, owner, action in rules:
        world.router.ipfw(f"add {number} set {owner} {action} ip from any to any {direction}")
    world.router.ipfw(f"set disable {DISABLED}")
    sock = world.divert()

    listed = [(rule.number, rule.set) for rule in world.router.rules]
    write(sock, outgoing, tag)
    met = [place for place, counter in enumerate(world.router.rules.counters) if counter.packets]

    assert met[0] == next(place for place, (number, owner) in enumerate(listed) if number > tag and owner != DISABLED)
    assert world.router.ledger.balanced


def write(sock: DivertSocket, outgoing: bool, tag: int) -> None:
    octets = udp(LEFT, RIGHT)
    try:
        sock.sendto(octets, (OUTGOING[0] if outgoing else OWN, tag))
    except PermissionError:
        assert outgoing  # denied by a later rule (W-15)


@pytest.mark.parametrize("profile", ALL)
@pytest.mark.statement("bsd.md X-1")
@given(LISTS)
def test_what_is_echoed_does_not_meet_the_rules_that_share_the_number_of_the_one_that_diverted_it(
    profile: str, rules: Rules
) -> None:
    """X-1 with the address as it came: the tag is the number of the rule."""
    world = BsdWorld(profile)
    world.router.ipfw("add 100 divert 8668 ip from any to any in")
    for number, owner, action in rules:
        world.router.ipfw(f"add {number} set {owner} {action} ip from any to any in")
    world.router.ipfw("add 50 skipto 100 ip from any to any in")
    world.router.ipfw(f"set disable {DISABLED}")
    sock = world.divert()
    world.em0.receive(udp(LEFT, RIGHT))
    if not sock.readable:
        return  # a rule before decided otherwise
    octets, address = sock.recvfrom(65535)
    before = [counter.packets for counter in world.router.rules.counters]
    sock.sendto(octets, address)
    after = [(counter.number, counter.packets) for counter in world.router.rules.counters]
    met = [number for (number, packets), old in zip(after, before, strict=True) if packets > old]
    assert all(number > address.tag for number in met)
