"""Any datagram, whole, damaged or in fragments: the kernel of this machine and ours send the same."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from itertools import count

import pytest
from datagrams import ping
from kernel_comparing import agree, our_answers
from kernel_difference import Question
from kernel_differences import DIFFERENCES
from kernel_octets import MORE_FRAGMENTS, field, mended, with_field
from kernel_router import KernelRouter, Sent
from kernel_rows_reassembly import kernel_collects
from kernel_world import INTERFACES, ROUTES

from simulator.wire import icmp
from simulator.wire.ipv4 import build_options

pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules.strategies import addresses, headers
from simulator.testing.strategies import Datagram, conversations, damaged, fragments_of, octets_of

pytestmark = pytest.mark.live

LIVE = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

ROUTER = "192.168.1.1"

NUMBERS = count()
"""For senders and datagrams that the kernel has not seen."""


# -- datagrams that are really routed ----------------------------------------------------------------------------------

SIDES = {
    "eth0": addresses("192.168.1.64/26"),
    "eth1": addresses("10.0.0.64/26") | addresses("203.0.113.0/24"),
    "eth2": addresses("172.16.0.64/26"),
    "eth3": addresses("172.16.1.64/26"),
    "eth4": addresses("172.16.2.64/26"),
}
"""Hosts on each link, or behind it; without the markers' and the broadcast addresses."""

OWN = st.sampled_from([0xC0A80101, 0x0A000001, 0xAC100001, 0xAC100101, 0xAC100201])
LOST = addresses("100.64.0.0/10") | addresses("198.51.100.0/24")
FOR_MANY = st.sampled_from([0xFFFFFFFF, 0xC0A801FF, 0x0A0000FF, 0xE0000001, 0xE0000005, 0xEF010101])
PROTOCOLS = st.sampled_from([1, 6, 17, 99, 47, 4])  # 2 and what a kernel may have a tunnel for are left out
OPTIONS = st.lists(
    st.sampled_from(
        [
            (7, b"\4" + bytes(8)),
            (7, b"\x08" + bytes(4)),
            (68, b"\5\0" + bytes(8)),
            (68, b"\5\1" + bytes(8)),
            (148, bytes(2)),
            (130, bytes(9)),
            (30, b"ab"),
            (158, b"cd"),
            (131, b"\4" + bytes((10, 0, 0, 3))),
            (7, b"\3" + bytes(4)),
        ]
    ),
    max_size=2,
).map(build_options)


@st.composite
def received(draw: st.DrawFn) -> tuple[str, Datagram]:
    """A well-formed datagram and the interface that it comes in by: from a host there, to wherever."""
    name = draw(st.sampled_from(sorted(SIDES)))
    elsewhere = st.one_of([side for other, side in SIDES.items() if other != name])
    destination = draw(st.sampled_from([elsewhere, elsewhere, elsewhere, OWN, OWN, LOST, FOR_MANY]))
    header = draw(
        headers(source=SIDES[name], destination=destination, protocol=PROTOCOLS, interfaces=(), passes=("in",))
    )
    if not header.fragment & MORE_FRAGMENTS:
        header.payload_length += draw(st.integers(0, 600))
    if name != "eth4" and draw(st.integers(0, 3)) == 3:  # an answer to there has no room for options
        header.options = draw(OPTIONS)
    return name, octets_of(header)


REACHED = [
    IPv4Network(prefix)
    for prefix in (
        *(str(IPv4Interface(interface.address).network) for interface in INTERFACES),
        *(route.prefix for route in ROUTES if route.kind == "unicast"),
        "127.0.0.0/8",
        "224.0.0.0/4",
    )
]
"""Destinations about which nobody is told that there is no way to them."""


def fresh(name: str, octets: bytes) -> Sent | None:
    """What the kernel remembers nothing of: who is to hear of a missing route has not heard of one before, and a
    fragment for the router is of a datagram of its own.  None for what may earn a redirect, which each sender gets but
    now and then: those are asked about in the tables."""
    if len(octets) < 20:
        return name, octets
    source, destination = IPv4Address(octets[12:16]), IPv4Address(octets[16:20])
    link = next(IPv4Interface(interface.address) for interface in INTERFACES if interface.name == name)
    if source in link.network and destination in link.network and destination not in (link.ip, *_ends(link.network)):
        return None
    if not any(destination in network for network in REACHED):
        return "eth0", with_right_sum(octets, 12, 4, 0xAC140100 + next(NUMBERS) % 0xFE00)
    if field(octets, 6, 2) & 0x3FFF:
        return name, with_right_sum(octets, 4, 2, 1 + next(NUMBERS) % 0xFFFF)
    return name, octets


def _ends(network: IPv4Network) -> tuple[IPv4Address, IPv4Address]:
    return network.network_address, network.broadcast_address


def with_right_sum(octets: bytes, at: int, length: int, value: int) -> bytes:
    """With another number, and a header checksum that is as right or wrong as it was."""
    wrong = field(octets, 10, 2) ^ field(mended(octets), 10, 2)
    changed = with_field(octets, at, length, value)
    return changed[:10] + (field(changed, 10, 2) ^ wrong).to_bytes(2, "big") + changed[12:]


@LIVE
@given(st.lists(received(), min_size=1, max_size=12))
def test_well_formed_datagrams(kernel: KernelRouter, sent: list[tuple[str, Datagram]]) -> None:
    agree_on_each(kernel, sent)


@LIVE
@given(st.lists(received().flatmap(lambda sent: st.tuples(st.just(sent[0]), damaged(st.just(sent[1])))), max_size=12))
def test_damaged_datagrams(kernel: KernelRouter, sent: list[tuple[str, Datagram]]) -> None:
    agree_on_each(kernel, sent)


def agree_on_each(kernel: KernelRouter, sent: list[tuple[str, Datagram]]) -> None:
    for name, octets in sent:
        asked = fresh(name, octets)
        if asked is not None:
            agree(kernel, [asked], "linux-2.2", DIFFERENCES)


@LIVE
@given(conversations(client=SIDES["eth0"], server=SIDES["eth1"] | SIDES["eth2"] | SIDES["eth3"] | SIDES["eth4"]))
def test_conversations(kernel: KernelRouter, segments: list[Datagram]) -> None:
    """The client is on the left; what the server says may have to be cut for it, and the other way round."""
    client = segments[0][12:16]
    for octets in segments:
        came_in = "eth0" if octets[12:16] == client else side_of(octets[12:16])
        agree(kernel, [(came_in, octets)], "linux-2.2", DIFFERENCES)


def side_of(address: bytes) -> str:
    """The interface behind which a server is."""
    return {10: "eth1", 203: "eth1"}.get(address[0], f"eth{2 + address[2]}")


REQUESTS = st.integers(0, 400).map(lambda size: bytes(at % 251 for at in range(size)))


@LIVE
@given(st.data(), REQUESTS, st.booleans())
def test_fragments_of_an_echo_request(
    kernel: KernelRouter, data: st.DataObject, payload: bytes, complete: bool
) -> None:
    """In any order, some repeated, some missing."""
    request = with_field(ping("192.168.1.2", ROUTER, data=payload), 4, 2, 1 + next(NUMBERS) % 0xFFFF)
    mtu = st.sampled_from([68, 124, 300])
    pieces = data.draw(fragments_of(request, mtu=mtu, complete=complete))
    again = data.draw(st.lists(st.sampled_from(pieces), max_size=3))
    agree(kernel, [("eth0", octets) for octets in (*pieces, *again)], "linux-2.2", DIFFERENCES)


@LIVE
@given(st.data(), REQUESTS)
def test_overlapping_fragments_of_an_echo_request(kernel: KernelRouter, data: st.DataObject, payload: bytes) -> None:
    """Some cover what others cover, with the same octets: the kernel gives such a datagram up, by the rules of its
    model; ours answers with the right octets, if at all."""
    request = with_field(ping("192.168.1.2", ROUTER, data=payload), 4, 2, 1 + next(NUMBERS) % 0xFFFF)
    pieces = data.draw(fragments_of(request, overlaps=True))
    asked: Question = [("eth0", octets) for octets in pieces]
    kernels, ours = kernel.exchange(asked), our_answers(asked, "linux-2.2")
    answers = [octets[20:] for octets in kernels.get("eth0", [])]
    if len(pieces) > 1:
        assert answers == [icmp.reply_to(octets) for octets in kernel_collects(asked)]
    assert all(octets[20:] == icmp.reply_to(request[20:]) for octets in ours.get("eth0", []))
    assert set(ours) <= {"eth0"}
