"""What is done to a router, written down as a script: a failing test leaves a scenario that anybody can play.

>>> from simulator import Router
>>> from simulator.scenario import record
>>> router = Router("freebsd-13", default_accept=True)
>>> em0 = router.add_interface("em0", "192.168.1.1/24")
>>> with record(router, on_failure="failing.scn") as recording:
...     em0.receive(datagram)
...     assert em0.sent == []
"""

from __future__ import annotations

import shlex
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, count, zip_longest
from pathlib import Path
from typing import Any

from rules.addresses import dotted
from simulator.history import Act
from simulator.profiles import LinuxProfile
from simulator.router import Router
from simulator.scenario.composing import Composer, Packet, Part
from simulator.scenario.model import ScriptError
from simulator.scenario.watching import Bound, Closed, Joined, OptionSet, Read, Received, Sent, Step, Watcher, Wrote
from simulator.sockets.address import BSD_LAYOUT, LINUX_LAYOUT, Address, parse_pair, swapped
from simulator.sockets.base import QueueSocket
from simulator.sockets.divert import DivertSocket
from simulator.sockets.raw import RawSocket
from simulator.sockets.udp import UdpSocket
from simulator.trace import Event, Kind

__all__ = ["Recording", "record"]


@contextmanager
def record(router: Router, on_failure: str | Path | None = None) -> Iterator[Recording]:
    """Inside, everything that is done to the router is recorded; what was done to build it is part of the script.

    When something is raised inside, a failed assertion above all, the script is added to what is raised (pytest shows
    it), or written to the file ``on_failure``, and what was raised stands in its first comment.  Under Hypothesis the
    last example that fails is the smallest.

    Take the router before any packet has passed: fragments and dynamic rules that wait in it are not recorded.
    """
    recording = Recording(router)
    try:
        with recording:
            yield recording
    except Exception as error:
        recording.explain(error, on_failure)
        raise


def _first_line(error: BaseException) -> str:
    said = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


class Recording:
    """A recording; what it has taken down so far is ``script``."""

    def __init__(self, router: Router) -> None:
        self._watcher = Watcher(router)
        self.why = ""
        """Why it was made, for the first comment."""

    def __enter__(self) -> Recording:
        self._watcher.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._watcher.__exit__()

    def explain(self, error: BaseException, path: str | Path | None = None) -> None:
        """Add the script to what was raised, or write it to a file and add where."""
        self.why = _first_line(error)
        if path is None:
            error.add_note(f"As a scenario:\n\n{self.script}")
        else:
            found = self.save(path)
            error.add_note(f"The scenario is in {found}: divertsim run {shlex.quote(str(found))}")

    @property
    def script(self) -> str:
        """The text of the script.  It says what happened, as expectations; it is for you to say what should have.

        What the language has no words for stands in comments, and so does the first thing that goes another way when
        the script is played.
        """
        self._watcher.look()
        return _Writer(self._watcher).script(self.why)

    def save(self, path: str | Path) -> Path:
        """Write the script to a file, its name ends in ``.scn``.  :raises OSError: when that cannot be done."""
        found = Path(path)
        found.write_text(self.script, encoding="utf-8")
        return found


class UnsayableError(Exception):
    """The language has no words for it."""


class _Writer:
    """From steps to lines."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._router = watcher.router
        self._composer = Composer()
        self._names: dict[QueueSocket, str] = {}

    def script(self, why: str) -> str:
        composer = self._composer
        composer.comment(f"{why}" if why else "What was done to a router, and what came of it.")
        if self._watcher.began_at:
            composer.comment(f"Not recorded: {self._watcher.began_at} packets that had passed before.")
        for step in self._watcher.steps:
            self._write(step)
        composer.until(self._router.clock.now())
        composer.read_the_rest()
        if (other := _first_difference(self._watcher.events, composer.events)) is not None:
            composer.blank()
            composer.comment(f"Played, it goes another way than what was recorded: {other}")
        return composer.text()

    def _write(self, step: Step) -> None:
        composer = self._composer
        try:
            if isinstance(step, Act) and step.method in _BUILDING:
                composer.until(step.time)
                composer.build(*_BUILDING[step.method](step.arguments))
                return
            if isinstance(step, Read):
                composer.until(step.time)
                composer.read(self._names[step.sock])
                return
            parts = self._said(step)
            composer.until(step.time)
            if isinstance(step, Received | Sent | Wrote):
                composer.blank()
            composer.do(*parts)
        except (UnsayableError, ScriptError) as error:
            why = error.message if isinstance(error, ScriptError) else str(error)
            composer.comment(f"Left out, for scripts have no words for it: {why}")

    def _said(self, step: Act | Received | Sent | Wrote | Bound | Closed | OptionSet | Joined) -> Sequence[Part]:
        match step:
            case Act(method="ipfw" | "ipchains" | "sysctl", arguments=arguments):
                return (f"{step.method} {_command(arguments['command'])}",)
            case Act(method="up", arguments=arguments):
                return (f"{_name(arguments['interface'])} goes {'up' if arguments['up'] else 'down'}",)
            case Act():
                raise UnsayableError(f"{step.method}({', '.join(f'{k}={v!r}' for k, v in step.arguments.items())})")
            case Received():
                return f"{_name(step.interface)} receives ", _packet(step.octets)
            case Sent():
                return "router sends ", _packet(step.octets)
            case Wrote():
                return self._written(step)
            case Bound():
                return (self._bound(step.sock),)
            case Closed():
                return (f"{self._names[step.sock]} closes",)
            case OptionSet():
                return (f"{self._names[step.sock]} sets {_option(step.level, step.option)} {step.value}",)
            case Joined():
                return (f"{_name(step.interface)} joins {dotted(step.group)}",)

    def _bound(self, sock: QueueSocket) -> str:
        match sock:
            case DivertSocket():
                letter, number = "d", f"divert {sock.port or 0}"
            case UdpSocket():
                letter, number = "u", f"udp {dotted(sock.host)} {sock.port}"
            case RawSocket() if not sock.host and sock.peer is None:
                letter, number = "r", f"raw {sock.proto}"
            case _:
                raise UnsayableError(repr(sock))
        taken = {*self._names.values(), *self._router.interfaces}
        name = next(name for name in chain([letter], (f"{letter}{n}" for n in count(2))) if name not in taken)
        self._names[sock] = name
        who = f" as {sock.owner.uid}" if sock.owner.uid else ""
        return f"socket {name} {number}{who}"

    def _written(self, step: Wrote) -> Sequence[Part]:
        sock = step.sock
        if sock not in self._names:
            if isinstance(sock, DivertSocket) and isinstance(self._router.profile, LinuxProfile):
                raise UnsayableError("a write to a divert socket that is not bound")
            self._composer.do(self._bound(sock))
        name = self._names[sock]
        packet = f"{name} writes ", _packet(step.octets)
        read = self._composer.address_of(name)
        if step.address is None:
            return packet
        if isinstance(read, Address) and isinstance(step.address, Address) and read.packed == step.address.packed:
            return *packet, " back"
        return *packet, self._address(sock, step.address)

    def _address(self, sock: QueueSocket, address: Any) -> str:
        if isinstance(address, Address):
            address = address.packed if isinstance(sock, DivertSocket) else tuple(address)
        if isinstance(address, bytes) and len(address) == 16:
            layout = LINUX_LAYOUT if isinstance(self._router.profile, LinuxProfile) else BSD_LAYOUT
            destination = layout.unpack(address)
            if destination.name:
                return f" address {dotted(destination.host)} tag {destination.tag} interface {_name(destination.name)}"
            address = destination.host, destination.tag
            if self._router.profile.tag_byte_order == "host":
                address = destination.host, swapped(destination.tag)
        if isinstance(address, tuple) and len(address) == 2:
            host, port = address if isinstance(address[0], int) else parse_pair(address)
            return f" address {dotted(host)} tag {port}"
        raise UnsayableError(f"a write to {address!r}")


def _option(level: int, option: int) -> str:
    """An option by the name that Python has for it."""
    prefix = {socket.SOL_SOCKET: "SO_", socket.IPPROTO_IP: "IP_"}.get(level, "-")
    found = next((name for name, value in vars(socket).items() if name.startswith(prefix) and value == option), None)
    if found is None:
        raise UnsayableError(f"option {option} of level {level}")
    return found


def _packet(octets: bytes) -> Packet:
    if not octets:
        raise UnsayableError("a datagram of no octets")
    return Packet(octets)


def _name(name: str) -> str:
    if not name.replace(".", "_").replace("-", "_").isidentifier():
        raise UnsayableError(f"an interface of that name: {name!r}")
    return name


def _command(command: str | Sequence[str]) -> str:
    return " ".join(command.split()) if isinstance(command, str) else shlex.join(command)


# Lines that build


def _built_router(given: Mapping[str, Any]) -> Sequence[str]:
    if given["names"] is not None or given["hosts"]:
        raise UnsayableError("names of hosts and services of one's own")
    switches = (f" {name}={_value(value)}" for name, value in given["switches"].items())
    return (f"router {given['profile']}{''.join(switches)}",)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = "+".join(sorted(value)) if isinstance(value, frozenset) else str(value)
    return text if text.replace("-", "_").isidentifier() or text.isdigit() else f'"{text}"'


def _built_interface(given: Mapping[str, Any]) -> Sequence[str]:
    address = given.get("address")
    addresses = [] if address is None else [address] if isinstance(address, str) else list(address)
    words = ["interface", _name(given["name"]), *addresses]
    words += ["mtu", str(given["mtu"])] if given.get("mtu", 1500) != 1500 else []
    words += ["peer", given["peer"]] if given.get("peer") is not None else []
    return (" ".join(words),)


def _built_address(given: Mapping[str, Any]) -> Sequence[str]:
    return (f"address {_interface(given['interface'])} {given['address']}",)


def _built_route(given: Mapping[str, Any]) -> Sequence[str]:
    via, interface, kind = given.get("via"), given.get("interface"), given.get("kind", "unicast")
    if via is not None and interface is not None:
        raise UnsayableError(f"a route to {given['prefix']} via {via} by {_interface(interface)}")
    if kind != "unicast":
        target = kind
    elif via is not None:
        target = f"via {via}"
    else:
        target = f"interface {_interface(interface)}"
    return (f"route {given['prefix']} {target}",)


def _interface(interface: Any) -> str:
    return _name(interface if isinstance(interface, str) else interface.name)


_BUILDING: dict[str, Callable[[Mapping[str, Any]], Sequence[str]]] = {
    "Router": _built_router,
    "add_interface": _built_interface,
    "add_address": _built_address,
    "add_route": _built_route,
    "delete_address": lambda given: (f"address {_interface(given['interface'])} {given['address']} gone",),
    "delete_route": lambda given: (f"route {given['prefix']} gone",),
}


# Whether it is the same


_OUTCOMES = frozenset(
    {Kind.FIREWALL, Kind.TRANSMITTED, Kind.DIVERTED, Kind.COPIED, Kind.DELIVERED, Kind.DROPPED, Kind.MERGED}
)


def _first_difference(recorded: Sequence[Event], played: Sequence[Event]) -> str | None:
    """The first outcome in which the script goes another way."""
    pairs = zip_longest(*([event for event in events if event.kind in _OUTCOMES] for events in (recorded, played)))
    for one, other in pairs:
        if one is None or other is None or _what(one) != _what(other):
            return f"{_shown(one)}; played: {_shown(other)}"
    return None


def _what(event: Event) -> tuple[object, ...]:
    return event.kind, event.interface, event.hook, event.rule, event.verdict, event.reason, event.octets


def _shown(event: Event | None) -> str:
    return "nothing" if event is None else " ".join(str(event).split())
