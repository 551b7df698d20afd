"""Rows of the table: what BSD profiles drop or answer, and the machine's kernel does not, or the other way round."""

from __future__ import annotations

from datagrams import ip, udp
from kernel_difference import Difference, Outcome, Question
from kernel_octets import ICMP, field, forwarded, header_length, with_field
from kernel_router import Answers

from simulator.wire import icmp

__all__ = ["BSD_FATES"]

SLOW = ("freebsd-4", "dragonfly", "freebsd-10")
BSDS = (*SLOW, "freebsd-11", "freebsd-13", "freebsd-14")
UDP = 17
LEFT, RIGHT, ROUTER = "192.168.1.2", "10.0.0.2", "192.168.1.1"
RIGHT_NETWORK, EVERYBODY = bytes((10, 0, 0)), b"\xff" * 4


def _one(asked: Question) -> bytes:
    """The only datagram, one without options from eth0; else nothing."""
    name, octets = asked[0]
    good = len(asked) == 1 and name == "eth0" and len(octets) >= 20 and octets[0] == 0x45
    return octets if good and len(octets) == field(octets, 2, 2) <= 576 - 28 else b""


def _error(asked: Question, kind: int, code: int, quoted: bytes) -> Answers:
    """As a BSD sends it that has sent nothing else; only for what is short enough to be quoted by all of them."""
    message = icmp.Message(type=kind, code=code, data=quoted).emit()
    source = ".".join(map(str, asked[0][1][12:16]))
    return {"eth0": [ip(ROUTER, source, ICMP, message, ttl=64, identification=1)]}


def _nothing(asked: Question) -> Answers:
    return {}


def _forwards(asked: Question) -> Answers:
    return {"eth1": [forwarded(asked[0][1])]}


def _forwards_as_its_own(asked: Question) -> Answers:
    lowered = forwarded(asked[0][1])
    return {"eth1": [with_field(lowered, 12, 4, field(bytes((10, 0, 0, 1)), 0, 4))]}


def _is_impossible(asked: Question) -> bool:
    octets = _one(asked)
    to_right = octets[16:19] == RIGHT_NETWORK and octets[19] not in (0, 1, 255) and octets[8] > 1
    own = octets[12:16] == bytes((192, 168, 1, 1))
    return to_right and (own or octets[12] >> 4 == 0xE or octets[12:16] == EVERYBODY)


def _is_from_nobody(asked: Question) -> bool:
    octets = _one(asked)
    return octets[12:16] == bytes(4) and octets[16:19] == RIGHT_NETWORK and octets[8] > 1


def _is_to_nobody(asked: Question) -> bool:
    octets = _one(asked)
    return octets[9:10] == bytes((UDP,)) and octets[16:20] == bytes(4)


def _leads_to(last: range, asked: Question) -> bool:
    octets = _one(asked)
    return octets[16:19] == bytes((198, 51, 100)) and octets[19] in last and octets[8] > 1


def _is_cut_short(asked: Question) -> bool:
    octets = _one(asked)
    return octets[9:10] == bytes((ICMP,)) and octets[8] <= 1 and 20 < len(octets) < 28


def _is_unserved(asked: Question) -> bool:
    octets = _one(asked)
    return octets[16:20] == bytes((192, 168, 1, 1)) and octets[9] not in (ICMP, 2, 6, UDP) and len(octets) >= 28


def _has_no_header(asked: Question) -> bool:
    name, octets = asked[0]
    bare = len(asked) == 1 and name == "eth0" and len(octets) >= 20 and octets[0] == 0x45 and field(octets, 2, 2) == 20
    return bare and octets[9] == UDP and octets[16:19] == RIGHT_NETWORK and octets[8] > 1


def _data_alone(asked: Question) -> bytes:
    """Header and eight octets: what the older ones quote."""
    octets = asked[0][1]
    return octets[: header_length(octets) + 8]


BSD_FATES: tuple[Difference, ...] = (
    Outcome(
        name="from an address that nobody else can have (BSD)",
        kernel="dropped",
        ours="forwarded: a source is not looked at, but for loopback",
        source="bsd.md H-2, H-4",
        profiles=BSDS,
        applies=_is_impossible,
        kernel_sends=_nothing,
        we_send=_forwards,
        examples=(
            [("eth0", udp(ROUTER, RIGHT))],
            [("eth0", udp("224.1.2.3", RIGHT))],
            [("eth0", udp("255.255.255.255", RIGHT))],
        ),
    ),
    Outcome(
        name="from nobody (BSD)",
        kernel="dropped",
        ours="forwarded as from the router itself",
        source="ip_output fills in a source that is 0.0.0.0",
        profiles=BSDS,
        applies=_is_from_nobody,
        kernel_sends=_nothing,
        we_send=_forwards_as_its_own,
        examples=([("eth0", udp("0.0.0.0", RIGHT))],),
    ),
    Outcome(
        name="to nobody (BSD before FreeBSD 14)",
        kernel="dropped",
        ours="taken by this host",
        source="bsd.md W-18",
        profiles=tuple(profile for profile in BSDS if profile != "freebsd-14"),
        applies=_is_to_nobody,
        kernel_sends=_nothing,
        we_send=lambda asked: _error(asked, 3, 3, asked[0][1]),
        examples=([("eth0", udp(LEFT, "0.0.0.0"))],),
    ),
    Outcome(
        name="a UDP datagram without its header (BSD)",
        kernel="forwarded",
        ours="dropped by the firewall",
        source="ipfw drops what it cannot look at (pullup failed)",
        profiles=BSDS,
        applies=_has_no_header,
        kernel_sends=lambda asked: {"eth1": [forwarded(asked[0][1][:20])]},
        we_send=_nothing,
        examples=([("eth0", ip(LEFT, RIGHT, UDP, b""))],),
    ),
    Outcome(
        name="an unreachable route (FreeBSD 11)",
        kernel="host unreachable",
        ours="dropped",
        source="the fast path tells nobody (divert-observed.md, after W-25)",
        profiles=("freebsd-11",),
        applies=lambda asked: _leads_to(range(128), asked),
        kernel_sends=lambda asked: _error(asked, 3, 1, forwarded(asked[0][1])[:28]),
        we_send=_nothing,
        examples=([("eth0", udp("172.20.9.3", "198.51.100.1", data=b"hello"))],),
    ),
    Outcome(
        name="a blackhole route (FreeBSD 4, 10, DragonFly)",
        kernel="dropped",
        ours="host unreachable",
        source="ip_forward tells the sender of every error of ip_output",
        profiles=SLOW,
        applies=lambda asked: _leads_to(range(128, 256), asked),
        kernel_sends=_nothing,
        we_send=lambda asked: _error(asked, 3, 1, _data_alone(asked)),
        examples=([("eth0", udp("172.20.9.4", "198.51.100.200", data=b"hello"))],),
    ),
    Outcome(
        name="an ICMP message without eight octets (BSD)",
        kernel="an error is sent about it",
        ours="no error is sent about it",
        source="bsd.md H-10: icmp_error wants to quote eight octets",
        profiles=BSDS,
        applies=_is_cut_short,
        kernel_sends=lambda asked: _error(asked, 11, 0, asked[0][1]),
        we_send=_nothing,
        examples=([("eth0", ip(LEFT, RIGHT, ICMP, b"\x08", ttl=1))],),
    ),
    Outcome(
        name="a protocol that nobody serves (BSD before FreeBSD 13)",
        kernel="protocol unreachable",
        ours="nothing",
        source="rip_input answers since FreeBSD 13",
        profiles=(*SLOW, "freebsd-11"),
        applies=_is_unserved,
        kernel_sends=lambda asked: _error(asked, 3, 2, _data_alone(asked)),
        we_send=_nothing,
        examples=([("eth0", ip(LEFT, ROUTER, 99, bytes(50)))],),
    ),
)
