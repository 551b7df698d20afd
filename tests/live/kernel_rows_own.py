"""Rows of the table: what Linux 2.2 sends as the machine's kernel does, but for details of the datagrams."""

from __future__ import annotations

import time

from datagrams import ping, tcp, udp
from kernel_difference import Context, Cuts, Detail, Difference
from kernel_octets import (
    BLANKING,
    ICMP,
    TCP,
    Cut,
    field,
    forwarded,
    header_length,
    mended,
    raised,
    requoted,
    spans,
    summed,
    timestamp,
    with_field,
)

from simulator.wire.ipv4 import build_options

__all__ = ["KERNEL_CUT", "OWN", "is_error", "is_reset", "own_identification"]

LINUX = ("linux-2.2",)
ALL = (*LINUX, "freebsd-4", "freebsd-10", "freebsd-11", "freebsd-13", "freebsd-14", "dragonfly")
LEFT, RIGHT, ROUTER = "192.168.1.2", "10.0.0.2", "192.168.1.1"
DONT_FRAGMENT = 0x4000

KERNEL_CUT = Cut(fills_last=True, last_first=False, later_options=BLANKING, of_fragments=False, flags=0)
"""How the machine's kernel cuts what it forwards, and its own datagrams likewise."""


def is_error(sent: bytes, kind: int | None = None, code: int | None = None) -> bool:
    """Whether that is an ICMP error, of this type and code."""
    at = header_length(sent)
    told = sent[9] == ICMP and sent[at] in (3, 5, 11, 12)
    return told and kind in (None, sent[at]) and code in (None, sent[at + 1])


def own_identification(context: Context, first: int) -> bytes:
    """With the number that our counter gives it; the kernel's own is 0 with DF, and anything without."""
    if field(context.sent, 6, 2) & DONT_FRAGMENT:
        assert field(context.sent, 4, 2) == 0, "the kernel identifies what cannot be fragmented"
    return with_field(context.sent, 4, 2, first + context.number)


def _icmp_ttl(context: Context) -> bytes:
    assert context.sent[8] == 64
    return with_field(context.sent, 8, 1, 255)


def _unlowered_quote(context: Context) -> bytes:
    def lower(quoted: bytes) -> bytes:
        assert quoted[8] == context.about[8], "the kernel quotes another TTL"
        return forwarded(quoted)

    return requoted(context.sent, lower)


def _lowered_quote(context: Context) -> bytes:
    def raise_(quoted: bytes) -> bytes:
        assert quoted[8] == context.about[8] - 1, "the kernel quotes another TTL"
        return raised(quoted)

    return requoted(context.sent, raise_)


def is_reset(context: Context) -> bool:
    return context.own and context.sent[9] == TCP


def _reset_tos(context: Context) -> bytes:
    assert context.sent[1] == context.about[1] & 0xFC
    return with_field(context.sent, 1, 1, context.about[1])


def _segment(octets: bytes) -> tuple[int, int, int]:
    """Sequence number, flags, and octets of data."""
    at = header_length(octets)
    return field(octets, at + 4, 4), octets[at + 13], field(octets, 2, 2) - at - (octets[at + 12] >> 4) * 4


def _is_reset_with_more(context: Context) -> bool:
    if not is_reset(context):
        return False
    _, flags, data = _segment(context.about)
    return not flags & 0x10 and bool(data or flags & 1)


def _reset_acknowledging(context: Context) -> bytes:
    sequence, flags, data = _segment(context.about)
    syn, fin = flags >> 1 & 1, flags & 1
    at = header_length(context.sent)
    said, ours = (sequence + syn + fin + data) & 0xFFFFFFFF, (sequence + syn) & 0xFFFFFFFF
    assert field(context.sent, at + 8, 4) == said
    segment = bytearray(context.sent[at:])
    segment[8:12] = ours.to_bytes(4, "big")
    segment[16:18] = b"\0\0"
    pseudo = context.sent[12:20] + bytes((0, TCP)) + len(segment).to_bytes(2, "big")
    segment[16:18] = summed(pseudo + bytes(segment)).to_bytes(2, "big")
    return context.sent[:at] + bytes(segment)


# -- times -------------------------------------------------------------------------------------------------------------

_DAY = 86_400_000


def _stamps(context: Context) -> bool:
    return timestamp(context.about) is not None


def _without_times(octets: bytes, asked: bytes) -> bytes:
    """Each time that a router put in is its own clock's; ours stands at midnight."""
    before = timestamp(asked)
    found = next(((start, end) for kind, start, end in spans(octets) if kind == 68), None)
    if before is None or found is None:
        return octets
    start, _ = found
    step = 4 if octets[start + 3] & 15 == 0 else 8
    changed = bytearray(octets)
    now = time.time() % 86_400 * 1000
    for at in range(before[2] - 1, octets[start + 2] - 1, step):
        place = start + at + step - 4
        if place + 4 > len(octets):  # a quote that ends there
            return bytes(changed[:place]).ljust(len(octets), b"\0")
        told = field(octets, place, 4)
        assert min((now - told) % _DAY, (told - now) % _DAY) < 60_000, "the kernel's time is not the time of day"
        changed[place : place + 4] = bytes(4)
    return bytes(changed)


def _timed(context: Context) -> bytes:
    changed = context.sent
    if context.own and is_error(changed):
        changed = requoted(changed, lambda quoted: _without_times(quoted, context.about))
    return mended(_without_times(changed, context.about))


# -- the rows ----------------------------------------------------------------------------------------------------------

TIMES = build_options([(68, b"\x05\x01" + bytes(16))])

OWN: tuple[Difference, ...] = (
    Detail(
        name="TTL of ICMP messages",
        kernel="64, `ip_default_ttl`",
        ours="255",
        source="MAXTTL in icmp_init of 2.2; `ip_default_ttl` since 2.4",
        profiles=LINUX,
        applies=lambda context: context.own and context.sent[9] == ICMP,
        as_ours=_icmp_ttl,
        examples=([("eth0", ping(LEFT, ROUTER))], [("eth0", udp(LEFT, RIGHT, ttl=1))]),
    ),
    Detail(
        name="identification of its own datagrams",
        kernel="unpredictable; 0 with DF",
        ours="a counter for the whole host, from 0 on",
        source="linux.md O4; ip_select_ident since 2.4",
        profiles=LINUX,
        applies=lambda context: context.own,
        as_ours=lambda context: own_identification(context, 0),
        examples=([("eth0", ping(LEFT, ROUTER))], [("eth0", tcp(LEFT, ROUTER)), ("eth0", tcp(LEFT, ROUTER))]),
    ),
    Cuts(
        name="fragments of its own datagrams",
        kernel="the first one first; the last one may fill the MTU",
        ours="the last one first; all hold a multiple of eight octets at most",
        source="linux.md H10; ip_append_data since 2.6",
        profiles=LINUX,
        own=True,
        of_kernel=KERNEL_CUT,
        of_ours=Cut(fills_last=False, last_first=True, later_options=BLANKING, of_fragments=False, flags=0),
        examples=(
            [("eth1", ping("172.16.0.2", ROUTER, data=bytes(1000)))],
            [("eth1", ping("172.16.0.2", ROUTER, data=bytes(1100)))],
        ),
    ),
    Detail(
        name="what frag needed quotes",
        kernel="the datagram as it came",
        ours="the datagram with its TTL lowered",
        source="linux.md H5; ip_forward of 2.6 looks at the MTU before it changes anything",
        profiles=LINUX,
        applies=lambda context: context.own and is_error(context.sent, 3, 4),
        as_ours=_unlowered_quote,
        examples=([("eth0", udp(LEFT, "172.16.0.2", data=bytes(600), fragment=DONT_FRAGMENT))],),
    ),
    Detail(
        name="what a redirect quotes",
        kernel="the datagram with its TTL lowered",
        ours="the datagram as it came",
        source="linux.md H5; today's ip_forward lowers it first",
        profiles=LINUX,
        applies=lambda context: context.own and is_error(context.sent, 5),
        as_ours=_lowered_quote,
        examples=([("eth0", udp("192.168.1.33", "192.168.1.7"))],),
    ),
    Detail(
        name="type of service of a reset",
        kernel="the segment's, without the ECN bits",
        ours="the segment's",
        source="ip_send_reply of 2.2 copies the octet; RFC 3168 came later",
        profiles=LINUX,
        applies=lambda context: is_reset(context) and bool(context.about[1] & 3),
        as_ours=_reset_tos,
        examples=([("eth0", tcp(LEFT, ROUTER, tos=0xFF))],),
    ),
    Detail(
        name="what a reset acknowledges",
        kernel="SYN, data and FIN (RFC 9293 section 3.10.7.1)",
        ours="a SYN, no data and no FIN",
        source="tcp_v4_send_reset of 2.2",
        profiles=LINUX,
        applies=_is_reset_with_more,
        as_ours=_reset_acknowledging,
        examples=(
            [("eth0", tcp(LEFT, ROUTER, flags=1))],
            [("eth0", tcp(LEFT, ROUTER, flags=2, data=b"abc"))],
        ),
    ),
    Detail(
        name="times in timestamp options",
        kernel="the time of day, UTC",
        ours="the router's clock, which stands at midnight here",
        source="RFC 791; simulated time",
        profiles=ALL,
        applies=_stamps,
        as_ours=_timed,
        examples=([("eth0", udp(LEFT, RIGHT, options=TIMES))],),
    ),
)
