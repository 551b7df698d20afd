"""What a packet tap costs: forwarding that is watched, and a filter by itself."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from benchmarks.measure import Effort, Row, compare
from simulator import Router
from simulator.bpf import Program
from simulator.links.memory import MemoryLink
from simulator.wire import ipv4, udp

__all__ = ["measure"]

_TURNS = 1_000
_LEFT, _RIGHT = 0xC0A80102, 0x0A000002
_ROOM = 1 << 30

# tcpdump -y RAW -ddd 'udp dst port 53 and src net 192.168.0.0/16'
_FILTER = Program.parse(
    "18\n48 0 0 0\n84 0 0 240\n21 14 0 96\n48 0 0 0\n84 0 0 240\n21 0 11 64\n48 0 0 9\n21 0 9 17\n40 0 0 6\n"
    "69 7 0 8191\n177 0 0 0\n72 0 0 2\n21 0 4 53\n32 0 0 12\n84 0 0 4294901760\n21 0 1 3232235520\n6 0 0 65535\n"
    "6 0 0 0\n"
)


def _datagram() -> bytes:
    segment = udp.Header(source_port=1024, destination_port=53).emit(bytes(56), source=_LEFT, destination=_RIGHT)
    return ipv4.Header(source=_LEFT, destination=_RIGHT, protocol=17, identification=1).emit(segment)


def _timed(work: Callable[[], object]) -> Callable[[float], float]:
    """Times a second."""

    def run(seconds: float) -> float:
        start = time.perf_counter()
        done = 0
        while (passed := time.perf_counter() - start) < seconds:
            for _ in range(_TURNS):
                work()
            done += _TURNS
        return done / passed

    return run


def _forwarding(*, watched: bool, program: Program | None = None) -> Callable[[float], float]:
    """A router that forwards, and on its incoming interface a tap that is read after each packet."""
    router = Router("linux-2.2")
    receive = router.add_interface("eth0", "192.168.1.1/24").receive
    router.add_interface("eth1", "10.0.0.1/24", link=MemoryLink(to=deque[bytes](maxlen=1).append))
    octets = _datagram()
    if not watched:
        return _timed(lambda: receive(octets))
    tap = router.tap("eth0", program or "", buffer=_ROOM)

    def work() -> None:
        receive(octets)
        tap.recv(65535)

    return _timed(work)


def measure(effort: Effort) -> list[Row]:
    """Rows: forwarding watched, without and with a filter; a filter of eighteen instructions, run and translated."""
    octets = _datagram()
    assert _FILTER.run(octets) == _FILTER.matches(octets) == 0xFFFF
    alone = "forwarding, unwatched"
    rows = compare(
        "packet taps",
        "packets/s",
        alone,
        {
            alone: _forwarding(watched=False),
            "watched, every packet read": _forwarding(watched=True),
            "watched with a filter that lets all pass": _forwarding(watched=True, program=_FILTER),
        },
        effort,
    )
    plain = "a filter, instruction by instruction"
    contestants = {
        plain: _timed(lambda: _FILTER.run(octets)),
        "translated": _timed(lambda: _FILTER.matches(octets)),
    }
    return rows + compare("filters", "packets/s", plain, contestants, effort)
