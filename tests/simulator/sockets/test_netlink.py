"""Copies of packets to netlink, from ``-o`` rules (linux.md N1 to N3, F35)."""

from __future__ import annotations

import errno
import socket
from typing import Any

import pytest
from datagrams import udp
from worlds import GOOD, RIGHT, World, forwarded

from simulator import Router
from simulator.sockets.netlink import DEVICE, NETLINK_FIREWALL, Message, NetlinkSocket, parse_message
from simulator.trace import Kind

LINUX = pytest.mark.parametrize("profile", ["linux-2.2", "linux-2.0"])


def reader(router: Router, groups: int = 1) -> Any:
    sock = router.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_FIREWALL)
    assert isinstance(sock, NetlinkSocket)
    sock.bind((0, groups))
    sock.setblocking(False)
    return sock


def refusal(call: Any, *arguments: Any) -> str:
    with pytest.raises(OSError) as caught:
        call(*arguments)
    assert caught.value.errno is not None
    return errno.errorcode[caught.value.errno]


@LINUX
@pytest.mark.statement("linux.md N1")
def test_n1_the_message_octet_by_octet(profile: str) -> None:
    here = World(profile, "-A forward -p udp -m 5 -o 30 -j ACCEPT")
    sock = reader(here.router)
    here.eth0.receive(GOOD)
    octets, address = sock.recvfrom(65535)
    name = b"eth1" + bytes(12)
    assert octets == (54).to_bytes(4, "little") + (5).to_bytes(4, "little") + name + forwarded(GOOD)[:30]
    assert address == (0, 0xFFFFFFFF)
    assert parse_message(octets) == Message(54, 5, "eth1", forwarded(GOOD)[:30])
    assert here.eth1.sent == [forwarded(GOOD)]  # it goes its way
    assert here.router.ledger.balanced


@pytest.mark.profiles("linux-2.2")
@pytest.mark.statement("linux.md N1")
@pytest.mark.parametrize(("size", "wanted"), [("", len(GOOD)), ("0", 0), ("1", 1), ("2", 2), ("65535", len(GOOD))])
def test_n1_sizes(size: str, wanted: int) -> None:
    here = World("linux-2.2", f"-A input -o {size}")
    sock = reader(here.router)
    here.eth0.receive(GOOD)
    message = parse_message(sock.recv(65535))
    assert (message.length, message.octets) == (24 + wanted, GOOD[:wanted])


@pytest.mark.profiles("linux-2.2")
@pytest.mark.statement("linux.md N1")
def test_n1_each_rule_sends_one_with_its_own_tos_and_mark_and_the_old_checksum() -> None:
    rules = "-A input -t 0x01 0x10 -m +1 -o", "-A input -t 0x01 0x08 -m +1 -o -j DENY", "-A input -o"
    here = World("linux-2.2", *rules)
    sock = reader(here.router)
    here.eth0.receive(GOOD)
    first, second = parse_message(sock.recv(65535)), parse_message(sock.recv(65535))
    assert not sock.readable
    assert (first.mark, second.mark) == (1, 2)
    assert first.octets == GOOD[:1] + b"\x10" + GOOD[2:]
    assert second.octets == GOOD[:1] + b"\x08" + GOOD[2:]


@pytest.mark.profiles("linux-2.2")
@pytest.mark.statement("linux.md N1", "linux.md N2")
def test_n1_n2_every_socket_in_a_group_hears_and_none_without() -> None:
    here = World("linux-2.2", "-A input -o")
    first, second, third = reader(here.router), reader(here.router, 0x80), reader(here.router, 0)
    here.eth0.receive(GOOD)
    assert first.readable
    assert second.readable
    assert not third.readable


@pytest.mark.profiles("linux-2.2")
@pytest.mark.statement("linux.md N1")
def test_n1_a_full_queue_is_told_once_and_the_packet_goes_on() -> None:
    here = World("linux-2.2", "-A input -o")
    sock = reader(here.router)
    for _ in range(1000):
        here.eth0.receive(GOOD)
    assert len(here.eth1.sent) == 1000
    assert refusal(sock.recv, 65535) == "ENOBUFS"
    kept = 0
    while sock.readable:
        sock.recv(65535)
        kept += 1
    assert 200 < kept < 400
    here.eth0.receive(GOOD)  # the queue is empty: it hears again
    assert len(sock.recv(65535)) == 24 + len(GOOD)


@pytest.mark.profiles("linux-2.2")
@pytest.mark.statement("linux.md N1")
def test_n1_after_an_overrun_nothing_comes_until_the_queue_is_empty() -> None:
    here = World("linux-2.2", "-A input -o")
    sock = reader(here.router)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 200)  # two messages of 112 octets counted
    for _ in range(3):
        here.eth0.receive(GOOD)
    assert refusal(sock.recv, 65535) == "ENOBUFS"
    sock.recv(65535)
    here.eth0.receive(GOOD)  # there would be room
    sock.recv(65535)
    assert refusal(sock.recv, 65535) == "EAGAIN"
    here.eth0.receive(GOOD)
    assert sock.readable


@LINUX
@pytest.mark.statement("linux.md N2")
def test_n2_the_device_is_opened_once(profile: str) -> None:
    here = World(profile, "-A input -o 20")
    device = here.router.open(DEVICE)
    assert refusal(here.router.open, DEVICE) == "EBUSY"
    sock = reader(here.router)
    here.eth0.receive(GOOD)
    assert device.read(65535) == sock.recv(65535)
    device.close()
    device.close()
    with here.router.open(DEVICE) as again:
        here.eth0.receive(GOOD)
        assert len(again.read(30)) == 30


@LINUX
@pytest.mark.statement("linux.md N3")
def test_n3_what_is_written_goes_nowhere(profile: str) -> None:
    here = World(profile)
    sock = reader(here.router)
    assert sock.send(GOOD) == len(GOOD)
    assert sock.sendto(GOOD, (0, 0)) == len(GOOD)
    assert here.router.ledger.sources == 0
    assert here.eth1.sent == []
    assert refusal(sock.sendto, GOOD, (4711, 0)) == "ECONNREFUSED"


def test_addresses() -> None:
    router = Router("linux-2.2")
    first, second = reader(router), reader(router)
    assert first.getsockname()[0] != second.getsockname()[0]
    assert refusal(second.bind, (first.pid, 1)) == "EINVAL"
    third = router.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_FIREWALL)
    assert refusal(third.bind, (first.pid, 1)) == "EADDRINUSE"
    third.bind((77, 0))
    third.bind((77, 2))
    assert third.getsockname() == (77, 2)
    for wrong in (7, ("0", 1), (1, 2, 3)):
        with pytest.raises(TypeError):
            first.bind(wrong)
    third.send(b"x")
    router.node.privileged = False
    assert refusal(third.bind, (77, 4)) == "EPERM"
    assert refusal(router.open, DEVICE) == "EACCES"


def test_sending_first_gives_an_address() -> None:
    sock = Router("linux-2.2").socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_FIREWALL)
    sock.send(b"x")
    assert sock.getsockname()[0]


@pytest.mark.parametrize(
    ("profile", "kind", "proto", "error"),
    [
        ("linux-2.2", socket.SOCK_RAW, 0, "EPROTONOSUPPORT"),
        ("linux-2.2", socket.SOCK_STREAM, 3, "EAFNOSUPPORT"),
        ("freebsd-14", socket.SOCK_RAW, 3, "EAFNOSUPPORT"),
    ],
)
def test_sockets_there_are_not(profile: str, kind: int, proto: int, error: str) -> None:
    assert refusal(Router(profile).socket, socket.AF_NETLINK, kind, proto) == error


def test_devices_there_are_not() -> None:
    assert refusal(Router("linux-2.2").open, "/dev/null") == "ENOENT"
    assert refusal(Router("freebsd-14").open, DEVICE) == "ENOENT"


def test_a_message_that_is_too_short() -> None:
    with pytest.raises(ValueError, match="24 octets at least, not 3"):
        parse_message(b"abc")


def test_own_packets_too_and_the_trace_tells() -> None:
    here = World("linux-2.2", "-A output -o 8")
    sock = reader(here.router)
    with here.router.trace() as trace:
        here.router.send(udp("10.0.0.1", RIGHT))
    assert parse_message(sock.recv(99)).interface == "eth1"
    assert [event.detail for event in trace if event.kind is Kind.COPIED] == ["to netlink, 8 octets"]
