"""The routing table in literal notation."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from datagrams import address

from simulator.interfaces import Interface
from simulator.links.memory import MemoryLink
from simulator.routing import Kind, Route, Routes, is_class_e, is_loopback, is_multicast


def interface(name: str) -> Interface:
    return Interface(name, MemoryLink(), mtu=1500)


ETH0, ETH1 = interface("eth0"), interface("eth1")


def route(prefix: str, out: Interface = ETH0, **details: object) -> Route:
    network = IPv4Network(prefix)
    return Route(int(network.network_address), network.prefixlen, out, **details)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("destination", "found"),
    [
        ("10.1.2.3", "10.1.2.3/32 dev eth0"),
        ("10.1.2.4", "10.1.2.0/24 via 10.9.9.9 dev eth1"),
        ("10.1.3.4", "reject 10.1.0.0/16 dev eth0"),
        ("10.2.0.0", "10.0.0.0/8 dev eth1"),
        ("11.0.0.0", "0.0.0.0/0 via 10.0.0.1 dev eth0"),
        ("0.0.0.0", "0.0.0.0/0 via 10.0.0.1 dev eth0"),
        ("255.255.255.255", "0.0.0.0/0 via 10.0.0.1 dev eth0"),
    ],
)
def test_the_most_specific_route_counts(destination: str, found: str) -> None:
    routes = Routes()
    routes.add(route("0.0.0.0/0", gateway=address("10.0.0.1")))
    routes.add(route("10.0.0.0/8", ETH1))
    routes.add(route("10.1.2.3/32"))
    routes.add(route("10.1.0.0/16", kind=Kind.REJECT))
    routes.add(route("10.1.2.0/24", ETH1, gateway=address("10.9.9.9")))
    assert str(routes.lookup(address(destination))) == found


def test_an_empty_table_knows_nothing() -> None:
    assert Routes().lookup(0) is None


def test_of_one_prefix_the_earlier_route_counts_as_long_as_it_can_be_used() -> None:
    out, other = interface("eth0"), interface("eth1")
    first, second = route("10.0.0.0/8", out, connected=True), route("10.0.0.0/8", other)
    routes = Routes()
    routes.add(first)
    routes.add(second)
    assert routes.lookup(address("10.0.0.1")) is first
    out.up = False
    routes.interface_down(out)
    assert routes.lookup(address("10.0.0.1")) is second
    out.up = True
    routes.changed()
    assert routes.lookup(address("10.0.0.1")) is first


def test_static_routes_do_not_come_back_with_their_interface() -> None:
    out = interface("eth0")
    kept, lost = route("10.0.0.0/8", out, connected=True), route("11.0.0.0/8", out)
    routes = Routes()
    routes.add(kept)
    routes.add(lost)
    out.up = False
    routes.interface_down(out)
    assert list(routes) == [kept]


def test_removing() -> None:
    routes = Routes()
    routes.add(added := route("10.0.0.0/8"))
    assert routes.find(IPv4Network("10.0.0.0/8")) is added
    assert routes.find(IPv4Network("10.0.0.0/9")) is None
    generation = routes.generation
    routes.remove(added)
    assert routes.generation > generation
    assert routes.lookup(address("10.0.0.1")) is None
    with pytest.raises(KeyError, match=r"10\.0\.0\.0/8 dev eth0"):
        routes.remove(added)


def test_a_flood_of_destinations_does_not_fill_the_memory() -> None:
    routes = Routes()
    routes.add(added := route("0.0.0.0/0"))
    for destination in range(0, 10_000 * 65_537, 65_537):
        assert routes.lookup(destination) is added
    assert len(routes._answers) <= 4096


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("223.255.255.255", (False, False, False)),
        ("224.0.0.0", (True, False, False)),
        ("239.255.255.255", (True, False, False)),
        ("240.0.0.0", (False, True, False)),
        ("255.255.255.255", (False, True, False)),
        ("127.0.0.0", (False, False, True)),
        ("127.255.255.255", (False, False, True)),
        ("128.0.0.0", (False, False, False)),
    ],
)
def test_kinds_of_address(text: str, kinds: tuple[bool, bool, bool]) -> None:
    number = address(text)
    assert (is_multicast(number), is_class_e(number), is_loopback(number)) == kinds
