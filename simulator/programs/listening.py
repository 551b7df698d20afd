"""Programs that listen on a router's divert ports and take what is diverted to them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import IO, Any

from simulator.clock import Clock
from simulator.programs.registry import Output, Program, ProgramError, Surroundings, find, finish
from simulator.programs.running import OnClock
from simulator.programs.sites import router_site
from simulator.router import Router

__all__ = ["MOST_TURNS", "Listeners", "LoopError", "ProgramFailedError"]

MOST_TURNS = 1000
"""Packets that one program may take at one instant; a program that takes more is in a divert loop."""


class LoopError(Exception):
    """What was begun does not come to an end."""


class ProgramFailedError(Exception):
    """A divert program failed on something that is no empty socket."""


class Listeners:
    """Divert sockets, each with the program that serves it."""

    def __init__(self, clock: Clock, output: Output, open: Callable[[str, str], IO[Any]] = open) -> None:
        """``open`` gives programs the files that they may have."""
        self.epoch = 0.0
        """When the clock stood at 0, in seconds since 1970."""
        self._clock = clock
        self._output = output
        self._open = open
        self._all: list[tuple[Any, OnClock, Program, str]] = []

    def add(self, router: Router, port: int, name: str, options: Sequence[str]) -> None:
        """Start a program on a port of a router.

        :raises ProgramError: for a program, an option or a value that does not exist, and for a port that is taken.
        """
        around = Surroundings(
            output=self._output,
            errors=self._output,
            now=self._clock.now,
            date=lambda: self.epoch + self._clock.now(),
            socket=router.socket,
            port=port,
            site=partial(router_site, router),
            open=self._open,
            choose=random.Random(port).randrange,
        )
        entry = find(name)
        try:
            entry.parser(around).parse_args(list(options))
            divert = entry.open(port, around)
            program = entry.build(list(options), around)
        except (OSError, ValueError, OverflowError) as error:
            raise ProgramError(f"{name} on port {port}: {error}") from error
        divert.setblocking(False)
        self._all.append((divert, OnClock(program, divert, self._clock), program, f"{name} on port {port}"))

    def settle(self) -> None:
        """Let programs take what waits for them, until nothing does.

        :raises LoopError: when that has no end.
        :raises ProgramFailedError: when one of them fails.
        """
        turns = 0
        while ready := [each for each in self._all if each[0].readable]:
            for divert, program, _, title in ready:
                turns += 1
                if turns > MOST_TURNS * len(self._all):
                    raise LoopError(f"{title} took more than {MOST_TURNS} packets at one instant: a divert loop")
                try:
                    program(divert)
                except BlockingIOError:
                    pass
                except (OSError, ValueError) as error:
                    raise ProgramFailedError(f"{title} failed: {error}") from error

    def finish(self) -> None:
        """The programs are over."""
        for _, _, program, _ in self._all:
            finish(program)
