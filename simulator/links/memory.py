"""The link for tests, lessons and other routers: it keeps what was transmitted, or hands it to somebody."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["MemoryLink"]


class MemoryLink:
    """A wire that keeps every datagram, oldest first, until somebody clears the list.

    With ``to``, datagrams are handed to that function instead (another interface's ``receive``, say) and not kept.
    """

    __slots__ = ("sent", "transmit")

    sent: list[bytes]
    """Datagrams transmitted, oldest first; ``.clear()`` empties it."""
    transmit: Callable[[bytes], object]

    def __init__(self, to: Callable[[bytes], object] | None = None) -> None:
        self.sent = []
        self.transmit = to if to is not None else self.sent.append
