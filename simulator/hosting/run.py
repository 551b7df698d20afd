"""One run: a world, a driver, the stand-ins, and the script in the middle of it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import NoReturn

from simulator.hosting.commands import serving, tool_runner
from simulator.hosting.description import Arrival
from simulator.hosting.driver import Driver
from simulator.hosting.report import Result
from simulator.hosting.script import run_script
from simulator.hosting.standins import fed_input, standing_in
from simulator.hosting.world import World

__all__ = ["host"]

_GIVEN_UP = 1


def _feed_nobody(text: str | None) -> None:
    """Of a description without anything for the standard input."""


def host(world: World, path: str, arguments: Sequence[str], tell: Callable[[Result], object]) -> Result:
    """Run the script in this thread, which must be the main one, as far as the world's description goes.

    `tell` gets the result when the script will not end: the process ends after it. Raises OSError when the script
    cannot be read.
    """

    def give_up() -> NoReturn:
        print(f"divertsim: {path} goes on after the end, whatever is raised: given up", file=sys.stderr)
        tell(Result(world, _GIVEN_UP, over=True))
        sys.stdout.flush()
        os._exit(_GIVEN_UP)

    feed: Callable[[str | None], None] = _feed_nobody

    def happen(arrival: Arrival) -> None:
        if arrival.text is None:
            world.happen(arrival)
        else:
            feed(arrival.text)

    description = world.description
    router = world.router
    driver = Driver(router.clock, description.arrivals, happen, description.seconds, lambda: feed(None), give_up)
    with ExitStack() as stack:
        # Where a shell has put us into the background SIGINT is ignored, and the script could not be interrupted.
        stack.callback(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.default_int_handler))
        stack.callback(driver.close)
        stack.enter_context(serving(driver, [world.tool], tool_runner(driver, {world.tool: world.command})))
        if description.has_stdin:
            feed = stack.enter_context(fed_input(driver))
        stack.enter_context(standing_in(driver, router))
        status = run_script(path, arguments, lambda: driver.over)
        over = driver.over
    return Result(world, status, over)
