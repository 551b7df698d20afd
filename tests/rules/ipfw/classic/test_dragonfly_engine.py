"""What DragonFly's rules ask that FreeBSD 4's do not, and ``defrag`` (DF-6); whose counters state entries have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rules.fields import Header
from rules.ipfw import Action, Host, RuleSet

DATAGRAM = Header(
    source=0x0A000002,
    destination=0x08080808,
    protocol=17,
    source_port=1000,
    destination_port=53,
    total_length=60,
    payload_length=40,
    receive_interface="em0",
)
FIRST = replace(DATAGRAM, fragment=0x2000)
LATER = replace(DATAGRAM, fragment=5, source_port=None, destination_port=None)


def rule_set(*commands: str, **more: object) -> RuleSet:
    made = RuleSet("dragonfly", Host({"em0": "10.0.0.1/24"}), default="allow", **more)  # type: ignore[arg-type]
    for command in commands:
        made.run(command)
    return made


def matches(rule: str, header: Header, *before: str) -> bool:
    return rule_set(*before, f"add 100 deny {rule}").evaluate(header).rule == 100


@pytest.mark.statement("bsd.md DF-6")
@pytest.mark.profiles("dragonfly")
class TestDefrag:
    @pytest.mark.parametrize(
        ("header", "counted"),
        [
            (DATAGRAM, []),
            (FIRST, [100]),
            (LATER, [100]),
            (replace(LATER, receive_interface="em0", transmit_interface="em1"), []),
        ],
        ids=["whole", "first fragment", "later fragment", "leaving"],
    )
    def test_only_incoming_fragments_are_kept_and_counted(self, header: Header, counted: list[int]) -> None:
        verdict = rule_set("add 100 defrag ip from any to any").evaluate(header)
        assert verdict.action is (Action.DEFRAG if counted else Action.ALLOW)
        assert list(verdict.counted) == (counted or [65535])

    def test_the_whole_goes_on_behind_the_rule(self) -> None:
        rules = rule_set(
            "add 100 defrag ip from any to any",
            "add 100 count ip from any to any",
            "add 200 deny udp from any to any 53",
        )
        verdict = rules.evaluate(LATER)
        assert verdict.resume is not None
        whole = rules.evaluate(DATAGRAM, resume=verdict.resume)
        assert (whole.action, whole.rule, whole.counted) == (Action.DENY, 200, (100, 200))
        assert [counter.packets for counter in rules.counters] == [1, 1, 1, 0]

    def test_the_log_has_no_word_for_it(self) -> None:
        verdict = rule_set("add 100 defrag log ip from any to any").evaluate(FIRST)
        assert verdict.log[0].startswith("ipfw: 100 UNKNOWN UDP 10.0.0.2:1000 8.8.8.8:53 in via em0")


@pytest.mark.parametrize(
    ("rule", "header", "answer"),
    [
        ("ip from any to any ipfrag", DATAGRAM, False),
        ("ip from any to any ipfrag", FIRST, True),
        ("ip from any to any ipfrag", LATER, True),
        ("ip from any to any frag", FIRST, False),
        ("icmp from any to any icmpcodes 1,3", replace(DATAGRAM, protocol=1, icmp_type=3, icmp_code=3), True),
        ("icmp from any to any icmpcodes 1,3", replace(DATAGRAM, protocol=1, icmp_type=3, icmp_code=2), False),
        ("icmp from any to any icmptypes 40", replace(DATAGRAM, protocol=1, icmp_type=40, icmp_code=0), True),
        ("ip from [em0:net] to any", DATAGRAM, True),
        ("ip from [em0] to any", DATAGRAM, False),
        ("ip from [em0] to any", replace(DATAGRAM, source=0x0A000001), True),
        ("ip from [em1:net] to any", DATAGRAM, False),
        ("ip from any to not [em0:net]", DATAGRAM, True),
    ],
)
def test_questions(rule: str, header: Header, answer: bool) -> None:
    assert matches(rule, header) is answer


class TestTables:
    ENTRIES = ("table 3 create", "table 3 add 10/8 10.0.0/24")

    @pytest.mark.parametrize(
        ("rule", "answer"),
        [
            ("ip from <3> to any", True),
            ("ip from any to <3>", False),
            ("ip from any to not <3>", True),
            ("ip from <4> to any", False),
            ("ip from { 1.2.3.4 or <3> } to any", True),
        ],
    )
    def test_addresses_are_looked_up(self, rule: str, answer: bool) -> None:
        assert matches(rule, DATAGRAM, *self.ENTRIES) is answer

    def test_a_rule_may_come_before_its_table_and_outlives_it(self) -> None:
        rules = rule_set("add 100 deny ip from <3> to any")
        found = []
        for command in ("list", *self.ENTRIES, "table 3 destroy", *self.ENTRIES):
            rules.run(command)
            found.append(rules.evaluate(DATAGRAM).rule)
        assert found == [65535, 65535, 100, 65535, 65535, 100]

    @pytest.mark.parametrize("engine", ["plain", "fast"])
    def test_the_longest_entry_remembers_each_use(self, engine: str) -> None:
        rules = rule_set(*self.ENTRIES, "add 100 count ip from <3> to any", now=86400.0, engine=engine)
        for _ in range(3):
            rules.evaluate(DATAGRAM)
        assert rules.run("table 3 show") == "0 10.0.0.0/8\n3 10.0.0.0/24\n"
        assert rules.run("-t table 3 print") == (f"{'':25}10.0.0.0/8\nFri Jan  2 00:00:00 1970 10.0.0.0/24\n")
        rules.now = 86460.0
        assert rules.run("table 3 expire 100") == "Expired 1 address\n"
        assert rules.run("table 3 print") == "10.0.0.0/24\n"
        rules.run("table 3 zero")
        assert rules.run("table 3 show") == "0 10.0.0.0/24\n"


def test_an_entry_counts_the_packet_that_made_it() -> None:
    """ip_fw2.c of DragonFly; D-10 elsewhere."""
    listings = []
    for system in ("dragonfly", "freebsd-4"):
        rules = RuleSet(system, ipfw_dialect="ipfw2", now=1000000.0)
        rules.run("add 100 allow udp from any to any keep-state")
        for _ in range(2):
            rules.evaluate(DATAGRAM)
        listings.append(rules.run("-d list").splitlines()[-1])
    assert listings == [
        "00100 2 120 (10s) STATE udp 10.0.0.2 1000 <-> 8.8.8.8 53",
        "00100 1 60 (10s) STATE udp 10.0.0.2 1000 <-> 8.8.8.8 53",
    ]
