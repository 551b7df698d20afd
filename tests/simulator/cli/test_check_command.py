"""`divertsim check` and `divertsim explain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from simulator.cli.check import check, explain
from tests.datagrams import ping

IPFW = """\
# the rules
ipfw add 100 allow tcp from any to any 80

add 200 divert 8668 ip from 10.0.0.0/8 to any via em0
add 300 reject udp from any to me 53 in
add 400 allow tcp from any to any 22 setup keep-state
"""
IPCHAINS = "ipchains -A input -p udp -j DENY\n-A forward -j DIVERT 1234\n-P output REJECT\n"
BSD = ("--profile", "freebsd-10", "--interface", "em0=10.0.0.1/24", "--interface", "em1=192.0.2.1/24")


def invoke(tmp_path: Path, rules: str, packets: str, *options: str, command: Any = check) -> Result:
    (tmp_path / "rules").write_text(rules)
    (tmp_path / "packets").write_text(packets)
    return CliRunner().invoke(command, [str(tmp_path / "rules"), str(tmp_path / "packets"), *options])


def outcomes(result: Result) -> list[str]:
    return [line.strip() for line in result.output.splitlines() if line.startswith("    ")]


def test_words_expressions_and_objects(tmp_path: Path) -> None:
    given = json.dumps({"octets": ping("10.0.0.2", "192.0.2.9").hex(), "hook": "out", "interface": "em0"})
    packets = f"""\
# comment
tcp from 1.1.1.1 1234 to 10.0.0.1 80 in via em0   # and why not
IP(src="10.1.1.1", dst="8.8.8.8")/ICMP()
udp from 1.1.1.1 to 10.0.0.1 53
{given}
"""
    result = invoke(tmp_path, IPFW, packets, *BSD)
    assert outcomes(result) == [
        "accept by 100: allow tcp from any to any 80",
        "divert 8668 by 200: divert 8668 ip from 10.0.0.0/8 to any via em0",
        "deny by 300 (answers icmp=3/1): reject udp from any to me 53 in",
        "divert 8668 by 200: divert 8668 ip from 10.0.0.0/8 to any via em0",
    ]
    assert result.exit_code == 0


def test_state_lives_on(tmp_path: Path) -> None:
    packets = (
        "tcp from 192.0.2.9 1 to 10.0.0.9 22 setup in\ntcp from 10.0.0.9 22 to 192.0.2.9 1 established out via em1\n"
    )
    result = invoke(tmp_path, IPFW.replace("add 200", "# add 200"), packets, *BSD)
    assert [each.partition(":")[0] for each in outcomes(result)] == ["accept by 400", "accept by 400"]


def test_the_likely_interface(tmp_path: Path) -> None:
    packets = "icmp from 192.0.2.9 to 8.8.8.8\nicmp from 8.8.8.8 to 192.0.2.9 out\nicmp from 8.8.8.8 to 9.9.9.9\n"
    result = invoke(tmp_path, IPFW, packets, *BSD, "--json")
    assert [each["interface"] for each in json.loads(result.output)["packets"]] == ["em1", "em1", "em0"]


@pytest.mark.parametrize(
    ("expected", "status"),
    [
        ("accept", 0),
        ("ACCEPT", 0),
        ("allow by 100", 0),
        ("accept by 100", 0),
        ("accept by 200", 1),
        ("deny", 1),
        ("divert", 1),
    ],
)
def test_what_a_line_says_should_happen(tmp_path: Path, expected: str, status: int) -> None:
    result = invoke(tmp_path, IPFW, f"tcp from 1.1.1.1 to 2.2.2.2 80 => {expected}", *BSD)
    assert result.exit_code == status
    assert (f"EXPECTED {expected}" in result.output) == bool(status)


def test_json(tmp_path: Path) -> None:
    result = invoke(tmp_path, IPFW, "tcp from 1.1.1.1 to 2.2.2.2 25 => deny by 65535", *BSD, "--json")
    (answer,) = json.loads(result.output)["packets"]
    assert (answer["verdict"], answer["decided_by"], answer["counted"]) == ("deny", 65535, [65535])
    assert answer["as_expected"] is True
    assert "rule 100 did not match because the destination port is 25, not 80" in answer["explanation"]


def test_explain(tmp_path: Path) -> None:
    result = invoke(tmp_path, IPFW, "udp from 1.1.1.1 to 10.0.0.1 53", *BSD, command=explain)
    assert result.output.splitlines() == [
        "udp from 1.1.1.1 to 10.0.0.1 53   [in em0]",
        "    deny by 300: it matches 'reject udp from any to me 53 in'",
        "      rule 100 did not match because the protocol is udp, not tcp",
        "      rule 200 did not match because the source is 1.1.1.1, not 10.0.0.0/8",
    ]


def test_a_packet_in_the_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text(IPFW)
    result = CliRunner().invoke(check, [str(tmp_path / "rules"), "tcp from 1.1.1.1 to 2.2.2.2 80", *BSD])
    assert outcomes(result) == ["accept by 100: allow tcp from any to any 80"]
    result = CliRunner().invoke(check, [str(tmp_path / "rules"), "nothing.txt", *BSD])
    assert result.exit_code == 2
    assert "PACKETS (no such file, so a packet):1: a packet has one protocol" in result.output


def test_ipchains(tmp_path: Path) -> None:
    given = json.dumps({"octets": ping("10.0.0.2", "192.0.2.9").hex(), "chain": "forward", "interface": "eth1"})
    packets = f"udp from 1.1.1.1 to 2.2.2.2 in via eth0\nicmp from 1.1.1.1 to 2.2.2.2 out via eth0\n{given}\n"
    result = invoke(tmp_path, IPCHAINS, packets, "--profile", "linux-2.2", "--explain")
    assert outcomes(result) == [
        "deny by input:1: it matches '-A input -p udp -j DENY'",
        "reject by output:policy: no rule decides",
        "divert 1234 by forward:1: it matches '-A forward -j DIVERT 1234'",
    ]


@pytest.mark.parametrize(
    ("rules", "packets", "options", "said"),
    [
        ("add 3 frob", "", BSD, "rules:1: ipfw: invalid action frob"),
        ("\n\nadd 3 frob", "", BSD, "rules:3: ipfw: invalid action frob"),
        (IPFW, "\ntcp from x to y", BSD, "packets:2:10: a packet has one address on each side"),
        (IPFW, "  IP(tll=3)", BSD, "packets:1:6: IP has no field 'tll'"),
        (IPFW, '{"octets": }', BSD, "packets:1:12: not JSON: Expecting value"),
        (IPFW, '{"octets": "xyz"}', BSD, "packets:1:1: 'octets' is no hex: 'xyz'"),
        (IPFW, '{"hook": "in"}', BSD, "a packet needs 'octets'"),
        (IPFW, '{"octets": "45", "hook": "up"}', BSD, "'hook' is 'up', not one of 'in', 'out'"),
        (IPFW, '{"octets": "45", "advance": "soon"}', BSD, "'advance' is 'soon'"),
        (
            IPFW,
            "  icmp from 1.1.1.1 to 2.2.2.2 =>  divret 80",
            BSD,
            "packets:1:36: nothing is called 'divret' (",
        ),
        (IPFW, "icmp from 1.1.1.1 to 2.2.2.2 => tee 5 then tee6", BSD, "packets:1:44: nothing is called 'tee6'"),
        (IPCHAINS, "icmp from 1.1.1.1 to 2.2.2.2 => allow", ("--profile", "linux-2.2"), "nothing is called 'allow'"),
        (IPFW, "", (*BSD, "--route", "10.0.0.0/8"), "--route takes PREFIX=TARGET, not '10.0.0.0/8'"),
        (IPFW, "", ("--profile", "freebsd-9"), "'freebsd-9' is not one of 'linux-2.2'"),
        (IPFW, "", (*BSD, "--interface", "em2"), "--interface takes NAME=VALUE, not 'em2'"),
        (IPFW, "", (*BSD, "--interface", "em2=10.0.0"), "--interface em2=10.0.0:"),
        (IPCHAINS, "", ("--profile", "linux-2.2", "--default", "allow"), "linux-2.2 has no rule 65535"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_place(
    tmp_path: Path, rules: str, packets: str, options: tuple[str, ...], said: str
) -> None:
    result = invoke(tmp_path, rules, packets, *options)
    assert result.exit_code == 2
    assert said in result.output


STEPS = """\
add 100 reass ip from any to any in
add 150 tee 5000 ip from any to any
add 200 tee 5001 udp from any to any
add 300 reject tcp from any to any
add 310 divert 8668 icmp from any to any
add 320 pipe 1 udp from any to any
"""
LATER = 'IP(src="192.0.2.7", dst="10.0.0.1", frag=100, proto=1)'
WHOLE = "tcp from 192.0.2.7 to 10.0.0.1 53"


def test_a_pass_is_told_step_by_step(tmp_path: Path) -> None:
    result = invoke(tmp_path, STEPS, f"{LATER}\n{WHOLE}\nudp from 1.2.3.4 to 10.0.0.1 53", *BSD)
    assert outcomes(result) == [
        "reass by 100 (kept until its datagram is whole): reass ip from any to any in",
        "then tee 5000 by 150 (asked of this fragment alone): tee 5000 ip from any to any",
        "then divert 8668 by 310 (once its datagram is whole): divert 8668 icmp from any to any",
        "tee 5000 by 150: tee 5000 ip from any to any",
        "then deny by 300 (answers icmp=3/1): reject tcp from any to any",
        "tee 5000 by 150: tee 5000 ip from any to any",
        "then tee 5001 by 200: tee 5001 udp from any to any",
        "then pipe 1 by 320 (and accepted): pipe 1 udp from any to any",
    ]


def test_why_of_every_step(tmp_path: Path) -> None:
    result = invoke(tmp_path, STEPS, WHOLE, *BSD, command=explain)
    assert outcomes(result) == [
        "tee 5000 by 150: it matches 'tee 5000 ip from any to any'",
        "then deny by 300: it matches 'reject tcp from any to any'",
        "rule 200 did not match because the protocol is tcp, not udp",
    ]


def test_the_words_are_those_of_the_rule_that_is_named(tmp_path: Path) -> None:
    (kept,) = json.loads(invoke(tmp_path, STEPS, LATER, *BSD, "--json").output)["packets"]
    assert (kept["verdict"], kept["decided_by"], kept["rule"]) == ("tee", 150, "tee 5000 ip from any to any")
    assert [step["outcome"] for step in kept["steps"]] == ["reass by 100", "tee 5000 by 150", "divert 8668 by 310"]


@pytest.mark.parametrize(
    ("packet", "expected", "status"),
    [
        (WHOLE, "tee 5000", 0),
        (WHOLE, "tee 5000 by 150 then deny by 300", 0),
        (WHOLE, "tee 5000 then deny", 0),
        (WHOLE, "deny", 1),
        (WHOLE, "tee 5000 then accept", 1),
        (WHOLE, "tee 5000 then deny then deny", 1),
        (LATER, "reass", 0),
        (LATER, "reass by 100 then tee 5000", 0),
        (LATER, "tee 5000 by 150 then divert 8668", 0),
        (LATER, "divert 8668", 1),
    ],
)
def test_several_steps_may_be_expected(tmp_path: Path, packet: str, expected: str, status: int) -> None:
    assert invoke(tmp_path, STEPS, f"{packet} => {expected}", *BSD).exit_code == status


def test_where_the_original_of_a_tee_is_accepted(tmp_path: Path) -> None:
    result = invoke(tmp_path, "add 9 tee 5000 ip from any to any", WHOLE, "--profile", "dragonfly")
    assert outcomes(result) == ["tee 5000 by 9 (the packet itself is accepted): tee 5000 ip from any to any"]


FREEBSD_4 = ("--profile", "freebsd-4", "--interface", "em0=10.0.0.1/24")


def test_the_rule_languages_of_freebsd_4(tmp_path: Path) -> None:
    """Their tool makes words of a line only in a file: a lone argument is one word."""
    rules = "ipfw add 100 reject tcp from any to any 80 setup # a comment\nadd 200 allow udp from any to any\n"
    packets = "tcp from 1.2.3.4 5 to 10.0.0.1 80 setup in\nudp from 1.2.3.4 5 to 10.0.0.1 80 in"
    assert outcomes(invoke(tmp_path, rules, packets, *FREEBSD_4)) == [
        "deny by 100 (answers icmp=3/1): unreach host tcp from any to any 80 setup",
        "accept by 200: allow udp from any to any",
    ]
    second = invoke(tmp_path, "add 100 set 5 reject { tcp or udp } from any to any", packets, *FREEBSD_4)
    assert (second.exit_code, second.output.splitlines()[0].partition("1: ")[2]) == (2, "ipfw: invalid action ``set''")
    second = invoke(
        tmp_path, "add 100 set 5 reject { tcp or udp } from any to any", packets, *FREEBSD_4, "--ipfw-dialect", "ipfw2"
    )
    assert [line.split()[2] for line in outcomes(second)] == ["100", "100"]


def test_a_language_that_the_kernel_lacks(tmp_path: Path) -> None:
    for profile, text in (("linux-2.2", "linux-2.2 has no ipfw"), ("freebsd-13", "is not 'ipfw2'")):
        result = invoke(tmp_path, "", "", "--profile", profile, "--ipfw-dialect", "ipfw1")
        assert (result.exit_code, text in result.output) == (2, True)


def test_dragonflys_rules(tmp_path: Path) -> None:
    rules = "table 3 create\ntable 3 add 10/8\nadd 100 deny ip from any to <3>\n"
    result = invoke(tmp_path, rules, "udp from 1.2.3.4 5 to 10.0.0.1 80 in", "--profile", "dragonfly")
    assert outcomes(result) == ["deny by 100: deny ip from any to <3>"]
    rules += "add 50 defrag ip from any to any"
    result = invoke(tmp_path, rules, "udp from 1.2.3.4 5 to 10.0.0.1 80 in", "--profile", "dragonfly", command=explain)
    assert outcomes(result)[1:] == ["rule 50 did not match because it is no incoming fragment"]
