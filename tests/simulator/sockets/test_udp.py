"""UDP sockets of the router itself."""

from __future__ import annotations

import errno
import socket
from typing import Any

import pytest
from datagrams import udp
from worlds import LEFT, RIGHT, ROUTER, World

from simulator import PROFILES, Reason, Router
from simulator.sockets.udp import UdpSocket
from simulator.wire import ipv4
from simulator.wire import udp as udp_wire


def opened(world: World, host: str = "", port: int = 7) -> UdpSocket:
    sock = world.router.socket(socket.AF_INET, socket.SOCK_DGRAM)
    assert isinstance(sock, UdpSocket)
    sock.bind((host, port))
    sock.setblocking(False)
    return sock


def raises(number: int, call: Any, *arguments: Any) -> None:
    with pytest.raises(OSError) as caught:
        call(*arguments)
    assert caught.value.errno == number, caught.value


def test_delivery_and_answer() -> None:
    world = World()
    sock = opened(world)
    world.eth0.receive(udp(LEFT, ROUTER, ports=(5000, 7), data=b"hello"))
    data, came_from = sock.recvfrom(100)
    assert (data, came_from) == (b"hello", (LEFT, 5000))
    assert sock.sendto(b"answer", came_from) == 6
    header = ipv4.parse(world.eth0.sent[0])
    segment, answer = udp_wire.parse(
        ipv4.payload(world.eth0.sent[0]), source=header.source, destination=header.destination
    )
    assert (segment.source_port, segment.destination_port, answer) == (7, 5000, b"answer")
    assert (header.ttl, header.dont_fragment) == (64, False)
    assert world.router.ledger.originated == 1
    assert world.dropped == {}


def test_ports_and_addresses() -> None:
    world = World()
    one = opened(world, ROUTER, 7)
    raises(errno.EADDRINUSE, opened, world, ROUTER, 7)
    raises(errno.EADDRINUSE, opened, world, "", 7)
    other = opened(world, "10.0.0.1", 7)
    raises(errno.EADDRNOTAVAIL, opened, world, LEFT, 8)
    raises(errno.EINVAL, one.bind, ("", 9))
    world.eth0.receive(udp(LEFT, "10.0.0.1", ports=(1, 7), data=b"x"))
    assert (one.readable, other.readable) == (False, True)
    one.close()
    again = opened(world, ROUTER, 7)
    assert again.getsockname() == (ROUTER, 7)


def test_an_unbound_socket_gets_a_port_when_it_sends() -> None:
    world = World()
    sock = world.router.socket(socket.AF_INET, socket.SOCK_DGRAM)
    raises(errno.EDESTADDRREQ, sock.send, b"x")
    sock.connect((RIGHT, 53))
    assert sock.getpeername() == (RIGHT, 53)  # type: ignore[attr-defined]
    sock.send(b"x")
    assert sock.getsockname() == ("0.0.0.0", 1024)  # type: ignore[attr-defined]
    assert udp_wire.View(ipv4.payload(world.eth1.sent[0])).source_port == 1024


def test_large_data_are_fragmented_until_no_datagram_holds_them() -> None:
    world = World()
    sock = opened(world)
    assert sock.sendto(bytes(65507), (RIGHT, 9)) == 65507
    assert len(world.eth1.sent) == 45
    raises(errno.EMSGSIZE, sock.sendto, bytes(65508), (RIGHT, 9))
    raises(errno.EMSGSIZE, sock.sendto, bytes(65535), (RIGHT, 9))
    assert world.dropped == {}


def test_errors_of_the_path_surface() -> None:
    world = World("linux-2.2", "-A output -p udp -j DENY")
    sock = opened(world)
    raises(errno.EPERM, sock.sendto, b"x", (RIGHT, 9))
    world.router.delete_route("0.0.0.0/0")
    raises(errno.ENETUNREACH, sock.sendto, b"x", ("8.8.8.8", 9))
    assert world.dropped == {Reason.DENIED: 1}


def test_to_the_host_itself() -> None:
    world = World()
    sock, other = opened(world, "", 7), opened(world, "", 8)
    sock.sendto(b"me", ("127.0.0.1", 8))
    assert other.recvfrom(10) == (b"me", ("127.0.0.1", 7))


def test_a_full_buffer_loses_the_data() -> None:
    world = World()
    sock = opened(world)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100)
    for _ in range(3):
        world.eth0.receive(udp(LEFT, ROUTER, ports=(1, 7), data=b"x"))
    sock.recv(1)
    sock.recv(1)
    assert not sock.readable
    assert world.dropped == {}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("destination", ["10.0.0.255", "10.0.0.0"])
def test_to_everybody_only_with_permission(profile: str, destination: str) -> None:
    """SO_BROADCAST (udp_sendmsg of Linux, ip_output of the BSDs)."""
    router = Router(profile, **({} if profile.startswith("linux") else {"default_accept": True}))
    eth1 = router.add_interface("eth1", "10.0.0.1/24")
    sock = router.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with pytest.raises(PermissionError) as caught:
        sock.sendto(b"data", (destination, 9))
    assert caught.value.errno == errno.EACCES
    assert eth1.sent == []
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    assert sock.sendto(b"data", (destination, 9)) == 4
    assert len(eth1.sent) == 1
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 0)
    with pytest.raises(PermissionError):
        sock.sendto(b"data", (destination, 9))
    assert router.ledger.balanced


@pytest.mark.parametrize("profile", PROFILES)
def test_who_connects_to_everybody_needs_permission_on_linux(profile: str) -> None:
    """udp_connect of Linux; a BSD refuses what is sent."""
    linux = profile.startswith("linux")
    router = Router(profile, **({} if linux else {"default_accept": True}))
    router.add_interface("eth1", "10.0.0.1/24")
    sock = router.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("10.0.0.2", 7))
    if linux:
        raises(errno.EACCES, sock.connect, ("10.0.0.255", 9))
        raises(errno.ENETUNREACH, sock.connect, ("8.8.8.8", 9))
        assert sock.getpeername() == ("10.0.0.2", 7)
    else:
        sock.connect(("10.0.0.255", 9))
        raises(errno.EACCES, sock.send, b"data")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.connect(("10.0.0.255", 9))
    assert sock.send(b"data") == 4
