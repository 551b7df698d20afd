"""The interceptor's lines, to the letter (howto.md 17, 25, 26), over a socket that is a list."""

from __future__ import annotations

import errno
import io
import os
import socket
from collections import deque
from typing import Any

import pytest

from simulator.programs.interceptor import Interceptor, bind_socket, create_socket, main

pytestmark = pytest.mark.profiles("linux-2.2")

DATAGRAM = bytes.fromhex("4500001c 00010000 40010000 c0a80102 0a000002 0800f7fe 00000001".replace(" ", ""))
"""An echo request of 28 octets from 192.168.1.2 to 10.0.0.2."""
LONG = bytes([0x45]) + bytes(range(1, 60))


class Listed:
    """A divert socket whose datagrams are given, that keeps what is sent, and fails as told."""

    def __init__(self, *datagrams: tuple[bytes, Any], fails: dict[str, int] | None = None) -> None:
        self.queue = deque(datagrams)
        self.fails = fails or {}
        self.sent: list[tuple[bytes, Any]] = []
        self.options: list[tuple[int, int, bytes]] = []
        self.port: tuple[str, int] | None = None

    def _may(self, what: str) -> None:
        if number := self.fails.get(what):
            raise OSError(number, os.strerror(number))

    def bind(self, address: tuple[str, int]) -> None:
        self._may("bind")
        self.port = address

    def recvfrom_into(self, buffer: bytearray) -> tuple[int, Any]:
        if not self.queue:
            raise BlockingIOError(errno.EAGAIN, "nothing")
        octets, address = self.queue.popleft()
        buffer[: len(octets)] = octets
        return len(octets), address

    def sendto(self, octets: bytes, address: Any) -> int:
        self._may("sendto")
        self.sent.append((octets, address))
        return len(octets)

    def setsockopt(self, level: int, name: int, value: bytes) -> None:
        self._may("setsockopt")
        self.options.append((level, name, value))


def lines(divert: Listed, count: int = 1, **options: bool) -> list[str]:
    output = io.StringIO()
    interceptor = Interceptor(program="P", output=output, **options)
    for _ in range(count):
        interceptor(divert)
    return output.getvalue().splitlines()


@pytest.mark.statement("howto.md 13", "howto.md 15", "howto.md 17")
def test_every_line_of_one_packet() -> None:
    address = ("192.168.1.1", 1234)
    divert = Listed((LONG, address))
    assert lines(divert) == [
        "P: The packet looks like this:",
        "45 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f ",
        "10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f ",
        "20 21 22 23 24 25 26 27 ",
        "P: Source address: 12.13.14.15",
        "P: Destination address: 16.17.18.19",
        "P: Receiving IF address: 192.168.1.1",
        "P: Protocol number: 9",
        "P Reinjecting DIVERT 60 bytes",
        "P: 60 bytes reinjected.",
    ]
    assert divert.sent == [(LONG, address)]
    assert divert.sent[0][1] is address


@pytest.mark.statement("howto.md 25")
def test_a_short_packet_shows_what_the_buffer_still_holds() -> None:
    divert = Listed((LONG, ("0.0.0.0", 1)), (DATAGRAM, ("0.0.0.0", 1)))
    dump = "".join(lines(divert, 2)[11:14]).split()
    assert bytes.fromhex("".join(dump)) == DATAGRAM + LONG[28:40]


@pytest.mark.statement("howto.md 25")
def test_a_first_short_packet_shows_zeros_behind_it() -> None:
    dump = "".join(lines(Listed((DATAGRAM, ("0.0.0.0", 1))))[1:4]).split()
    assert bytes.fromhex("".join(dump)) == DATAGRAM + bytes(12)


@pytest.mark.statement("howto.md 15")
def test_without_reinjection_nothing_is_sent() -> None:
    divert = Listed((DATAGRAM, ("0.0.0.0", 1)))
    assert lines(divert, reinject=False)[-1] == "P: Protocol number: 1"
    assert divert.sent == []


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENETUNREACH, ["errno == ENETUNREACH"]),
        (errno.EBADRQC, ["errno == EBADRQC"]),
        (errno.EPERM, []),
    ],
)
@pytest.mark.statement("howto.md 15", "howto.md 17")
def test_a_failing_reinjection(number: int, told: list[str]) -> None:
    divert = Listed((DATAGRAM, ("0.0.0.0", 1)), fails={"sendto": number})
    assert lines(divert)[-2 - len(told) :] == ["P: -1 bytes reinjected.", f"P: Oops: errno = {number}", *told]


@pytest.mark.statement("howto.md 26")
def test_errno_of_an_earlier_failure_is_told_again() -> None:
    divert = Listed((DATAGRAM, ("0.0.0.0", 1)), (DATAGRAM, ("0.0.0.0", 1)), fails={"sendto": errno.ENETUNREACH})
    output = io.StringIO()
    interceptor = Interceptor(program="P", output=output)
    interceptor(divert)
    divert.fails.clear()
    interceptor(divert)
    assert output.getvalue().splitlines()[-2:] == ["P: 28 bytes reinjected.", "errno == ENETUNREACH"]
    assert (interceptor.intercepted, interceptor.reinjected) == (2, 1)


MULTICAST = DATAGRAM[:16] + bytes([224, 0, 0, 9]) + DATAGRAM[20:]


@pytest.mark.parametrize(
    ("address", "fails", "expected", "set_to"),
    [
        ("0.0.0.0", {}, ["P: Multicast address!", "P: set_interface returns 0 with errno =0"], [DATAGRAM[12:16]]),
        (
            "0.0.0.0",
            {"setsockopt": errno.EADDRNOTAVAIL},
            ["P: Multicast address!", f"P: set_interface returns -1 with errno ={errno.EADDRNOTAVAIL}"],
            [],
        ),
        ("192.168.1.1", {}, ["P: Multicast address!"], []),
    ],
    ids=["outgoing", "refused", "incoming"],
)
@pytest.mark.statement("howto.md 14", "howto.md 17")
def test_multicast(address: str, fails: dict[str, int], expected: list[str], set_to: list[bytes]) -> None:
    divert = Listed((MULTICAST, (address, 1)), fails=fails)
    assert lines(divert, multicast=True, reinject=False)[8:] == expected
    assert divert.options == [(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, value) for value in set_to]


def test_unicast_is_no_multicast() -> None:
    assert not any("ulticast" in line for line in lines(Listed((DATAGRAM, ("0.0.0.0", 1))), multicast=True))


@pytest.mark.statement("howto.md 10", "howto.md 17")
def test_progress_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    divert = create_socket(lambda *_: Listed(), program="P")
    bind_socket(divert, 1234, program="P")
    Interceptor(program="P").start()
    captured = capsys.readouterr()
    assert captured.err == "P:Creating a socket\nP:Binding a socket\n"
    assert captured.out == "P: Waiting for data...\n"
    assert divert.port == ("0.0.0.0", 1234)


def test_nothing_to_read_is_left_to_the_caller() -> None:
    with pytest.raises(BlockingIOError):
        Interceptor(output=io.StringIO())(Listed())


@pytest.mark.statement("howto.md 9")
def test_the_program_on_a_machine_without_divert_sockets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPROTONOSUPPORT, os.strerror(errno.EPROTONOSUPPORT))

    monkeypatch.setattr(socket, "socket", refuse)
    assert main(["1234"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "interceptor:Creating a socket",
        f"interceptor:We could not open a divert socket: {os.strerror(errno.EPROTONOSUPPORT)}",
    ]
