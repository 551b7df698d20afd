"""Two lists differ exactly if some packet of a tiny space is treated differently."""

from __future__ import annotations

import os

from hypothesis import given, note, settings
from hypothesis import strategies as st

from rules.analysis.difference import cuts, differences
from rules.analysis.ipfw import build
from rules.fields import Header
from rules.ipfw import RuleSet

ADDRESSES = ["any", "10.0.0.0/31", "10.0.0.1", "not 10.0.0.1"]
PROTOCOLS = ["ip", "tcp", "udp"]
PORTS = ["", " 80", " 80-90"]
OPTIONS = ["", "", " in", " out", " frag"]
ACTIONS = ["allow", "deny", "skipto 400", "count", "reject"]


@st.composite
def bodies(draw: st.DrawFn) -> list[str]:
    found = []
    for number in range(1, draw(st.integers(1, 4)) + 1):
        protocol = draw(st.sampled_from(PROTOCOLS))
        ports = draw(st.sampled_from(PORTS)) if protocol != "ip" else ""
        words = [draw(st.sampled_from(each)) for each in (ACTIONS, ADDRESSES, OPTIONS)]
        found.append(f"add {number}00 {words[0]} {protocol} from {words[1]} to any{ports}{words[2]}")
    return found


SPACE = [
    Header(
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
    )
    for source in (0x0A000000, 0x0A000001, 0x0A000002)
    for protocol in (6, 17, 47)
    for fragment in (0, 0x2000, 5)
    for port in (80, 85, 7)
    for leaves in (None, "em1")
    for has in [protocol != 47 and fragment != 5]
]


def made(commands: list[str]) -> RuleSet:
    rules = RuleSet("freebsd-10")
    for command in commands:
        rules.run(command)
    return rules


@settings(max_examples=int(os.environ.get("DIVERTSIM_EXAMPLES", "60")), deadline=None)
@given(bodies(), bodies(), st.booleans())
def test_a_difference_is_found_exactly_if_there_is_one(one: list[str], other: list[str], near: bool) -> None:
    other = [*one[:-1], *other[-1:]] if near else other
    note("\n".join([*one, "--", *other]))
    first, second = made(one), made(other)
    extra = [cut for rules in (first, second) for cut in cuts(build(rules, short=True).space)]
    programs = [build(rules, extra=extra, short=True) for rules in (first, second)]
    found = list(differences(programs[0], programs[1]))
    before = [first.evaluate(packet) for packet in SPACE]
    after = [second.evaluate(packet) for packet in SPACE]
    differ = any((a.action, a.code) != (b.action, b.code) for a, b in zip(before, after, strict=True))
    assert bool(found) == differ
    for each in found:
        answers = [rules.evaluate(each.witness.header) for rules in (first, second)]
        assert tuple(answer.rule for answer in answers) == (each.one, each.other)
