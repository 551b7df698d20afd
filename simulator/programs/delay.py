"""Hold packets for a while and send them back later, in the order in which they came.

That a program need not answer at once is the point: each packet keeps the address that came with it, and any number of
them may be outstanding, as intrusion detection does it. What is held when the program ends is lost.
"""

from __future__ import annotations

import argparse
from collections import deque
from typing import Any

from simulator.programs.registry import Entry, Surroundings
from simulator.programs.returning import send_back
from simulator.programs.values import positive, seconds

__all__ = ["PROGRAM", "Delay"]


class Delay:
    """Calling it with a divert socket takes one packet; `due` sends back what has been held long enough."""

    def __init__(self, held_for: float, around: Surroundings, *, limit: int) -> None:
        self._held_for = held_for
        self._around = around
        self._limit = limit
        self._held: deque[tuple[float, bytes, Any]] = deque()
        """When each is to be sent, its octets and its address."""

    def __call__(self, divert: Any) -> None:
        octets, address = divert.recvfrom(65535)
        if len(self._held) == self._limit:
            print(f"delay: {self._limit} packets are held, one more is lost", file=self._around.errors, flush=True)
            return
        self._held.append((self._around.now() + self._held_for, octets, address))

    def due(self, divert: Any) -> float | None:
        """Send what is due; seconds until the next one is, None when none is held."""
        now = self._around.now()
        while self._held:
            when, octets, address = self._held[0]
            if when > now:
                return when - now
            self._held.popleft()
            send_back(divert, octets, address, self._around.errors, "delay")
        return None

    def finish(self) -> None:
        """What is still held is lost, and that is told."""
        if self._held:
            print(f"delay: {len(self._held)} held packets are lost", file=self._around.errors, flush=True)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", metavar="S", type=seconds, default=0.1, help="how long, default 0.1")
    parser.add_argument("--limit", metavar="N", type=positive, default=1000, help="packets held at most, default 1000")


PROGRAM = Entry(
    name="delay",
    summary="Hold every packet for a while and put it back later.",
    make=lambda values, around: Delay(values.seconds, around, limit=values.limit),
    options=_options,
)
