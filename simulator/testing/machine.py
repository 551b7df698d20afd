"""A Hypothesis state machine around a router: rules change, packets arrive, programs come, work and go, time passes.

>>> from hypothesis.stateful import invariant
>>> from simulator.testing import RouterMachine
>>> from simulator.testing.strategies import World
>>> class Gateway(RouterMachine):
...     world = World(rules=("add 100 divert 8668 ip from any to any out xmit em1",))
...     changes_rules = False
...     @invariant()
...     def nothing_private_leaves(self):
...         assert not any(octets[12:14] == b"\\xc0\\xa8" for octets in self.router.interfaces["em1"].sent)
>>> TestGateway = Gateway.TestCase
"""

from __future__ import annotations

import rules.strategies  # noqa: F401  # first, as it says what to install where hypothesis is missing

# isort: split

import socket
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rules.errors import CommandError
from simulator.router import IPPROTO_DIVERT, Router
from simulator.scenario.recording import Recording, is_failure
from simulator.scenario.world import listed_rules
from simulator.sockets.base import QueueSocket
from simulator.testing import drawing, traffic
from simulator.testing.behaviours import Behaviour
from simulator.testing.invariants import Invariants
from simulator.testing.twin import Twin
from simulator.testing.worlds import World

__all__ = ["RouterMachine"]

_HOURS = 100_000.0
"""Seconds after which nothing waits for anything any more."""


_AT_ONCE = 4
"""Datagrams that arrive one after the other, and that a program takes in its turn."""


def _its(name: str) -> st.SearchStrategy[Any]:
    """What a method of the machine draws from."""
    return st.runner().flatmap(lambda machine: getattr(machine, name)())


class RouterMachine(RuleBasedStateMachine):
    """Subclass it, say in ``world`` which router, and add invariants and rules of your own, which use ``self.router``.

    After each step it is looked at that the ledger balances, that counters agree with the trace, that sockets give
    packets in order, that what is written back as it was read is not diverted again where the kernel promises that,
    and that a second router with the other engine, to which the same is done, says the same of every packet; in the
    end, that every packet has had one fate.  A failure brings the scenario of its steps along.
    """

    world: ClassVar[World | None] = None
    """The router; None: it is drawn."""
    profile: ClassVar[str | None] = None
    """The kernel of a router that is drawn; None: any."""
    changes_rules: ClassVar[bool] = True
    """Whether commands are drawn, too."""
    ports: ClassVar[tuple[int, ...]] = ()
    """Divert ports on which programs come and go; those that drawn rules divert to, unless said."""
    scenario: ClassVar[str | Path | None] = None
    """A file for the scenario of a failure, instead of adding it to what is raised."""

    router: Router

    # What is drawn; override any of these

    def worlds(self) -> st.SearchStrategy[World]:
        """The router that it begins with: ``world``, if there is one."""
        if self.world is not None:
            return st.just(self.world)
        return drawing.worlds(profiles=() if self.profile is None else [self.profile])

    def commands(self) -> st.SearchStrategy[str]:
        """Commands of ipfw or ipchains: rules more than anything, and what takes them away again."""
        return drawing.commands(self.built)

    def arrivals(self) -> st.SearchStrategy[tuple[str, bytes]]:
        """Interface and datagram: from a neighbour, or drawn from one of the rules that are there."""
        return traffic.arriving(self.built) | traffic.arriving_at_rules(self.built, self.router)

    def originated(self) -> st.SearchStrategy[bytes]:
        """Datagrams that the router itself sends."""
        return traffic.originated(self.built)

    def programs(self) -> st.SearchStrategy[Behaviour]:
        """What a divert program does."""
        return drawing.behaviours()

    def writes(self) -> st.SearchStrategy[tuple[bytes, tuple[str, int]]]:
        """What a program writes of its own accord, and the address that it gives."""
        return traffic.written(self.built)

    def lapses(self) -> st.SearchStrategy[float]:
        """How much time passes at once, in seconds."""
        return st.sampled_from((1.0, 0.1, 31.0, 400.0))

    # Steps

    @initialize(world=_its("worlds"))
    def begin(self, world: World) -> None:
        """The first step of all."""
        self.built = world
        self.router = world.build(engine="fast")
        self.behaviours: dict[int, tuple[QueueSocket, Behaviour]] = {}
        """The programs that run, by their divert port."""
        self._watching = ExitStack()
        self.recording = self._watching.enter_context(Recording(self.router))
        self._invariants = self._watching.enter_context(closing(Invariants(self.router)))
        self._twin = self._watching.enter_context(closing(Twin(self.router, "plain")))

    @precondition(lambda self: self.changes_rules)
    @rule(command=_its("commands"))
    def change_rules(self, command: str) -> None:
        """A command, which may be refused: then nothing has changed."""
        before = [*listed_rules(self.router)]
        try:
            self.router.ipchains(command) if self.built.is_linux else self.router.ipfw(command)
        except CommandError:
            if [*listed_rules(self.router)] != before:
                raise

    @rule(arrivals=st.lists(_its("arrivals"), min_size=1, max_size=_AT_ONCE))
    def receive(self, arrivals: list[tuple[str, bytes]]) -> None:
        for interface, octets in arrivals:
            self.router.interfaces[interface].receive(octets)

    @rule(octets=_its("originated"))
    def send(self, octets: bytes) -> None:
        self.router.send(octets)

    @precondition(lambda self: len(self.behaviours) < len(self.divert_ports))
    @rule(program=_its("programs"))
    def start_program(self, program: Behaviour) -> None:
        """A program begins to listen on the first divert port that is free."""
        sock = self.router.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT)
        sock.setblocking(False)
        port = next(port for port in self.divert_ports if port not in self.behaviours)
        sock.bind(("0.0.0.0", port))
        self.behaviours[port] = sock, program

    @precondition(lambda self: any(sock.readable for sock, _ in self.behaviours.values()))
    @rule()
    def let_programs_work(self) -> None:
        """Each program takes a few datagrams, as far as they wait for it, and does what it does."""
        for sock, program in [*self.behaviours.values()]:
            for _ in range(_AT_ONCE):
                if sock.readable:
                    program(sock)

    @precondition(lambda self: self.behaviours)
    @rule(write=_its("writes"))
    def write(self, write: tuple[bytes, tuple[str, int]]) -> None:
        """The first program writes of its own accord; the kernel may refuse it."""
        sock, program = next(iter(self.behaviours.values()))
        try:
            sock.sendto(*write)
        except OSError as error:
            program.refused[str(error.strerror)] += 1

    @precondition(lambda self: self.behaviours)
    @rule()
    def stop_program(self) -> None:
        """The program that has run longest dies, what it was given and has not read with it."""
        sock, _ = self.behaviours.pop(next(iter(self.behaviours)))
        sock.close()

    @rule(seconds=_its("lapses"))
    def wait(self, seconds: float) -> None:
        self.router.clock.advance(seconds)

    # What is always true

    @property
    def divert_ports(self) -> tuple[int, ...]:
        """The ports on which programs come and go."""
        return self.ports or ((1234, 4321) if self.built.is_linux else (8668, 5000))

    @invariant()
    def the_router_keeps_its_promises(self) -> None:
        self._invariants.check()

    @invariant()
    def both_engines_agree(self) -> None:
        self._twin.check()

    # The end

    def teardown(self) -> None:
        if not hasattr(self, "_twin"):
            return  # the router could not be built
        error = sys.exc_info()[1]
        try:
            if error is None:
                self._end()
        except Exception as late:
            error = late
            raise
        finally:
            self._watching.close()
            if error is not None and is_failure(error):
                self.recording.explain(error, self.scenario)

    def _end(self) -> None:
        self.router.clock.advance(_HOURS)
        self.both_engines_agree()
        self._invariants.check_end()
        for sock, _ in self.behaviours.values():
            sock.close()
