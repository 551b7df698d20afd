"""The links for tests, lessons and other routers: one keeps what was transmitted, the other joins two interfaces.

>>> from simulator import Router
>>> left, right = Router("linux-2.2"), Router("freebsd-11")
>>> cables = Cables()
>>> cables.join(left.add_interface("eth0", "10.0.0.1/24"), right.add_interface("em0", "10.0.0.2/24"))
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.interfaces import Interface

__all__ = ["Cables", "MemoryLink"]


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


class Cables:
    """Cables between interfaces of routers that live in one process.

    What one end transmits, the other end receives before the outermost ``transmit`` returns.  A datagram that is
    transmitted while another one arrives waits for its turn in one queue for all of these cables, so datagrams arrive
    in the order in which they were transmitted, and however often they go to and fro, nothing calls itself.
    """

    __slots__ = ("_arriving", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[tuple[Callable[[bytes], object], bytes]] = deque()
        self._arriving = False

    def join(self, one: Interface, other: Interface) -> None:
        """Put a cable between two interfaces, in the place of the links they had.  Their own ``sent`` is no more."""
        for here, there in ((one, other), (other, one)):
            here.link = link = MemoryLink(to=self._end_at(there))
            here.transmit = link.transmit

    def _end_at(self, interface: Interface) -> Callable[[bytes], None]:
        receive = interface.receive
        wait = self._waiting.append

        def transmit(octets: bytes) -> None:
            wait((receive, octets))
            if not self._arriving:
                self._arrive()

        return transmit

    def _arrive(self) -> None:
        self._arriving = True
        try:
            while self._waiting:
                receive, octets = self._waiting.popleft()
                receive(octets)
        finally:
            self._arriving = False
