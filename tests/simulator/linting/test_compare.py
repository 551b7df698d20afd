"""Differences between two rule files are told with packets that have been through both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from simulator.cli import main
from simulator.linting import compare as comparing
from simulator.linting.compare import Pair, compare
from simulator.linting.files import Conditions, RuleFile
from simulator.linting.packets import Shown, shown

CHAINS = """-P input DENY
-A input -p tcp -d 192.0.2.1 80 -j ACCEPT
-A input -f -j ACCEPT
-A input -p udp --dport 65535 -j DIVERT 5000
-A output -s 192.0.2.1 -j REJECT
"""
IPFW = """add 100 divert 5000 ip from any to any in
add 200 reass ip from any to any
add 300 allow tcp from any to any 80-90
add 400 tee 6000 udp from any to any
add 500 allow ip from any to any out
"""
NO_REASS = IPFW.replace("add 200 reass ip from any to any\n", "")


def file(text: str, profile: str) -> RuleFile:
    return RuleFile(text, Conditions(profile=profile, interfaces={}))


def becomes(answer: Mapping[str, Any]) -> tuple[Any, ...]:
    """What becomes of a packet, in words that both dialects share, whichever rule decides."""
    word = answer["verdict"].lower().replace("reject", "unreach")
    then = becomes(answer["tee_then"]) if "tee_then" in answer else ()
    return (word, answer.get("port"), *then)


FILES = [
    (IPFW, "freebsd-13", NO_REASS.replace("80-90", "80"), "freebsd-13"),
    (IPFW, "freebsd-13", IPFW.replace("500 allow", "500 deny").replace("tee 6000", "tee 6001"), "freebsd-13"),
    (NO_REASS, "freebsd-13", NO_REASS, "freebsd-4"),
    (IPFW, "freebsd-10", "", "freebsd-14"),
    (CHAINS, "linux-2.2", IPFW, "freebsd-13"),
    (IPFW, "freebsd-13", CHAINS, "linux-2.2"),
    (CHAINS, "linux-2.2", CHAINS, "linux-2.0"),
    (CHAINS, "linux-2.2", CHAINS.replace("-A input -f", "-A input ! -f"), "linux-2.2"),
]


@pytest.mark.parametrize(("one", "profile", "other", "profile_b"), FILES)
def test_every_packet_shows_the_difference_that_it_is_told_for(
    one: str, profile: str, other: str, profile_b: str
) -> None:
    files = file(one, profile), file(other, profile_b)
    pairs, _ = compare(*files)
    assert pairs
    for pair in pairs:
        assert pair.is_certain
        if "reass" in " ".join(pair.outcomes):
            continue  # what is tried is one fragment, and what becomes of it alone is what becomes of it without reass
        tags = pair.difference.behind or (0, 0)
        answers = [
            each.reloaded().decide({**pair.packet.given, "octets": pair.packet.octets.hex(), "start_after": tag})
            for each, tag in zip(files, tags, strict=True)
        ]
        assert becomes(answers[0]) != becomes(answers[1])


def test_what_comes_back_is_shown_behind_the_rules_that_gave_it_away() -> None:
    one = "add 100 divert 5000 ip from any to any\nadd 200 allow ip from any to any\n"
    other = "add 150 divert 5000 ip from any to any\nadd 200 deny ip from any to any\n"
    (pair,) = compare(file(one, "freebsd-13"), file(other, "freebsd-13"))[0]
    assert (pair.difference.behind, pair.packet.reinjected, pair.is_certain) == ((100, 150), pair.packet.hook, True)
    assert pair.as_json()["behind"] == {"a": 100, "b": 150}
    assert pair.words.endswith(f"(written by a divert socket, as {pair.packet.hook}), behind 100 and 150")


def test_copies_that_come_back_count_as_well() -> None:
    """In the first pass nobody sees a difference: only what a program writes asks the second rule."""
    one = "add 100 tee 5000 ip from any to any\nadd 200 deny ip from any to any diverted\n"
    one += "add 300 allow ip from any to any\n"
    (pair,) = compare(file(one, "freebsd-13"), file(one.replace("deny", "count"), "freebsd-13"))[0]
    assert (pair.outcomes, pair.difference.behind) == (("deny", "accept"), (100, 100))
    assert pair.is_certain


def _elsewhere(pair_packet: Shown) -> Shown:
    octets = bytearray(pair_packet.octets)
    octets[9] = 47
    return replace(pair_packet, octets=bytes(octets))


ACCEPTING = "add 100 allow tcp from any to any\n"


def test_a_packet_that_does_not_show_the_difference_makes_it_uncertain(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Which would be a fault of ours."""
    monkeypatch.setattr(comparing, "shown", lambda witness: _elsewhere(shown(witness)))
    files = file(ACCEPTING, "freebsd-13"), file(ACCEPTING.replace("allow", "reset"), "freebsd-13")
    (pair,) = compare(*files)[0]
    assert (pair.difference.certain, pair.is_certain, pair.as_json()["certain"]) == (True, False, False)
    paths = [tmp_path / name for name in "ab"]
    for path, each in zip(paths, files, strict=True):
        path.write_text(each.text)
    said = CliRunner().invoke(main, ["diff", *map(str, paths), "--profile", "freebsd-13"]).stdout
    assert "(perhaps: the packet did not show it when it was tried)" in said


def test_one_side_that_does_not_show_it_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """With TCP made GRE, the second list does what is told of it: it denies."""
    monkeypatch.setattr(comparing, "shown", lambda witness: _elsewhere(shown(witness)))
    (pair,) = compare(file(ACCEPTING, "freebsd-13"), file("", "freebsd-13"))[0]
    assert not pair.is_certain


def test_of_packets_for_the_same_rules_a_sure_one_is_told() -> None:
    """Of TCP chance decides, of the rest nothing but the rules."""
    unsure = "add 100 prob 0.5 count tcp from any to any\nadd 200 allow ip from any to any\n"
    (pair,) = compare(file(unsure, "freebsd-13"), file("", "freebsd-13"))[0]
    assert _protocol(pair) != 6
    assert pair.is_certain
    everything = unsure.replace("tcp", "ip")
    (pair,) = compare(file(everything, "freebsd-13"), file("", "freebsd-13"))[0]
    assert not pair.is_certain


def _protocol(pair: Pair) -> int:
    return pair.packet.octets[9]


def test_one_file_under_two_profiles_is_called_by_them(tmp_path: Path) -> None:
    path = tmp_path / "rules"
    path.write_text(CHAINS)
    words = ["diff", str(path), str(path), "--profile", "linux-2.2", "--profile-b", "linux-2.0"]
    first, *_ = CliRunner().invoke(main, words).stdout.splitlines()
    assert first == (f"{path} (linux-2.2): accept by input:2; {path} (linux-2.0): deny by input:short-transport-header")
