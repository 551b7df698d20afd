"""What the hosts do in a benchmark: functions that run in their namespaces, with their kernels' sockets."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable

__all__ = ["DISCARD", "flood", "received", "send_stream", "sink", "take_stream"]

Report = Callable[[object], object]

DISCARD = 9
_PAYLOAD = bytes(20)


def flood(report: Report, address: str, seconds: float) -> int:
    """UDP datagrams of 48 octets as fast as this machine gives them; how many."""
    sent = 0
    end = time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((address, DISCARD))
        send = client.send
        while time.monotonic() < end:
            for _ in range(64):
                with contextlib.suppress(OSError):
                    send(_PAYLOAD)
                    sent += 1
    return sent


def sink(report: Report) -> None:
    """Hold the discard port open until stopped, so that nothing is answered with port unreachable; read nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
        hole.bind(("", DISCARD))
        report("listening")
        while True:
            time.sleep(60)


def received(report: Report) -> int:
    """Packets that the TUN device has handed to this host's kernel so far."""
    with open("/proc/net/dev") as table:
        line = next(line for line in table if line.strip().startswith("tun0:"))
    return int(line.split(":")[1].split()[1])


def take_stream(report: Report, port: int) -> float:
    """Take one TCP connection; bits a second between its first and its last octet. Reports when it listens."""
    with socket.create_server(("", port)) as server:
        report("listening")
        connection, _ = server.accept()
        octets = 0
        buffer = bytearray(1 << 18)
        with connection:
            octets = connection.recv_into(buffer)
            start = last = time.monotonic()
            while length := connection.recv_into(buffer):
                octets += length
                last = time.monotonic()
        return octets * 8 / (last - start)


def send_stream(report: Report, address: str, port: int, seconds: float) -> None:
    """The other end of it: as much as goes through in that time."""
    piece = bytes(1 << 18)
    with socket.create_connection((address, port)) as connection:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            connection.send(piece)
