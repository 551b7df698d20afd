"""Two network stacks, two TUN devices, and between them our router or a bare loop that only copies octets."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

from benchmarks import traffic
from benchmarks.measure import Effort, Row, compare
from simulator import IPPROTO_DIVERT, Router
from simulator.clock import WallClock
from simulator.live.host import Job
from simulator.live.lab import RIGHT, Lab

__all__ = ["measure"]

_YARDSTICK = "a bare loop that copies octets"
_PORT = 5001


class _Loop(Protocol):
    def run(self, until: Callable[[], bool], seconds: float) -> bool: ...


class _BareLoop:
    """The least that can stand between two TUN devices: read, write, in turns of 64."""

    def __init__(self, lab: Lab) -> None:
        self._others = {
            lab.left_link.fileno(): lab.right_link.fileno(),
            lab.right_link.fileno(): lab.left_link.fileno(),
        }
        self._hosts = {host.fileno(): host for host in (lab.left, lab.right)}
        self._poll = select.poll()
        for descriptor in (*self._others, *self._hosts):
            self._poll.register(descriptor, select.POLLIN)

    def run(self, until: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        read, write = os.read, os.write
        while not until():
            if time.monotonic() > end:
                return False
            for descriptor, _ in self._poll.poll(100):
                if descriptor in self._hosts:
                    self._hosts[descriptor].take_messages()
                    continue
                other = self._others[descriptor]
                try:
                    for _ in range(64):
                        write(other, read(descriptor, 65535))
                except BlockingIOError:
                    pass
        return True


def _forwarding(lab: Lab) -> _Loop:
    return lab.connect(Router("linux-2.2", clock=WallClock()))


def _diverting(lab: Lab) -> _Loop:
    router = Router("linux-2.2", clock=WallClock())
    router.ipchains("-A forward -j DIVERT 1234")
    divert: Any = router.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT)
    divert.bind(("0.0.0.0", 1234))
    loop = lab.connect(router)
    loop.attach(divert, lambda divert: divert.sendto(*divert.recvfrom(65535)))
    return loop


def _finish(loop: _Loop, job: Job, seconds: float = 10) -> Any:
    if not loop.run(lambda: job.done, seconds):
        raise TimeoutError(f"{job.name} does not end")
    return job.result()


def _listening(loop: _Loop, job: Job) -> Job:
    loop.run(lambda: bool(job.reports) or job.done, 10)
    return job


def _packets(lab: Lab, make: Callable[[Lab], _Loop]) -> Callable[[float], float]:
    """Small packets a second that arrive at the other host's kernel, while the sender sends all it can."""

    def run(seconds: float) -> float:
        loop = make(lab)
        sink = _listening(loop, lab.right.start(traffic.sink))
        before = _finish(loop, lab.right.start(traffic.received))
        start = time.perf_counter()
        _finish(loop, lab.left.start(traffic.flood, RIGHT.host, seconds), seconds + 10)
        # What is still queued is counted with the time it takes.
        loop.run(_quiet(lab), 5)
        passed = time.perf_counter() - start
        arrived = _finish(loop, lab.right.start(traffic.received)) - before
        lab.right.stop(sink)
        loop.run(lambda: sink.done, 5)
        return float(arrived / passed)

    return run


def _quiet(lab: Lab) -> Callable[[], bool]:
    """A condition: no device has anything to read."""
    poll = select.poll()
    for link in (lab.left_link, lab.right_link):
        poll.register(link.fileno(), select.POLLIN)
    return lambda: not poll.poll(0)


def _stream(lab: Lab, make: Callable[[Lab], _Loop]) -> Callable[[float], float]:
    """Bits a second of one TCP connection."""

    def run(seconds: float) -> float:
        loop = make(lab)
        taking = _listening(loop, lab.right.start(traffic.take_stream, _PORT))
        lab.left.start(traffic.send_stream, RIGHT.host, _PORT, seconds)
        return float(_finish(loop, taking, seconds + 20)) / 1e6

    return run


def measure(effort: Effort) -> list[Row]:
    """Rows: packets and TCP, each plainly and with everything diverted. Raises HostError without the privilege."""
    makers: dict[str, Callable[[Lab], _Loop]] = {
        _YARDSTICK: _BareLoop,
        "forwarding": _forwarding,
        "forwarding, everything diverted and put back": _diverting,
    }
    with Lab() as lab:
        return [
            row
            for subject, unit, way in (("live, small packets", "packets/s", _packets), ("live, TCP", "Mbit/s", _stream))
            for row in compare(
                subject, unit, _YARDSTICK, {name: way(lab, make) for name, make in makers.items()}, effort
            )
        ]
