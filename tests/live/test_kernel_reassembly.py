"""What becomes of fragments that wait in vain, in the kernel of this machine and in ours: the clock decides."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from datagrams import address, ping
from kernel_comparing import compare
from kernel_difference import Question
from kernel_differences import DIFFERENCES
from kernel_octets import field
from kernel_router import Answers, KernelRouter
from kernel_rows_reassembly import PATIENCE, part
from kernel_world import our_router

pytestmark = pytest.mark.live

ROUTER = "192.168.1.1"
SECONDS = 1
"""What the kernel is told to wait; less is not to be had."""

LONGEST = 20.0
"""Seconds to wait for the kernel on a busy machine."""


@pytest.fixture
def hasty(kernel: KernelRouter) -> Iterator[KernelRouter]:
    """It gives fragments up after a second."""
    kernel.set("ipv4/ipfrag_time", SECONDS)
    yield kernel
    kernel.set("ipv4/ipfrag_time", 600)


def parts(sender: str, *ranges: tuple[int, int]) -> Question:
    request = ping(sender, ROUTER, data=bytes(range(48)), identification=77, tos=0x1C)
    return [part(request, start, end) for start, end in ranges]


def about(error: bytes) -> int:
    """Whose datagram the error is about."""
    return field(error, 16, 4)


WAITING: dict[str, tuple[Question, bool]] = {
    "the first alone": (parts("192.168.1.11", (0, 24)), True),
    "the last is missing": (parts("192.168.1.12", (0, 24), (24, 48)), True),
    "the middle is missing, the last came first": (parts("192.168.1.13", (48, 56), (0, 24)), True),
    "from behind a gateway": (parts("172.20.0.14", (0, 24)), True),
    "the first is missing": (parts("192.168.1.15", (24, 56)), False),
    "from nowhere known": (parts("100.64.0.16", (0, 24)), False),
}
"""Fragments, and whether their sender is told."""


def our_errors(asked: Question) -> Answers:
    router = our_router("linux-2.2")
    for name, octets in asked:
        router.node.interfaces[name].receive(octets)
    router.clock.advance(30.1)
    return {"eth0": sent} if (sent := router.node.interfaces["eth0"].sent) else {}


def test_time_exceeded(hasty: KernelRouter) -> None:
    for asked, _ in WAITING.values():
        assert hasty.exchange(asked) == {}
    time.sleep(0.1)  # the last of all to be given up, so that nothing is still to come after it
    last = parts("192.168.1.19", (0, 24))
    assert hasty.exchange(last) == {}
    told: dict[int, bytes] = {}
    while (error := hasty.wait("eth0", LONGEST)) is not None:
        if about(error) == address("192.168.1.19"):
            break
        told[about(error)] = error
    for asked, answered in WAITING.values():
        error = told.pop(field(asked[0][1], 12, 4), None)
        assert (error is not None) == answered
        compare(asked, {"eth0": [error]} if error else {}, our_errors(asked), "linux-2.2", DIFFERENCES)
    assert not told


def test_which_fragment_starts_the_time(hasty: KernelRouter) -> None:
    """Of two datagrams, of which the older gets another fragment, either gives up another one first."""
    assert PATIENCE in DIFFERENCES
    older, younger = "192.168.1.21", "192.168.1.22"
    hasty.exchange(parts(older, (0, 24)))
    time.sleep(0.15)
    hasty.exchange(parts(younger, (0, 24)))
    time.sleep(0.15)
    hasty.exchange(parts(older, (24, 48)))
    first, second = (hasty.wait("eth0", LONGEST) for _ in range(2))
    assert first is not None
    assert second is not None
    assert (about(first), about(second)) == (address(older), address(younger))

    router = our_router("linux-2.2")
    eth0 = router.node.interfaces["eth0"]
    for asked in (parts(older, (0, 24)), parts(younger, (0, 24)), parts(older, (24, 48))):
        eth0.receive(asked[0][1])
        router.clock.advance(5)
    router.clock.advance(20.1)  # 30.1 seconds after the younger one
    assert [about(error) for error in eth0.sent] == [address(younger)]
    router.clock.advance(5)
    assert [about(error) for error in eth0.sent] == [address(younger), address(older)]
