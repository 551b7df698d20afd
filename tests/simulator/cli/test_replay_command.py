"""`divertsim replay`: captures through a router, and what became of their packets."""

from __future__ import annotations

import json
import signal
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from simulator.cli.replay import replay
from simulator.links.captures import Captured, read
from simulator.links.pcapng import PcapngWriter
from simulator.spoken import build, parse
from simulator.wire.named import alter, dissect
from tests.datagrams import pieces, ping

RULES = """\
# what a site may do
add 100 divert 8668 tcp from any to any 80
add 200 deny tcp from any to any 25
add 300 allow ip from any to any
"""
SITE = ("--profile", "freebsd-13", "--in", "em0=192.168.1.1/24", "--interface", "em1=10.0.0.1/24")


def capture(path: Path, packets: list[tuple[float, bytes]]) -> Path:
    """A pcap of raw IP."""
    head = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    records = [
        struct.pack("<IIII", int(when), round(when % 1 * 1e6), len(octets), len(octets)) + octets
        for when, octets in packets
    ]
    path.write_bytes(head + b"".join(records))
    return path


def said(words: str) -> bytes:
    return build(parse(words))


WEB = said("tcp from 192.168.1.2 1024 to 10.0.0.2 80")
MAIL = said("tcp from 192.168.1.2 1024 to 10.0.0.2 25")
NAMES = said("udp from 192.168.1.2 1024 to 10.0.0.2 53")


def invoke(tmp_path: Path, packets: list[tuple[float, bytes]], *options: str, rules: str = RULES) -> Result:
    (tmp_path / "rules").write_text(rules)
    path = capture(tmp_path / "in.pcap", packets)
    return CliRunner().invoke(replay, [str(path), "--rules", str(tmp_path / "rules"), *options])


def report(tmp_path: Path, packets: list[tuple[float, bytes]], *options: str, rules: str = RULES) -> dict[str, Any]:
    result = invoke(tmp_path, packets, *options, "--json", rules=rules)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.output)
    return found


def test_fates_rules_and_ways(tmp_path: Path) -> None:
    found = report(tmp_path, [(1.0, WEB), (2.0, MAIL), (3.0, NAMES), (4.0, NAMES)], *SITE)
    assert (found["packets"], found["played"], found["seconds"]) == (4, 4, 3.0)
    assert found["fates"] == {"transmitted": 2, "dropped NO_LISTENER": 1, "dropped DENIED": 1}
    assert found["rules"] == {"in 300": 2, "out 300": 2, "in 100": 1, "in 200": 1}
    assert found["paths"][0] == {
        "count": 2,
        "path": ["received em0", "in allow (300)", "out allow (300)", "transmitted em1"],
    }
    assert found["ledger"]["received"] == 4


def test_the_summary_for_people(tmp_path: Path) -> None:
    lines = invoke(tmp_path, [(1.0, MAIL), (1.5, NAMES)], *SITE).output.splitlines()
    assert lines[0] == "2 packets of the capture in 0.500 s: 2 played"
    assert "  1  dropped DENIED" in lines
    assert "  1  received em0 > in deny (200) > dropped DENIED" in lines


def test_what_is_written(tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    report(tmp_path, [(1.0, WEB), (2.0, MAIL)], *SITE, "--program", "8668=mangle --ttl 9", "-w", str(out))
    found: list[Captured] = list(read(out))
    assert found[0].frame == WEB
    assert found[0].comment == (
        "packet 1: received; in divert 8668 (100); diverted to port 8668, address 192.168.1.1:100"
    )
    left = next(each for each in found if "as it left" in each.comment)
    assert left.source.name == "em1"
    assert {field.name: field.text for field in dissect(left.frame)}["ip.ttl"] == "9"
    assert "written by the program that was given packet" in left.comment
    assert found[-1].frame == MAIL
    assert found[-1].comment.endswith("in deny (200); dropped: denied by the firewall (DENIED)")


def test_changes_are_in_the_comment(tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    report(tmp_path, [(1.0, NAMES)], *SITE, "-w", str(out))
    before, after = read(out)
    assert before.frame == NAMES
    assert after.frame == alter(NAMES, {"ttl": 63})
    assert "changed: ip.ttl 64 -> 63" in after.comment


def test_time_is_that_of_the_capture(tmp_path: Path) -> None:
    rules = "add 100 check-state\nadd 200 allow udp from 192.168.1.0/24 to any keep-state\n"
    answer = said("udp from 10.0.0.2 53 to 192.168.1.2 1024")
    both = ("--profile", "freebsd-13", "--in", "em0=192.168.1.1/24", "--in", "em1=10.0.0.1/24")
    soon = report(tmp_path, [(1.0, NAMES), (5.0, answer)], *both, rules=rules)
    assert soon["fates"] == {"transmitted": 2}
    late = report(tmp_path, [(1.0, NAMES), (30.0, answer)], *both, rules=rules)
    assert late["fates"] == {"transmitted": 1, "dropped DENIED": 1}


def test_programs_have_the_date_of_the_capture(tmp_path: Path) -> None:
    copies, rules = (
        tmp_path / "copies.pcap",
        "add 100 tee 8668 ip from any to any in\nadd 200 allow ip from any to any\n",
    )
    program = f"8668=tee-capture --write {copies}"
    report(tmp_path, [(1_000_000_000.25, WEB), (1_000_000_003.5, MAIL)], *SITE, "--program", program, rules=rules)
    assert [(each.time, each.frame) for each in read(copies)] == [(1_000_000_000.25, WEB), (1_000_000_003.5, MAIL)]


def test_fragments_that_wait_come_to_their_end(tmp_path: Path) -> None:
    first, *_ = pieces(ping("192.168.1.2", "192.168.1.1", data=bytes(3000), identification=7), 1500)
    found = report(tmp_path, [(1.0, first)], *SITE)
    assert found["fates"] == {"dropped REASSEMBLY_TIMEOUT": 1}


def test_packets_arrive_where_they_belong(tmp_path: Path) -> None:
    both = ("--profile", "freebsd-13", "--in", "em0=192.168.1.1/24", "--in", "em1=10.0.0.1/24")
    other = said("udp from 10.0.0.7 1 to 192.168.1.9 2")
    stray = said("udp from 172.16.0.1 1 to 192.168.1.9 2")
    assert report(tmp_path, [(1.0, NAMES), (1.0, other), (1.0, stray)], *both)["by_interface"] == {"em0": 2, "em1": 1}
    with (tmp_path / "named.pcapng").open("wb") as file:
        PcapngWriter(file).write("em1", 1.0, NAMES)
    result = CliRunner().invoke(replay, [str(tmp_path / "named.pcapng"), *both, "--json"])
    assert json.loads(result.output)["by_interface"] == {"em1": 1}


def test_linux_and_routes_and_switches(tmp_path: Path) -> None:
    options = ("--profile", "linux-2.2", "--in", "eth0=192.168.1.1/24", "--interface", "eth1=10.0.0.1/24")
    far = said("icmp from 192.168.1.2 to 203.0.113.9")
    rules = "-A forward -p icmp -j DIVERT 1234\n"
    found = report(tmp_path, [(1.0, far)], *options, rules=rules)
    assert found["fates"]["dropped NO_ROUTE"] == 1
    routed = (*options, "--route", "0.0.0.0/0=10.0.0.254")
    assert report(tmp_path, [(1.0, far)], *routed, rules=rules)["fates"] == {"dropped NO_LISTENER": 1}
    passing = (*routed, "--switch", "pass_through=yes")
    assert report(tmp_path, [(1.0, far)], *passing, rules=rules)["fates"] == {"transmitted": 1}


def test_a_damaged_capture_says_how_far_it_got(tmp_path: Path) -> None:
    path = capture(tmp_path / "cut.pcap", [(1.0, NAMES), (2.0, NAMES)])
    path.write_bytes(path.read_bytes()[:-3])
    result = CliRunner().invoke(replay, [str(path), *SITE, "--switch", "default_accept=yes"])
    assert result.exit_code == 2
    assert "1 packets of the capture in 0.000 s: 1 played" in result.output
    assert "cut.pcap: a record of 28 octets is cut off after 25, at octet 68, after 1 packets" in result.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--profile", "freebsd-13"), "Missing option '--in'"),
        ((*SITE, "--in", "em0=x"), "--in em0=x:"),
        ((*SITE, "--route", "0.0.0.0/0=172.16.0.1"), "the gateway 172.16.0.1 is on no network"),
        ((*SITE, "--program", "8668=frob"), "no such program: 'frob'"),
        ((*SITE, "--program", "x=eat"), "--program takes PORT=NAME, not x=eat"),
        ((*SITE, "--program", "8668=eat", "--program", "8668=passthrough"), "given twice, eat and passthrough"),
        ((*SITE, "--switch", "frob=1"), "freebsd-13 has no switch 'frob' (it has add_call, "),
        ((*SITE, "--switch", "default_acept=1"), "no switch 'default_acept' (did you mean 'default_accept'?)"),
        ((*SITE, "--route", "10.0.0.254"), "--route takes PREFIX=TARGET, not '10.0.0.254'"),
        ((*SITE, "--interface", "em0=10.7.0.1/24"), "em0 is given by --in and by --interface, "),
        ((*SITE, "-w", "/nonexistent/file"), "No such file or directory"),
    ],
)
def test_misuse(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    path = capture(tmp_path / "in.pcap", [(1.0, NAMES)])
    result = CliRunner().invoke(replay, [str(path), *options])
    assert result.exit_code != 0
    assert said in result.output + str(result.exception)


def test_a_rule_that_is_refused(tmp_path: Path) -> None:
    result = invoke(tmp_path, [], *SITE, rules="\nadd 100 frob\n")
    assert result.exit_code == 2
    assert "rules:2: ipfw: invalid action frob" in result.output


def test_a_rule_file_that_is_no_text(tmp_path: Path) -> None:
    path = capture(tmp_path / "in.pcap", [(1.0, NAMES)])
    (tmp_path / "rules").write_bytes(b"add 100 \xff")
    result = CliRunner().invoke(replay, [str(path), *SITE, "--rules", str(tmp_path / "rules")])
    assert result.exit_code == 2
    assert "rules: not text in UTF-8: invalid start byte at octet 8" in result.output


def test_the_capture_itself_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "in.pcap"
    result = invoke(tmp_path, [(1.0, WEB)], *SITE, "-w", str(path))
    assert result.exit_code == 2
    assert "is the capture itself" in result.output
    assert len(list(read(path))) == 1


def test_an_interrupt_leaves_a_whole_pcapng(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(path: Path) -> Iterator[Captured]:
        for packet in read(path):
            if packet.number == 3:
                signal.raise_signal(signal.SIGINT)
            yield packet

    monkeypatch.setattr("simulator.cli.replay.read", interrupted)
    result = invoke(tmp_path, [(float(when), NAMES) for when in range(9)], *SITE, "-w", str(tmp_path / "out.pcapng"))
    assert result.exit_code == 130
    assert "interrupted after 2 packets" in result.output
    assert len(list(read(tmp_path / "out.pcapng"))) == 4  # each as it came and as it left
