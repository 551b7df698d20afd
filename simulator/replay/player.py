"""Plays the packets of a capture through a router, at the times at which they were captured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from typing import Any

from simulator.interfaces import Interface
from simulator.links.captures import Captured, datagram
from simulator.links.pcapng import PcapngWriter
from simulator.programs.listening import Listeners
from simulator.replay.watching import Watcher, comment
from simulator.router import Router
from simulator.trace import Event, Kind
from simulator.traces.journeys import Journey

__all__ = ["Replay", "Tally"]

_LINGER = 60.0
"""Seconds of simulated time after the last packet, in which what waits (fragments, pipes, states) comes to its end."""


class _Away:
    """A link that forgets what it carries: the trace has seen it."""

    def transmit(self, octets: bytes) -> None:
        pass


@dataclass
class Tally:
    """What went in."""

    packets: int = 0
    """Of the capture."""
    played: int = 0
    other: int = 0
    """Frames that hold no IPv4 datagram."""
    cut: int = 0
    """Packets that the capture has only the beginning of."""
    first: float | None = None
    last: float | None = None
    """Seconds since the epoch."""
    by_interface: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "packets": self.packets,
            "played": self.played,
            "not_ipv4": self.other,
            "cut_short": self.cut,
            "seconds": None if self.first is None or self.last is None else round(self.last - self.first, 6),
            "by_interface": self.by_interface,
        }


class Replay:
    """A router, the programs on its ports, and where its packets are written.

    ``arriving`` are the interfaces by which captured packets come in: a packet comes in by the one that has the name of
    the capture's interface, else by the one on whose network its source is, else by the first.
    """

    def __init__(
        self, router: Router, programs: Listeners, arriving: Mapping[str, str], writer: PcapngWriter | None = None
    ) -> None:
        self.tally = Tally()
        self._router = router
        self._programs = programs
        self._writer = writer
        self._arriving: dict[str, Interface] = {name: router.interfaces[name] for name in arriving}
        self._networks = [(IPv4Interface(text).network, router.interfaces[name]) for name, text in arriving.items()]
        self.watcher = Watcher(self._write)
        router.node.tracer.add(self.watcher)

    @staticmethod
    def away() -> _Away:
        """The link behind each interface of a router that is replayed through."""
        return _Away()

    def play(self, packets: Iterable[Captured]) -> Iterator[Captured]:
        """Play them one by one, giving each back when it is done with.

        Whatever goes wrong with the capture is raised here; :meth:`finish` ends what was begun all the same.
        """
        clock, programs, tally = self._router.clock, self._programs, self.tally
        for packet in packets:
            tally.packets += 1
            octets = datagram(packet)
            if octets is None:
                tally.other += 1
            else:
                if tally.first is None:
                    tally.first = tally.last = packet.time
                    programs.epoch = packet.time - clock.now()
                    programs.settle()
                self._advance(packet.time - programs.epoch)
                tally.last = max(packet.time, tally.last or packet.time)
                tally.cut += len(packet.frame) < packet.length
                tally.played += 1
                self._receive(octets, packet)
            yield packet

    def _receive(self, octets: bytes, packet: Captured) -> None:
        interface = self._arriving.get(packet.source.name) or self._near(octets)
        by_interface = self.tally.by_interface
        by_interface[interface.name] = by_interface.get(interface.name, 0) + 1
        interface.receive(octets)
        self._programs.settle()
        self._router.delivered.clear()

    def _near(self, octets: bytes) -> Interface:
        source = int.from_bytes(octets[12:16], "big")
        for network, interface in self._networks:
            if source & int(network.netmask) == int(network.network_address):
                return interface
        return self._networks[0][1]

    def _advance(self, until: float) -> None:
        """Time passes; programs take what timers send them at its own instant.  Time stamps that go back do not."""
        clock = self._router.clock
        while (wait := clock.next_deadline()) is not None and clock.now() + wait <= until:
            clock.advance_to(clock.now() + wait)
            self._programs.settle()
        clock.advance_to(max(until, clock.now()))

    def finish(self) -> None:
        """A minute passes, programs and journeys end."""
        self._advance(self._router.clock.now() + _LINGER)
        self._programs.settle()
        self._programs.finish()
        self._router.node.tracer.remove(self.watcher)
        self.watcher.finish()

    def _write(self, journey: Journey) -> None:
        """A packet as it came, with what became of it; and as it left, where it did."""
        if self._writer is None:
            return
        first, last = journey.events[0], journey.events[-1]
        words = comment(journey)
        leaves = last.kind is Kind.TRANSMITTED
        direction = "in" if first.kind is Kind.RECEIVED else None
        before = f"packet {journey.packet}: {first.kind.value}; {words}"
        self._record(first, direction, before)
        if leaves:
            self._record(last, "out", f"packet {journey.packet}, as it left; {words}")

    def _record(self, event: Event, direction: Any, words: str) -> None:
        assert self._writer is not None
        name = event.interface or "lo"
        time = self._programs.epoch + event.time
        self._writer.write(name, time, event.octets or b"", direction=direction, comment=words)
