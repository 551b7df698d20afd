"""Properties of routers and rule sets, each a test in one line.

>>> from simulator.testing import properties
>>> from simulator.testing.strategies import World
>>> gateway = World(rules=("add 100 divert 8668 ip from any to any out xmit em1",), switches={"default_accept": True})
>>> test_round_trip = properties.round_trip(gateway, 8668)
>>> test_seen_once = properties.seen(gateway, "tcp from 192.168.1.0/24 to any", 8668)

A router is given as a :class:`~simulator.testing.worlds.World`, or as a function that builds it, anew for each
example.  Packets are words, as behind the action of a rule of ipfw or as the options of one of ipchains, or a strategy
of pairs (interface, octets); without any they are drawn around the router's networks and rules.  A failure
brings the scenario of its example along.  ``hypothesis.settings`` can be put on what these functions return.
"""

from __future__ import annotations

import rules.strategies  # noqa: F401  # first, as it says what to install where hypothesis is missing

# isort: split

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from hypothesis import assume, given
from hypothesis import strategies as st

from rules import ipfw
from rules.ipfw.rule import Action
from rules.strategies import addresses
from simulator.packet import Packet
from simulator.profiles import LinuxProfile
from simulator.router import IPPROTO_DIVERT, Router
from simulator.scenario.recording import record
from simulator.sockets.base import QueueSocket
from simulator.spoken import speak
from simulator.testing import traffic
from simulator.testing.datagrams import Datagram
from simulator.testing.ruleproperties import Test, agree, order_does_not_matter
from simulator.testing.worlds import World
from simulator.wire.named import alter

__all__ = ["agree", "default_is_deny", "only_through", "order_does_not_matter", "round_trip", "seen"]

Build = World | Callable[[], Router]
Packets = str | st.SearchStrategy[tuple[str, bytes]] | None

_PASSES, _CHAINS = ("in", "out"), ("input", "forward", "output")
_REDIRECT = 5
_MOST_READS = 100
"""Datagrams that a program takes because of one packet; more are a divert loop."""


def round_trip(build: Build, port: int, packets: Packets = None) -> Test:
    """What a program on a divert port writes back as it read it meets the fate that it would meet if no rule diverted
    it there.

    Whole datagrams are drawn unless ``packets`` says otherwise: fragments come out of a divert socket put together.
    ICMP redirects are not compared: FreeBSD's fast forwarding sends none about what was diverted.  No identification is
    0, which a divert socket of Linux fills in (linux.md D15): neither that of the packet, nor those that the router
    gives, which begin with 1.

    :raises ValueError: for a router none of whose rules diverts to the port.
    """
    if not _without(_build(build), port):
        raise ValueError(f"no rule diverts to port {port}")

    @given(_arrivals(build, packets, fragments=False).map(_identified))
    def test_round_trip(arrival: tuple[str, bytes]) -> None:
        through, past = _build(build), _build(build)
        _without(past, port)
        for router in (through, past):
            router.node.next_identification = max(router.node.next_identification, 1)
        with record(through), _listening(through, port) as program:
            _receive(through, arrival)
            program.write_back()
            _receive(past, arrival)
            for name, expected in _left(past).items():
                expected, actual = _no_redirects(expected), _no_redirects(_left(through)[name])
                assert actual == expected, (
                    f"{name}: {_words(actual)} with the program on port {port}, "
                    f"{_words(expected)} without the rules that divert there"
                )

    return test_round_trip


def only_through(build: Build, source: str, destination: str, port: int, packets: Packets = None) -> Test:
    """No packet from ``source`` reaches ``destination``, both networks, unless it was diverted to the port.

    A program listens there that keeps what it reads, so whatever arrives was not diverted.  A copy (``tee``) does not
    count.

    :raises ValueError: for what is no network.
    """
    here, there = IPv4Network(source), IPv4Network(destination)
    wanted = packets if packets is not None else _between(build, source, destination)

    @given(_arrivals(build, wanted))
    def test_only_through(arrival: tuple[str, bytes]) -> None:
        router = _build(build)
        with record(router), _listening(router, port):
            _receive(router, arrival)
            for name, packets in _left(router).items():
                passed = [octets for octets in packets if _is_between(octets, here, there)]
                assert not passed, f"{name}: not diverted to port {port}: {_words(passed)}"

    return test_only_through


def seen(build: Build, packets: Packets, port: int, times: int = 1) -> Test:
    """A program on the port sees every packet that is forwarded, and that often: once, or twice where both passes of a
    BSD divert it (bsd.md X-6).

    The program writes back what it reads.  Fragments are drawn only if ``packets`` is a strategy that has them; a TTL
    that is used up here is 64 instead, for what is not forwarded does not count.

    :raises ValueError: for a number of times below 0.
    """
    if times < 0:
        raise ValueError(f"no program sees a packet {times} times")

    arrivals = _arrivals(build, packets, fragments=False).map(_living)
    if not isinstance(packets, st.SearchStrategy):
        arrivals = arrivals.filter(_from_a_host(World.of(_build(build))))

    @given(arrivals)
    def test_seen(arrival: tuple[str, bytes]) -> None:
        router = _build(build)
        with record(router), _listening(router, port) as program:
            _receive(router, arrival)
            count = program.write_back()
            sent = [octets for each in router.interfaces.values() if not each.is_loopback for octets in each.sent]
            forwarded = any(arrival[1][12:20] == octets[12:20] for octets in sent)
            assume(forwarded or count > _MOST_READS)
            assert count == times, f"port {port} saw it {count} times, not {times}: {speak(arrival[1])}"

    return test_seen


def default_is_deny(build: Build, packets: Packets = None, hooks: Sequence[str] | None = None) -> Test:
    """A packet about which no rule decides is refused: by rule 65535, or by the policy of its chain.

    ``hooks``: in which passes or chains, if not in all.

    :raises ValueError: for a hook that the router does not have.
    """
    there = _CHAINS if isinstance(_build(build).profile, LinuxProfile) else _PASSES
    asked = there if hooks is None else hooks
    unknown = sorted(set(asked) - set(there))
    if unknown:
        raise ValueError(f"no such pass or chain: {unknown[0]!r} (there are {', '.join(there)})")

    @given(_arrivals(build, packets))
    def test_default_is_deny(arrival: tuple[str, bytes]) -> None:
        router = _build(build)
        with record(router), router.trace() as trace:
            _receive(router, arrival)
            for event in trace:
                if event.hook in asked and (event.rule or "").endswith(("65535", ":policy")):
                    said = f"{event.hook}: {event.verdict} by {event.rule}: {speak(event.octets or b'')}"
                    assert event.verdict in _REFUSALS, said

    return test_default_is_deny


_REFUSALS = frozenset({"deny", "DENY", "REJECT"})


# Routers


def _build(build: Build) -> Router:
    return build.build() if isinstance(build, World) else build()


def _without(router: Router, port: int) -> int:
    """Take out the rules that divert to the port; how many there were."""
    if not isinstance(router.profile, LinuxProfile):
        return router.rules.remove(lambda entry: _diverts(entry.rule, port))
    count = 0
    for name, chain in router.tables.chains.items():
        for number, rule in reversed([*enumerate(chain.rules, 1)]):
            if rule.target == "DIVERT" and rule.port == port:
                router.ipchains(f"-D {name} {number}")
                count += 1
    return count


def _diverts(rule: ipfw.Rule, port: int) -> bool:
    return rule.effect.action is Action.DIVERT and rule.effect.argument == port


class _Program:
    def __init__(self, sock: QueueSocket) -> None:
        self._sock = sock

    def write_back(self) -> int:
        """Read and write until nothing comes; how many datagrams that were."""
        count = 0
        while self._sock.readable and count <= _MOST_READS:
            count += 1
            octets, address = self._sock.recvfrom(65535)
            try:
                self._sock.sendto(octets, address)
            except OSError:
                continue  # refused, as its sender would be told
        return count


@contextmanager
def _listening(router: Router, port: int) -> Iterator[_Program]:
    with router.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT) as sock:
        sock.setblocking(False)
        sock.bind(("0.0.0.0", port))
        yield _Program(sock)


def _receive(router: Router, arrival: tuple[str, bytes]) -> None:
    interface, octets = arrival
    router.interfaces[interface].receive(octets)


def _left(router: Router) -> dict[str, list[bytes]]:
    """What left by each interface, and what was handed to the host itself."""
    found = {name: each.sent for name, each in router.interfaces.items() if not each.is_loopback}
    return found | {"the host itself": router.delivered}


def _no_redirects(packets: list[bytes]) -> list[bytes]:
    return [octets for octets in packets if Packet(octets).icmp_type != _REDIRECT]


def _words(packets: list[bytes]) -> str:
    return "; ".join(map(speak, packets)) or "nothing"


# Packets


def _arrivals(build: Build, packets: Packets, *, fragments: bool = True) -> st.SearchStrategy[tuple[str, bytes]]:
    if isinstance(packets, st.SearchStrategy):
        return packets
    router = _build(build)
    world = World.of(router)
    if packets is not None:
        return traffic.arriving_like(packets, world, router, fragments=fragments)
    near = traffic.arriving(world, fragments=fragments)
    return near | traffic.arriving_at_rules(world, router, fragments=fragments)


def _from_a_host(world: World) -> Callable[[tuple[str, bytes]], bool]:
    """Whether a packet may be forwarded as far as its source says, which is no router's or network's."""
    own = [IPv4Interface(address) for address in world.interfaces.values()]
    nobody = {int(each) for it in own for each in (it.ip, it.network[0], it.network[-1])}
    return lambda arrival: int.from_bytes(arrival[1][12:16], "big") not in nobody


def _identified(arrival: tuple[str, bytes]) -> tuple[str, bytes]:
    interface, octets = arrival
    return interface, Datagram(alter(octets, {"ip.id": 1})) if octets[4:6] == bytes(2) else octets


def _living(arrival: tuple[str, bytes]) -> tuple[str, bytes]:
    interface, octets = arrival
    return interface, Datagram(alter(octets, {"ip.ttl": 64})) if octets[8:9] in (b"\0", b"\1") else octets


def _between(build: Build, source: str, destination: str) -> st.SearchStrategy[tuple[str, bytes]]:
    """Packets from one network to another, by the interface that leads to the first, with what rules ask for in the
    other fields."""
    router = _build(build)
    world = World.of(router)
    route = router.routes.lookup(int(IPv4Network(source).network_address))
    usual = next(iter(world.interfaces)) if route is None else route.interface.name

    def moved(arrival: tuple[str, bytes], ends: tuple[int, int]) -> tuple[str, bytes]:
        return usual, Datagram(alter(arrival[1], {"ip.src": ends[0], "ip.dst": ends[1]}))

    drawn = traffic.arriving(world) | traffic.arriving_at_rules(world, router)
    return st.builds(moved, drawn, st.tuples(addresses(source), addresses(destination)))


def _is_between(octets: bytes, source: IPv4Network, destination: IPv4Network) -> bool:
    ends = int.from_bytes(octets[12:16], "big"), int.from_bytes(octets[16:20], "big")
    return IPv4Address(ends[0]) in source and IPv4Address(ends[1]) in destination
