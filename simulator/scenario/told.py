"""Steps in the words of scripts."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, count
from typing import Any, TypeAlias

from rules.addresses import dotted
from simulator.history import Act
from simulator.profiles import LinuxProfile
from simulator.router import Router
from simulator.scenario.composing import Packet, Part
from simulator.scenario.watching import Bound, Closed, Joined, OptionSet, Received, Sent, Wrote
from simulator.sockets.address import BSD_LAYOUT, LINUX_LAYOUT, Address, parse_pair, swapped
from simulator.sockets.base import QueueSocket
from simulator.sockets.divert import DivertSocket
from simulator.sockets.raw import RawSocket
from simulator.sockets.udp import UdpSocket

__all__ = ["BUILDING", "Sentences", "UnsayableError", "unsaid_of"]

Sayable: TypeAlias = Act | Received | Sent | Wrote | Bound | Closed | OptionSet | Joined


class UnsayableError(Exception):
    """The language has no words for it."""


class Sentences:
    """The lines of one script, with the names that it gives to sockets."""

    def __init__(self, router: Router, address_read: Callable[[str], object]) -> None:
        """``address_read`` gives the address that came with what the socket of that name read last."""
        self._router = router
        self._address_read = address_read
        self._names: dict[QueueSocket, str] = {}

    def of(self, step: Sayable) -> Iterator[Sequence[Part]]:
        """The lines that do what a step did, mostly one.  :raises UnsayableError: when there are none."""
        if isinstance(step, Wrote) and step.sock not in self._names:
            if isinstance(step.sock, DivertSocket) and isinstance(self._router.profile, LinuxProfile):
                raise UnsayableError("a write to a divert socket that is not bound")
            yield (self._bound(step.sock),)
        yield self._said(step)

    def name_of(self, sock: QueueSocket) -> str | None:
        """What the script calls a socket; None for one that it does not have."""
        return self._names.get(sock)

    def _named(self, sock: QueueSocket) -> str:
        if sock not in self._names:
            raise UnsayableError(repr(sock))
        return self._names[sock]

    def _said(self, step: Sayable) -> Sequence[Part]:
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
                return (f"{self._named(step.sock)} closes",)
            case OptionSet():
                return (f"{self._named(step.sock)} sets {_option(step.level, step.option)} {step.value}",)
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
        sock, name = step.sock, self._named(step.sock)
        packet = f"{name} writes ", _packet(step.octets)
        if step.address is None:
            return packet
        read = self._address_read(name)
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


BUILDING: dict[str, Callable[[Mapping[str, Any]], Sequence[str]]] = {
    "Router": _built_router,
    "add_interface": _built_interface,
    "add_address": _built_address,
    "add_route": _built_route,
    "delete_address": lambda given: (f"address {_interface(given['interface'])} {given['address']} gone",),
    "delete_route": lambda given: (f"route {given['prefix']} gone",),
}
"""The line of each method that builds the world."""


def unsaid_of(act: Act) -> str:
    """What the line of an act does not say."""
    given = act.arguments
    if act.method == "Router" and (given["names"] is not None or given["hosts"]):
        return "names of hosts and services of one's own"
    return ""
