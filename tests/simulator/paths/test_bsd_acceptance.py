"""The minimum acceptance list of bsd.md section 15, on every BSD as far as it has the feature."""

from __future__ import annotations

import errno
import socket
from typing import Any

import pytest
from bsd_worlds import ALL, LEFT, OUTGOING, OWN, RIGHT, SINCE_8, BsdWorld, echo, fails, queued, with_switch
from datagrams import address, pieces, ping, udp
from worlds import broken, error, forwarded, hooks

from rules.errors import CommandError
from rules.fields import DONT_FRAGMENT
from rules.ipfw.switches import Switches
from simulator import PROFILES, Reason, Router
from simulator.wire import checksum, icmp, ipv4

every = pytest.mark.parametrize("profile", ALL)


def world_of(profile: str, *rules: str, **switches: Any) -> BsdWorld:
    """Its rules are in the language that the profile has unless told otherwise."""
    own = PROFILES[profile].rules
    assert isinstance(own, Switches)
    return BsdWorld(profile, *rules, **{"ipfw_dialect": own.ipfw_dialect} | switches)


LOCAL = udp("10.0.0.1", RIGHT, data=b"0123456789abcdef")


@pytest.mark.statement("bsd.md 15.1")
@every
def test_item_1_a_ping_is_diverted_on_its_way_in(profile: str) -> None:
    world = world_of(profile, "100 divert 8668 ip from any to any in")
    sock = world.divert()
    world.em0.receive(ping(LEFT, RIGHT))
    octets, sender = sock.recvfrom(65535)
    assert octets == ping(LEFT, RIGHT)
    assert sender.packed == bytes((16, 2, 100, 0)) + address(OWN).to_bytes(4, "big") + b"em0\0\0\0\0\0"


@pytest.mark.statement("bsd.md 15.2")
@every
def test_item_2_outgoing_local_and_forwarded(profile: str) -> None:
    world = world_of(profile, "100 divert 8668 ip from any to any out")
    sock = world.divert()
    world.router.send(ping("10.0.0.1", RIGHT))
    world.em0.receive(ping(LEFT, RIGHT))
    (_, local), (_, through) = queued(sock)
    assert local.packed == bytes((16, 2, 100, 0)) + bytes(12)
    assert through.packed == bytes((16, 2, 100, 0)) + bytes(4) + b"em0\0\0\0\0\0"


@pytest.mark.statement("bsd.md 15.3")
@every
@pytest.mark.parametrize(("options", "times"), [("", 2), (" in", 1), (" via em0", 1), (" via em1", 1)])
def test_item_3_an_echoing_program(profile: str, options: str, times: int) -> None:
    world = world_of(profile, f"100 divert 8668 ip from any to any{options}")
    sock = world.divert()
    for _ in range(3):
        world.em0.receive(ping(LEFT, RIGHT))
        assert echo(sock) == times
    assert world.em1.sent == [forwarded(ping(LEFT, RIGHT))] * 3


@pytest.mark.statement("bsd.md 15.4")
@every
def test_item_4_tags(profile: str) -> None:
    world = world_of(profile, "100 divert 8668 ip from any to any out", "100 deny ip from any to any out")
    sock = world.divert()
    sock.sendto(LOCAL, ("0.0.0.0", 0))
    assert sock.recv(65535) == LOCAL, "diverted again"
    sock.sendto(LOCAL, ("0.0.0.0", 100))
    assert world.em1.sent == [LOCAL], "the second rule 100 was skipped"


@pytest.mark.statement("bsd.md 15.5")
@every
def test_item_5_names_and_addresses_of_incoming_packets(profile: str) -> None:
    world = world_of(profile)
    sock = world.unbound()
    with fails(errno.EADDRNOTAVAIL):
        sock.sendto(LOCAL, bytes((16, 2, 0, 0)) + address("203.0.113.9").to_bytes(4, "big") + b"nosuch0\0")
    assert sock.sendto(udp(LEFT, RIGHT), ("192.168.1.255", 0)) == 28


@pytest.mark.statement("bsd.md 15.6")
@every
def test_item_6_lengths(profile: str) -> None:
    world = world_of(profile)
    sock = world.unbound()
    for destination in (OUTGOING, (OWN, 0)):
        with fails(errno.EINVAL):
            sock.sendto(LOCAL[:19], destination)
    longer = broken(LOCAL, o3=len(LOCAL) + 1)
    with fails(errno.EINVAL):
        sock.sendto(longer, OUTGOING)
    assert sock.sendto(longer, (OWN, 0)) == len(longer)
    assert world.counters["tooshort"] == 1
    assert world.counters["toosmall"] == 2


@pytest.mark.statement("bsd.md 15.7")
@every
def test_item_7_header_checksums(profile: str) -> None:
    world = world_of(profile)
    sock = world.unbound()
    wrong = broken(LOCAL, o10=0xAB, o11=0xCD, sum=0)
    sock.sendto(wrong, OUTGOING)
    assert world.em1.sent == [LOCAL]
    assert sock.sendto(wrong, (OWN, 0)) == len(wrong)
    assert world.counters["badsum"] == 1


@pytest.mark.statement("bsd.md 15.8")
@every
def test_item_8_larger_than_the_mtu(profile: str) -> None:
    world = world_of(profile, mtu=576)
    sock = world.unbound()
    with fails(errno.EMSGSIZE):
        sock.sendto(udp("10.0.0.1", RIGHT, data=bytes(1200), fragment=DONT_FRAGMENT), OUTGOING)
    sock.sendto(udp("10.0.0.1", RIGHT, data=bytes(1200)), OUTGOING)
    assert [len(octets) - 20 for octets in world.em1.sent] == [552, 552, 104]


@pytest.mark.statement("bsd.md 15.9")
@every
def test_item_9_the_remaining_rules_deny(profile: str) -> None:
    world = world_of(profile, "100 count ip from any to any", default_accept=False)
    sock = world.unbound()
    with fails(errno.EACCES):
        sock.sendto(LOCAL, ("0.0.0.0", 99))
    assert sock.sendto(LOCAL, (OWN, 99)) == len(LOCAL)
    assert world.dropped == {Reason.DENIED: 2}


@pytest.mark.statement("bsd.md 15.10")
@every
def test_item_10_two_sockets_on_one_port(profile: str) -> None:
    world = world_of(profile, "100 divert 8668 ip from any to any in")
    first, second = world.unbound(), world.unbound()
    first.bind(("", 8668))
    with fails(errno.EADDRINUSE):
        second.bind(("", 8668))
    for sock in (first, second):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if profile in with_switch("own_family", True):
        with fails(errno.EADDRINUSE):
            second.bind(("", 8668))
        return
    second.bind(("", 8668))
    world.em0.receive(udp(LEFT, RIGHT))
    newest = profile in with_switch("newest_receives", True)
    assert (len(queued(first)), len(queued(second))) == ((0, 1) if newest else (1, 0))


@pytest.mark.statement("bsd.md 15.11")
@every
def test_item_11_a_full_queue_keeps_the_first(profile: str) -> None:
    world = world_of(profile, "100 divert 8668 ip from any to any in")
    sock = world.divert()
    packets = [udp(LEFT, RIGHT, data=bytes(1400), identification=number) for number in range(60)]
    for packet in packets:
        world.em0.receive(packet)
    fitting = 65636 // (1428 + 16)
    assert [octets for octets, _ in queued(sock)] == packets[:fitting]
    assert world.dropped == {Reason.SOCKET_FULL: 60 - fitting}


@pytest.mark.statement("bsd.md 15.12")
@every
def test_item_12_no_listener(profile: str) -> None:
    world = world_of(profile, "100 divert 8668 ip from any to any in")
    world.em0.receive(udp(LEFT, RIGHT))
    assert world.dropped == {Reason.NO_LISTENER: 1}
    assert world.counters.get("noproto", 0) == (1 if profile in with_switch("counts_unheard", True) else 0)


@pytest.mark.statement("bsd.md 15.13")
@every
def test_item_13_tee(profile: str) -> None:
    world = world_of(profile, "100 tee 8668 ip from any to any in", "200 count ip from any to any in")
    sock = world.divert()
    world.em0.receive(udp(LEFT, RIGHT))
    assert len(queued(sock)) == 1
    assert world.em1.sent == [forwarded(udp(LEFT, RIGHT))]
    assert world.matched(100) == [1]
    assert world.matched(200) == [1 if profile in SINCE_8 else 0]


@pytest.mark.statement("bsd.md 15.14")
@every
def test_item_14_fragments_out_of_order(profile: str) -> None:
    whole = udp(LEFT, RIGHT, data=bytes(range(250)) * 8)
    first, second, *rest = pieces(whole, 576)
    world = world_of(profile, "100 divert 8668 ip from any to any in")
    sock = world.divert()
    for piece in (*rest, first, second):
        world.em0.receive(piece)
    ((octets, _),) = queued(sock)
    assert octets == whole
    assert checksum.verify(octets[:20])

    world = world_of(profile, "100 divert 8668 udp from any 5000 to any in")
    sock = world.divert()
    for piece in (*rest, first, second):
        world.em0.receive(piece)
    assert not sock.readable
    assert first not in world.em1.sent


@pytest.mark.statement("bsd.md 15.15")
@every
def test_item_15_a_missing_fragment(profile: str) -> None:
    world = world_of(profile, "100 divert 8668 ip from any to any in")
    world.divert()
    for piece in pieces(udp(LEFT, RIGHT, data=bytes(2000)), 576)[:-1]:
        world.em0.receive(piece)
    world.router.clock.advance(29)
    assert world.router.ledger.held == 3
    world.router.clock.advance(2)
    assert world.router.ledger.held == 0
    assert world.counters["fragtimeout"] == 3
    assert not world.sent


@pytest.mark.statement("bsd.md 15.16")
@every
@pytest.mark.parametrize("offload", [False, True])
def test_item_16_a_ping_to_an_own_address(profile: str, offload: bool) -> None:
    world = world_of(profile, "100 divert 8668 ip from any to any", loopback_offload=offload)
    sock = world.divert()
    with world.router.trace() as trace:
        world.router.send(ping(OWN, OWN))
        assert echo(sock) == (2 if offload else 4), "request and reply, each out and in"
    if offload:
        assert world.dropped == {Reason.BAD_CHECKSUM: 1}
        assert not world.router.delivered
    else:
        assert hooks(trace) == [("out", "lo0")] * 2 + [("in", "lo0")] * 2 + [("out", "lo0")] * 2 + [("in", "lo0")] * 2
        assert [icmp.parse(ipv4.payload(octets)).type for octets in world.router.delivered] == [8, 0]


@pytest.mark.statement("bsd.md 15.17")
@every
def test_item_17_ttl_1(profile: str) -> None:
    world = world_of(profile, "100 count udp from any to any in", "200 count icmp from any to any out")
    world.em0.receive(udp(LEFT, RIGHT, ttl=1))
    assert (world.matched(100), world.matched(200)) == ([1], [1])
    assert error(world.em0.sent[0])[:2] == (11, 0)


@every
@pytest.mark.statement("bsd.md 15.18")
def test_item_18_the_tool(profile: str) -> None:
    """Formats and messages of list, add, delete, zero, show and flush; FreeBSD 13 and 14 write some of them anew."""
    since_13 = profile in ("freebsd-13", "freebsd-14")
    frag, state = ("frag offset", " :default") if since_13 else ("frag", "")
    ports = "53" if since_13 or profile == "freebsd-4" else "dst-port 53"
    stop = "" if profile in ("freebsd-4", "dragonfly") else "."
    ipfw = Router(profile).ipfw
    assert ipfw("add 5 deny udp from any to 10.1.2.3/8 53 in") == f"00005 deny udp from any to 10.0.0.0/8 {ports} in\n"
    assert ipfw("add allow ip from any to any frag") == f"00105 allow ip from any to any {frag}\n"
    assert ipfw("add check-state") == f"00205 check-state{state}\n"
    assert ipfw("list 5") == f"00005 deny udp from any to 10.0.0.0/8 {ports} in\n"
    assert ipfw("list").splitlines()[-1] == "65535 deny ip from any to any"
    assert ipfw("show").splitlines()[-1].split() == ["65535", "0", "0", "deny", "ip", "from", "any", "to", "any"]
    assert ipfw("zero") == "Accounting cleared.\n"
    assert ipfw("zero 5") == f"Entry 5 cleared{stop}\n"
    assert ipfw("resetlog") == "Logging counts reset.\n"
    assert ipfw("-q zero") == ipfw("delete 5") == ""
    assert ipfw("-f flush") == "Flushed all rules.\n"
    assert ipfw("list") == "65535 deny ip from any to any\n"
    for command, status in {"list 5": 69, "add 5 nonsense": 65, "add 5 divert 0 ip from any to any": 65}.items():
        with pytest.raises(CommandError) as refused:
            ipfw(command)
        assert refused.value.status == status
        assert refused.value.stderr.startswith("ipfw: ")
    if since_13:
        assert ipfw("delete 77") == ""
    else:
        with pytest.raises(CommandError) as refused:
            ipfw("delete 77")
        assert refused.value.status == 69
