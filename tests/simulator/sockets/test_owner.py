"""Whose socket a packet belongs to: uid and gid of ipfw's rules (bsd.md E-23)."""

from __future__ import annotations

import errno
import socket

import pytest

from rules.fields import Header
from rules.ipfw import Owner, RuleSet
from simulator import IPPROTO_DIVERT, Router
from tests.bsd_worlds import ALL, LEFT, OWN, RIGHT, BsdWorld, fails
from tests.datagrams import ping, tcp, udp

SINCE_8 = [profile for profile in ALL if profile not in ("freebsd-4", "dragonfly")]


def udp_socket(world: BsdWorld, owner: str | int | tuple[int, int], port: int = 0) -> socket.socket:
    sock = world.router.socket(socket.AF_INET, socket.SOCK_DGRAM, owner=owner)
    if port:
        sock.bind(("", port))
    return sock  # type: ignore[return-value]


@pytest.mark.parametrize("profile", ALL)
@pytest.mark.parametrize(("owner", "counted"), [("www", 1), (80, 1), ((80, 5), 1), ("nobody", 0), ("root", 0)])
def test_what_a_local_socket_sends(profile: str, owner: str | int | tuple[int, int], counted: int) -> None:
    world = BsdWorld(profile, "100 count ip from any to any uid www out")
    udp_socket(world, owner).sendto(b"hello", (RIGHT, 53))
    assert world.matched(100) == [counted]


@pytest.mark.parametrize("profile", ALL)
def test_what_is_for_a_local_socket(profile: str) -> None:
    world = BsdWorld(profile, "100 count ip from any to any uid bind in", "200 count udp from any to any gid bind in")
    udp_socket(world, "bind", 53)
    world.em0.receive(udp(LEFT, OWN, ports=(1024, 53)))
    world.em0.receive(udp(LEFT, OWN, ports=(1024, 54)))
    world.em0.receive(udp(LEFT, RIGHT, ports=(1024, 53)))
    assert (world.matched(100), world.matched(200)) == ([1], [1])


def test_forwarded_packets_belong_to_nobody() -> None:
    world = BsdWorld("freebsd-10", "100 count ip from any to any not uid root", "200 count ip from any to any uid root")
    world.em0.receive(udp(LEFT, RIGHT))
    assert (world.matched(100), world.matched(200)) == ([2], [0])


def test_only_tcp_and_udp_have_owners() -> None:
    world = BsdWorld("freebsd-10", "100 count ip from any to any uid root out")
    world.router.send(ping(OWN, RIGHT))
    assert world.matched(100) == [0]
    world.router.send(tcp(OWN, RIGHT))
    world.router.send(udp(OWN, RIGHT))
    assert world.matched(100) == [2]
    world.router.send(udp(OWN, RIGHT), owner="www")
    assert world.matched(100) == [2]


@pytest.mark.parametrize("profile", SINCE_8)
def test_jails(profile: str) -> None:
    """The host is jail 0, and there is no other."""
    world = BsdWorld(profile, "100 count ip from any to any jail 0", "200 count ip from any to any jail 1")
    udp_socket(world, "www").sendto(b"hello", (RIGHT, 53))
    world.em0.receive(udp(LEFT, RIGHT))
    assert (world.matched(100), world.matched(200)) == ([1], [0])


def test_names_of_jails() -> None:
    assert RuleSet("freebsd-10").execute("add allow jail www").stderr == "ipfw: jail requires prison ID\n"
    assert RuleSet("freebsd-13").execute("add allow jail www").stderr == 'ipfw: jail "www" not found\n'


def test_users_and_groups_are_listed_by_their_names() -> None:
    rules = RuleSet()
    assert rules.run("add 5 allow uid 80 gid 5") == "00005 allow ip from any to any uid www gid operator\n"
    assert rules.run("add 6 allow uid operator gid 1234") == "00006 allow ip from any to any uid operator gid 1234\n"
    assert rules.execute("add 7 allow uid wheel").stderr == 'ipfw: uid "wheel" nonexistent\n'
    assert rules.execute("add 7 allow gid root").stderr == 'ipfw: gid "root" nonexistent\n'


def test_without_a_router_the_header_says_it() -> None:
    rules = RuleSet()
    rules.run("add 5 allow udp from any to any uid www")
    packet = Header(protocol=17, source_port=1, destination_port=2, owner=Owner.of("www"))
    assert rules.evaluate(packet).rule == 5
    packet.owner = Owner(81, 80)
    assert rules.evaluate(packet).rule == 65535


def test_who_may_open_what() -> None:
    router = Router("freebsd-10")
    with fails(errno.EPERM):
        router.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT, owner="www")
    assert router.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT).owner == (0, 0, 0)
    assert router.socket(socket.AF_INET, socket.SOCK_DGRAM, owner="games").owner == (7, 13, 0)
    with pytest.raises(ValueError, match="no such user: 'frob'"):
        router.socket(socket.AF_INET, socket.SOCK_DGRAM, owner="frob")
