"""What diverting means, in three phases: a ping through the router under one DIVERT rule.

reinject
    The interceptor listens and puts every packet back: all echo requests are answered.
no-listener
    The interceptor is stopped: the rule acts as DENY, none is answered (linux.md D5).
pass-through
    Still nobody listens, but the kernel has pass-through: all are answered, nothing is diverted (linux.md D6).

Where it happens is a `Bench`: `TunBench` with real network stacks, `simulator.live.simulated.MemoryBench` without.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple, Protocol

from simulator.clock import Clock, WallClock
from simulator.live import echo, streams
from simulator.live.host import Job
from simulator.live.lab import LEFT, RIGHT, Lab
from simulator.live.loop import LiveLoop
from simulator.programs.interceptor import Interceptor, bind_socket, create_socket
from simulator.router import Router
from simulator.sockets.divert import DivertSocket
from simulator.trace import Event

__all__ = [
    "CHAINS",
    "PHASES",
    "Bench",
    "Exchange",
    "Lines",
    "Outcome",
    "Phase",
    "Say",
    "Traffic",
    "TunBench",
    "picture",
    "play",
    "tell",
]

CHAINS = ("input", "forward", "output")
_PORT = 1234
_PROFILE = "linux-2.2"
_INTERVAL = 0.2
"""Seconds between two echo requests: the shortest that ping(8) allows everybody."""
_PATIENCE = 1.0

Say = Callable[[str, str], object]
"""Gets who speaks ("demo", "router", "program", "ping", "tcp") and one line."""

Traffic = Literal["ping", "tcp"]


class Phase(NamedTuple):
    """One phase, and what the semantics of divert sockets promise for it."""

    name: str
    says: str
    listening: bool
    pass_through: bool

    @property
    def all_answered(self) -> bool:
        """Otherwise none."""
        return self.listening or self.pass_through


PHASES = (
    Phase("reinject", "a program listens on the port and puts every packet back", True, False),
    Phase("no-listener", "nobody listens: the rule acts as DENY", False, False),
    Phase("pass-through", "nobody listens, but the router is built with pass-through", False, True),
)


class Outcome(NamedTuple):
    """What a phase came to: `sent` and `replied` are echo requests, `diverted` and `reinjected` packets both ways."""

    name: str
    sent: int
    replied: int
    diverted: int
    reinjected: int
    as_promised: bool

    @property
    def lost(self) -> int:
        """Echo requests without an answer."""
        return self.sent - self.replied


@dataclass(frozen=True, slots=True)
class Exchange:
    """What is to go through a router."""

    traffic: Traffic
    router: Router
    divert: DivertSocket | None
    program: Callable[[DivertSocket], object]
    count: int
    """Echo requests, or TCP connections."""
    say: Say
    patience: float = _PATIENCE
    """Seconds that an answer may take after the last of them."""


class Bench(Protocol):
    """Two hosts and a place for a router between them."""

    mode: str
    """"tun" or "memory"."""

    @property
    def epoch(self) -> float:
        """When the clock stood at 0, in seconds since 1970."""

    def clock(self) -> Clock:
        """A new clock for a router that will be connected here."""

    def exchange(self, asked: Exchange) -> echo.Pinged:
        """Connect the router, let the program run at the divert socket if there is one, and have the left host send
        echo requests to the right one, or make TCP connections.

        Returns how many there were, and how many were answered.
        """


class TunBench:
    """Network stacks of this machine in namespaces of their own. Raises HostError where there can be none."""

    mode = "tun"

    def __init__(self) -> None:
        self._lab = Lab()
        self.privilege = self._lab.privilege
        self.epoch = time.time()

    def clock(self) -> Clock:
        self.epoch = time.time()
        return WallClock()

    def exchange(self, asked: Exchange) -> echo.Pinged:
        """Raises what the program fails with."""
        loop = self._lab.connect(asked.router)
        if asked.divert is not None:
            loop.attach(asked.divert, asked.program)
        job, seconds = (self._ping if asked.traffic == "ping" else self._connect)(loop, asked)
        failures = loop.failures
        over = loop.run(lambda: job.done or bool(failures), seconds=seconds + 10)
        if failures:  # not of sending, which the interceptor shows and survives: nobody reads what it prints
            raise failures[0][1]
        if not over:
            self._lab.left.stop(job)
            return echo.Pinged(asked.count, 0)
        result = job.result()
        assert isinstance(result, echo.Pinged)
        return result

    def _ping(self, _: LiveLoop, asked: Exchange) -> tuple[Job, float]:
        """The job, and the seconds that it should take at most."""
        words = (RIGHT.host, asked.count, _INTERVAL, asked.patience)
        job = self._lab.left.start(echo.ping, *words, on_report=partial(_say_line, asked.say, "ping"))
        return job, asked.count * _INTERVAL + asked.patience

    def _connect(self, loop: LiveLoop, asked: Exchange) -> tuple[Job, float]:
        """The same for TCP; the other end of it listens when this returns."""
        tell = partial(_say_line, asked.say, "tcp")
        server = self._lab.right.start(streams.serve, streams.PORT, asked.count, on_report=tell)
        loop.run(lambda: bool(server.reports) or server.done, seconds=_PATIENCE)
        words = (RIGHT.host, streams.PORT, asked.count, asked.patience)
        return self._lab.left.start(streams.call, *words, on_report=tell), 2 * asked.count * asked.patience

    def close(self) -> None:
        self._lab.close()

    def __enter__(self) -> TunBench:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _say_line(say: Say, who: str, line: object) -> None:
    say(who, str(line))


class Lines:
    """A text stream that says each line as it is complete."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._rest = ""

    def write(self, text: str, /) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._say(line)

    def flush(self) -> None:
        """Nothing to do: whole lines are out already."""


def play(bench: Bench, chain: str, count: int, say: Say) -> Iterator[Outcome]:
    """The three phases, each with a router of its own; an outcome as each is over."""
    for number, phase in enumerate(PHASES, start=1):
        router = Router(_PROFILE, pass_through=phase.pass_through, clock=bench.clock())
        rule = f"-A {chain} -p icmp -j DIVERT {_PORT}"
        say("demo", "")
        say("demo", f"Phase {number}, {phase.name}: {phase.says}")
        say("demo", f"ipchains {rule}")
        router.ipchains(rule)
        yield _play(bench, router, phase, count, say)


def _play(bench: Bench, router: Router, phase: Phase, count: int, say: Say) -> Outcome:
    lines = Lines(lambda line: say("program", line))
    interceptor = Interceptor(output=lines)
    divert = None
    if phase.listening:
        divert = create_socket(router.socket, errors=lines)
        bind_socket(divert, _PORT, errors=lines)
        interceptor.start()
    with router.trace(lambda event: tell(event, say)):
        sent, replied = bench.exchange(Exchange("ping", router, divert, interceptor, count, say))
    if divert is not None:
        divert.close()
    diverted, reinjected = router.ledger.diverted, router.ledger.injected
    good = (
        sent == count
        and replied == (sent if phase.all_answered else 0)
        and diverted == reinjected
        and bool(diverted) == phase.listening
    )
    return Outcome(phase.name, sent, replied, diverted, reinjected, good)


def tell(event: Event, say: Say) -> None:
    """Say an event of the router's trace."""
    # The hosts' kernels speak IPv6 of their own accord; the router counts that and leaves it alone.
    if event.octets is None or event.octets[:1] < b"\x60":
        _, _, line = str(event).strip().partition(" ")  # without the time, which ping shows well enough
        say("router", line.strip())


def picture() -> str:
    """The laboratory in one line."""
    return f"{LEFT.host} --- {LEFT.interface} {LEFT.router} [router] {RIGHT.router} {RIGHT.interface} --- {RIGHT.host}"
