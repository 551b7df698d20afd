"""Interfaces: addresses with the routes that they bring, groups, going down and up, and the links behind them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from datagrams import address, ping, udp

from simulator import Reason, Router
from simulator.interfaces import Address
from simulator.links.memory import Cables, MemoryLink


def table(router: Router) -> list[str]:
    return sorted(str(route) for route in router.node.routes if not route.interface.is_loopback)


@pytest.mark.parametrize(
    ("text", "host", "length", "network", "broadcast"),
    [
        ("192.168.1.1/24", "192.168.1.1", 24, "192.168.1.0", "192.168.1.255"),
        ("192.168.1.1/30", "192.168.1.1", 30, "192.168.1.0", "192.168.1.3"),
        ("192.168.1.1/31", "192.168.1.1", 31, "192.168.1.0", None),
        ("192.168.1.1/32", "192.168.1.1", 32, "192.168.1.1", None),
        ("192.168.1.1", "192.168.1.1", 32, "192.168.1.1", None),
        ("192.168.1.1/255.255.0.0", "192.168.1.1", 16, "192.168.0.0", "192.168.255.255"),
    ],
)
def test_an_address(text: str, host: str, length: int, network: str, broadcast: str | None) -> None:
    found = Address(text)
    assert (found.host, found.length, found.network) == (address(host), length, address(network))
    assert found.broadcast == (None if broadcast is None else address(broadcast))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("192.168.1", "192.168.1"),
        ("192.168.1.1/33", "33"),
        ("192.168.1.256/24", "256"),
        ("eth0", "eth0"),
        ("::1/128", "::1"),
    ],
)
def test_no_address(text: str, said: str) -> None:
    router = Router()
    with pytest.raises(ValueError, match=f"(?i){said}"):
        router.add_interface("eth0", text)
    assert "eth0" not in router.node.interfaces


@pytest.mark.parametrize(
    ("text", "routes"),
    [
        (
            "10.0.0.1/24",
            [
                "10.0.0.0/24 dev eth0",
                "broadcast 10.0.0.0/32 dev eth0",
                "broadcast 10.0.0.255/32 dev eth0",
                "local 10.0.0.1/32 dev eth0",
            ],
        ),
        ("10.0.0.0/31", ["10.0.0.0/31 dev eth0", "local 10.0.0.0/32 dev eth0"]),
        ("10.0.0.1/32", ["local 10.0.0.1/32 dev eth0"]),
    ],
)
def test_the_routes_of_an_address(text: str, routes: list[str]) -> None:
    router = Router()
    router.add_interface("eth0", text)
    assert table(router) == sorted(routes)


def test_both_ends_of_a_31_bit_network_are_hosts() -> None:
    router = Router()
    link = router.add_interface("ppp0", "10.0.0.0/31")
    link.receive(ping("10.0.0.1", "10.0.0.0"))
    assert len(link.sent) == 1


def test_a_point_to_point_link() -> None:
    router = Router()
    link = router.add_interface("ppp0", "10.0.0.1", peer="172.16.0.9")
    assert table(router) == ["172.16.0.9/32 dev ppp0", "local 10.0.0.1/32 dev ppp0"]
    link.receive(ping("172.16.0.9", "10.0.0.1"))
    assert len(link.sent) == 1
    assert "peer 172.16.0.9" in repr(link)


def test_a_second_address() -> None:
    router = Router()
    eth0 = router.add_interface("eth0", ["10.0.0.1/24", "10.0.0.9/24"])
    router.add_address(eth0, "172.16.0.1/16")
    for source, own in (("10.0.0.2", "10.0.0.9"), ("172.16.0.2", "172.16.0.1")):
        eth0.receive(ping(source, own))
        assert eth0.sent[-1][12:16] == address(own).to_bytes(4, "big")
    router.send(udp("0.0.0.0", "172.16.5.5"))
    assert eth0.sent[-1][12:16] == address("172.16.0.1").to_bytes(4, "big")
    assert eth0.address == address("10.0.0.1")
    with pytest.raises(ValueError, match=r"172\.16\.0\.1/24 already"):
        router.add_address("eth0", "172.16.0.1/24")
    with pytest.raises(ValueError, match="'eth9'"):
        router.add_address("eth9", "172.16.0.1/24")


def test_no_address_at_all() -> None:
    router = Router()
    bare = router.add_interface("eth0")
    assert bare.address is None
    assert not bare.is_loopback
    bare.receive(ping("10.0.0.1", "10.0.0.2"))
    assert router.ledger.dropped[Reason.NO_ROUTE] == 1


@pytest.mark.parametrize("name", ["", "sixteen_letters_", "a b", "eth/0", "eth\n", "ethö", "eth0\0"])
def test_bad_names(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 15"):
        Router().add_interface(name)


def test_a_name_that_is_taken() -> None:
    router = Router()
    router.add_interface("eth0")
    for name in ("eth0", "lo"):
        with pytest.raises(ValueError, match=f"'{name}' already"):
            router.add_interface(name)
    router.add_interface("fifteen_letters")


@pytest.mark.parametrize("mtu", [67, 0, -1, 65536, 1500.0, "1500", None])
def test_bad_mtus(mtu: object) -> None:
    with pytest.raises(ValueError, match="MTU"):
        Router().add_interface("eth0", mtu=mtu)  # type: ignore[arg-type]


def test_down_and_up() -> None:
    router = Router()
    eth0 = router.add_interface("eth0", "10.0.0.1/24")
    router.add_route("0.0.0.0/0", via="10.0.0.254")
    eth0.up = False
    eth0.receive(ping("10.0.0.2", "10.0.0.1"))
    assert router.ledger.dropped == {Reason.INTERFACE_DOWN: 1}
    assert "down" in repr(eth0)
    with pytest.raises(ValueError, match="eth0 is down"):
        router.add_route("30.0.0.0/8", interface="eth0")
    eth0.up = True
    eth0.receive(ping("10.0.0.2", "10.0.0.1"))
    assert len(eth0.sent) == 1
    assert not [each for each in table(router) if each.startswith("0.0.0.0/0")]  # lost with the interface


def test_groups() -> None:
    router = Router()
    eth0 = router.add_interface("eth0", "10.0.0.1/24")
    eth0.join("239.1.1.1")
    eth0.receive(udp("10.0.0.2", "239.1.1.1"))
    eth0.leave("239.1.1.1")
    eth0.receive(udp("10.0.0.2", "239.1.1.1"))
    assert len(router.delivered) == 1
    for text in ("10.0.0.1", "240.0.0.1", "group"):
        with pytest.raises(ValueError, match=text):
            eth0.join(text)


def test_what_was_sent_is_kept_by_memory_links_only() -> None:
    class Other:
        def transmit(self, octets: bytes) -> None: ...

    with pytest.raises(AttributeError, match="eth0 has no memory link"):
        _ = Router().add_interface("eth0", link=Other()).sent


class TestCables:
    def test_a_loop_of_routes_ends_with_the_ttl(self) -> None:
        """255 hops to and fro between two routers that think that the other one knows the way."""
        left, right = Router("linux-2.2"), Router("linux-2.2")
        ours, theirs = left.add_interface("eth0", "10.0.0.1/24"), right.add_interface("eth0", "10.0.0.2/24")
        outside = left.add_interface("eth1", "192.168.1.1/24")
        Cables().join(ours, theirs)
        left.add_route("0.0.0.0/0", via="10.0.0.2")
        right.add_route("0.0.0.0/0", via="10.0.0.1")
        outside.receive(udp("192.168.1.2", "99.0.0.1", ttl=255))
        assert left.ledger.transmitted + right.ledger.transmitted >= 254
        exceeded = left.ledger.dropped[Reason.TTL_EXCEEDED] + right.ledger.dropped[Reason.TTL_EXCEEDED]
        assert exceeded == 1
        assert outside.sent[-1][20] == 11  # time exceeded, and it found its way back
        assert left.ledger.balanced
        assert right.ledger.balanced

    def test_a_chain_of_hundreds_of_routers(self) -> None:
        """One queue for all cables: its length is no depth of calls."""
        cables = Cables()
        routers = [Router() for _ in range(250)]
        for number, (here, there) in enumerate(pairwise(routers)):
            net = f"10.{number}.0"
            cables.join(here.add_interface("right", f"{net}.1/24"), there.add_interface("left", f"{net}.2/24"))
            here.add_route("0.0.0.0/0", via=f"{net}.2")
            if number:
                here.add_route("10.0.0.0/24", via=f"10.{number - 1}.0.1")
        routers[-1].add_route("10.0.0.0/24", via="10.248.0.1")
        routers[0].send(ping("10.0.0.1", "10.248.0.2", ttl=255))
        (request,) = routers[-1].delivered
        assert request[8] == 255 - 248
        assert len(routers[0].delivered) == 1

    def test_the_trace_tells_it_in_order(self) -> None:
        cables = Cables()
        left, right = Router(), Router("freebsd-11", default_accept=True)
        cables.join(left.add_interface("eth0", "10.0.0.1/24"), right.add_interface("em0", "10.0.0.2/24"))
        with left.trace() as trace:
            left.send(ping("10.0.0.1", "10.0.0.2"))
        kinds = [event.kind.value for event in trace]
        assert kinds == ["originated", "firewall", "transmitted", "received", "firewall", "routed", "delivered"]

    def test_an_error_at_the_far_end_does_not_jam_the_cables(self) -> None:
        cables = Cables()
        left, right = Router(), Router()
        ours, theirs = left.add_interface("eth0", "10.0.0.1/24"), right.add_interface("eth0", "10.0.0.2/24")
        cables.join(ours, theirs)

        def listener(event: object) -> None:
            raise RuntimeError("a listener failed")

        with right.trace(listener), pytest.raises(RuntimeError):
            left.send(ping("10.0.0.1", "10.0.0.2"))
        left.send(ping("10.0.0.1", "10.0.0.2"))
        assert len(left.delivered) == 1

    def test_a_memory_link_hands_over(self) -> None:
        got: list[bytes] = []
        link = MemoryLink(to=got.append)
        link.transmit(b"x")
        assert (got, link.sent) == ([b"x"], [])


def test_an_address_goes_with_what_it_brought() -> None:
    router = Router("freebsd-13")
    router.add_interface("em0", "10.0.0.1/24")
    before = sorted(map(str, router.node.routes))
    own, broadcasts = dict(router.node.own), dict(router.node.broadcasts)
    router.add_address("em0", "10.0.0.2/24")
    router.add_address("em0", "192.168.1.1/24")
    router.delete_address("em0", "10.0.0.2")
    router.delete_address("em0", "192.168.1.1")
    assert sorted(map(str, router.node.routes)) == before
    assert (router.node.own, router.node.broadcasts) == (own, broadcasts)
    router.delete_address("em0", "10.0.0.1")
    assert router.node.routes.lookup(address("10.0.0.9")) is None
    with pytest.raises(ValueError, match=r"em0 does not have the address 10\.0\.0\.1"):
        router.delete_address("em0", "10.0.0.1")
    with pytest.raises(ValueError, match="em7"):
        router.delete_address("em7", "10.0.0.1")


def test_an_address_that_another_interface_has_too_stays_ours() -> None:
    router = Router("freebsd-13")
    em0 = router.add_interface("em0", "10.0.0.1/24")
    em1 = router.add_interface("em1", "10.0.0.1/24")
    router.delete_address(em0, "10.0.0.1")
    assert router.node.own[address("10.0.0.1")] is em1
