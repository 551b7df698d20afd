"""The second language in the tools of 2003: what FreeBSD 4's ipfw2 and DragonFly list and refuse (M-2a, DF-6)."""

from __future__ import annotations

import pytest

from rules.ipfw import RuleSet

BODY = "ip from any to any"


def rule_set(system: str) -> RuleSet:
    return RuleSet(system, ipfw_dialect="ipfw2")


LISTED = [
    (f"divert 0x10 {BODY}", f"divert 16 {BODY}"),
    (f"divert 010 {BODY}", f"divert 8 {BODY}"),
    (f"divert 70000 {BODY}", f"divert 4464 {BODY}"),
    (f"tee natd {BODY}", f"tee 8668 {BODY}"),
    (f"reject {BODY}", f"reject {BODY}"),
    (f"set 30 allow {BODY}", f"allow {BODY}"),
    (f"skipto tablearg {BODY}", f"skipto 0 {BODY}"),
    (
        "allow { tcp or udp } from { 1.2.3.4 or not me } to any 80",
        "allow { tcp or udp } from { 1.2.3.4 or not me } to any dst-port 80",
    ),
    ("allow ip from 1.2.3.0/24{1,5} to any", "allow ip from 1.2.3.0/24{1,5} to any"),
    (f"allow {BODY} ipttl 5-7", f"allow {BODY} ipttl 5"),
    (f"allow {BODY} iplen 20,30", f"allow {BODY} iplen 20"),
    (f"allow {BODY} tcpoptions cc,!mss", f"allow {BODY} tcpoptions !mss,cc"),
    (f"prob 0.5 allow log logamount 5 {BODY}", f"prob 0.500000 allow log logamount 5 {BODY}"),
    ("allow in", f"allow {BODY} in"),
]

ONLY_FREEBSD = [
    (f"allow {BODY} bridged", f"allow {BODY} layer2"),
    (f"allow {BODY} tcpseq 4294967295", f"allow {BODY} tcpseq -1"),
    (f"allow {BODY} via 10.0.0.1", f"allow {BODY} via 10.0.0.1"),
    (f"allow {BODY} via tun", f"allow {BODY} via tun0"),
]

ONLY_DRAGONFLY = [
    (f"defrag {BODY}", f"defrag {BODY}"),
    ("allow ip from <3> to not <63>", "allow ip from <3> to not <63>"),
    ("allow ip from [em0:net] to not [em1]", "allow ip from [em0:net] to not [em1]"),
    ("allow icmp from any to any icmpcode 3,1", "allow icmp from any to any icmpcodes 1,3"),
    ("allow icmp from any to any icmptypes 40", "allow icmp from any to any icmptypes 40"),
    (f"allow {BODY} ipfrag", f"allow {BODY} ipfrag"),
    (f"allow {BODY} tcpseq 4294967295", f"allow {BODY} tcpseq 4294967295"),
    (f"allow {BODY} via 10.0.0.1", f"allow {BODY} via 10.0.0.1 via "),
    (f"allow {BODY} via tun", f"allow {BODY} via tun"),
]

ALL_LISTED = [
    *[(system, *row) for row in LISTED for system in ("freebsd-4", "dragonfly")],
    *[("freebsd-4", *row) for row in ONLY_FREEBSD],
    *[("dragonfly", *row) for row in ONLY_DRAGONFLY],
]


@pytest.mark.parametrize(("system", "typed", "listed"), ALL_LISTED)
def test_what_is_typed_is_listed_so(system: str, typed: str, listed: str) -> None:
    rules = rule_set(system)
    assert rules.run(["add", *typed.split()]) == f"00100 {listed}\n"
    assert rules.run("list 100") == f"00100 {listed}\n"


REFUSED = [
    ("divert", "missing divert/tee port", 64),
    ("tee", "missing divert/tee port", 64),
    (f"divert 0 {BODY}", "illegal divert/tee port", 65),
    (f"divert foo {BODY}", "illegal divert/tee port", 65),
    (f"set 31 allow {BODY}", "illegal set 31", 65),
    ("allow ip from 1.2.3.4,5.6.7.8 to any", "hostname ``1.2.3.4,5.6.7.8'' unknown", 68),
    ("allow ip from table(3) to any", "hostname ``table(3)'' unknown", 68),
    ("allow ip from not 0.0.0.0/0 to any", "not any never matches", 65),
    ("allow tcp from any to any 80x", "invalid separator <x> in <80x>\n", 65),
    ("allow tcp from any to any dst-port foo", "invalid destination port foo", 65),
    (f"allow {BODY} bogus", "unrecognised option [-1] bogus\n", 64),
    (f"allow {BODY} limit 3", "missing limit mask", 64),
    ("pipe", "missing skipto/pipe/queue number", 64),
]

ONLY_FREEBSD_REFUSES = [
    (f"defrag {BODY}", "invalid action defrag\n", 65),
    (f"allow {BODY} ipfrag", "unrecognised option [-1] ipfrag\n", 64),
    (f"allow {BODY} icmpcodes 3", "unrecognised option [-1] icmpcodes\n", 64),
    (f"allow {BODY} icmptypes 40", "ICMP type out of range", 65),
    ("allow ip from <3> to any", "hostname ``<3>'' unknown", 68),
    ("allow ip from [em0] to any", "hostname ``[em0]'' unknown", 68),
    (f"allow {BODY} rdr 10.0.0.1,80", "unrecognised option [-1] rdr\n", 64),
]

ONLY_DRAGONFLY_REFUSES = [
    ("defrag", "missing protocol", 64),
    ("allow ip from <64> to any", "getsockopt(IP_FW_ADD): Invalid argument", 69),
    (f"allow {BODY} bridged", "unrecognised option [-1] bridged\n", 64),
    (f"allow {BODY} rdr 10.0.0.1,80", "rdr is not modelled here", 69),
    (f"allow {BODY} redirect 10.0.0.1,80", "rdr is not modelled here", 69),
]

ALL_REFUSED = [
    *[(system, *row) for row in REFUSED for system in ("freebsd-4", "dragonfly")],
    *[("freebsd-4", *row) for row in ONLY_FREEBSD_REFUSES],
    *[("dragonfly", *row) for row in ONLY_DRAGONFLY_REFUSES],
]


@pytest.mark.parametrize(("system", "typed", "text", "status"), ALL_REFUSED)
def test_what_is_refused_changes_nothing(system: str, typed: str, text: str, status: int) -> None:
    rules = rule_set(system)
    assert rules.execute(f"add {typed}") == ("", f"ipfw: {text}\n", status)
    assert len(rules) == 1


LATER_ACTIONS = [
    "nat 1",
    "reass",
    "call 5",
    "return",
    "setfib 1",
    "setdscp ef",
    "reset6",
    "unreach6 port",
    "netgraph 1",
    "ngtee 1",
    "abort",
    "tcp-setmss 500",
    "setmark 5",
]
LATER_PARAMETERS = ["tag 5", "untag 5"]
LATER_OPTIONS = [
    "diverted",
    "diverted-loopback",
    "diverted-output",
    "tagged 5",
    "verrevpath",
    "versrcreach",
    "antispoof",
    "lookup dst-ip 1",
    "dscp ef",
    "fib 1",
    "jail 1",
    "sockarg",
    "flow-id 5",
    "src-ip6 ::1",
    "ext6hdr frag",
    "record-state",
    "defer-action",
    "mark 5",
    "flow table(1)",
    "tcpdatalen 5",
    "ipsec",
    "// words",
]


@pytest.mark.parametrize(
    ("system", "dialect", "action", "other"),
    [
        ("freebsd-4", "ipfw1", "invalid action ``{}''", "unknown argument ``{}''"),
        ("freebsd-4", "ipfw2", "invalid action {}\n", "unrecognised option [-1] {}\n"),
        ("dragonfly", "ipfw2", "invalid action {}\n", "unrecognised option [-1] {}\n"),
    ],
)
def test_what_came_later_is_refused_as_the_tool_refuses_any_other_word(
    system: str, dialect: str, action: str, other: str
) -> None:
    """11.1: ``diverted*``, ``reass``, ``call``, ``setfib`` and everything else that FreeBSD 5 and later brought."""
    rules = RuleSet(system, ipfw_dialect="ipfw1" if dialect == "ipfw1" else "ipfw2")
    for typed in LATER_ACTIONS:
        answer = rules.execute(f"add {typed} {BODY}")
        assert answer == ("", f"ipfw: {action.format(typed.split()[0])}\n", 65)
    for typed in LATER_OPTIONS:
        answer = rules.execute(f"add allow {BODY} {typed}")
        assert answer == ("", f"ipfw: {other.format(typed.split()[0])}\n", 64)
    for typed in LATER_PARAMETERS:
        text, status = (other, 64) if dialect == "ipfw2" else ("invalid protocol ``{}''", 65)
        answer = rules.execute(f"add allow {typed} {BODY}")
        assert answer == ("", f"ipfw: {text.format(typed.split()[0])}\n", status)
    assert len(rules) == 1


@pytest.mark.parametrize("system", ["freebsd-4", "dragonfly"])
def test_a_set_with_a_wide_mask_is_told_without_the_name_of_the_tool(system: str) -> None:
    """The tool writes it itself and ends as if all were well."""
    rules = rule_set(system)
    assert rules.execute("add allow ip from 1.2.3.0/16{1} to any") == ("", "invalid set with mask 16\n", 0)
    assert len(rules) == 1
