"""When the kernel of FreeBSD 8 and later forgets what is idle (dn_drain_scheduler, dn_drain_queue).

Every tick it looks at one slot of its table of schedulers and at one of its table of flow sets; in a scheduler or flow
set found there, at one slot of its instances or queues, and destroys those that are idle.  With them go their counters.
"""

from __future__ import annotations

__all__ = ["Sweep"]

_SLOTS = 64
"""Of the tables of schedulers and flow sets (``net.inet.ip.dummynet.hash_size``)."""


class Sweep:
    """When the slots of one scheduler or flow set are looked at; ``slots`` of its own, 1 for none."""

    __slots__ = ("_first", "_slots")

    def __init__(self, number: int, slots: int, made: int) -> None:
        slot = (number >> 8 ^ number >> 4 ^ number) % _SLOTS
        self._first = made + 1 + (slot - made) % _SLOTS
        self._slots = slots

    def next(self, slot: int, after: int) -> int:
        """The first tick behind ``after`` at which that slot is looked at."""
        period = _SLOTS * self._slots
        due = self._first + _SLOTS * (slot % self._slots)
        return due if due > after else due + ((after - due) // period + 1) * period
