"""How programs are run: on a machine's own divert sockets, and by a router's clock."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from simulator.clock import Clock, Timer
from simulator.programs.registry import PROGRAMS, Program, ProgramError, Surroundings, due, find, finish

__all__ = ["OnClock", "main", "run"]


class OnClock:
    """A program whose time is that of a clock, to be called like the program itself for each datagram.

    What the program wants to do later is done when the clock's timers fire.
    """

    def __init__(self, program: Program, divert: Any, clock: Clock) -> None:
        self._program = program
        self._divert = divert
        self._clock = clock
        self._timer: Timer | None = None
        self._set()

    def __call__(self, divert: Any) -> None:
        self._program(divert)
        self._set()

    def _set(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        seconds = due(self._program, self._divert)
        self._timer = None if seconds is None else self._clock.call_at(self._clock.now() + seconds, self._set)


def run(program: Program, divert: Any, until: Callable[[], bool] = lambda: False) -> None:
    """Handle what comes, and do what is due, until the condition holds, which is asked after each turn."""
    divert.setblocking(False)
    while not until():
        readable, _, _ = select.select([divert], [], [], due(program, divert))
        if readable:
            with suppress(BlockingIOError):  # another process took it
                program(divert)


def main(arguments: Sequence[str]) -> int:
    """0 after Ctrl-C, 1 without a socket or a file, 2 for misuse."""
    if not arguments or arguments[0] in ("-h", "--help"):
        return _usage()
    name, *rest = arguments
    try:
        entry = find(name)
        port = _port(rest[0]) if rest else None
    except ProgramError as error:
        print(error, file=sys.stderr)
        return 2
    if port is None:
        print(f"usage: python -m simulator.programs {name} PORT [OPTIONS]", file=sys.stderr)
        return 2
    around = Surroundings(port=port)
    try:
        # Before anything is diverted to it, its options are looked at.
        entry.parser().parse_args(rest[1:])
        with entry.open(port, around) as divert:
            program = entry.build(rest[1:], around)
            try:
                with suppress(KeyboardInterrupt):
                    run(program, divert)
            finally:
                finish(program)
    except ProgramError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    return 0


def _port(word: str) -> int:
    if not (word.isascii() and word.isdigit() and 0 < int(word) <= 0xFFFF):
        raise ProgramError(f"a divert port is between 1 and 65535, not {word!r}")
    return int(word)


def _usage() -> int:
    print("usage: python -m simulator.programs NAME PORT [OPTIONS]\n\nPrograms:")
    for name in PROGRAMS:
        print(f"  {name:<16} {find(name).summary}")
    return 0
