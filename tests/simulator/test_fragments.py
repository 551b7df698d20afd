"""Fragmentation and reassembly, in a literal notation.

A stream is written ``A0-16 B8-24.``: fragment A brings octets 0 up to 16, each of them an ``A``; then B brings 8 up to
24, and the full stop says that it is the last one (no MF).  What comes of it is written the same way: ``A0-16 B16-24``
is a datagram whose first sixteen octets are A's and the rest B's.  ``held`` and ``dropped`` are what became of the
last fragment, and what was lost on the way is told in brackets.
"""

from __future__ import annotations

import doctest
import re
from collections.abc import Callable
from itertools import groupby
from typing import TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import simulator.fragments
import simulator.wire
from rules.fields import DONT_FRAGMENT, MORE_FRAGMENTS
from simulator.fragments import (
    BSD,
    DRAGONFLY,
    FREEBSD_4,
    FREEBSD_5,
    FREEBSD_13,
    FREEBSD_14,
    LINUX,
    LINUX_LOCAL,
    BsdPolicy,
    BsdReassembly,
    LinuxReassembly,
    Loss,
    Outcome,
    Result,
    Style,
    fragment,
)
from simulator.wire import ipv4

pytestmark = pytest.mark.profiles("linux-2.2")

Reassembly: TypeAlias = LinuxReassembly[str] | BsdReassembly[str]

_FRAGMENT = re.compile(r"([A-Z])(\d+)-(\d+)(\.?)")


def packet(
    start: int, data: bytes, *, last: bool = False, tos: int = 0, options: bytes = b"", identification: int = 1
) -> bytes:
    return ipv4.Header(
        source=0x0A000001,
        destination=0x0A000002,
        protocol=17,
        identification=identification,
        tos=tos,
        fragment=start // 8 | (0 if last else MORE_FRAGMENTS),
        options=options,
    ).emit(data)


def read(text: str) -> tuple[str, bytes]:
    """A fragment of the notation: its name, which is the item handed in, and its octets."""
    matched = _FRAGMENT.fullmatch(text)
    assert matched, text
    name, start, end, stop = matched.groups()
    return name, packet(int(start), name.encode() * (int(end) - int(start)), last=bool(stop))


def contents(octets: bytes) -> str:
    """A datagram's data in the notation."""
    words, at = [], 0
    for name, run in groupby(ipv4.payload(octets).decode()):
        length = len(list(run))
        words.append(f"{name}{at}-{at + length}")
        at += length
    return " ".join(words)


def play(reassembly: Reassembly, stream: str) -> str:
    """What comes of a stream, in the notation."""
    told, losses = "", []
    for text in stream.split():
        name, octets = read(text)
        result = reassembly.add(octets, 0.0, name)
        losses += [f"{lost.item} {lost.loss.name.lower()}" for lost in result.lost]
        told = result.outcome.name.lower()
        if result.octets is not None:
            told = contents(result.octets)
    return told + (f" ({', '.join(losses)})" if losses else "")


# -- overlaps ----------------------------------------------------------------------------------------------------------

KERNELS: dict[str, Callable[[], Reassembly]] = {
    "linux": LinuxReassembly,
    "11": lambda: BsdReassembly(FREEBSD_5),
    "13": lambda: BsdReassembly(FREEBSD_13),
}

EVERYWHERE = [
    ("in order", "A0-8 B8-16 C16-20.", "A0-8 B8-16 C16-20"),
    ("backwards", "C16-20. B8-16 A0-8", "A0-8 B8-16 C16-20"),
    ("a hole waits", "A0-8 C16-20.", "held"),
    ("the end waits", "A0-8 B8-16", "held"),
    ("old data win backwards", "A0-16 B8-24.", "A0-16 B16-24"),
    ("new data win forwards", "B8-24. A0-16", "A0-16 B16-24"),
    ("a covered fragment goes", "B8-16 A0-24 C24-32.", "A0-24 C24-32 (B covered)"),
    ("a covering last one", "A0-8 B8-16 C24-32 D16-40.", "A0-8 B8-16 D16-40 (C covered)"),
    ("from both sides", "A0-16 C24-40. B8-32", "A0-16 B16-32 C32-40"),
    ("a last one inside its datagram", "A0-8 B16-24. C8-16", "A0-8 C8-16 B16-24"),
]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("stream", "expected"), [pytest.param(*case[1:], id=case[0]) for case in EVERYWHERE])
def test_what_every_kernel_makes_of(stream: str, expected: str, kernel: str) -> None:
    assert play(KERNELS[kernel](), stream) == expected


OVERLAPS = [
    # linux.md R5: a duplicate replaces; BSD: the one that is there stays
    ("an exact duplicate", "A0-8 B0-8 C8-16.", "B0-8 C8-16 (A covered)", "A0-8 C8-16 (B covered)"),
    ("the same start, shorter", "A0-16 B0-8 C16-24.", "B0-8 A8-16 C16-24", "A0-16 C16-24 (B covered)"),
    ("the same start, longer", "A0-8 B0-16 C16-24.", "B0-16 C16-24 (A covered)", "A0-8 B8-16 C16-24"),
    # linux.md R6: a fragment inside an earlier one spoils the datagram, unless the next one removes it
    (
        "inside, the next one removes it",
        "A0-24 B8-16 C24-32.",
        "A0-24 C24-32 (B covered)",
        "A0-24 C24-32 (B covered)",
    ),
    (
        "inside, others after it",
        "A0-24 C24-32 B8-16 D32-40.",
        "held",
        "A0-24 C24-32 D32-40 (B covered)",
    ),
    (
        "the same end, others after it",
        "A0-24 C32-40. B16-24 D24-32",
        "A0-24 D24-32 C32-40 (B covered)",
        "A0-24 D24-32 C32-40 (B covered)",
    ),
    (
        "the same end, complete at once",
        "A0-24 C24-32 B16-24 D32-40.",
        "dropped (A failed, B failed, C failed, D failed)",
        "A0-24 C24-32 D32-40 (B covered)",
    ),
    (
        "a last one inside",
        "A0-24 B8-16.",
        "dropped (A failed, B failed)",
        "dropped (B covered)",
    ),
]


@pytest.mark.parametrize(
    ("stream", "linux", "bsd"), [pytest.param(*case[1:], id=case[0].replace(" ", "-")) for case in OVERLAPS]
)
@pytest.mark.statement("linux.md R5", "linux.md R6")
def test_where_linux_and_bsd_differ(stream: str, linux: str, bsd: str) -> None:
    assert play(LinuxReassembly(), stream) == linux
    assert play(BsdReassembly(FREEBSD_5), stream) == bsd


KNOWN_END = [
    # divert-observed.md F-10.4/5: 13 keeps the end that it knows, 11 looks only at what is there
    ("data beyond the end", "B8-16. C16-24 A0-8", "held", "A0-8 B8-16 (C beyond_end)"),
    ("a second, later last one", "B8-16. C16-24. A0-8", "A0-8 B8-16 C16-24", "A0-8 B8-16 (C beyond_end)"),
    ("a second, earlier last one", "C16-24. B8-16. A0-8", "A0-8 B8-16 C16-24", "held (B beyond_end)"),
    ("data up to the end without a stop", "B8-16. C8-16 A0-8", "A0-8 B8-16 (C covered)", "A0-8 B8-16 (C beyond_end)"),
    ("the same last one again", "B8-16. C8-16. A0-8", "A0-8 B8-16 (C covered)", "A0-8 B8-16 (C covered)"),
    ("data beyond, before the end is known", "C16-24 B8-16. A0-8", "held", "held"),
]


@pytest.mark.parametrize(
    ("stream", "older", "newer"), [pytest.param(*case[1:], id=case[0].replace(" ", "-")) for case in KNOWN_END]
)
def test_whether_a_known_end_is_kept(stream: str, older: str, newer: str) -> None:
    assert play(BsdReassembly(FREEBSD_5), stream) == older
    for policy in (FREEBSD_13, FREEBSD_14):
        assert play(BsdReassembly(policy), stream) == newer


def test_a_covered_fragment_counts_as_dropped() -> None:
    reassembly: BsdReassembly[str] = BsdReassembly()
    assert play(reassembly, "B8-16 C16-24 A0-24") == "held (B covered, C covered)"
    assert play(reassembly, "D8-16") == "dropped (D covered)"
    assert (reassembly.fragdropped, reassembly.fragments, reassembly.held) == (3, 4, 1)


def test_bsd_keeps_offsets_in_sixteen_bits() -> None:
    """What an old release lets end beyond 65,535 starts at 8 again once its front is cut off."""
    reassembly: BsdReassembly[str] = BsdReassembly(FREEBSD_5)
    assert play(reassembly, "A65504-65544 B65520-65600.") == "held"
    assert list(reassembly.pieces().values()) == [[(65504, 65544), (8, 64)]]


@pytest.mark.parametrize(
    ("text", "linux", "older", "newer"),
    [
        ("B8-13", "held", "dropped (B bad)", "dropped (B bad)"),  # not a multiple of eight
        ("B8-20", "held", "dropped (B bad)", "dropped (B bad)"),
        ("B8-8", "held", "dropped (B bad)", "dropped (B bad)"),
        ("B8-8.", "held", "held", "dropped (B bad)"),  # empty, the last
        ("B65528-65600.", "dropped (B bad)", "held", "dropped (B bad)"),
        ("B65528-65535.", "dropped (B bad)", "held", "held"),  # ends in time; Linux counts the header besides
        ("B65528-65536.", "dropped (B bad)", "held", "dropped (B bad)"),
        ("B65504-65516.", "dropped (B bad)", "held", "held"),
        ("B65504-65515.", "held", "held", "held"),
    ],
)
@pytest.mark.statement("linux.md R7", "linux.md R11")
def test_fragments_of_impossible_length(text: str, linux: str, older: str, newer: str) -> None:
    assert play(LinuxReassembly(), text) == linux
    assert play(BsdReassembly(FREEBSD_5), text) == older
    assert play(BsdReassembly(FREEBSD_13), text) == newer


# -- the datagram ------------------------------------------------------------------------------------------------------


@pytest.mark.statement("linux.md R8")
def test_linux_takes_the_header_of_the_latest_fragment_with_offset_zero() -> None:
    reassembly: LinuxReassembly[str] = LinuxReassembly()
    reassembly.add(packet(8, b"B" * 8, last=True, tos=2), 0.0, "B")
    result = reassembly.add(packet(0, b"A" * 8, tos=4, options=b"\1\1\1\0"), 0.0, "A")
    assert result.outcome is Outcome.REASSEMBLED
    assert result.octets is not None
    whole = ipv4.parse(result.octets)
    assert (whole.tos, whole.options, whole.fragment) == (4, b"\1\1\1\0", 0)
    assert (result.header_of, result.lowest, result.merged) == ("A", "A", ("A", "B"))


def test_bsd_keeps_the_header_of_the_fragment_that_stays_first() -> None:
    reassembly: BsdReassembly[str] = BsdReassembly(FREEBSD_13)
    reassembly.add(packet(0, b"A" * 8, tos=4), 0.0, "A")
    reassembly.add(packet(0, b"B" * 16, tos=8), 0.0, "B")
    result = reassembly.add(packet(16, b"C", last=True), 0.0, "C")
    assert result.octets is not None
    assert ipv4.parse(result.octets).tos == 4
    assert (result.header_of, result.merged) == ("A", ("A", "B", "C"))


@pytest.mark.parametrize(
    ("policy", "first", "second", "expected"),
    [
        # divert-observed.md F-10.6; 0 not-ECT, 2 ECT, 3 CE.  The datagram's TOS, or None: the second was dropped
        (FREEBSD_5, 0, 0, 0),
        (FREEBSD_5, 0, 2, 0),
        (FREEBSD_5, 0, 3, None),
        (FREEBSD_5, 2, 0, None),
        (FREEBSD_5, 3, 0, None),
        (FREEBSD_13, 2, 3, 3),
        (FREEBSD_13, 3, 2, 3),
        (FREEBSD_4, 0, 3, 0),
        (DRAGONFLY, 3, 0, 3),
    ],
)
def test_ecn(policy: BsdPolicy, first: int, second: int, expected: int | None) -> None:
    reassembly: BsdReassembly[str] = BsdReassembly(policy)
    reassembly.add(packet(0, bytes(8), tos=first), 0.0, "A")
    result = reassembly.add(packet(8, bytes(8), tos=second, last=True), 0.0, "B")
    if expected is None:
        assert result.lost == (("B", Loss.ECN_MIXED),)
        assert reassembly.fragdropped == 1
    else:
        assert result.octets is not None
        assert ipv4.parse(result.octets).tos == expected


def test_a_datagram_beyond_the_maximum_goes_whole() -> None:
    options = bytes(40)
    head = packet(0, b"A" * 64000, options=options)
    tail = packet(64000, b"B" * 1480, last=True)
    linux: LinuxReassembly[str] = LinuxReassembly()
    linux.add(head, 0.0, "A")
    result = linux.add(tail, 0.0, "B")
    assert result.log == ("Oversized IP packet from 10.0.0.1.",)
    assert [lost.loss for lost in result.lost] == [Loss.TOO_LONG] * 2
    assert (linux.failures, linux.memory, linux.held) == (1, 0, 0)
    for policy in (FREEBSD_5, FREEBSD_13):
        bsd: BsdReassembly[str] = BsdReassembly(policy)
        bsd.add(head, 0.0, "A")
        assert [lost.loss for lost in bsd.add(tail, 0.0, "B").lost] == [Loss.TOO_LONG] * 2
        assert (bsd.toolong, bsd.fragdropped, bsd.held) == (1, 2, 0)


@pytest.mark.statement("linux.md R7")
def test_linux_says_who_sent_an_oversize_fragment() -> None:
    assert LinuxReassembly[str]().add(packet(65528, bytes(8)), 0.0, "A").log == (
        "Oversized packet received from 10.0.0.1",
    )


@pytest.mark.statement("linux.md R13")
def test_whole_datagrams_pass_and_supersede_their_fragments_on_linux() -> None:
    whole = packet(0, b"whole", last=True)
    linux: LinuxReassembly[str] = LinuxReassembly()
    linux.add(packet(8, bytes(8)), 0.0, "A")
    result = linux.add(whole, 0.0, "W")
    assert (result.outcome, result.octets, result.lost) == (Outcome.PASSED, whole, (("A", Loss.SUPERSEDED),))
    bsd: BsdReassembly[str] = BsdReassembly()
    bsd.add(packet(8, bytes(8)), 0.0, "A")
    result = bsd.add(whole, 0.0, "W")
    assert (result.outcome, result.octets, result.lost, bsd.held) == (Outcome.PASSED, whole, (), 1)


# -- time and room -----------------------------------------------------------------------------------------------------


@pytest.mark.statement("linux.md R3")
def test_linux_counts_thirty_seconds_from_the_last_fragment() -> None:
    reassembly: LinuxReassembly[str] = LinuxReassembly()
    reassembly.add(packet(8, bytes(8)), 0.0, "B")
    reassembly.add(packet(0, bytes(8)), 20.07, "A")
    assert reassembly.next_deadline() == 50.07
    assert reassembly.expire(50.06) == []
    (timeout,) = reassembly.expire(50.07)
    assert [lost.item for lost in timeout.lost] == ["A", "B"]
    assert (timeout.at, timeout.has_start, timeout.about) == (50.07, True, packet(0, bytes(8)))
    assert (reassembly.timeouts, reassembly.failures, reassembly.memory, reassembly.held) == (1, 1, 0, 0)
    assert reassembly.next_deadline() is None


def test_linux_queues_expire_in_order_of_their_latest_fragments() -> None:
    reassembly: LinuxReassembly[str] = LinuxReassembly()
    for now, name, identification in ((0.0, "A", 1), (1.0, "B", 2), (2.0, "C", 1)):
        reassembly.add(packet(8 * int(now + 1), bytes(8), identification=identification), now, name)
    assert [[lost.item for lost in timeout.lost] for timeout in reassembly.expire(40.0)] == [["B"], ["A", "C"]]


@pytest.mark.statement("linux.md R3")
def test_a_linux_queue_without_a_fragment_expires_silently() -> None:
    reassembly: LinuxReassembly[str] = LinuxReassembly()
    reassembly.add(packet(65528, bytes(8)), 0.0, "A")
    assert reassembly.memory == 120
    assert reassembly.expire(30.0) == []
    assert (reassembly.memory, reassembly.timeouts, reassembly.failures) == (0, 0, 1)


@pytest.mark.parametrize(("policy", "deadline"), [(FREEBSD_5, 30.0), (FREEBSD_13, 30.0), (FREEBSD_14, 30.3)])
def test_bsd_counts_thirty_seconds_from_the_first_fragment(policy: BsdPolicy, deadline: float) -> None:
    """By half seconds on the old clock: what came at 0.3 has seen sixty ticks at 30.0."""
    reassembly: BsdReassembly[str] = BsdReassembly(policy)
    reassembly.add(packet(8, bytes(8)), 0.3, "B")
    reassembly.add(packet(0, bytes(8)), 20.0, "A")
    assert reassembly.next_deadline() == pytest.approx(deadline)
    assert reassembly.expire(deadline - 0.1) == []
    (timeout,) = reassembly.expire(deadline)
    assert [lost.item for lost in timeout.lost] == ["A", "B"]
    assert (reassembly.fragtimeout, reassembly.held) == (2, 0)


@pytest.mark.statement("linux.md R2", "linux.md R15")
def test_linux_evicts_the_oldest_queue_of_each_bucket() -> None:
    reassembly: LinuxReassembly[int] = LinuxReassembly(high=1000, low=600)
    # a bucket is made with the upper octet of the identification: 512 is in the one before that of 1, 2, 3
    for item, identification in enumerate((1, 2, 3, 512)):
        reassembly.add(packet(8, bytes(8), identification=identification), 0.0, item)
    assert reassembly.memory == 4 * (120 + 28 + 64)
    reassembly.add(packet(8, bytes(8), identification=4), 0.0, 4)
    assert reassembly.memory > 1000
    result = reassembly.add(packet(8, bytes(8), identification=5), 0.0, 5)
    assert [lost.item for lost in result.lost] == [3, 0, 1]
    assert {lost.loss for lost in result.lost} == {Loss.EVICTED}


def test_bsd_drops_all_when_a_seventeenth_fragment_does_not_complete() -> None:
    reassembly: BsdReassembly[int] = BsdReassembly(FREEBSD_13)
    for index in range(16):
        assert reassembly.add(packet(8 * index, bytes(8)), 0.0, index).outcome is Outcome.HELD
    result = reassembly.add(packet(8 * 16, bytes(8)), 0.0, 16)
    assert [lost.loss for lost in result.lost] == [Loss.TOO_MANY] * 17
    assert (reassembly.fragdropped, reassembly.held, reassembly.pieces()) == (17, 0, {})


def test_bsd_takes_a_seventeenth_fragment_that_completes() -> None:
    reassembly: BsdReassembly[int] = BsdReassembly(FREEBSD_13)
    for index in range(16):
        reassembly.add(packet(8 * index, bytes(8)), 0.0, index)
    result = reassembly.add(packet(8 * 16, bytes(8), last=True), 0.0, 16)
    assert (result.outcome, result.merged) == (Outcome.REASSEMBLED, tuple(range(17)))


def test_bsd_limits_on_queues_and_fragments() -> None:
    two = BsdReassembly[int](BsdPolicy(packets=2))
    for item in range(3):
        result = two.add(packet(8, bytes(8), identification=item), 0.0, item)
    assert result.lost == ((0, Loss.EVICTED),)
    assert (two.fragtimeout, two.held) == (1, 2)
    full = BsdReassembly[int](BsdPolicy(fragments=1))
    full.add(packet(8, bytes(8)), 0.0, 0)
    assert full.add(packet(0, bytes(8)), 0.0, 1).lost == ((1, Loss.REFUSED),)
    for nothing in (BsdPolicy(packets=0), BsdPolicy(fragments_per_packet=0)):
        closed = BsdReassembly[int](nothing)
        assert closed.add(packet(8, bytes(8)), 0.0, 0).lost == ((0, Loss.REFUSED),)
        assert (closed.fragments, closed.fragdropped) == (1, 1)


def test_every_loss_is_a_fate() -> None:
    assert all(loss.reason for loss in Loss)


def test_the_examples_in_the_documentation() -> None:
    for module in (simulator.fragments, simulator.wire):
        failed, attempted = doctest.testmod(module)
        assert attempted
        assert not failed


# -- a flood -----------------------------------------------------------------------------------------------------------

FLOOD = st.lists(
    st.tuples(
        st.integers(0, 3),  # identification
        st.integers(0, 9),  # offset, in units of eight
        st.integers(0, 40),  # octets
        st.booleans(),  # last
        st.integers(0, 12),  # seconds since the one before
    ),
    max_size=60,
)


@given(FLOOD, st.sampled_from(["linux", "11", "13"]))
@settings(max_examples=150)
def test_every_fragment_has_one_fate(flood: list[tuple[int, int, int, bool, int]], kernel: str) -> None:
    reassembly: LinuxReassembly[int] | BsdReassembly[int]
    if kernel == "linux":
        reassembly = LinuxReassembly(high=1200, low=800)
    else:
        policy = BsdPolicy(packets=2, fragments_per_packet=3, keeps_known_end=kernel == "13", fragments=7)
        reassembly = BsdReassembly(policy)
    fates: list[int] = []
    now = 0.0
    for item, (identification, offset, length, last, pause) in enumerate(flood):
        now += pause
        for timeout in reassembly.expire(now):
            fates += [lost.item for lost in timeout.lost]
        octets = packet(offset * 8, bytes(length), last=last, identification=identification)
        result: Result[int] = reassembly.add(octets, now, item)
        fates += [lost.item for lost in result.lost]
        fates += result.merged
        if result.outcome is Outcome.PASSED:
            fates.append(item)
        assert (item in fates) is (result.outcome is not Outcome.HELD)
        assert len(fates) == len(set(fates))
        assert len(fates) + reassembly.held == item + 1
        assert sum(len(pieces) for pieces in reassembly.pieces().values()) == reassembly.held
        if isinstance(reassembly, LinuxReassembly):
            assert reassembly.memory < 1200 + 2 * (120 + 28 + 120)
        else:
            assert reassembly.held <= 7
    reassembly.expire(now + 40)
    assert reassembly.held == 0
    assert reassembly.next_deadline() is None
    assert getattr(reassembly, "memory", 0) == 0


# -- fragmentation -----------------------------------------------------------------------------------------------------

STYLES = {"linux": LINUX, "linux-local": LINUX_LOCAL, "bsd": BSD}
RECORD_ROUTE_AND_ALERT = ipv4.build_options([(7, b"\4" + bytes(4)), (1, b""), (148, b"\0\0")])


def shape(pieces: list[bytes]) -> str:
    """``0+24 24+8.``: offset and length of the data of each piece, the stop for no MF."""
    words = []
    for piece in pieces:
        view = ipv4.View(piece)
        words.append(f"{view.fragment_offset * 8}+{len(view.payload)}{'' if view.more_fragments else '.'}")
    return " ".join(words)


@pytest.mark.parametrize(
    ("style", "mtu", "length", "expected"),
    [
        ("bsd", 44, 56, "0+24 24+24 48+8."),
        ("bsd", 51, 55, "0+24 24+24 48+7."),  # 31 octets of room, 24 of them used
        ("linux", 51, 55, "0+24 24+31."),  # the last may use all
        ("linux", 51, 56, "0+24 24+24 48+8."),
        ("linux-local", 51, 55, "48+7. 24+24 0+24"),
        ("linux-local", 44, 48, "24+24. 0+24"),
        ("linux", 76, 56, "0+56."),
        ("bsd", 28, 17, "0+8 8+8 16+1."),
    ],
)
def test_how_a_datagram_is_cut(style: str, mtu: int, length: int, expected: str) -> None:
    pieces = fragment(packet(0, bytes(length), last=True), mtu, style=STYLES[style])
    assert shape(pieces) == expected
    assert all(len(piece) <= mtu for piece in pieces)


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES.keys())
def test_what_fits_stays_untouched(style: Style) -> None:
    octets = packet(0, bytes(100), last=True)
    assert fragment(octets, 120, style=style)[0] is octets


@pytest.mark.parametrize("style", [LINUX, BSD])
@pytest.mark.statement("linux.md R10")
def test_a_middle_fragment_cut_again_keeps_mf_on_every_piece(style: Style) -> None:
    assert shape(fragment(packet(800, bytes(40)), 44, style=style)) == "800+24 824+16"
    assert shape(fragment(packet(800, bytes(40), last=True), 44, style=style)) == "800+24 824+16."


@pytest.mark.statement("linux.md R10")
def test_linux_loses_all_flags_and_bsd_none() -> None:
    octets = ipv4.Header(source=1, destination=2, protocol=3, fragment=0x8000 | DONT_FRAGMENT).emit(bytes(30))
    assert [ipv4.View(piece).fragment >> 13 for piece in fragment(octets, 44, style=LINUX)] == [1, 0]
    assert [ipv4.View(piece).fragment >> 13 for piece in fragment(octets, 44, style=BSD)] == [7, 6]


@pytest.mark.statement("linux.md R10")
def test_options_of_later_pieces() -> None:
    whole = ipv4.Header(source=1, destination=2, protocol=3, options=RECORD_ROUTE_AND_ALERT).emit(bytes(100))
    linux = [ipv4.parse(piece).options for piece in fragment(whole, 80, style=LINUX)]
    assert linux[0] == RECORD_ROUTE_AND_ALERT
    assert linux[1:] == [b"\1" * 8 + RECORD_ROUTE_AND_ALERT[8:]] * 2
    bsd = [ipv4.parse(piece).options for piece in fragment(whole, 80, style=BSD)]
    assert bsd[0] == RECORD_ROUTE_AND_ALERT
    assert bsd[1:] == [bytes.fromhex("01 94 04 00 00 00 00 00")] * 2


def test_options_of_a_fragment_cut_again() -> None:
    """Linux takes them to be right already; BSD selects again."""
    header = ipv4.Header(source=1, destination=2, protocol=3, fragment=5, options=RECORD_ROUTE_AND_ALERT)
    linux, bsd = (fragment(header.emit(bytes(100)), 80, style=style)[1] for style in (LINUX, BSD))
    assert ipv4.parse(linux).options == RECORD_ROUTE_AND_ALERT
    assert len(ipv4.parse(bsd).options) == 8


def test_an_mtu_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="MTU 27 has no room for eight octets after a header of 20"):
        fragment(packet(0, bytes(8), last=True), 27, style=LINUX)


@given(
    st.binary(min_size=1, max_size=400),
    st.integers(28, 200),
    st.sampled_from(["linux", "linux-local", "bsd"]),
    st.sampled_from(["linux", "11", "13"]),
    st.data(),
)
@settings(max_examples=200)
@example(b"x" * 55, 51, "linux", "13", None)
def test_cut_and_shuffled_and_doubled_it_is_the_same_datagram(
    payload: bytes, mtu: int, style: str, kernel: str, data: st.DataObject | None
) -> None:
    whole = ipv4.Header(source=1, destination=2, protocol=17, identification=9, tos=4, ttl=3).emit(payload)
    pieces = fragment(whole, mtu, style=STYLES[style])
    if data is not None:
        doubled = data.draw(st.lists(st.sampled_from(pieces), max_size=5), label="doubled")
        pieces = data.draw(st.permutations(pieces + doubled), label="order")
    reassembly: LinuxReassembly[int] | BsdReassembly[int]
    if kernel == "linux":
        reassembly = LinuxReassembly()
    else:
        known_end = kernel == "13"
        reassembly = BsdReassembly(BsdPolicy(fragments_per_packet=1000, keeps_known_end=known_end))
    complete = []
    for item, piece in enumerate(pieces):
        result = reassembly.add(piece, 0.0, item)
        if result.octets is not None:
            complete.append(result.octets)
    # duplicates that come after the datagram was complete may even make it a second time
    assert complete
    assert set(complete) == {whole}
