"""natd's lesson: a private host reaches another one through a divert socket, with TCP, UDP, ping and traceroute."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import live_jobs
import pytest
from lab_runs import divert_socket, do, finish, start_listening

from simulator import Router, WallClock
from simulator.live import echo
from simulator.live.lab import RIGHT, Lab
from simulator.live.loop import LiveLoop
from simulator.programs.natd import Natd
from simulator.programs.natd_options import read_options
from simulator.programs.sites import router_site

pytestmark = pytest.mark.live

PUBLIC = RIGHT.router


def with_natd(lab: Lab, profile: str, *words: str) -> tuple[Router, LiveLoop]:
    router = Router(profile, clock=WallClock())
    loop = lab.connect(router)
    router.ipfw("add 100 divert natd ip from any to any via eth1")
    router.ipfw("add 65000 allow ip from any to any")
    options = read_options(["-interface", "eth1", *words], lambda name: "")
    site = partial(router_site, router)
    loop.attach(divert_socket(router, 8668), Natd(options, site=site, choose=random.Random(1).randrange))
    return router, loop


def with_nat(lab: Lab, profile: str, config: str) -> tuple[Router, LiveLoop]:
    router = Router(profile, clock=WallClock())
    loop = lab.connect(router)
    router.ipfw(f"nat 1 config if eth1 {config}")
    router.ipfw("add 100 nat 1 ip from any to any via eth1")
    router.ipfw("add 65000 allow ip from any to any")
    return router, loop


def stream(loop: LiveLoop, listening: Any, sending: Any, port: int, where: str, towards: int, size: int) -> list[Any]:
    """The digest that arrived, and whom the listener saw."""
    receiving = start_listening(loop, listening, live_jobs.receive_stream_from, port)
    sent = sending.start(live_jobs.send_stream, where, towards, 22, size)
    (total, peer), _ = finish(loop, receiving, sent, seconds=30)
    return [total, peer]


@pytest.mark.parametrize("profile", ["freebsd-4", "freebsd-13", "dragonfly"])
def test_ten_megabytes_through_natd(lab: Lab, profile: str) -> None:
    size = 10_000_000
    router, loop = with_natd(lab, profile)
    # The far end speaks with the router's address, and gets every octet.
    assert stream(loop, lab.right, lab.left, 5001, RIGHT.host, 5001, size) == [live_jobs.digest(22, size), PUBLIC]
    assert router.ledger.diverted == router.ledger.injected > size // 1500
    assert router.ledger.balanced
    assert not loop.failures


def test_ten_megabytes_through_the_kernels_nat(lab: Lab) -> None:
    size = 10_000_000
    router, loop = with_nat(lab, "freebsd-13", "same_ports")
    assert stream(loop, lab.right, lab.left, 5002, RIGHT.host, 5002, size) == [live_jobs.digest(22, size), PUBLIC]
    assert router.ledger.balanced


def test_ping_and_traceroute_through_natd(lab: Lab) -> None:
    _, loop = with_natd(lab, "freebsd-13", "-same_ports", "no")
    assert do(loop, lab.left, echo.ping_by_socket, RIGHT.host, 5, 0.02, 5.0) == (5, 5)
    expected = [("192.168.1.1", 11, 0), (RIGHT.host, 3, 3)]  # the error from outside reaches the private host
    assert do(loop, lab.left, live_jobs.traceroute, RIGHT.host, 2) == expected


def test_a_redirected_port_leads_inside(lab: Lab) -> None:
    size = 100_000
    words = ("-deny_incoming", "-redirect_port", "tcp", "192.168.1.2:5003", "8080")
    _, loop = with_natd(lab, "freebsd-13", *words)
    told = stream(loop, lab.left, lab.right, 5003, PUBLIC, 8080, size)
    assert told == [live_jobs.digest(22, size), RIGHT.host]
    _, loop = with_nat(lab, "freebsd-13", "deny_in redirect_port tcp 192.168.1.2:5004 8080")
    told = stream(loop, lab.left, lab.right, 5004, PUBLIC, 8080, size)
    assert told == [live_jobs.digest(22, size), RIGHT.host]
