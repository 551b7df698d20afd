"""What the hosts of the live tests do: functions that travel to a namespace and use its kernel's own sockets."""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import struct
import time
from collections.abc import Callable
from itertools import cycle, islice

from simulator.live.addresses import set_link

Report = Callable[[object], object]

DEVICE = "tun0"
SINK = 9
"""The discard port."""


def _stream(seed: int, octets: int) -> Callable[[], bytes]:
    """The same octets for the same seed, a piece a call, empty at the end."""
    source = random.Random(seed)
    left = octets

    def piece() -> bytes:
        nonlocal left
        length = min(left, 1 << 16)
        left -= length
        return source.randbytes(length)

    return piece


def digest(seed: int, octets: int) -> str:
    """What `receive_stream` says when everything arrived as it was sent."""
    total = hashlib.sha256()
    for piece in iter(_stream(seed, octets), b""):
        total.update(piece)
    return total.hexdigest()


def receive_stream(report: Report, port: int) -> str:
    """Take one TCP connection; the SHA-256 of what came over it. Reports when it listens."""
    return receive_stream_from(report, port)[0]


def receive_stream_from(report: Report, port: int) -> tuple[str, str]:
    """The same, and the address that the connection came from."""
    with socket.create_server(("", port)) as server:
        server.settimeout(20)
        report("listening")
        connection, (peer, _) = server.accept()
        total = hashlib.sha256()
        with connection:
            connection.settimeout(20)
            while piece := connection.recv(1 << 16):
                total.update(piece)
        return total.hexdigest(), peer


def send_stream(report: Report, address: str, port: int, seed: int, octets: int) -> None:
    """The other end of it."""
    with socket.create_connection((address, port), timeout=20) as connection:
        for piece in iter(_stream(seed, octets), b""):
            connection.sendall(piece)


def echo_datagrams(report: Report, port: int, count: int) -> int:
    """Send UDP datagrams back where they came from; how many that were."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        server.bind(("", port))
        server.settimeout(10)
        report("listening")
        for _ in range(count):
            octets, peer = server.recvfrom(65535)
            server.sendto(octets, peer)
    return count


def exchange_datagrams(report: Report, address: str, port: int, sizes: list[int]) -> list[int]:
    """Send a UDP datagram of each size and take its echo; the sizes that came back the same."""
    same = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        client.connect((address, port))
        client.settimeout(3)
        for size in sizes:
            octets = random.Random(size).randbytes(size)
            client.send(octets)
            with contextlib.suppress(TimeoutError):
                if client.recv(65535) == octets:
                    same.append(size)
    return same


def traceroute(report: Report, destination: str, hops: int) -> list[tuple[str, int, int]]:
    """A UDP datagram with each TTL from 1 on, and who answered it with which ICMP type and code."""
    answers = []
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe,
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as icmp,
    ):
        icmp.settimeout(2)
        for ttl in range(1, hops + 1):
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            probe.sendto(b"traceroute", (destination, 33434 + ttl))
            while True:
                octets, (source, _) = icmp.recvfrom(65535)
                message = octets[(octets[0] & 15) * 4 :]
                quoted = message[8:]
                transport = quoted[(quoted[0] & 15) * 4 :]
                if struct.unpack_from("!H", transport, 2) == (33434 + ttl,):
                    answers.append((source, message[0], message[1]))
                    break
    return answers


def put_on_wire(report: Report, datagrams: list[bytes]) -> None:
    """Give octets of any kind to the TUN device, past everything that would look at them."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
        wire.bind((DEVICE, 0x0800))
        for octets in datagrams:
            wire.send(octets)


def put_malformed(report: Report) -> int:
    """Give the TUN device all of `malformed`; how many those are."""
    datagrams = malformed()
    put_on_wire(report, datagrams)
    return len(datagrams)


def malformed() -> list[bytes]:
    """IPv4 datagrams with every field of the header wrong in turn, cut everywhere, and noise."""
    noise = random.Random(2)
    good = bytearray.fromhex("4500002800010000401100000a0000090a000002") + bytes(20)
    cut = [bytes(good[:length]) for length in range(1, len(good))]
    wrong = []
    for position in range(20):
        for value in (0x00, 0x0F, 0x40, 0x7F, 0x80, 0xFF):
            datagram = good.copy()
            datagram[position] = value
            wrong.append(bytes(datagram))
    anything = [noise.randbytes(noise.randrange(1, 1500)) for _ in range(300)]
    versions = [bytes([version << 4 | length]) + noise.randbytes(59) for version in range(16) for length in range(16)]
    return cut + wrong + anything + versions


def sink(report: Report) -> None:
    """Hold the discard port open until stopped, so that nothing is answered with port unreachable; read nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
        hole.bind(("", SINK))
        report("listening")
        while True:
            time.sleep(60)


def flood(report: Report, address: str, seconds: float) -> int:
    """UDP datagrams to the discard port as fast as this machine gives them; how many."""
    sent = 0
    end = time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((address, SINK))
        while time.monotonic() < end:
            for _ in range(64):
                with contextlib.suppress(OSError):
                    client.send(b"flood")
                    sent += 1
    return sent


def pace(report: Report, address: str, a_second: int, seconds: float) -> int:
    """UDP datagrams to the discard port at an even pace, in bursts of a hundredth of a second; how many."""
    burst = a_second // 100
    start = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((address, SINK))
        rounds = int(seconds * 100)
        for number in range(rounds):
            for octets in islice(cycle((b"paced",)), burst):
                client.send(octets)
            time.sleep(max(start + (number + 1) / 100 - time.monotonic(), 0))
    return rounds * burst


def received(report: Report) -> int:
    """Packets that the TUN device has handed to this host's kernel so far."""
    with open("/proc/net/dev") as table:
        line = next(line for line in table if line.strip().startswith(f"{DEVICE}:"))
    return int(line.split(":")[1].split()[1])


def switch(report: Report, gateway: str, up: bool) -> None:
    """Take the TUN device down, or bring it back with its routes."""
    set_link(DEVICE, gateway, up=up)


def delete_device(report: Report) -> None:
    """As somebody with `ip link delete` would."""
    from pyroute2 import IPRoute

    with IPRoute() as netlink:
        netlink.link("del", index=netlink.link_lookup(ifname=DEVICE)[0])


def say(report: Report, characters: int, reported: bool) -> str | None:
    """So many characters, as a report or as the result."""
    text = "x" * characters
    if not reported:
        return text
    report(text)
    return None


def fail(report: Report, text: str) -> None:
    """An exception that says it."""
    raise RuntimeError(text)
