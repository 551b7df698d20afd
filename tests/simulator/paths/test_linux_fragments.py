"""Fragments on their way through Linux: always-defragment in its three meanings, path MTU, limits (linux.md R1-R17)."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from datagrams import address, ip, pieces, ping, udp
from worlds import ANYWHERE, LEFT, RIGHT, ROUTER, World, error, forwarded, hooks

from simulator import Reason
from simulator.fragments import LINUX, fragment
from simulator.packet import Packet
from simulator.paths.linux import LinuxPath
from simulator.reassembly_linux import HIGH_THRESHOLD

EVERY = pytest.mark.parametrize("profile", ["linux-2.2", "linux-2.0"])
WHOLE = udp(LEFT, RIGHT, data=bytes(range(256)) * 12)
PARTS = pieces(WHOLE, 1500)

DOCUMENTED = ("linux-2.2", {})
"""Release 1.0.4: the option is described, but does nothing (D7)."""
INTENDED = ("linux-2.2", {"always_defragment": True})
"""What it was meant to do (D8)."""
MANDATORY = ("linux-2.0", {})
"""2.0.36, where nothing else is possible (D21)."""


@pytest.mark.profiles("linux-2.2")
@pytest.mark.statement("linux.md D7", "howto.md 1")
def test_always_defragment_as_documented_and_missing() -> None:
    profile, switches = DOCUMENTED
    world = World(profile, "-A forward -j DIVERT 1234", **switches)
    sock = world.divert()
    for part in PARTS:
        world.eth0.receive(part)
    assert [sock.recv(65535) for _ in PARTS] == [forwarded(part) for part in PARTS]
    assert not sock.readable


@EVERY
@pytest.mark.statement("linux.md D8", "linux.md R1")
@pytest.mark.parametrize("chain", ["input", "forward", "output"])
def test_always_defragment_as_intended_and_as_mandatory(profile: str, chain: str) -> None:
    _, switches = INTENDED if profile == "linux-2.2" else MANDATORY
    world = World(profile, f"-A {chain} -j DIVERT 1234", **switches)
    sock = world.divert()
    for part in PARTS:
        world.eth0.receive(part)
    octets, came_from = sock.recvfrom(65535)
    assert octets == (WHOLE if chain == "input" else forwarded(WHOLE))
    assert not sock.readable
    sock.sendto(octets, came_from)
    assert world.eth1.sent == fragment(forwarded(WHOLE), 1500, style=LINUX)
    assert world.dropped == {}


@pytest.mark.profiles("linux-2.2")
@pytest.mark.statement("linux.md D9")
def test_d9_without_it_a_program_that_puts_a_datagram_together_cannot_send_it() -> None:
    """The program reads fragments, glues them, and writes the whole outward, as section 5.2 of the HOWTO warns."""
    world = World("linux-2.2", "-A output -j DIVERT 1234")
    sock = world.divert()
    for part in PARTS:
        world.eth0.receive(part)
    read = [sock.recvfrom(65535) for _ in PARTS]
    with pytest.raises(OSError) as caught:
        sock.sendto(forwarded(WHOLE), read[0][1])
    assert caught.value.errno == errno.EMSGSIZE
    assert world.eth1.sent == []
    for octets, came_from in read:
        sock.sendto(octets, came_from)
    assert world.eth1.sent == [forwarded(part) for part in PARTS]


@EVERY
@pytest.mark.parametrize("flags", [0, 0x4000])
def test_an_oversize_packet_put_back_into_forwarding(profile: str, flags: int) -> None:
    """Inward it is a datagram like any received one: it is cut, or its sender is told."""
    world = World(profile, "-A input -j DIVERT 1234")
    sock = world.divert()
    world.eth0.receive(small := udp(LEFT, RIGHT, fragment=flags))
    _, came_from = sock.recvfrom(65535)
    large = small[:28] + bytes(3000)
    assert sock.sendto(large, came_from) == len(large)
    if flags:
        assert error(world.eth0.sent[0])[:3] == (3, 4, 1500)
        assert world.dropped == {Reason.NEEDS_FRAGMENTING: 1}
    else:
        assert len(world.eth1.sent) == 3
        assert world.dropped == {}


@EVERY
@pytest.mark.statement("linux.md H5")
def test_path_mtu_is_found_in_two_steps(profile: str) -> None:
    """DF, frag-needed with the MTU, and a size that fits; the packet does not meet the forward chain before that."""
    world = World(profile)
    world.eth1.mtu = 576
    size = 1500
    while not world.eth1.sent:
        with world.router.trace() as trace:
            world.eth0.receive(udp(LEFT, RIGHT, data=bytes(size - 28), fragment=0x4000))
        if world.eth0.sent:
            kind, code, size, _ = error(world.eth0.sent.pop())
            assert (kind, code, size) == (3, 4, 576)
            assert hooks(trace) == [("input", "eth0"), ("output", "eth0")]
    assert len(world.eth1.sent[0]) == 576


# -- reassembly --------------------------------------------------------------------------------------------------------


@pytest.mark.profiles("linux-2.2")
@pytest.mark.statement("linux.md R4", "linux.md R9")
def test_r4_r9_fragments_of_two_interfaces_belong_together() -> None:
    """The interface is not part of the key; the datagram is as received by that of its lowest fragment."""
    world = World("linux-2.2", always_defragment=True)
    with world.router.trace() as trace:
        world.eth1.receive(PARTS[2])
        world.eth0.receive(PARTS[0])
        world.eth1.receive(PARTS[1])
    assert hooks(trace)[0] == ("input", "eth0")
    assert world.dropped == {}


@pytest.mark.profiles("linux-2.2")
@pytest.mark.statement("linux.md R4")
@pytest.mark.parametrize("change", [{"identification": 2}, {"protocol": 98}, {"source": "192.168.1.3"}])
def test_r4_another_key_is_another_datagram(change: dict[str, Any]) -> None:
    world = World("linux-2.2", always_defragment=True)
    fields: dict[str, Any] = {"source": LEFT, "destination": ROUTER, "protocol": 99, "payload": bytes(8)}
    world.eth0.receive(ip(**fields, fragment=0x2000))
    world.eth0.receive(ip(**{**fields, **change}, fragment=1))
    assert world.router.ledger.held == 2
    world.eth0.receive(ip(**fields, fragment=1))
    assert world.router.ledger.held == 1
    assert len(world.router.delivered) == 1


@pytest.mark.profiles("linux-2.2")
@pytest.mark.statement("linux.md R12")
def test_r12_pieces_of_any_length() -> None:
    world = World("linux-2.2")
    for data, fragment_field in ((b"0123456789", 0x2000), (b"89abcdef", 1)):
        world.eth0.receive(ip(LEFT, ROUTER, payload=data, fragment=fragment_field))
    assert world.router.delivered[0][20:] == b"0123456789abcdef"  # old data win: 8 and 9 are the first one's


@pytest.mark.profiles("linux-2.2")
@pytest.mark.statement("linux.md R16")
def test_r16_without_it_fragments_are_put_together_at_local_delivery_alone() -> None:
    world = World("linux-2.2")
    here = pieces(udp(LEFT, ROUTER, data=bytes(3000)), 1500)
    for part in here:
        world.eth0.receive(part)
    assert world.packets("input") == len(here)
    assert len(world.router.delivered) == 1
    for part in PARTS:
        world.eth0.receive(part)
    assert world.packets("input") == world.packets("forward") + len(here) == len(here) + len(PARTS)
    assert world.eth1.sent == [forwarded(part) for part in PARTS]


@pytest.mark.profiles("linux-2.2")
@pytest.mark.statement("linux.md R17", "linux.md R6")
def test_r17_a_last_fragment_inside_an_earlier_one_fails_the_datagram() -> None:
    world = World("linux-2.2")
    world.eth0.receive(ip(LEFT, ROUTER, payload=bytes(24), fragment=0x2000))
    world.eth0.receive(ip(LEFT, ROUTER, payload=bytes(8), fragment=1))
    assert world.dropped == {Reason.REASSEMBLY_FAILED: 2}
    assert world.router.ledger.held == 0


@EVERY
@pytest.mark.statement("linux.md R2")
@pytest.mark.parametrize("sizes", [(8,), (1480,), (8, 1480, 64)], ids=["small", "large", "mixed"])
def test_r2_memory_is_bounded_under_a_flood(profile: str, sizes: tuple[int, ...]) -> None:
    """First fragments that never end, as fast as they come: the oldest give way, and nothing else suffers."""
    world = World(profile)
    path = world.router.path
    assert isinstance(path, LinuxPath)
    highest = 0
    for number in range(3000):
        data = bytes(sizes[number % len(sizes)])
        world.eth0.receive(
            ip(f"192.168.1.{number % 250 + 2}", ROUTER, 17, data, identification=number, fragment=0x2000)
        )
        highest = max(highest, path.collecting.reassembly.memory)  # type: ignore[attr-defined]
    assert highest < HIGH_THRESHOLD + 1480 + 400
    assert world.router.ledger.held < 3000
    assert world.dropped.get(Reason.REASSEMBLY_FULL, 0) + world.router.ledger.held == 3000
    assert world.eth0.sent == []  # no ICMP about what is evicted
    world.eth0.receive(asked := ping(LEFT, ROUTER))
    assert world.router.delivered == [asked]
    world.router.clock.advance(31)
    assert world.router.ledger.held == 0
    assert path.collecting.reassembly.memory == 0  # type: ignore[attr-defined]


@EVERY
@pytest.mark.statement("linux.md H10")
def test_h10_own_fragments_are_diverted_one_by_one_the_last_one_first(profile: str) -> None:
    """Under always-defragment too: own datagrams pass output in pieces (R1)."""
    world = World(profile, "-A output -s 10.0.0.1 -j DIVERT 1234")
    sock = world.divert()
    assert world.router.send(udp("10.0.0.1", RIGHT, data=bytes(4000))) == 0
    offsets = []
    while sock.readable:
        octets, came_from = sock.recvfrom(65535)
        offsets.append(Packet(octets).fragment_offset)
        sock.sendto(octets, came_from)
    # 2.0 lets later fragments of UDP pass every rule (Z1), so that a program gets the first one alone.
    assert offsets == ([370, 185, 0] if profile == "linux-2.2" else [0])
    assert sorted(Packet(octets).fragment_offset for octets in world.eth1.sent) == [0, 185, 370]


# -- multicast, broadcast and loopback ---------------------------------------------------------------------------------


@EVERY
@pytest.mark.statement("linux.md H12", "linux.md D19")
@pytest.mark.parametrize("destination", ["224.0.0.1", "192.168.1.255", "255.255.255.255"])
def test_h12_what_is_diverted_on_its_way_to_many_comes_back_once_it_leaves(profile: str, destination: str) -> None:
    world = World(profile, "-A output -d 224.0.0.0/3 -j DIVERT 1234", "-A output -d 192.168.1.255 -j DIVERT 1234")
    sock = world.divert()
    octets = udp(ROUTER, destination)
    assert world.router.send(octets) == 0
    assert (world.eth0.sent, world.router.delivered) == ([], [])
    sock.sendto(*sock.recvfrom(65535))
    assert world.eth0.sent == [octets]
    assert world.router.delivered == [octets]
    assert not sock.readable


@EVERY
@pytest.mark.statement("linux.md H11")
@pytest.mark.parametrize("chain", ["output", "input"])
def test_h11_diverted_on_loopback(profile: str, chain: str) -> None:
    """What goes to an own address is diverted as lo.  Put back on output it goes round; put back on input it has lost
    its route, and its own source is a martian (T3)."""
    world = World(profile, f"-A {chain} -i lo -p 99 -j DIVERT 1234")
    sock = world.divert()
    octets = ip(ROUTER, ROUTER)
    assert world.router.send(octets) == 0
    read, came_from = sock.recvfrom(65535)
    assert read == octets
    assert came_from == (("0.0.0.0" if chain == "output" else "127.0.0.1"), 1234)
    sock.sendto(read, came_from)
    if chain == "output":
        assert octets in world.router.delivered
    else:
        assert world.dropped == {Reason.MARTIAN_SOURCE: 1}


@EVERY
@pytest.mark.statement("linux.md T2", "linux.md D12")
def test_every_header_field_may_be_changed(profile: str) -> None:
    """A program writes back what it likes; the kernel mends length, identification 0 and checksum."""
    world = World(profile, "-A forward -p udp -j DIVERT 1234")
    sock = world.divert()
    original = udp(LEFT, RIGHT, data=b"0123456789abcdef")
    for at in range(1, 20):
        world.eth0.receive(original)
        octets, came_from = sock.recvfrom(65535)
        changed = octets[:at] + bytes((octets[at] ^ 0x01,)) + octets[at + 1 :]
        if at in (6, 7):
            changed = octets[:6] + b"\x40\x00" + octets[8:]
        assert sock.sendto(changed, came_from) == len(changed)
        [*_, sent] = world.eth1.sent
        packet = Packet(sent)
        assert int.from_bytes(sent[:20], "big") % 0xFFFF == 0
        assert packet.total_length == len(sent) == len(octets)
        mended = {2, 3, 10, 11} if at != 5 else {2, 3, 4, 5, 10, 11}
        assert all(sent[index] == changed[index] for index in range(len(sent)) if index not in mended)
    assert world.router.ledger.balanced
    assert address(RIGHT) != Packet(world.eth1.sent[-1]).destination
    assert sock.sendto(original, ANYWHERE)
