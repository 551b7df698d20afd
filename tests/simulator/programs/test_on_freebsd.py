"""Every program, from its own source, on a Python that has only what FreeBSD's has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import freebsd_python
import pytest

from simulator.programs.registry import PROGRAMS

ROOT = Path(__file__).parents[3]

NATD = "-alias_address 203.0.113.9 -same_ports"
WORDS = {
    "mangle": "--ttl 3",
    "mss-clamp": "--mss 500 --quiet",
    "delay": "--seconds 0.02",
    "tee-capture": "--put-back",
    "natd": NATD,
}
"""Options, for those that would do nothing without."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What each program's run printed."""
    capture = tmp_path_factory.mktemp("capture") / "file.pcap"
    lines = [f"{name} {WORDS.get(name, '')}" for name in PROGRAMS]
    lines.append(f"-m natd -port 8668 {NATD}")
    lines = [f"{line} --write {capture}" if line.startswith("tee-capture") else line for line in lines]
    done = subprocess.run(
        [sys.executable, freebsd_python.__file__, *lines],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    _, *parts = done.stdout.split("--- ")
    assert capture.stat().st_size == 24 + sum(16 + len(octets) for octets, _ in freebsd_python.ARRIVING)
    return {name: rest for name, *rest in (part.splitlines() for part in parts)}


@pytest.mark.parametrize("name", [*PROGRAMS, "natd itself"])
def test_it_runs_until_ctrl_c_and_closes_its_socket(name: str, told: dict[str, list[str]]) -> None:
    assert told[name][-2:] == ["closed", "status 0"]


@pytest.mark.parametrize("name", ["passthrough", "delay", "tee-capture", "interceptor"])
def test_it_sends_back_what_came_where_it_came_from(name: str, told: dict[str, list[str]]) -> None:
    sent = [line for line in told[name] if line.startswith("sent ")]
    assert sent == [f"sent {octets.hex()} {host} {tag}" for octets, (host, tag) in freebsd_python.ARRIVING]


@pytest.mark.parametrize("name", ["eat", "freebsd-sample"])
def test_it_sends_nothing(name: str, told: dict[str, list[str]]) -> None:
    assert not any(line.startswith("sent ") for line in told[name])


def test_changes_are_made_there_too(told: dict[str, list[str]]) -> None:
    mangled, clamped = (
        [bytes.fromhex(line.split()[1]) for line in told[name] if line.startswith("sent ")]
        for name in ("mangle", "mss-clamp")
    )
    assert [octets[8] for octets in mangled] == [3, 3, 3]
    assert clamped[1][-4:] == bytes.fromhex("020401f4")


@pytest.mark.parametrize("name", ["natd", "natd itself"])
def test_natd_translates_what_goes_out(name: str, told: dict[str, list[str]]) -> None:
    incoming, outgoing, cut = (line.split()[1:] for line in told[name] if line.startswith("sent "))
    for sent, (octets, (host, tag)) in ((incoming, freebsd_python.ARRIVING[0]), (cut, freebsd_python.ARRIVING[2])):
        assert sent == [octets.hex(), host, str(tag)]
    translated = bytes.fromhex(outgoing[0])
    assert outgoing[1:] == ["0.0.0.0", "200"]
    assert translated[12:20] == bytes((203, 0, 113, 9)) + freebsd_python.SYN[16:20]
    assert translated[20:22] == freebsd_python.SYN[20:22]
