"""The comparison of the HOWTO's section 6.1, as it comes out when each mechanism is tried (howto.md 3, 4; O10, N5)."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator import PROFILES
from simulator.mechanisms import ask, mechanisms_of, sightings
from simulator.mechanisms.page import markdown

LINUX = ["linux-2.2", "linux-2.0"]
BSD = [name for name in PROFILES if name not in LINUX]

EXPECTED_OF_LINUX = {
    # forwarded, for us, our own, denied; hold, change; send, meets the firewall, put in; given back, sent; share
    "packet tap": "yes yes yes yes  no  no   yes no  -    no  no  yes",
    "raw socket": "no  yes no  no   no  -    yes yes no   -   no  no",
    "netlink copy": "yes yes yes no   no  no   -   -   -    -   -   no",
    "divert socket": "yes yes yes no   yes yes  yes yes yes  no  no  yes",
}
EXPECTED_OF_BSD = {
    "packet tap": "yes yes yes yes  no  no   yes no  -    yes yes yes",
    "raw socket": "no  no  no  no   no  -    yes yes no   -   no  -",
    "tee": "yes yes yes no   no  no   yes yes yes  no  yes yes",
    "divert socket": "yes yes yes no   yes yes  yes yes yes  no  yes yes",
}


def answers(profile: str) -> dict[str, list[str]]:
    return {each.name: [answer.word for _, answer in ask(profile, each)] for each in mechanisms_of(profile)}


@pytest.mark.parametrize("profile", LINUX)
@pytest.mark.statement("howto.md 3", "howto.md 4", "linux.md O10", "linux.md N5")
def test_what_each_can_do_on_linux(profile: str) -> None:
    assert answers(profile) == {name: words.split() for name, words in EXPECTED_OF_LINUX.items()}


@pytest.mark.parametrize("profile", BSD)
def test_what_each_can_do_on_a_bsd(profile: str) -> None:
    assert answers(profile) == {name: words.split() for name, words in EXPECTED_OF_BSD.items()}


@pytest.mark.parametrize("profile", PROFILES)
def test_one_packet(profile: str) -> None:
    packet, found = sightings(profile)
    by_name = {each.mechanism: each for each in found}
    assert "ttl 64" in packet
    assert [where for where, _ in by_name["packet tap"].seen] == ["eth0 in", "eth1 out"]
    assert by_name["raw socket"].seen == []
    diverted = by_name["divert socket"].seen
    # Before FreeBSD 5 tee ends the search, so that the divert rule behind it gets nothing.
    assert [words.partition(", ")[2] for _, words in diverted] == (
        [] if profile in ("freebsd-4", "dragonfly") else ["ttl 63, 36 octets"]
    )


@pytest.mark.parametrize("profile", ["linux-2.2", "freebsd-14"])
def test_the_page_in_the_documents_is_up_to_date(profile: str) -> None:
    page = Path(__file__).parents[3] / "docs" / "mechanisms.md"
    hint = f"make it again: divertsim compare --markdown --profile {profile}"
    assert markdown(profile) in page.read_text(encoding="utf-8"), hint
