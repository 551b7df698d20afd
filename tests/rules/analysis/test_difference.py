"""Two lists differ exactly if some packet of a tiny space is treated differently."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import product
from random import Random
from typing import Any

from alike import Asked, classes, lowest, others
from hypothesis import given, note, settings
from hypothesis import strategies as st

from rules.analysis.difference import cuts, differences
from rules.analysis.ipfw import build
from rules.fields import Header
from rules.ipfw import RuleSet

ADDRESSES = ["any", "any", "10.0.0.0/31", "10.0.0.1", "not 10.0.0.1"]
PROTOCOLS = ["ip", "ip", "tcp", "udp"]
PORTS = ["", " 80", " 80-90"]
OPTIONS = ["", "", " in", " out", " frag", " diverted"]
ACTIONS = ["allow", "allow", "deny", "deny", "skipto 400", "count", "reject", "divert 5000", "tee 5000", "tee 6000"]

Body = tuple[str, str, str, str, str]
"""Action, protocol, source, port, option."""


def questions(body: Body) -> Iterator[str]:
    _, protocol, source, port, option = body
    yield f"{protocol} from any to any{port}"
    yield f"ip from {source} to any{option}"


@st.composite
def lists(draw: st.DrawFn, most: int = 12) -> list[tuple[int, Body]]:
    """Numbers and bodies."""
    found = []
    for number in range(1, draw(st.integers(0, most)) + 1):
        protocol = draw(st.sampled_from(PROTOCOLS))
        port = draw(st.sampled_from(PORTS)) if protocol != "ip" else ""
        action, source, option = (draw(st.sampled_from(each)) for each in (ACTIONS, ADDRESSES, OPTIONS))
        found.append((number * 100, (action, protocol, source, port, option)))
    return found


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[tuple[int, Body]], list[tuple[int, Body]]]:
    """Two lists, mostly near each other: one rule changed, left out or put in, two exchanged."""
    one = draw(lists())
    change = draw(st.sampled_from(["other", "change", "leave out", "put in", "exchange", "renumber", "same"]))
    if change == "other":
        return one, draw(lists(most=5))
    other = list(one)
    at = draw(st.integers(0, len(one)))
    new = draw(lists(most=1)) or [(100, ("count", "ip", "any", "", ""))]
    if change == "put in":
        other.insert(at, (at * 100 + 50, new[0][1]))
    elif change == "renumber":
        other = [(number + 10, body) for number, body in one]
    elif at < len(one):
        if change == "change":
            other[at] = (one[at][0], new[0][1])
        elif change == "leave out":
            del other[at]
        elif change == "exchange" and at:
            other[at - 1 : at + 1] = [(one[at - 1][0], one[at][1]), (one[at][0], one[at - 1][1])]
    return one, other


def made(commands: list[str], profile: str = "freebsd-10") -> RuleSet:
    rules = RuleSet(profile)
    for command in commands:
        rules.run(command)
    return rules


def commands(drawn: list[tuple[int, Body]]) -> list[str]:
    return [
        f"add {number} {action} {protocol} from {source} to any{port}{option}"
        for number, (action, protocol, source, port, option) in drawn
    ]


def _packets() -> Iterator[Header]:
    for source, protocol, fragment, port, leaves, wrote in product(
        (0x0A000000, 0x0A000001, 0x0A000002),
        (6, 17, 47),
        (0, 0x2000, 5, 1),
        (80, 85, 7),
        (None, "em1"),
        (None, "in", "out"),
    ):
        has = protocol != 47 and fragment not in (5, 1)
        yield Header(
            source=source,
            destination=1,
            protocol=protocol,
            fragment=fragment,
            total_length=100,
            source_port=1 if has else None,
            destination_port=port if has else None,
            tcp_flags=2 if protocol == 6 and has else None,
            receive_interface="em0",
            transmit_interface=leaves,
            reinjected=wrote,
        )


def _matching(body: str) -> Any:
    rules = made([f"add 1 allow {body}"])
    return lambda packet: 1 in rules.evaluate(packet).counted


SPACE = Asked(list(_packets()), _matching)
WRITTEN = sum(1 << index for index, packet in enumerate(SPACE.points) if packet.reinjected)

BOGUS = sum(1 << index for index, packet in enumerate(SPACE.points) if packet.fragment == 1 and packet.protocol == 6)
"""What FreeBSD 13 drops before any rule."""

End = tuple[tuple[Any, ...], ...]


def search(rules: RuleSet, packet: Header, tag: int = 0) -> tuple[End, tuple[int | None, ...]]:
    """The copies of tee and the end; and the rules that decided each."""
    verdict = rules.evaluate(packet, tag)
    found: list[tuple[Any, ...]] = []
    deciders: list[int | None] = []
    while True:
        found.append((verdict.action, verdict.port, verdict.code))
        deciders.append(verdict.rule)
        if verdict.resume is None:
            return tuple(found), tuple(deciders)
        verdict = rules.evaluate(packet, resume=verdict.resume)


def differ(one: RuleSet, other: RuleSet, alike: list[int]) -> bool:
    """Whether something else becomes of any packet: in a first pass, or behind two rules that gave one to a program."""
    begun, coming = {(0, 0)}, [(0, 0)]
    while coming:
        tags = coming.pop()
        for group in alike:
            if tags == (0, 0) or group & WRITTEN:
                packet = SPACE.points[lowest(group)]
                (ends, deciders), (others_ends, others_deciders) = (
                    search(rules, packet, tag) for rules, tag in zip((one, other), tags, strict=True)
                )
                if ends != others_ends:
                    return True
                for (_, port, _), *pair in zip(ends, deciders, others_deciders, strict=True):
                    behind = (pair[0] or 0, pair[1] or 0)
                    if port and behind not in begun:
                        begun.add(behind)
                        coming.append(behind)
    return False


@settings(max_examples=int(os.environ.get("DIVERTSIM_EXAMPLES", "300")), deadline=None)
@given(pairs(), st.tuples(*[st.sampled_from(["freebsd-10", "freebsd-13"])] * 2), st.randoms(use_true_random=False))
def test_a_difference_is_found_exactly_if_there_is_one(
    drawn: tuple[list[tuple[int, Body]], list[tuple[int, Body]]], profiles: tuple[str, str], random: Random
) -> None:
    one, other = (commands(each) for each in drawn)
    note("\n".join([*one, "--", *other]))
    first, second = made(one, profiles[0]), made(other, profiles[1])
    extra = [cut for rules in (first, second) for cut in cuts(build(rules, short=True).space)]
    programs = [build(rules, extra=extra, short=True) for rules in (first, second)]
    found = list(differences(programs[0], programs[1]))
    matching = [SPACE.all(questions(body)) for each in drawn for _, body in each]
    alike = classes(SPACE.everything, [*matching, WRITTEN, BOGUS])
    for group in alike:
        for index in others(group, random):
            for rules in (first, second):
                assert search(rules, SPACE.points[index]) == search(rules, SPACE.points[lowest(group)])
    assert bool(found) == differ(first, second, alike)
    for each in found:
        tags = each.behind or (0, 0)
        answers = [
            search(rules, each.witness.header, int(tag)) for rules, tag in zip((first, second), tags, strict=True)
        ]
        labels = [None if isinstance(label, str) else label for label in (each.one, each.other)]
        assert [answer[1][-1] for answer in answers] == labels
        assert answers[0][0] != answers[1][0]
