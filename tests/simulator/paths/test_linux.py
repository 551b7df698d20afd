"""Receiving, delivering and forwarding by Linux 2.2: short exchanges, named by the statements of linux.md section 4."""

from __future__ import annotations

import socket

import pytest
from datagrams import address, ip, pieces, ping, tcp, udp
from worlds import GOOD, LEFT, RIGHT, ROUTER, World, broken, error, forwarded, hooks

from simulator import Reason
from simulator.fragments import LINUX, fragment
from simulator.wire import icmp, ipv4
from simulator.wire.ipv4 import View

pytestmark = pytest.mark.profiles("linux-2.2")
EVERY = pytest.mark.parametrize("profile", ["linux-2.2", "linux-2.0"])


class TestReceiving:
    @EVERY
    @pytest.mark.statement("linux.md H1")
    @pytest.mark.parametrize(
        ("octets", "reason"),
        [
            (b"", Reason.TOO_SHORT),
            (GOOD[:19], Reason.TOO_SHORT),
            (broken(GOOD, o0=0x65), Reason.NOT_IPV4),
            (broken(GOOD, o0=0x55), Reason.BAD_VERSION),
            (broken(GOOD, o0=0x44), Reason.BAD_HEADER_LENGTH),
            (broken(GOOD, o0=0x40), Reason.BAD_HEADER_LENGTH),
            (broken(GOOD, o0=0x4F), Reason.BAD_HEADER_LENGTH),
            (broken(GOOD, o10=0, sum=0), Reason.BAD_CHECKSUM),
            (broken(GOOD, o8=63, sum=0), Reason.BAD_CHECKSUM),
            (GOOD[:-1], Reason.TRUNCATED),
            (broken(GOOD, o2=0xFF), Reason.TRUNCATED),
            (broken(GOOD, o2=0, o3=19), Reason.BAD_LENGTH),
            (broken(GOOD, o2=0, o3=0), Reason.BAD_LENGTH),
        ],
    )
    def test_h1_header_faults_are_silent_and_before_the_chain(
        self, profile: str, octets: bytes, reason: Reason
    ) -> None:
        world = World(profile)
        world.eth0.receive(octets)
        assert world.dropped == {reason: 1}
        assert world.packets("input") == 0
        assert not world.eth0.sent
        assert not world.eth1.sent

    @EVERY
    @pytest.mark.statement("linux.md H1")
    def test_h1_padding_is_trimmed(self, profile: str) -> None:
        world = World(profile)
        world.eth0.receive(GOOD + bytes(18))
        assert world.eth1.sent == [forwarded(GOOD)]

    @EVERY
    @pytest.mark.statement("linux.md H1")
    def test_h1_any_buffer_is_taken(self, profile: str) -> None:
        world = World(profile)
        world.eth0.receive(memoryview(bytearray(GOOD)))  # type: ignore[arg-type]
        assert world.eth1.sent == [forwarded(GOOD)]

    @pytest.mark.statement("linux.md H2")
    def test_h2_the_input_chain_sees_martians_and_fragments(self) -> None:
        world = World()
        world.eth0.receive(udp(ROUTER, RIGHT))
        for piece in pieces(udp(LEFT, ROUTER, data=bytes(100)), 68):
            world.eth0.receive(piece)
        assert world.packets("input") == 1 + 3
        assert world.dropped == {Reason.MARTIAN_SOURCE: 1}

    @EVERY
    @pytest.mark.statement("linux.md H3")
    @pytest.mark.parametrize("destination", [RIGHT, ROUTER])
    def test_h3_deny_is_silent(self, profile: str, destination: str) -> None:
        world = World(profile, "-P input DENY")
        world.eth0.receive(udp(LEFT, destination))
        assert world.dropped == {Reason.DENIED: 1}
        assert not world.eth0.sent

    @EVERY
    @pytest.mark.statement("linux.md H3")
    def test_h3_reject_says_port_unreachable(self, profile: str) -> None:
        world = World(profile, "-P input REJECT")
        world.eth0.receive(GOOD)
        assert error(world.eth0.sent[0]) == (3, 3, 0, GOOD)
        assert world.dropped == {Reason.REJECTED: 1}

    @pytest.mark.statement("linux.md H3")
    @pytest.mark.parametrize("source", [ROUTER, "127.0.0.1"])
    def test_h3_reject_is_silent_when_routing_fails(self, source: str) -> None:
        world = World("linux-2.2", "-P input REJECT")
        world.eth0.receive(udp(source, RIGHT))
        world.eth0.receive(udp(LEFT, "127.0.0.1"))
        assert world.router.ledger.generated == 0
        assert world.dropped == {Reason.REJECTED: 2}

    def test_z2_linux_2_0_rejects_before_routing(self) -> None:
        world = World("linux-2.0", "-P input REJECT")
        world.eth0.receive(udp(LEFT, "127.0.0.9"))
        assert error(world.eth0.sent[0])[:2] == (3, 3)

    @EVERY
    @pytest.mark.statement("linux.md H3")
    def test_h3_reject_reaches_a_sender_on_this_host(self, profile: str) -> None:
        """Loopback packets keep their route, so REJECT need not look for one."""
        world = World(profile, "-A input -p udp -j REJECT")
        assert world.router.send(udp(ROUTER, "10.0.0.1")) == 0
        assert error(world.router.delivered[-1])[:2] == (3, 3)

    @EVERY
    @pytest.mark.statement("linux.md H3")
    def test_h3_redirect_delivers_here(self, profile: str) -> None:
        world = World(profile, "-A input -p udp -d 0/0 53 -j REDIRECT 5353")
        sock = world.router.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("0.0.0.0", 5353))
        world.eth0.receive(udp(LEFT, "8.8.8.8", ports=(4000, 53), data=b"who?"))
        assert sock.recvfrom(100) == (b"who?", (LEFT, 4000))

    @EVERY
    @pytest.mark.statement("linux.md H3")
    def test_h3_redirect_of_loopback_packets(self, profile: str) -> None:
        world = World(profile, "-A input -p udp -d 0/0 53 -j REDIRECT 5353")
        sock = world.router.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("0.0.0.0", 5353))
        world.router.send(udp("127.0.0.1", "127.0.0.1", ports=(4000, 53), data=b"me"))
        assert sock.recvfrom(100) == (b"me", ("127.0.0.1", 4000))

    @EVERY
    @pytest.mark.statement("linux.md H3")
    def test_h3_redirect_remembers_its_port_through_reassembly(self, profile: str) -> None:
        world = World(profile, "-A input -p udp -d 0/0 53 -j REDIRECT 5353", "-A input -p udp -f -j REDIRECT 5353")
        sock = world.router.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("0.0.0.0", 5353))
        for piece in pieces(udp(LEFT, "8.8.8.8", ports=(4000, 53), data=bytes(100)), 68):
            world.eth0.receive(piece)
        assert sock.recv(200) == bytes(100)

    @pytest.mark.statement("linux.md H3")
    @pytest.mark.parametrize("policy", ["ACCEPT", "DENY"])
    def test_h3_masq_in_the_input_chain_passes(self, policy: str) -> None:
        world = World("linux-2.2", "-N user", "-A user -j MASQ", "-A input -j user", f"-P input {policy}")
        world.eth0.receive(GOOD)
        assert world.eth1.sent == [forwarded(GOOD)]


class TestDelivery:
    @EVERY
    @pytest.mark.statement("linux.md H4")
    def test_h4_fragments_are_put_together_here(self, profile: str) -> None:
        world = World(profile)
        whole = ping(LEFT, ROUTER, data=bytes(range(200)), identification=77)
        for piece in reversed(pieces(whole, 68)):
            world.eth0.receive(piece)
        assert world.router.delivered[0] == whole
        assert ipv4.payload(world.eth0.sent[0]) == icmp.reply_to(ipv4.payload(whole))
        assert world.dropped == {}

    @EVERY
    @pytest.mark.statement("linux.md H4")
    def test_h4_a_protocol_that_nobody_speaks(self, profile: str) -> None:
        world = World(profile)
        world.eth0.receive(asked := ip(LEFT, ROUTER, 99))
        assert error(world.eth0.sent[0]) == (3, 2, 0, asked)

    @pytest.mark.statement("linux.md R3")
    def test_r3_a_datagram_whose_rest_does_not_come(self) -> None:
        world = World()
        first, second, _ = pieces(udp(LEFT, ROUTER, data=bytes(100)), 68)
        world.eth0.receive(first)
        world.router.clock.advance(20)
        world.eth0.receive(second)  # restarts the timer
        world.router.clock.advance(29.9)
        assert world.router.ledger.held == 2
        world.router.clock.advance(0.2)
        assert error(world.eth0.sent[0]) == (11, 1, 0, first)
        assert world.dropped == {Reason.REASSEMBLY_TIMEOUT: 2}
        assert world.router.clock.next_deadline() is None

    @EVERY
    @pytest.mark.statement("linux.md R3")
    def test_r3_no_word_without_the_first_fragment(self, profile: str) -> None:
        world = World(profile)
        world.eth0.receive(pieces(udp(LEFT, ROUTER, data=bytes(100)), 68)[1])
        world.router.clock.advance(31)
        assert not world.eth0.sent
        assert world.dropped == {Reason.REASSEMBLY_TIMEOUT: 1}

    @EVERY
    @pytest.mark.statement("linux.md R3")
    def test_r3_no_word_when_all_is_defragmented(self, profile: str) -> None:
        world = World(profile, always_defragment=True)
        world.eth0.receive(pieces(udp(LEFT, ROUTER, data=bytes(100)), 68)[0])
        world.router.clock.advance(31)
        assert not world.eth0.sent
        assert world.dropped == {Reason.REASSEMBLY_TIMEOUT: 1}

    @EVERY
    @pytest.mark.statement("linux.md R1")
    def test_r1_always_defragment_is_before_the_input_chain(self, profile: str) -> None:
        world = World(profile, always_defragment=True)
        whole = udp(LEFT, RIGHT, data=bytes(3000))
        parts = pieces(whole, 1500)
        for part in parts:
            world.eth0.receive(part)
        assert world.packets("input") == world.packets("forward") == world.packets("output") == 1
        assert world.eth1.sent == fragment(forwarded(whole), 1500, style=LINUX)
        assert world.dropped == {}

    @EVERY
    @pytest.mark.statement("linux.md H2")
    def test_h2_forwarded_fragments_stay_fragments(self, profile: str) -> None:
        world = World(profile)
        parts = pieces(udp(LEFT, RIGHT, data=bytes(3000)), 1500)
        for part in parts:
            world.eth0.receive(part)
        assert world.eth1.sent == [forwarded(part) for part in parts]


class TestForwarding:
    @EVERY
    @pytest.mark.statement("linux.md D20")
    def test_d20_the_three_chains(self, profile: str) -> None:
        world = World(profile)
        with world.router.trace() as trace:
            world.eth0.receive(GOOD)
        assert hooks(trace) == [("input", "eth0"), ("forward", "eth1"), ("output", "eth1")]
        assert world.eth1.sent == [forwarded(GOOD)]

    @EVERY
    @pytest.mark.statement("linux.md D20")
    def test_d20_own_datagrams_meet_the_output_chain(self, profile: str) -> None:
        world = World(profile)
        with world.router.trace() as trace:
            world.router.send(udp("10.0.0.1", RIGHT))
        assert hooks(trace) == [("output", "eth1")]

    @EVERY
    @pytest.mark.statement("linux.md D20")
    def test_d20_datagrams_for_the_host_meet_the_input_chain(self, profile: str) -> None:
        world = World(profile)
        with world.router.trace() as trace:
            world.eth0.receive(tcp(LEFT, ROUTER, flags=4))
        assert hooks(trace) == [("input", "eth0")]

    @EVERY
    @pytest.mark.statement("linux.md H6")
    def test_h6_forward_and_output_name_the_outgoing_interface(self, profile: str) -> None:
        world = World(profile, "-A forward -i eth0 -j DENY", "-A output -i eth0 -j DENY", "-A input -i eth1 -j DENY")
        world.eth0.receive(GOOD)
        assert world.eth1.sent == [forwarded(GOOD)]

    @EVERY
    @pytest.mark.statement("linux.md H5")
    @pytest.mark.parametrize("ttl", [0, 1])
    def test_h5_time_exceeded_before_any_chain(self, profile: str, ttl: int) -> None:
        world = World(profile)
        with world.router.trace() as trace:
            world.eth0.receive(asked := udp(LEFT, RIGHT, ttl=ttl))
        assert error(world.eth0.sent[0]) == (11, 0, 0, asked)
        assert hooks(trace) == [("input", "eth0"), ("output", "eth0")]
        assert world.dropped == {Reason.TTL_EXCEEDED: 1}
        assert View(world.eth0.sent[0]).source == address(ROUTER)

    @EVERY
    @pytest.mark.statement("linux.md H5")
    def test_h5_do_not_fragment(self, profile: str) -> None:
        world = World(profile)
        world.eth1.mtu = 576
        asked = udp(LEFT, RIGHT, data=bytes(1000), fragment=0x4000)
        world.eth0.receive(asked)
        kind, code, mtu, quoted = error(world.eth0.sent[0])
        assert (kind, code, mtu) == (3, 4, 576)
        assert quoted == forwarded(asked)[:548]
        assert world.packets("forward") == 0
        assert world.dropped == {Reason.NEEDS_FRAGMENTING: 1}

    @EVERY
    @pytest.mark.statement("linux.md H5")
    def test_h5_fragments_after_the_chains(self, profile: str) -> None:
        world = World(profile)
        world.eth1.mtu = 576
        asked = udp(LEFT, RIGHT, data=bytes(1000))
        world.eth0.receive(asked)
        assert world.eth1.sent == fragment(forwarded(asked), 576, style=LINUX)
        assert world.packets("output") == 1
        assert world.dropped == {}

    @EVERY
    @pytest.mark.statement("linux.md H5")
    def test_h5_redirect_before_the_chain(self, profile: str) -> None:
        world = World(profile, "-P forward DENY")
        world.router.add_route("172.16.0.0/16", via="192.168.1.254")
        world.eth0.receive(asked := udp(LEFT, "172.16.0.1"))
        assert error(world.eth0.sent[0]) == (5, 1, address("192.168.1.254"), asked)
        assert world.dropped == {Reason.DENIED: 1}

    @pytest.mark.parametrize(
        ("rules", "reason", "code"),
        [
            (["-P forward DENY"], Reason.DENIED, None),
            (["-P forward REJECT"], Reason.REJECTED, 1),
            (["-N user", "-A user -p udp -d 0/0 6000 -j REDIRECT 1", "-A forward -j user"], Reason.DENIED, None),
            (["-P output DENY", "-A output -p icmp -j ACCEPT"], Reason.DENIED, None),
            (["-A output -p udp -j REJECT"], Reason.REJECTED, 1),
        ],
        ids=["H7 deny", "H7 reject", "H7 redirect", "H8 deny", "H8 reject"],
    )
    @pytest.mark.statement("linux.md H7", "linux.md H8")
    def test_refusals_of_forwarded_datagrams(self, rules: list[str], reason: Reason, code: int | None) -> None:
        world = World("linux-2.2", *rules)
        world.eth0.receive(GOOD)
        assert world.dropped == {reason: 1}
        assert not world.eth1.sent
        assert [error(each)[:2] for each in world.eth0.sent] == ([] if code is None else [(3, code)])

    @EVERY
    @pytest.mark.statement("linux.md H7")
    def test_h7_masq_and_accept_pass(self, profile: str) -> None:
        world = World(profile, "-P forward DENY", "-A forward -j ACCEPT")
        world.eth0.receive(GOOD)
        assert world.eth1.sent == [forwarded(GOOD)]

    @EVERY
    @pytest.mark.statement("linux.md H14")
    def test_h14_without_forwarding_only_the_input_chain_sees_it(self, profile: str) -> None:
        world = World(profile, forwarding=False)
        world.eth0.receive(GOOD)
        world.eth0.receive(ping(LEFT, ROUTER))
        assert world.packets("input") == 2
        assert world.dropped == {Reason.FORWARDING_OFF: 1}
        assert len(world.eth0.sent) == 1

    @EVERY
    def test_f33_a_changed_tos_gets_the_right_checksum(self, profile: str) -> None:
        world = World(profile, "-A forward -t 01 10 -m 7", "-A output -t 01 02")
        world.eth0.receive(udp(LEFT, RIGHT, tos=1))
        assert ipv4.parse(world.eth1.sent[0]).tos == ((1 & 0x01) ^ 0x10) & 0x01 ^ 0x02


class TestMartians:
    """T3: what ip_route_input does not believe, silently."""

    @EVERY
    @pytest.mark.statement("linux.md T3")
    @pytest.mark.parametrize(
        ("source", "destination", "reason"),
        [
            (ROUTER, RIGHT, Reason.MARTIAN_SOURCE),
            ("10.0.0.1", ROUTER, Reason.MARTIAN_SOURCE),
            ("127.0.0.1", ROUTER, Reason.MARTIAN_SOURCE),
            ("224.0.0.5", RIGHT, Reason.MARTIAN_SOURCE),
            ("240.0.0.5", RIGHT, Reason.MARTIAN_SOURCE),
            ("255.255.255.255", RIGHT, Reason.MARTIAN_SOURCE),
            ("192.168.1.255", RIGHT, Reason.MARTIAN_SOURCE),
            ("0.0.0.0", RIGHT, Reason.MARTIAN_SOURCE),
            ("0.0.0.7", "192.168.1.255", Reason.MARTIAN_SOURCE),
            (LEFT, "127.0.0.1", Reason.MARTIAN_DESTINATION),
            (LEFT, "0.0.0.0", Reason.MARTIAN_DESTINATION),
            (LEFT, "250.1.1.1", Reason.MARTIAN_DESTINATION),
            (LEFT, "224.0.0.9", Reason.NOT_JOINED),
            (ROUTER, "224.0.0.1", Reason.MARTIAN_SOURCE),
        ],
    )
    def test_t3_dropped(self, profile: str, source: str, destination: str, reason: Reason) -> None:
        world = World(profile)
        world.eth0.receive(udp(source, destination))
        assert world.dropped == {reason: 1}
        assert world.router.ledger.generated == 0

    @EVERY
    @pytest.mark.statement("linux.md T3")
    @pytest.mark.parametrize(
        ("source", "destination"),
        [
            ("0.0.0.0", "255.255.255.255"),
            ("0.0.0.9", "255.255.255.255"),
            (LEFT, "255.255.255.255"),
            ("0.0.0.0", "0.0.0.0"),
            (LEFT, "192.168.1.255"),
            (LEFT, "192.168.1.0"),
            (LEFT, "10.0.0.255"),
            (LEFT, "224.0.0.1"),
        ],
    )
    @pytest.mark.parametrize("default", [True, False])
    def test_t3_delivered(self, profile: str, source: str, destination: str, default: bool) -> None:
        world = World(profile)
        if not default:
            world.router.delete_route("0.0.0.0/0")
        world.eth0.receive(asked := udp(source, destination))
        assert world.router.delivered == [asked]
        assert (world.eth0.sent, world.eth1.sent) == ([], [])

    @EVERY
    @pytest.mark.parametrize(
        ("kind", "switches", "heard", "reason"),
        [
            (None, {}, 0, Reason.NO_ROUTE),
            ("reject", {}, 1, Reason.UNREACHABLE_ROUTE),
            ("blackhole", {}, None, Reason.BLACKHOLE_ROUTE),
            (None, {"answers_unroutable": False}, None, Reason.NO_ROUTE),
            (None, {"forwarding": False}, None, Reason.FORWARDING_OFF),
        ],
    )
    def test_routing_that_leads_nowhere_is_told(
        self, profile: str, kind: str | None, switches: dict[str, bool], heard: int | None, reason: Reason
    ) -> None:
        """Network or host unreachable (ip_error); a blackhole, and a host that does not forward, are silent (H14)."""
        world = World(profile, **switches)
        world.router.delete_route("0.0.0.0/0")
        if kind is not None:
            world.router.add_route("172.16.0.0/16", kind=kind)
        world.eth0.receive(lost := udp(LEFT, "172.16.0.1"))
        assert (reason in world.dropped, world.eth1.sent) == (True, [])
        assert [error(octets) for octets in world.eth0.sent] == ([(3, heard, 0, lost)] if heard is not None else [])

    @EVERY
    @pytest.mark.statement("linux.md H3")
    @pytest.mark.parametrize("kind", [None, "reject", "blackhole"])
    def test_h3_reject_counts_an_error_route_as_one(self, profile: str, kind: str | None) -> None:
        world = World(profile, "-A input -j REJECT")
        world.router.delete_route("0.0.0.0/0")
        if kind is not None:
            world.router.add_route("172.16.0.0/16", kind=kind)
        world.eth0.receive(udp(LEFT, "172.16.0.1"))
        assert [error(octets)[:2] for octets in world.eth0.sent] == [(3, 3)]

    @EVERY
    @pytest.mark.statement("linux.md T3")
    def test_t3_answers_follow_the_table(self, profile: str) -> None:
        """The answers that are remembered for a source and a destination are forgotten with the routes."""
        world = World(profile)
        world.eth0.receive(udp(LEFT, "172.16.0.1"))
        assert len(world.eth1.sent) == 1
        world.router.add_route("172.16.0.0/16", kind="blackhole")
        world.eth0.receive(udp(LEFT, "172.16.0.1"))
        assert world.dropped == {Reason.BLACKHOLE_ROUTE: 1}
        world.router.add_address("eth1", "172.16.0.1/32")
        world.eth0.receive(udp(LEFT, "172.16.0.1"))
        assert len(world.router.delivered) == 1
