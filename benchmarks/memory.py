"""Forwarding without a device: octets in, octets out, and everything a Linux 2.2 router does between."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable
from ipaddress import IPv4Address
from struct import Struct
from typing import Any

from benchmarks.measure import Effort, Row, compare
from simulator import IPPROTO_DIVERT, Router
from simulator.links.memory import MemoryLink
from simulator.wire import ipv4

__all__ = ["measure"]

_YARDSTICK = "unpack, lower the TTL, fix the checksum, join"
_PACKETS = 2_000
_header = Struct(">BBHHHBBHII")
_middle = Struct(">BBH")


def _datagrams() -> list[bytes]:
    """UDP datagrams of 84 octets between a few hosts on both sides."""
    return [
        ipv4.Header(
            source=int(IPv4Address("192.168.1.2")) + number % 50,
            destination=int(IPv4Address("10.0.0.2")) + number % 60,
            protocol=17,
            identification=number,
        ).emit((1024 + number).to_bytes(2, "big") + bytes.fromhex("0035 0040 0000") + bytes(56))
        for number in range(_PACKETS)
    ]


def _bare(datagrams: list[bytes], out: Callable[[bytes], object]) -> None:
    """What every forwarder must do, and nothing else."""
    unpack, pack = _header.unpack_from, _middle.pack
    for octets in datagrams:
        _, _, _, _, _, ttl, protocol, total, _, _ = unpack(octets)
        total += 0x100
        out(octets[:8] + pack(ttl - 1, protocol, total + 1 & 0xFFFF if total >= 0xFFFF else total) + octets[12:])


def _router(out: Callable[[bytes], object], *rules: str) -> tuple[Router, Callable[[bytes], None]]:
    router = Router("linux-2.2")
    eth0 = router.add_interface("eth0", "192.168.1.1/24")
    router.add_interface("eth1", "10.0.0.1/24", link=MemoryLink(to=out))
    for rule in rules:
        router.ipchains(rule)
    return router, eth0.receive


def _timed(work: Callable[[], None]) -> Callable[[float], float]:
    """Repeat work on all datagrams for some seconds; datagrams a second."""

    def run(seconds: float) -> float:
        start = time.perf_counter()
        done = 0
        while (passed := time.perf_counter() - start) < seconds:
            work()
            done += _PACKETS
        return done / passed

    return run


def measure(effort: Effort) -> list[Row]:
    """Rows: three empty chains; ten rules in each chain that ask and do not match; everything diverted and put back.

    Raises AssertionError when the router's octets are not those of the yardstick, or its ledger does not balance.
    """
    datagrams = _datagrams()
    out = deque[bytes](maxlen=1).append
    routers: list[Router] = []

    def forwarding(*rules: str) -> Callable[[float], float]:
        router, receive = _router(out, *rules)
        routers.append(router)

        def work() -> None:
            for octets in datagrams:
                receive(octets)

        return _timed(work)

    def diverting() -> Callable[[float], float]:
        router, receive = _router(out, "-A forward -j DIVERT 1234")
        routers.append(router)
        divert: Any = router.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT)
        divert.bind(("0.0.0.0", 1234))

        def work() -> None:
            recvfrom, sendto = divert.recvfrom, divert.sendto
            for octets in datagrams:
                receive(octets)
                sendto(*recvfrom(65535))

        return _timed(work)

    rules = [
        f"-A {chain} -p tcp -s 172.16.{number}.0/24 -d 0/0 {port} -j DENY"
        for chain in ("input", "forward", "output")
        for number, port in enumerate(range(20, 30))
    ]
    _check_yardstick(datagrams)
    rows = compare(
        "in memory",
        "packets/s",
        _YARDSTICK,
        {
            _YARDSTICK: _timed(lambda: _bare(datagrams, out)),
            "forwarding, three empty chains": forwarding(),
            "forwarding, ten rules in each chain": forwarding(*rules),
            "forwarding, everything diverted and put back": diverting(),
        },
        effort,
    )
    assert all(router.ledger.balanced for router in routers)
    return rows


def _check_yardstick(datagrams: list[bytes]) -> None:
    """Both must do the same work, or the ratio says nothing."""
    bare: list[bytes] = []
    ours: list[bytes] = []
    _bare(datagrams, bare.append)
    _, receive = _router(ours.append)
    for octets in datagrams:
        receive(octets)
    assert bare == ours
