"""IP options on their way through a Linux router: a table of options before and after, and of what is wrong with them.

Positions in the header: the first option starts at octet 20; every pointer counts from 1 at its option's first octet.
"""

from __future__ import annotations

import pytest
from datagrams import address, ip, ping, tcp, udp
from worlds import LEFT, RIGHT, ROUTER, World, error, hooks

from simulator import Reason
from simulator.wire import ipv4
from simulator.wire.ipv4 import build_options

RR, TS, LSRR, SSRR, RA = 7, 68, 131, 137, 148
OUT = "10.0.0.1"
"""The address that the router leaves by towards the right side."""


def hosts(*texts: str) -> bytes:
    return b"".join(address(text).to_bytes(4, "big") for text in texts)


def milliseconds(seconds: float) -> bytes:
    return int(seconds * 1000).to_bytes(4, "big")


def through(*options: tuple[int, bytes], destination: str = RIGHT, **switches: bool) -> tuple[World, bytes]:
    """A datagram with these options from the left; the world afterwards, and the datagram."""
    world = World(**switches)
    world.router.clock.advance(90_000.5)  # a day and an hour
    octets = ip(LEFT, destination, 99, options=build_options(options))
    world.eth0.receive(octets)
    return world, octets


FORWARDED = [
    ("record route", (RR, b"\4" + bytes(8)), (RR, b"\x08" + hosts(OUT) + bytes(4))),
    ("its second place", (RR, b"\x08" + hosts("9.9.9.9") + bytes(4)), (RR, b"\x0c" + hosts("9.9.9.9", OUT))),
    ("a full record", (RR, b"\x08" + hosts("9.9.9.9")), (RR, b"\x08" + hosts("9.9.9.9"))),
    ("time", (TS, b"\5\0" + bytes(8)), (TS, b"\x09\0" + milliseconds(3600.5) + bytes(4))),
    (
        "time and address",
        (TS, b"\5\1" + bytes(8)),
        (TS, b"\x0d\1" + hosts(ROUTER) + milliseconds(3600.5)),
    ),
    (
        "time at this address",
        (TS, b"\5\3" + hosts(OUT) + bytes(4)),
        (TS, b"\x0d\3" + hosts(OUT) + milliseconds(3600.5)),
    ),
    (
        "time at another address",
        (TS, b"\5\3" + hosts("9.9.9.9") + bytes(4)),
        (TS, b"\5\3" + hosts("9.9.9.9") + bytes(4)),
    ),
    ("no room for a time", (TS, b"\x09\0" + bytes(4)), (TS, b"\x09\x10" + bytes(4))),
    ("less and less room", (TS, b"\x09\xe0" + bytes(4)), (TS, b"\x09\xf0" + bytes(4))),
    ("a form of time that nobody knows", (TS, b"\5\x02" + bytes(4)), (TS, b"\5\x02" + bytes(4))),
    ("router alert", (RA, b"\0\0"), (RA, b"\0\0")),
    ("an option that nobody knows", (200, b"\1\2"), (200, b"\1\2")),
]


@pytest.mark.parametrize(("before", "after"), [row[1:] for row in FORWARDED], ids=[row[0] for row in FORWARDED])
def test_options_of_a_forwarded_datagram(before: tuple[int, bytes], after: tuple[int, bytes]) -> None:
    world, octets = through(before)
    header = ipv4.parse(world.eth1.sent[0])  # its checksum is right
    assert header.options == build_options([after])
    assert (header.ttl, ipv4.payload(world.eth1.sent[0])) == (63, ipv4.payload(octets))
    assert world.dropped == {}


@pytest.mark.parametrize(
    ("options", "octet"),
    [
        (b"\x07\x02\0\0", 21),
        (b"\x07\x01\0\0", 20),
        (b"\x07\x05\x04\0", 20),
        (b"\1\1\1\x07", 23),
        (b"\x07\x07\3\0\0\0\0\0", 22),
        (b"\x07\x06\x04\0\0\0\0\0", 22),
        (b"\x07\x07\x07\0\0\0\0\0", 22),
        (b"\x07\x03\x04\x07\x03\x04\0\0", 23),
        (b"\1\x07\x03\x00", 23),
        (b"\x44\x03\x05\0", 21),
        (b"\x44\x08\x04\0\0\0\0\0", 22),
        (b"\x44\x06\x05\0\0\0\0\0", 22),
        (b"\x44\x08\x05\1\0\0\0\0", 22),
        (b"\x44\x08\x05\3\0\0\0\0", 22),
        (b"\x44\x08\x09\xf0\0\0\0\0", 23),
        (b"\x83\x02\0\0", 21),
        (b"\x83\x03\x03\0", 22),
        (b"\x83\x03\x04\x89\x03\x04\0\0", 23),
        (b"\x94\x03\0\0", 21),
        (b"\xc8\0\0\0", 20),
    ],
)
def test_malformed_options(options: bytes, octet: int) -> None:
    world = World()
    world.eth0.receive(octets := ip(LEFT, RIGHT, 99, options=options))
    kind, code, rest, quoted = error(world.eth0.sent[0])
    assert (kind, code, rest) == (12, 0, octet << 24)
    assert quoted[: len(octets)] == octets
    assert world.dropped == {Reason.BAD_OPTIONS: 1}
    assert not world.eth1.sent


def test_what_follows_the_end_of_options_is_blanked() -> None:
    world = World()
    world.eth0.receive(ip(LEFT, RIGHT, options=b"\1\0\xaa\xbb"))
    assert ipv4.parse(world.eth1.sent[0]).options == b"\1\0\0\0"


def test_options_are_looked_at_after_the_input_chain() -> None:
    """H2: the chain sees them as they came, even malformed; H5: the other chains see the recorded address of the
    receiving side, and a checksum that is not right again yet."""
    world = World("linux-2.2", "-A forward -j DIVERT 1234")
    sock = world.divert()
    with world.router.trace() as trace:
        world.eth0.receive(ip(LEFT, RIGHT, options=b"\x07\x01\0\0"))
    assert hooks(trace)[0] == ("input", "eth0")
    world.eth0.receive(ip(LEFT, RIGHT, options=build_options([(RR, b"\4" + bytes(4))])))
    octets, _ = sock.recvfrom(100)
    assert ipv4.View(octets).options[3:7] == hosts(ROUTER)
    assert not ipv4.View(octets).checksum_ok


def test_a_datagram_for_this_host() -> None:
    world, _ = through((RR, b"\4" + bytes(4)), destination=OUT)
    assert ipv4.View(world.router.delivered[0]).options[3:7] == hosts(OUT)


def test_a_time_for_an_address_without_a_route() -> None:
    world = World()
    world.router.delete_route("0.0.0.0/0")
    options = build_options([(TS, b"\5\3" + hosts("99.0.0.1") + bytes(4))])
    world.eth0.receive(ip(LEFT, RIGHT, options=options))
    assert ipv4.parse(world.eth1.sent[0]).options == options


def test_what_is_unmasqueraded_and_routed_again_is_recorded_once() -> None:
    world = World("linux-2.2", "-A forward -s 192.168.1.0/24 -j MASQ")
    world.eth0.receive(udp(LEFT, RIGHT))
    port = int.from_bytes(world.eth1.sent[0][20:22], "big")
    world.eth1.receive(udp(RIGHT, OUT, ports=(6000, port), options=build_options([(RR, b"\4" + bytes(8))])))
    header = ipv4.parse(world.eth0.sent[0])
    assert header.destination == address(LEFT)
    assert header.options == build_options([(RR, b"\x08" + hosts(ROUTER) + bytes(4))])


def test_over_loopback_too() -> None:
    world = World()
    world.router.send(ping(ROUTER, ROUTER, options=build_options([(RR, b"\4" + bytes(4))])))
    assert ipv4.View(world.router.delivered[0]).options[3:7] == hosts(ROUTER)


ECHOED = [
    ("record route", [(RR, b"\4" + bytes(12))], [(RR, b"\x0c" + hosts(ROUTER, ROUTER) + bytes(4))]),
    ("no room for the way back", [(RR, b"\4" + bytes(4))], [(RR, b"\x08" + hosts(ROUTER))]),
    ("full", [(RR, b"\x08" + hosts("9.9.9.9"))], [(RR, b"\x08" + hosts("9.9.9.9"))]),
    ("times", [(TS, b"\5\0" + bytes(8))], [(TS, b"\x0d\0" + milliseconds(3600.5) * 2)]),
    (
        "times and addresses",
        [(TS, b"\5\1" + bytes(16))],
        [(TS, b"\x15\1" + (hosts(ROUTER) + milliseconds(3600.5)) * 2)],
    ),
    (
        "a time for the next address, with an octet to spare (2.2 wants one)",
        [(TS, b"\5\3" + hosts(ROUTER) + bytes(4) + hosts("9.9.9.9") + bytes(5))],
        [(TS, b"\x15\3" + hosts(ROUTER) + milliseconds(3600.5) + hosts("9.9.9.9") + milliseconds(3600.5) + b"\0")],
    ),
    (
        "without one",
        [(TS, b"\5\3" + hosts(ROUTER) + bytes(4) + hosts("9.9.9.9") + bytes(4))],
        [(TS, b"\x0d\3" + hosts(ROUTER) + milliseconds(3600.5) + hosts("9.9.9.9") + bytes(4))],
    ),
    ("an overflow", [(TS, b"\x09\0" + bytes(4))], [(TS, b"\x09\x10" + bytes(4))]),
    (
        "both, the record route first",
        [(TS, b"\x09\0" + bytes(4)), (RR, b"\4" + bytes(4))],
        [(RR, b"\x08" + hosts(ROUTER)), (TS, b"\x09\x10" + bytes(4))],
    ),
    ("neither", [(RA, bytes(2)), (130, bytes(9))], []),
]
"""Options of an echo request to the router, and of its reply."""


@pytest.mark.parametrize(("asked", "answered"), [case[1:] for case in ECHOED], ids=[case[0] for case in ECHOED])
def test_options_of_an_answer(asked: list[tuple[int, bytes]], answered: list[tuple[int, bytes]]) -> None:
    world = World()
    world.router.clock.advance(90_000.5)
    world.eth0.receive(ping(LEFT, ROUTER, options=build_options(asked)))
    (answer,) = world.eth0.sent
    assert ipv4.parse(answer).options == build_options(answered)


@pytest.mark.parametrize("options", [(TS, b"\5\1" + bytes(13)), (RR, b"\4" + bytes(6)), (TS, b"\5\0" + bytes(6))])
def test_no_answer_with_an_option_that_ends_early(options: tuple[int, bytes]) -> None:
    world = World()
    world.eth0.receive(ping(LEFT, ROUTER, options=build_options([options])))
    assert world.router.delivered
    assert not world.eth0.sent


@pytest.mark.parametrize(
    "asked",
    [
        tcp(LEFT, ROUTER, options=build_options([(RR, b"\4" + bytes(8))])),
        udp(LEFT, ROUTER, data=bytes(1000), options=build_options([(RR, b"\4" + bytes(8))])),
        udp(LEFT, RIGHT, ttl=1, options=build_options([(RR, b"\4" + bytes(8))])),
        udp(LEFT, "99.0.0.1", options=build_options([(RR, b"\4" + bytes(8))])),
    ],
    ids=["reset", "port unreachable", "time exceeded", "network unreachable"],
)
def test_resets_and_errors_have_them_too(asked: bytes) -> None:
    world = World()
    world.router.delete_route("0.0.0.0/0")
    world.eth0.receive(asked)
    (answer,) = world.eth0.sent
    assert ipv4.parse(answer).options == build_options([(RR, b"\x0c" + hosts(ROUTER, ROUTER))])
    assert len(answer) <= 576


@pytest.mark.parametrize("kind", ["reject", "blackhole"])
def test_options_are_looked_at_before_a_route_that_leads_nowhere(kind: str) -> None:
    world = World()
    world.router.add_route("99.0.0.0/8", kind=kind)
    world.eth0.receive(udp(LEFT, "99.0.0.1", options=build_options([(RR, b"\3" + bytes(4))])))
    assert [error(octets)[:3] for octets in world.eth0.sent] == [(12, 0, 22 << 24)]


class TestSourceRoutes:
    def test_they_are_refused_unless_switched_on(self) -> None:
        world, _ = through((LSRR, b"\4" + hosts("10.0.0.9")), destination=ROUTER)
        assert world.dropped == {Reason.SOURCE_ROUTED: 1}
        assert not world.eth0.sent

    @pytest.mark.parametrize("kind", [LSRR, SSRR])
    def test_the_next_hop_takes_the_place_of_the_destination(self, kind: int) -> None:
        world, _ = through((kind, b"\4" + hosts("10.0.0.9", "10.0.0.10")), destination=ROUTER, source_routes=True)
        header = ipv4.parse(world.eth1.sent[0])
        assert header.destination == address("10.0.0.9")
        assert header.options == build_options([(kind, b"\x08" + hosts(OUT, "10.0.0.10"))])
        assert world.dropped == {}

    def test_hops_that_are_this_host_are_passed_over(self) -> None:
        world, _ = through((LSRR, b"\4" + hosts(OUT, "10.0.0.9")), destination=ROUTER, source_routes=True)
        header = ipv4.parse(world.eth1.sent[0])
        assert header.destination == address("10.0.0.9")
        assert header.options == build_options([(LSRR, b"\x0c" + hosts(OUT, OUT))])

    @pytest.mark.parametrize("option", [(LSRR, b"\x08" + hosts("10.0.0.9")), (LSRR, b"\4" + hosts(OUT))])
    def test_a_route_that_ends_here(self, option: tuple[int, bytes]) -> None:
        world, _ = through(option, destination=ROUTER, source_routes=True)
        (delivered,) = world.router.delivered
        assert ipv4.View(delivered).destination == address(ROUTER if option[1][0] == 8 else OUT)

    def test_a_loose_route_on_its_way_to_somebody_else(self) -> None:
        option = (LSRR, b"\4" + hosts("10.0.0.9"))
        world, _ = through(option, source_routes=True)
        header = ipv4.parse(world.eth1.sent[0])
        assert (header.destination, header.options) == (address(RIGHT), build_options([option]))

    def test_a_strict_route_must_not_stray(self) -> None:
        world, _ = through((SSRR, b"\4" + hosts("10.0.0.9")), source_routes=True)
        assert error(world.eth0.sent[0])[:3] == (12, 0, 16 << 24)
        assert world.dropped == {Reason.BAD_OPTIONS: 1}

    def test_a_strict_route_needs_a_neighbour(self) -> None:
        world, _ = through((SSRR, b"\4" + hosts("8.8.8.8")), destination=ROUTER, source_routes=True)
        assert error(world.eth0.sent[0])[:2] == (3, 5)
        assert world.dropped == {Reason.STRICT_ROUTE: 1}

    def test_a_loose_route_does_not(self) -> None:
        world, _ = through((LSRR, b"\4" + hosts("8.8.8.8")), destination=ROUTER, source_routes=True)
        assert ipv4.parse(world.eth1.sent[0]).destination == address("8.8.8.8")

    @pytest.mark.parametrize("route", [b"\4" + bytes(2), b"\7" + bytes(4)])
    def test_a_hop_that_is_cut_off(self, route: bytes) -> None:
        world, _ = through((LSRR, route), destination=ROUTER, source_routes=True)
        assert error(world.eth0.sent[0])[:3] == (12, 0, 22 << 24)

    @pytest.mark.parametrize(
        ("hop", "reason"),
        [
            ("127.0.0.1", Reason.MARTIAN_DESTINATION),
            ("10.0.0.255", Reason.NO_ROUTE),
            ("250.0.0.1", Reason.MARTIAN_DESTINATION),
        ],
    )
    def test_hops_that_cannot_be(self, hop: str, reason: Reason) -> None:
        world, _ = through((LSRR, b"\4" + hosts(hop)), destination=ROUTER, source_routes=True)
        assert world.dropped == {reason: 1}

    def test_no_redirect_about_a_source_route(self) -> None:
        world, _ = through((LSRR, b"\4" + hosts("192.168.1.9")), destination=ROUTER, source_routes=True)
        assert len(world.eth0.sent) == 1
        assert ipv4.parse(world.eth0.sent[0]).destination == address("192.168.1.9")

    def test_with_a_record_and_a_timestamp(self) -> None:
        options = (
            (LSRR, b"\4" + hosts("10.0.0.9")),
            (RR, b"\4" + bytes(4)),
            (TS, b"\5\1" + bytes(8)),
        )
        world, _ = through(*options, destination=ROUTER, source_routes=True)
        assert ipv4.parse(world.eth1.sent[0]).options == build_options(
            [
                (LSRR, b"\x08" + hosts(OUT)),
                (RR, b"\x08" + hosts(OUT)),
                (TS, b"\x0d\1" + hosts(OUT) + milliseconds(3600.5)),
            ]
        )
