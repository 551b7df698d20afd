"""The world of one script: routers, what joins them, sockets, programs, packets with names, and one simulated clock.

Time passes here alone.  Between two timers, and after everything that a script does, the world *settles*: programs
take what was diverted to them and write, until nobody has anything left to read.
"""

from __future__ import annotations

import errno
import io
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from socket import MSG_DONTWAIT, MSG_PEEK
from typing import IO, Any

from simulator.clock import SimulatedClock
from simulator.interfaces import Interface
from simulator.links.impaired import ImpairedLink
from simulator.links.memory import Cables
from simulator.profiles import LinuxProfile
from simulator.programs.listening import Listeners, LoopError
from simulator.router import Router
from simulator.scenario.model import Place, ScriptError
from simulator.scenario.packets import Files, Library
from simulator.sockets.netlink import parse_message
from simulator.trace import Event

__all__ = ["ScriptSocket", "Station", "Wire", "World", "listed_rules"]

_MOST_TIMERS = 1_000_000
"""Instants at which something may happen while a script lets time pass."""


class Wire:
    """The link behind an interface of a script: keeps what was transmitted, and hands it to the far end if joined."""

    __slots__ = ("before", "far_end", "sent", "taken")

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.taken = 0
        """How many of them an expectation has taken."""
        self.before = 0
        """How many of them there were before the last action."""
        self.far_end: Callable[[bytes], object] | None = None

    def transmit(self, octets: bytes) -> None:
        self.sent.append(octets)
        if self.far_end is not None:
            self.far_end(octets)

    @property
    def waiting(self) -> list[bytes]:
        """What no expectation has taken."""
        return self.sent[self.taken :]


@dataclass
class Station:
    """One router of the script and what the script has seen of it."""

    name: str
    router: Router
    events: list[Event] = field(default_factory=list)
    delivered: int = 0
    """How many local deliveries an expectation has taken."""
    messages: int = 0
    """How many kernel messages an expectation has passed."""

    events_before: int = 0
    delivered_before: int = 0
    """How many of each there were before the last action."""

    def __post_init__(self) -> None:
        self.router.node.tracer.add(self.events.append)


@dataclass
class ScriptSocket:
    """A socket that the script reads and writes by its own lines."""

    name: str
    socket: Any
    station: Station
    address: Any = None
    """The address that came with what it read last."""

    def read(self, flags: int = 0) -> bytes:
        """The next packet.  :raises OSError: BlockingIOError above all, when there is none."""
        octets, self.address = self.socket.recvfrom(65535, flags)
        assert isinstance(octets, bytes)
        return octets


class CopyReader(ScriptSocket):
    """A netlink socket: the address of a copy is its interface's name and its mark."""

    def read(self, flags: int = 0) -> bytes:
        message = parse_message(super().read(flags))
        self.address = message.interface, message.mark
        return message.octets


class World:
    """Everything that the lines of one case have made."""

    def __init__(self, files: Files | None = None) -> None:
        self.clock = SimulatedClock()
        self.stations: dict[str, Station] = {}
        self.current: Station | None = None
        self.sockets: dict[str, ScriptSocket] = {}
        self.packets = Library(files)
        self.said = io.StringIO()
        """What programs print."""
        self.heard = 0
        """How much of it an expectation has taken, in characters."""
        self.programs = Listeners(self.clock, self.said, no_files if files is None else files.open)
        self.wires: dict[tuple[str, str], Wire] = {}
        """By the names of router and interface."""
        self.allowed: set[tuple[str, str]] = set()
        """Router and interface, or ``""`` and socket, whose other packets are no failure."""
        self.allows_all = False
        self._cables = Cables()

    # Names

    def station(self, place: Place, name: str | None = None) -> Station:
        """The router of that name, or the one that lines are about.  :raises ScriptError: without one."""
        if name is not None:
            try:
                return self.stations[name]
            except KeyError:
                raise ScriptError(place.at(name), f"no router {name!r}{_of(self.stations)}") from None
        if self.current is None:
            raise ScriptError(place, "there is no router yet: begin with 'router linux-2.2' or 'router freebsd-13'")
        return self.current

    def interface(self, name: str, place: Place) -> tuple[Station, Interface]:
        """``eth0`` of the current router (or of the only one that has it), or ``ROUTER.eth0``."""
        owner, dot, own = name.partition(".")
        if dot and owner in self.stations and own in self.stations[owner].router.interfaces:
            station = self.stations[owner]
            return station, station.router.interfaces[own]
        here = self.station(place)
        if name in here.router.interfaces:
            return here, here.router.interfaces[name]
        others = [station for station in self.stations.values() if name in station.router.interfaces]
        if len(others) == 1:
            return others[0], others[0].router.interfaces[name]
        if others:
            raise ScriptError(place.at(name), f"several routers have {name!r}: say {others[0].name}.{name}")
        known = [f"{each.name}.{name}" for each in self.stations.values() for name in each.router.interfaces]
        raise ScriptError(place.at(name), f"no interface {name!r}{_of(known)}")

    def is_interface(self, name: str) -> bool:
        """Whether a name means an interface rather than a router."""
        owner, dot, own = name.partition(".")
        if dot and owner in self.stations:
            return own in self.stations[owner].router.interfaces
        return any(name in station.router.interfaces for station in self.stations.values())

    def wire(self, name: str, place: Place) -> Wire:
        """The link behind an interface."""
        station, interface = self.interface(name, place)
        wire = self.wires.get((station.name, interface.name))
        if wire is None:
            raise ScriptError(place.at(name), f"{interface.name} is the loopback interface: no wire is behind it")
        return wire

    def socket(self, name: str, place: Place) -> ScriptSocket:
        try:
            return self.sockets[name]
        except KeyError:
            raise ScriptError(place.at(name), f"no socket {name!r}{_of(self.sockets)}") from None

    # Joining

    def join(self, one: str, other: str, impairments: dict[str, float], place: Place) -> None:
        """A link between two interfaces; each direction has its own randomness, made from the seed."""
        ends = [self.interface(name, place) for name in (one, other)]
        wires = [self.wire(name, place) for name in (one, other)]
        for name, (_, interface), wire in zip((one, other), ends, wires, strict=True):
            if wire.far_end is not None:
                raise ScriptError(place.at(name), f"{interface.name} is joined already")
        if ends[0][1] is ends[1][1]:
            raise ScriptError(place.at(one), f"{one} cannot be joined to itself")
        self._cables.join(ends[0][1], ends[1][1])
        seed = int(impairments.get("seed", 1))
        shares = {word: share for word, share in impairments.items() if word != "seed"}
        for direction, ((_, interface), wire) in enumerate(zip(ends, wires, strict=True)):
            inner: Any = interface.link
            if shares:
                inner = ImpairedLink(inner, self.clock, random.Random(seed * 2 + direction), **shares)
            wire.far_end = inner.transmit
            interface.link = wire
            interface.transmit = wire.transmit

    # Time

    def begin_action(self) -> None:
        """What has happened so far happened before the action that begins now."""
        for station in self.stations.values():
            station.events_before = len(station.events)
            station.delivered_before = len(station.router.delivered)
        for wire in self.wires.values():
            wire.before = len(wire.sent)

    def advance_to(self, when: float) -> None:
        """Let time pass; whatever happens on the way settles at its own instant."""
        for _ in range(_MOST_TIMERS):
            wait = self.clock.next_deadline()
            if wait is None or self.clock.now() + wait > when:
                break
            self.clock.advance_to(self.clock.now() + wait)
            self.settle()
        else:
            raise LoopError(f"more than {_MOST_TIMERS:,} timers fired before {when:g} s")
        self.clock.advance_to(max(when, self.clock.now()))
        self.settle()

    def settle(self) -> None:
        """Programs take what waits for them, until nothing does."""
        self.programs.settle()

    def leftovers(self) -> Iterator[tuple[str, bytes]]:
        """What left by an open wire, or waits at a socket of the script, and no line took; where, and the octets."""
        several = len(self.stations) > 1
        for (station, interface), wire in self.wires.items():
            if wire.far_end is None and not self.allows_all and (station, interface) not in self.allowed:
                where = f"{station}.{interface}" if several else interface
                yield from ((f"{where} sent", octets) for octets in wire.waiting)
        for name, each in self.sockets.items():
            if self.allows_all or ("", name) in self.allowed:
                continue
            if not each.socket.closed and each.socket.readable:
                yield f"{name} was given", each.read(MSG_PEEK | MSG_DONTWAIT)


def listed_rules(router: Router) -> Iterator[tuple[str, str]]:
    """The rules of a router in order: the label that traces give each, and its words."""
    if isinstance(router.profile, LinuxProfile):
        for name, chain in router.tables.chains.items():
            for number in range(1, len(chain.entries) + 1):
                yield f"{name}:{number}", router.tables.chains.words_of(f"{name}:{number}") or ""
            if chain.policy is not None:
                yield f"{name}:policy", chain.policy.name
        return
    for rule in router.rules:
        yield str(rule.number), str(replace(rule, number=0, set=0))


def _of(names: Any) -> str:
    known = sorted(names)
    return f" (there are {', '.join(known)})" if known else ""


def no_files(name: str, mode: str) -> IO[Any]:
    """What opens files for the programs of a script that has no folder."""
    raise PermissionError(errno.EACCES, "this script has no folder", name)
