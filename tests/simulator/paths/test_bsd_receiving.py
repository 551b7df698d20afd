"""What a program reads from a BSD's divert socket: octets, lengths, checksums, queues (bsd.md section 3)."""

from __future__ import annotations

import errno
import socket

import pytest
from bsd_worlds import ALL, BEFORE_5, LEFT, OUTGOING, OWN, RIGHT, BsdWorld, echo, fails, queued, with_switch
from datagrams import address, ip, ping, tcp, udp
from worlds import forwarded

from simulator import Reason
from simulator.packet import Packet
from simulator.wire import checksum, icmp, ipv4

GOOD = udp(LEFT, RIGHT, data=b"0123456789abcdef")
LOCAL = udp("10.0.0.1", RIGHT, data=b"0123456789abcdef")
DIVERTS = "100 divert 8668 ip from any to any"

every = pytest.mark.parametrize("profile", ALL)


def complete(octets: bytes) -> bool:
    """Whether the transport checksum is right."""
    packet = ipv4.parse(octets, check=False)
    segment = ipv4.payload(octets)
    if packet.protocol == 1:
        return checksum.verify(segment)
    return checksum.verify_transport(packet.source, packet.destination, packet.protocol, segment)


@every
@pytest.mark.statement("bsd.md S-6")
def test_s6_one_packet_a_read_one_packet_a_write(profile: str) -> None:
    world = BsdWorld(profile, DIVERTS + " in")
    sock = world.divert()
    for packet in (GOOD, ping(LEFT, RIGHT), tcp(LEFT, RIGHT)):
        world.em0.receive(packet)
    assert [sock.recv(65535) for _ in range(3)] == [GOOD, ping(LEFT, RIGHT), tcp(LEFT, RIGHT)]
    sock.sendto(GOOD + LOCAL, (OWN, 100))
    assert world.em1.sent == [forwarded(GOOD)], "what is behind the first packet is no second one"


@every
@pytest.mark.statement("bsd.md R-1", "bsd.md R-21")
@pytest.mark.parametrize("action", ["divert", "tee"])
@pytest.mark.parametrize("way", ["in", "out"])
def test_r1_r21_the_address_is_a_sockaddr_in(profile: str, action: str, way: str) -> None:
    world = BsdWorld(profile, f"700 {action} 8668 ip from any to any {way}")
    sock = world.divert()
    world.em0.receive(GOOD)
    ((_, sender),) = queued(sock)
    host = address(OWN).to_bytes(4, "big") if way == "in" else bytes(4)
    assert sender.packed == bytes((16, socket.AF_INET)) + (700).to_bytes(2, "little") + host + b"em0\0\0\0\0\0"


@every
@pytest.mark.statement("bsd.md R-7")
def test_r7_a_name_cut_short_is_another_interfaces_or_none(profile: str) -> None:
    rules = "150 count ip from any to any recv wireguard0", "160 count ip from any to any recv wiregua"
    world = BsdWorld(profile, DIVERTS + " in", *rules)
    sock = world.divert()
    long = world.router.add_interface("wireguard0", "10.7.0.1/24")
    long.receive(udp("10.7.0.2", LEFT))
    assert echo(sock) == 1
    assert (world.matched(150), world.matched(160)) == ([2], [0]), "by its address, in both passes"
    world.router.add_interface("wiregua")
    long.receive(udp("10.7.0.2", LEFT))
    assert echo(sock) == 1
    assert (world.matched(150), world.matched(160)) == ([2], [2]), "by the name"


@every
@pytest.mark.statement("bsd.md R-9", "bsd.md R-10", "bsd.md R-12")
def test_r9_r10_r12_whole_and_as_it_came_without_padding(profile: str) -> None:
    world = BsdWorld(profile, DIVERTS + " in")
    sock = world.divert()
    odd = udp(LEFT, RIGHT, data=b"x", tos=0x1C, identification=0x1234, ttl=3, options=b"\1\1\1\0", fragment=0x4000)
    world.em0.receive(odd + bytes(30))
    ((octets, _),) = queued(sock)
    assert octets == odd
    assert int.from_bytes(octets[2:4], "big") == len(octets)
    assert checksum.verify(octets[:24])


@every
@pytest.mark.statement("bsd.md R-12", "bsd.md 15.16")
def test_r12_lo0_with_offload_has_no_checksum_and_what_is_written_back_is_lost(profile: str) -> None:
    world = BsdWorld(profile, DIVERTS + " in", loopback_offload=True)
    sock = world.divert()
    world.router.send(ping(OWN, OWN))
    ((octets, sender),) = queued(sock)
    assert octets[10:12] == bytes(2)
    assert sock.sendto(octets, sender) == len(octets)
    assert world.dropped == {Reason.BAD_CHECKSUM: 1}
    assert world.counters["badsum"] == 1


@every
@pytest.mark.statement("bsd.md R-11", "bsd.md R-13")
def test_r11_r13_this_hosts_own_packets_are_complete(profile: str) -> None:
    world = BsdWorld(profile, DIVERTS + " out")
    sock = world.divert()
    speaker = world.router.socket(socket.AF_INET, socket.SOCK_DGRAM)
    speaker.sendto(b"hello", (RIGHT, 53))
    world.router.send(ip("0.0.0.0", RIGHT, 99, identification=0))
    world.em0.receive(ping(LEFT, OWN))
    spoken, raw, reply = [octets for octets, _ in queued(sock)]
    assert complete(spoken)
    assert complete(reply)
    assert icmp.parse(ipv4.payload(reply)).type == 0
    for octets in (spoken, raw, reply):
        packet = ipv4.View(octets)
        assert packet.source == address(OWN if octets is reply else "10.0.0.1")
        assert packet.identification
        assert packet.ttl == 64


@every
@pytest.mark.statement("bsd.md R-13", "bsd.md R-14")
def test_r13_r14_a_forwarded_packet_in_the_out_pass(profile: str) -> None:
    world = BsdWorld(profile, DIVERTS + " out")
    sock = world.divert()
    for packet in (GOOD, udp(LEFT, RIGHT, options=b"\1\1\1\0")):
        world.em0.receive(packet)
    plain, with_options = [octets for octets, _ in queued(sock)]
    assert (plain[8], with_options[8]) == (GOOD[8] - 1, 63)
    assert checksum.verify(plain[:20]) == (profile in with_switch("fast_forward", True))
    assert not checksum.verify(with_options[:24]), "the slow path computes it when it sends"


@every
@pytest.mark.statement("bsd.md R-14")
def test_r14_the_checksum_of_an_own_datagram_is_not_computed_yet(profile: str) -> None:
    world = BsdWorld(profile, DIVERTS + " out")
    sock = world.divert()
    world.router.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"hello", (RIGHT, 53))
    ((octets, sender),) = queued(sock)
    assert octets[10:12] == bytes(2)
    sock.sendto(octets, sender)
    assert checksum.verify(world.em1.sent[0][:20])


@every
@pytest.mark.statement("bsd.md R-15")
def test_r15_short_buffers_peeks_and_flags(profile: str) -> None:
    world = BsdWorld(profile, DIVERTS + " in")
    sock = world.divert()
    for number in range(3):
        world.em0.receive(udp(LEFT, RIGHT, data=b"0123456789", identification=number))
    first, second, third = [udp(LEFT, RIGHT, data=b"0123456789", identification=number) for number in range(3)]
    sock.setblocking(True)
    assert sock.recv(20, socket.MSG_PEEK | socket.MSG_DONTWAIT) == first[:20]
    octets, ancillary, flags, sender = sock.recvmsg(20)
    assert (octets, ancillary, flags, sender.tag) == (first[:20], [], socket.MSG_TRUNC, 100)
    assert sock.recvmsg(0)[:3] == (b"", [], socket.MSG_TRUNC), "a read of nothing takes the packet"
    assert sock.recvmsg(len(third)) == (third, [], 0, (OWN, 100))
    assert second not in [octets for octets, _ in queued(sock)]
    with fails(errno.EAGAIN):
        sock.recv(100, socket.MSG_DONTWAIT)


@every
@pytest.mark.statement("bsd.md R-16")
@pytest.mark.parametrize(("length", "fitting"), [(40, 206), (220, 206), (520, 122), (1020, 63), (1420, 45)])
def test_r16_how_many_fit(profile: str, length: int, fitting: int) -> None:
    """Seen on running kernels: by octets for large packets, by the memory of mbufs for small ones."""
    world = BsdWorld(profile, DIVERTS + " in")
    sock = world.divert()
    for _ in range(fitting + 5):
        world.em0.receive(udp(LEFT, RIGHT, data=bytes(length - 28)))
    assert len(queued(sock)) == fitting
    assert world.dropped == {Reason.SOCKET_FULL: 5}
    world.em0.receive(GOOD)
    assert len(queued(sock)) == 1, "what was read has made room"


@every
@pytest.mark.statement("bsd.md R-16")
def test_r16_to_the_octet(profile: str) -> None:
    world = BsdWorld(profile, DIVERTS + " in")
    sock = world.divert()
    large = udp(LEFT, RIGHT, data=bytes(1300))
    for spare, fitting in ((0, 2), (-1, 1)):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * (len(large) + 16) + spare)
        for _ in range(3):
            world.em0.receive(large)
        assert len(queued(sock)) == fitting


@every
@pytest.mark.statement("bsd.md R-17", "bsd.md R-18")
def test_r17_r18_a_full_queue_loses_what_comes_last_and_the_sender_hears_nothing(profile: str) -> None:
    world = BsdWorld(profile, DIVERTS)
    sock = world.divert()
    sent = [udp("10.0.0.1", RIGHT, data=bytes(1000), identification=number) for number in range(1, 5)]
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * (len(sent[0]) + 16))
    assert [world.router.send(octets) for octets in sent] == [0, 0, 0, 0]
    assert [octets for octets, _ in queued(sock)] == sent[:2]


@every
@pytest.mark.statement("bsd.md R-19", "bsd.md DF-5")
def test_r19_no_listener_is_counted(profile: str) -> None:
    world = BsdWorld(profile, DIVERTS)
    world.em0.receive(GOOD)
    world.divert()
    world.em0.receive(GOOD)
    counters, own = world.counters, world.router.path.divert_statistics()  # type: ignore[union-attr]
    if profile in with_switch("counts_unheard", True):
        assert (counters["noproto"], counters["delivered"]) == (1, -1)
    else:
        assert "noproto" not in counters
    assert own == {"diverted": 1, "noport": 1}


@every
@pytest.mark.statement("bsd.md R-19")
def test_r19_what_divert_sockets_did_is_counted_by_itself(profile: str) -> None:
    world = BsdWorld(profile)
    sock = world.unbound()
    sock.sendto(LOCAL, OUTGOING)
    sock.sendto(GOOD, (OWN, 0))
    sock.sendto(GOOD, (OWN, 0))
    assert world.router.path.divert_statistics() == {"outbound": 1, "inbound": 2}  # type: ignore[union-attr]


@every
@pytest.mark.statement("bsd.md X-11")
def test_x11_rules_may_change_while_a_program_has_the_packet(profile: str) -> None:
    world = BsdWorld(profile, DIVERTS + " in", "200 deny ip from any to any in")
    sock = world.divert()
    for _ in range(2):
        world.em0.receive(GOOD)
    world.router.ipfw("delete 100")
    world.router.ipfw("add 150 allow ip from any to any in")
    octets, sender = sock.recvfrom(65535)
    sock.sendto(octets, sender)
    assert world.em1.sent == [forwarded(GOOD)], "the new rule behind the tag allows it"
    world.router.ipfw("delete 150")
    assert echo(sock) == 1
    assert len(world.em1.sent) == 1


@every
@pytest.mark.statement("bsd.md T-8", "bsd.md T-9")
def test_t8_t9_the_original_of_a_tee_stays_in_its_pass(profile: str) -> None:
    world = BsdWorld(profile, "100 tee 8668 ip from any to any in", "200 count ip from any to any in recv em0 via em0")
    sock = world.divert()
    with world.router.trace() as trace:
        world.em0.receive(GOOD)
    ((octets, _),) = queued(sock)
    assert octets == GOOD, "the copy and the original are the same octets"
    assert world.em1.sent == [forwarded(GOOD)]
    assert world.matched(200) == [0 if profile in BEFORE_5 else 1]
    assert {event.interface for event in trace if event.hook == "in"} == {"em0"}


@every
@pytest.mark.statement("bsd.md P-2")
def test_p2_a_plain_pair_loses_the_name(profile: str) -> None:
    """Two interfaces share an address: the object comes back where it was received, a pair at the first one."""
    world = BsdWorld(profile, DIVERTS + " in", "200 count ip from any to any in recv em0")
    world.router.ipfw("add 300 count ip from any to any in recv em9")
    twin = world.router.add_interface("em9", "192.168.1.1/24")
    sock = world.divert()
    for pair in (False, True):
        twin.receive(GOOD)
        octets, sender = sock.recvfrom(65535)
        assert (sender, sender.interface) == ((OWN, 100), "em9")
        sock.sendto(octets, tuple(sender) if pair else sender)
        assert (world.matched(200), world.matched(300)) == ([int(pair)], [1])


@every
@pytest.mark.statement("bsd.md P-2")
def test_p2_from_an_addressless_interface_a_pair_forgets_where_it_came_from(profile: str) -> None:
    world = BsdWorld(profile, DIVERTS + " in", "200 count ip from any to any out recv em2")
    bare = world.router.add_interface("em2")
    sock = world.divert()
    for expected in (1, 1):
        bare.receive(GOOD)
        octets, sender = sock.recvfrom(65535)
        sock.sendto(octets, sender if not world.matched(200)[0] else tuple(sender))
        assert world.matched(200) == [expected]


@every
@pytest.mark.statement("bsd.md P-3")
@pytest.mark.parametrize("order", ["clear", "host"])
def test_p3_the_tag_in_either_order_makes_the_round_trip(profile: str, order: str) -> None:
    world = BsdWorld(profile, "1000 divert 8668 ip from any to any in", tag_byte_order=order)
    world.router.ipfw("add 1001 count ip from any to any in")
    sock = world.divert()
    world.em0.receive(GOOD)
    octets, sender = sock.recvfrom(65535)
    assert sender[1] == {"clear": 1000, "host": 59395}[order]
    sock.sendto(octets, tuple(sender))
    assert world.matched(1001) == [1]
    assert not sock.readable


@every
@pytest.mark.statement("bsd.md S-15")
def test_s15_errors_have_this_machines_numbers(profile: str) -> None:
    world = BsdWorld(profile, mtu=576)
    sock = world.divert()
    world.router.routes.remove(next(route for route in world.router.routes if not route.length))
    cases = {
        errno.EAGAIN: lambda: sock.recv(1),
        errno.EINVAL: lambda: sock.sendto(b"short", OUTGOING),
        errno.EHOSTUNREACH: lambda: sock.sendto(udp("10.0.0.1", "203.0.113.1"), OUTGOING),
        errno.EADDRNOTAVAIL: lambda: sock.sendto(GOOD, ("203.0.113.1", 0)),
        errno.EMSGSIZE: lambda: sock.sendto(bytes(65637), OUTGOING),
        errno.EOPNOTSUPP: lambda: sock.connect((RIGHT, 1)),
        errno.ENOPROTOOPT: lambda: sock.setsockopt(socket.SOL_SOCKET, 9999, 1),
    }
    for number, call in cases.items():
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.errno == number
        assert caught.value.strerror
    with pytest.raises(BlockingIOError):
        sock.recv(1)


def test_complete_can_tell() -> None:
    """The helper above: one octet more or less, and the checksum is wrong."""
    assert complete(LOCAL)
    packet = bytearray(LOCAL)
    packet[-1] ^= 1
    assert not complete(bytes(packet))
    assert Packet(LOCAL).total_length == len(LOCAL)
