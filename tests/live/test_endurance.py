"""The live loop under what a network does to it: floods, links that come and go, and octets of every kind."""

from __future__ import annotations

import errno

import live_jobs
import pytest
from lab_runs import divert_socket, do, finish, put_back, start_listening, stop, wall_router

from simulator.ledger import Reason
from simulator.live import echo
from simulator.live.lab import LEFT, RIGHT, Lab

pytestmark = pytest.mark.live

PROMISED = 10_000
"""Packets a second."""


@pytest.mark.parametrize("diverting", [False, True])
def test_ten_thousand_packets_a_second_without_loss(lab: Lab, diverting: bool) -> None:
    router = wall_router()
    loop = lab.connect(router)
    if diverting:
        router.ipchains("-A forward -p udp -j DIVERT 1234")
        loop.attach(divert_socket(router), put_back)
    sink = start_listening(loop, lab.right, live_jobs.sink)
    before = do(loop, lab.right, live_jobs.received)
    sent = do(loop, lab.left, live_jobs.pace, RIGHT.host, PROMISED, 1.5)
    loop.run(lambda: False, 0.2)
    assert sent == 1.5 * PROMISED
    assert do(loop, lab.right, live_jobs.received) - before >= sent
    assert not router.ledger.dropped[Reason.SOCKET_FULL]
    assert router.ledger.balanced
    assert router.delivered == []
    stop(loop, lab.right, sink)


def test_a_flood_on_one_side_while_the_other_answers(lab: Lab) -> None:
    router = wall_router()
    loop = lab.connect(router)
    sink = start_listening(loop, lab.left, live_jobs.sink)
    flooding = lab.right.start(live_jobs.flood, LEFT.host, 1.5)
    assert do(loop, lab.left, echo.ping_by_socket, LEFT.router, 20, 0.05, 5.0) == (20, 20)
    assert finish(loop, flooding)[0] > PROMISED
    assert router.ledger.transmitted > PROMISED
    assert router.ledger.balanced
    stop(loop, lab.left, sink)


def test_a_host_interface_goes_down_and_comes_back(lab: Lab) -> None:
    router = wall_router()
    loop = lab.connect(router)
    do(loop, lab.right, live_jobs.switch, RIGHT.router, False)
    assert do(loop, lab.left, echo.ping_by_socket, RIGHT.host, 3, 0.02, 0.2) == (3, 0)
    assert router.ledger.dropped[Reason.LINK_FAILED] == 3
    do(loop, lab.right, live_jobs.switch, RIGHT.router, True)
    assert do(loop, lab.left, echo.ping_by_socket, RIGHT.host, 3, 0.02, 5.0) == (3, 3)
    assert loop.lost == []
    assert router.ledger.balanced


def test_a_host_interface_goes_down_and_comes_back_under_a_diverting_rule(lab: Lab) -> None:
    router = wall_router()
    router.ipchains("-A output -p icmp -j DIVERT 1234")
    loop = lab.connect(router)
    divert = divert_socket(router)
    loop.attach(divert, put_back)
    do(loop, lab.right, live_jobs.switch, RIGHT.router, False)
    assert do(loop, lab.left, echo.ping_by_socket, RIGHT.host, 3, 0.02, 0.2) == (3, 0)
    assert [(sock, error.errno) for sock, error in loop.failures] == [(divert, errno.ENOBUFS)] * 3
    do(loop, lab.right, live_jobs.switch, RIGHT.router, True)
    assert do(loop, lab.left, echo.ping_by_socket, RIGHT.host, 3, 0.02, 5.0) == (3, 3)
    assert len(loop.failures) == 3
    assert router.ledger.balanced


def test_a_router_interface_goes_down_and_comes_back(lab: Lab) -> None:
    router = wall_router()
    loop = lab.connect(router)
    eth1 = next(interface for interface in router.interfaces.values() if interface.name == "eth1")
    eth1.up = False
    assert do(loop, lab.left, echo.ping_by_socket, RIGHT.host, 3, 0.02, 0.2) == (3, 0)
    eth1.up = True
    assert do(loop, lab.left, echo.ping_by_socket, RIGHT.host, 3, 0.02, 5.0) == (3, 3)
    assert router.ledger.balanced


@pytest.mark.parametrize("diverting", [False, True])
def test_octets_of_every_kind_are_survived_and_counted(lab: Lab, diverting: bool) -> None:
    router = wall_router()
    loop = lab.connect(router)
    if diverting:
        for chain in ("input", "output"):
            router.ipchains(f"-A {chain} -j DIVERT 1234")
        loop.attach(divert_socket(router), put_back_as_far_as_allowed)
    number = do(loop, lab.left, live_jobs.put_malformed)
    assert number > 700
    loop.run(lambda: router.ledger.received >= number, 2)
    assert router.ledger.received >= number
    assert router.ledger.dropped[Reason.BAD_CHECKSUM] > 0
    assert router.ledger.dropped[Reason.NOT_IPV4] > 0
    assert router.ledger.balanced
    assert do(loop, lab.left, echo.ping_by_socket, RIGHT.host, 3, 0.02, 5.0) == (3, 3)


def put_back_as_far_as_allowed(divert: object) -> None:
    """What the kernel refuses to take back is gone."""
    try:
        put_back(divert)
    except BlockingIOError:
        raise
    except OSError:
        pass


def test_ipv6_is_counted_and_left_alone(lab: Lab) -> None:
    router = wall_router()
    loop = lab.connect(router)
    before = router.ledger.transmitted
    solicitation = bytes.fromhex("6000000000083aff" + "fe80" + "00" * 13 + "01" + "ff02" + "00" * 13 + "02") + bytes(8)
    do(loop, lab.left, live_jobs.put_on_wire, [solicitation] * 50)
    loop.run(lambda: router.ledger.dropped[Reason.NOT_IPV4] >= 50, 2)
    assert router.ledger.dropped[Reason.NOT_IPV4] >= 50
    assert router.ledger.transmitted == before


@pytest.mark.parametrize("diverting", [False, True])
def test_datagrams_up_to_65535_octets(privilege: str, diverting: bool) -> None:
    sizes = [0, 1, 1472, 1473, 32_739, 65_506, 65_507]
    with Lab(mtu=65_535) as lab:
        router = wall_router()
        loop = lab.connect(router)
        if diverting:
            router.ipchains("-A input -p udp -j DIVERT 1234")
            loop.attach(divert_socket(router, buffer=1 << 20), put_back)
        echoing = start_listening(loop, lab.right, live_jobs.echo_datagrams, 5003, len(sizes))
        asking = lab.left.start(live_jobs.exchange_datagrams, RIGHT.host, 5003, sizes)
        assert finish(loop, echoing, asking) == [len(sizes), sizes]
        assert router.ledger.balanced


def test_fragments_pass(lab: Lab) -> None:
    router = wall_router()
    loop = lab.connect(router)
    sizes = [1473, 5000, 65_507]
    echoing = start_listening(loop, lab.right, live_jobs.echo_datagrams, 5004, len(sizes))
    asking = lab.left.start(live_jobs.exchange_datagrams, RIGHT.host, 5004, sizes)
    assert finish(loop, echoing, asking) == [len(sizes), sizes]
    assert router.ledger.transmitted >= 2 * (2 + 4 + 45)


def test_a_deleted_device_is_noticed_and_the_rest_goes_on(privilege: str) -> None:
    with Lab() as lab:
        router = wall_router()
        loop = lab.connect(router)
        do(loop, lab.right, live_jobs.delete_device)
        loop.run(lambda: bool(loop.lost), 1)
        assert [interface.name for interface in loop.lost] == ["eth1"]
        assert do(loop, lab.left, echo.ping_by_socket, RIGHT.host, 3, 0.02, 0.2) == (3, 0)
        assert router.ledger.dropped[Reason.LINK_FAILED] == 3
        assert do(loop, lab.left, echo.ping_by_socket, LEFT.router, 3, 0.02, 5.0) == (3, 3)
