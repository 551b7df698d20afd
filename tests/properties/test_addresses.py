"""A sockaddr_in survives both ways, octet for octet, in the layout of either system (bsd.md P-4)."""

from __future__ import annotations

import copy
import pickle
import socket

import pytest
from bsd_worlds import ALL, LEFT, RIGHT, BsdWorld
from datagrams import udp
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.sockets.address import BSD_LAYOUT, LINUX_LAYOUT, Address, Layout, swapped

hosts = st.integers(0, 0xFFFFFFFF)
tags = st.integers(0, 0xFFFF)
zeros = st.binary(min_size=8, max_size=8)
HEADS = {BSD_LAYOUT: (bytes((16, 2)), "little"), LINUX_LAYOUT: (bytes((2, 0)), "big")}


@pytest.mark.parametrize("layout", [BSD_LAYOUT, LINUX_LAYOUT], ids=["BSD", "Linux"])
@given(host=hosts, tag=tags, zero=zeros)
def test_packed_and_unpacked(layout: Layout, host: int, tag: int, zero: bytes) -> None:
    octets = layout.pack(host, tag, zero)
    head, order = HEADS[layout]
    assert octets == head + tag.to_bytes(2, order) + host.to_bytes(4, "big") + zero  # type: ignore[arg-type]
    found = layout.unpack(octets)
    assert layout.pack(found.host, found.tag, found.zero) == octets


@given(host=hosts, tag=tags, zero=zeros, swap=st.booleans())
def test_an_address_is_its_pair_and_its_octets(host: int, tag: int, zero: bytes, swap: bool) -> None:
    address = Address(host, tag, interface=None, zero=zero, layout=BSD_LAYOUT, swap=swap)
    shown = swapped(tag) if swap else tag
    assert address == (socket.inet_ntoa(host.to_bytes(4, "big")), shown)
    assert hash(address) == hash(tuple(address))
    assert BSD_LAYOUT.unpack(address.packed) == address.destination
    for twin in (copy.deepcopy(address), pickle.loads(pickle.dumps(address))):
        assert (twin, twin.packed, twin.tag, twin.destination) == (address, address.packed, tag, address.destination)


@pytest.mark.parametrize("profile", ALL)
@pytest.mark.statement("bsd.md P-4", "bsd.md X-1")
@settings(max_examples=30, deadline=None)
@given(number=st.integers(1, 65533), name=st.text("abcdefgh0123", min_size=1, max_size=12))
def test_what_is_received_may_be_written_as_object_or_as_octets(profile: str, number: int, name: str) -> None:
    world = BsdWorld(
        profile, f"{number} divert 8668 ip from any to any in", f"{number + 1} count ip from any to any in"
    )
    sock = world.divert()
    link = world.router.add_interface(name, "192.168.7.1/24")
    for _ in range(2):
        link.receive(udp(LEFT, RIGHT))
    octets, sender = sock.recvfrom(65535)
    assert sender.packed[8:] == name.encode()[:7].ljust(8, b"\0")
    assert int.from_bytes(sender.packed[2:4], "little") == number
    sock.sendto(octets, sender.packed)
    octets, sender = sock.recvfrom(65535)
    sock.sendto(octets, sender)
    assert world.matched(number + 1) == [2]
    assert len(world.em1.sent) == 2
