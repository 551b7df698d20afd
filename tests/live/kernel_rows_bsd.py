"""Rows of the table: the BSD profiles, as far as a BSD forwards, refuses and answers like Linux."""

from __future__ import annotations

from collections.abc import Callable

from datagrams import ip, ping, tcp, udp
from kernel_difference import Context, Cuts, Detail, Difference
from kernel_octets import COPYING, ICMP, TCP, Cut, field, forwarded, header_length, requoted, with_field
from kernel_rows_own import KERNEL_CUT, is_error, is_reset, own_identification

from simulator.wire.ipv4 import build_options

__all__ = ["BSD", "BSDS"]

SLOW = ("freebsd-4", "dragonfly", "freebsd-10")
FAST_OLD, FAST_NEW = ("freebsd-11",), ("freebsd-13", "freebsd-14")
BSDS = (*SLOW, *FAST_OLD, *FAST_NEW)
UDP = 17
LEFT, RIGHT, ROUTER = "192.168.1.2", "10.0.0.2", "192.168.1.1"
DONT_FRAGMENT, RESERVED = 0x4000, 0x8000


def _plain_tos(context: Context) -> bytes:
    assert context.sent[1] == context.about[1] & 0x1E | 0xC0
    return with_field(context.sent, 1, 1, 0)


def _reset_header(context: Context) -> bytes:
    assert (context.sent[1], field(context.sent, 6, 2)) == (context.about[1] & 0xFC, DONT_FRAGMENT)
    return with_field(with_field(context.sent, 6, 2, 0), 1, 1, 0)


def _host_unreachable(context: Context) -> bytes:
    at = header_length(context.sent)
    changed = context.sent[: at + 1] + b"\1" + context.sent[at + 2 :]
    return requoted(changed, bytes)


def _is_forward_error(context: Context) -> bool:
    """About a datagram that was to be forwarded: no route, an unreachable one, or too long."""
    return context.own and is_error(context.sent, 3) and context.sent[header_length(context.sent) + 1] in (0, 1, 4)


def _with_lower_ttl(context: Context) -> bytes:
    def lower(quoted: bytes) -> bytes:
        assert quoted[8] == context.about[8], "the kernel quotes another TTL"
        return forwarded(quoted)

    return requoted(context.sent, lower)


def _quoting(data: int, *, all_of_tcp: bool) -> Callable[[Context], bytes]:
    """So much behind the header; of TCP at least its header."""

    def cut_or_fill(context: Context) -> bytes:
        start = header_length(context.about)
        about = context.about[: field(context.about, 2, 2)]
        if about[9] == UDP and is_error(context.sent, 3, 3):
            about = about[: start + field(about, start + 4, 2)]  # its padding was cut off
        least = (about[start + 12] >> 4) * 4 if all_of_tcp and about[9] == TCP and len(about) >= start + 20 else 8
        wanted = about[start : start + max(least, data)]

        def change(quoted: bytes) -> bytes:
            fits = min(576, context.mtu) - 28
            assert quoted[start:] == about[start:fits], "the kernel does not quote what fits into 576 octets"
            return quoted[:start] + wanted

        return requoted(context.sent, change)

    return cut_or_fill


def _expired(context: Context) -> bytes:
    at = header_length(context.sent)
    return requoted(context.sent[:at] + b"\x0b\0" + context.sent[at + 2 :], bytes)


def _is_reply_to_unfragmentable(context: Context) -> bool:
    asked_for = field(context.about, 6, 2) & DONT_FRAGMENT
    return bool(asked_for) and context.own and context.sent[9] == ICMP and not is_error(context.sent)


def _unfragmentable(*, identified: bool) -> Callable[[Context], bytes]:
    def reply(context: Context) -> bytes:
        assert not field(context.sent, 6, 2)
        number = field(context.sent, 4, 2) if identified else 0
        return with_field(with_field(context.sent, 6, 2, DONT_FRAGMENT), 4, 2, number)

    return reply


def _with_reserved(context: Context) -> bytes:
    return with_field(context.sent, 6, 2, field(context.sent, 6, 2) | RESERVED)


OPTIONS = build_options([(30, b"abcd"), (148, bytes(2))])
UNREACHABLE = ([("eth0", udp("172.20.9.1", "100.64.0.1", data=b"hello"))],)

BSD: tuple[Difference, ...] = (
    Detail(
        name="type of service of ICMP errors (BSD)",
        kernel="the datagram's, with the precedence of internetwork control",
        ours="0",
        source="bsd.md H-10: icmp_error",
        profiles=BSDS,
        applies=lambda context: context.own and is_error(context.sent),
        as_ours=_plain_tos,
        examples=([("eth0", udp(LEFT, RIGHT, ttl=1))],),
    ),
    Detail(
        name="header of a reset (BSD)",
        kernel="DF, and the segment's type of service without the ECN bits",
        ours="no DF, type of service 0",
        source="none: what tcp_respond takes over from the segment was not looked at",
        profiles=BSDS,
        applies=is_reset,
        as_ours=_reset_header,
        examples=([("eth0", tcp(LEFT, ROUTER, tos=0xFF))],),
    ),
    Detail(
        name="identification of its own datagrams (BSD)",
        kernel="unpredictable; 0 with DF",
        ours="a counter for the whole host, from 1 on",
        source="ip_fillid; the randomness of `net.inet.ip.random_id` is off by default",
        profiles=BSDS,
        applies=lambda context: context.own,
        as_ours=lambda context: own_identification(context, 1),
        examples=([("eth0", ping(LEFT, ROUTER))],),
    ),
    Detail(
        name="echo replies to DF (FreeBSD 4, 10, DragonFly)",
        kernel="no DF",
        ours="DF as well",
        source="icmp_reflect keeps the header",
        profiles=SLOW,
        applies=_is_reply_to_unfragmentable,
        as_ours=_unfragmentable(identified=True),
        examples=([("eth0", ping(LEFT, ROUTER, fragment=DONT_FRAGMENT))],),
    ),
    Detail(
        name="echo replies to DF (FreeBSD 11, 13, 14)",
        kernel="no DF",
        ours="DF as well, and the identification 0",
        source="icmp_reflect keeps the header; RFC 6864",
        profiles=(*FAST_OLD, *FAST_NEW),
        applies=_is_reply_to_unfragmentable,
        as_ours=_unfragmentable(identified=False),
        examples=([("eth0", ping(LEFT, ROUTER, fragment=DONT_FRAGMENT))],),
    ),
    Detail(
        name="no route and no TTL left (BSD)",
        kernel="network unreachable",
        ours="time exceeded",
        source="bsd.md H-3, H-4: the TTL is looked at first",
        profiles=BSDS,
        applies=lambda context: context.own and is_error(context.sent, 3, 0) and context.about[8] <= 1,
        as_ours=_expired,
        examples=([("eth0", udp("172.20.9.2", "100.64.0.1", ttl=1))],),
    ),
    Detail(
        name="no route (BSD)",
        kernel="network unreachable",
        ours="host unreachable",
        source="ip_forward and ip_tryforward make EHOSTUNREACH of it",
        profiles=BSDS,
        applies=lambda context: context.own and is_error(context.sent, 3, 0),
        as_ours=_host_unreachable,
        examples=UNREACHABLE,
    ),
    Detail(
        name="what errors about forwarding quote (BSD, fast path)",
        kernel="the datagram as it came",
        ours="the datagram with its TTL lowered",
        source="bsd.md H-4: ip_tryforward lowers it before it looks for a route",
        profiles=(*FAST_OLD, *FAST_NEW),
        applies=_is_forward_error,
        as_ours=_with_lower_ttl,
        examples=UNREACHABLE,
    ),
    Detail(
        name="how much errors quote (FreeBSD 4, DragonFly)",
        kernel="what fits into 576 octets",
        ours="the header and 8 octets",
        source="bsd.md H-10",
        profiles=("freebsd-4", "dragonfly"),
        applies=lambda context: context.own and is_error(context.sent),
        as_ours=_quoting(8, all_of_tcp=False),
        examples=([("eth0", udp(LEFT, RIGHT, ttl=1, data=bytes(100)))],),
    ),
    Detail(
        name="how much errors quote (FreeBSD 10, 11)",
        kernel="what fits into 576 octets",
        ours="the header and 8 octets, of TCP its header",
        source="bsd.md H-10",
        profiles=("freebsd-10", "freebsd-11"),
        applies=lambda context: context.own and is_error(context.sent),
        as_ours=_quoting(8, all_of_tcp=True),
        examples=([("eth0", udp(LEFT, RIGHT, ttl=1, data=bytes(100)))], [("eth0", tcp(LEFT, RIGHT, ttl=1, data=b"a"))]),
    ),
    Detail(
        name="how much errors quote (FreeBSD 13, 14)",
        kernel="what fits into 576 octets",
        ours="the header and 548 octets",
        source="bsd.md H-10",
        profiles=FAST_NEW,
        applies=lambda context: context.own and is_error(context.sent),
        as_ours=_quoting(548, all_of_tcp=True),
        examples=([("eth0", udp(LEFT, RIGHT, ttl=1, data=bytes(1000)))],),
    ),
    Detail(
        name="the reserved flag of a fragmented datagram (BSD)",
        kernel="lost",
        ours="kept",
        source="bsd.md F-9: ip_fragment",
        profiles=BSDS,
        applies=lambda context: (
            not context.own and bool(field(context.about, 6, 2) & ~field(context.sent, 6, 2) & RESERVED)
        ),
        as_ours=_with_reserved,
        examples=([("eth0", ip(LEFT, "172.16.0.2", 99, bytes(600), fragment=RESERVED))],),
    ),
    Cuts(
        name="fragments (BSD)",
        kernel="the last one may fill the MTU; options are blanked in later ones",
        ours="all hold a multiple of eight octets at most; options are left out in later ones",
        source="bsd.md F-9: ip_fragment",
        profiles=BSDS,
        own=None,
        of_kernel=KERNEL_CUT,
        of_ours=Cut(fills_last=False, last_first=False, later_options=COPYING, of_fragments=True, flags=0xC000),
        examples=(
            [("eth0", ip(LEFT, "172.16.0.2", 99, bytes(1108)))],
            [("eth0", ip(LEFT, "172.16.1.2", 99, bytes(800), options=OPTIONS))],
        ),
    ),
)
