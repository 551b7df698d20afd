"""The translation engine: octets in, octets out; every packet that goes by must stay intact."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from datagrams import address, ip, pieces, ping, tcp, udp
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.addresses import dotted
from rules.aliasing import AddressRedirect, Mode, PortRedirect, ProtocolRedirect, Server
from rules.fields import ICMP, TCP, UDP
from simulator.aliasing import Aliasing, Outcome
from simulator.packet import Packet
from simulator.wire import icmp
from simulator.wire import tcp as tcp_wire
from simulator.wire.checksum import verify, verify_transport

INSIDE, OTHER, PUBLIC, REMOTE = "192.168.1.2", "192.168.1.3", "1.2.3.4", "10.0.0.2"


class World:
    """A translation to PUBLIC whose clock stands still and whose random numbers count up."""

    def __init__(self, mode: Mode = Mode(), *, target: int = 0) -> None:  # noqa: B008
        self.now = 0.0
        numbers = count()
        self.engine = Aliasing(
            now=lambda: self.now,
            choose=lambda n: next(numbers) % n,
            address=address(PUBLIC),
            mode=mode,
            target=target,
        )

    def out(self, octets: bytes) -> str:
        return self._say(self.engine.alias(octets))

    def back(self, octets: bytes) -> str:
        return self._say(self.engine.dealias(octets))

    def _say(self, result: Any) -> str:
        intact(result.octets)
        outcome, octets = result
        return said(octets) if outcome is Outcome.OK else f"{outcome.name}: {said(octets)}"


def said(octets: bytes) -> str:
    """``source:port > destination:port``; ``#identifier`` for an ICMP query, nothing for what has none."""
    packet = Packet(octets)
    ports = ["", ""]
    if packet.protocol in (TCP, UDP) and packet.source_port is not None:
        ports = [f":{packet.source_port}", f":{packet.destination_port}"]
    if packet.protocol == ICMP and packet.icmp_type in (0, 8):
        ports = [f"#{icmp.View(octets[20:]).identifier}", ""]
    return f"{dotted(packet.source)}{ports[0]} > {dotted(packet.destination)}{ports[1]}"


def intact(octets: bytes) -> None:
    """Header and transport checksums are right, those of what an ICMP error quotes as well."""
    packet = Packet(octets)
    assert verify(octets[: packet.header_length])
    message = octets[packet.header_length :]
    if packet.is_fragment:
        return
    if packet.protocol in (TCP, UDP):
        assert verify_transport(packet.source, packet.destination, packet.protocol, message)
    if packet.protocol == ICMP:
        assert verify(message)
        if packet.icmp_type in (3, 4, 11, 12):
            assert verify(message[8 : 8 + (message[8] & 15) * 4])


def error(about: bytes, *, sender: str, to: str, kind: int = 3, code: int = 3, quote: int = 28) -> bytes:
    message = icmp.Message(type=kind, code=code, data=about[:quote]).emit()
    return ip(sender, to, 1, message)


def reply(octets: bytes) -> bytes:
    """What the far end sends back."""
    packet = Packet(octets)
    ends = dotted(packet.destination), dotted(packet.source)
    if packet.protocol == ICMP:
        query = icmp.parse(octets[20:])
        return ip(*ends, 1, icmp.Message(type=0, rest=query.rest, data=query.data).emit())
    assert packet.source_port is not None
    assert packet.destination_port is not None
    ports = packet.destination_port, packet.source_port
    return udp(*ends, ports=ports) if packet.protocol == UDP else tcp(*ends, ports=ports, flags=0x12)


# -- there and back ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("datagram", "outside"),
    [
        (udp(INSIDE, REMOTE, ports=(5000, 53)), "1.2.3.4:32768 > 10.0.0.2:53"),
        (udp(INSIDE, REMOTE, ports=(5000, 53), data=b"odd"), "1.2.3.4:32768 > 10.0.0.2:53"),
        (tcp(INSIDE, REMOTE, ports=(5000, 80)), "1.2.3.4:32768 > 10.0.0.2:80"),
        (ping(INSIDE, REMOTE), "1.2.3.4#32768 > 10.0.0.2"),
        (ip(INSIDE, REMOTE, 99), "1.2.3.4 > 10.0.0.2"),
        (udp(INSIDE, REMOTE, ports=(5000, 53), options=b"\x01" * 4), "1.2.3.4:32768 > 10.0.0.2:53"),
    ],
)
def test_out(datagram: bytes, outside: str) -> None:
    assert World().out(datagram) == outside


def test_same_ports_keeps_the_port_where_it_is_free() -> None:
    world = World(Mode(same_ports=True))
    assert world.out(udp(INSIDE, REMOTE, ports=(5000, 53))) == "1.2.3.4:5000 > 10.0.0.2:53"
    assert world.out(udp(OTHER, REMOTE, ports=(5000, 53))) == "1.2.3.4:32768 > 10.0.0.2:53"
    # Another far end can be told from the first by its address, so that the port is free there.
    assert world.out(udp(OTHER, "10.0.0.9", ports=(5000, 53))) == "1.2.3.4:5000 > 10.0.0.9:53"
    assert world.out(ping(INSIDE, REMOTE)) == "1.2.3.4#7 > 10.0.0.2"


def test_a_udp_checksum_that_is_not_there_stays_away() -> None:
    octets = bytearray(udp(INSIDE, REMOTE, data=b"data"))
    octets[26:28] = b"\0\0"
    translated = World().engine.alias(bytes(octets)).octets
    assert translated[26:28] == b"\0\0"
    assert verify(translated[:20])


@given(
    flows=st.lists(
        st.tuples(
            st.sampled_from([TCP, UDP, ICMP]),
            st.sampled_from([INSIDE, OTHER, "192.168.1.4"]),
            st.sampled_from([1024, 5000, 32768, 32769, 65535]),
            st.sampled_from([REMOTE, "10.0.0.9"]),
            st.sampled_from([53, 80]),
        ),
        unique=True,
        max_size=30,
    ),
    same_ports=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_replies_reach_who_asked_and_no_two_flows_share_a_port(
    flows: list[tuple[int, str, int, str, int]], same_ports: bool
) -> None:
    world = World(Mode(same_ports=same_ports))
    seen: dict[tuple[int, str], object] = {}
    for protocol, source, source_port, destination, port in flows:
        if protocol == ICMP:
            datagram = ip(source, destination, 1, icmp.echo_request(source_port, 1, b"data"))
            flow: tuple[object, ...] = (protocol, source, source_port, destination)
        else:
            make = tcp if protocol == TCP else udp
            datagram = make(source, destination, ports=(source_port, port))
            flow = (protocol, source, source_port, destination, port)
        outcome, translated = world.engine.alias(datagram)
        assert outcome is Outcome.OK
        intact(translated)
        assert seen.setdefault((protocol, said(translated)), flow) == flow
        answer = reply(translated)
        returned = world.engine.dealias(answer)
        assert returned.outcome is Outcome.OK
        intact(returned.octets)
        assert said(returned.octets) == said(reply(datagram))
        # Everything but the addresses, ports and checksums is what it was.
        assert len(returned.octets) == len(answer)
        assert world.engine.alias(datagram).octets == translated


# -- what nobody asked for ---------------------------------------------------------------------------------------------


def test_an_unasked_datagram_stays_as_it_is_and_its_answer_leaves_by_the_same_ports() -> None:
    world = World()
    assert world.back(tcp(REMOTE, PUBLIC, ports=(4000, 22))) == "10.0.0.2:4000 > 1.2.3.4:22"
    assert world.out(tcp(PUBLIC, REMOTE, ports=(22, 4000), flags=0x12)) == "1.2.3.4:22 > 10.0.0.2:4000"


@pytest.mark.parametrize("datagram", [tcp(REMOTE, PUBLIC), udp(REMOTE, PUBLIC), ping(REMOTE, PUBLIC)])
def test_deny_in_refuses_what_nobody_asked_for(datagram: bytes) -> None:
    world = World(Mode(deny_in=True))
    assert world.back(datagram).startswith("IGNORED")
    assert len(world.engine.links) == 0
    world.out(tcp(INSIDE, REMOTE))
    assert world.back(tcp(REMOTE, PUBLIC, ports=(80, 32768))) == f"10.0.0.2:80 > {INSIDE}:5000"


@pytest.mark.parametrize(("target", "arrives"), [("0.0.0.0", PUBLIC), (OTHER, OTHER), ("255.255.255.255", PUBLIC)])
def test_the_target_address_gets_what_belongs_to_no_link(target: str, arrives: str) -> None:
    world = World(target=address(target))
    assert world.back(udp(REMOTE, PUBLIC, ports=(1, 2))) == f"10.0.0.2:1 > {arrives}:2"


# -- modes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "source", "translated"),
    [
        (Mode(unreg_only=True), "10.9.9.9", PUBLIC),
        (Mode(unreg_only=True), "172.31.0.1", PUBLIC),
        (Mode(unreg_only=True), "172.32.0.1", "172.32.0.1"),
        (Mode(unreg_only=True), "192.168.255.1", PUBLIC),
        (Mode(unreg_only=True), "100.64.0.1", "100.64.0.1"),
        (Mode(unreg_cgn=True), "100.64.0.1", PUBLIC),
        (Mode(unreg_cgn=True), "100.128.0.1", "100.128.0.1"),
        (Mode(unreg_cgn=True), "10.1.1.1", PUBLIC),
        (Mode(), "8.8.8.8", PUBLIC),
        (Mode(proxy_only=True), INSIDE, INSIDE),
    ],
)
def test_which_sources_are_translated(mode: Mode, source: str, translated: str) -> None:
    world = World(replace(mode, same_ports=True))
    assert world.out(udp(source, REMOTE, ports=(7, 9))) == f"{translated}:7 > 10.0.0.2:9"
    assert world.back(udp(REMOTE, translated, ports=(9, 7))).endswith(f"10.0.0.2:9 > {source}:7")


def test_reverse_exchanges_in_and_out() -> None:
    world = World(Mode(reverse=True, same_ports=True))
    assert world.back(udp(INSIDE, REMOTE, ports=(7, 9))) == "1.2.3.4:7 > 10.0.0.2:9"
    assert world.out(udp(REMOTE, PUBLIC, ports=(9, 7))) == f"10.0.0.2:9 > {INSIDE}:7"


def test_a_new_address_ends_links_with_reset_and_only_then() -> None:
    for mode, ends in ((Mode(), INSIDE), (Mode(reset=True), PUBLIC)):
        world = World(mode)
        world.out(udp(INSIDE, REMOTE, ports=(7, 9)))
        world.engine.address = address("1.2.3.5")
        assert world.back(udp(REMOTE, PUBLIC, ports=(9, 32768))).startswith(f"10.0.0.2:9 > {ends}:")
        assert world.out(udp(OTHER, REMOTE, ports=(7, 9))).startswith("1.2.3.5:")


def test_the_log_counts_links() -> None:
    world = World(Mode(log=True))
    assert world.engine.log == ""
    for datagram in (tcp(INSIDE, REMOTE), udp(INSIDE, REMOTE), ping(INSIDE, REMOTE), ip(INSIDE, REMOTE, 47)):
        world.out(datagram)
    assert world.engine.log == "icmp=1, udp=1, tcp=1, sctp=0, pptp=0, proto=1, frag_id=0 frag_ptr=0 / tot=4"


# -- time --------------------------------------------------------------------------------------------------------------

SYN, ACK, FIN, RST = tcp_wire.SYN, tcp_wire.ACK, tcp_wire.FIN, tcp_wire.RST


def lives(world: World, silence: float, answer: bytes) -> bool:
    """Whether a link survives so many seconds of silence: its answer still finds the inside host."""
    world.now += silence
    return f"> {INSIDE}" in world.back(answer)


@pytest.mark.parametrize(
    ("datagram", "seconds"),
    [(udp(INSIDE, REMOTE), 60), (ping(INSIDE, REMOTE), 60), (ip(INSIDE, REMOTE, 50), 60), (tcp(INSIDE, REMOTE), 300)],
)
def test_links_end_after_silence(datagram: bytes, seconds: float) -> None:
    for silence, expected in ((seconds, True), (seconds + 0.5, False)):
        world = World()
        translated = world.engine.alias(datagram).octets
        packet = Packet(translated)
        answer = ip(REMOTE, PUBLIC, 50) if packet.protocol == 50 else reply(translated)
        assert lives(world, silence, answer) is expected


@pytest.mark.parametrize(
    ("segments", "seconds"),
    [
        ([(True, SYN)], 300),
        ([(True, SYN), (False, SYN | ACK)], 86_400),
        ([(True, SYN), (False, SYN | ACK), (True, FIN | ACK)], 90),
        ([(True, SYN), (False, SYN | ACK), (False, FIN | ACK)], 90),
        ([(True, SYN), (False, SYN | ACK), (True, FIN | ACK), (False, FIN | ACK)], 10),
        ([(True, SYN), (False, RST | ACK)], 90),
        ([(True, ACK), (True, RST)], 10),
        ([(True, ACK)], 300),
    ],
)
def test_tcp_timeouts_follow_the_connection(segments: list[tuple[bool, int]], seconds: float) -> None:
    for silence, expected in ((seconds, True), (seconds + 1, False)):
        world = World()
        for out, flags in segments:
            if out:
                world.out(tcp(INSIDE, REMOTE, flags=flags))
            else:
                world.back(tcp(REMOTE, PUBLIC, ports=(80, 32768), flags=flags))
        assert lives(world, silence, tcp(REMOTE, PUBLIC, ports=(80, 32768), flags=ACK)) is expected


def test_every_datagram_starts_the_time_again() -> None:
    world = World()
    world.out(udp(INSIDE, REMOTE, ports=(1, 2)))
    for _ in range(5):
        assert lives(world, 50, udp(REMOTE, PUBLIC, ports=(2, 32768)))


def test_dead_links_do_not_pile_up() -> None:
    world = World()
    for number in range(5000):
        world.now += 1
        world.out(udp(INSIDE, REMOTE, ports=(1 + number % 60000, 53)))
    assert len(world.engine.links) < 130


def test_without_a_free_port_the_datagram_is_left_alone() -> None:
    world = World()
    world.engine.links.ports = range(40000, 40002)
    for port in (1, 2):
        assert "1.2.3.4:4000" in world.out(udp(INSIDE, REMOTE, ports=(port, 53)))
    assert world.out(udp(INSIDE, REMOTE, ports=(3, 53))) == f"IGNORED: {INSIDE}:3 > 10.0.0.2:53"
    assert "1.2.3.4:4000" in world.out(udp(INSIDE, "10.0.0.9", ports=(3, 53)))


# -- redirections ------------------------------------------------------------------------------------------------------


def redirected(*redirects: Any, mode: Mode = Mode()) -> World:  # noqa: B008
    world = World(mode)
    world.engine.redirects = redirects
    return world


def port_to(local: str, port: int, public_port: int, **more: Any) -> PortRedirect:
    return PortRedirect(protocol="tcp", local=address(local), local_port=port, public_port=public_port, **more)


def test_a_redirected_port_leads_inside_and_its_answers_come_from_it() -> None:
    world = redirected(port_to(INSIDE, 80, 8080), mode=Mode(deny_in=True))
    for remote_port in (4000, 4001):
        assert world.back(tcp(REMOTE, PUBLIC, ports=(remote_port, 8080))) == f"10.0.0.2:{remote_port} > {INSIDE}:80"
        answer = tcp(INSIDE, REMOTE, ports=(80, remote_port), flags=0x12)
        assert world.out(answer) == f"1.2.3.4:8080 > 10.0.0.2:{remote_port}"
    assert world.back(tcp(REMOTE, PUBLIC, ports=(4000, 8081))).startswith("IGNORED")
    assert world.back(udp(REMOTE, PUBLIC, ports=(4000, 8080))).startswith("IGNORED")


def test_what_the_redirected_port_sends_first_leaves_by_the_public_one() -> None:
    world = redirected(port_to(INSIDE, 80, 8080))
    assert world.out(tcp(INSIDE, REMOTE, ports=(80, 5))) == "1.2.3.4:8080 > 10.0.0.2:5"


def test_a_range_of_ports() -> None:
    world = redirected(port_to(INSIDE, 2000, 3000, count=3), mode=Mode(deny_in=True))
    assert [world.back(tcp(REMOTE, PUBLIC, ports=(9, port))) for port in (3000, 3002)] == [
        f"10.0.0.2:9 > {INSIDE}:2000",
        f"10.0.0.2:9 > {INSIDE}:2002",
    ]
    assert world.back(tcp(REMOTE, PUBLIC, ports=(9, 3003))).startswith("IGNORED")


@pytest.mark.parametrize(
    ("redirect", "remote", "remote_port", "local"),
    [
        (port_to(INSIDE, 80, 8080, remote=address(REMOTE)), REMOTE, 9, INSIDE),
        (port_to(INSIDE, 80, 8080, remote=address(REMOTE)), "10.0.0.9", 9, None),
        (port_to(INSIDE, 80, 8080, remote=address(REMOTE), remote_port=9), REMOTE, 9, INSIDE),
        (port_to(INSIDE, 80, 8080, remote=address(REMOTE), remote_port=9), REMOTE, 10, None),
        (port_to(INSIDE, 80, 8080, public=address(PUBLIC)), REMOTE, 9, INSIDE),
        (port_to(INSIDE, 80, 8080, public=address("1.2.3.9")), REMOTE, 9, None),
    ],
)
def test_who_may_use_a_redirection(redirect: PortRedirect, remote: str, remote_port: int, local: str | None) -> None:
    world = redirected(redirect, mode=Mode(deny_in=True))
    said = world.back(tcp(remote, PUBLIC, ports=(remote_port, 8080)))
    assert said.startswith("IGNORED") if local is None else said.endswith(f"> {local}:80")


def test_the_redirection_that_knows_most_of_the_far_end_wins() -> None:
    world = redirected(
        port_to("192.168.1.10", 1, 8080),
        port_to("192.168.1.11", 1, 8080, remote=address(REMOTE)),
        port_to("192.168.1.12", 1, 8080, remote=address(REMOTE), remote_port=9),
        port_to("192.168.1.13", 1, 8080, remote_port=7),
    )
    assert world.back(tcp(REMOTE, PUBLIC, ports=(7, 8080))).endswith("> 192.168.1.11:1")
    assert world.back(tcp("10.0.0.9", PUBLIC, ports=(7, 8080))).endswith("> 192.168.1.13:1")
    assert world.back(tcp(REMOTE, PUBLIC, ports=(9, 8080))).endswith("> 192.168.1.12:1")
    assert world.back(tcp(REMOTE, PUBLIC, ports=(8, 8080))).endswith("> 192.168.1.11:1")
    assert world.back(tcp("10.0.0.9", PUBLIC, ports=(9, 8080))).endswith("> 192.168.1.10:1")


def test_a_pool_takes_turns_from_the_last_server_backwards() -> None:
    servers = tuple(Server(address(f"192.168.1.{host}"), 80) for host in (10, 11, 12))
    world = redirected(PortRedirect(protocol="tcp", public_port=80, servers=servers))
    ends = [world.back(tcp(REMOTE, PUBLIC, ports=(port, 80))).partition("> ")[2] for port in range(5)[1:]]
    assert ends == ["192.168.1.12:80", "192.168.1.11:80", "192.168.1.10:80", "192.168.1.12:80"]
    # A connection stays where it began.
    assert world.back(tcp(REMOTE, PUBLIC, ports=(2, 80), flags=ACK)).endswith("192.168.1.11:80")
    assert world.out(tcp("192.168.1.11", REMOTE, ports=(80, 2), flags=0x12)) == "1.2.3.4:80 > 10.0.0.2:2"


def test_a_redirected_address_stands_for_a_host_both_ways() -> None:
    world = redirected(AddressRedirect(local=address(INSIDE), public=address("1.2.3.9")), mode=Mode(same_ports=True))
    assert world.out(udp(INSIDE, REMOTE, ports=(7, 9))) == "1.2.3.9:7 > 10.0.0.2:9"
    assert world.out(udp(OTHER, REMOTE, ports=(7, 9))) == "1.2.3.4:7 > 10.0.0.2:9"
    assert world.back(tcp(REMOTE, "1.2.3.9", ports=(9, 22))) == f"10.0.0.2:9 > {INSIDE}:22"
    assert world.back(ping(REMOTE, "1.2.3.9")).endswith(f"> {INSIDE}")


def test_local_address_zero_is_the_aliasing_address_whatever_that_is() -> None:
    world = redirected(AddressRedirect(local=0, public=address("1.2.3.9")), mode=Mode(same_ports=True))
    assert world.out(udp(PUBLIC, REMOTE, ports=(7, 9))) == "1.2.3.9:7 > 10.0.0.2:9"
    assert world.back(udp(REMOTE, "1.2.3.9", ports=(8, 22))) == "10.0.0.2:8 > 1.2.3.4:22"


def test_a_pool_behind_an_address() -> None:
    pool = AddressRedirect(public=address(PUBLIC), servers=(address(INSIDE), address(OTHER)))
    world = redirected(pool)
    ends = [world.back(udp(REMOTE, PUBLIC, ports=(port, 5))).partition("> ")[2] for port in (1, 2, 3)]
    assert ends == [f"{OTHER}:5", f"{INSIDE}:5", f"{OTHER}:5"]


def test_a_redirected_protocol() -> None:
    world = redirected(ProtocolRedirect(protocol=50, name="esp", local=address(INSIDE)), mode=Mode(deny_in=True))
    assert world.back(ip(REMOTE, PUBLIC, 50)) == f"10.0.0.2 > {INSIDE}"
    assert world.back(ip(REMOTE, PUBLIC, 51)).startswith("IGNORED")


def test_new_redirections_take_the_place_of_the_old() -> None:
    world = redirected(port_to(INSIDE, 80, 8080), mode=Mode(deny_in=True))
    world.back(tcp(REMOTE, PUBLIC, ports=(1, 8080)))
    world.engine.redirects = [port_to(OTHER, 80, 8081)]
    assert world.back(tcp(REMOTE, PUBLIC, ports=(1, 8080), flags=ACK)).endswith(f"> {INSIDE}:80")  # lives on
    assert world.back(tcp(REMOTE, PUBLIC, ports=(2, 8080))).startswith("IGNORED")
    assert world.back(tcp(REMOTE, PUBLIC, ports=(2, 8081))).endswith(f"> {OTHER}:80")


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [3, 4, 11, 12])
@pytest.mark.parametrize("datagram", [udp(INSIDE, REMOTE, data=b"x"), tcp(INSIDE, REMOTE), ping(INSIDE, REMOTE)])
def test_an_error_reaches_the_host_inside_with_its_own_datagram_in_it(kind: int, datagram: bytes) -> None:
    world = World()
    outside = world.engine.alias(datagram).octets
    answer = world.engine.dealias(error(outside, sender="10.9.9.9", to=PUBLIC, kind=kind, code=0))
    assert answer.outcome is Outcome.OK
    intact(answer.octets)
    assert said(answer.octets) == f"10.9.9.9 > {INSIDE}"
    quoted = answer.octets[28:]
    assert said(quoted) == said(datagram)
    assert quoted[:20] == datagram[:20]  # the header checksum as well


def test_an_error_from_inside_leaves_as_the_alias_and_so_does_what_it_quotes() -> None:
    world = redirected(port_to(INSIDE, 80, 8080))
    received = world.engine.dealias(tcp(REMOTE, PUBLIC, ports=(9, 8080))).octets
    answer = world.engine.alias(error(received, sender=INSIDE, to=REMOTE))
    assert answer.outcome is Outcome.OK
    intact(answer.octets)
    assert said(answer.octets) == "1.2.3.4 > 10.0.0.2"
    assert said(answer.octets[28:]) == "10.0.0.2:9 > 1.2.3.4:8080"


def test_an_error_from_a_router_inside_keeps_its_source() -> None:
    world = redirected(port_to(INSIDE, 80, 8080))
    received = world.engine.dealias(tcp(REMOTE, PUBLIC, ports=(9, 8080))).octets
    answer = world.engine.alias(error(received, sender="192.168.1.254", to=REMOTE, kind=11, code=0))
    intact(answer.octets)
    assert said(answer.octets) == "192.168.1.254 > 10.0.0.2"
    assert said(answer.octets[28:]) == "10.0.0.2:9 > 1.2.3.4:8080"


def test_an_error_about_a_ping_that_came_in() -> None:
    world = World(target=address(INSIDE))
    received = world.engine.dealias(ping(REMOTE, PUBLIC)).octets
    assert said(received).endswith(f"> {INSIDE}")
    answer = world.engine.alias(error(received, sender=INSIDE, to=REMOTE, code=13))
    intact(answer.octets)
    assert said(answer.octets[28:]) == "10.0.0.2#7 > 1.2.3.4"


@pytest.mark.parametrize(
    "about",
    [udp(PUBLIC, REMOTE, ports=(1, 2)), ip(PUBLIC, REMOTE, 99), b"", b"\x45", bytes(28), udp(PUBLIC, REMOTE)[:24]],
)
def test_errors_about_nothing_known_are_left_alone(about: bytes) -> None:
    octets = error(about, sender=REMOTE, to=PUBLIC)
    assert World().engine.dealias(octets) == (Outcome.IGNORED, octets)
    assert World().engine.alias(octets) == (Outcome.IGNORED, octets)


# -- fragments ---------------------------------------------------------------------------------------------------------


def test_fragments_from_outside_follow_their_first_one() -> None:
    world = World()
    world.out(udp(INSIDE, REMOTE, ports=(1, 2)))
    first, second, third = pieces(udp(REMOTE, PUBLIC, ports=(2, 32768), data=bytes(3000)), 1500)
    assert world.back(second).startswith("UNRESOLVED_FRAGMENT")
    assert world.back(first) == f"HEADER_FRAGMENT: 10.0.0.2:2 > {INSIDE}:1"
    assert [world.back(piece) for piece in (second, third)] == [f"10.0.0.2 > {INSIDE}"] * 2
    world.now += 11
    assert world.back(third).startswith("UNRESOLVED_FRAGMENT")


def test_fragments_to_the_outside_only_change_their_source() -> None:
    world = World()
    datagram = udp(INSIDE, REMOTE, ports=(1, 2), data=bytes(3000))
    assert [world.out(piece) for piece in pieces(datagram, 1500)] == [
        "1.2.3.4:32768 > 10.0.0.2:2",
        "1.2.3.4 > 10.0.0.2",
        "1.2.3.4 > 10.0.0.2",
    ]


# -- bad octets --------------------------------------------------------------------------------------------------------


@given(octets=st.binary(max_size=80), keep=st.integers(0, 60))
@settings(max_examples=200, deadline=None)
def test_octets_of_any_kind_do_no_harm(octets: bytes, keep: int) -> None:
    engine = World().engine
    for whole in (octets, tcp(INSIDE, REMOTE, data=octets)[:keep], error(octets, sender=REMOTE, to=PUBLIC)):
        for translate in (engine.alias, engine.dealias):
            assert len(translate(whole).octets) == len(whole)


def test_a_wrong_checksum_stays_wrong() -> None:
    octets = bytearray(udp(INSIDE, REMOTE, data=b"data"))
    octets[-1] ^= 1
    packet = Packet(World().engine.alias(bytes(octets)).octets)
    assert not verify_transport(packet.source, packet.destination, UDP, packet.octets[20:])


def test_two_local_ends_of_a_protocol_without_ports_share_a_far_end() -> None:
    """The newer one gets what comes back, the older one again when that is over; both end."""
    world = World()
    world.out(ip(INSIDE, REMOTE, 99))
    world.now = 30.0
    world.out(ip(OTHER, REMOTE, 99))
    assert world.back(ip(REMOTE, PUBLIC, 99)) == f"{REMOTE} > {OTHER}"
    for moment in (40.0, 80.0):
        world.now = moment
        world.out(ip(INSIDE, REMOTE, 99))
    world.now = 100.0
    assert world.back(ip(REMOTE, PUBLIC, 99)) == f"{REMOTE} > {INSIDE}"
    world.now = 1000.0
    for number in range(20):
        world.out(udp(INSIDE, REMOTE, ports=(number + 1, 9)))
    assert world.engine.links.counts[99] == 0
