"""The sums of the ledger, in the words it uses itself."""

from __future__ import annotations

import json

import pytest
from datagrams import ping, udp
from worlds import GOOD, LEFT, RIGHT, ROUTER, World

from simulator import Ledger, Reason


def test_an_empty_ledger_balances() -> None:
    ledger = Ledger()
    assert ledger.balanced
    assert (ledger.sources, ledger.fates) == (0, 0)


@pytest.mark.parametrize("name", ["received", "originated", "injected", "generated"])
@pytest.mark.parametrize("fate", ["transmitted", "delivered", "diverted", "merged", "held"])
def test_each_source_needs_a_fate(name: str, fate: str) -> None:
    ledger = Ledger()
    setattr(ledger, name, 1)
    assert not ledger.balanced
    setattr(ledger, fate, 1)
    assert ledger.balanced
    ledger.dropped[Reason.DENIED] += 1
    assert not ledger.balanced


def test_what_a_run_leaves_behind() -> None:
    world = World("linux-2.2", "-A forward -p udp -j DIVERT 1234", "-A input -s 192.168.1.9 -j DENY")
    sock = world.divert()
    world.eth0.receive(GOOD)
    sock.sendto(*sock.recvfrom(65535))
    world.eth0.receive(ping(LEFT, ROUTER))
    world.eth0.receive(udp("192.168.1.9", RIGHT))
    world.router.send(ping("10.0.0.1", RIGHT))
    ledger = world.router.ledger
    assert ledger.as_dict() == {
        "received": 3,
        "originated": 1,
        "injected": 1,
        "generated": 1,
        "transmitted": 3,
        "delivered": 1,
        "diverted": 1,
        "merged": 0,
        "held": 0,
        "dropped": {"DENIED": 1},
    }
    assert json.loads(json.dumps(ledger.as_dict())) == ledger.as_dict()
    assert str(ledger) == (
        "3 received + 1 originated + 1 injected + 1 generated"
        " = 3 transmitted + 1 delivered + 1 diverted + 0 merged + 0 held + 1 dropped (1 DENIED)"
    )


def test_reasons_are_told_apart() -> None:
    assert len({reason.value for reason in Reason}) == len(Reason)
