"""divert, tee and re-entry on the BSDs: short exchanges, named by the statements of bsd.md sections 3 to 7."""

from __future__ import annotations

import errno
import socket

import pytest
from bsd_worlds import ALL, BEFORE_5, LEFT, OUTGOING, OWN, RIGHT, SINCE_8, BsdWorld, echo, fails, queued, with_switch
from datagrams import address, ip, pieces, tcp, udp
from worlds import broken, forwarded

from rules.fields import DONT_FRAGMENT
from simulator import Reason
from simulator.sockets.address import BSD_LAYOUT, Address
from simulator.wire import checksum, ipv4

GOOD = udp(LEFT, RIGHT, data=b"0123456789abcdef")
LOCAL = udp("10.0.0.1", RIGHT, data=b"0123456789abcdef")

every = pytest.mark.parametrize("profile", ALL)
since_8 = pytest.mark.parametrize("profile", SINCE_8)
before_5 = pytest.mark.parametrize("profile", BEFORE_5)


def towards(host: str, tag: int = 0, name: bytes = b"") -> bytes:
    """A sockaddr_in as a C program fills it in."""
    return BSD_LAYOUT.pack(address(host), tag, name.ljust(8, b"\0"))


class TestAddress:
    @pytest.mark.statement("bsd.md R-2")
    @every
    def test_r2_the_rule_number_in_host_order(self, profile: str) -> None:
        world = BsdWorld(profile, "500 divert 8668 ip from any to any")
        sock = world.divert()
        world.em0.receive(GOOD)
        _, sender = sock.recvfrom(65535)
        assert sender[1] == 500
        assert sender.packed[2:4] == (500).to_bytes(2, "little")
        swapped = BsdWorld(profile, "500 divert 8668 ip from any to any", tag_byte_order="host")
        sock = swapped.divert()
        swapped.em0.receive(GOOD)
        assert sock.recvfrom(65535)[1][1] == 62465

    @pytest.mark.statement("bsd.md R-3")
    @every
    def test_r3_incoming_the_first_address_of_the_receiving_interface(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any in")
        world.router.add_address("em0", "192.168.5.1/24")
        bare = world.router.add_interface("em2")
        sock = world.divert()
        world.em0.receive(udp("192.168.5.2", RIGHT))
        bare.receive(GOOD)
        assert [sender[0] for _, sender in queued(sock)] == [OWN, "0.0.0.0"]

    @pytest.mark.statement("bsd.md R-3")
    @every
    def test_r3_from_an_addressless_interface_an_unchanged_address_means_outgoing(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any in", "200 count ip from any to any out recv em2")
        bare = world.router.add_interface("em2")
        sock = world.divert()
        bare.receive(GOOD)
        assert echo(sock) == 1
        assert world.em1.sent == [GOOD], "without the TTL lowered"
        assert world.matched(200) == [1]

    @pytest.mark.statement("bsd.md R-4")
    @every
    def test_r4_outgoing_is_0_0_0_0(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any out")
        sock = world.divert()
        world.router.send(LOCAL)
        world.em0.receive(GOOD)
        assert [sender[0] for _, sender in queued(sock)] == ["0.0.0.0", "0.0.0.0"]

    @pytest.mark.statement("bsd.md R-5")
    @every
    def test_r5_the_name_of_the_receive_interface_forwarded_or_not(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any")
        sock = world.divert()
        world.em0.receive(GOOD)
        octets, sender = sock.recvfrom(65535)
        sock.sendto(octets, sender)
        world.router.send(LOCAL)
        (_, through), (_, local) = queued(sock)
        assert (through[0], through.interface, through.packed[8:]) == ("0.0.0.0", "em0", b"em0".ljust(8, b"\0"))
        assert (local.interface, local.packed[8:]) == (None, bytes(8))

    @pytest.mark.statement("bsd.md R-6")
    @every
    def test_r6_seven_characters_of_the_name(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any in")
        sock = world.divert()
        world.router.add_interface("wireguard0", "10.7.0.1/24").receive(udp("10.7.0.2", RIGHT))
        _, sender = sock.recvfrom(65535)
        assert sender.packed[8:] == b"wiregua\0"

    @pytest.mark.statement("bsd.md R-19")
    @every
    def test_r19_without_a_listener_packets_are_lost_in_silence(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any")
        world.em0.receive(GOOD)
        assert world.router.send(LOCAL) == 0
        assert world.dropped == {Reason.NO_LISTENER: 2}
        assert not world.sent
        counted = 2 if profile in with_switch("counts_unheard", True) else 0
        assert world.counters.get("noproto", 0) == counted
        assert world.counters.get("delivered", 0) == -counted

    @pytest.mark.statement("bsd.md R-17")
    @every
    def test_r17_overflow(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any")
        world.divert().setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100)
        for _ in range(3):
            world.em0.receive(GOOD)
        assert world.router.ledger.diverted == 1
        assert world.dropped == {Reason.SOCKET_FULL: 2}
        counted = profile in with_switch("counts_overflow", True)
        assert world.counters.get("noproto", 0) == (2 if counted else 0)

    @pytest.mark.statement("bsd.md R-18")
    @every
    def test_r18_one_socket_sees_rules_and_directions_in_order(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 udp from any to any", "200 divert 8668 ip from any to any")
        sock = world.divert()
        world.em0.receive(GOOD)
        world.router.send(ip("10.0.0.1", RIGHT, 200))
        world.em0.receive(tcp(LEFT, RIGHT))
        assert [sender.tag for _, sender in queued(sock)] == [100, 200, 200]


class TestWriting:
    @pytest.mark.statement("bsd.md W-7")
    @every
    def test_w7_the_address_decides_the_direction(self, profile: str) -> None:
        world = BsdWorld(profile, "100 count ip from any to any in", "200 count ip from any to any out")
        sock = world.unbound()
        sock.sendto(GOOD, OUTGOING)
        assert (world.matched(100), world.matched(200)) == ([0], [1])
        sock.sendto(GOOD, (OWN, 0))
        assert (world.matched(100), world.matched(200)) == ([1], [2])

    @pytest.mark.statement("bsd.md W-3", "bsd.md S-7")
    @every
    def test_w3_s7_no_address(self, profile: str) -> None:
        world = BsdWorld(profile)
        sock = world.divert()
        if profile in BEFORE_5:
            assert sock.send(LOCAL) == len(LOCAL)
            assert world.em1.sent == [LOCAL]
        else:
            with fails(errno.EDESTADDRREQ):
                sock.send(LOCAL)

    @pytest.mark.statement("bsd.md W-8")
    @every
    def test_w8_the_name_comes_first(self, profile: str) -> None:
        world = BsdWorld(
            profile, "100 count ip from any to any in recv em1", "200 count ip from any to any out recv em1"
        )
        sock = world.unbound()
        sock.sendto(GOOD, towards("203.0.113.77", name=b"em1"))
        assert world.matched(100) == [1]
        sock.sendto(GOOD, towards("0.0.0.0", name=b"em1"))
        assert world.matched(200) == [2]

    @pytest.mark.statement("bsd.md W-8")
    @every
    @pytest.mark.parametrize("name", [b"em9", b"", b"em1longg"])
    def test_w8_other_names_are_as_if_absent(self, profile: str, name: bytes) -> None:
        world = BsdWorld(profile, "100 count ip from any to any in recv em0")
        sock = world.unbound()
        sock.sendto(GOOD, towards(OWN, name=name))
        assert world.matched(100) == [1]
        with fails(errno.EADDRNOTAVAIL):
            sock.sendto(GOOD, towards("203.0.113.77", name=name))

    @pytest.mark.statement("bsd.md W-9")
    @every
    @pytest.mark.parametrize("host", ["10.0.0.1", "127.0.0.1", "192.168.1.255"])
    def test_w9_own_and_broadcast_addresses_do(self, profile: str, host: str) -> None:
        assert BsdWorld(profile).unbound().sendto(GOOD, (host, 0)) == len(GOOD)

    @pytest.mark.statement("bsd.md W-9")
    @every
    @pytest.mark.parametrize("host", [LEFT, "192.168.1.0", "255.255.255.255", "224.0.0.1", "203.0.113.77"])
    def test_w9_others_do_not(self, profile: str, host: str) -> None:
        with fails(errno.EADDRNOTAVAIL):
            BsdWorld(profile).unbound().sendto(GOOD, (host, 0))

    @pytest.mark.statement("bsd.md W-11")
    @every
    def test_w11_total_length_and_octets_written(self, profile: str) -> None:
        world = BsdWorld(profile)
        sock = world.unbound()
        with fails(errno.EINVAL):
            sock.sendto(LOCAL[:-1], OUTGOING)
        sock.sendto(LOCAL + b"more", OUTGOING)
        assert world.em1.sent == [LOCAL + b"more"]
        sock.sendto(GOOD[:-1], (OWN, 0))
        assert world.counters["tooshort"] == 1
        sock.sendto(GOOD + b"more", (OWN, 0))
        assert world.em1.sent[1] == forwarded(GOOD)

    @pytest.mark.statement("bsd.md W-12")
    @every
    def test_w12_options_in_the_header_and_on_the_socket(self, profile: str) -> None:
        world = BsdWorld(profile)
        sock = world.unbound()
        record = bytes((7, 7, 4, 0, 0, 0, 0, 0))
        with_options = udp("10.0.0.1", RIGHT, options=record)
        if profile in ("freebsd-14", "dragonfly"):
            with fails(errno.ENOPROTOOPT):
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, record)
            sock.sendto(with_options, OUTGOING)
            return
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, record)
        with fails(errno.EINVAL):
            sock.sendto(with_options, OUTGOING)
        assert sock.sendto(with_options, (OWN, 0)) == len(with_options)
        world.em1.sent.clear()
        sock.sendto(LOCAL, OUTGOING)
        assert ipv4.View(world.em1.sent[0]).options == record

    @pytest.mark.statement("bsd.md W-13")
    @every
    def test_w13_the_header_is_used_as_supplied_but_for_source_and_checksum(self, profile: str) -> None:
        world = BsdWorld(profile)
        odd = udp("0.0.0.0", RIGHT, identification=0, ttl=0, tos=0xFF)
        world.unbound().sendto(broken(odd, o10=0xDE, o11=0xAD, sum=0), OUTGOING)
        (sent,) = world.em1.sent
        assert sent[12:16] == address("10.0.0.1").to_bytes(4, "big")
        assert checksum.verify(sent[:20])
        assert sent[:10] + sent[16:] == odd[:10] + odd[16:]

    @pytest.mark.statement("bsd.md W-14")
    @every
    def test_w14_dont_route(self, profile: str) -> None:
        world = BsdWorld(profile)
        sock = world.unbound()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, 1)
        with fails(errno.ENETUNREACH):
            sock.sendto(udp("10.0.0.1", "203.0.113.1"), OUTGOING)
        sock.sendto(LOCAL, OUTGOING)
        assert ipv4.View(world.em1.sent[0]).ttl == 1

    @pytest.mark.statement("bsd.md W-15")
    @every
    def test_w15_errors_of_output(self, profile: str) -> None:
        world = BsdWorld(profile, "100 deny ip from any to 10.0.0.66", mtu=576)
        sock = world.unbound()
        with fails(errno.EACCES):
            sock.sendto(udp("10.0.0.1", "10.0.0.66"), OUTGOING)
        with fails(errno.EADDRNOTAVAIL):
            sock.sendto(udp("127.0.0.1", RIGHT), OUTGOING)
        with fails(errno.EMSGSIZE):
            sock.sendto(udp("10.0.0.1", RIGHT, data=bytes(1000), fragment=DONT_FRAGMENT), OUTGOING)
        with fails(errno.EMSGSIZE):
            sock.sendto(udp("10.0.0.1", "10.0.0.255", data=bytes(1000)), OUTGOING)
        world.em1.up = False
        with fails(errno.EHOSTUNREACH):
            sock.sendto(LOCAL, OUTGOING)

    @pytest.mark.statement("bsd.md W-16")
    @every
    def test_w16_too_large_is_cut(self, profile: str) -> None:
        world = BsdWorld(profile, mtu=576)
        world.unbound().sendto(udp("10.0.0.1", RIGHT, data=bytes(1000)), OUTGOING)
        assert len(world.em1.sent) == 2

    @pytest.mark.statement("bsd.md W-17")
    @every
    def test_w17_multicast_leaves_with_ttl_1_and_comes_back(self, profile: str) -> None:
        world = BsdWorld(profile)
        world.unbound().sendto(udp("10.0.0.1", "239.1.2.3", ttl=9), OUTGOING)
        assert ipv4.View(world.em1.sent[0]).ttl == 1
        assert len(world.router.delivered) == 1

    @pytest.mark.statement("bsd.md W-18", "bsd.md W-19")
    @every
    def test_w18_w19_incoming_never_fails(self, profile: str) -> None:
        world = BsdWorld(profile)
        bad = broken(GOOD, o10=1, sum=0)
        assert world.unbound().sendto(bad, (OWN, 0)) == len(bad)
        assert world.dropped == {Reason.BAD_CHECKSUM: 1}

    @pytest.mark.statement("bsd.md W-20")
    @pytest.mark.parametrize("profile", with_switch("restores_broadcast", False))
    def test_w20_a_broadcast_written_back_is_one_no_more(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any in")
        sock = world.divert()
        broadcast = udp(LEFT, "192.168.1.255")
        world.em0.receive(broadcast)
        echo(sock)
        forwarded_it = forwarded(broadcast) in world.em0.sent
        assert forwarded_it == (profile in with_switch("fast_forward", True))
        assert len(world.router.delivered) == (not forwarded_it)

    @pytest.mark.statement("bsd.md W-20")
    @pytest.mark.parametrize("profile", with_switch("restores_broadcast", True))
    def test_w20_a_broadcast_written_back_is_one_again(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any in")
        sock = world.divert()
        world.em0.receive(udp(LEFT, "192.168.1.255"))
        echo(sock)
        assert len(world.router.delivered) == 1

    @pytest.mark.statement("bsd.md W-6")
    @pytest.mark.parametrize(
        ("profile", "number"),
        [("freebsd-10", errno.EINVAL), ("freebsd-11", errno.EINVAL), ("freebsd-13", errno.EAFNOSUPPORT)],
    )
    def test_w6_the_version_is_looked_at(self, profile: str, number: int) -> None:
        sock = BsdWorld(profile).unbound()
        for destination in (OUTGOING, (OWN, 0)):
            with fails(number):
                sock.sendto(broken(LOCAL, o0=0x55), destination)

    @pytest.mark.statement("bsd.md W-6")
    @before_5
    def test_w6_the_version_is_not_looked_at(self, profile: str) -> None:
        world = BsdWorld(profile)
        world.unbound().sendto(broken(LOCAL, o0=0x55), OUTGOING)
        assert world.em1.sent == [broken(LOCAL, o0=0x55)]
        world.unbound().sendto(broken(LOCAL, o0=0x55), (OWN, 0))
        assert world.dropped == {Reason.BAD_VERSION: 1}

    @pytest.mark.statement("bsd.md W-24")
    @every
    def test_w24_a_program_may_change_the_direction(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any in")
        sock = world.divert()
        world.em0.receive(GOOD)
        octets, sender = sock.recvfrom(65535)
        sock.sendto(octets, ("0.0.0.0", sender[1]))
        assert world.em1.sent == [GOOD], "the TTL is not lowered"


class TestReentry:
    @pytest.mark.statement("bsd.md X-1")
    @every
    def test_x1_behind_all_rules_of_the_tags_number(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any in")
        for rule in ("100 count ip from any to any in", "101 count ip from any to any in"):
            world.router.ipfw(f"add {rule}")
        sock = world.divert()
        world.em0.receive(GOOD)
        assert echo(sock) == 1
        assert world.matched(100) == [1, 0]
        assert world.matched(101) == [1]

    @pytest.mark.statement("bsd.md X-2")
    @every
    def test_x2_tag_0_is_the_whole_rule_set(self, profile: str) -> None:
        world = BsdWorld(profile, "1 count ip from any to any")
        world.unbound().sendto(LOCAL, ("0.0.0.0", 0))
        assert world.matched(1) == [1]

    @pytest.mark.statement("bsd.md X-3")
    @every
    def test_x3_a_tag_beyond_the_list(self, profile: str) -> None:
        world = BsdWorld(profile)
        sock = world.unbound()
        sock.sendto(LOCAL, ("0.0.0.0", 65534))
        assert world.em1.sent == [LOCAL]
        if profile in BEFORE_5:
            with fails(errno.EACCES):
                sock.sendto(LOCAL, ("0.0.0.0", 65535))
        else:
            sock.sendto(LOCAL, ("0.0.0.0", 65535))
            assert world.em1.sent == [LOCAL, LOCAL]

    @pytest.mark.statement("bsd.md X-4")
    @every
    def test_x4_any_entry_point(self, profile: str) -> None:
        world = BsdWorld(profile, "100 deny ip from any to any", "300 count ip from any to any")
        world.unbound().sendto(LOCAL, ("0.0.0.0", 250))
        assert world.matched(300) == [1]

    @pytest.mark.statement("bsd.md X-5")
    @every
    def test_x5_disabled_sets_are_skipped(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any in", "200 set 3 deny ip from any to any")
        world.router.ipfw("set disable 3")
        sock = world.divert()
        world.em0.receive(GOOD)
        echo(sock)
        assert world.em1.sent == [forwarded(GOOD)]

    @pytest.mark.statement("bsd.md X-6")
    @every
    def test_x6_the_tag_is_used_up_by_the_first_pass(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any")
        sock = world.divert()
        world.em0.receive(GOOD)
        assert [echo(sock), echo(sock)] == [2, 0], "once in the in pass, once in the out pass"
        assert world.em1.sent == [forwarded(GOOD)]

    @pytest.mark.statement("bsd.md X-7")
    @every
    def test_x7_with_tag_0_the_packet_comes_back_for_ever(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any in")
        sock = world.divert()
        world.em0.receive(GOOD)
        for _ in range(20):
            octets, sender = sock.recvfrom(65535)
            sock.sendto(octets, (sender[0], 0))
        assert sock.readable
        assert not world.em1.sent

    @pytest.mark.statement("bsd.md X-9")
    @since_8
    def test_x9_diverted_matches_in_that_pass_alone(self, profile: str) -> None:
        world = BsdWorld(
            profile,
            "100 divert 8668 ip from any to any in",
            "200 count ip from any to any diverted-loopback",
            "210 count ip from any to any diverted-output",
            "220 count ip from any to any diverted",
            "300 tee 9999 ip from any to any in",
            "310 count ip from any to any diverted",
        )
        sock = world.divert()
        world.em0.receive(GOOD)
        echo(sock)
        assert [world.matched(number) for number in (200, 210, 220, 310)] == [[1], [0], [1], [0]]

    @pytest.mark.statement("bsd.md X-10")
    @since_8
    def test_x10_after_a_tee_the_next_rule_of_its_number(self, profile: str) -> None:
        world = BsdWorld(profile, "100 tee 8668 ip from any to any in", "100 count ip from any to any in")
        world.em0.receive(GOOD)
        assert world.matched(100) == [1, 1]


class TestTee:
    @pytest.mark.statement("bsd.md T-1")
    @every
    def test_t1_a_copy_to_the_socket_and_the_original_goes_on(self, profile: str) -> None:
        world = BsdWorld(profile, "100 tee 8668 ip from any to any in")
        sock = world.divert()
        world.em0.receive(GOOD)
        assert [octets for octets, _ in queued(sock)] == [GOOD]
        assert world.em1.sent == [forwarded(GOOD)]

    @pytest.mark.statement("bsd.md T-2")
    @before_5
    def test_t2_the_original_is_accepted_at_once(self, profile: str) -> None:
        world = BsdWorld(profile, "100 tee 8668 ip from any to any in", "200 deny ip from any to any in")
        world.em0.receive(GOOD)
        assert world.em1.sent == [forwarded(GOOD)]

    @pytest.mark.statement("bsd.md T-3")
    @since_8
    def test_t3_the_original_goes_on_at_the_next_rule(self, profile: str) -> None:
        world = BsdWorld(profile, "100 tee 8668 ip from any to any in", "200 deny ip from any to any in")
        world.em0.receive(GOOD)
        assert not world.em1.sent

    @pytest.mark.statement("bsd.md T-4")
    @every
    def test_t4_counted_once_and_without_listener_only_the_copy_is_lost(self, profile: str) -> None:
        world = BsdWorld(profile, "100 tee 8668 ip from any to any in")
        world.em0.receive(GOOD)
        assert world.matched(100) == [1]
        assert world.dropped == {Reason.NO_LISTENER: 1}
        assert world.em1.sent == [forwarded(GOOD)]

    @pytest.mark.statement("bsd.md T-6")
    @every
    def test_t6_a_copy_written_back_is_a_second_packet(self, profile: str) -> None:
        world = BsdWorld(profile, "100 tee 8668 ip from any to any in")
        sock = world.divert()
        world.em0.receive(GOOD)
        echo(sock)
        assert world.em1.sent == [forwarded(GOOD)] * 2

    @pytest.mark.statement("bsd.md T-7")
    @every
    def test_t7_fragments(self, profile: str) -> None:
        world = BsdWorld(profile, "100 tee 8668 ip from any to any in")
        sock = world.divert()
        whole = udp(LEFT, RIGHT, data=bytes(1200))
        for piece in pieces(whole, 576):
            world.em0.receive(piece)
        found = [octets for octets, _ in queued(sock)]
        assert found == ([whole] if profile in BEFORE_5 else pieces(whole, 576))


class TestFragments:
    WHOLE = udp(LEFT, RIGHT, data=bytes(range(200)) * 6)

    @pytest.mark.statement("bsd.md F-1")
    @every
    def test_f1_outgoing_packets_are_seen_whole(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any out", mtu=576)
        sock = world.divert()
        world.router.send(udp("10.0.0.1", RIGHT, data=bytes(1200)))
        assert len(sock.recv(65535)) == 1228

    @pytest.mark.statement("bsd.md F-2")
    @every
    def test_f2_incoming_fragments_are_delivered_as_one_packet(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any in")
        sock = world.divert()
        for piece in reversed(pieces(self.WHOLE, 576)):
            world.em0.receive(piece)
        assert [octets for octets, _ in queued(sock)] == [self.WHOLE]

    @pytest.mark.statement("bsd.md F-2", "bsd.md F-3")
    @every
    def test_f2_f3_outgoing_fragments(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any out")
        sock = world.divert()
        for piece in pieces(self.WHOLE, 576):
            world.em0.receive(piece)
        found = [octets for octets, _ in queued(sock)]
        if profile in BEFORE_5:
            assert [len(octets) for octets in found] == [len(piece) for piece in pieces(self.WHOLE, 576)]
        else:
            assert [len(octets) for octets in found] == [len(self.WHOLE)]

    @pytest.mark.statement("bsd.md F-4")
    @every
    def test_f4_a_rule_with_ports_collects_first_fragments_alone(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 udp from any to any 6000 in")
        sock = world.divert()
        first, *later = pieces(self.WHOLE, 576)
        for piece in (first, *later):
            world.em0.receive(piece)
        assert not sock.readable
        assert world.em1.sent == [forwarded(piece) for piece in later]
        world.router.clock.advance(31)
        assert world.dropped == {Reason.REASSEMBLY_TIMEOUT: 1}
        assert not world.em0.sent, "nobody is told"

    @pytest.mark.statement("bsd.md F-5")
    @every
    def test_f5_the_whole_has_no_fragment_bits_and_a_right_checksum(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any in")
        sock = world.divert()
        for piece in pieces(udp(LEFT, RIGHT, data=bytes(1200), tos=4), 576):
            world.em0.receive(piece)
        octets = sock.recv(65535)
        assert ipv4.View(octets).fragment == 0
        assert checksum.verify(octets[:20])

    @pytest.mark.statement("bsd.md F-6")
    @pytest.mark.parametrize(("profile", "rule"), [(profile, 100 if profile in BEFORE_5 else 200) for profile in ALL])
    def test_f6_whose_rule_counts(self, profile: str, rule: int) -> None:
        world = BsdWorld(
            profile, "100 divert 8668 udp from any to any 6000 in", "200 divert 8668 ip from any to any in"
        )
        sock = world.divert()
        for piece in pieces(self.WHOLE, 576):
            world.em0.receive(piece)
        assert [sender.tag for _, sender in queued(sock)] == [rule]

    @pytest.mark.statement("bsd.md F-7")
    @pytest.mark.parametrize("profile", ALL)
    def test_f7_first_fragment_not_diverted_the_completing_one_is(self, profile: str) -> None:
        world = BsdWorld(profile, "50 allow udp from any to any 6000 in", "100 divert 8668 ip from any to any in")
        sock = world.divert()
        for piece in pieces(udp(LEFT, OWN, data=bytes(1200)), 576):
            world.em0.receive(piece)
        found = (len(queued(sock)), len(world.router.delivered))
        assert found == {"freebsd-4": (0, 1), "dragonfly": (0, 0)}.get(profile, (1, 0))

    @pytest.mark.statement("bsd.md F-8")
    @every
    def test_f8_the_queue_is_that_of_local_delivery(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 udp from any to any 6000 in")
        world.divert()
        last_diverted = [*reversed(pieces(udp(LEFT, OWN, data=bytes(1200)), 576))]
        for piece in last_diverted:
            world.em0.receive(piece)
        assert world.router.ledger.diverted == 1
        assert world.router.ledger.merged == len(last_diverted)

    @pytest.mark.statement("bsd.md F-11")
    @since_8
    def test_f11_reass_goes_on_with_the_whole(self, profile: str) -> None:
        world = BsdWorld(profile, "100 reass ip from any to any in", "200 count udp from any to any 6000 in")
        for piece in pieces(self.WHOLE, 576):
            world.em0.receive(piece)
        assert world.matched(200) == [1]
        assert world.em1.sent == [forwarded(self.WHOLE)]

    @pytest.mark.statement("bsd.md F-11", "bsd.md F-14")
    @since_8
    def test_f11_f14_what_a_sender_gets_for_an_incomplete_fragment(self, profile: str) -> None:
        world = BsdWorld(profile, "100 reass icmp from any to any", "200 divert 8668 ip from any to any out")
        world.divert()
        sock = world.unbound()
        start = pieces(ip("10.0.0.1", RIGHT, 1, bytes(1200)), 576)[0]
        with fails(errno.EACCES):
            sock.sendto(start, OUTGOING)
        start = pieces(udp("10.0.0.1", RIGHT, data=bytes(1200)), 576)[0]
        assert sock.sendto(start, OUTGOING) == len(start)
        assert world.router.ledger.held == 2

    @pytest.mark.statement("bsd.md F-13")
    @every
    def test_f13_too_short_for_its_transport_header(self, profile: str) -> None:
        world = BsdWorld(profile, "100 count ip from any to any")
        world.em0.receive(ip(LEFT, RIGHT, 17, bytes(7)))
        assert world.dropped == {Reason.DENIED: 1}
        assert world.matched(100) == [0]


@every
@pytest.mark.statement("bsd.md P-4")
def test_p4_an_address_survives_octet_for_octet(profile: str) -> None:
    """P-4: what came is what goes back, as 16 octets or as the object."""
    world = BsdWorld(profile, "100 divert 8668 ip from any to any in", "101 count ip from any to any in recv em0")
    sock = world.divert()
    for _ in range(2):
        world.em0.receive(GOOD)
    octets, sender = sock.recvfrom(65535)
    assert isinstance(sender, Address)
    sock.sendto(octets, sender.packed)
    octets, sender = sock.recvfrom(65535)
    sock.sendto(octets, sender)
    assert world.matched(101) == [2]
