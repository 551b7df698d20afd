"""Sentences that begin with ``expect``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from simulator.scenario.model.packets import Packets
from simulator.scenario.model.place import Place
from simulator.wire.named import Value

__all__ = [
    "Any",
    "Counter",
    "Delivers",
    "Drop",
    "Expectation",
    "Failure",
    "LedgerCounts",
    "Log",
    "Nothing",
    "Output",
    "Path",
    "Prints",
    "ReadAddress",
    "Reads",
    "Sent",
    "Silence",
    "Transmits",
]


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
