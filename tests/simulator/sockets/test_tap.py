"""Packet taps: where they stand on the way, what they take, what they send (linux.md H15, N5; bpf(4))."""

from __future__ import annotations

import copy
import errno
import pickle
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
from datagrams import ping, udp
from worlds import GOOD, LEFT, RIGHT, ROUTER, World, forwarded

from simulator import IPPROTO_DIVERT, PROFILES, Reason, Router
from simulator.bpf import Program
from simulator.bpf.compiler import library_version
from simulator.sockets.tap import ETH_P_ALL, ETH_P_IP

LINUX = ["linux-2.2", "linux-2.0"]
BSD = [name for name in PROFILES if name not in LINUX]
ALL = [*LINUX, *BSD]
HOST, BROADCAST, MULTICAST, OUTGOING = 0, 1, 2, 4
ONLY_UDP = Program([(0x30, 0, 0, 9), (0x15, 0, 1, 17), (0x06, 0, 0, 65535), (0x06, 0, 0, 0)])


def _libpcap() -> bool:
    try:
        library_version()
    except ImportError:
        return False
    return True


needs_libpcap = pytest.mark.skipif(not _libpcap(), reason="no libpcap")


class Bsd:
    """The same two networks as in :class:`World`."""

    def __init__(self, profile: str, *rules: str) -> None:
        self.router = Router(profile, default_accept=True)
        self.eth0 = self.router.add_interface("eth0", "192.168.1.1/24")
        self.eth1 = self.router.add_interface("eth1", "10.0.0.1/24")
        for rule in rules:
            self.router.ipfw(rule)


def world(profile: str) -> Any:
    return World(profile) if profile in LINUX else Bsd(profile)


def seen(tap: Any) -> list[tuple[bytes, str, int]]:
    """Octets, interface and packet type of all that is queued."""
    found = []
    while tap.readable:
        octets, address = tap.recvfrom(65535)
        found.append((octets, address[0], address[2]))
    return found


@pytest.mark.parametrize("profile", ALL)
def test_a_forwarded_packet_passes_two_interfaces(profile: str) -> None:
    here = world(profile)
    tap, left, right = here.router.tap(), here.router.tap("eth0"), here.router.tap(here.eth1)
    here.eth0.receive(GOOD)
    arrived, departed = (GOOD, "eth0", HOST), (forwarded(GOOD), "eth1", OUTGOING)
    assert seen(tap) == [arrived, departed]
    assert seen(left) == [arrived]
    assert seen(right) == [departed]
    assert here.router.ledger.balanced


# -- H15: before the firewall in, behind it out ------------------------------------------------------------------------


@pytest.mark.parametrize("profile", LINUX)
@pytest.mark.statement("linux.md H15")
@pytest.mark.parametrize(("chain", "places"), [("input", 1), ("forward", 1), ("output", 1)])
def test_h15_what_a_chain_denies_is_seen_coming_in_and_not_going_out(profile: str, chain: str, places: int) -> None:
    here = World(profile, f"-A {chain} -j DENY")
    tap = here.router.tap()
    here.eth0.receive(GOOD)
    assert seen(tap) == [(GOOD, "eth0", HOST)]
    assert here.router.send(udp("10.0.0.1", RIGHT)) == (errno.EPERM if chain == "output" else 0)
    assert len(seen(tap)) == (0 if chain == "output" else 1)


@pytest.mark.parametrize("profile", BSD)
@pytest.mark.parametrize("way", ["in", "out"])
def test_what_a_pass_denies_is_seen_coming_in_and_not_going_out(profile: str, way: str) -> None:
    here = Bsd(profile, f"add deny ip from any to any {way}")
    tap = here.router.tap()
    here.eth0.receive(GOOD)
    assert seen(tap) == [(GOOD, "eth0", HOST)]


@pytest.mark.parametrize("profile", ALL)
def test_broken_packets_are_seen_too(profile: str) -> None:
    here = world(profile)
    tap = here.router.tap("eth0")
    wrong = GOOD[:10] + b"\0\0" + GOOD[12:]
    for octets in (wrong, b"x", b"", GOOD + bytes(6)):
        here.eth0.receive(octets)
    assert [octets for octets, _, _ in seen(tap)] == [wrong, b"x", b"", GOOD + bytes(6)]


@pytest.mark.parametrize("profile", ALL)
def test_an_interface_that_is_down_shows_nothing(profile: str) -> None:
    here = world(profile)
    tap = here.router.tap()
    here.eth0.up = False
    here.eth0.receive(GOOD)
    assert seen(tap) == []


@pytest.mark.parametrize("profile", LINUX)
@pytest.mark.statement("linux.md H15")
def test_h15_a_reinjected_packet_comes_in_only_once(profile: str) -> None:
    """What a divert socket writes as received was not received; what leaves in the end is seen leaving."""
    here = World(profile, "-A input -p udp -j DIVERT 1234")
    tap = here.router.tap()
    sock = here.divert()
    here.eth0.receive(GOOD)
    sock.sendto(*sock.recvfrom(65535))
    assert seen(tap) == [(GOOD, "eth0", HOST), (forwarded(GOOD), "eth1", OUTGOING)]


@pytest.mark.parametrize("profile", BSD)
def test_a_reinjected_packet_comes_in_only_once(profile: str) -> None:
    here = Bsd(profile, "add divert 1234 udp from any to any in")
    tap = here.router.tap()
    sock = here.router.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT)
    sock.bind(("0.0.0.0", 1234))
    here.eth0.receive(GOOD)
    sock.sendto(*sock.recvfrom(65535))
    assert seen(tap) == [(GOOD, "eth0", HOST), (forwarded(GOOD), "eth1", OUTGOING)]


@pytest.mark.parametrize("profile", ALL)
def test_fragments_leave_one_by_one(profile: str) -> None:
    router = world(profile).router
    narrow = router.add_interface("eth2", "172.16.0.1/24", mtu=68)
    tap = router.tap("eth2")
    router.interfaces["eth0"].receive(udp(LEFT, "172.16.0.2", data=bytes(100)))
    assert [octets for octets, _, _ in seen(tap)] == narrow.sent
    assert len(narrow.sent) == 3


@pytest.mark.parametrize("profile", LINUX)
@pytest.mark.statement("linux.md H15")
def test_h15_copies_for_many_are_not_shown_when_they_come_back(profile: str) -> None:
    here = World(profile)
    tap = here.router.tap()
    assert here.router.send(udp("10.0.0.1", "10.0.0.255")) == 0
    assert [(name, kind) for _, name, kind in seen(tap)] == [("eth1", OUTGOING)]
    assert len(here.router.delivered) == 1


@pytest.mark.parametrize("profile", BSD)
def test_a_looped_multicast_copy_is_not_shown(profile: str) -> None:
    here = Bsd(profile)
    here.router.add_route("224.0.0.0/4", interface="eth1")
    tap = here.router.tap()
    assert here.router.send(udp("10.0.0.1", "224.0.0.251")) == 0
    assert [(name, kind) for _, name, kind in seen(tap)] == [("eth1", OUTGOING)]


@pytest.mark.parametrize("profile", LINUX)
def test_loopback_on_linux_is_passed_twice_and_libpcap_tells_it_once(profile: str) -> None:
    here = World(profile)
    tap = here.router.tap("lo")
    plain = here.router.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    octets = udp(ROUTER, ROUTER)
    assert here.router.send(octets) == 0
    # The second packet is the port unreachable.
    assert [(name, kind) for _, name, kind in seen(tap)] == [("lo", HOST)] * 2
    assert [(name, kind) for _, name, kind in seen(plain)] == [("lo", OUTGOING), ("lo", HOST)] * 2


@pytest.mark.parametrize("profile", BSD)
def test_loopback_on_a_bsd_is_passed_once(profile: str) -> None:
    here = Bsd(profile)
    tap = here.router.tap()
    assert here.router.send(ping(ROUTER, ROUTER)) == 0
    assert [(name, kind) for _, name, kind in seen(tap)] == [("lo0", HOST)] * 2


@pytest.mark.parametrize(
    ("destination", "kind"),
    [
        (ROUTER, HOST),
        (RIGHT, HOST),
        ("192.168.1.255", BROADCAST),
        ("255.255.255.255", BROADCAST),
        ("224.0.0.1", MULTICAST),
    ],
)
def test_packet_types(destination: str, kind: int) -> None:
    here = World()
    tap = here.router.tap("eth0")
    here.eth0.receive(udp(LEFT, destination))
    assert next(each for _, _, each in seen(tap)) == kind


# -- what is taken -----------------------------------------------------------------------------------------------------


@needs_libpcap
@pytest.mark.parametrize("profile", ["linux-2.2", "freebsd-14"])
def test_a_filter_of_tcpdumps_words(profile: str) -> None:
    here = world(profile)
    tap = here.router.tap("eth0", "icmp and src host 192.168.1.2")
    for octets in (GOOD, asked := ping(LEFT, RIGHT), ping(RIGHT, LEFT)):
        here.eth0.receive(octets)
    assert [octets for octets, _, _ in seen(tap)] == [asked]


@needs_libpcap
def test_a_filter_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"^filter 'icmp and': .*syntax error"):
        World().router.tap("eth0", "icmp and")


def test_a_program_of_ones_own() -> None:
    here = World()
    tap = here.router.tap(filter=ONLY_UDP, direction="in")
    for octets in (ping(LEFT, RIGHT), GOOD):
        here.eth0.receive(octets)
    assert seen(tap) == [(GOOD, "eth0", HOST)]
    assert tap.statistics == (1, 0)


def test_direction_and_snaplen() -> None:
    here = World()
    here.router.clock.advance(2.5)
    into, out = here.router.tap(direction="in", snaplen=30), here.router.tap(direction="out")
    here.eth0.receive(GOOD)
    octets, address = into.recvfrom(65535)
    assert (octets, address[0], address.length, address.time) == (GOOD[:30], "eth0", len(GOOD), 2.5)
    assert not address.outgoing
    assert copy.deepcopy(address) is copy.copy(address) is address
    again = pickle.loads(pickle.dumps(address))
    assert (again, again.time, again.length, type(again)) == (address, 2.5, len(GOOD), type(address))
    assert out.recvfrom(65535)[1].outgoing
    assert not into.readable
    assert not out.readable


@pytest.mark.parametrize(
    "wrong",
    [{"direction": "both"}, {"snaplen": 0}, {"buffer": 0}, {"interface": "eth7"}],
    ids=lambda each: next(iter(each)),
)
def test_wrong_words(wrong: Any) -> None:
    with pytest.raises(ValueError, match=repr(next(iter(wrong.values())))):
        World().router.tap(**wrong)


@pytest.mark.parametrize("profile", ALL)
def test_a_full_buffer_counts_what_it_lost(profile: str) -> None:
    here = world(profile)
    tap = here.router.tap("eth0", buffer=1000)
    for _ in range(100):
        here.eth0.receive(GOOD)
    kept = len(seen(tap))
    assert tap.statistics == (100, 100 - kept)
    assert 5 < kept < 20
    here.eth0.receive(GOOD)
    assert len(seen(tap)) == 1


def test_without_privilege() -> None:
    router = World().router
    router.node.privileged = False
    for call in (router.tap, lambda: router.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)):
        with pytest.raises(PermissionError):
            call()


def test_interfaces_that_come_later_are_listened_to() -> None:
    router = Router("linux-2.2")
    tap = router.tap()
    eth0 = router.add_interface("eth0", "192.168.1.1/24")
    eth0.receive(GOOD)
    assert seen(tap)[0] == (GOOD, "eth0", HOST)
    tap.close()
    tap.close()
    eth0.receive(GOOD)
    assert eth0.taps == ()


# -- packet sockets ----------------------------------------------------------------------------------------------------


@pytest.mark.statement("linux.md N5")
@pytest.mark.parametrize("profile", LINUX)
def test_n5_copies_that_stop_nothing(profile: str) -> None:
    here = World(profile)
    sock = here.router.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    here.eth0.receive(GOOD)
    assert len(here.eth1.sent) == 1
    assert [each[1:] for each in seen(sock)] == [("eth0", HOST), ("eth1", OUTGOING)]


def test_a_packet_socket_for_ip_hears_only_what_comes_in() -> None:
    here = World()
    sock = here.router.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
    silent = here.router.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    here.eth0.receive(GOOD)
    assert seen(sock) == [(GOOD, "eth0", HOST)]
    assert seen(silent) == []
    silent.bind(("eth1", ETH_P_ALL))
    here.eth0.receive(GOOD)
    assert seen(silent) == [(forwarded(GOOD), "eth1", OUTGOING)]
    assert silent.getsockname()[:2] == ("eth1", ETH_P_ALL)


def test_binding_to_nothing() -> None:
    sock = World().router.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    with pytest.raises(OSError) as caught:
        sock.bind(("eth7", 0))
    assert caught.value.errno == errno.ENODEV
    for wrong in ("eth0", ("eth0",), (1, 2)):
        with pytest.raises(TypeError):
            sock.bind(wrong)
    with pytest.raises(OverflowError):
        sock.bind(("eth0", 70000))


@pytest.mark.parametrize("profile", BSD)
def test_a_bsd_has_no_packet_sockets(profile: str) -> None:
    with pytest.raises(OSError) as caught:
        Router(profile).socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    assert caught.value.errno == errno.EAFNOSUPPORT


# -- sending -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ALL)
def test_what_a_tap_sends_goes_past_the_firewall(profile: str) -> None:
    here = world(profile)
    if profile in LINUX:
        here.router.ipchains("-P output DENY")
    else:
        here.router.ipfw("add deny ip from any to any")
    sender, other = here.router.tap("eth1"), here.router.tap("eth1")
    spoofed = udp("1.2.3.4", RIGHT)
    assert sender.send(spoofed) == len(spoofed)
    assert here.eth1.sent == [spoofed]
    assert len(seen(other)) == 1
    assert len(seen(sender)) == (0 if profile in LINUX else 1)
    assert here.router.ledger.balanced


@pytest.mark.parametrize("profile", ALL)
def test_what_a_tap_sends_on_loopback_comes_in(profile: str) -> None:
    here = world(profile)
    lo = here.router.profile.loopback[0]
    tap = here.router.tap(lo)
    tap.send(ping("127.0.0.1", "127.0.0.1"))
    assert here.router.ledger.received == 1
    assert here.router.ledger.balanced


def test_sending_where_nothing_can_be_sent() -> None:
    here = World()
    sock = here.router.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)

    def refused(*arguments: Any) -> str:
        with pytest.raises(OSError) as caught:
            sock.sendto(*arguments)
        assert caught.value.errno is not None
        return errno.errorcode[caught.value.errno]

    assert refused(GOOD, ("eth7", 0)) == "ENXIO"
    assert refused(bytes(1501), ("eth0", 0)) == "EMSGSIZE"
    here.eth0.up = False
    assert refused(GOOD, ("eth0", 0)) == "ENETDOWN"
    with pytest.raises(OSError) as caught:
        sock.send(GOOD)
    assert caught.value.errno == errno.ENXIO
    assert here.router.ledger.originated == 0


# -- capture files -----------------------------------------------------------------------------------------------------


def test_a_capture_file(tmp_path: Path) -> None:
    here = World()
    tap = here.router.tap("eth0", snaplen=28)
    here.router.clock.advance(1.5)
    here.eth0.receive(GOOD)
    path = tmp_path / "eth0.pcap"
    assert tap.write_pcap(str(path)) == 1
    assert not tap.readable
    octets = path.read_bytes()
    assert struct.unpack("=IHHiIII", octets[:24])[-1] == 101
    assert struct.unpack("=IIII", octets[24:40]) == (1, 500000, 28, len(GOOD))
    assert octets[40:] == GOOD[:28]
    here.eth0.receive(GOOD)
    assert tap.write_pcap(str(path), epoch=1_000_000_000.0) == 1
    assert struct.unpack("=II", path.read_bytes()[24:32]) == (1_000_000_001, 500000)


def test_the_ledger_does_not_know_of_taps() -> None:
    here = World()
    here.router.tap()
    here.eth0.receive(GOOD)
    assert (here.router.ledger.received, here.router.ledger.transmitted) == (1, 1)
    assert here.router.ledger.dropped[Reason.SOCKET_FULL] == 0
