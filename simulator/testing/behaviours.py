"""What divert programs do with a datagram, well or badly, as values: for strategies, machines, and tests of one's own.

>>> program = Behaviour("back", "drop", "twice")     # the first goes back, the second is lost, the third comes double
>>> program(sock)                                    # takes one datagram of a divert socket
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from simulator.wire.named import alter

__all__ = ["CHANGES", "Behaviour"]

Change = Callable[[bytes, Any], Iterable[tuple[bytes, Any]]]
"""(octets, the address that came with them) -> what is written, and where to."""


def _is_datagram(octets: bytes) -> bool:
    return len(octets) >= 20 and octets[0] >> 4 == 4


def _header(octets: bytes, **changes: int) -> bytes:
    """With other values in some fields of the IPv4 header, its checksum mended; what has none stays as it is."""
    return alter(octets, {f"ip.{name}": value for name, value in changes.items()}) if _is_datagram(octets) else octets


def _answer(octets: bytes) -> bytes:
    source, destination = int.from_bytes(octets[12:16], "big"), int.from_bytes(octets[16:20], "big")
    return _header(octets, src=destination, dst=source)


def _flipped(octets: bytes) -> bytes:
    return octets[:10] + bytes((octets[10] ^ 1,)) + octets[11:] if _is_datagram(octets) else octets


CHANGES: Mapping[str, Change] = {
    "back": lambda octets, address: [(octets, address)],
    "drop": lambda octets, address: [],
    "twice": lambda octets, address: [(octets, address)] * 2,
    "pair": lambda octets, address: [(octets, tuple(address))],
    "packed": lambda octets, address: [(octets, getattr(address, "packed", address))],
    "ttl": lambda octets, address: [(_header(octets, ttl=32), address)],
    "tos": lambda octets, address: [(_header(octets, tos=0x10), address)],
    "answer": lambda octets, address: [(_answer(octets), address)],
    "outgoing": lambda octets, address: [(octets, ("0.0.0.0", address[1]))],
    "tag 0": lambda octets, address: [(octets, (address[0], 0))],
    "tag 65535": lambda octets, address: [(octets, (address[0], 65535))],
    "no address": lambda octets, address: [(octets, None)],
    "checksum": lambda octets, address: [(_flipped(octets), address)],
    "cut": lambda octets, address: [(octets[:-1], address)],
    "longer": lambda octets, address: [(octets + b"more", address)],
}
"""By name: as it was read (``back``), not at all, twice; to a plain pair of the address, or its sixteen octets; with
a TTL of 32, a TOS of 0x10, source and destination changed over; outgoing whatever it was; with another tag, to no
address; with a wrong header checksum, an octet less, four more than the header says."""


class Behaviour:
    """A divert program that does these things to one datagram after the other, and then begins again.

    ``later`` keeps a datagram until the next one has been dealt with.  What the kernel refuses is counted in
    ``refused``, by the errno's name.

    :raises ValueError: for what is none of :data:`CHANGES`, nor ``later``.
    """

    def __init__(self, *changes: str) -> None:
        unknown = [each for each in changes if each not in CHANGES and each != "later"]
        if unknown or not changes:
            raise ValueError(f"no such thing to do: {unknown[:1] or 'nothing'} (there are {', '.join(CHANGES)}, later)")
        self.changes = changes
        self.refused: Counter[str] = Counter()
        self._at = 0
        self._kept: list[tuple[bytes, Any]] = []

    def __call__(self, divert: Any) -> None:
        """Take one datagram.  Raises what ``recvfrom`` raises."""
        octets, address = divert.recvfrom(65535)
        change = self.changes[self._at % len(self.changes)]
        self._at += 1
        if change == "later":
            self._kept.append((octets, address))
            return
        kept, self._kept = self._kept, []
        for data, target in (*self._of(change, octets, address), *kept):
            try:
                divert.send(data) if target is None else divert.sendto(data, target)
            except OSError as error:
                self.refused[errno.errorcode.get(error.errno or 0, str(error.errno))] += 1

    @staticmethod
    def _of(change: str, octets: bytes, address: Any) -> Iterator[tuple[bytes, Any]]:
        yield from CHANGES[change](octets, address)

    def __repr__(self) -> str:
        return f"Behaviour({', '.join(map(repr, self.changes))})"
