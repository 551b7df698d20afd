"""The ways that packets took, counted; and filters."""

from __future__ import annotations

import pytest

from simulator.scenario.reading import read
from simulator.scenario.runner import play
from simulator.spoken import build, parse
from simulator.traces.journeys import Journey, SelectionError, Selector, journeys
from simulator.traces.paths import Paths

WORLD = """
router linux-2.2
interface eth0 192.168.1.1/24
interface eth1 10.0.0.1/24
ipchains -A input -p udp -j DENY
allow other packets
"""


def ways(text: str) -> list[Journey]:
    (case,) = play(read(WORLD + text, "a.scn")).cases
    return journeys(("", moment.event) for moment in case.moments)


def test_ways_are_grouped_and_counted() -> None:
    paths = Paths(
        ways(
            "eth0 receives icmp from 192.168.1.2 to 10.0.0.2\n" * 11
            + "eth0 receives udp from 192.168.1.2 to 10.0.0.2\n" * 2
        )
    )
    forwarded = (
        "received eth0 > input ACCEPT (input:policy) > forward ACCEPT (forward:policy) > output ACCEPT (output:policy) "
        "> transmitted eth1"
    )
    assert str(paths).splitlines() == [
        "13 packets, 2 ways",
        f"11  {forwarded}",
        " 2  received eth0 > input DENY (input:1) > dropped DENIED",
    ]
    assert paths.as_json()[1] == {"count": 2, "path": ["received eth0", "input DENY (input:1)", "dropped DENIED"]}


def test_nothing_is_no_way() -> None:
    assert str(Paths()) == "0 packets, 0 ways"


@pytest.mark.parametrize(
    ("body", "taken"),
    [
        ("icmp from any to 10.0.0.2", True),
        ("icmp from any to 10.0.0.3", False),
        ("ip from 192.168.0.0/16 to any", True),
    ],
)
def test_a_filter_is_the_body_of_a_rule(body: str, taken: bool) -> None:
    assert Selector(body)(build(parse("icmp from 192.168.1.2 to 10.0.0.2"))) == taken


def test_a_filter_that_is_none() -> None:
    with pytest.raises(SelectionError, match="unrecognised option"):
        Selector("foo from any")
