"""Packets: what they say about their octets, and what each change does to them."""

from __future__ import annotations

import pytest
from datagrams import address, ip, ping, tcp, udp
from hypothesis import given
from hypothesis import strategies as st

from simulator.interfaces import Interface
from simulator.links.memory import MemoryLink
from simulator.packet import Packet
from simulator.wire import ipv4
from simulator.wire.checksum import verify

LEFT, RIGHT = "192.168.1.2", "10.0.0.2"
ETH0 = Interface("eth0", MemoryLink(), mtu=1500)


def test_header_fields() -> None:
    octets = udp(LEFT, RIGHT, data=b"abc", tos=0x10, ttl=9, identification=77, fragment=0x6003)
    packet = Packet(octets, ETH0)
    assert packet.octets == octets
    assert (packet.version, packet.header_length, packet.total_length) == (4, 20, 31)
    assert (packet.tos, packet.ttl, packet.identification, packet.protocol) == (0x10, 9, 77, 17)
    assert (packet.source, packet.destination) == (address(LEFT), address(RIGHT))
    assert (packet.fragment_offset, packet.more_fragments, packet.dont_fragment, packet.is_fragment) == (
        3,
        True,
        True,
        True,
    )
    assert packet.checksum == ipv4.View(octets).checksum
    assert (packet.receive_interface, packet.transmit_interface) == ("eth0", None)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (udp(LEFT, RIGHT, ports=(1, 2)), (1, 2, None, None, None)),
        (tcp(LEFT, RIGHT, ports=(3, 4), flags=18), (3, 4, None, None, 18)),
        (ping(LEFT, RIGHT), (None, None, 8, 0, None)),
        (ip(LEFT, RIGHT, 47, bytes(20)), (None, None, None, None, None)),
        (udp(LEFT, RIGHT, fragment=1), (None, None, None, None, None)),
        (udp(LEFT, RIGHT, fragment=0x2000), (5000, 6000, None, None, None)),
        (udp(LEFT, RIGHT)[:24], (5000, 6000, None, None, None)),
        (udp(LEFT, RIGHT)[:23], (None, None, None, None, None)),
        (tcp(LEFT, RIGHT)[:35], (5000, 80, None, None, None)),
        (ping(LEFT, RIGHT)[:21], (None, None, 8, None, None)),
        (ping(LEFT, RIGHT)[:20], (None, None, None, None, None)),
        (udp(LEFT, RIGHT, options=b"\1\1\1\0"), (5000, 6000, None, None, None)),
    ],
)
def test_transport_fields_are_none_where_there_are_none(octets: bytes, expected: tuple[int | None, ...]) -> None:
    packet = Packet(octets)
    found = packet.source_port, packet.destination_port, packet.icmp_type, packet.icmp_code, packet.tcp_flags
    assert found == expected


def test_tcp_fields() -> None:
    packet = Packet(tcp(LEFT, RIGHT, sequence=7, acknowledgment=8, data=b"four"))
    assert (packet.tcp_sequence, packet.tcp_acknowledgment, packet.tcp_window) == (7, 8, 65535)
    assert (packet.tcp_options, packet.tcp_data_length) == (b"", 4)
    other = Packet(udp(LEFT, RIGHT))
    assert (other.tcp_sequence, other.tcp_options, other.tcp_data_length) == (None, None, None)


@pytest.mark.parametrize(
    ("words", "present", "expected"), [(6, 4, bytes(4)), (6, 3, None), (15, 8, None), (4, 0, b""), (5, 0, b"")]
)
def test_tcp_options_are_there_whole_or_not_at_all(words: int, present: int, expected: bytes | None) -> None:
    """By the data offset, in words; one that says less than a header has leaves room for none."""
    whole = bytearray(tcp(LEFT, RIGHT) + bytes(present))
    whole[32] = words << 4
    assert Packet(bytes(whole)).tcp_options == expected


@given(st.binary(max_size=80))
def test_any_octets_make_a_packet(octets: bytes) -> None:
    packet = Packet(octets)
    for name in dir(Packet):
        if not name.startswith("_") and isinstance(getattr(Packet, name), property):
            getattr(packet, name)
    assert packet.octets == octets


@given(st.integers(1, 255), st.integers(0, 0xFFFF))
def test_lowering_the_ttl(ttl: int, identification: int) -> None:
    before = ip(LEFT, RIGHT, ttl=ttl, identification=identification)
    packet = Packet(before)
    packet.lower_ttl()
    after = packet.octets
    assert (packet.ttl, after[8]) == (ttl - 1, ttl - 1)
    assert after[:8] + after[9:10] + after[12:] == before[:8] + before[9:10] + before[12:]
    assert verify(after[:20])
    assert packet.checksum == ipv4.View(after).checksum


@pytest.mark.parametrize(
    ("change", "position", "octets"),
    [
        (lambda packet: packet.set_tos(0xAB), 1, b"\xab"),
        (lambda packet: packet.set_ttl(3), 8, b"\x03"),
        (lambda packet: packet.lower_ttl_only(), 8, b"\x3f"),
        (lambda packet: packet.set_source(0x01020304), 12, b"\1\2\3\4"),
        (lambda packet: packet.set_identification(0xBEEF), 4, b"\xbe\xef"),
        (lambda packet: packet.clear_checksum(), 10, b"\0\0"),
    ],
)
def test_changes_that_leave_the_checksum_alone(change: object, position: int, octets: bytes) -> None:
    before = ip(LEFT, RIGHT)
    packet = Packet(before)
    change(packet)  # type: ignore[operator]
    assert packet.octets == before[:position] + octets + before[position + len(octets) :]
    again = Packet(packet.octets)
    for name in ("tos", "ttl", "source", "identification", "checksum"):
        assert getattr(packet, name) == getattr(again, name), name
    packet.fix_checksum()
    assert verify(packet.octets[:20])
    assert packet.checksum == Packet(packet.octets).checksum


def test_fixing_a_checksum_with_options() -> None:
    right = ip(LEFT, RIGHT, options=b"\x07\x07\x04\1\2\3\4\0")
    packet = Packet(right[:10] + b"\x12\x34" + right[12:])
    packet.fix_checksum()
    assert packet.octets == right
    assert packet.options == b"\x07\x07\x04\1\2\3\4\0"


def test_trimming() -> None:
    packet = Packet(ip(LEFT, RIGHT) + b"padding")
    packet.trim()
    assert packet.octets == ip(LEFT, RIGHT)


def test_another_packet_that_goes_the_same_way() -> None:
    packet = Packet(ip(LEFT, RIGHT), ETH0)
    packet.leaving_by = ETH0
    packet.mark, packet.diverted, packet.tags, packet.number = 5, True, frozenset({3}), 9
    packet.next_hop, packet.redirect_port, packet.link_broadcast = 1, 2, True
    other = packet.with_octets(ping(LEFT, RIGHT))
    assert other.octets == ping(LEFT, RIGHT)
    assert (other.received_on, other.leaving_by) == (ETH0, ETH0)
    assert (other.mark, other.diverted, other.tags, other.number) == (5, True, frozenset({3}), 0)
    assert (other.next_hop, other.redirect_port, other.link_broadcast) == (1, 2, True)
    assert packet.copy().octets == packet.octets
