"""What a Linux 2.2 host sends itself, ICMP errors included: linux.md H9 to H12, H16, T1, O3, O8."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from datagrams import address, ip, ping, tcp, udp
from worlds import ANYWHERE, GOOD, LEFT, RIGHT, ROUTER, World, error, hooks

from simulator import Reason
from simulator.fragments import LINUX, LINUX_LOCAL, fragment
from simulator.wire import icmp, ipv4
from simulator.wire.ipv4 import View

pytestmark = pytest.mark.profiles("linux-2.2")
EVERY = pytest.mark.parametrize("profile", ["linux-2.2", "linux-2.0"])


class TestOutput:
    @EVERY
    @pytest.mark.statement("linux.md H9")
    @pytest.mark.parametrize(
        ("octets", "target", "number", "errors"),
        [
            (udp("10.0.0.1", RIGHT), "DENY", errno.EPERM, 0),
            (udp("10.0.0.1", RIGHT), "REJECT", errno.EPERM, 0),
            (ping("10.0.0.1", RIGHT), "DENY", errno.EPERM, 0),
            (ip("10.0.0.1", RIGHT, 99), "REJECT", errno.EPERM, 0),
            (tcp("10.0.0.1", RIGHT), "DENY", 0, 0),
            (tcp("10.0.0.1", RIGHT), "REJECT", 0, 1),
        ],
    )
    def test_h9_refusals_of_own_datagrams(
        self, profile: str, octets: bytes, target: str, number: int, errors: int
    ) -> None:
        world = World(profile, f"-A output -i eth1 -j {target}")
        assert world.router.send(octets) == number
        assert not world.eth1.sent
        assert [error(each)[:2] for each in world.router.delivered] == [(3, 3)] * errors
        assert sum(world.dropped.values()) == 1

    @EVERY
    @pytest.mark.statement("linux.md H10")
    def test_h10_last_fragment_first_each_through_the_chain(self, profile: str) -> None:
        world = World(profile)
        whole = udp("10.0.0.1", RIGHT, data=bytes(4000))
        assert world.router.send(whole) == 0
        assert world.eth1.sent == fragment(whole, 1500, style=LINUX_LOCAL)
        assert [View(each).fragment_offset for each in world.eth1.sent] == [370, 185, 0]
        assert world.packets("output") == (3 if profile == "linux-2.2" else 1)  # 2.0 looks at the first alone (Z1)
        assert world.dropped == {}

    @EVERY
    @pytest.mark.statement("linux.md H10")
    def test_h10_a_refused_fragment_ends_it(self, profile: str) -> None:
        world = World(profile, "-A output -d 10.0.0.2 -p udp ! -f -j DENY")
        assert world.router.send(udp("10.0.0.1", RIGHT, data=bytes(4000))) == errno.EPERM
        assert [View(each).fragment_offset for each in world.eth1.sent] == [370, 185]
        assert world.dropped == {Reason.DENIED: 1}
        assert (world.router.ledger.originated, world.router.ledger.generated) == (1, 2)

    @pytest.mark.statement("linux.md H10")
    def test_h10_the_rest_is_never_made(self) -> None:
        world = World("linux-2.2", "-A output -f -j DENY")
        assert world.router.send(udp("10.0.0.1", RIGHT, data=bytes(4000))) == errno.EPERM
        assert not world.eth1.sent
        assert (world.router.ledger.originated, world.router.ledger.generated) == (1, 0)
        assert world.dropped == {Reason.DENIED: 1}

    @EVERY
    @pytest.mark.statement("linux.md H10")
    def test_h10_tcp_meets_the_chain_whole(self, profile: str) -> None:
        world = World(profile)
        whole = tcp("10.0.0.1", RIGHT, data=bytes(4000))
        world.router.send(whole)
        assert world.packets("output") == 1
        assert world.eth1.sent == fragment(whole, 1500, style=LINUX)

    @EVERY
    @pytest.mark.parametrize("build", [udp, tcp])
    def test_do_not_fragment_what_is_too_large(self, profile: str, build: Any) -> None:
        world = World(profile)
        assert world.router.send(build("10.0.0.1", RIGHT, data=bytes(4000), fragment=0x4000)) == errno.EMSGSIZE
        assert world.dropped == {Reason.NEEDS_FRAGMENTING: 1}

    @EVERY
    @pytest.mark.statement("linux.md T1")
    def test_t1_the_checksum_of_own_tcp_comes_after_the_firewall(self, profile: str) -> None:
        world = World(profile, "-A output -p tcp -j DIVERT 1234")
        sock = world.divert()
        world.eth0.receive(tcp(LEFT, ROUTER))  # answered with a reset
        octets, _ = sock.recvfrom(100)
        view = View(octets)
        assert (view.checksum, view.dont_fragment, view.protocol) == (0, True, 6)
        sock.sendto(octets, ANYWHERE)
        ipv4.parse(world.eth0.sent[0])

    @EVERY
    def test_no_route(self, profile: str) -> None:
        world = World(profile)
        world.router.delete_route("0.0.0.0/0")
        assert world.router.send(udp("10.0.0.1", "8.8.8.8")) == errno.ENETUNREACH
        assert world.dropped == {Reason.NO_ROUTE: 1}

    @EVERY
    @pytest.mark.statement("linux.md O3")
    def test_o3_source_and_identification_are_filled_in(self, profile: str) -> None:
        world = World(profile)
        for _ in range(2):
            world.router.send(ip("0.0.0.0", RIGHT, identification=0))
        headers = [ipv4.parse(each) for each in world.eth1.sent]
        assert [(each.source, each.identification) for each in headers] == [(address("10.0.0.1"), n) for n in (0, 1)]

    @EVERY
    @pytest.mark.statement("linux.md H11")
    @pytest.mark.parametrize("destination", ["127.0.0.1", "127.9.8.7", "192.168.1.1", "10.0.0.1"])
    def test_h11_own_addresses_go_by_loopback(self, profile: str, destination: str) -> None:
        world = World(profile)
        with world.router.trace() as trace:
            assert world.router.send(ping(destination, destination)) == 0
        assert hooks(trace) == [("output", "lo"), ("input", "lo")] * 2
        assert [icmp.parse(ipv4.payload(each)).type for each in world.router.delivered] == [8, 0]
        assert world.dropped == {}

    @EVERY
    @pytest.mark.statement("linux.md H11")
    def test_h11_large_datagrams_over_loopback(self, profile: str) -> None:
        world = World(profile)
        assert world.router.send(whole := udp(ROUTER, ROUTER, data=bytes(9000))) == 0
        assert world.router.delivered[0] == whole
        assert (
            world.packets("output") == (3 if profile == "linux-2.2" else 1) + 1
        )  # lo's MTU is 3924; port unreachable comes back
        assert world.dropped == {}

    @EVERY
    @pytest.mark.statement("linux.md H11")
    def test_h11_loopback_down(self, profile: str) -> None:
        world = World(profile)
        world.router.node.loopback.up = False
        assert world.router.send(ping(ROUTER, ROUTER)) == errno.ENETDOWN
        assert world.dropped == {Reason.INTERFACE_DOWN: 1}

    @EVERY
    @pytest.mark.statement("linux.md O8")
    def test_o8_destination_0_is_this_host(self, profile: str) -> None:
        world = World(profile)
        assert world.router.send(ping("127.0.0.1", "0.0.0.0")) == 0
        assert len(world.router.delivered) == 2

    @EVERY
    @pytest.mark.statement("linux.md H12")
    @pytest.mark.parametrize("destination", ["192.168.1.255", "192.168.1.0", "255.255.255.255", "224.0.0.1"])
    def test_h12_to_many_comes_back_on_the_sending_interface(self, profile: str, destination: str) -> None:
        world = World(profile)
        with world.router.trace() as trace:
            assert world.router.send(asked := udp(ROUTER, destination)) == 0
        assert world.eth0.sent == [asked]
        assert hooks(trace) == [("output", "eth0"), ("input", "eth0")]
        assert world.router.delivered == [asked]  # and no port unreachable about it
        assert world.dropped == {}

    @EVERY
    @pytest.mark.statement("linux.md H12")
    def test_h12_the_copy_comes_after_the_original(self, profile: str) -> None:
        world = World(profile)
        world.router.send(asked := ping(ROUTER, "192.168.1.255"))
        assert world.eth0.sent == [asked]
        assert world.router.delivered[0] == asked
        assert icmp.parse(ipv4.payload(world.router.delivered[1])).type == 0

    @EVERY
    @pytest.mark.statement("linux.md H12")
    def test_h12_a_group_that_nobody_joined_does_not_come_back(self, profile: str) -> None:
        world = World(profile)
        world.router.send(asked := udp(ROUTER, "224.5.5.5"))
        assert (world.eth0.sent, world.router.delivered) == ([asked], [])
        world.eth0.join("224.5.5.5")
        world.router.send(asked)
        assert world.router.delivered == [asked]

    @EVERY
    @pytest.mark.statement("linux.md H12", "linux.md H11")
    @pytest.mark.parametrize(("group", "joined"), [("224.0.0.1", True), ("224.5.5.5", False)])
    def test_h12_from_the_loopback_address_it_goes_round_by_loopback(
        self, profile: str, group: str, joined: bool
    ) -> None:
        world = World(profile)
        with world.router.trace() as trace:
            assert world.router.send(asked := udp("127.0.0.1", group)) == 0
        assert hooks(trace) == [("output", "lo"), ("input", "lo")][: 1 + joined]
        assert world.router.delivered == [asked] * joined
        assert world.router.ledger.transmitted == 0
        assert world.dropped == ({} if joined else {Reason.NOT_JOINED: 1})

    @EVERY
    @pytest.mark.statement("linux.md H12")
    def test_h12_multicast_ttl_0_never_leaves(self, profile: str) -> None:
        world = World(profile)
        world.router.send(asked := udp(ROUTER, "224.0.0.1", ttl=0))
        assert (world.eth0.sent, world.router.delivered) == ([], [asked])
        assert world.dropped == {Reason.TTL_EXCEEDED: 1}

    @EVERY
    @pytest.mark.statement("linux.md H12")
    def test_h12_large_broadcasts_come_back_piece_by_piece(self, profile: str) -> None:
        world = World(profile)
        world.router.send(whole := udp(ROUTER, "192.168.1.255", data=bytes(4000)))
        assert world.eth0.sent == fragment(whole, 1500, style=LINUX_LOCAL)
        assert world.router.delivered == [whole]
        assert world.dropped == {}

    @EVERY
    def test_limited_broadcast_without_source_goes_by_the_table(self, profile: str) -> None:
        world = World(profile)
        assert world.router.send(udp("0.0.0.0", "255.255.255.255")) == 0
        assert len(world.eth1.sent) == 1
        world.router.delete_route("0.0.0.0/0")
        assert world.router.send(udp("0.0.0.0", "255.255.255.255")) == errno.ENETUNREACH

    @EVERY
    def test_an_interface_that_is_down(self, profile: str) -> None:
        world = World(profile)
        world.eth0.up = False
        assert world.router.send(udp(ROUTER, "224.0.0.1")) == 0  # by the default route
        assert len(world.eth1.sent) == 1
        world.eth1.up = False
        assert world.router.send(udp("10.0.0.1", RIGHT)) == errno.ENETUNREACH
        world.eth0.receive(GOOD)
        assert world.dropped == {Reason.NO_ROUTE: 1, Reason.INTERFACE_DOWN: 1}

    @EVERY
    def test_a_link_that_refuses(self, profile: str) -> None:
        class Refusing:
            def transmit(self, octets: bytes) -> None:
                raise OSError(errno.EIO, "no")

        world = World(profile)
        world.router.add_interface("ppp0", "172.20.0.1/24", link=Refusing())
        assert world.router.send(udp("172.20.0.1", "172.20.0.2")) == errno.ENOBUFS
        assert world.dropped == {Reason.LINK_FAILED: 1}


class TestIcmpErrors:
    """H16."""

    @EVERY
    @pytest.mark.statement("linux.md H16")
    @pytest.mark.parametrize(
        "asked",
        [
            udp(LEFT, RIGHT, ttl=1, fragment=0x00B9),
            ip(LEFT, RIGHT, 1, icmp.unreachable(1, GOOD[:28]), ttl=1),
            ip(LEFT, RIGHT, 1, icmp.time_exceeded(0, GOOD[:28]), ttl=1),
            ip(LEFT, RIGHT, 1, bytes([19]) + bytes(7), ttl=1),
            udp(LEFT, "192.168.1.255"),
            udp(LEFT, "224.0.0.1"),
            udp(LEFT, "255.255.255.255"),
        ],
        ids=[
            "later fragment",
            "unreachable",
            "time exceeded",
            "type 19",
            "broadcast",
            "multicast",
            "limited broadcast",
        ],
    )
    def test_h16_silence(self, profile: str, asked: bytes) -> None:
        world = World(profile)
        world.eth0.receive(asked)
        assert not world.eth0.sent
        assert world.router.ledger.generated == 0

    @pytest.mark.statement("linux.md H16")
    @pytest.mark.parametrize(
        "asked",
        [ping(LEFT, RIGHT, ttl=1), udp(LEFT, RIGHT, ttl=1, fragment=0x2000), ip(LEFT, RIGHT, 1, b"", ttl=1)],
        ids=["echo", "first fragment", "no ICMP header"],
    )
    def test_h16_answered(self, asked: bytes) -> None:
        world = World()
        world.eth0.receive(asked)
        assert error(world.eth0.sent[0]) == (11, 0, 0, asked)

    @EVERY
    @pytest.mark.statement("linux.md H16")
    @pytest.mark.parametrize("tos", [0, 0x10, 0xFF, 0x01])
    def test_h16_tos(self, profile: str, tos: int) -> None:
        world = World(profile)
        world.eth0.receive(udp(LEFT, RIGHT, ttl=1, tos=tos))
        assert View(world.eth0.sent[0]).tos == tos & 0x1E | 0xC0

    @EVERY
    @pytest.mark.statement("linux.md H16")
    @pytest.mark.parametrize(("mtu", "size"), [(1500, 576), (300, 300)])
    def test_h16_size(self, profile: str, mtu: int, size: int) -> None:
        world = World(profile)
        world.eth0.mtu = mtu
        world.eth0.receive(udp(LEFT, RIGHT, ttl=1, data=bytes(1000)))
        assert len(world.eth0.sent[0]) == size

    @EVERY
    @pytest.mark.statement("linux.md H16")
    def test_h16_rate_limit(self, profile: str) -> None:
        world = World(profile)
        for _ in range(10):
            world.eth0.receive(udp(LEFT, RIGHT, ttl=1))
        assert len(world.eth0.sent) == 6
        world.router.clock.advance(2)
        for _ in range(10):
            world.eth0.receive(udp(LEFT, RIGHT, ttl=1))
        assert len(world.eth0.sent) == 8
        world.eth0.receive(udp("192.168.1.3", RIGHT, ttl=1))
        assert len(world.eth0.sent) == 9

    @EVERY
    @pytest.mark.statement("linux.md H16")
    def test_h16_fragmentation_needed_and_loopback_know_no_limit(self, profile: str) -> None:
        world = World(profile)
        world.eth1.mtu = 576
        for _ in range(10):
            world.eth0.receive(udp(LEFT, RIGHT, data=bytes(1000), fragment=0x4000))
            world.router.send(udp(ROUTER, ROUTER))
        assert len(world.eth0.sent) == 10
        assert len(world.router.delivered) == 20

    @EVERY
    @pytest.mark.statement("linux.md H16")
    def test_h16_the_error_meets_the_output_chain(self, profile: str) -> None:
        world = World(profile, "-A output -p icmp -j DENY")
        world.eth0.receive(udp(LEFT, RIGHT, ttl=1))
        assert world.dropped == {Reason.TTL_EXCEEDED: 1, Reason.DENIED: 1}
        assert not world.eth0.sent
