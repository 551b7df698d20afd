"""Every field of the header, with every value, written to a BSD's divert socket as incoming and as outgoing.

The reference is what bsd.md W-4 to W-20 and H-2, H-3 say, put down here once more, without any of the simulator's code:
what the write answers, what leaves by which interface, what this host gets, or why the packet is lost.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Any

import pytest
from bsd_worlds import ALL, BEFORE_5, LEFT, OUTGOING, OWN, RIGHT, BsdWorld
from datagrams import address, ip
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulator import Reason

every = pytest.mark.parametrize("profile", ALL)

EM0, EM1 = address(OWN), address("10.0.0.1")
HERE = {EM0, EM1, 0x7F000001}
BASE = ip(LEFT, RIGHT, 99, b"\1" * 48, ttl=9)
"""Of a protocol that no rule looks into, with data that is good as options, should the header length say so."""
RAW_OPTIONS = [b"\1\1\1\0", b"\0\0\0\0", b"\1" * 40]

HOSTS = [LEFT, OWN, RIGHT, "10.0.0.1", "203.0.113.9", "192.168.1.255", "10.0.0.255", "255.255.255.255"]
ODD_HOSTS = ["0.0.0.0", "127.0.0.1", "127.9.9.9", "224.0.0.1", "239.1.2.3", "240.0.0.1"]
hosts = st.sampled_from(HOSTS + ODD_HOSTS).map(address)

fields = st.one_of(
    st.tuples(st.just("version"), st.integers(0, 15)),
    st.tuples(st.just("header length"), st.integers(0, 15)),
    st.tuples(st.just("tos"), st.integers(0, 255)),
    st.tuples(st.just("total length"), st.integers(0, 120) | st.integers(0, 0xFFFF)),
    st.tuples(st.just("identification"), st.integers(0, 0xFFFF)),
    st.tuples(st.just("ttl"), st.integers(0, 3) | st.integers(0, 255)),
    st.tuples(st.just("protocol"), st.sampled_from([0, 1, 2, 6, 17, 41, 89, 255])),
    st.tuples(st.just("checksum"), st.integers(0, 0xFFFF)),
    st.tuples(st.just("source"), hosts),
    st.tuples(st.just("destination"), hosts),
    st.tuples(st.just("options"), st.sampled_from(RAW_OPTIONS)),
    st.tuples(st.just("cut"), st.integers(0, len(BASE))),
    st.tuples(st.just("surplus"), st.binary(min_size=1, max_size=9)),
    st.tuples(st.just("none"), st.just(0)),
)


def ones_complement(octets: bytes) -> int:
    """RFC 1071, word by word; an odd octet is padded."""
    octets += bytes(len(octets) % 2)
    total = sum(int.from_bytes(octets[at : at + 2], "big") for at in range(0, len(octets), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def mended(octets: bytes) -> bytes:
    """With the header checksum of as many octets as the header says it has."""
    length = (octets[0] & 15) * 4
    bare = octets[:10] + b"\0\0" + octets[12:]
    return octets[:10] + ones_complement(bare[:length]).to_bytes(2, "big") + octets[12:]


def changed(field: str, value: Any) -> bytes:
    """The base packet with one field changed, its checksum as it was."""
    octets = bytearray(BASE)
    places = {"total length": (2, 2), "identification": (4, 2), "fragment": (6, 2), "checksum": (10, 2)}
    places |= {"tos": (1, 1), "ttl": (8, 1), "protocol": (9, 1), "source": (12, 4), "destination": (16, 4)}
    match field:
        case "version":
            octets[0] = value << 4 | 5
        case "header length":
            octets[0] = 0x40 | value
        case "options":
            octets[0] = 0x45 + len(value) // 4
            octets[2:4] = (len(BASE) + len(value)).to_bytes(2, "big")
            octets[20:20] = value
        case "cut":
            del octets[value:]
        case "surplus":
            octets += value
        case "none":
            pass
        case _:
            at, size = places[field]
            octets[at : at + size] = value.to_bytes(size, "big")
    return bytes(octets)


@dataclass
class Outcome:
    """What the write answers, and what there is afterwards."""

    answer: int
    """0, or the errno."""
    sent: list[tuple[str, bytes]]
    """What left, without ICMP errors about it."""
    delivered: list[bytes]
    lost: set[Reason]


def refused(number: int) -> Outcome:
    return Outcome(number, [], [], set())


def lost(reason: Reason, answer: int = 0) -> Outcome:
    return Outcome(answer, [], [], {reason})


def before_the_path(profile: str, octets: bytes) -> int:
    """W-4 and W-6: the errno, 0 for none."""
    if len(octets) < 20:
        return errno.EINVAL
    if profile not in BEFORE_5 and octets[0] >> 4 != 4:
        return errno.EINVAL if profile in ("freebsd-10", "freebsd-11") else errno.EAFNOSUPPORT
    return 0


def header_test(profile: str, octets: bytes) -> Reason | None:
    """H-2 for what comes in by em0: why it is lost."""
    length, total = (octets[0] & 15) * 4, int.from_bytes(octets[2:4], "big")
    if octets[0] >> 4 != 4:
        return Reason.NOT_IPV4 if octets[0] >> 4 == 6 else Reason.BAD_VERSION
    if length < 20 or len(octets) < length:
        return Reason.BAD_HEADER_LENGTH
    if 127 in (octets[12], octets[16]):
        return Reason.BAD_ADDRESS
    if profile == "freebsd-14" and not any(octets[16:20]):
        return Reason.BAD_ADDRESS
    if ones_complement(octets[:length]):
        return Reason.BAD_CHECKSUM
    if total < length:
        return Reason.BAD_LENGTH
    return Reason.TRUNCATED if len(octets) < total else None


def incoming(profile: str, octets: bytes) -> Outcome:
    """Written with the address of em0."""
    number = before_the_path(profile, octets)
    if number:
        return refused(number)
    reason = header_test(profile, octets)
    if reason is not None:
        return lost(reason)
    octets = octets[: int.from_bytes(octets[2:4], "big")]
    destination = int.from_bytes(octets[16:20], "big")
    many = destination >> 28 == 14 or destination == 0xFFFFFFFF or destination == 0
    broadcast = destination == address("192.168.1.255")
    fast = profile not in ("freebsd-4", "freebsd-10", "dragonfly")
    source = int.from_bytes(octets[12:16], "big")
    ordinary = source and source >> 28 != 14 and source != 0xFFFFFFFF and (octets[0] & 15) == 5
    if broadcast and fast and profile == "freebsd-11" and ordinary:
        broadcast = False  # W-20: not recognised any more, and so forwarded
    if destination in HERE or many or broadcast:
        return Outcome(0, [], [octets], set())
    if destination >> 28 == 15 and not (fast and ordinary):  # the fast path does not look at the class
        return lost(Reason.MARTIAN_DESTINATION)
    if octets[8] <= 1:
        return lost(Reason.TTL_EXCEEDED)
    if destination == address("10.0.0.255") and not (fast and ordinary):
        return lost(Reason.DENIED)  # the slow path forwards no broadcast
    left = destination >> 8 == 0xC0A801
    if not source:
        octets = octets[:12] + (EM0 if left else EM1).to_bytes(4, "big") + octets[16:]
    passed_on = mended(octets[:8] + bytes((octets[8] - 1,)) + octets[9:])
    return Outcome(0, [("em0" if left else "em1", passed_on)], [], set())


def outgoing(profile: str, octets: bytes) -> Outcome:
    """Written with 0.0.0.0."""
    number = before_the_path(profile, octets)
    if number:
        return refused(number)
    if int.from_bytes(octets[2:4], "big") > len(octets):
        return refused(errno.EINVAL)
    destination = int.from_bytes(octets[16:20], "big")
    here = destination in HERE or destination >> 24 == 127
    near = EM0 if destination >> 8 == 0xC0A801 else EM1
    if not any(octets[12:16]):
        own = (destination if destination in HERE else 0x7F000001) if here else near
        octets = octets[:12] + own.to_bytes(4, "big") + octets[16:]
    group = destination >> 28 == 14
    if group:
        octets = octets[:8] + b"\1" + octets[9:]
    if octets[12] == 127 and not here:
        return Outcome(errno.EADDRNOTAVAIL, [], [mended(octets)] if group else [], {Reason.BAD_ADDRESS})
    octets = mended(octets)
    if here:
        return Outcome(0, [], [], set())  # it comes back by lo0; what becomes of it there is another story
    return Outcome(0, [("em0" if near == EM0 else "em1", octets)], [octets] if group else [], set())


def observed(world: BsdWorld, octets: bytes, where: tuple[str, int]) -> Outcome:
    before = dict(world.router.ledger.dropped)
    world.em0.sent.clear()
    world.em1.sent.clear()
    world.router.delivered.clear()
    answer = 0
    try:
        assert world.unbound().sendto(octets, where) == len(octets), "W-23"
    except OSError as error:
        answer = error.errno or 0
    told = [("em0", each) for each in world.em0.sent] + [("em1", each) for each in world.em1.sent]
    reasons = {reason for reason, count in world.router.ledger.dropped.items() if count != before.get(reason, 0)}
    return Outcome(answer, told, list(world.router.delivered), reasons)


def is_error(octets: bytes) -> bool:
    """An ICMP message that the router made about what was written."""
    return octets[9] == 1 and octets[20] in (3, 5, 11, 12) and octets[12:16] in {OWN_OCTETS, NEAR_OCTETS}


OWN_OCTETS, NEAR_OCTETS = EM0.to_bytes(4, "big"), EM1.to_bytes(4, "big")


@every
@pytest.mark.statement(
    "bsd.md W-4", "bsd.md W-6", "bsd.md W-11", "bsd.md W-13", "bsd.md W-17", "bsd.md W-18", "bsd.md W-19", "bsd.md W-22"
)
@settings(max_examples=60, deadline=None)
@given(change=fields, mend=st.booleans(), out=st.booleans(), times=st.integers(1, 2))
@example(change=("version", 6), mend=True, out=True, times=1)
@example(change=("version", 0), mend=True, out=False, times=1)
@example(change=("header length", 4), mend=True, out=False, times=1)
@example(change=("header length", 0), mend=True, out=True, times=1)
@example(change=("header length", 3), mend=False, out=True, times=1)
@example(change=("total length", 5), mend=False, out=True, times=2)
@example(change=("checksum", 0), mend=False, out=False, times=1)
@example(change=("checksum", 0), mend=False, out=True, times=1)
@example(change=("ttl", 0), mend=True, out=True, times=1)
@example(change=("ttl", 1), mend=True, out=False, times=1)
@example(change=("identification", 0), mend=True, out=True, times=1)
@example(change=("source", 0), mend=True, out=True, times=1)
@example(change=("source", 0x7F000001), mend=True, out=True, times=1)
@example(change=("destination", 0xEF010203), mend=True, out=True, times=1)
@example(change=("destination", 0xC0A801FF), mend=True, out=False, times=1)
@example(change=("destination", 0xF0000001), mend=True, out=False, times=1)
@example(change=("surplus", b"more"), mend=False, out=False, times=1)
def test_one_field_changed(profile: str, change: tuple[str, Any], mend: bool, out: bool, times: int) -> None:
    world = BsdWorld(profile)
    octets = changed(*change)
    if mend and change[0] != "checksum" and len(octets) >= 20:
        octets = mended(octets)
    expected = (outgoing if out else incoming)(profile, octets)
    for _ in range(times):
        found = observed(world, octets, OUTGOING if out else (OWN, 0))
        assert found.answer == expected.answer
        assert [each for each in found.sent if not is_error(each[1])] == expected.sent
        destination = octets[16:20]
        if not out or (int.from_bytes(destination, "big") not in HERE and destination[:1] != b"\x7f"):
            kept = [each for each in found.delivered if not is_error(each)]
            assert kept == expected.delivered
            assert expected.lost <= found.lost
        assert world.router.ledger.balanced


fragment_fields = st.integers(0, 7).flatmap(lambda flags: st.integers(0, 0x1FFF).map(lambda at: flags << 13 | at))


@every
@pytest.mark.statement("bsd.md W-13", "bsd.md W-16")
@settings(max_examples=25, deadline=None)
@given(field=fragment_fields, out=st.booleans())
@example(field=0x4000, out=True)
@example(field=0x8000, out=False)
@example(field=0x2000, out=True)
def test_the_fragment_field_goes_through_untouched(profile: str, field: int, out: bool) -> None:
    world = BsdWorld(profile)
    octets = mended(changed("fragment", field))
    found = observed(world, octets, OUTGOING if out else (OWN, 0))
    expected = octets if out else mended(octets[:8] + bytes((octets[8] - 1,)) + octets[9:])
    assert (found.answer, found.sent) == (0, [("em1", expected)])


@every
@pytest.mark.statement("bsd.md W-24")
@settings(max_examples=20, deadline=None)
@given(change=fields.filter(lambda change: change[0] in ("tos", "identification", "protocol", "ttl", "none")))
def test_a_changed_direction(profile: str, change: tuple[str, Any]) -> None:
    """What came in and is written as outgoing leaves as it is; what was going out and is written as incoming is
    received, and loses a TTL."""
    world = BsdWorld(profile, "100 divert 8668 ip from any to any")
    sock = world.divert()
    octets = mended(changed(*change))
    world.em0.receive(octets)
    came, sender = sock.recvfrom(65535)
    assert came == octets
    sock.sendto(came, ("0.0.0.0", sender[1]))
    assert world.em1.sent == [octets]
    world.em1.sent.clear()
    world.router.send(octets[:4] + b"\0\1" + octets[6:])
    went, sender = sock.recvfrom(65535)
    assert sender[0] == "0.0.0.0"
    world.router.ipfw("delete 100")
    sock.sendto(mended(went), (OWN, sender[1]))
    if went[8] > 1:
        assert world.em1.sent == [mended(went[:8] + bytes((went[8] - 1,)) + went[9:])]
    else:
        assert world.em1.sent == []
