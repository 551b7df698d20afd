"""What a scenario says, as values: one for each kind of statement of ``grammar.lark``.

Nothing here does anything.  Names are not resolved and packets not built; :mod:`simulator.scenario.runner` does that
when a line's turn comes, since what a name means depends on the lines before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from simulator.spoken import Spoken
from simulator.wire.named import Value

__all__ = [
    "Action",
    "Address",
    "Allow",
    "Any",
    "CaseBlock",
    "Closes",
    "Command",
    "Counter",
    "Delivers",
    "Drop",
    "Edited",
    "Expectation",
    "Failure",
    "File",
    "Fragment",
    "Fragments",
    "Goes",
    "Hex",
    "Interface",
    "Joins",
    "LedgerCounts",
    "Line",
    "Link",
    "Log",
    "Named",
    "Nothing",
    "On",
    "Output",
    "PacketDefinition",
    "Packets",
    "Path",
    "Place",
    "Prints",
    "Program",
    "ReadAddress",
    "Reads",
    "Receives",
    "Route",
    "Router",
    "Said",
    "Scapy",
    "Script",
    "ScriptError",
    "Sends",
    "Sent",
    "Sets",
    "Silence",
    "Socket",
    "SocketAddress",
    "Source",
    "Statement",
    "Time",
    "Transmits",
    "Writes",
]


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a script's text."""

    file: str
    line: int
    """From 1."""
    column: int
    """From 1."""
    text: str = field(default="", compare=False, repr=False)
    """The whole line."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def caret(self) -> str:
        """The line with a caret under the place."""
        before = "".join("\t" if character == "\t" else " " for character in self.text[: self.column - 1])
        return f"    {self.text}\n    {before}^"


class ScriptError(Exception):
    """A script that makes no sense at some place."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(place, message)
        self.place = place
        self.message = message

    def __str__(self) -> str:
        return f"{self.place}: {self.message}\n{self.place.caret()}"


# The world


@dataclass(frozen=True, slots=True)
class Router:
    """``router [NAME] PROFILE [SWITCH=VALUE ...]``; ``host`` is a router that does not forward."""

    name: str | None
    profile: str
    switches: Mapping[str, str]
    is_host: bool


@dataclass(frozen=True, slots=True)
class On:
    """``on NAME``: the lines from here on are about that router."""

    router: str


@dataclass(frozen=True, slots=True)
class Interface:
    """``interface NAME [ADDRESS ...] [mtu N] [peer ADDRESS]``"""

    name: str
    addresses: tuple[str, ...]
    mtu: int | None
    peer: str | None


@dataclass(frozen=True, slots=True)
class Address:
    """``address INTERFACE ADDRESS``: one more."""

    interface: str
    address: str


@dataclass(frozen=True, slots=True)
class Route:
    """``route PREFIX via ADDRESS | interface NAME | reject | blackhole``"""

    prefix: str
    via: str | None = None
    interface: str | None = None
    kind: str = "unicast"


@dataclass(frozen=True, slots=True)
class Link:
    """``link INTERFACE to INTERFACE [delay T] [loss P%] [reorder P%] [duplicate P%] [corrupt P%] [seed N]``"""

    one: str
    other: str
    impairments: Mapping[str, float]
    """Seconds for ``delay``, shares from 0 to 1 for the others, a number for ``seed``."""


@dataclass(frozen=True, slots=True)
class Allow:
    """``allow other packets [on NAME ...]``: what nobody expected there is no failure."""

    names: tuple[str, ...]


# Rules, sockets, programs


@dataclass(frozen=True, slots=True)
class Command:
    """``ipfw ...`` or ``ipchains ...``"""

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


# Packets


@dataclass(frozen=True, slots=True)
class Scapy:
    """A packet as scapy writes it: ``IP(dst="10.0.0.2")/ICMP()``."""

    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Said:
    """A packet in ipfw's words.  Where one is expected, only what was said counts."""

    spoken: Spoken
    place: Place


@dataclass(frozen=True, slots=True)
class Hex:
    octets: bytes


@dataclass(frozen=True, slots=True)
class File:
    """Packet ``number`` (from 1) of a capture, or a file of hex or raw octets."""

    path: str
    number: int
    place: Place


@dataclass(frozen=True, slots=True)
class Named:
    """A packet that has a name; ``it`` is the one that was seen last."""

    name: str
    place: Place


@dataclass(frozen=True, slots=True)
class Fragment:
    """One fragment (from 1) of a packet, cut for an MTU."""

    whole: Source
    number: int
    mtu: int
    place: Place


Source: TypeAlias = Scapy | Said | Hex | File | Named | Fragment


@dataclass(frozen=True, slots=True)
class Edited:
    """A packet ``with`` other values in some fields; lengths and checksums follow."""

    source: Source
    edits: Mapping[str, Value]
    place: Place


@dataclass(frozen=True, slots=True)
class Fragments:
    """All fragments of a packet, cut for an MTU, in an order of numbers from 1 (a number may come twice, or never)."""

    whole: Source | Edited
    mtu: int
    order: tuple[int, ...]
    place: Place


Packets: TypeAlias = Source | Edited | Fragments


@dataclass(frozen=True, slots=True)
class PacketDefinition:
    """``packet NAME = ...``"""

    name: str
    packets: Packets


# What happens


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


# What is expected


@dataclass(frozen=True, slots=True)
class Any:
    """Any packet, or any with these values in some fields."""

    fields: Mapping[str, Value]
    place: Place


@dataclass(frozen=True, slots=True)
class Nothing:
    """No packet."""


Sent: TypeAlias = Packets | Any | Nothing


@dataclass(frozen=True, slots=True)
class Transmits:
    """``expect INTERFACE sends ...``"""

    interface: str
    packets: Sent
    within: float


@dataclass(frozen=True, slots=True)
class ReadAddress:
    """``[address HOST] [tag N] [interface NAME | no interface]``; what is None was not said."""

    host: str | None
    tag: int | None
    interface: str | None
    """Empty: there must be none."""


@dataclass(frozen=True, slots=True)
class Reads:
    """``expect SOCKET reads ... [address HOST] [tag N] [interface NAME | no interface]``"""

    socket: str
    packets: Sent
    address: ReadAddress
    within: float


@dataclass(frozen=True, slots=True)
class Delivers:
    """``expect ROUTER delivers ...``: to its own protocols."""

    router: str
    packets: Sent
    within: float


@dataclass(frozen=True, slots=True)
class Silence:
    """``expect nothing [for T]``: no packet leaves or is diverted that no line took."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Failure:
    """``expect failure ERRNO | STATUS [TEXT]``: how the action before failed."""

    code: str
    text: str | None


@dataclass(frozen=True, slots=True)
class Output:
    """``expect output`` and lines that begin with ``|``: what the command before printed."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prints:
    """``expect program prints`` and lines that begin with ``|``: what programs said that no line took."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Log:
    """``expect log TEXT``: a kernel message that contains it."""

    text: str


@dataclass(frozen=True, slots=True)
class Path:
    """``expect path HOOK VERDICT [PORT] [by RULE], ...``: what the firewall said of the packet of the last action."""

    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Counter:
    """``expect counter RULE packets N [octets N]``; on Linux ``counter CHAIN N``."""

    rule: str
    packets: int
    octets: int | None


@dataclass(frozen=True, slots=True)
class Drop:
    """``expect dropped REASON``: since the last action, a packet met that fate."""

    reason: str


@dataclass(frozen=True, slots=True)
class LedgerCounts:
    """``expect ledger balanced``, or counts of it."""

    counts: Mapping[str, int]


Expectation: TypeAlias = (
    Transmits | Reads | Delivers | Silence | Failure | Output | Prints | Log | Path | Counter | Drop | LedgerCounts
)
Statement: TypeAlias = (
    Router | On | Interface | Address | Route | Link | Allow | Program | PacketDefinition | Action | Expectation
)


@dataclass(frozen=True, slots=True)
class Time:
    """When: ``@31`` (seconds of the script's clock) or ``+0.5`` (from now)."""

    seconds: float
    relative: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One statement in its place; a line with a time alone has no statement."""

    place: Place
    time: Time | None
    statement: Statement | None


@dataclass(frozen=True, slots=True)
class CaseBlock:
    """``case NAME`` and the lines up to the next one."""

    name: str
    place: Place
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """A whole script: what comes before the first case is done anew for each case."""

    file: str
    description: str
    """The first comment, without its marks."""
    setup: tuple[Line, ...]
    cases: tuple[CaseBlock, ...]
    announced: tuple[str, ...] = ()
    """``Fails: TEXT`` in the first comment: the script is to fail so, in this order, and in no other way."""
    unreadable: ScriptError | None = None
    """Why it is no script; only of a script that announces a failure, others are not read at all."""

    @property
    def blocks(self) -> tuple[CaseBlock, ...]:
        """The cases; a script without any is one case without a name."""
        return self.cases or (CaseBlock("", Place(self.file, 1, 1), ()),)
