"""The list of programs, and what its smallest members do."""

from __future__ import annotations

import errno
import io
import os
from typing import Any

import pytest
from datagrams import ping
from standin import StandIn, played

from simulator import SimulatedClock
from simulator.programs.registry import PROGRAMS, ProgramError, Surroundings, find, finish
from simulator.programs.running import OnClock, main

PING = ping("192.168.1.2", "10.0.0.2")


def build(name: str, *words: str, **around: Any) -> Any:
    return find(name).build(list(words), Surroundings(**{"output": io.StringIO(), "errors": io.StringIO()} | around))


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_is_found_under_its_own_name(name: str) -> None:
    entry = find(name)
    assert entry.name == name
    assert entry.summary.endswith(".")
    assert all(action.help for action in entry.parser()._actions), "an option without help"


def test_another_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ProgramError, match=r"no such program: 'natdd' \(there are interceptor, "):
        find("natdd")


@pytest.mark.parametrize("words", [["--ttl", "3"], ["word"]])
def test_what_a_program_does_not_know_is_refused(words: list[str]) -> None:
    with pytest.raises(ProgramError, match=f"passthrough: unrecognized arguments: {' '.join(words)}"):
        build("passthrough", *words)


def test_passthrough_puts_back_the_very_octets() -> None:
    assert played(build("passthrough"), PING, PING[:20]) == [PING, PING[:20]]


def test_a_refused_packet_is_told_and_lost() -> None:
    errors = io.StringIO()
    assert played(build("passthrough", errors=errors), PING, PING, fails=errno.EACCES) == []
    assert errors.getvalue().splitlines() == ["passthrough: failed to write packet back: Permission denied"] * 2


def test_a_closed_socket_ends_it() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        played(build("passthrough"), PING, fails=errno.EBADF)


def test_eat_sends_nothing_back() -> None:
    assert played(build("eat"), PING) == []


def test_the_freebsd_sample_shows_and_sends_nothing() -> None:
    output = io.StringIO()
    assert played(build("freebsd-sample", output=output), PING[:28]) == []
    waiting, title, *dump, source, destination, interface, protocol = output.getvalue().splitlines()
    assert waiting == "freebsd-sample: Waiting for data..."
    assert title == "freebsd-sample: The packet looks like this:"
    assert bytes.fromhex("".join(dump)) == PING[:28] + bytes(12)
    assert [len(line.split()) for line in dump] == [16, 16, 8]
    assert source == "freebsd-sample: Source address: 192.168.1.2"
    assert destination == "freebsd-sample: Destination address: 10.0.0.2"
    assert interface == "freebsd-sample: Receiving IF address: 192.168.1.1"
    assert protocol == "freebsd-sample: Protocol number: 1"


NEEDED = {"tee-capture": ["--write", os.devnull], "mss-clamp": ["--mss", "1000"], "natd": ["-a", "10.0.0.1"]}
"""Options without which a program is not to be had."""


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_to_read_is_left_to_the_caller(name: str) -> None:
    program = build(name, *NEEDED.get(name, []))
    with pytest.raises(BlockingIOError):
        program(StandIn())
    finish(program)


class Later:
    """A program that has one thing to do, at second 5."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.clock = clock
        self.done: list[float] = []

    def __call__(self, divert: Any) -> None:
        raise AssertionError("nothing was received")

    def due(self, divert: Any) -> float | None:
        if self.done:
            return None
        if self.clock.now() >= 5:
            self.done.append(self.clock.now())
            return None
        return 5 - self.clock.now()


def test_what_is_due_is_done_when_the_clock_says_so() -> None:
    clock = SimulatedClock()
    later = Later(clock)
    OnClock(later, StandIn(), clock)
    clock.advance(4.9)
    assert later.done == []
    clock.advance(60)
    assert later.done == [5.0]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nosuch", "1"], "no such program: 'nosuch'"),
        (["eat"], "usage: python -m simulator.programs eat PORT"),
        (["eat", "0"], "a divert port is between 1 and 65535, not '0'"),
        (["eat", "many"], "not 'many'"),
        (["eat", "8668", "--quickly"], "eat: unrecognized arguments: --quickly"),
    ],
)
def test_misuse(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert told in capsys.readouterr().err
