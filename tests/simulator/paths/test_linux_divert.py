"""Divert sockets in the Linux 2.2 path: short exchanges, named by the statements of linux.md sections 1 and 1b."""

from __future__ import annotations

import errno
import socket
from typing import Any

import pytest
from datagrams import pieces, ping, udp
from worlds import ANYWHERE, GOOD, LEFT, RIGHT, ROUTER, World, forwarded, hooks

from simulator import IPPROTO_DIVERT, Reason
from simulator.fragments import LINUX, fragment
from simulator.wire import ipv4

pytestmark = pytest.mark.profiles("linux-2.2")
EVERY = pytest.mark.parametrize("profile", ["linux-2.2", "linux-2.0"])


class TestDivert:
    RULES = "-A input -p udp -j DIVERT 1234", "-A forward -p udp -j DIVERT 1234", "-A output -p udp -j DIVERT 1234"

    @EVERY
    @pytest.mark.statement("linux.md D5")
    @pytest.mark.parametrize("chain", ["input", "forward", "output"])
    def test_d5_nobody_listens(self, profile: str, chain: str) -> None:
        world = World(profile, f"-A {chain} -p udp -j DIVERT 1234")
        world.eth0.receive(GOOD)
        assert world.dropped == {Reason.NO_LISTENER: 1}
        assert not world.eth0.sent

    @EVERY
    @pytest.mark.statement("linux.md D5")
    def test_d5_a_local_sender_is_refused(self, profile: str) -> None:
        world = World(profile, "-A output -j DIVERT 1234")
        assert world.router.send(udp("10.0.0.1", RIGHT)) == errno.EPERM

    @EVERY
    @pytest.mark.statement("linux.md D6")
    @pytest.mark.parametrize("chain", ["input", "forward", "output"])
    @pytest.mark.parametrize(
        ("goes", "arrives"), [("to the next rule", False), ("accepted", True)], ids=["next rule", "accepted"]
    )
    @pytest.mark.statement("howto.md 1")
    def test_d6_pass_through(self, profile: str, chain: str, goes: str, arrives: bool) -> None:
        rules = f"-A {chain} -p udp -j DIVERT 1234", f"-A {chain} -p udp -j DENY"
        world = World(profile, *rules, pass_through=True, pass_through_goes=goes)
        world.eth0.receive(GOOD)
        assert world.eth1.sent == ([forwarded(GOOD)] if arrives else [])
        sock = world.divert()
        world.eth0.receive(GOOD)
        assert len(sock.recv(100)) == len(GOOD)

    @EVERY
    @pytest.mark.statement("linux.md D6")
    @pytest.mark.parametrize("goes", ["to the next rule", "accepted"])
    def test_d6_pass_through_with_nothing_after(self, profile: str, goes: str) -> None:
        world = World(profile, *self.RULES, pass_through=True, pass_through_goes=goes)
        world.eth0.receive(GOOD)
        assert world.eth1.sent == [forwarded(GOOD)]

    @EVERY
    @pytest.mark.statement("linux.md D10")
    @pytest.mark.parametrize(
        ("chain", "octets", "host"),
        [("input", GOOD, ROUTER), ("forward", forwarded(GOOD), ROUTER), ("output", forwarded(GOOD), "0.0.0.0")],
    )
    def test_d10_what_a_program_reads(self, profile: str, chain: str, octets: bytes, host: str) -> None:
        world = World(profile, f"-A {chain} -p udp -j DIVERT 1234")
        sock = world.divert()
        world.eth0.receive(GOOD)
        received, came_from = sock.recvfrom(65535)
        assert (received, came_from) == (octets, (host, 1234))
        assert came_from.tag == 1234
        assert came_from.interface == (None if chain == "output" else "eth0")
        assert world.dropped == {}

    @EVERY
    @pytest.mark.statement("linux.md D10")
    def test_d10_own_datagrams_come_from_nowhere(self, profile: str) -> None:
        world = World(profile, "-A output -j DIVERT 1234")
        sock = world.divert()
        assert world.router.send(asked := udp("10.0.0.1", RIGHT)) == 0
        assert sock.recvfrom(65535) == (asked, ("0.0.0.0", 1234))

    @pytest.mark.statement("linux.md D7")
    def test_d7_fragments_are_diverted_one_by_one(self) -> None:
        world = World("linux-2.2", "-A input -j DIVERT 1234")
        sock = world.divert()
        parts = pieces(udp(LEFT, ROUTER, data=bytes(100)), 68)
        for part in parts:
            world.eth0.receive(part)
        assert [sock.recv(100) for _ in parts] == parts

    @EVERY
    @pytest.mark.statement("linux.md D8")
    @pytest.mark.statement("howto.md 1")
    def test_d8_always_defragment_diverts_whole_datagrams_and_cuts_them_again(self, profile: str) -> None:
        world = World(profile, "-A output -j DIVERT 1234", always_defragment=True)
        sock = world.divert()
        whole = udp(LEFT, RIGHT, data=bytes(3000))
        for part in pieces(whole, 1500):
            world.eth0.receive(part)
        octets, came_from = sock.recvfrom(65535)
        assert octets == forwarded(whole)
        sock.sendto(octets, came_from)
        assert world.eth1.sent == fragment(forwarded(whole), 1500, style=LINUX)
        assert world.dropped == {}

    @EVERY
    @pytest.mark.statement("linux.md D8")
    def test_d8_but_not_what_must_not_be_cut(self, profile: str) -> None:
        world = World(profile, always_defragment=True)
        with pytest.raises(OSError) as caught:
            world.divert().sendto(udp(LEFT, RIGHT, data=bytes(3000), fragment=0x4000), ANYWHERE)
        assert caught.value.errno == errno.EMSGSIZE

    @pytest.mark.statement("linux.md D9")
    def test_d9_outgoing_writes_are_not_cut(self) -> None:
        world = World()
        sock = world.divert()
        with pytest.raises(OSError) as caught:
            sock.sendto(udp(LEFT, RIGHT, data=bytes(3000)), ANYWHERE)
        assert caught.value.errno == errno.EMSGSIZE
        assert world.dropped == {Reason.NEEDS_FRAGMENTING: 1}

    @EVERY
    @pytest.mark.statement("linux.md D11")
    @pytest.mark.parametrize("chain", ["input", "forward", "output"])
    def test_d11_back_where_it_came_from(self, profile: str, chain: str) -> None:
        world = World(profile, f"-A {chain} -p udp -j DIVERT 1234")
        sock = world.divert()
        with world.router.trace() as trace:
            world.eth0.receive(GOOD)
            octets, came_from = sock.recvfrom(65535)
            assert sock.sendto(octets, came_from) == len(octets)
        chains = ["input", "forward", "output"]
        there = chains.index(chain)
        assert [hook for hook, _ in hooks(trace)] == chains[: there + 1] + chains[there:]
        assert world.eth1.sent == [forwarded(GOOD)]
        assert world.dropped == {}

    @EVERY
    @pytest.mark.statement("linux.md D11")
    def test_d11_delivery_here(self, profile: str) -> None:
        world = World(profile, "-A input -j DIVERT 1234")
        sock = world.divert()
        world.eth0.receive(asked := ping(LEFT, ROUTER))
        sock.sendto(*sock.recvfrom(65535))
        assert world.router.delivered == [asked]
        assert len(world.eth0.sent) == 1

    @EVERY
    @pytest.mark.statement("linux.md D12")
    @pytest.mark.parametrize("nowhere", [ANYWHERE, ("0.0.0.0", 1234), ("", 77), None, b"\2\0\0\0" + bytes(12)])
    def test_d12_zero_is_outbound(self, profile: str, nowhere: Any) -> None:
        world = World(profile)
        with world.router.trace() as trace:
            assert world.divert().sendto(GOOD, nowhere) == len(GOOD)
        assert hooks(trace) == [("output", "eth1")]
        assert world.eth1.sent == [GOOD]

    @EVERY
    @pytest.mark.statement("linux.md D12")
    @pytest.mark.parametrize("host", ["192.168.1.1", "10.0.0.1"])
    def test_d12_an_interfaces_address_is_inbound(self, profile: str, host: str) -> None:
        world = World(profile)
        with world.router.trace() as trace:
            world.divert().sendto(GOOD, (host, 0))
        assert [hook for hook, _ in hooks(trace)] == ["input", "forward", "output"]
        assert hooks(trace)[0][1] == {"192.168.1.1": "eth0", "10.0.0.1": "eth1"}[host]
        assert world.eth1.sent == [forwarded(GOOD)]

    @EVERY
    @pytest.mark.statement("linux.md D12")
    def test_d12_sixteen_octets(self, profile: str) -> None:
        world = World(profile)
        world.divert().sendto(GOOD, b"\2\0\x04\xd2" + bytes([192, 168, 1, 1]) + bytes(8))
        assert world.eth1.sent == [forwarded(GOOD)]

    @EVERY
    @pytest.mark.statement("linux.md D13")
    def test_d13_a_forwarded_packet_goes_in_by_the_incoming_interface(self, profile: str) -> None:
        world = World(profile, "-A forward -j DIVERT 1234")
        sock = world.divert()
        world.eth0.receive(GOOD)
        octets, came_from = sock.recvfrom(65535)
        assert came_from[0] == ROUTER
        sock.sendto(octets, came_from)
        assert world.eth1.sent == [forwarded(GOOD)]  # the TTL is lowered once

    @EVERY
    @pytest.mark.statement("linux.md D14")
    def test_d14_without_interception_but_bound(self, profile: str) -> None:
        world = World(profile)
        sock = world.router.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT)
        with pytest.raises(OSError) as caught:
            sock.sendto(GOOD, ANYWHERE)
        assert caught.value.errno == errno.EINVAL
        assert world.router.ledger.sources == 0
        sock.bind(("0.0.0.0", 5))
        assert sock.sendto(GOOD, ANYWHERE) == len(GOOD)

    @EVERY
    @pytest.mark.statement("linux.md D15")
    @pytest.mark.parametrize("where", [ANYWHERE, (ROUTER, 0)])
    @pytest.mark.statement("howto.md 20", "howto.md 21", "howto.md 22")
    def test_d15_header_rules(self, profile: str, where: tuple[str, int]) -> None:
        world = World(profile)
        written = bytearray(udp(LEFT, RIGHT, data=b"abc", identification=0))
        written[2:4] = b"\0\0"  # total length
        written[10:12] = b"\xab\xcd"  # checksum
        world.divert().sendto(written, where)
        header = ipv4.parse(world.eth1.sent[0])
        assert len(world.eth1.sent[0]) == len(written)
        assert (header.identification, ipv4.payload(world.eth1.sent[0])) == (0, bytes(written[20:]))
        world.divert(1).sendto(written, where)
        assert ipv4.parse(world.eth1.sent[1]).identification == 1

    @EVERY
    @pytest.mark.statement("linux.md D15")
    def test_d15_the_rest_is_the_callers(self, profile: str) -> None:
        world = World(profile)
        written = udp(LEFT, RIGHT, tos=0xFF, ttl=1, identification=9, fragment=0x8000 | 0x2000)
        world.divert().sendto(written, ANYWHERE)
        assert world.eth1.sent == [written]

    @EVERY
    @pytest.mark.statement("linux.md D16")
    def test_d16_not_intercepted_again(self, profile: str) -> None:
        world = World(profile, "-A output -p udp -j DIVERT 1234", "-A output -p udp -j DIVERT 4321")
        first, second = world.divert(1234), world.divert(4321)
        world.eth0.receive(GOOD)
        first.sendto(*first.recvfrom(65535))
        assert not second.readable
        assert not first.readable
        assert world.eth1.sent == [forwarded(GOOD)]

    @EVERY
    @pytest.mark.statement("linux.md D16")
    def test_d16_nor_what_nobody_intercepted(self, profile: str) -> None:
        world = World(profile, *self.RULES)
        sock = world.divert()
        sock.sendto(GOOD, (ROUTER, 0))
        assert not sock.readable
        assert world.eth1.sent == [forwarded(GOOD)]

    @EVERY
    @pytest.mark.statement("linux.md T6")
    def test_t6_other_rules_are_looked_at_again(self, profile: str) -> None:
        world = World(profile, "-A forward -p udp -j DIVERT 1234", "-A forward -p udp -j DENY")
        sock = world.divert()
        world.eth0.receive(GOOD)
        sock.sendto(*sock.recvfrom(65535))
        assert world.dropped == {Reason.DENIED: 1}
        counts = [entry.packets for entry in world.router.tables.chains["forward"].entries]
        assert counts == [1, 1]  # the DIVERT rule did not count it again

    @EVERY
    @pytest.mark.statement("linux.md D17")
    def test_d17_one_mark_for_all_chains(self, profile: str) -> None:
        """Intercepted on forward and wanted on output as well: the output rule never sees it."""
        world = World(profile, "-A forward -p udp -j DIVERT 1234", "-A output -p udp -j DIVERT 4321")
        first, second = world.divert(1234), world.divert(4321)
        world.eth0.receive(GOOD)
        first.sendto(*first.recvfrom(65535))
        assert not second.readable
        assert world.eth1.sent == [forwarded(GOOD)]

    @EVERY
    @pytest.mark.statement("linux.md D18")
    @pytest.mark.parametrize(
        ("written", "where", "number"),
        [
            (GOOD, ("192.168.1.99", 0), errno.EADDRNOTAVAIL),
            (b"", ANYWHERE, errno.EBADRQC),
            (GOOD[:19], ANYWHERE, errno.EBADRQC),
            (b"\x65" + GOOD[1:], ANYWHERE, errno.EBADRQC),
            (b"\x44" + GOOD[1:], ANYWHERE, errno.EBADRQC),
            (b"\x4f" + GOOD[1:], ANYWHERE, errno.EBADRQC),
            (udp(LEFT, "172.16.9.9"), ANYWHERE, errno.ENETUNREACH),
            (GOOD + bytes(65536), ANYWHERE, errno.EMSGSIZE),
            (GOOD, b"\2\0\0\0", errno.EINVAL),
        ],
    )
    def test_d18_errors(self, profile: str, written: bytes, where: Any, number: int) -> None:
        world = World(profile)
        world.router.delete_route("0.0.0.0/0")
        with pytest.raises(OSError) as caught:
            world.divert().sendto(written, where)
        assert caught.value.errno == number
        assert world.router.ledger.balanced

    @EVERY
    @pytest.mark.statement("linux.md D18")
    def test_d18_denied_outbound(self, profile: str) -> None:
        world = World(profile, "-P output DENY")
        with pytest.raises(PermissionError):
            world.divert().sendto(GOOD, ANYWHERE)
        assert world.divert(1).sendto(GOOD, (ROUTER, 0)) == len(GOOD)  # what happens later is not told

    @EVERY
    @pytest.mark.statement("linux.md D18")
    def test_d18_large_writes(self, profile: str) -> None:
        world = World(profile)
        large = udp(LEFT, RIGHT, data=bytes(65000))
        assert world.divert().sendto(large, (ROUTER, 0)) == len(large)
        assert b"".join(ipv4.payload(each) for each in world.eth1.sent) == ipv4.payload(large)

    @EVERY
    @pytest.mark.statement("linux.md T3")
    def test_t3_an_own_datagram_cannot_come_in(self, profile: str) -> None:
        world = World(profile)
        world.divert().sendto(udp(ROUTER, RIGHT), (ROUTER, 0))
        assert world.dropped == {Reason.MARTIAN_SOURCE: 1}

    @EVERY
    @pytest.mark.statement("linux.md T2")
    def test_t2_foreign_sources_go_out(self, profile: str) -> None:
        world = World(profile)
        world.divert().sendto(spoofed := udp("1.2.3.4", RIGHT), ANYWHERE)
        assert world.eth1.sent == [spoofed]

    @EVERY
    def test_outbound_to_this_host(self, profile: str) -> None:
        world = World(profile)
        with world.router.trace() as trace:
            world.divert().sendto(asked := udp(LEFT, ROUTER), ANYWHERE)
        assert hooks(trace)[:2] == [("output", "lo"), ("input", "lo")]
        assert world.router.delivered == [asked]

    @EVERY
    @pytest.mark.parametrize("order", ["clear", "host"])
    def test_the_tag_in_either_order(self, profile: str, order: str) -> None:
        world = World(profile, "-A forward -j DIVERT 1234", tag_byte_order=order)
        sock = world.divert()
        world.eth0.receive(GOOD)
        octets, came_from = sock.recvfrom(65535)
        assert came_from[1] == (1234 if order == "clear" else 0xD204)
        assert came_from.tag == 1234
        assert came_from.packed == b"\2\0\x04\xd2" + bytes([192, 168, 1, 1]) + b"forward\0"
        sock.sendto(octets, came_from)
        assert world.eth1.sent == [forwarded(GOOD)]

    @EVERY
    def test_a_plain_pair_loses_the_chain(self, profile: str) -> None:
        """Only the address object (or its sixteen octets) says which chain; a pair means the input chain."""
        world = World(profile, "-A forward -j DIVERT 1234")
        sock = world.divert()
        world.eth0.receive(GOOD)
        octets, came_from = sock.recvfrom(65535)
        with world.router.trace() as trace:
            sock.sendto(octets, tuple(came_from))
        assert [hook for hook, _ in hooks(trace)] == ["input", "forward", "output"]

    @EVERY
    def test_rules_change_while_the_program_has_it(self, profile: str) -> None:
        world = World(profile, "-A forward -p udp -j DIVERT 1234")
        sock = world.divert()
        world.eth0.receive(GOOD)
        world.router.ipchains("-F forward")
        world.router.ipchains("-P forward DENY")
        sock.sendto(*sock.recvfrom(65535))
        assert world.dropped == {Reason.DENIED: 1}

    @EVERY
    def test_the_route_goes_while_the_program_has_it(self, profile: str) -> None:
        world = World(profile, "-A forward -p udp -j DIVERT 1234")
        sock = world.divert()
        world.eth0.receive(GOOD)
        world.eth1.up = False
        sock.sendto(*sock.recvfrom(65535))
        assert world.dropped == {Reason.NO_ROUTE: 1}

    @EVERY
    def test_a_changed_destination_is_routed_anew(self, profile: str) -> None:
        world = World(profile, "-A forward -p udp -j DIVERT 1234")
        sock = world.divert()
        world.eth0.receive(GOOD)
        _, came_from = sock.recvfrom(65535)
        sock.sendto(asked := udp(LEFT, ROUTER), came_from)
        assert world.router.delivered == [asked]

    @EVERY
    def test_a_full_socket_loses_the_packet_but_tells_the_sender_nothing(self, profile: str) -> None:
        world = World(profile, "-A output -j DIVERT 1234")
        sock = world.divert()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100)
        assert world.router.send(udp("10.0.0.1", RIGHT, data=bytes(200))) == 0
        assert world.dropped == {Reason.SOCKET_FULL: 1}

    @EVERY
    @pytest.mark.statement("linux.md D19")
    def test_d19_multicast_goes_out_where_the_program_says(self, profile: str) -> None:
        """Without IP_MULTICAST_IF a foreign source goes by the routes; with it, by that address's interface."""
        world = World(profile)
        sock = world.divert()
        datagram = udp("203.0.113.5", "224.1.2.3")
        sock.sendto(datagram, ANYWHERE)
        assert (len(world.eth0.sent), len(world.eth1.sent)) == (0, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(ROUTER))
        sock.sendto(datagram, ANYWHERE)
        assert (len(world.eth0.sent), len(world.eth1.sent)) == (1, 1)
        sock.sendto(udp("203.0.113.5", RIGHT), ANYWHERE)
        assert len(world.eth1.sent) == 2, "other destinations are routed as ever"
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, bytes(4))
        sock.sendto(datagram, ANYWHERE)
        assert len(world.eth1.sent) == 3

    @EVERY
    @pytest.mark.statement("linux.md T4")
    @pytest.mark.parametrize(
        ("value", "number"),
        [
            (socket.inet_aton("203.0.113.5"), errno.EADDRNOTAVAIL),
            (bytes(3), errno.EINVAL),
            (bytes(4) + socket.inet_aton("203.0.113.5") + bytes(4), errno.EADDRNOTAVAIL),
        ],
    )
    def test_t4_the_address_must_be_this_hosts(self, profile: str, value: bytes, number: int) -> None:
        world = World(profile)
        with pytest.raises(OSError) as caught:
            world.divert().setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, value)
        assert caught.value.errno == number
