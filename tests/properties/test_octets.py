"""Octets are sacred: what nobody changed leaves with the octets it came with, save the TTL and the header checksum.

Whatever the rules are (without TOS changes, REJECT and masquerading), whichever chains divert a packet to a program
that puts it back as it was, and however the packet was made.
"""

from __future__ import annotations

import socket

import pytest
from datagrams import address
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import LEFT, RIGHT, World, forwarded

from simulator import IPPROTO_DIVERT
from simulator.sockets.base import QueueSocket
from simulator.wire import ipv4
from simulator.wire.checksum import verify

payloads = st.binary(max_size=200) | st.sampled_from([b"\0" * 8, b"\xff" * 64, bytes(1400)])
headers = st.builds(
    ipv4.Header,
    source=st.sampled_from([address(LEFT), address("192.168.1.77"), address("9.9.9.9")]),
    destination=st.sampled_from([address(RIGHT), address("8.8.8.8"), address("11.22.33.44")]),
    protocol=st.sampled_from([1, 6, 17, 47, 255]),
    ttl=st.integers(2, 255),
    tos=st.integers(0, 255),
    identification=st.integers(0, 0xFFFF),
    fragment=st.integers(0, 0xFFFF),
    options=st.sampled_from([b"", b"\1\1\1\0", bytes(40)]),
)
divert_rules = st.lists(
    st.builds(
        "-A {} {} -j DIVERT {}".format,
        st.sampled_from(["input", "forward", "output"]),
        st.sampled_from(["", "-p udp", "-p tcp", "-f", "! -f", "-s 192.168.1.0/24"]),
        st.sampled_from([1234, 4321]),
    ),
    max_size=5,
)


def sockets(world: World) -> list[QueueSocket]:
    found = []
    for port in (1234, 4321):
        sock = world.router.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT)
        sock.bind(("0.0.0.0", port))
        found.append(sock)
    return found


@settings(max_examples=200, deadline=None)
@given(headers, payloads, divert_rules, st.binary(max_size=30))
def test_linux_forwards_what_it_received(header: ipv4.Header, payload: bytes, rules: list[str], padding: bytes) -> None:
    world = World("linux-2.2", *rules)
    programs = sockets(world)
    datagram = header.emit(payload)
    world.eth0.receive(datagram + padding)
    # An identification of 0 is filled in by every write (linux.md D15), so it is no change of the router's.
    for program in programs:
        if program.readable:
            octets, came_from = program.recvfrom(65535)
            assert octets in (datagram, forwarded(datagram))
            if header.identification == 0:
                return
            program.sendto(octets, came_from)
    assert world.router.ledger.balanced
    if world.router.ledger.transmitted:
        assert world.eth1.sent == [forwarded(datagram)]
        assert verify(world.eth1.sent[0][: header.header_length])
    else:
        # Fragments that ipchains suspects (linux.md F27, F28) are the only ones that do not arrive.
        assert header.fragment & 0x3FFF


@settings(max_examples=100, deadline=None)
@given(headers, payloads, divert_rules)
def test_linux_delivers_what_it_received(header: ipv4.Header, payload: bytes, rules: list[str]) -> None:
    """Delivered datagrams keep even the TTL and the checksum."""
    world = World("linux-2.2", *rules)
    programs = sockets(world)
    datagram = ipv4.Header(
        source=header.source,
        destination=address("192.168.1.1"),
        protocol=header.protocol,
        ttl=header.ttl,
        tos=header.tos,
        identification=header.identification or 1,
        fragment=header.fragment & 0xC000,
        options=header.options,
    ).emit(payload)
    world.eth0.receive(datagram)
    for program in programs:
        while program.readable:
            program.sendto(*program.recvfrom(65535))
    assert world.router.delivered == [datagram]


@pytest.mark.parametrize("ttl", [2, 3, 128, 255])
def test_every_checksum_survives_the_lowered_ttl(ttl: int) -> None:
    """All 65,536 identifications, so that the header checksum takes every value it can."""
    world = World()
    for identification in range(0, 0x10000, 7 if ttl != 2 else 1):
        datagram = ipv4.Header(
            source=address(LEFT), destination=address(RIGHT), protocol=99, ttl=ttl, identification=identification
        ).emit(b"")
        world.eth0.receive(datagram)
        assert verify(world.eth1.sent[-1])
    world.eth1.sent.clear()
