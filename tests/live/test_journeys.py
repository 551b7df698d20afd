"""Real traffic of two network stacks through the router, with and without a divert socket on the way."""

from __future__ import annotations

import live_jobs
import pytest
from lab_runs import divert_socket, do, finish, put_back, start_listening, wall_router

from simulator.live import echo
from simulator.live.lab import LEFT, RIGHT, Lab

pytestmark = pytest.mark.live

ICMP_RULE = "-A {chain} -p icmp -j DIVERT 1234"
FAST = (5, 0.02)
"""Five echo requests, 20 ms apart; the patience that follows is spent only where none will be answered."""


@pytest.mark.parametrize("chain", ["input", "forward", "output"])
@pytest.mark.parametrize(
    ("listening", "pass_through", "answered", "diverted"),
    [(True, False, 5, 10), (False, False, 0, 0), (False, True, 5, 0)],
    ids=["reinject", "no-listener", "pass-through"],
)
def test_the_three_phases(
    lab: Lab, chain: str, listening: bool, pass_through: bool, answered: int, diverted: int
) -> None:
    router = wall_router(pass_through=pass_through)
    router.ipchains(ICMP_RULE.format(chain=chain))
    loop = lab.connect(router)
    if listening:
        loop.attach(divert_socket(router), put_back)
    patience = 5.0 if answered else 0.3
    assert do(loop, lab.left, echo.ping_by_socket, RIGHT.host, *FAST, patience) == (5, answered)
    assert (router.ledger.diverted, router.ledger.injected) == (diverted, diverted)
    assert router.ledger.balanced


@pytest.mark.parametrize("rule", [None, "-A input -p tcp -j DIVERT 1234", "-A output -p tcp -j DIVERT 1234"])
def test_ten_megabytes_of_tcp(lab: Lab, rule: str | None) -> None:
    size = 10_000_000
    router = wall_router()
    loop = lab.connect(router)
    if rule is not None:
        router.ipchains(rule)
        loop.attach(divert_socket(router), put_back)
    receiving = start_listening(loop, lab.right, live_jobs.receive_stream, 5001)
    sending = lab.left.start(live_jobs.send_stream, RIGHT.host, 5001, 22, size)
    total, _ = finish(loop, receiving, sending, seconds=30)
    assert total == live_jobs.digest(22, size)
    assert router.ledger.balanced
    assert (router.ledger.diverted > size // 1500) == (rule is not None)


def test_udp_both_ways(lab: Lab) -> None:
    router = wall_router()
    router.ipchains("-A forward -p udp -j DIVERT 1234")
    loop = lab.connect(router)
    loop.attach(divert_socket(router), put_back)
    sizes = [0, 1, 7, 512, 1400, 1472]
    for here, there, address in ((lab.left, lab.right, RIGHT.host), (lab.right, lab.left, LEFT.host)):
        echoing = start_listening(loop, there, live_jobs.echo_datagrams, 5002, len(sizes))
        asking = here.start(live_jobs.exchange_datagrams, address, 5002, sizes)
        assert finish(loop, echoing, asking) == [len(sizes), sizes]
    assert router.ledger.diverted == 4 * len(sizes)


@pytest.mark.parametrize("address", [LEFT.router, RIGHT.router])
def test_the_router_answers_echo_requests_to_its_own_addresses(lab: Lab, address: str) -> None:
    router = wall_router()
    loop = lab.connect(router)
    assert do(loop, lab.left, echo.ping_by_socket, address, *FAST, 5.0) == (5, 5)
    assert router.delivered == []


def test_traceroute_shows_the_router_and_the_host(lab: Lab) -> None:
    loop = lab.connect(wall_router())
    # Time exceeded (11, 0) from the near interface, then port unreachable (3, 3) from the host: RFC 792.
    expected = [(LEFT.router, 11, 0), (RIGHT.host, 3, 3)]
    assert do(loop, lab.left, live_jobs.traceroute, RIGHT.host, 2) == expected


def test_a_port_of_the_router_without_a_listener_is_unreachable(lab: Lab) -> None:
    loop = lab.connect(wall_router())
    assert do(loop, lab.left, live_jobs.traceroute, LEFT.router, 1) == [(LEFT.router, 3, 3)]


def test_a_system_ping_or_ours_reports_its_lines(lab: Lab) -> None:
    loop = lab.connect(wall_router())
    job = lab.left.start(echo.ping, RIGHT.host, 2, 0.2, 1.0)
    assert finish(loop, job) == [(2, 2)]
    assert [line for line in job.reports if "icmp_seq=2 ttl=63" in str(line)]
