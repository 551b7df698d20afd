"""What is done to a router, step by step, as one would write it in a script; and who watches for it.

Packets are heard from the trace, commands are in the router's history, and what sockets and groups there are is looked
at whenever something else happens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from simulator.history import Act
from simulator.interfaces import ALL_HOSTS
from simulator.router import Router
from simulator.sockets.base import QueueSocket
from simulator.trace import Event, Kind

__all__ = ["Bound", "Closed", "Joined", "OptionSet", "Read", "Received", "Sent", "Step", "Watcher", "Wrote"]


@dataclass(frozen=True, slots=True)
class Received:
    """A datagram arrived from the wire."""

    time: float
    interface: str
    octets: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """The host originated one."""

    time: float
    octets: bytes


@dataclass(frozen=True, slots=True)
class Wrote:
    """A socket was written to."""

    time: float
    sock: QueueSocket
    octets: bytes
    address: Any
    """As the program gave it."""


@dataclass(frozen=True, slots=True)
class Read:
    """A datagram was read from a socket."""

    time: float
    sock: QueueSocket


@dataclass(frozen=True, slots=True)
class Bound:
    """A socket listens from now on."""

    time: float
    sock: QueueSocket


@dataclass(frozen=True, slots=True)
class Closed:
    """It does so no longer."""

    time: float
    sock: QueueSocket


@dataclass(frozen=True, slots=True)
class OptionSet:
    """One of its options has another value."""

    time: float
    sock: QueueSocket
    level: int
    option: int
    value: int


@dataclass(frozen=True, slots=True)
class Joined:
    """An interface takes datagrams for a multicast group."""

    time: float
    interface: str
    group: int


Step: TypeAlias = Act | Received | Sent | Wrote | Read | Bound | Closed | OptionSet | Joined


class Watcher:
    """Watches a router while its context is open."""

    def __init__(self, router: Router) -> None:
        self.router = router
        self.steps: list[Step] = []
        self.events: list[Event] = []
        """All that happened."""
        self.began_at = router.ledger.sources
        """Packets that had been there before."""
        self._known = 0
        self._listening: dict[QueueSocket, None] = {}
        self._options: dict[QueueSocket, dict[tuple[int, int], int]] = {}
        self._groups: set[tuple[str, int]] = set()
        self._looped: Counter[bytes] = Counter()
        self._writing = 0
        """Writes to sockets that are not over."""
        self._stack = ExitStack()

    def __enter__(self) -> Watcher:
        self._stack.enter_context(self.router.trace(self._hear))
        self._stack.enter_context(self.router.overhear(self))
        self.look()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self.look()

    def look(self) -> None:
        """Take down what was done since the last look and made no noise."""
        self.steps += self.router.history[self._known :]
        self._known = len(self.router.history)
        now = self.router.clock.now()
        listening = dict.fromkeys(self.router.listening)
        self.steps += [Closed(now, sock) for sock in self._listening if sock not in listening]
        self.steps += [Bound(now, sock) for sock in listening if sock not in self._listening]
        self._listening = listening
        for sock in listening:
            options = dict(sock.options_set)
            before, self._options[sock] = self._options.get(sock, {}), options
            fresh = [(pair, value) for pair, value in options.items() if before.get(pair) != value]
            self.steps += [OptionSet(now, sock, *pair, value) for pair, value in fresh]
        for interface in self.router.interfaces.values():
            joined = sorted((interface.name, group) for group in interface.groups if group != ALL_HOSTS)
            self.steps += [Joined(now, *pair) for pair in joined if pair not in self._groups]
            self._groups.update(joined)

    def _hear(self, event: Event) -> None:
        octets = event.octets or b""
        match event.kind:
            case Kind.RECEIVED if self._looped[octets] and event.interface == self.router.node.loopback.name:
                self._looped[octets] -= 1  # this host's own, which comes round
            case Kind.RECEIVED:
                self.look()
                self.steps.append(Received(event.time, event.interface or "", octets))
            case Kind.ORIGINATED if not self._writing:
                self.look()
                self.steps.append(Sent(event.time, octets))
            case Kind.TRANSMITTED if event.interface == self.router.node.loopback.name:
                self._looped[octets] += 1
        self.events.append(event)

    def has_read(self, sock: QueueSocket, octets: bytes, address: Any) -> None:
        self.look()
        self.steps.append(Read(self.router.clock.now(), sock))

    @contextmanager
    def writing(self, sock: QueueSocket, octets: bytes, address: Any) -> Iterator[None]:
        self.look()
        self.steps.append(Wrote(self.router.clock.now(), sock, octets, address))
        self._writing += 1
        try:
            yield
        finally:
            self._writing -= 1
