"""The divert socket of Linux itself: making, binding, reading, writing, its rules (linux.md section 1, Q1 to Q9)."""

from __future__ import annotations

import errno
import socket
from typing import Any

import pytest
from datagrams import ip, ping, tcp, udp
from worlds import ANYWHERE, GOOD, LEFT, RIGHT, ROUTER, World, forwarded, hooks

from simulator import IPPROTO_DIVERT, Reason, Router
from simulator.packet import Packet

EVERY = pytest.mark.parametrize("profile", ["linux-2.2", "linux-2.0"])
CHAINS = pytest.mark.parametrize("chain", ["input", "forward", "output"])


def refusal(call: Any, *arguments: Any) -> str:
    with pytest.raises(OSError) as caught:
        call(*arguments)
    assert caught.value.errno is not None
    return errno.errorcode[caught.value.errno]


def make(router: Router, kind: int = socket.SOCK_RAW, proto: int = IPPROTO_DIVERT) -> Any:
    return router.socket(socket.AF_INET, kind, proto)


# -- making and binding ------------------------------------------------------------------------------------------------


@EVERY
@pytest.mark.statement("linux.md D1", "howto.md 9")
def test_d1_family_type_and_protocol(profile: str) -> None:
    sock = make(Router(profile))
    assert (sock.family, sock.type, sock.proto) == (socket.AF_INET, socket.SOCK_RAW, 254)
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        assert refusal(make, Router(profile), kind) == "EPROTONOSUPPORT"


@EVERY
@pytest.mark.statement("linux.md D2", "howto.md 10")
def test_d2_a_port_alone_of_sixteen_bits(profile: str) -> None:
    world = World(profile, "-A input -p udp -j DIVERT 65535")
    sock = make(world.router)
    sock.bind(("172.16.9.9", 65535))  # whatever the host says
    assert sock.getsockname() == ("0.0.0.0", 65535)
    world.eth0.receive(GOOD)
    assert sock.recv(100) == GOOD
    with pytest.raises(OverflowError):
        make(world.router).bind(("0.0.0.0", 65536))


@EVERY
@pytest.mark.statement("linux.md D23")
def test_d23_privilege(profile: str) -> None:
    router = Router(profile)
    router.node.privileged = False
    assert refusal(make, router) == "EPERM"
    assert refusal(make, router, socket.SOCK_RAW, socket.IPPROTO_RAW) == "EPERM"
    router.node.privileged = True
    assert refusal(make, router, socket.SOCK_RAW, 0) == "EPROTONOSUPPORT"
    raw = make(router, socket.SOCK_RAW, socket.IPPROTO_RAW)
    router.node.privileged = False
    assert refusal(raw.setsockopt, socket.IPPROTO_IP, 69, b"input\0\0\0\0") == "EACCES"


@EVERY
@pytest.mark.statement("linux.md Q5")
def test_q5_a_second_bind_to_a_taken_port(profile: str) -> None:
    world = World(profile, "-A input -p udp -j DIVERT 1234")
    first, second = world.divert(), make(world.router)
    assert refusal(second.bind, ("0.0.0.0", 1234)) == "EADDRINUSE"
    first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    assert refusal(second.bind, ("0.0.0.0", 1234)) == "EADDRINUSE"
    second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    second.bind(("0.0.0.0", 1234))
    world.eth0.receive(GOOD)
    assert (first.readable, second.readable) == (False, True)  # the newer one


# -- rules -------------------------------------------------------------------------------------------------------------


@EVERY
@CHAINS
@pytest.mark.parametrize(
    ("question", "octets", "other"),
    [
        ("-p tcp -d 0/0 80", tcp(LEFT, RIGHT), tcp(LEFT, RIGHT, ports=(5000, 81))),
        ("-p udp -s 192.168.1.2 5000", GOOD, udp("192.168.1.3", RIGHT)),
        ("-p icmp --icmp-type ping", ping(LEFT, RIGHT), ip(LEFT, RIGHT, 1, b"\0\0\xff\xff\0\0\0\0")),
        ("-p 99", ip(LEFT, RIGHT, 99), GOOD),
        ("-y -p tcp", tcp(LEFT, RIGHT), tcp(LEFT, RIGHT, flags=16)),
    ],
    ids=["tcp", "udp", "icmp", "protocol", "syn"],
)
@pytest.mark.statement("linux.md D3")
def test_d3_in_every_chain_with_anything_that_can_be_asked(
    profile: str, chain: str, question: str, octets: bytes, other: bytes
) -> None:
    world = World(profile, f"-A {chain} {question} -j DIVERT 1234")
    sock = world.divert()
    world.eth0.receive(octets)
    world.eth0.receive(other)
    assert Packet(sock.recv(65535)).protocol == octets[9]
    assert not sock.readable
    assert world.eth1.sent == [forwarded(other)]


@EVERY
@pytest.mark.statement("howto.md 18")
def test_18_the_output_chain_diverts_what_is_forwarded_too(profile: str) -> None:
    world = World(profile, "-A output -p TCP -s 172.16.128.10 -j DIVERT 4321")
    world.router.add_route("172.16.0.0/16", interface="eth0")
    sock = world.divert(4321)
    world.eth0.receive(tcp("172.16.128.10", RIGHT))
    world.eth0.receive(tcp("172.16.128.11", RIGHT))
    assert Packet(sock.recv(100)).source == 0xAC10800A
    assert not sock.readable
    assert len(world.eth1.sent) == 1


@EVERY
@pytest.mark.statement("linux.md Q8")
def test_q8_how_a_rule_is_checked_and_listed(profile: str) -> None:
    world = World(profile, "-A input -p icmp -j DIVERT 1234", "-A input -j DIVERT 77")
    check = "-C input -i eth0 -s 1.1.1.1 {} -d 2.2.2.2 {} -p icmp"
    assert world.router.ipchains(check.format(8, 0)) == "diverted\n"
    icmp, everything = world.router.ipchains("-L input -n").splitlines()[2:]
    assert icmp.endswith("* ->   * => 1234")
    assert everything.endswith("n/a => 77")


# -- reading -----------------------------------------------------------------------------------------------------------


@EVERY
@CHAINS
@pytest.mark.statement("linux.md D26")
def test_d26_every_field_in_network_order(profile: str, chain: str) -> None:
    world = World(profile, f"-A {chain} -p udp -j DIVERT 1234")
    sock = world.divert()
    octets = udp(LEFT, RIGHT, data=b"0123456789abcdef", identification=0x1234, fragment=0x4000)
    world.eth0.receive(octets)
    read, address = sock.recvfrom(100)
    assert read == (octets if chain == "input" else forwarded(octets))
    assert int.from_bytes(read[2:4], "big") == len(octets)
    assert read[6:8] == b"\x40\x00"
    assert address.packed[2:4] == (1234).to_bytes(2, "big")


@EVERY
@pytest.mark.statement("linux.md D24")
def test_d24_what_does_not_fit_is_lost_in_silence(profile: str) -> None:
    """Each packet counts as the kernel's buffer for it: its octets and 32, filled up to sixteen (R15)."""
    world = World(profile, "-A input -p udp -j DIVERT 1234")
    sock = world.divert()
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 32767
    charge = (len(GOOD) + 32 + 15) // 16 * 16
    for _ in range(1000):
        world.eth0.receive(GOOD)
    fit = 32766 // charge
    assert world.dropped == {Reason.SOCKET_FULL: 1000 - fit}
    assert [sock.recv(100) for _ in range(fit)] == [GOOD] * fit
    assert not sock.readable
    world.eth0.receive(GOOD)
    assert sock.recv(100) == GOOD


@EVERY
@pytest.mark.statement("linux.md D25")
def test_d25_a_short_buffer_cuts(profile: str) -> None:
    world = World(profile, "-A input -p udp -j DIVERT 1234")
    sock = world.divert()
    for _ in range(3):
        world.eth0.receive(GOOD)
    octets, _, flags, _ = sock.recvmsg(20)
    assert (octets, flags) == (GOOD[:20], socket.MSG_TRUNC)
    octets, _, flags, _ = sock.recvmsg(len(GOOD))
    assert (octets, flags) == (GOOD, 0)
    assert sock.recv(10) == GOOD[:10]
    assert not sock.readable


# -- local senders -----------------------------------------------------------------------------------------------------


@EVERY
@pytest.mark.statement("linux.md T5")
@pytest.mark.parametrize(
    ("octets", "unheard"),
    [(udp("10.0.0.1", RIGHT), errno.EPERM), (ping("10.0.0.1", RIGHT), errno.EPERM), (tcp("10.0.0.1", RIGHT), 0)],
    ids=["udp", "icmp", "tcp"],
)
def test_t5_held_is_success_and_unheard_is_as_by_deny(profile: str, octets: bytes, unheard: int) -> None:
    world = World(profile, "-A output -j DIVERT 1234")
    assert world.router.send(octets) == unheard
    assert world.dropped == {Reason.NO_LISTENER: 1}
    sock = world.divert()
    assert world.router.send(octets) == 0
    assert sock.readable
    assert world.eth1.sent == []


@EVERY
@pytest.mark.statement("linux.md T1")
def test_t1_what_is_not_tcp_has_its_checksum(profile: str) -> None:
    world = World(profile, "-A output -j DIVERT 1234")
    sock = world.divert()
    sender = world.router.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.sendto(b"data", (RIGHT, 53))
    world.eth0.receive(ping(LEFT, ROUTER))
    world.eth0.receive(GOOD)
    for octets in (sock.recv(100) for _ in range(3)):
        assert int.from_bytes(octets[:20], "big") % 0xFFFF == 0
    assert not sock.readable


# -- what nobody wrote down --------------------------------------------------------------------------------------------


@EVERY
@pytest.mark.statement("linux.md Q1", "linux.md Q9")
@CHAINS
def test_q1_q9_written_back_it_meets_its_chain_from_the_first_rule(profile: str, chain: str) -> None:
    world = World(profile, f"-A {chain} -p udp", f"-A {chain} -p udp -j DIVERT 1234", f"-A {chain} -p udp -m 1")
    sock = world.divert()
    world.eth0.receive(GOOD)
    sock.sendto(*sock.recvfrom(65535))
    counts = [entry.packets for entry in world.router.tables.chains[chain].entries]
    assert counts == [2, 1, 1]
    assert world.eth1.sent == [forwarded(GOOD)]


@EVERY
@pytest.mark.statement("linux.md Q2")
@pytest.mark.parametrize(
    ("switches", "counts", "passes"),
    [
        ({}, [1, 0], False),
        ({"pass_through": True}, [1, 1], False),
        ({"pass_through": True, "pass_through_goes": "accepted"}, [1, 0], True),
    ],
    ids=["dropped", "to the next rule", "accepted"],
)
def test_q2_without_a_listener(profile: str, switches: Any, counts: list[int], passes: bool) -> None:
    world = World(profile, "-A forward -j DIVERT 1234", "-A forward -j DENY", **switches)
    world.eth0.receive(GOOD)
    assert [entry.packets for entry in world.router.tables.chains["forward"].entries] == counts
    assert bool(world.eth1.sent) is passes


@EVERY
@pytest.mark.statement("linux.md Q3", "linux.md Q4")
def test_q3_q4_the_address_of_what_is_diverted_on_forward(profile: str) -> None:
    world = World(profile, "-A forward -j DIVERT 1234")
    sock = world.divert()
    world.eth0.receive(GOOD)
    _, address = sock.recvfrom(65535)
    assert address == (ROUTER, 1234)
    assert address.interface == "eth0"


@EVERY
@pytest.mark.statement("linux.md Q6")
def test_q6_inward_by_an_address_that_is_not_ours(profile: str) -> None:
    world = World(profile)
    assert refusal(world.divert().sendto, GOOD, (LEFT, 0)) == "EADDRNOTAVAIL"
    assert world.router.ledger.injected == 0
    other = World(profile, foreign_inbound_errno=errno.EINVAL)
    assert refusal(other.divert().sendto, GOOD, (LEFT, 0)) == "EINVAL"


@EVERY
@pytest.mark.statement("linux.md Q7")
def test_q7_a_write_before_bind(profile: str) -> None:
    world = World(profile)
    assert refusal(make(world.router).sendto, GOOD, ANYWHERE) == "EINVAL"
    assert world.router.ledger.injected == 0


@EVERY
def test_one_packet_sent_twice_and_turned_round(profile: str) -> None:
    """What a program read can be written as often as it likes, inward or outward."""
    world = World(profile, "-A forward -p udp -j DIVERT 1234")
    sock = world.divert()
    world.eth0.receive(GOOD)
    octets, address = sock.recvfrom(65535)
    with world.router.trace() as trace:
        sock.sendto(octets, address)
        sock.sendto(octets, address)
        sock.sendto(octets, ANYWHERE)
        sock.sendto(octets, (ROUTER, 0))
    assert [hook for hook, _ in hooks(trace)] == [
        *["forward", "output"] * 2,
        "output",
        *["input", "forward", "output"],
    ]
    assert world.eth1.sent[:3] == [octets] * 3
    assert world.eth1.sent[3] == forwarded(octets)
    assert world.router.ledger.balanced
