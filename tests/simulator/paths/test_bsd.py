"""Receiving, forwarding and sending by the BSDs: short exchanges, named by the statements of bsd.md section 8."""

from __future__ import annotations

import errno
import socket

import pytest
from bsd_worlds import ALL, LEFT, OWN, RIGHT, BsdWorld, with_switch
from datagrams import address, ip, pieces, ping, tcp, udp
from worlds import broken, error, forwarded, hooks

from rules.fields import DONT_FRAGMENT
from simulator import Reason
from simulator.wire import icmp, ipv4

GOOD = udp(LEFT, RIGHT, data=b"0123456789abcdef")

every = pytest.mark.parametrize("profile", ALL)


class TestPasses:
    """H-1: which passes each kind of packet meets."""

    @every
    def test_h1_for_this_host_in(self, profile: str) -> None:
        world = BsdWorld(profile)
        with world.router.trace() as trace:
            world.em0.receive(udp(LEFT, OWN))
        assert hooks(trace)[0] == ("in", "em0")
        assert world.router.delivered == [udp(LEFT, OWN)]

    @every
    def test_h1_forwarded_in_then_out(self, profile: str) -> None:
        world = BsdWorld(
            profile, "100 count ip from any to any in recv em0 via em0", "200 count ip from any to any out"
        )
        world.router.ipfw("add 300 count ip from any to any out recv em0 xmit em1")
        with world.router.trace() as trace:
            world.em0.receive(GOOD)
        assert hooks(trace) == [("in", "em0"), ("out", "em1")]
        assert [world.matched(number) for number in (100, 200, 300)] == [[1], [1], [1]]
        assert world.em1.sent == [forwarded(GOOD)]

    @every
    def test_h1_local_to_elsewhere_out(self, profile: str) -> None:
        world = BsdWorld(profile, "100 count ip from any to any out recv em*")
        with world.router.trace() as trace:
            assert world.router.send(udp("10.0.0.1", RIGHT)) == 0
        assert hooks(trace) == [("out", "em1")]
        assert world.matched(100) == [0]

    @every
    def test_h1_local_to_own_address_out_then_in_on_lo0(self, profile: str) -> None:
        world = BsdWorld(profile)
        with world.router.trace() as trace:
            world.router.send(ip("10.0.0.1", OWN, 200))
        assert hooks(trace)[:2] == [("out", "lo0"), ("in", "lo0")]

    @every
    def test_h1_multicast_is_looped_back(self, profile: str) -> None:
        world = BsdWorld(profile)
        with world.router.trace() as trace:
            world.router.send(udp("10.0.0.1", "224.0.0.9", ttl=5))
        assert hooks(trace) == [("out", "em1"), ("in", "em1")]
        assert ipv4.View(world.em1.sent[0]).ttl == 1


class TestInput:
    @every
    @pytest.mark.parametrize(
        ("octets", "reason", "counter"),
        [
            (GOOD[:19], Reason.TOO_SHORT, "tooshort"),
            (broken(GOOD, o0=0x65), Reason.NOT_IPV4, "badvers"),
            (broken(GOOD, o0=0x44), Reason.BAD_HEADER_LENGTH, "badhlen"),
            (broken(GOOD, o8=63, sum=0), Reason.BAD_CHECKSUM, "badsum"),
            (broken(GOOD, o2=0, o3=19), Reason.BAD_LENGTH, "badlen"),
            (GOOD[:-1], Reason.TRUNCATED, "tooshort"),
            (udp("127.0.0.1", RIGHT), Reason.BAD_ADDRESS, "badaddr"),
        ],
    )
    def test_h2_header_tests_come_before_the_firewall(
        self, profile: str, octets: bytes, reason: Reason, counter: str
    ) -> None:
        world = BsdWorld(profile)
        world.em0.receive(octets)
        assert world.dropped == {reason: 1}
        assert world.counters == {"total": 1, counter: 1}
        assert world.matched(65535) == [0]

    @every
    def test_h2_padding_is_trimmed_before_the_firewall(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any in")
        sock = world.divert()
        world.em0.receive(GOOD + bytes(18))
        assert sock.recv(65535) == GOOD

    @every
    def test_h2_own_addresses_broadcasts_and_groups_are_for_this_host(self, profile: str) -> None:
        world = BsdWorld(profile)
        for destination in (OWN, "10.0.0.1", "192.168.1.255", "255.255.255.255", "239.1.2.3", "0.0.0.0"):
            world.em0.receive(ip(LEFT, destination, 200))
        assert len(world.router.delivered) == (5 if profile in with_switch("refuses_nowhere", True) else 6)

    @every
    def test_h2_options_are_processed_after_the_in_pass(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any in")
        record = bytes((7, 11, 4)) + bytes(8) + b"\0"
        sock = world.divert()
        request = ping(LEFT, OWN, options=record)
        world.em0.receive(request)
        octets, sender = sock.recvfrom(65535)
        assert octets == request
        sock.sendto(octets, sender)
        noted = record[:2] + b"\x08" + address(OWN).to_bytes(4, "big") + bytes(5)
        assert ipv4.View(world.router.delivered[0]).options == noted
        assert ipv4.View(world.em0.sent[0]).options == noted, "the reply takes the record along"

    @every
    def test_h2_source_routes_are_refused(self, profile: str) -> None:
        world = BsdWorld(profile)
        world.em0.receive(udp(LEFT, OWN, options=bytes((131, 7, 4)) + address(RIGHT).to_bytes(4, "big") + b"\0"))
        assert world.dropped == {Reason.BAD_OPTIONS: 1}
        assert error(world.em0.sent[0])[:2] == (3, 5)
        assert list(world.router.messages) == [f"attempted source route from {LEFT} to {OWN}"]

    @every
    def test_h2_malformed_options_are_pointed_at(self, profile: str) -> None:
        world = BsdWorld(profile)
        world.em0.receive(udp(LEFT, RIGHT, options=bytes((7, 40, 4, 0))))
        assert error(world.em0.sent[0])[:3] == (12, 0, 21 << 24)


class TestForwarding:
    @every
    def test_h3_ttl_ends_before_the_out_pass(self, profile: str) -> None:
        world = BsdWorld(profile, "100 count ip from any to any out xmit em1")
        dying = udp(LEFT, RIGHT, data=bytes(40), ttl=1)
        world.em0.receive(dying)
        assert world.matched(100) == [0]
        kind, code, _, quoted = error(world.em0.sent[0])
        assert (kind, code) == (11, 0)
        assert quoted == dying[: len(quoted)]

    @every
    def test_h3_forwarding_switched_off(self, profile: str) -> None:
        world = BsdWorld(profile, forwarding=False)
        world.em0.receive(GOOD)
        assert world.dropped == {Reason.FORWARDING_OFF: 1}
        assert world.counters["cantforward"] == 1

    @every
    def test_h3_no_route_is_told(self, profile: str) -> None:
        world = BsdWorld(profile)
        world.router.delete_route("0.0.0.0/0")
        world.em0.receive(udp(LEFT, "203.0.113.1"))
        assert error(world.em0.sent[0])[:2] == (3, 1)
        assert world.counters["noroute"] == 1

    @every
    def test_h3_what_the_firewall_denies_is_not_told(self, profile: str) -> None:
        world = BsdWorld(profile, "100 deny ip from any to any out")
        world.em0.receive(GOOD)
        assert world.dropped == {Reason.DENIED: 1}
        assert not world.sent

    @every
    def test_h3_needfrag_carries_the_mtu(self, profile: str) -> None:
        world = BsdWorld(profile, mtu=576)
        world.em0.receive(udp(LEFT, RIGHT, data=bytes(600), fragment=DONT_FRAGMENT))
        assert error(world.em0.sent[0])[:3] == (3, 4, 576)

    @every
    def test_h3_link_broadcasts_are_not_forwarded(self, profile: str) -> None:
        world = BsdWorld(profile)
        world.arrive(GOOD, link_broadcast=True)
        assert world.dropped == {Reason.NOT_FOR_US: 1}
        assert not world.sent

    @pytest.mark.parametrize("profile", with_switch("fast_forward", True))
    def test_h4_the_fast_path_keeps_the_checksum_right_and_counts_twice(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any out")
        sock = world.divert()
        world.em0.receive(GOOD)
        assert sock.recv(65535) == forwarded(GOOD)
        assert world.counters == {"total": 2}

    @pytest.mark.parametrize("profile", with_switch("fast_forward", False))
    def test_h4_the_slow_path_leaves_the_received_checksum(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any out")
        sock = world.divert()
        world.em0.receive(GOOD)
        octets = sock.recv(65535)
        assert octets[8] == GOOD[8] - 1
        assert octets[10:12] == GOOD[10:12]
        assert world.counters == {"total": 1, "forward": 1}

    @pytest.mark.parametrize("profile", with_switch("fast_redirects", True))
    def test_h4_the_fast_path_tells_of_a_better_gateway(self, profile: str) -> None:
        world = BsdWorld(profile)
        world.router.add_route("10.9.0.0/16", via="192.168.1.9")
        world.em0.receive(udp(LEFT, "10.9.0.1"))
        sent, told = world.em0.sent
        assert sent == forwarded(udp(LEFT, "10.9.0.1"))
        assert error(told)[:3] == (5, 1, address("192.168.1.9"))

    @pytest.mark.statement("bsd.md F-9")
    @every
    def test_f9_a_forwarded_packet_is_cut_to_the_mtu(self, profile: str) -> None:
        world = BsdWorld(profile, mtu=576)
        whole = udp(LEFT, RIGHT, data=bytes(range(250)) * 4)
        world.em0.receive(whole)
        sent = [ipv4.View(octets) for octets in world.em1.sent]
        assert [view.total_length for view in sent] == [572, 476]
        assert b"".join(octets[20:] for octets in world.em1.sent) == whole[20:]
        assert world.counters["ofragments"] == 2


class TestOutput:
    @every
    def test_h5_the_route_is_chosen_before_the_out_pass(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any out via em1")
        sock = world.divert()
        world.router.send(udp("0.0.0.0", RIGHT))
        assert ipv4.View(sock.recv(65535)).source == address("10.0.0.1")

    @every
    def test_h5_loopback_addresses_are_stopped_after_the_firewall(self, profile: str) -> None:
        world = BsdWorld(profile)
        assert world.router.send(udp("127.0.0.1", RIGHT)) == errno.EADDRNOTAVAIL
        assert world.matched(65535) == [1]

    @every
    def test_h5_fwd_chooses_the_next_hop_and_leaves_the_packet(self, profile: str) -> None:
        world = BsdWorld(profile, "100 fwd 192.168.1.77 ip from any to any out")
        with world.router.trace() as trace:
            world.router.send(udp("10.0.0.1", RIGHT))
        assert world.em0.sent == [udp("10.0.0.1", RIGHT)]
        assert trace.events[-1].address == "192.168.1.77"

    @every
    def test_h6_denied_on_output_is_eacces_on_input_silence(self, profile: str) -> None:
        world = BsdWorld(profile, default_accept=False)
        assert world.router.send(udp("10.0.0.1", RIGHT)) == errno.EACCES
        world.em0.receive(GOOD)
        assert world.dropped == {Reason.DENIED: 2}
        assert not world.sent

    @every
    def test_h7_each_hook_once(self, profile: str) -> None:
        world = BsdWorld(profile, "100 count ip from any to any in", "200 count ip from any to any out")
        world.em0.receive(GOOD)
        assert (world.matched(100), world.matched(200)) == ([1], [1])

    @every
    def test_h7_a_disabled_firewall_is_passed_by(self, profile: str) -> None:
        world = BsdWorld(profile, default_accept=False)
        world.router.ipfw("disable firewall")
        world.em0.receive(GOOD)
        assert world.em1.sent == [forwarded(GOOD)]
        assert world.matched(65535) == [0]

    @every
    def test_h8_divert_comes_before_address_decision_and_fragmentation(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 udp from any to any", mtu=576)
        sock = world.divert()
        world.em0.receive(udp(LEFT, OWN))
        world.router.send(udp("10.0.0.1", RIGHT, data=bytes(2000)))
        assert [len(sock.recv(65535)) for _ in range(2)] == [28, 2028]
        assert not world.router.delivered

    @every
    def test_h9_resets_bypass_the_firewall(self, profile: str) -> None:
        world = BsdWorld(profile, "100 reset tcp from any to any in", default_accept=False)
        world.em0.receive(tcp(LEFT, RIGHT))
        assert len(world.em0.sent) == 1
        reset = world.em0.sent[0]
        assert reset[33] == 0x14
        assert reset[1] == (0x10 if profile in with_switch("reset_tos", 0x10) else 0)

    @every
    def test_h9_errors_of_unreach_meet_the_out_pass(self, profile: str) -> None:
        world = BsdWorld(profile, "100 unreach port udp from any to any in", default_accept=False)
        world.em0.receive(GOOD)
        assert not world.sent
        assert world.dropped == {Reason.REJECTED: 1, Reason.DENIED: 1}


class TestIcmp:
    """H-10."""

    @pytest.mark.parametrize(
        ("profile", "octets"),
        [("freebsd-4", 8), ("dragonfly", 8), ("freebsd-10", 8), ("freebsd-11", 8), ("freebsd-13", 548)],
    )
    def test_h10_quotes(self, profile: str, octets: int) -> None:
        world = BsdWorld(profile)
        world.em0.receive(udp(LEFT, RIGHT, data=bytes(900), ttl=1))
        assert len(error(world.em0.sent[0])[3]) == 20 + octets

    @every
    def test_h10_tcp_headers_are_quoted_whole(self, profile: str) -> None:
        world = BsdWorld(profile)
        world.em0.receive(tcp(LEFT, RIGHT, ttl=1))
        expected = 40 if profile in with_switch("quotes_tcp_header", True) else 28
        assert len(error(world.em0.sent[0])[3]) == expected

    @every
    def test_h10_source_and_ttl(self, profile: str) -> None:
        world = BsdWorld(profile)
        world.em0.receive(udp(LEFT, RIGHT, ttl=1))
        world.em0.receive(udp(LEFT, "10.0.0.1"))
        through, direct = (ipv4.View(octets) for octets in world.em0.sent)
        assert (through.source, through.ttl) == (address(OWN), 64)
        assert direct.source == address("10.0.0.1")

    @every
    @pytest.mark.parametrize(
        "octets",
        [
            pytest.param(pieces(udp(LEFT, RIGHT, data=bytes(2000), ttl=1), 576)[1], id="later fragment"),
            pytest.param(udp("224.0.0.1", RIGHT, ttl=1), id="from a group"),
            pytest.param(udp("0.1.2.3", RIGHT, ttl=1), id="from net 0"),
            pytest.param(udp("240.0.0.1", RIGHT, ttl=1), id="from an experimental address"),
            pytest.param(ip(LEFT, RIGHT, 1, icmp.unreachable(1, GOOD), ttl=1), id="about an error"),
        ],
    )
    def test_h10_no_error_about(self, profile: str, octets: bytes) -> None:
        world = BsdWorld(profile)
        world.em0.receive(octets)
        assert world.dropped == {Reason.TTL_EXCEEDED: 1}
        assert not world.sent

    @every
    def test_h10_about_echo_there_is(self, profile: str) -> None:
        world = BsdWorld(profile)
        world.em0.receive(ping(LEFT, RIGHT, ttl=1))
        assert error(world.em0.sent[0])[:2] == (11, 0)

    @every
    def test_echo_is_answered_with_its_tos(self, profile: str) -> None:
        world = BsdWorld(profile)
        world.em0.receive(ping(LEFT, OWN, tos=0x10))
        reply = ipv4.View(world.em0.sent[0])
        assert (reply.source, reply.destination, reply.tos) == (address(OWN), address(LEFT), 0x10)
        assert icmp.parse(ipv4.payload(world.em0.sent[0])).type == icmp.ECHO_REPLY

    @pytest.mark.parametrize("profile", with_switch("identifies_only_fragmentable", True))
    def test_echo_with_df_is_answered_with_df_and_no_identification(self, profile: str) -> None:
        world = BsdWorld(profile)
        world.em0.receive(ping(LEFT, OWN, fragment=DONT_FRAGMENT))
        reply = ipv4.View(world.em0.sent[0])
        assert (reply.fragment, reply.identification) == (DONT_FRAGMENT, 0)

    @every
    def test_udp_ports_are_served_or_unreachable(self, profile: str) -> None:
        world = BsdWorld(profile)
        with world.router.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("", 7))
            world.em0.receive(udp(LEFT, OWN, ports=(99, 7), data=b"hello"))
            assert sock.recvfrom(100) == (b"hello", (LEFT, 99))
        world.em0.receive(udp(LEFT, OWN, ports=(99, 7)))
        assert error(world.em0.sent[0])[:2] == (3, 3)
