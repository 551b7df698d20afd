"""The demonstration without privilege: simulated hosts, which are two more routers, and memory links."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from ipaddress import IPv4Address

from simulator.clock import Clock, SimulatedClock
from simulator.interfaces import Interface
from simulator.links.memory import MemoryLink
from simulator.live.demonstration import Exchange, Say
from simulator.live.echo import Pinged
from simulator.live.lab import LEFT, RIGHT, Site
from simulator.router import Router
from simulator.sockets.divert import DivertSocket
from simulator.trace import summary
from simulator.wire import icmp, ipv4, tcp
from simulator.wire.checksum import verify_transport

__all__ = ["MemoryBench"]

_INTERVAL = 0.2
_MSS = 2
"""The option's kind (RFC 9293)."""
_IDENTIFIER = 4321
_PAYLOAD = bytes(range(56))


class MemoryBench:
    """Everything in this process, in simulated time."""

    mode = "memory"

    def __init__(self) -> None:
        self._clock = SimulatedClock()
        self._left: Router
        self._right: Router
        self._divert: DivertSocket | None = None
        self._program: Callable[[DivertSocket], object]
        self._wire: deque[tuple[Interface, bytes]] = deque()
        """Datagrams on their way: where each arrives, and its octets."""

    @property
    def epoch(self) -> float:
        return 0.0

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

    def _settle(self) -> None:
        """Until nothing is on its way and the program has nothing to read."""
        while True:
            if self._wire:
                interface, octets = self._wire.popleft()
                interface.receive(octets)
            elif self._divert is not None and self._divert.readable:
                self._program(self._divert)
            else:
                return

    def exchange(self, asked: Exchange) -> Pinged:
        """As `simulator.live.demonstration.Bench.exchange`; a simulated host has no TCP and answers a SYN with RST."""
        self._left, self._right = self._host(LEFT, asked.router), self._host(RIGHT, asked.router)
        self._divert, self._program = asked.divert, asked.program
        return (self._ping if asked.traffic == "ping" else self._connect)(asked.count, asked.say, asked.patience)

    def _ping(self, count: int, say: Say, patience: float) -> Pinged:
        say("ping", f"PING {RIGHT.host} {len(_PAYLOAD)}({len(_PAYLOAD) + 28}) bytes of data.")
        answered = 0
        departure: dict[int, float] = {}

        def take() -> None:
            nonlocal answered
            for octets in self._left.delivered:
                message = icmp.View(ipv4.payload(octets))
                if message.type != icmp.ECHO_REPLY:
                    continue
                answered += 1
                sequence = message.sequence
                took = self._clock.now() - departure.get(sequence, self._clock.now())
                time = f" time={took * 1000:.0f} ms" if took else ""
                length = len(octets) - 20
                say("ping", f"{length} bytes from {RIGHT.host}: icmp_seq={sequence} ttl={octets[8]}{time}")
            self._left.delivered.clear()

        for sequence in range(1, count + 1):
            departure[sequence] = self._clock.now()
            self._left.send(_request(sequence))
            self._settle()
            take()
            self._wait(_INTERVAL, take)
        if answered < count:
            self._wait(patience, take)
        say("ping", f"{count} packets transmitted, {answered} received")
        return Pinged(count, answered)

    def _connect(self, count: int, say: Say, patience: float) -> Pinged:
        answered = 0

        def take() -> None:
            nonlocal answered
            for octets in self._right.delivered:
                say("tcp", f"at {RIGHT.host}: {_shown(octets)}")
            for octets in self._left.delivered:
                say("tcp", f"back at {LEFT.host}: {_shown(octets)}")
                answered += 1
            self._right.delivered.clear()
            self._left.delivered.clear()

        for number in range(1, count + 1):
            segment = _syn(number)
            say("tcp", f"from {LEFT.host}: {_shown(segment)}")
            self._left.send(segment)
            self._settle()
            take()
            self._wait(_INTERVAL, take)
        self._wait(patience, take)
        say("tcp", f"{count} connections asked for, {answered} answered")
        return Pinged(count, answered)

    def _wait(self, seconds: float, take: Callable[[], None]) -> None:
        """Let time pass, and whatever falls due in it arrive."""
        end = self._clock.now() + seconds
        while (due := self._clock.next_deadline()) is not None and self._clock.now() + due < end:
            self._clock.advance(due)
            self._settle()
            take()
        self._clock.advance_to(end)
        self._settle()
        take()


def _request(sequence: int) -> bytes:
    """An echo request from left to right."""
    return _datagram(icmp.PROTOCOL, sequence, icmp.echo_request(_IDENTIFIER, sequence, _PAYLOAD))


def _syn(number: int) -> bytes:
    """The first segment of a TCP connection from left to right, as hosts on Ethernet send it."""
    options = tcp.build_options([(_MSS, (1460).to_bytes(2, "big"))])
    header = tcp.Header(source_port=40000 + number, destination_port=80, sequence=1000, flags=tcp.SYN, options=options)
    source, destination = int(IPv4Address(LEFT.host)), int(IPv4Address(RIGHT.host))
    return _datagram(tcp.PROTOCOL, number, header.emit(source=source, destination=destination))


def _datagram(protocol: int, identification: int, payload: bytes) -> bytes:
    header = ipv4.Header(
        source=int(IPv4Address(LEFT.host)),
        destination=int(IPv4Address(RIGHT.host)),
        protocol=protocol,
        identification=identification,
    )
    return header.emit(payload)


def _shown(octets: bytes) -> str:
    """A TCP segment in a line, its segment size and whether its checksum is right included."""
    segment = ipv4.payload(octets)
    sizes = [int.from_bytes(data, "big") for kind, data in tcp.options(tcp.View(segment).options) if kind == _MSS]
    size = f", mss {sizes[0]}" if sizes else ""
    header = ipv4.View(octets)
    intact = verify_transport(header.source, header.destination, tcp.PROTOCOL, segment)
    return f"{summary(octets)}{size}{'' if intact else ', wrong checksum'}"
