"""`divertsim demo --program NAME` in memory, and the list of programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from simulator.cli import main
from simulator.profiles import PROFILES
from simulator.programs.registry import PROGRAMS


def demo(*words: str) -> Result:
    return CliRunner().invoke(main, ["demo", "--mode", "memory", *words])


def taught(*words: str) -> dict[str, Any]:
    done = demo("--json", *words)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("profile", PROFILES)
def test_each_kernel_has_programs(profile: str) -> None:
    found = taught("--program", "passthrough", "--profile", profile, "--count", "2")
    assert found == {
        "mode": "memory",
        "program": "passthrough",
        "options": [],
        "profile": profile,
        "traffic": "ping",
        "sent": 2,
        "replied": 2,
        "diverted": 4,
        "reinjected": 4,
        "as_promised": True,
    }


@pytest.mark.parametrize(
    ("words", "counts"),
    [
        (["eat"], (3, 0, 3, 0, True)),
        (["eat", "--profile", "dragonfly"], (3, 0, 3, 0, True)),
        (["freebsd-sample"], (3, 0, 3, 0, True)),
        (["interceptor"], (3, 3, 6, 6, None)),
        (["interceptor", "--no-reinject"], (3, 0, 3, 0, None)),
        (["mangle", "--ttl", "5"], (3, 3, 6, 6, None)),
        (["mangle", "--ttl", "5", "--no-checksums", "--profile", "freebsd-13"], (3, 0, 3, 3, None)),
        (["mss-clamp", "--mtu", "1400"], (3, 3, 6, 6, True)),
        (["mss-clamp", "--mtu", "1400", "--profile", "freebsd-14"], (3, 3, 3, 3, True)),
        (["delay", "--seconds", "1.5", "--profile", "freebsd-4"], (3, 3, 6, 6, True)),
    ],
)
def test_what_becomes_of_the_traffic(words: list[str], counts: tuple[int | bool | None, ...]) -> None:
    found = taught("--program", *words)
    assert tuple(found[key] for key in ("sent", "replied", "diverted", "reinjected", "as_promised")) == counts


@pytest.mark.parametrize(
    ("words", "reinjected"),
    [([], 0), (["--profile", "linux-2.2", "--put-back"], 6)],
)
def test_captures(words: list[str], reinjected: int, tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    found = taught("--program", "tee-capture", "--write", str(path), *words)
    assert (found["replied"], found["diverted"], found["reinjected"]) == (3, 6, reinjected)
    assert path.stat().st_size == 24 + 6 * (16 + 84)


def test_natd_translates_behind_the_outer_interface_unless_told_otherwise() -> None:
    done = demo("--program", "natd", "--count", "1")
    assert done.exit_code == 0
    assert "natd -interface eth1" in done.stdout.splitlines()
    assert "ip.src 192.168.1.2 -> 10.0.0.1" in done.stdout
    assert "1 echo request, 1 answered; 2 packets diverted, 2 written back" in done.stdout
    other = demo("--program", "natd", "--count", "1", "--", "-alias_address", "10.0.0.1")
    assert "natd -alias_address 10.0.0.1" in other.stdout.splitlines()


def test_one_sees_the_rule_the_traffic_the_way_and_what_was_changed() -> None:
    done = demo("--program", "mangle", "--ttl", "42", "--count", "1", "--profile", "freebsd-13")
    lines = done.stdout.splitlines()
    assert done.exit_code == 0
    for line in (
        "ipfw add 100 divert 8668 icmp from any to any in",
        "ipfw add 65000 allow ip from any to any",
        "program changed: ip.ttl 64 -> 42, ip.chksum 0xaefc -> 0xc4fc",
        "ping    64 bytes from 10.0.0.2: icmp_seq=1 ttl=41",
        "1 echo request, 1 answered; 2 packets diverted, 2 written back",
    ):
        assert line in lines
    assert any(line.startswith("router  #2    injected") for line in lines)


def test_segment_sizes_are_shown_at_both_ends() -> None:
    lines = demo("--program", "mss-clamp", "--mss", "1300", "--count", "1").stdout.splitlines()
    sizes = [line.rsplit(" ", 1)[1] for line in lines if line.startswith("tcp ") and "SYN" in line]
    assert sizes == ["1460", "1300"]
    assert not any("wrong checksum" in line for line in lines)


def test_the_delay_is_seen() -> None:
    lines = demo("--program", "delay", "--seconds", "0.25", "--count", "2").stdout.splitlines()
    assert [line for line in lines if "icmp_seq" in line] == [
        f"ping    64 bytes from 10.0.0.2: icmp_seq={number} ttl=254 time=500 ms" for number in (1, 2)
    ]
    assert not any("changed" in line for line in lines)


def test_the_interceptors_own_rule_is_gone_afterwards() -> None:
    """With --firewall it makes a rule of its own, which clears the TOS; both rules divert each packet once."""
    assert taught("--program", "interceptor", "--firewall", "--chain", "input")["diverted"] == 6


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--program", "nosuch"], "no such program: 'nosuch' (there are interceptor,"),
        (["--program", "mangle", "--ttl", "300"], "mangle: argument --ttl: a TTL is from 0 to 255, not 300"),
        (["--program", "mangle", "--colour", "red"], "mangle: unrecognized arguments: --colour red"),
        (["--program", "mss-clamp"], "mss-clamp: one of --mss and --mtu is needed"),
        (["--program", "eat", "--profile", "freebsd-4", "--chain", "input"], "--chain is for Linux: freebsd-4"),
        (["--program", "eat", "--profile", "plan-9"], "'plan-9' is not one of"),
        (["--profile", "freebsd-4"], "--profile is for --program"),
        (["--ttl", "3"], "No such option"),
        (["extra"], "Got unexpected extra argument (extra)"),
        (["--program", "tee-capture", "--write", "/nosuch/x"], "No such file or directory: '/nosuch/x'"),
    ],
)
def test_misuse(words: list[str], told: str) -> None:
    done = demo(*words)
    assert done.exit_code == 2
    assert told in done.stderr
    assert "Traceback" not in done.output


def test_help_has_the_programs_own_options() -> None:
    assert "--replace OLD=NEW" not in demo("--help").stdout
    shown = demo("--program", "mangle", "--help")
    assert shown.exit_code == 0
    assert "--replace OLD=NEW" in shown.stdout


def test_the_list_of_programs() -> None:
    every = CliRunner().invoke(main, ["programs"])
    assert [line.split()[0] for line in every.stdout.splitlines()] == list(PROGRAMS)
    one = CliRunner().invoke(main, ["programs", "delay"])
    assert one.stdout.startswith("delay: Hold every packet")
    assert "--seconds S" in one.stdout
    as_json = json.loads(CliRunner().invoke(main, ["programs", "tee-capture", "--json"]).stdout)
    assert as_json[0]["options"][0] == {
        "names": ["--write"],
        "help": "the capture file, written anew",
        "value": "FILE",
        "required": True,
        "default": None,
    }
    wrong = CliRunner().invoke(main, ["programs", "nosuch"])
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert "no such program: 'nosuch'" in wrong.stderr
