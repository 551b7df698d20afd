"""A second router to which the same is done as to the first, with another way of searching rules.

House rule: the plain way and the fast way agree.  The twin is told each step that was done to the first router, and
what both firewalls said of every packet is compared.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from itertools import zip_longest
from typing import Any

from rules.addresses import dotted
from rules.errors import CommandError
from simulator.history import Act
from simulator.interfaces import Interface
from simulator.router import Router
from simulator.scenario.watching import Bound, Closed, Joined, OptionSet, Read, Received, Sent, Step, Watcher, Wrote
from simulator.sockets.base import QueueSocket
from simulator.sockets.divert import DivertSocket
from simulator.sockets.raw import RawSocket
from simulator.sockets.udp import UdpSocket
from simulator.spoken import speak
from simulator.trace import Event, Kind

__all__ = ["Twin", "TwinsDifferError"]

Said = tuple[str | None, str | None, tuple[str, ...], str | None, int | None, bytes | None]


class TwinsDifferError(AssertionError):
    """The two engines do not agree."""


class Twin:
    """The twin of a router.  Take it before any packet has passed; ``close`` it in the end."""

    def __init__(self, router: Router, engine: str = "plain") -> None:
        self._engine = engine
        self._done = 0
        self._compared = 0
        self._sockets: dict[QueueSocket, QueueSocket] = {}
        self._said: list[Said] = []
        self._mine: Router | None = None
        self._stack = ExitStack()
        self._watcher = self._stack.enter_context(Watcher(router))

    def close(self) -> None:
        """Follow no longer."""
        self._stack.close()

    def check(self) -> None:
        """Do what was done since last time, and compare.  :raises TwinsDifferError: naming the first difference."""
        watcher = self._watcher
        watcher.look()
        for step in watcher.steps[self._done :]:
            self._do(step)
        self._done = len(watcher.steps)
        if self._mine is not None:
            self._mine.clock.advance_to(watcher.router.clock.now())
        events = (event for event in watcher.events[self._compared :] if event.kind is Kind.FIREWALL)
        self._compared = len(watcher.events)
        first, self._said = [_said(event) for event in events], self._said
        for one, other in zip_longest(first, self._said):
            if one != other:
                raise TwinsDifferError(f"the engines differ: {_words(one)}; {self._engine}: {_words(other)}")
        self._said.clear()

    def _hear(self, event: Event) -> None:
        if event.kind is Kind.FIREWALL:
            self._said.append(_said(event))

    def _do(self, step: Step) -> None:
        if isinstance(step, Act) and step.method == "Router":
            given = step.arguments
            self._mine = Router(
                given["profile"],
                names=given["names"],
                hosts=given["hosts"],
                engine=self._engine,
                **given["switches"],
            )
            self._mine.node.tracer.add(self._hear)
            return
        router = self._mine
        assert router is not None
        router.clock.advance_to(step.time)
        match step:
            case Act(method="up", arguments=arguments):
                router.interfaces[arguments["interface"]].up = arguments["up"]
            case Act():
                self._call(router, step)
            case Received():
                router.interfaces[step.interface].receive(step.octets)
            case Sent():
                router.send(step.octets)
            case Joined():
                router.interfaces[step.interface].join(dotted(step.group))
            case Bound():
                self._sockets[step.sock] = _like(router, step.sock)
            case OptionSet():
                with suppress(OSError):
                    self._sockets[step.sock].setsockopt(step.level, step.option, step.value)
            case Closed():
                self._sockets.pop(step.sock).close()
            case Read() if step.sock in self._sockets:
                with suppress(OSError):
                    self._sockets[step.sock].recvfrom(65535)
            case Wrote(sock=sock, octets=octets, address=address):
                mine = self._sockets.get(sock) or router.socket(sock.family, sock.type, sock.proto)
                with suppress(OSError):
                    mine.send(octets) if address is None else mine.sendto(octets, address)

    @staticmethod
    def _call(router: Router, act: Act) -> None:
        given = {name: _own(value) for name, value in act.arguments.items() if name != "link"}
        try:
            getattr(router, act.method)(**given)
        except CommandError:
            if not act.failed:
                raise


def _own(value: Any) -> Any:
    """The twin's interfaces are named, those of the first router are its own."""
    return value.name if isinstance(value, Interface) else value


def _said(event: Event) -> Said:
    return event.hook, event.rule, event.matched, event.verdict, event.port, event.octets


def _words(said: Said | None) -> str:
    if said is None:
        return "nothing"
    hook, rule, matched, verdict, port, octets = said
    where = f"{verdict}{'' if port is None else f' {port}'} by {rule} (matched {', '.join(matched) or 'none'})"
    return f"{hook} {where} of {speak(octets or b'')}"


def _like(router: Router, sock: QueueSocket) -> QueueSocket:
    """A socket that listens as the other one does."""
    mine = router.socket(sock.family, sock.type, sock.proto)
    mine.setblocking(False)
    for (level, name), value in sock.options_set:  # some, such as SO_REUSEPORT, count before bind
        with suppress(OSError):
            mine.setsockopt(level, name, value)
    match sock:
        case DivertSocket():
            mine.bind(("0.0.0.0", sock.port or 0))
        case UdpSocket():
            mine.bind((dotted(sock.host), sock.port))
        case RawSocket() if sock.host:
            mine.bind((dotted(sock.host), 0))
    return mine
