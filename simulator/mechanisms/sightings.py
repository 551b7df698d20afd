"""One packet, all mechanisms at once: what each of them saw of it on its way."""

from __future__ import annotations

from typing import NamedTuple

from simulator.mechanisms.bench import LEFT, RIGHT, Bench, datagram
from simulator.mechanisms.readers import mechanisms_of
from simulator.trace import summary

__all__ = ["Sighting", "sightings"]


class Sighting(NamedTuple):
    """A mechanism, how it was opened, and what it read, oldest first: where, and the packet in words."""

    mechanism: str
    setup: str
    seen: list[tuple[str, str]]


def sightings(profile: str) -> tuple[str, list[Sighting]]:
    """The packet in words, and the sightings.  The divert program gives everything back as it was."""
    bench = Bench(profile)
    readers = [(each.name, each.open(bench, "forward", None)) for each in mechanisms_of(profile)]
    octets = datagram(LEFT, RIGHT)
    bench.eth0.receive(octets)
    found = []
    for name, reader in reversed(readers):  # the divert socket first, because the packet waits for it
        seen = []
        while (each := reader.read()) is not None:
            seen.append((each.where, summary(each.octets)))
            if name == "divert socket":
                reader.back(each, each.octets)
        found.append(Sighting(name, reader.setup, seen))
    return summary(octets), found[::-1]
