"""What an allowed difference between the machine's kernel and a profile of ours is.

Each says to what it applies and what *both* sides do, so that it fails when either of them changes.  There are three
kinds: a `Detail` of a datagram that a router sent, the way in which a router `Cuts`, and a different `Outcome`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kernel_octets import MORE_FRAGMENTS, OFFSET, Cut, field, joined
from kernel_router import Answers, Sent

__all__ = ["Context", "Cuts", "Detail", "Difference", "Outcome", "Question"]

Question = Sequence[Sent]
"""What both routers were given."""


class Context(NamedTuple):
    """A datagram that a router sent, and why."""

    asked: Question
    sent: bytes
    """As the kernel sent it, whole; rows above may have changed it already."""
    own: bool
    """It is the router's own, not one that it forwards."""
    number: int
    """How many of its own the router had sent before."""
    mtu: int
    """Of the link that it was sent by."""

    @property
    def about(self) -> bytes:
        """The datagram that it is an answer to, put together if it came in fragments."""
        parts = [octets for _, octets in self.asked if field(octets, 6, 2) & (OFFSET | MORE_FRAGMENTS)]
        if len(parts) < 2:
            return self.asked[-1][1]
        return joined(sorted(parts, key=lambda octets: field(octets, 6, 2) & OFFSET))


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A row of the table."""

    name: str
    kernel: str
    """What the machine's kernel does, in words."""
    ours: str
    """What the profiles do."""
    source: str
    """Why that is right."""
    profiles: tuple[str, ...]
    examples: tuple[Question, ...]
    """Questions whose answers differ by this row."""


@dataclass(frozen=True, kw_only=True)
class Detail(Difference):
    """A datagram that both send, but not the same."""

    applies: Callable[[Context], bool]
    as_ours: Callable[[Context], bytes]
    """What ours sends in its place.  AssertionError when the kernel does not send what the row says."""


@dataclass(frozen=True, kw_only=True)
class Cuts(Difference):
    """A datagram that both send, in other pieces."""

    own: bool | None
    """Datagrams of the router's own, or forwarded ones; None: both."""
    of_kernel: Cut
    of_ours: Cut


@dataclass(frozen=True, kw_only=True)
class Outcome(Difference):
    """Something that only one of them sends."""

    applies: Callable[[Question], bool]
    kernel_sends: Callable[[Question], Answers]
    """With the details as ours has them."""
    we_send: Callable[[Question], Answers]
