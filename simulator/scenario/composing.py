"""Lines of a script, each played at once, and behind it what came of it, as expectations.

So the script says what is, not what ought to be, and it passes as long as nothing changes.  Packets that come up again
have a name; one that differs from a named one in a few fields is said by these.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeAlias

from rules.addresses import dotted
from rules.fields import MORE_FRAGMENTS, OFFSET_MASK
from simulator.fragments import LINUX, fragment
from simulator.scenario.acting import ACTIONS, Done
from simulator.scenario.expecting import interface_in
from simulator.scenario.model import Line
from simulator.scenario.reading import read
from simulator.scenario.setting import SETTINGS
from simulator.scenario.steps import step_of
from simulator.scenario.world import ScriptSocket, Station, World
from simulator.sockets.address import Address
from simulator.sockets.divert import DivertSocket
from simulator.spoken import spoken_exactly
from simulator.trace import Event, Kind
from simulator.wire.named import alter, differences, dissect

__all__ = ["Composer", "Packet"]

_MOST_EDITS = 3
"""Fields in which a packet may differ from another one to be said by it."""
_MOST_LOOKED_AT = 20
"""Packets among which that other one is sought."""
_DERIVED = frozenset({"ip.chksum", "ip.len", "icmp.chksum", "udp.chksum", "udp.len", "tcp.chksum"})
"""Fields that follow from the others."""


_ENDS_WORDS = re.compile(r"\s(within|address|back|with|at|tag|interface)\s")
"""Words at which the grammar takes ipfw's to be over."""


class Packet(bytes):
    """A packet in a line that is composed: words where it is the only mention of it, else a name."""


class _Expected(Packet):
    """One that is expected, which is compared as a whole only by its name."""


@dataclass(frozen=True, slots=True)
class _Origin:
    """Another packet from which one is made, and the words around its name."""

    packet: bytes
    before: str = ""
    behind: str = ""


Part: TypeAlias = str | Packet


class Composer:
    """A script in the making, with one router."""

    def __init__(self) -> None:
        self._lines: list[tuple[Part, ...]] = []
        self._named: dict[bytes, str] = {}
        self._world = World()
        self._seen = 0
        """Events that expectations have told of."""
        self.quiet = True
        """Nothing has happened yet that would have to be expected."""

    @property
    def events(self) -> list[Event]:
        """All that happened when it was played."""
        return [event for station in self._world.stations.values() for event in station.events]

    def comment(self, text: str) -> None:
        self._lines.append((f"# {text}",))

    def blank(self) -> None:
        if self._lines and self._lines[-1] != ("",):
            self._lines.append(("",))

    def build(self, *parts: Part) -> None:
        """A line about the world."""
        for line in self._read(*parts):
            SETTINGS[type(line.statement)](self._world, line.statement, line.place)
        self._lines.append(parts)

    def until(self, seconds: float) -> None:
        """Time passes, to that second, and what happens until then."""
        if seconds > self._world.clock.now():
            self._lines.append((f"@{seconds:.9f}".rstrip("0").rstrip("."),))
            self._world.advance_to(seconds)
            self._tell(None)

    def do(self, *parts: Part) -> None:
        """A line that makes something happen."""
        for line in self._read(*parts):
            self._world.begin_action()
            self._lines.append(parts)
            done = ACTIONS[type(line.statement)](self._world, line.statement, line.place)
            self._tell(done)

    def read(self, name: str) -> None:
        """A socket of the script is read; when it went another way than was recorded there may be nothing to read."""
        found = self._world.sockets[name]
        if not found.socket.closed and found.socket.readable:
            octets = found.read()
            self._expect(f"{name} reads ", self._expected(octets), *_came_with(found))

    def read_the_rest(self) -> None:
        """What nobody has read."""
        for name, each in self._world.sockets.items():
            while not each.socket.closed and each.socket.readable:
                self.read(name)

    def address_of(self, name: str) -> object:
        """The address that came with what a socket of the script read last."""
        return self._world.sockets[name].address

    # Packets in lines

    def _read(self, *parts: Part) -> tuple[Line, ...]:
        for part in parts:
            if isinstance(part, Packet):
                self._name(part)
        text = "".join(self._named[part] if isinstance(part, Packet) else part for part in parts)
        return read(text, "script").setup

    def _name(self, octets: bytes) -> str:
        if octets not in self._named:
            self._named[bytes(octets)] = name = f"p{len(self._named) + 1}"
            self._world.packets.named[name] = [bytes(octets)]
        return self._named[octets]

    def text(self) -> str:
        """The script."""
        mentioned = [part for line in self._lines for part in line if isinstance(part, Packet)]
        uses = Counter(map(bytes, mentioned))
        origins: dict[bytes, _Origin | None] = {}
        for octets in uses:  # in the order of their first mention
            origin = self._origin(octets, origins)
            if origin is not None:
                uses[origin.packet] += 1
            origins[octets] = origin
        expected = {bytes(part) for part in mentioned if isinstance(part, _Expected)}
        named = [octets for octets in uses if uses[octets] > 1 or (octets in expected and origins[octets] is None)]
        names = {octets: f"p{number}" for number, octets in enumerate(named, 1)}

        def said(octets: bytes) -> str:
            origin = origins[octets]
            return _words(octets) if origin is None else f"{origin.before}{names[origin.packet]}{origin.behind}"

        rows: list[str] = []
        defined: set[str] = set()
        for line in self._lines:
            fresh = {name: part for part in line if isinstance(part, Packet) and (name := names.get(part))}
            rows += [f"packet {name} = {said(part)}" for name, part in fresh.items() if name not in defined]
            defined |= fresh.keys()
            parts = (names.get(part) or said(part) if isinstance(part, Packet) else part for part in line)
            rows.append("".join(parts))
        return "\n".join(rows) + "\n"

    def _origin(self, octets: bytes, before: dict[bytes, _Origin | None]) -> _Origin | None:
        """How a packet comes from another one that came before: with other values in a few fields, as a fragment."""
        for other in islice(reversed(before), _MOST_LOOKED_AT):
            for origin, piece in ((_Origin(other), other), *self._fragments(other, octets)):
                edits = _edits(piece, octets)
                if edits is not None:
                    return replace(origin, behind=origin.behind + (f" with {', '.join(edits)}" if edits else ""))
        return None

    def _fragments(self, whole: bytes, wanted: bytes) -> Iterator[tuple[_Origin, bytes]]:
        """The fragments of a packet as interfaces here cut it, if the wanted one may be among them."""
        if wanted[4:6] != whole[4:6] or not int.from_bytes(wanted[6:8], "big") & (MORE_FRAGMENTS | OFFSET_MASK):
            return
        for mtu in {each.mtu for one in self._world.stations.values() for each in one.router.interfaces.values()}:
            if len(whole) > mtu and not whole[6] & 0x40:
                for number, piece in enumerate(fragment(whole, mtu, style=LINUX), 1):
                    yield _Origin(whole, f"fragment {number} of ", f" at {mtu}"), piece

    # What came of it

    def _tell(self, done: Done | None) -> None:
        told = len(self._lines)
        if done is not None and done.code is not None:
            self._expect("failure ", done.code)
        for station in self._world.stations.values():
            fresh = station.events[self._seen :]
            self._seen = len(station.events)
            if done is not None:
                self._path(fresh)
            self._packets(station)
            for reason in dict.fromkeys(event.reason for event in fresh if event.reason is not None):
                self._expect("dropped ", reason.name)
        self.quiet = told == len(self._lines)

    def _expect(self, *parts: Part) -> None:
        self._lines.append(("    expect ", *parts))

    def _path(self, fresh: list[Event]) -> None:
        """What the firewall said of the packet that the line was about."""
        steps = [event for event in fresh if event.kind is Kind.FIREWALL and event.packet == fresh[0].packet]
        if steps:
            self._expect("path ", ", ".join(step_of(each, with_rule=each.rule is not None) for each in steps))

    def _packets(self, station: Station) -> None:
        for (_, interface), wire in self._world.wires.items():
            for octets in wire.waiting:
                self._expect(f"{interface} sends ", self._expected(octets))
            wire.taken = len(wire.sent)
        for octets in station.router.delivered[station.delivered :]:
            self._expect("router delivers ", self._expected(octets))
        station.delivered = len(station.router.delivered)

    def _expected(self, octets: bytes) -> Part:
        if not octets:
            return "any"  # there are no words for a packet of nothing
        self._name(octets)
        return _Expected(octets)


def _came_with(found: ScriptSocket) -> Iterator[str]:
    address = found.address
    if isinstance(address, Address):
        yield f" address {address[0]} tag {address.tag}"
        if isinstance(found.socket, DivertSocket) and (name := interface_in(found)):
            yield f" interface {name}"
    elif isinstance(address, tuple) and len(address) == 2:
        yield f" address {address[0]} tag {address[1]}"


def _words(octets: bytes) -> str:
    """In ipfw's words where these say all of it, else in hex."""
    words = spoken_exactly(octets)
    if words is not None and not _ENDS_WORDS.search(words):
        return words
    digits = octets.hex()
    return "hex " + " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def _edits(one: bytes, other: bytes) -> list[str] | None:
    """What to change in one packet to have the other; None when that is much, or not all of it."""
    if one == other:
        return []
    names = [each.name for each in differences(one, other)]
    values = {field.name: field.value for field in dissect(other)}
    for chosen in ([name for name in names if name not in _DERIVED], names):
        found = {name: values[name] for name in chosen if isinstance(values.get(name), int)}
        if chosen and len(found) == len(chosen) <= _MOST_EDITS and alter(one, found) == other:
            return [f"{name.removeprefix('ip.')}={_shown(name, value)}" for name, value in found.items()]
    return None


def _shown(name: str, value: int | bytes) -> str:
    return dotted(value) if isinstance(value, int) and name in ("ip.src", "ip.dst") else str(value)
