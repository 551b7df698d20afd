"""The demonstration without privilege: simulated hosts, which are two more routers, and memory links."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from ipaddress import IPv4Address

from simulator.clock import Clock, SimulatedClock
from simulator.interfaces import Interface
from simulator.links.memory import MemoryLink
from simulator.live.demonstration import Say
from simulator.live.echo import Pinged
from simulator.live.lab import LEFT, RIGHT, Site
from simulator.router import Router
from simulator.sockets.divert import DivertSocket
from simulator.wire import icmp, ipv4

__all__ = ["MemoryBench"]

_INTERVAL = 0.2
_IDENTIFIER = 4321
_PAYLOAD = bytes(range(56))


class MemoryBench:
    """Everything in this process, in simulated time."""

    mode = "memory"

    def __init__(self) -> None:
        self._clock = SimulatedClock()
        self._wire: deque[tuple[Interface, bytes]] = deque()
        """Datagrams on their way: where each arrives, and its octets."""

    def clock(self) -> Clock:
        """A clock that starts at 0; the hosts of the next ping share it."""
        self._clock = SimulatedClock()
        return self._clock

    def _host(self, site: Site, router: Router) -> Router:
        """A host whose wire ends at an interface of the router."""
        host = Router("linux-2.2", clock=self._clock)
        arrives = self._wire.append
        out, back = (
            MemoryLink(to=lambda octets: arrives((theirs, octets))),
            MemoryLink(to=lambda octets: arrives((ours, octets))),
        )
        ours = host.add_interface("eth0", f"{site.host}/{site.prefix}", link=out)
        theirs = router.add_interface(site.interface, site.router_address, link=back)
        host.add_route("0.0.0.0/0", via=site.router)
        return host

    def _settle(self, divert: DivertSocket | None, program: Callable[[DivertSocket], object]) -> None:
        """Until nothing is on its way and the program has nothing to read."""
        while True:
            if self._wire:
                interface, octets = self._wire.popleft()
                interface.receive(octets)
            elif divert is not None and divert.readable:
                program(divert)
            else:
                return

    def ping(
        self,
        router: Router,
        divert: DivertSocket | None,
        program: Callable[[DivertSocket], object],
        count: int,
        say: Say,
    ) -> Pinged:
        """As `simulator.live.demonstration.Bench.ping`."""
        left = self._host(LEFT, router)
        self._host(RIGHT, router)
        answered = 0
        say("ping", f"PING {RIGHT.host} {len(_PAYLOAD)}({len(_PAYLOAD) + 28}) bytes of data.")
        for sequence in range(1, count + 1):
            left.delivered.clear()
            left.send(_request(sequence))
            self._settle(divert, program)
            for octets in left.delivered:
                answered += 1
                length = len(octets) - 20
                say("ping", f"{length} bytes from {RIGHT.host}: icmp_seq={sequence} ttl={octets[8]}")
            self._clock.advance(_INTERVAL)
        say("ping", f"{count} packets transmitted, {answered} received")
        return Pinged(count, answered)


def _request(sequence: int) -> bytes:
    """An echo request from left to right."""
    header = ipv4.Header(
        source=int(IPv4Address(LEFT.host)),
        destination=int(IPv4Address(RIGHT.host)),
        protocol=icmp.PROTOCOL,
        identification=sequence,
    )
    return header.emit(icmp.echo_request(_IDENTIFIER, sequence, _PAYLOAD))
