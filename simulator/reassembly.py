"""What every reassembly says about its fragments: the values that the kernels' own procedures share.

A reassembly holds *items*, whatever objects the caller hands in with the octets (the router: packets), so that each
fragment's fate is known: still held, merged into a datagram, or lost, and why.  The procedures themselves are in
``reassembly_linux`` and ``reassembly_bsd``; ``fragments`` is the front door.
"""

from __future__ import annotations

from enum import Enum
from struct import Struct
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from simulator.ledger import Reason
from simulator.wire.checksum import checksum

__all__ = ["Item", "Key", "Loss", "Lost", "Outcome", "Result", "Timeout", "datagram", "unpack_header"]

Item = TypeVar("Item")

Key: TypeAlias = tuple[int, int, int, int]
"""Source, destination, identification, protocol: fragments that agree in these belong together (RFC 791)."""

unpack_header = Struct(">BBHHHxBxxII").unpack_from
"""First octet, TOS, total length, identification, fragment field, protocol, source, destination."""

_pack_lengths = Struct(">H2sH").pack
_pack_word = Struct(">H").pack


class Outcome(Enum):
    """What became of the packet that was handed in."""

    PASSED = "not a fragment: it goes on as it is"
    HELD = "kept, the rest is awaited"
    REASSEMBLED = "it completed the datagram, which goes on in its place"
    DROPPED = "not kept; ``lost`` says why, and what went with it"

    __hash__ = object.__hash__


class Loss(Enum):
    """Why a fragment will never be part of a datagram."""

    BAD = "its own length or offset cannot be right"
    COVERED = "another fragment brought all of its octets"
    BEYOND_END = "it contradicts the known end of the datagram"
    ECN_MIXED = "congestion was experienced by a datagram that does not take part in ECN"
    FAILED = "the fragments do not fit together, the datagram was given up"
    TOO_LONG = "the datagram would be longer than 65,535 octets"
    TOO_MANY = "more fragments than one datagram may have"
    SUPERSEDED = "the datagram came unfragmented"
    EVICTED = "room was needed for others"
    REFUSED = "no room, or none wanted"
    TIMED_OUT = "the rest did not come in time"

    __hash__ = object.__hash__

    @property
    def reason(self) -> Reason:
        """The same as a fate in the ledger."""
        return _REASONS[self]


_REASONS = {
    Loss.BAD: Reason.BAD_FRAGMENT,
    Loss.COVERED: Reason.REASSEMBLY_FAILED,
    Loss.BEYOND_END: Reason.BAD_FRAGMENT,
    Loss.ECN_MIXED: Reason.BAD_FRAGMENT,
    Loss.FAILED: Reason.REASSEMBLY_FAILED,
    Loss.TOO_LONG: Reason.REASSEMBLY_FAILED,
    Loss.TOO_MANY: Reason.REASSEMBLY_FULL,
    Loss.SUPERSEDED: Reason.REASSEMBLY_FAILED,
    Loss.EVICTED: Reason.REASSEMBLY_FULL,
    Loss.REFUSED: Reason.REASSEMBLY_FULL,
    Loss.TIMED_OUT: Reason.REASSEMBLY_TIMEOUT,
}


class Lost(NamedTuple, Generic[Item]):
    """A fragment that is held no longer (or never was), and why."""

    item: Item
    loss: Loss


class Result(Generic[Item]):
    """What one packet brought about."""

    __slots__ = ("header_of", "log", "lost", "lowest", "merged", "octets", "outcome")

    outcome: Outcome
    octets: bytes | None
    """The whole datagram (reassembled), the packet itself (passed), else None."""
    merged: tuple[Item, ...]
    """The fragments in the datagram, by offset; the one that completed it is among them."""
    lost: tuple[Lost[Item], ...]
    """Every item that is held no longer and is in no datagram, the one handed in included when it is not kept."""
    header_of: Item | None
    """Whose IP header, options included, the datagram has."""
    lowest: Item | None
    """Who brought the octets at offset 0: Linux takes interface and route from it, older BSDs the divert rule."""
    log: tuple[str, ...]
    """Kernel messages, without priority."""

    def __init__(
        self,
        outcome: Outcome,
        *,
        octets: bytes | None = None,
        merged: tuple[Item, ...] = (),
        lost: tuple[Lost[Item], ...] = (),
        header_of: Item | None = None,
        lowest: Item | None = None,
        log: tuple[str, ...] = (),
    ) -> None:
        self.outcome = outcome
        self.octets = octets
        self.merged = merged
        self.lost = lost
        self.header_of = header_of
        self.lowest = lowest
        self.log = log

    def __repr__(self) -> str:
        return f"<{self.outcome.name} merged={len(self.merged)} lost={[loss.loss.name for loss in self.lost]}>"


class Timeout(NamedTuple, Generic[Item]):
    """A datagram whose rest did not come."""

    at: float
    """When it expired, seconds."""
    lost: tuple[Lost[Item], ...]
    """Its fragments by offset."""
    about: bytes
    """The lowest-offset fragment held, as it arrived: what an ICMP time exceeded (code 1) would quote."""
    has_start: bool
    """Whether that is the fragment with offset 0, without which no ICMP error is sent (RFC 792)."""


def datagram(header: bytes, data: bytes, *, tos: int | None = None) -> bytes:
    """A whole datagram: a fragment's header with the new length, no flags, no offset, and the right checksum."""
    bare = b"".join(
        (
            header[:1],
            header[1:2] if tos is None else bytes((tos,)),
            _pack_lengths(len(header) + len(data), header[4:6], 0),
            header[8:10],
            b"\0\0",
            header[12:],
        )
    )
    return b"".join((bare[:10], _pack_word(checksum(bare)), bare[12:], data))
