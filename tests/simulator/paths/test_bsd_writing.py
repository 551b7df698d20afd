"""Writing to a BSD's divert socket: the order of its tests, and what becomes of what it takes (bsd.md section 4).

What is here stands beside ``TestWriting`` of test_bsd_divert.py; every field of the header, with every value, is in
tests/properties/test_divert_writes.py.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable

import pytest
from bsd_worlds import ALL, BEFORE_5, LEFT, OUTGOING, OWN, RIGHT, SINCE_8, BsdWorld, echo, fails, queued, with_switch
from datagrams import address, udp
from worlds import broken, error, forwarded

from rules.fields import DONT_FRAGMENT
from simulator import Reason
from simulator.sockets.address import BSD_LAYOUT
from simulator.wire import ipv4

GOOD = udp(LEFT, RIGHT, data=b"0123456789abcdef")
LOCAL = udp("10.0.0.1", RIGHT, data=b"0123456789abcdef")
NOWHERE = udp("10.0.0.1", "203.0.113.9")

every = pytest.mark.parametrize("profile", ALL)
since_8 = pytest.mark.parametrize("profile", SINCE_8)


def towards(host: str, tag: int = 0, name: bytes = b"", *, family: int = 2, length: int = 16) -> bytes:
    """A sockaddr_in as a C program fills it in, or tries to."""
    octets = BSD_LAYOUT.pack(address(host), tag, name.ljust(8, b"\0"))
    return (bytes((length, family)) + octets[2:]).ljust(length, b"\0")


RECORD = bytes((7, 7, 4, 0, 0, 0, 0, 0))

# Each of these fails in a way of its own, in the order in which the kernel looks (W-2 to W-15).  A write that has all
# the faults from one on gets that one's errno.
Fault = tuple[str, int, Callable[[str], bool]]
FAULTS: list[Fault] = [
    ("too long", errno.EMSGSIZE, lambda profile: True),
    ("too short", errno.EINVAL, lambda profile: True),
    ("family", errno.EAFNOSUPPORT, lambda profile: profile in with_switch("own_family", True)),
    ("version", 0, lambda profile: profile in SINCE_8),
    ("foreign", errno.EADDRNOTAVAIL, lambda profile: True),
]


@every
@pytest.mark.statement("bsd.md W-2", "bsd.md W-4", "bsd.md W-5", "bsd.md W-6", "bsd.md W-9")
def test_the_order_of_the_tests_incoming(profile: str) -> None:
    """The write has every fault that is left; they are mended one by one, from the first."""
    world = BsdWorld(profile)
    sock = world.unbound()
    versions = {"freebsd-10": errno.EINVAL, "freebsd-11": errno.EINVAL}
    faults = [name for name, _, there in FAULTS if there(profile)]
    expected = {name: number or versions.get(profile, errno.EAFNOSUPPORT) for name, number, _ in FAULTS}
    while faults:
        octets = broken(GOOD, o0=0x55) if "version" in faults else GOOD
        if "too short" in faults:
            octets = octets[:19]
        if "too long" in faults:
            octets = octets.ljust(65637, b"\0")
        where = towards("203.0.113.1" if "foreign" in faults else OWN, family=28 if "family" in faults else 2)
        with fails(expected[faults[0]]):
            sock.sendto(octets, where)
        faults.pop(0)
    assert not world.router.ledger.injected
    assert sock.sendto(GOOD, towards(OWN)) == len(GOOD)


@every
@pytest.mark.statement("bsd.md W-3", "bsd.md W-4", "bsd.md W-11", "bsd.md W-12", "bsd.md W-15")
def test_the_order_of_the_tests_outgoing(profile: str) -> None:
    """Length, options, route, firewall, loopback addresses, DF."""
    world = BsdWorld(profile, "100 deny ip from any to any out", mtu=576)
    world.router.routes.remove(next(route for route in world.router.routes if not route.length))
    sock = world.unbound()
    if profile in SINCE_8:
        with fails(errno.EDESTADDRREQ):
            sock.send(b"")  # before the length is looked at
    has_options = profile in with_switch("own_family", False) and profile != "dragonfly"
    if has_options:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, RECORD)
    header = {"options": RECORD, "fragment": DONT_FRAGMENT}
    worst = udp("127.0.0.1", "203.0.113.9", data=bytes(600), **header)
    with fails(errno.EINVAL):
        sock.sendto(worst[:-1], OUTGOING)
    if has_options:
        with fails(errno.EINVAL):
            sock.sendto(worst, OUTGOING)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"")
    with fails(errno.EHOSTUNREACH):
        sock.sendto(worst, OUTGOING)
    reachable = udp("127.0.0.1", RIGHT, data=bytes(600), **header)
    with fails(errno.EACCES):
        sock.sendto(reachable, OUTGOING)
    world.router.ipfw("delete 100")
    with fails(errno.EADDRNOTAVAIL):
        sock.sendto(reachable, OUTGOING)
    with fails(errno.EMSGSIZE):
        sock.sendto(udp("10.0.0.1", RIGHT, data=bytes(600), **header), OUTGOING)
    assert world.dropped == {
        Reason.NO_ROUTE: 1,
        Reason.DENIED: 1,
        Reason.BAD_ADDRESS: 1,
        Reason.NEEDS_FRAGMENTING: 1,
    }
    assert not world.sent


@every
@pytest.mark.statement("bsd.md W-1")
def test_w1_ancillary_data_is_thrown_away(profile: str) -> None:
    world = BsdWorld(profile)
    anything = [(socket.IPPROTO_IP, 20, bytes(4)), (socket.SOL_SOCKET, socket.SCM_RIGHTS, bytes(4))]
    assert world.unbound().sendmsg([LOCAL[:9], LOCAL[9:]], anything, 0, OUTGOING) == len(LOCAL)
    assert world.em1.sent == [LOCAL]


@every
@pytest.mark.statement("bsd.md W-2")
def test_w2_the_largest_write(profile: str) -> None:
    world = BsdWorld(profile, mtu=65535)
    sock = world.unbound()
    assert sock.sendto(LOCAL.ljust(65636, b"\0"), OUTGOING) == 65636
    with fails(errno.EMSGSIZE):
        sock.sendto(LOCAL.ljust(65637, b"\0"), OUTGOING)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, len(LOCAL))
    assert sock.sendto(LOCAL, OUTGOING) == len(LOCAL)
    with fails(errno.EMSGSIZE):
        sock.sendto(LOCAL + b"x", OUTGOING)


@every
@pytest.mark.statement("bsd.md W-4")
@pytest.mark.parametrize("length", [0, 1, 10, 19])
def test_w4_fewer_than_20_octets_are_counted(profile: str, length: int) -> None:
    world = BsdWorld(profile)
    for where in (OUTGOING, (OWN, 0)):
        with fails(errno.EINVAL):
            world.unbound().sendto(LOCAL[:length], where)
    assert world.counters == {"toosmall": 2}


@pytest.mark.parametrize("profile", with_switch("own_family", True))
@pytest.mark.statement("bsd.md W-5")
def test_w5_family_and_length_are_looked_at(profile: str) -> None:
    sock = BsdWorld(profile).unbound()
    for where in (towards(OWN, family=28), towards("0.0.0.0", family=0), towards("0.0.0.0", name=b"em0", family=28)):
        with fails(errno.EAFNOSUPPORT):
            sock.sendto(LOCAL, where)
    with fails(errno.EINVAL):
        sock.sendto(LOCAL, towards(OWN, length=18))


@pytest.mark.parametrize("profile", with_switch("own_family", False))
@pytest.mark.statement("bsd.md W-5")
def test_w5_only_the_lookup_of_an_address_compares_the_family(profile: str) -> None:
    sock = BsdWorld(profile).unbound()
    with fails(errno.EADDRNOTAVAIL):
        sock.sendto(GOOD, towards(OWN, family=28))
    for where in (
        towards(OWN, family=28, name=b"em0"),
        towards("0.0.0.0", family=28),
        towards(OWN, length=18),
        b"\xff" + towards(OWN)[1:],
    ):
        assert sock.sendto(LOCAL, where) == len(LOCAL)


@every
@pytest.mark.statement("bsd.md W-6")
def test_w6_versions(profile: str) -> None:
    world = BsdWorld(profile)
    sock = world.unbound()
    expected = {"freebsd-10": errno.EINVAL, "freebsd-11": errno.EINVAL}.get(profile, errno.EAFNOSUPPORT)
    for version in (0, 3, 5, 6, 7, 15):
        odd = broken(LOCAL, o0=version << 4 | 5)
        if profile in BEFORE_5:
            sock.sendto(odd, OUTGOING)
            assert world.sent == [odd]
            sock.sendto(odd, (OWN, 0))
            assert not world.sent
            continue
        for where in (OUTGOING, (OWN, 0)):
            with fails(expected):
                sock.sendto(odd, where)
    assert world.counters.get("badvers", 0) == (6 if profile in BEFORE_5 else 0)


@pytest.mark.statement("bsd.md W-10")
@pytest.mark.parametrize("profile", ["dragonfly"])
def test_w10_what_dragonfly_lost(profile: str) -> None:
    rules = "100 count ip from any to any in recv em0", "200 count ip from any to any in"
    world = BsdWorld(profile, *rules, looks_up_interface=False)
    sock = world.unbound()
    for host in (OWN, "203.0.113.77"):
        assert sock.sendto(GOOD, towards(host, name=b"em0")) == len(GOOD)
    assert (world.matched(100), world.matched(200)) == ([0], [2])
    assert world.em1.sent == [forwarded(GOOD)] * 2


@every
@pytest.mark.statement("bsd.md W-11")
def test_w11_what_is_written_behind_the_packet_goes_out_with_it(profile: str) -> None:
    world = BsdWorld(profile)
    sock = world.unbound()
    assert sock.sendto(LOCAL + b"surplus", OUTGOING) == len(LOCAL) + 7
    assert world.sent == [LOCAL + b"surplus"]
    short = broken(LOCAL, o3=5)
    sock.sendto(short, OUTGOING)
    assert world.sent == [short], "even a total length less than the header"


@every
@pytest.mark.statement("bsd.md W-13")
def test_w13_transport_checksums_are_the_programs(profile: str) -> None:
    world = BsdWorld(profile)
    wrong = bytearray(LOCAL)
    wrong[26:28] = b"\xde\xad"
    for where in (OUTGOING, (OWN, 0)):
        world.unbound().sendto(bytes(wrong), where)
    assert world.sent == [bytes(wrong), forwarded(bytes(wrong))]


@every
@pytest.mark.statement("bsd.md W-14")
def test_w14_dont_route_means_nothing_to_incoming(profile: str) -> None:
    world = BsdWorld(profile)
    sock = world.unbound()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, 1)
    sock.sendto(udp(LEFT, "203.0.113.1"), (OWN, 0))
    assert world.em1.sent == [forwarded(udp(LEFT, "203.0.113.1"))]


@every
@pytest.mark.statement("bsd.md W-15", "bsd.md W-17")
def test_w15_multicast_needs_an_interface_for_it(profile: str) -> None:
    world = BsdWorld(profile)
    world.router.add_interface("tun0", "10.8.0.1/32", peer="10.8.0.2")
    world.router.add_route("239.0.0.0/8", via="10.8.0.2")
    with fails(errno.ENETUNREACH):
        world.unbound().sendto(udp("10.8.0.1", "239.1.2.3"), OUTGOING)


@every
@pytest.mark.statement("bsd.md W-17")
@pytest.mark.parametrize("joined", [False, True])
def test_w17_the_copy_of_a_multicast_meets_the_in_pass_of_the_sending_interface(profile: str, joined: bool) -> None:
    world = BsdWorld(profile, "100 divert 8668 ip from any to 239.1.2.3 in", "200 count ip from any to any out")
    world.router.add_route("239.0.0.0/8", interface="em0")
    if joined:
        world.em0.join("239.1.2.3")
    sock = world.divert()
    group = udp("10.0.0.1", "239.1.2.3", ttl=9)
    sock.sendto(group, OUTGOING)
    copy = broken(group, o8=1)
    assert world.sent == [copy]
    ((octets, sender),) = queued(sock)
    assert (octets, sender[0], sender.interface) == (copy, OWN, "em0")
    assert world.matched(200) == [1]
    sock.sendto(octets, sender)
    assert world.router.delivered == [copy]
    assert not world.sent


@every
@pytest.mark.statement("bsd.md W-18", "bsd.md W-19")
@pytest.mark.parametrize(
    ("changes", "counter"),
    [
        ({"o10": 0xDE, "sum": 0}, "badsum"),
        ({"o0": 0x44}, "badhlen"),
        ({"o3": 19}, "badlen"),
        ({"o3": 200}, "tooshort"),
        ({"o12": 127}, "badaddr"),
        ({"o16": 127}, "badaddr"),
    ],
)
def test_w18_w19_what_is_wrong_with_incoming_is_a_counter(profile: str, changes: dict[str, int], counter: str) -> None:
    world = BsdWorld(profile)
    octets = broken(GOOD, **changes)
    assert world.unbound().sendto(octets, (OWN, 0)) == len(octets)
    assert world.counters == {"total": 1, counter: 1}
    assert not world.sent


@every
@pytest.mark.statement("bsd.md W-18")
def test_w18_nowhere(profile: str) -> None:
    world = BsdWorld(profile)
    nowhere = udp(LEFT, "0.0.0.0")
    world.unbound().sendto(nowhere, (OWN, 0))
    if profile in with_switch("refuses_nowhere", True):
        assert world.counters["badaddr"] == 1
    else:
        assert world.router.delivered == [nowhere]


@every
@pytest.mark.statement("bsd.md W-18")
def test_w18_what_becomes_of_incoming_is_told_to_nobody(profile: str) -> None:
    world = BsdWorld(profile, "100 deny ip from any to 10.0.0.66", mtu=576)
    sock = world.unbound()
    for octets in (
        udp(LEFT, "10.0.0.66"),
        udp(LEFT, RIGHT, ttl=1),
        udp(LEFT, RIGHT, data=bytes(600), fragment=DONT_FRAGMENT),
        udp("127.0.0.1", RIGHT),
    ):
        assert sock.sendto(octets, (OWN, 0)) == len(octets)
    assert [error(octets)[:2] for octets in world.sent] == [(11, 0), (3, 4)], "but to the packet's sender"


@every
@pytest.mark.statement("bsd.md W-20")
def test_w20_the_limited_broadcast_is_recognised_by_its_address(profile: str) -> None:
    world = BsdWorld(profile, "100 divert 8668 ip from any to any in")
    sock = world.divert()
    shout = udp(LEFT, "255.255.255.255")
    world.arrive(shout, link_broadcast=True)
    assert echo(sock) == 1
    assert world.router.delivered == [shout]
    assert not world.sent


@every
@pytest.mark.statement("bsd.md W-20")
def test_w20_the_links_word_is_lost(profile: str) -> None:
    """A unicast datagram that the link broadcast is not forwarded, unless a program has written it back."""
    world = BsdWorld(profile, "100 divert 8668 udp from any to any 53 in")
    sock = world.divert()
    for port in (53, 99):
        world.arrive(udp(LEFT, RIGHT, ports=(5, port)), link_broadcast=True)
    assert world.sent == []
    assert echo(sock) == 1
    assert world.sent == [forwarded(udp(LEFT, RIGHT, ports=(5, 53)))]


@since_8
@pytest.mark.statement("bsd.md W-21")
def test_w21_tags_of_ipfw_are_lost(profile: str) -> None:
    world = BsdWorld(
        profile,
        "100 count tag 7 ip from any to any in",
        "150 count ip from any to any in tagged 7",
        "200 divert 8668 ip from any to any in",
        "250 count ip from any to any tagged 7",
    )
    sock = world.divert()
    world.em0.receive(GOOD)
    assert echo(sock) == 1
    assert (world.matched(150), world.matched(250)) == ([1], [0])


@since_8
@pytest.mark.statement("bsd.md W-21")
def test_w21_the_call_stack_is_lost(profile: str) -> None:
    world = BsdWorld(
        profile,
        "100 call 1000 ip from any to any in",
        "200 count ip from any to any in",
        "1000 divert 8668 ip from any to any in",
        "1010 return ip from any to any in",
        "1020 count ip from any to any in",
    )
    sock = world.divert()
    world.em0.receive(GOOD)
    assert echo(sock) == 1
    assert (world.matched(200), world.matched(1020)) == ([0], [1]), "there is nothing to return to"


@every
@pytest.mark.statement("bsd.md W-22", "bsd.md W-23", "bsd.md B-9")
def test_w22_w23_b9_never_received_more_than_once_or_never_sent(profile: str) -> None:
    world = BsdWorld(profile, "100 divert 8668 ip from any to any in", "200 count ip from any to any")
    sock, unbound = world.divert(), world.unbound()
    world.em0.receive(GOOD)
    octets, sender = sock.recvfrom(65535)
    assert [sock.sendto(octets, sender) for _ in range(3)] == [len(octets)] * 3
    assert world.sent == [forwarded(GOOD)] * 3
    world.em0.receive(GOOD)
    assert not unbound.readable
    assert unbound.sendto(bytearray(LOCAL), ("0.0.0.0", 150)) == len(LOCAL)
    assert world.sent == [LOCAL]
    assert world.matched(200) == [7]
    assert world.router.ledger.injected == 4


@every
@pytest.mark.statement("bsd.md W-24")
def test_w24_outgoing_is_received_where_the_program_says(profile: str) -> None:
    world = BsdWorld(profile, "100 divert 8668 ip from any to any out", "200 count ip from any to any in recv em0")
    sock = world.divert()
    world.router.send(LOCAL)
    octets, sender = sock.recvfrom(65535)
    sock.sendto(octets, (OWN, sender[1]))
    assert world.matched(200) == [1]
    ((octets, again),) = queued(sock)
    assert (octets[8], again.interface) == (63, "em0"), "forwarded, and so diverted once more"


@every
@pytest.mark.statement("bsd.md W-25")
def test_w25_the_receive_interface_is_the_one_of_the_write(profile: str) -> None:
    rules = [f"{number} count ip from any to any in {how}" for number, how in ((200, "recv em1"), (300, "via em1"))]
    world = BsdWorld(profile, "100 divert 8668 ip from any to any in recv em0", *rules)
    sock = world.divert()
    world.em0.receive(GOOD)
    octets, _ = sock.recvfrom(65535)
    sock.sendto(octets, ("10.0.0.1", 100))
    sock.sendto(octets, towards("203.0.113.5", 100, b"em1"))
    assert (world.matched(200), world.matched(300)) == ([2], [2])
    sock.sendto(udp(LEFT, "239.9.9.9"), ("10.0.0.1", 100))
    assert world.router.delivered == [udp(LEFT, "239.9.9.9")], "no group need have been joined"


@every
@pytest.mark.statement("bsd.md P-1")
def test_p1_what_real_programs_write(profile: str) -> None:
    """The divert tests of FreeBSD write to 0.0.0.0 or an own address; sshuttle changes the TTL; Snort keeps several."""
    world = BsdWorld(profile, "100 divert 8668 ip from any to any in")
    sock = world.divert()
    for option, value in ((socket.SO_BROADCAST, 1), (socket.SO_REUSEADDR, 1), (socket.SO_RCVBUF, 1 << 20)):
        sock.setsockopt(socket.SOL_SOCKET, option, value)
    for number in range(3):
        world.em0.receive(udp(LEFT, RIGHT, data=bytes(1000), identification=number))
    outstanding = [sock.recvfrom(1500) for _ in range(3)]
    for octets, sender in reversed(outstanding):
        sock.sendto(broken(octets, o8=42), sender)
    assert [ipv4.View(octets).ttl for octets in world.em1.sent] == [41] * 3
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RD)
    sock.close()


@pytest.mark.parametrize("profile", ["freebsd-11", "freebsd-13", "freebsd-14"])
@pytest.mark.statement("bsd.md counters")
def test_what_counts_as_output(profile: str) -> None:
    world = BsdWorld(profile)
    world.unbound().sendto(LOCAL, OUTGOING)
    world.router.send(LOCAL)
    world.router.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"hello", (RIGHT, 53))
    counted = 3 if profile in with_switch("counts_raw_as_localout", True) else 1
    assert world.counters == {"localout": counted, "rawout": 2}
    world.em0.receive(GOOD)
    assert world.counters["total"] == 2, "looked at by the fast path and by ip_input"


@pytest.mark.parametrize("profile", ["freebsd-11", "freebsd-13"])
@pytest.mark.parametrize("kind", ["reject", "blackhole"])
@pytest.mark.statement("bsd.md lo0-routes")
def test_routes_that_lead_nowhere(profile: str, kind: str) -> None:
    world = BsdWorld(profile)
    world.router.add_route("203.0.113.0/24", kind=kind)
    if profile == "freebsd-11":
        with fails(errno.EHOSTUNREACH):
            world.unbound().sendto(NOWHERE, OUTGOING)
        return
    assert world.unbound().sendto(NOWHERE, OUTGOING) == len(NOWHERE)
    told = [octets for octets in world.router.delivered if ipv4.parse(octets).protocol == 1]
    assert [error(octets)[:2] for octets in told] == ([(3, 1)] if kind == "reject" else [])
