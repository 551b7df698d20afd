"""What Linux 2.0.36 does otherwise than 2.2.12 (linux.md section 8, D21)."""

from __future__ import annotations

import pytest
from datagrams import ip, pieces, ping, tcp, udp
from worlds import GOOD, LEFT, RIGHT, ROUTER, World, error, forwarded

from rules.errors import CommandError
from simulator import Reason
from simulator.fragments import LINUX, fragment
from simulator.paths.linux import LinuxPath

pytestmark = pytest.mark.profiles("linux-2.0")

LATER = 0x2000 | 8
"""A fragment field: offset 64, more to come."""


@pytest.mark.statement("linux.md D21", "linux.md D8")
@pytest.mark.parametrize("chain", ["input", "forward", "output"])
def test_d21_datagrams_are_put_together_before_they_are_diverted(chain: str) -> None:
    world = World("linux-2.0", f"-A {chain} -p udp -j DIVERT 1234")
    sock = world.divert()
    whole = udp(LEFT, RIGHT, data=bytes(3000))
    for part in pieces(whole, 1500):
        world.eth0.receive(part)
    octets, address = sock.recvfrom(65535)
    assert octets == (whole if chain == "input" else forwarded(whole))
    assert not sock.readable
    sock.sendto(octets, address)
    assert world.eth1.sent == fragment(forwarded(whole), 1500, style=LINUX)
    assert world.dropped == {}


@pytest.mark.statement("linux.md Z1")
@pytest.mark.parametrize(
    ("octets", "passes"),
    [
        (tcp(LEFT, RIGHT, fragment=LATER), True),
        (udp(LEFT, RIGHT, fragment=LATER), True),
        (ping(LEFT, RIGHT, fragment=LATER), True),
        (ip(LEFT, RIGHT, 99, fragment=LATER), False),
        (tcp(LEFT, RIGHT, fragment=0x2001), False),
        (udp(LEFT, RIGHT, fragment=0x2000), False),
    ],
    ids=["tcp", "udp", "icmp", "other", "tcp offset 1", "first"],
)
def test_z1_later_fragments_pass_every_rule(octets: bytes, passes: bool) -> None:
    """With defragmentation off, which no 2.0 with divert sockets has (D21 says why)."""
    world = World("linux-2.0", "-P input DENY", always_defragment=False)
    world.eth0.receive(octets)
    assert world.eth1.sent == ([forwarded(octets)] if passes else [])
    assert world.packets("input") == (not passes and octets[6:8] != b"\x20\x01")
    assert list(world.router.messages) == []


@pytest.mark.statement("linux.md Z1")
@pytest.mark.parametrize(
    ("octets", "passes"),
    [
        (ip(LEFT, RIGHT, 6, bytes(15)), False),
        (ip(LEFT, RIGHT, 6, bytes(16)), True),
        (ip(LEFT, RIGHT, 17, bytes(7)), False),
        (ip(LEFT, RIGHT, 17, bytes(8)), True),
        (ip(LEFT, RIGHT, 1, b""), True),
    ],
)
def test_z1_short_packets_are_dropped(octets: bytes, passes: bool) -> None:
    world = World("linux-2.0")
    world.eth0.receive(octets)
    assert bool(world.eth1.sent) is passes
    assert list(world.router.messages) == []


@pytest.mark.statement("linux.md Z2")
def test_z2_reject_answers_before_routing() -> None:
    world = World("linux-2.0", "-P input REJECT")
    for source, destination in ((LEFT, "127.0.0.9"), (LEFT, RIGHT)):
        world.eth0.receive(udp(source, destination))
    assert [error(octets)[:2] for octets in world.eth0.sent] == [(3, 3)] * 2


@pytest.mark.statement("linux.md Z2")
def test_z2_one_rule_decides_and_there_are_no_user_chains() -> None:
    world = World("linux-2.0", "-A input -p udp -j ACCEPT", "-A input -j DENY")
    world.eth0.receive(GOOD)
    world.eth0.receive(ping(LEFT, RIGHT))
    assert world.eth1.sent == [forwarded(GOOD)]
    with pytest.raises(CommandError):
        world.router.ipchains("-N mine")


@pytest.mark.statement("linux.md Z3")
def test_z3_a_test_of_syn_says_nothing_about_what_is_not_tcp() -> None:
    world = World("linux-2.0", "-A input -p tcp -y -j DENY", "-P input ACCEPT")
    world.eth0.receive(tcp(LEFT, RIGHT))
    world.eth0.receive(acknowledging := tcp(LEFT, RIGHT, flags=16))
    world.eth0.receive(GOOD)
    assert world.eth1.sent == [forwarded(acknowledging), forwarded(GOOD)]


@pytest.mark.statement("linux.md Z4")
def test_z4_the_limits_of_reassembly() -> None:
    world = World("linux-2.0")
    path = world.router.path
    assert isinstance(path, LinuxPath)
    reassembly = path.collecting.reassembly
    held = 0
    for number in range(4000):
        world.eth0.receive(udp(LEFT, ROUTER, data=bytes(64), identification=number, fragment=0x2000))
        held = max(held, reassembly.memory)  # type: ignore[attr-defined]
    assert 262144 < held < 262144 + 400
    assert world.dropped[Reason.REASSEMBLY_FULL] > 1000
    world.router.clock.advance(30.01)
    assert world.router.ledger.held == 0
    assert world.router.ledger.balanced


@pytest.mark.statement("linux.md Z6")
@pytest.mark.parametrize(("target", "tos"), [("ACCEPT", 0x10), ("REJECT", 0x02)])
def test_z6_the_tos_of_what_passes_only(target: str, tos: int) -> None:
    world = World("linux-2.0", f"-A input -p udp -t 0x01 0x10 -j {target}")
    world.eth0.receive(udp(LEFT, RIGHT, tos=0x02))
    if target == "ACCEPT":
        [sent] = world.eth1.sent
        assert sent[1] == tos
        assert int.from_bytes(sent[:20], "big") % 0xFFFF == 0
    else:
        assert error(world.eth0.sent[0])[3][1] == tos


@pytest.mark.statement("linux.md H8", "linux.md H7")
@pytest.mark.parametrize(
    ("rule", "code"),
    [("-P forward DENY", None), ("-P forward REJECT", 1), ("-A output -p udp -j REJECT", 1)],
)
def test_h7_h8_refusals_of_forwarded_datagrams(rule: str, code: int | None) -> None:
    world = World("linux-2.0", rule)
    world.eth0.receive(GOOD)
    assert not world.eth1.sent
    assert [error(each)[:2] for each in world.eth0.sent] == ([] if code is None else [(3, code)])
