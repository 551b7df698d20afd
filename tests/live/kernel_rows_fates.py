"""Rows of the table: datagrams that Linux 2.2 drops and the machine's kernel does not, or the other way round."""

from __future__ import annotations

from collections.abc import Container

from datagrams import ip, ping, udp
from kernel_difference import Difference, Outcome, Question
from kernel_octets import ICMP, field, forwarded, header_length
from kernel_router import Answers

from simulator.wire import icmp
from simulator.wire.ipv4 import build_options

__all__ = ["FATES"]

LINUX = ("linux-2.2",)
LEFT, RIGHT, ROUTER = "192.168.1.2", "10.0.0.2", "192.168.1.1"
LEFT_NETWORK, RIGHT_NETWORK, BEYOND = bytes((192, 168, 1)), bytes((10, 0, 0)), bytes((203, 0, 113))
NOBODY, EVERYBODY = bytes(4), b"\xff" * 4


def _dotted(address: bytes) -> str:
    return ".".join(map(str, address))


def _ends(asked: Question) -> tuple[bytes, bytes]:
    """Source and destination of one good datagram without options from eth0, if it is one with a TTL to spare and not
    too long; else nobody and nobody."""
    name, octets = asked[0]
    good = len(asked) == 1 and name == "eth0" and len(octets) >= 20 and octets[0] == 0x45 and octets[8] > 1
    if not good or not len(octets) == field(octets, 2, 2) <= 1500 or (octets[9] == ICMP and len(octets) < 28):
        return NOBODY, NOBODY
    return octets[12:16], octets[16:20]


def _has_end_in(networks: Container[int], asked: Question) -> bool:
    """From an address that begins so to the right side, or from the left side to one."""
    source, destination = _ends(asked)
    to_right = destination[:3] in (RIGHT_NETWORK, BEYOND) and destination[3] not in (0, 1, 255)
    from_left = source[:3] == LEFT_NETWORK and source[3] not in (0, 1, 255)
    if to_right:
        return source[0] in networks and source not in (NOBODY, EVERYBODY)
    return from_left and destination[0] in networks and destination not in (NOBODY, EVERYBODY)


def _is_from_broadcast(asked: Question) -> bool:
    source, destination = _ends(asked)
    to_right = destination[:3] == RIGHT_NETWORK and destination[3] not in (0, 1, 255)
    return to_right and source[:3] in (LEFT_NETWORK, RIGHT_NETWORK) and source[3] in (0, 255)


def _is_to_network(asked: Question) -> bool:
    source, destination = _ends(asked)
    return destination == RIGHT_NETWORK + b"\0" and source[:3] == LEFT_NETWORK and source[3] not in (0, 1, 255)


def _is_about_nothing(asked: Question) -> bool:
    name, octets = asked[0]
    late = len(asked) == 1 and len(octets) == 20 and octets[0] == 0x45 and octets[8] <= 1 and octets[9] == ICMP
    return late and name == "eth0" and octets[12:15] == LEFT_NETWORK and octets[16:19] == RIGHT_NETWORK


def _forwards(asked: Question) -> Answers:
    return {"eth1": [forwarded(asked[0][1])]}


def _nothing(asked: Question) -> Answers:
    return {}


def _answers_everybody(asked: Question) -> Answers:
    """To one of the broadcast addresses: an echo request is answered, nothing else is."""
    octets = asked[0][1]
    at = header_length(octets)
    if octets[9] != ICMP or octets[at] != icmp.ECHO_REQUEST:
        return {}
    reply = icmp.reply_to(octets[at:])
    return {"eth0": [ip(ROUTER, _dotted(octets[12:16]), ICMP, reply, ttl=255, tos=octets[1], identification=0)]}


def _told_of_nothing(asked: Question) -> Answers:
    octets = asked[0][1]
    tos = octets[1] & 0x1E | 0xC0
    message = icmp.time_exceeded(0, octets)
    return {"eth0": [ip(ROUTER, _dotted(octets[12:16]), ICMP, message, ttl=255, tos=tos, identification=0)]}


RECORDING = build_options([(7, b"\4" + bytes(16))])
RECORDED = build_options([(7, b"\x0c" + bytes((192, 168, 1, 1)) * 2 + bytes(8))])


def _leaves_no_room(asked: Question) -> bool:
    """To a closed port of the router, from where a datagram has 68 octets, and with 20 octets of options to answer."""
    name, octets = asked[0]
    narrow = len(asked) == 1 and name == "eth4" and octets[20:40] == RECORDING and octets[9] == 17
    return narrow and octets[0] == 0x4A and octets[16:20] == bytes((192, 168, 1, 1))


def _told_of_header(asked: Question) -> Answers:
    octets = asked[0][1]
    tos = octets[1] & 0x1E | 0xC0
    message = icmp.unreachable(3, octets[:20])
    header = {"ttl": 255, "tos": tos, "identification": 0, "options": RECORDED}
    return {"eth4": [ip(ROUTER, _dotted(octets[12:16]), ICMP, message, **header)]}


FATES: tuple[Difference, ...] = (
    Outcome(
        name="240.0.0.0/4",
        kernel="addresses like any other",
        ours="martians: dropped",
        source="linux.md T3; unicast since 2.6.25",
        profiles=LINUX,
        applies=lambda asked: _has_end_in(range(240, 256), asked),
        kernel_sends=_forwards,
        we_send=_nothing,
        examples=([("eth0", udp("240.0.0.1", RIGHT))], [("eth0", udp(LEFT, "250.1.2.3"))]),
    ),
    Outcome(
        name="0.0.0.0/8, but 0.0.0.0 itself",
        kernel="addresses like any other",
        ours="martians: dropped",
        source="linux.md T3; unicast since 5.3",
        profiles=LINUX,
        applies=lambda asked: _has_end_in(range(1), asked),
        kernel_sends=_forwards,
        we_send=_nothing,
        examples=([("eth0", udp("0.0.0.5", RIGHT))], [("eth0", udp(LEFT, "0.1.2.3"))]),
    ),
    Outcome(
        name="from a broadcast address of a link",
        kernel="forwarded where `rp_filter` is 0",
        ours="martians: dropped",
        source="linux.md T3: fib_validate_source of 2.2 wants a unicast source, today's no local one",
        profiles=LINUX,
        applies=_is_from_broadcast,
        kernel_sends=_forwards,
        we_send=_nothing,
        examples=([("eth0", udp("10.0.0.255", RIGHT))], [("eth0", udp("192.168.1.255", RIGHT))]),
    ),
    Outcome(
        name="to the address of a network",
        kernel="an address like any other",
        ours="a broadcast address: for this host, too",
        source="fib_add_ifaddr of 2.2 has both; the kernel only the last address of the network, since 5.14",
        profiles=LINUX,
        applies=_is_to_network,
        kernel_sends=_forwards,
        we_send=_answers_everybody,
        examples=([("eth0", udp(LEFT, "10.0.0.0"))], [("eth0", ping(LEFT, "10.0.0.0"))]),
    ),
    Outcome(
        name="an ICMP message without a type",
        kernel="no error is sent about it",
        ours="an error is sent about it",
        source="icmp_send of 2.2 looks at the octet behind the datagram, whatever it is; here it is taken for 0",
        profiles=LINUX,
        applies=_is_about_nothing,
        kernel_sends=_nothing,
        we_send=_told_of_nothing,
        examples=([("eth0", ip(LEFT, RIGHT, ICMP, b"", ttl=1))],),
    ),
    Outcome(
        name="an error without room to quote more than a header",
        kernel="is not sent",
        ours="is sent",
        source="icmp_send of 2.2 does not look; today's does, since 6.3",
        profiles=LINUX,
        applies=_leaves_no_room,
        kernel_sends=_nothing,
        we_send=_told_of_header,
        examples=([("eth4", udp("172.16.2.2", ROUTER, options=RECORDING))],),
    ),
)
