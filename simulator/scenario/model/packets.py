"""Packets as scripts write them, and sentences that give them names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from simulator.scenario.model.place import Place
from simulator.spoken import Spoken
from simulator.wire.named import Value

__all__ = [
    "Edited",
    "File",
    "Fragment",
    "Fragments",
    "Hex",
    "Named",
    "PacketDefinition",
    "Packets",
    "Said",
    "Scapy",
    "Source",
]


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
