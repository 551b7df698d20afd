"""Short words for what live tests do again and again."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from simulator import IPPROTO_DIVERT, Router
from simulator.clock import WallClock
from simulator.live.host import Job, NamespaceHost
from simulator.live.lab import finished
from simulator.live.loop import LiveLoop


def wall_router(**switches: Any) -> Router:
    """A Linux 2.2 router in real time."""
    return Router("linux-2.2", clock=WallClock(), **switches)


def divert_socket(router: Router, port: int = 1234, buffer: int | None = None) -> Any:
    """A bound divert socket."""
    divert = router.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT)
    if buffer is not None:
        divert.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        divert.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    divert.bind(("0.0.0.0", port))
    return divert


def put_back(divert: Any) -> None:
    """The smallest divert program: one datagram, sent on unchanged."""
    octets, address = divert.recvfrom(65535)
    divert.sendto(octets, address)


def finish(loop: LiveLoop, *jobs: Job, seconds: float = 20) -> list[Any]:
    """Serve until the jobs are done; their results."""
    assert loop.run(finished(jobs), seconds), f"still running: {[job.name for job in jobs if not job.done]}"
    return [job.result() for job in jobs]


def do(loop: LiveLoop, host: NamespaceHost, function: Callable[..., object], *arguments: object) -> Any:
    """One job from start to end."""
    return finish(loop, host.start(function, *arguments))[0]


def start_listening(loop: LiveLoop, host: NamespaceHost, function: Callable[..., object], *arguments: object) -> Job:
    """A job that reports when it listens, up to there."""
    job = host.start(function, *arguments)
    assert loop.run(lambda: bool(job.reports) or job.done, 10)
    if job.done:
        job.result()
    return job


def stop(loop: LiveLoop, host: NamespaceHost, job: Job) -> None:
    """End a job that does not end by itself."""
    host.stop(job)
    assert loop.run(finished([job]), 5)
