"""Sentences that make something happen: commands, sockets, programs, packets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from simulator.scenario.model.packets import Packets
from simulator.wire.named import Value

__all__ = [
    "Action",
    "Closes",
    "Command",
    "Goes",
    "Joins",
    "Program",
    "Receives",
    "Sends",
    "Sets",
    "Socket",
    "SocketAddress",
    "Writes",
]


@dataclass(frozen=True, slots=True)
class Command:
    """``ipfw ...``, ``ipchains ...`` or ``sysctl ...``"""

    tool: str
    words: str


@dataclass(frozen=True, slots=True)
class Socket:
    """``socket NAME divert [ADDRESS] PORT | udp [ADDRESS] PORT | raw PROTOCOL | tap INTERFACE [FILTER] | netlink``,
    then perhaps ``as USER``."""

    name: str
    kind: str
    number: int = 0
    address: str | None = None
    """Of divert and UDP sockets the address, of a tap the interface."""
    filter: str = ""
    """Of a tap, in tcpdump's words."""
    owner: str | int = "root"
    """A user's name or number."""


@dataclass(frozen=True, slots=True)
class Program:
    """``program PORT NAME [OPTION ...]``: a divert program listens there from now on."""

    port: int
    name: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Receives:
    """``INTERFACE receives PACKET``: it arrives from the wire."""

    interface: str
    packets: Packets


@dataclass(frozen=True, slots=True)
class Sends:
    """``ROUTER sends PACKET``: it originates there."""

    router: str
    packets: Packets


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """``address HOST [tag N] [interface NAME]``; what is None was not said."""

    host: str
    tag: int | None
    interface: str | None


@dataclass(frozen=True, slots=True)
class Writes:
    """``SOCKET writes PACKET [back | address ...]``; ``back`` is the address that came with what it read last."""

    socket: str
    packets: Packets
    to: SocketAddress | str | None


@dataclass(frozen=True, slots=True)
class Closes:
    socket: str


@dataclass(frozen=True, slots=True)
class Goes:
    """``INTERFACE goes up | down``"""

    interface: str
    up: bool


@dataclass(frozen=True, slots=True)
class Joins:
    """``INTERFACE joins GROUP``"""

    interface: str
    group: str


@dataclass(frozen=True, slots=True)
class Sets:
    """``SOCKET sets OPTION VALUE``: setsockopt."""

    socket: str
    option: str
    value: Value


Action: TypeAlias = Command | Receives | Sends | Writes | Closes | Goes | Joins | Sets | Socket | Program
