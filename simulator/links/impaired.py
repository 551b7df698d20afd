"""A link that delays, loses, reorders, duplicates and corrupts: what stands before another link, or a cable.

Everything random comes from the generator that is handed in, so one seed gives one course of events.
"""

from __future__ import annotations

from random import Random
from typing import Protocol

from simulator.clock import Clock

__all__ = ["ImpairedLink"]

_REORDERED = 0.010
"""Seconds that a reordered datagram is late where the link has no delay to measure it by."""


class _Link(Protocol):
    def transmit(self, octets: bytes, /) -> object: ...


class ImpairedLink:
    """Hands datagrams to ``link``, not all of them, not all in order, not all intact.

    ``delay``: seconds.  ``loss``, ``reorder``, ``duplicate``, ``corrupt``: shares from 0 to 1, drawn for each datagram.
    A reordered datagram is late by as much again as the delay (or 10 ms), so those behind it overtake it; a corrupted
    one has one bit flipped anywhere; of a duplicated one a second copy follows at once.

    :raises ValueError: for a share outside 0 to 1 or a negative delay.
    """

    __slots__ = ("_clock", "_link", "_random", "corrupt", "delay", "duplicate", "loss", "reorder")

    def __init__(
        self,
        link: _Link,
        clock: Clock,
        random: Random,
        *,
        delay: float = 0.0,
        loss: float = 0.0,
        reorder: float = 0.0,
        duplicate: float = 0.0,
        corrupt: float = 0.0,
    ) -> None:
        if delay < 0:
            raise ValueError(f"a delay is not negative: {delay!r}")
        for name, share in (("loss", loss), ("reorder", reorder), ("duplicate", duplicate), ("corrupt", corrupt)):
            if not 0 <= share <= 1:
                raise ValueError(f"{name} is a share from 0 to 1: {share!r}")
        self._link = link
        self._clock = clock
        self._random = random
        self.delay = delay
        self.loss = loss
        self.reorder = reorder
        self.duplicate = duplicate
        self.corrupt = corrupt

    def transmit(self, octets: bytes) -> None:
        if self._happens(self.loss):
            return
        copies = 2 if self._happens(self.duplicate) else 1
        if self._happens(self.corrupt):
            octets = self._corrupted(octets)
        delay = self.delay
        if self._happens(self.reorder):
            delay += self.delay or _REORDERED
        for _ in range(copies):
            self._later(delay, octets)

    def _later(self, delay: float, octets: bytes) -> None:
        if not delay:
            self._link.transmit(octets)
            return
        self._clock.call_at(self._clock.now() + delay, lambda: self._link.transmit(octets))

    def _happens(self, share: float) -> bool:
        return share > 0 and self._random.random() < share

    def _corrupted(self, octets: bytes) -> bytes:
        bit = self._random.randrange(len(octets) * 8) if octets else 0
        changed = bytearray(octets)
        if changed:
            changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)
