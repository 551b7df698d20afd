"""A packet tap between real network stacks: what it saw of a ping."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from simulator import Router, WallClock
from simulator.live import echo
from simulator.live.lab import RIGHT, Lab
from simulator.packet import Packet

pytestmark = pytest.mark.live


@pytest.mark.parametrize("profile", ["linux-2.2", "freebsd-13"])
def test_every_packet_is_seen_coming_in_and_going_out(profile: str, tmp_path: Path) -> None:
    with Lab() as lab:
        switches = {} if profile == "linux-2.2" else {"default_accept": True}
        router = Router(profile, clock=WallClock(), **switches)
        loop = lab.connect(router)
        tap = router.tap()
        job = lab.left.start(echo.ping, RIGHT.host, 3, 0.05, 1.0)
        assert loop.run(until=lambda: job.done, seconds=10)
        assert job.result().replied == 3
    seen = []
    copy = router.tap()
    while tap.readable:
        octets, address = tap.recvfrom(65535)
        if Packet(octets).protocol == 1:
            seen.append((Packet(octets).icmp_type, address[0], address.outgoing))
            copy.enqueue(octets, address)
    request = [(8, "eth0", False), (8, "eth1", True)]
    reply = [(0, "eth1", False), (0, "eth0", True)]
    assert seen == (request + reply) * 3
    pytest.importorskip("scapy")
    assert copy.write_pcap(str(tmp_path / "ping.pcap"), epoch=time.time() - router.clock.now()) == 12
