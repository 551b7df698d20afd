"""The divert port space, and the socket with its addresses, without a router's path behind it."""

from __future__ import annotations

import copy
import errno
import pickle
import socket
from typing import Any

import pytest

from simulator import IPPROTO_DIVERT, PF_DIVERT, Router
from simulator.sockets.address import (
    BSD_LAYOUT,
    LINUX_LAYOUT,
    Address,
    Destination,
    parse_host,
    parse_pair,
    swapped,
)
from simulator.sockets.buffers import LinuxBuffer
from simulator.sockets.divert import Customs, DivertPorts, DivertSocket


class Written:
    """Writing rules that keep what they get, and answer as told."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, Destination | None]] = []
        self.answer = 0

    def write(self, sock: DivertSocket, data: bytes, destination: Destination | None) -> int:
        self.got.append((data, destination))
        return self.answer


WRITTEN = Written()


def make(ports: DivertPorts, written: Written = WRITTEN, *, swap: bool = False) -> DivertSocket:
    return DivertSocket(
        socket.AF_INET,
        IPPROTO_DIVERT,
        ports=ports,
        buffer=LinuxBuffer(),
        layout=LINUX_LAYOUT,
        swap=swap,
        write=written.write,
        customs=Customs(),
        privileged=lambda: True,
    )


@pytest.fixture
def ports() -> DivertPorts:
    return DivertPorts(ephemeral=range(1024, 1027), newest_receives=True)


def raises(number: int, call: Any, *arguments: Any) -> None:
    with pytest.raises(OSError) as caught:
        call(*arguments)
    assert caught.value.errno == number, caught.value


class TestPorts:
    def test_bind_and_release(self, ports: DivertPorts) -> None:
        sock, other = make(ports), make(ports)
        assert sock.getsockname() == ("0.0.0.0", 0)
        sock.bind(("1.2.3.4", 1234))  # the host part is ignored
        assert sock.getsockname() == ("0.0.0.0", 1234)
        assert ports.listeners == {1234: sock}
        raises(errno.EADDRINUSE, other.bind, ("", 1234))
        raises(errno.EINVAL, sock.bind, ("", 4321))
        sock.close()
        assert ports.listeners == {}
        other.bind(("", 1234))
        assert ports.listeners == {1234: other}

    def test_a_failed_bind_changes_nothing(self, ports: DivertPorts) -> None:
        sock, other = make(ports), make(ports)
        sock.bind(("", 1))
        raises(errno.EADDRINUSE, other.bind, ("", 1))
        other.bind(("", 2))
        assert ports.listeners == {1: sock, 2: other}

    def test_port_0_is_any_free_one_until_there_is_none(self, ports: DivertPorts) -> None:
        found = []
        for _ in range(3):
            sock = make(ports)
            sock.bind(("", 0))
            found.append(sock.getsockname()[1])
        assert found == [1024, 1025, 1026]
        raises(errno.EADDRNOTAVAIL, make(ports).bind, ("", 0))

    @pytest.mark.parametrize("newest", [True, False])
    def test_sharing_needs_all_to_want_it(self, newest: bool) -> None:
        ports = DivertPorts(ephemeral=range(0), newest_receives=newest)
        first, second, third = make(ports), make(ports), make(ports)
        for sock in (first, second):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(("", 7))
        raises(errno.EADDRINUSE, third.bind, ("", 7))
        assert ports.listeners[7] is (second if newest else first)
        ports.listeners[7].close()
        assert ports.listeners[7] is (first if newest else second)
        ports.listeners[7].close()
        assert ports.listeners == {}

    def test_age_counts_from_creation_not_from_bind(self, ports: DivertPorts) -> None:
        older, newer = make(ports), make(ports)
        for sock in (newer, older):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(("", 7))
        assert ports.listeners[7] is newer

    @pytest.mark.parametrize(
        ("address", "error"),
        [
            (None, TypeError),
            ("1234", TypeError),
            (("", "1234"), TypeError),
            (("",), TypeError),
            (("", 1, 2), TypeError),
            ((1, 1), TypeError),
            (("", 1.0), TypeError),
            (["", 1], TypeError),
            (("", -1), OverflowError),
            (("", 65536), OverflowError),
            (("no.such.host", 1), socket.gaierror),
            (("1.2.3", 1), socket.gaierror),
        ],
    )
    def test_addresses_that_are_none(self, ports: DivertPorts, address: Any, error: type[Exception]) -> None:
        sock = make(ports)
        with pytest.raises(error):
            sock.bind(address)
        assert sock.port is None
        if address is not None:
            with pytest.raises(error):
                sock.sendto(b"", address)

    @pytest.mark.parametrize("host", ["", "1.2.3.4", b"0.0.0.0", bytearray(b""), "<broadcast>", "localhost"])
    def test_hosts_that_are_ignored(self, ports: DivertPorts, host: Any) -> None:
        sock = make(ports)
        sock.bind((host, 1234))
        assert sock.port == 1234

    def test_a_closed_socket_cannot_be_bound(self, ports: DivertPorts) -> None:
        sock = make(ports)
        sock.close()
        raises(errno.EBADF, sock.bind, ("", 1))
        raises(errno.EBADF, sock.getsockname)
        raises(errno.EBADF, sock.sendto, b"", ("", 1))

    def test_no_peer(self, ports: DivertPorts) -> None:
        raises(errno.ENOTCONN, make(ports).getpeername)


class TestWriting:
    RECEIVED = Address(0xC0A80101, 1234, interface="eth0", zero=b"forward\0", layout=LINUX_LAYOUT, swap=False)

    @pytest.mark.parametrize(
        ("address", "destination"),
        [
            (None, None),
            (RECEIVED, Destination(0xC0A80101, 1234, b"forward\0")),
            (RECEIVED.packed, Destination(0xC0A80101, 1234, b"forward\0")),
            (bytearray(RECEIVED.packed), Destination(0xC0A80101, 1234, b"forward\0")),
            (memoryview(RECEIVED.packed), Destination(0xC0A80101, 1234, b"forward\0")),
            (tuple(RECEIVED), Destination(0xC0A80101, 1234, bytes(8))),
            (("", 0), Destination(0, 0, bytes(8))),
            (("<broadcast>", 9), Destination(0xFFFFFFFF, 9, bytes(8))),
        ],
    )
    def test_what_an_address_says(self, ports: DivertPorts, address: Any, destination: Destination | None) -> None:
        written = Written()
        assert make(ports, written).sendto(b"data", address) == 4
        assert written.got == [(b"data", destination)]

    def test_too_few_octets(self, ports: DivertPorts) -> None:
        raises(errno.EINVAL, make(ports).sendto, b"", bytes(15))

    def test_send_has_no_address(self, ports: DivertPorts) -> None:
        written = Written()
        make(ports, written).send(b"x")
        assert written.got == [(b"x", None)]

    def test_the_kernels_errno_surfaces(self, ports: DivertPorts) -> None:
        written = Written()
        written.answer = errno.EBADRQC
        raises(errno.EBADRQC, make(ports, written).send, b"x")

    def test_the_other_octet_order(self, ports: DivertPorts) -> None:
        written = Written()
        make(ports, written, swap=True).sendto(b"", ("", 0xD204))
        assert written.got[0][1] == Destination(0, 1234, bytes(8))


class TestAddress:
    @pytest.mark.parametrize(
        ("layout", "packed"),
        [
            (LINUX_LAYOUT, "0200 04d2 c0a80101 6574683000000000"),
            (BSD_LAYOUT, "1002 d204 c0a80101 6574683000000000"),
        ],
    )
    def test_sixteen_octets(self, layout: Any, packed: str) -> None:
        found = Address(0xC0A80101, 1234, interface="eth0", zero=b"eth0\0\0\0\0", layout=layout, swap=False)
        assert found == ("192.168.1.1", 1234)
        assert hash(found) == hash(("192.168.1.1", 1234))
        assert found.packed == bytes.fromhex(packed)
        back = layout.unpack(found.packed)
        assert back[:3] == (0xC0A80101, 1234, b"eth0\0\0\0\0")
        assert back.name == "eth0"

    def test_shown_in_the_other_order(self) -> None:
        found = Address(0, 1234, interface=None, zero=bytes(8), layout=BSD_LAYOUT, swap=True)
        assert (found[1], found.tag, found.interface) == (swapped(1234), 1234, None)
        assert BSD_LAYOUT.unpack(found.packed).tag == 1234

    @pytest.mark.parametrize(
        ("zero", "name"),
        [
            (b"em0\0\0\0\0\0", "em0"),
            (bytes(8), ""),
            (b"bridge0\0", "bridge0"),
            (b"bridge10", ""),
            (b"\xff\0......", "\ufffd"),
        ],
    )
    def test_w8_the_name_in_sin_zero(self, zero: bytes, name: str) -> None:
        assert Destination(0, 0, zero).name == name

    def test_hosts(self) -> None:
        assert (parse_host(""), parse_host("<broadcast>"), parse_host("1.2.3.4")) == (0, 0xFFFFFFFF, 0x01020304)
        assert parse_pair(("1.2.3.4", 5)) == (0x01020304, 5)
        assert swapped(swapped(0x1234)) == 0x1234


class TestRouterSockets:
    @pytest.mark.parametrize(
        ("family", "kind", "proto"),
        [
            (socket.AF_INET, socket.SOCK_RAW, 254),
            (socket.AF_INET, socket.SOCK_RAW, 258),
            (PF_DIVERT, socket.SOCK_RAW, 0),
            (PF_DIVERT, socket.SOCK_RAW, 77),
        ],
    )
    def test_three_ways_to_make_one(self, family: int, kind: int, proto: int) -> None:
        sock = Router().socket(family, kind, proto)
        assert isinstance(sock, DivertSocket)
        assert (sock.family, sock.type, sock.proto) == (family, kind, proto)

    @pytest.mark.parametrize(
        ("arguments", "number"),
        [
            ((socket.AF_INET, socket.SOCK_RAW, 0), errno.EPROTONOSUPPORT),
            ((socket.AF_INET, socket.SOCK_STREAM, 0), errno.EPROTONOSUPPORT),
            ((socket.AF_INET, socket.SOCK_DGRAM, 254), errno.EPROTONOSUPPORT),
            ((socket.AF_INET6, socket.SOCK_RAW, 254), errno.EAFNOSUPPORT),
        ],
    )
    def test_and_no_other(self, arguments: tuple[int, int, int], number: int) -> None:
        raises(number, Router().socket, *arguments)


def test_an_address_is_a_pair_to_everyone() -> None:
    """It prints, compares, copies and pickles as one, and loses nothing on the way."""
    address = Address(0xC0A80101, 1234, interface="eth0", zero=b"input\0\0\0", layout=LINUX_LAYOUT, swap=False)
    assert address == ("192.168.1.1", 1234)
    assert repr(address) == "('192.168.1.1', 1234)"
    for twin in (copy.copy(address), copy.deepcopy([address])[0], pickle.loads(pickle.dumps(address))):
        assert (twin, twin.interface, twin.tag, twin.packed) == (address, "eth0", 1234, address.packed)
        assert twin.destination == address.destination
