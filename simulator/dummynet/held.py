"""A packet in a pipe, and who it comes from and goes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from simulator.ledger import Reason

if TYPE_CHECKING:
    from rules.ipfw import Resume
    from simulator.packet import Packet
    from simulator.routing import Route

__all__ = ["KEPT", "THROUGH", "Answer", "Held", "Outlet"]


class Held:
    """A packet that a pipe or queue has, with what is needed when it comes out."""

    __slots__ = ("direction", "due", "length", "noted", "packet", "resume", "route")

    def __init__(
        self,
        packet: Packet,
        length: int,
        *,
        direction: str = "",
        resume: Resume | None = None,
        route: Route | None = None,
    ) -> None:
        self.packet = packet
        self.length = length
        """Octets."""
        self.noted = False
        """The trace knows that it is held."""
        self.due = 0
        """The tick at which it leaves, once it is on the link."""
        self.direction = direction
        """The pass in which the rule sent it here."""
        self.resume = resume
        """Where the rule list goes on; None if it is accepted."""
        self.route = route
        """The way that had been chosen for it, where the system remembers that."""


class Answer(NamedTuple):
    """What became of a packet at the door: dropped if there is a ``reason``; ``silent``: its sender is not told."""

    reason: Reason | None = None
    silent: bool = False
    through: bool = False
    """It is out again already: the caller goes on with it."""


KEPT = Answer()
THROUGH = Answer(through=True)


class Outlet(Protocol):
    """Where packets leave by."""

    def leave(self, held: Held) -> None:
        """It comes out and goes on."""

    def lose(self, held: Held, reason: Reason) -> None:
        """It was kept, and is dropped after all."""

    def mark(self, held: Held) -> bool:
        """Say in its header that there is congestion (ECN); False if it does not allow that."""
