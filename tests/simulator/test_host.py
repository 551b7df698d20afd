"""The router as a host: what it answers, to whom, and when it keeps silent."""

from __future__ import annotations

import pytest
from datagrams import address, ip, ping, tcp, udp
from worlds import LEFT, ROUTER, World

from simulator.wire import icmp, ipv4
from simulator.wire import tcp as tcp_wire
from simulator.wire.ipv4 import View


def damaged(octets: bytes, position: int = -1) -> bytes:
    """One octet of the payload changed."""
    changed = bytearray(octets)
    changed[position] ^= 0x55
    return bytes(changed)


class TestEcho:
    def test_the_same_octets_come_back(self) -> None:
        world = World()
        world.eth0.receive(asked := ping(LEFT, ROUTER, data=bytes(range(100)), tos=0x10))
        (answer,) = world.eth0.sent
        header = ipv4.parse(answer)
        assert (header.source, header.destination) == (address(ROUTER), address(LEFT))
        assert (header.ttl, header.tos, header.fragment) == (255, 0x10, 0)
        assert ipv4.payload(answer) == icmp.reply_to(ipv4.payload(asked))
        assert world.dropped == {}

    def test_from_the_address_that_was_asked(self) -> None:
        world = World()
        world.eth0.receive(ping(LEFT, "10.0.0.1"))
        assert View(world.eth0.sent[0]).source == address("10.0.0.1")

    @pytest.mark.parametrize("destination", ["192.168.1.255", "255.255.255.255", "224.0.0.1"])
    def test_to_many_it_answers_from_its_own_address(self, destination: str) -> None:
        world = World()
        world.eth0.receive(ping(LEFT, destination))
        assert View(world.eth0.sent[0]).source == address(ROUTER)

    @pytest.mark.parametrize(
        "message",
        [
            icmp.echo_reply(1, 1, b"x"),
            icmp.unreachable(3, bytes(28)),
            icmp.echo_request(1, 1)[:7],
            b"",
            damaged(icmp.echo_request(1, 1, b"data")),
        ],
        ids=["reply", "error", "short", "empty", "checksum"],
    )
    def test_everything_else_is_delivered_in_silence(self, message: bytes) -> None:
        world = World()
        world.eth0.receive(asked := ip(LEFT, ROUTER, 1, message))
        assert world.router.delivered == [asked]
        assert not world.eth0.sent

    def test_a_large_echo_comes_back_in_fragments(self) -> None:
        world = World()
        world.eth1.mtu = 9000
        world.eth1.receive(ping("10.0.0.2", ROUTER, data=bytes(5000)))
        world.eth0.mtu = 576
        world.eth0.receive(ping(LEFT, ROUTER, data=bytes(1000)))
        assert (len(world.eth1.sent), len(world.eth0.sent)) == (1, 2)

    def test_an_unspecified_source_is_answered_nowhere(self) -> None:
        """Address 0 is this host itself (linux.md O8)."""
        world = World()
        world.eth0.receive(ping("0.0.0.0", "255.255.255.255"))
        assert (world.eth0.sent, world.eth1.sent) == ([], [])
        assert world.router.ledger.balanced


class TestUdp:
    def test_an_open_port_gets_the_data_a_closed_one_an_error(self) -> None:
        world = World()
        world.eth0.receive(asked := udp(LEFT, ROUTER, ports=(1, 2)))
        message = icmp.parse(ipv4.payload(world.eth0.sent[0]))
        assert (message.type, message.code, message.data) == (3, 3, asked)

    @pytest.mark.parametrize(
        "asked",
        [
            damaged(udp(LEFT, ROUTER, data=b"data")),
            ip(LEFT, ROUTER, 17, b"\0\1\0\2\0\x09\0\0"),
            ip(LEFT, ROUTER, 17, b"\0\1\0\2\0\x07\0\0"),
            ip(LEFT, ROUTER, 17, bytes(7)),
            udp(LEFT, "192.168.1.255"),
            udp(LEFT, "224.0.0.1"),
        ],
        ids=["checksum", "length too long", "length too short", "short", "broadcast", "multicast"],
    )
    def test_silence(self, asked: bytes) -> None:
        world = World()
        world.eth0.receive(asked)
        assert world.router.delivered == [asked]
        assert not world.eth0.sent

    def test_no_checksum_is_good_too(self) -> None:
        world = World()
        world.eth0.receive(ip(LEFT, ROUTER, 17, b"\0\1\0\2\0\x08\0\0"))
        assert len(world.eth0.sent) == 1

    def test_what_is_behind_the_data_is_not_quoted(self) -> None:
        world = World()
        world.eth0.receive(asked := ip(LEFT, ROUTER, 17, b"\0\1\0\2\0\x09\0\0abc"))
        assert icmp.parse(ipv4.payload(world.eth0.sent[0])).data == asked[:-2]


class TestTcp:
    @pytest.mark.parametrize(
        ("flags", "data", "expected"),
        [
            (tcp_wire.SYN, b"", (0, 1001, tcp_wire.RST | tcp_wire.ACK)),
            # Data and FIN are not acknowledged: tcp_v4_send_reset of 2.2.
            (tcp_wire.SYN | tcp_wire.FIN, b"abc", (0, 1001, tcp_wire.RST | tcp_wire.ACK)),
            (0, b"abc", (0, 1000, tcp_wire.RST | tcp_wire.ACK)),
            (tcp_wire.ACK, b"abc", (777, 0, tcp_wire.RST)),
            (tcp_wire.ACK | tcp_wire.SYN, b"", (777, 0, tcp_wire.RST)),
        ],
    )
    def test_every_port_is_closed(self, flags: int, data: bytes, expected: tuple[int, int, int]) -> None:
        world = World()
        world.eth0.receive(tcp(LEFT, ROUTER, ports=(5000, 80), flags=flags, acknowledgment=777, data=data))
        (answer,) = world.eth0.sent
        header = ipv4.parse(answer)
        segment, _ = tcp_wire.parse(ipv4.payload(answer), source=header.source, destination=header.destination)
        assert (segment.source_port, segment.destination_port) == (80, 5000)
        assert (segment.sequence, segment.acknowledgment, segment.flags) == expected
        assert header.dont_fragment

    def test_the_type_of_service_is_the_segments(self) -> None:
        world = World()
        world.eth0.receive(tcp(LEFT, ROUTER, tos=0xFF))
        assert View(world.eth0.sent[0]).tos == 0xFF

    @pytest.mark.parametrize(
        "asked",
        [
            tcp(LEFT, ROUTER, flags=tcp_wire.RST),
            tcp(LEFT, ROUTER, flags=tcp_wire.RST | tcp_wire.ACK),
            damaged(tcp(LEFT, ROUTER)),
            ip(LEFT, ROUTER, 6, bytes(19)),
            tcp(LEFT, "192.168.1.255"),
            tcp(LEFT, "224.0.0.1"),
        ],
        ids=["reset", "reset with ack", "checksum", "short", "broadcast", "multicast"],
    )
    def test_silence(self, asked: bytes) -> None:
        world = World()
        world.eth0.receive(asked)
        assert world.router.delivered == [asked]
        assert not world.eth0.sent

    def test_a_reset_to_itself_ends_there(self) -> None:
        world = World()
        world.router.send(tcp(ROUTER, ROUTER))
        assert len(world.router.delivered) == 2
        assert world.dropped == {}


class TestProtocols:
    def test_unknown_ones_are_unreachable(self) -> None:
        world = World()
        world.eth0.receive(asked := ip(LEFT, ROUTER, 47, bytes(600)))
        message = icmp.parse(ipv4.payload(world.eth0.sent[0]))
        assert (message.type, message.code, message.data) == (3, 2, asked[:548])

    @pytest.mark.parametrize("destination", ["192.168.1.255", "224.0.0.1", "255.255.255.255"])
    def test_but_not_when_many_were_asked(self, destination: str) -> None:
        world = World()
        world.eth0.receive(ip(LEFT, destination, 47))
        assert not world.eth0.sent

    def test_the_limit_is_one_for_all_kinds_to_one_host(self) -> None:
        world = World()
        for number in range(12):
            world.eth0.receive(ip(LEFT, ROUTER, 47) if number % 2 else udp(LEFT, ROUTER))
        assert len(world.eth0.sent) == 6
        world.router.clock.advance(0.999)
        world.eth0.receive(udp(LEFT, ROUTER))
        assert len(world.eth0.sent) == 6
        world.router.clock.advance(0.001)
        world.eth0.receive(udp(LEFT, ROUTER))
        world.eth0.receive(udp(LEFT, ROUTER))
        assert len(world.eth0.sent) == 7
