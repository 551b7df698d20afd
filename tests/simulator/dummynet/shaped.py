"""dummynet without a router: packets are names with lengths, and what comes out is written down with its time."""

from __future__ import annotations

import random
from typing import Any

from rules.ipfw import RuleSet
from rules.ipfw.pipes.values import FlowId, flow_set_of
from simulator.clock import SimulatedClock
from simulator.dummynet import make_dummynet
from simulator.dummynet.held import Held
from simulator.dummynet.ticks import Ticks
from simulator.ledger import Reason

__all__ = ["CLASSIC", "MODERN", "Shaped"]

CLASSIC, MODERN = "freebsd-4", "freebsd-13"


class Shaped:
    """``Shaped(profile, "pipe 1 config bw 80Kbit/s")``; times are milliseconds."""

    def __init__(self, profile: str, *commands: str, seed: int = 1, hz: int = 1000, **options: Any) -> None:
        self.clock = SimulatedClock()
        self.rules = RuleSet(profile=profile)
        self.dummynet = make_dummynet(
            self.rules.pipes, Ticks(self.clock, hz), random.Random(seed).random, self, **options
        )
        self.left: list[tuple[float, object]] = []
        """(time, name) of everything that came out, in order."""
        self.dropped: dict[object, Reason] = {}
        self.silent: dict[object, bool] = {}
        self.inside = 0
        self.marked: list[object] = []
        for command in commands:
            self.run(command)

    def run(self, command: str) -> str:
        return self.rules.run(command)

    def send(
        self, name: object, length: int = 100, *, pipe: int = 0, queue: int = 0, flow: FlowId | None = None
    ) -> bool:
        """Whether it was taken."""
        held = Held(name, length)
        self.inside += 1
        number = flow_set_of(pipe or queue, is_pipe=bool(pipe))
        answer = self.dummynet.enter(held, flow or FlowId(), number)
        if answer.reason is not None:
            self.lose(held, answer.reason)
            self.silent[name] = answer.silent
        elif answer.through:
            self.leave(held)
        return answer.reason is None

    def until(self, milliseconds: float) -> None:
        self.clock.advance_to(milliseconds / 1000)

    def rest(self) -> list[tuple[float, object]]:
        """Let everything come out; all that did."""
        self.clock.advance(1e6)
        return self.left

    # The outlet

    def leave(self, held: Held) -> None:
        self.inside -= 1
        self.left.append((round(self.clock.now() * 1000, 6), held.packet))

    def lose(self, held: Held, reason: Reason) -> None:
        self.inside -= 1
        self.dropped[held.packet] = reason

    def mark(self, held: Held) -> bool:
        self.marked.append(held.packet)
        return True
