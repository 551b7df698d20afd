"""The switches side by side: every one is explained, and every known difference between the systems is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.comparison import Row, compare, descriptions, markdown, words_of
from simulator.profiles import PROFILES, BsdProfile, resolve

ROWS = compare([*PROFILES.values()])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_switch_says_what_it_does_and_how_that_is_known(row: Row) -> None:
    assert row.text
    assert row.sources, row.text


def test_no_two_switches_have_one_name() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)


def test_values_are_those_of_the_profiles() -> None:
    for row in ROWS:
        for profile, value in row.values.items():
            whole = PROFILES[profile]
            parts = (whole, whole.rules, getattr(whole, "reassembly", None))
            assert any(getattr(part, row.name, ...) == value for part in parts)


def test_a_row_knows_whether_it_differs() -> None:
    (row,) = [row for row in compare([resolve("freebsd-10"), resolve("freebsd-14")]) if row.name == "own_family"]
    assert (row.values, row.differs) == ({"freebsd-10": False, "freebsd-14": True}, True)
    (row,) = [row for row in compare([resolve("freebsd-10")]) if row.name == "own_family"]
    assert not row.differs


def test_docstrings_are_read_from_the_source() -> None:
    assert descriptions(BsdProfile)["default_accept"].startswith("Rule 65535 accepts")
    assert [*descriptions(BsdProfile)][:2] == ["rules", "default_accept"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("pass_through", True, "yes"),
        ("shutdown_errno", 0, "none"),
        ("version_errno", 22, "EINVAL"),
        ("shutdown_errno", 95, "EOPNOTSUPP"),
        ("packets", None, "no limit"),
        ("reassembles", frozenset({"out", "in"}), "in, out"),
        ("missing_words", frozenset("abcde"), "5 words"),
        ("missing_words", frozenset(), "none"),
        ("loopback", ("lo0", 16384), "lo0, 16384"),
        ("tick", 0.5, "0.5"),
    ],
)
def test_words_of_values(name: str, value: object, words: str) -> None:
    assert words_of(name, value, most=4) == words


DIFFERENCES = {
    "send without address": ["send_without_address"],
    "bind twice, same socket": ["own_family"],
    "bind port 0": ["own_family", "ephemeral"],
    "SO_REUSEPORT sharing": ["own_family", "newest_receives"],
    "getsockname": ["own_family"],
    "IP_OPTIONS on socket": ["socket_options_of_ip", "own_family"],
    "ifname lookup on send": ["looks_up_interface"],
    "EADDRNOTAVAIL on send": ["looks_up_interface"],
    "sockaddr checks on send": ["own_family"],
    "IP version check on send": ["version_errno"],
    "tag >= 65535": ["tag_beyond_list"],
    "tee original": ["tee_original"],
    "reassembly before divert": ["reassembles"],
    "reassembly before tee": ["reassembles_tee"],
    "whose tag after reassembly": ["reassembled_rule_of"],
    "diverted* options": ["missing_words"],
    "reass, call, setfib": ["missing_words"],
    "receive overflow": ["counts_overflow"],
    "no listener counters": ["counts_unheard"],
    "fast path": ["fast_forward"],
}
"""bsd.md 11.1, row by row, with the switch for each.

Rows without one are the same everywhere (privilege error, connect, the name's limit), cannot be seen from a program
(the layer of the hook; whether incoming injection is queued, since nothing runs in between), or are accepted in every
profile for the sake of programs (the protocol number: 254, 258 and PF_DIVERT).
"""


@pytest.mark.parametrize("topic", DIFFERENCES)
def test_each_difference_between_the_systems_is_a_switch(topic: str) -> None:
    """bsd.md 11.1; in ``looks_up_interface`` DragonFly differs by what it did, not by what it says it does (W-10)."""
    for name in DIFFERENCES[topic]:
        (row,) = [row for row in ROWS if row.name == name]
        assert row.differs or name == "looks_up_interface"


def test_the_page_in_the_documents_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "profiles.md"
    hint = "make it again: divertsim profiles --all --markdown > docs/profiles.md"
    assert page.read_text(encoding="utf-8").endswith(markdown(ROWS)), hint
