"""Questions for both routers: datagrams of every kind, one or more, by the name of what they are about."""

from __future__ import annotations

from datagrams import ip, pieces, ping, tcp, udp
from kernel_difference import Question
from kernel_octets import mended, with_field
from kernel_rows_reassembly import part

from simulator.wire.ipv4 import build_options

__all__ = ["DAMAGED", "FORWARDED", "FRAGMENTED", "LOCAL", "OPTIONS", "REASSEMBLED", "REFUSED", "SPECIAL"]

LEFT, RIGHT, ROUTER = "192.168.1.2", "10.0.0.2", "192.168.1.1"
NARROW, NARROWER, NARROWEST = "172.16.0.2", "172.16.1.2", "172.16.2.2"
DONT_FRAGMENT, MORE_FRAGMENTS, RESERVED = 0x4000, 0x2000, 0x8000
TEXT = bytes(range(256)) * 6

RR, TS, LSRR, SSRR, ALERT, SECURITY, UNKNOWN, UNKNOWN_COPIED = 7, 68, 131, 137, 148, 130, 30, 0x80 | 30


def left(*datagrams: bytes) -> Question:
    return [("eth0", octets) for octets in datagrams]


def right(*datagrams: bytes) -> Question:
    return [("eth1", octets) for octets in datagrams]


def options(*each: tuple[int, bytes]) -> bytes:
    return build_options(list(each))


def checksummed(wanted: int) -> bytes:
    """A datagram whose identification is chosen so that its header checksum is that."""
    bare = udp(LEFT, RIGHT, identification=0)
    # One's complement: what the sum lacks of the wanted one, and 0 is written as 0xFFFF.
    lacking = (int.from_bytes(bare[10:12], "big") - wanted) % 0xFFFF
    octets = with_field(bare, 4, 2, lacking)
    assert int.from_bytes(octets[10:12], "big") == wanted
    return octets


FORWARDED: dict[str, Question] = {
    "udp": left(udp(LEFT, RIGHT, data=b"hello")),
    "the other way": right(udp(RIGHT, LEFT, data=b"hello")),
    "tcp": left(tcp(LEFT, RIGHT, data=b"GET /")),
    "icmp echo": left(ping(LEFT, RIGHT)),
    "an icmp error": left(ip(LEFT, RIGHT, 1, b"\3\1\xfc\xfe\0\0\0\0" + udp(RIGHT, LEFT))),
    "any protocol": left(ip(LEFT, RIGHT, 99, TEXT[:100])),
    "protocol 0": left(ip(LEFT, RIGHT, 0, TEXT[:100])),
    "no payload": left(ip(LEFT, RIGHT, 99, b"")),
    "by a gateway": left(udp(LEFT, "203.0.113.9", data=b"hello")),
    "to behind a gateway, from there": right(udp("203.0.113.9", "172.20.3.4", data=b"hello")),
    "from nowhere known": left(udp("100.64.0.1", RIGHT)),
    "type of service and ECN": left(udp(LEFT, RIGHT, tos=0xFF)),
    "as long as the MTU": left(udp(LEFT, RIGHT, data=TEXT[:1472])),
    "an odd length": left(udp(LEFT, RIGHT, data=TEXT[:1471])),
    "a wrong transport checksum": left(mended(udp(LEFT, RIGHT, data=b"hello")[:-1] + b"!")),
    "padded": left(udp(LEFT, RIGHT, data=b"hello") + bytes(18)),
    "padded with noise": left(udp(LEFT, RIGHT, data=b"hello") + b"noise"),
    "DF": left(udp(LEFT, RIGHT, data=b"hello", fragment=DONT_FRAGMENT)),
    "the reserved flag": left(udp(LEFT, RIGHT, data=b"hello", fragment=RESERVED)),
    "identification 0": left(udp(LEFT, RIGHT, identification=0)),
    "TTL 2": left(udp(LEFT, RIGHT, ttl=2)),
    "TTL 255": left(udp(LEFT, RIGHT, ttl=255)),
    # RFC 1624: the sums around 0 and 0xFFFF, where a carry gets lost easily.
    **{
        f"header checksum {wanted:#06x}": left(checksummed(wanted))
        for wanted in (0x0000, 0x0001, 0xFEFF, 0xFF00, 0xFFFE)
    },
    "the first fragment": left(ip(LEFT, RIGHT, 17, TEXT[:24], fragment=MORE_FRAGMENTS)),
    "a middle fragment": left(ip(LEFT, RIGHT, 17, TEXT[:24], fragment=MORE_FRAGMENTS | 3)),
    "the last fragment": left(ip(LEFT, RIGHT, 17, TEXT[:5], fragment=6)),
}


FRAGMENTED: dict[str, Question] = {
    f"{what}, {length} octets for an MTU of {mtu}": left(ip(LEFT, to, 99, TEXT[:length], **header))
    for to, mtu in ((NARROW, 576), (NARROWER, 296), (NARROWEST, 68))
    for room in ((mtu - 20) // 8 * 8,)
    for length in (mtu - 20, mtu - 19, mtu - 12, mtu - 11, 2 * room, room + mtu - 20, room + mtu - 19, 777, 1480)
    for what, header in (
        ("a datagram", {}),
        ("a first fragment", {"fragment": MORE_FRAGMENTS}),
        ("a middle fragment", {"fragment": MORE_FRAGMENTS | 100}),
        ("a last fragment", {"fragment": 100}),
        ("the reserved flag", {"fragment": RESERVED}),
    )
    if length % 8 == 0 or not header.get("fragment", 0) & MORE_FRAGMENTS
}
"""What is too long for the link it leaves by, or just not."""

KEPT = options((SECURITY, bytes(9)), (UNKNOWN_COPIED, b"ab"), (ALERT, bytes(2)))
LOST = options((UNKNOWN, b"abcd"), (UNKNOWN, b"efgh"))
MIXED = options((UNKNOWN, b"abcd"), (ALERT, bytes(2)), (UNKNOWN, b"e"), (UNKNOWN_COPIED, b"fg"))
LONGEST = options((UNKNOWN_COPIED, bytes(18)), (UNKNOWN, bytes(18)))

FRAGMENTED |= {
    f"{what} options, {kind}, for an MTU of {mtu}": left(
        ip(LEFT, to, 99, TEXT[:800], options=octets, fragment=fragment)
    )
    for to, mtu in ((NARROW, 576), (NARROWER, 296), (NARROWEST, 68))
    for what, octets in (("copied", KEPT), ("other", LOST), ("mixed", MIXED), ("forty octets of", LONGEST))
    for kind, fragment in (("a datagram", 0), ("a first fragment", MORE_FRAGMENTS), ("a later fragment", 50))
}

REFUSED: dict[str, Question] = {
    "TTL 1": left(udp(LEFT, RIGHT, data=b"hello", ttl=1)),
    "TTL 0": left(udp(LEFT, RIGHT, data=b"hello", ttl=0)),
    "TTL 1, all of the type of service": left(udp(LEFT, RIGHT, ttl=1, tos=0xFF)),
    "TTL 1, longer than what is quoted": left(udp(LEFT, RIGHT, ttl=1, data=TEXT[:1400])),
    "TTL 1, tcp": left(tcp(LEFT, RIGHT, ttl=1, data=b"hello")),
    "TTL 1, an echo request": left(ping(LEFT, RIGHT, ttl=1)),
    "TTL 1, an echo reply": left(ip(LEFT, RIGHT, 1, b"\0\0\xff\xfe\0\0\0\1", ttl=1)),
    "TTL 1, an icmp error": left(ip(LEFT, RIGHT, 1, b"\3\1\xfc\xfe\0\0\0\0" + udp(RIGHT, LEFT), ttl=1)),
    "TTL 1, an unknown icmp message": left(ip(LEFT, RIGHT, 1, b"\x30\0\xcf\xff\0\0\0\0", ttl=1)),
    "TTL 1, the type of an icmp message": left(ip(LEFT, RIGHT, 1, b"\x08", ttl=1)),
    "TTL 1, a first fragment": left(ip(LEFT, RIGHT, 99, TEXT[:8], ttl=1, fragment=MORE_FRAGMENTS)),
    "TTL 1, a later fragment": left(ip(LEFT, RIGHT, 99, TEXT[:8], ttl=1, fragment=1)),
    "TTL 1, from behind a gateway": left(udp("172.20.1.1", RIGHT, ttl=1)),
    "TTL 1, from nowhere known": left(udp("100.64.0.1", RIGHT, ttl=1)),
    "TTL 1, from behind a narrow link": [("eth0", udp(NARROWER, RIGHT, ttl=1, data=TEXT[:1000]))],
    "TTL 1, padded": left(udp(LEFT, RIGHT, ttl=1) + b"noise"),
    "no route": left(udp("172.20.2.1", "100.64.0.1", data=b"hello", tos=0x1C)),
    "no route, TTL 1": left(udp("172.20.2.2", "100.64.0.1", ttl=1)),
    "no route, an icmp error": left(ip("172.20.2.3", "100.64.0.1", 1, b"\3\1\xfc\xfe\0\0\0\0")),
    "no route, DF and too long for most": left(
        udp("172.20.2.4", "100.64.0.1", data=TEXT[:1400], fragment=DONT_FRAGMENT)
    ),
    "an unreachable route": left(udp("172.20.2.5", "198.51.100.1", data=b"hello")),
    "a blackhole route": left(udp("172.20.2.6", "198.51.100.200", data=b"hello")),
    "too long and DF": left(udp(LEFT, NARROW, data=TEXT[:549], fragment=DONT_FRAGMENT)),
    "one octet less": left(udp(LEFT, NARROW, data=TEXT[:548], fragment=DONT_FRAGMENT)),
    "too long and DF, tcp": left(tcp(LEFT, NARROWER, data=TEXT[:1000], fragment=DONT_FRAGMENT)),
    "too long and DF, a fragment": left(ip(LEFT, NARROW, 17, TEXT[:800], fragment=DONT_FRAGMENT | MORE_FRAGMENTS)),
    "too long and DF, a later fragment": left(ip(LEFT, NARROW, 17, TEXT[:800], fragment=DONT_FRAGMENT | 9)),
    "too long and DF, TTL 1": left(udp(LEFT, NARROW, data=TEXT[:800], fragment=DONT_FRAGMENT, ttl=1)),
}

GOOD = udp(LEFT, RIGHT, data=b"hello")
DAMAGED: dict[str, Question] = {
    "header checksum": left(GOOD[:10] + bytes((GOOD[10] ^ 1,)) + GOOD[11:]),
    "version 5": left(mended(b"\x55" + GOOD[1:])),
    "version 0": left(mended(b"\x05" + GOOD[1:])),
    "a header of 16 octets": left(mended(b"\x44" + GOOD[1:])),
    "a header longer than the datagram": left(mended(b"\x4f" + GOOD[1:])),
    "longer than what is there": left(with_field(GOOD, 2, 2, len(GOOD) + 1)),
    "shorter than its header": left(with_field(GOOD, 2, 2, 19)),
    "total length 0": left(with_field(GOOD, 2, 2, 0)),
    "as long as its header": left(with_field(GOOD, 2, 2, 20)),
    "nineteen octets": left(GOOD[:19]),
    "one octet": left(b"\x45"),
    "from loopback": left(udp("127.0.0.1", RIGHT)),
    "to loopback": left(udp(LEFT, "127.0.0.1")),
    "from the router itself": left(udp(ROUTER, RIGHT)),
    "from another address of the router": left(ping("10.0.0.1", ROUTER)),
    "from a group": left(udp("224.1.2.3", RIGHT)),
    "from everybody": left(udp("255.255.255.255", RIGHT)),
    "from nobody": left(udp("0.0.0.0", RIGHT)),
    "to nobody": left(udp(LEFT, "0.0.0.0")),
    "from the wrong side": left(udp("10.0.0.77", "172.16.0.2")),
}

SPECIAL: dict[str, Question] = {
    "to everybody on the link": left(udp(LEFT, "255.255.255.255")),
    "to the link's broadcast address": left(udp(LEFT, "192.168.1.255")),
    "to another link's broadcast address": left(udp(LEFT, "10.0.0.255")),
    "an echo request to everybody": left(ping(LEFT, "255.255.255.255")),
    "an echo request to the broadcast address": left(ping(LEFT, "192.168.1.255")),
    "an echo request to another link's": left(ping(LEFT, "10.0.0.255")),
    "an echo request to all hosts": left(ping(LEFT, "224.0.0.1")),
    "to a group that nobody joined": left(ping(LEFT, "224.0.0.5")),
    "to a group elsewhere": left(udp(LEFT, "239.1.1.1", ttl=9)),
    "back where it came from": left(udp("192.168.1.51", "192.168.1.7", data=b"hello")),
    "back by a gateway": right(udp("10.0.0.52", "203.0.113.7", tos=0xFF)),
    "back by a gateway, from behind another": left(udp("172.20.4.1", "172.20.4.2")),
    "back, TTL 1": left(udp("192.168.1.53", "192.168.1.7", ttl=1)),
    "back, an icmp error": left(ip("192.168.1.54", "192.168.1.7", 1, b"\3\1\xfc\xfe\0\0\0\0")),
    "back, a later fragment": left(ip("192.168.1.55", "192.168.1.7", 99, TEXT[:8], fragment=9)),
}

LOCAL: dict[str, Question] = {
    "an echo request": left(ping(LEFT, ROUTER)),
    "to another address": left(ping(LEFT, "172.16.2.1")),
    "from behind a gateway": left(ping("172.20.1.1", ROUTER)),
    "from another side": left(ping(RIGHT, ROUTER)),
    "all of the type of service": left(ping(LEFT, ROUTER, tos=0xFF)),
    "TTL 0": left(ping(LEFT, ROUTER, ttl=0)),
    "without data": left(ping(LEFT, ROUTER, data=b"")),
    "a lot of data": left(ping(LEFT, ROUTER, data=TEXT[:1472])),
    "an odd length": left(ping(LEFT, ROUTER, data=TEXT[:99])),
    "DF asked": left(ping(LEFT, ROUTER, fragment=DONT_FRAGMENT)),
    "a wrong icmp checksum": left(mended(ping(LEFT, ROUTER)[:-1] + b"!")),
    "half an icmp header": left(ip(LEFT, ROUTER, 1, b"\x08\0\xf7\xff")),
    "an echo request with a code": left(ip(LEFT, ROUTER, 1, b"\x08\x05\xf7\xf5\0\1\0\4")),
    "an echo reply": left(ip(LEFT, ROUTER, 1, b"\0\0\xff\xfe\0\0\0\1")),
    "an icmp error": left(ip(LEFT, ROUTER, 1, b"\3\1\xfc\xfe\0\0\0\0" + udp(ROUTER, LEFT))),
    "an unknown icmp message": left(ip(LEFT, ROUTER, 1, b"\x30\0\xcf\xff\0\0\0\0")),
    "a closed udp port": left(udp(LEFT, ROUTER, data=b"hello", tos=0x1F)),
    "a closed udp port, longer than what is quoted": left(udp(LEFT, ROUTER, data=TEXT[:1400])),
    "a closed udp port, a wrong checksum": left(mended(udp(LEFT, ROUTER, data=b"hello")[:-1] + b"!")),
    "a closed udp port, no checksum": left(ip(LEFT, ROUTER, 17, b"\x13\x88\x17\x70\0\x09\0\0a")),
    "half a udp header": left(ip(LEFT, ROUTER, 17, b"\x13\x88\x17\x70")),
    "a udp length beyond the datagram": left(ip(LEFT, ROUTER, 17, b"\x13\x88\x17\x70\0\x40\0\0a")),
    "a udp length within the datagram": left(ip(LEFT, ROUTER, 17, b"\x13\x88\x17\x70\0\x09\0\0abc")),
    "a udp length of 7": left(ip(LEFT, ROUTER, 17, b"\x13\x88\x17\x70\0\7\0\0a")),
    "an unknown protocol": left(ip(LEFT, ROUTER, 99, TEXT[:50])),
    "a closed tcp port, SYN": left(tcp(LEFT, ROUTER)),
    "a closed tcp port, ACK": left(tcp(LEFT, ROUTER, flags=0x10, acknowledgment=77)),
    "a closed tcp port, SYN and ACK": left(tcp(LEFT, ROUTER, flags=0x12, acknowledgment=77)),
    "a closed tcp port, ACK and data": left(tcp(LEFT, ROUTER, flags=0x18, acknowledgment=77, data=b"hello")),
    "a closed tcp port, FIN and ACK": left(tcp(LEFT, ROUTER, flags=0x11, acknowledgment=77)),
    "a closed tcp port, RST": left(tcp(LEFT, ROUTER, flags=4)),
    "a closed tcp port, RST and ACK": left(tcp(LEFT, ROUTER, flags=0x14, acknowledgment=77)),
    "a closed tcp port, a wrong checksum": left(mended(tcp(LEFT, ROUTER)[:-1] + b"!")),
    "half a tcp header": left(ip(LEFT, ROUTER, 6, bytes(10))),
    "padded": left(ping(LEFT, ROUTER, data=b"hello") + b"noise"),
    "a datagram in fragments": left(*pieces(ping(LEFT, ROUTER, data=TEXT, identification=7), 576)),
}


def parts(number: int, *ranges: tuple[int, int]) -> Question:
    """These parts of an echo request of 56 octets, as fragments in this order."""
    request = ping(LEFT, ROUTER, data=bytes(range(48)), identification=number)
    return [part(request, start, end) for start, end in ranges]


REASSEMBLED: dict[str, Question] = {
    "in order": parts(1001, (0, 24), (24, 48), (48, 56)),
    "backwards": parts(1002, (48, 56), (24, 48), (0, 24)),
    "the middle last": parts(1003, (48, 56), (0, 24), (24, 48)),
    "by eights": parts(1004, *((at, at + 8) for at in (16, 0, 40, 32, 8, 48, 24))),
    "the first one twice": parts(1005, (0, 24), (0, 24), (24, 56)),
    "the last one twice": parts(1006, (24, 56), (24, 56), (0, 24)),
    "all twice, one after the other": parts(1007, (0, 24), (24, 56), (0, 24), (24, 56)),
    "the first is missing": parts(1008, (24, 48), (48, 56)),
    "the middle is missing": parts(1009, (0, 24), (48, 56)),
    "the last is missing": parts(1010, (0, 24), (24, 48)),
    "another datagram's in between": [
        *parts(1011, (0, 24)),
        *parts(1012, (0, 24)),
        *parts(1011, (24, 56)),
        *parts(1012, (24, 56)),
    ],
    "for another protocol": [
        *parts(1013, (0, 24)),
        ("eth0", ip(LEFT, ROUTER, 99, bytes(32), identification=1013, fragment=3)),
    ],
    "from another sender": [
        *parts(1014, (0, 24)),
        ("eth0", ip("192.168.1.3", ROUTER, 1, bytes(32), identification=1014, fragment=3)),
    ],
    "by another interface": [
        *parts(1015, (0, 24)),
        ("eth1", part(ping(LEFT, ROUTER, data=bytes(range(48)), identification=1015), 24, 56)[1]),
    ],
    "a whole one of the same number": [
        *parts(1016, (0, 24)),
        ("eth0", ping(LEFT, ROUTER, identification=1016)),
        *parts(1016, (24, 56)),
    ],
    "padded": [(name, octets + b"noise") for name, octets in parts(1017, (0, 24), (24, 56))],
    "in transit they stay apart": left(*pieces(udp(LEFT, RIGHT, data=TEXT[:100], identification=1018), 68)[:1]),
    "a closed port, in fragments": left(*pieces(udp(LEFT, ROUTER, data=TEXT[:1000], identification=1019), 576)),
    "a closed tcp port, in fragments": left(
        *pieces(tcp(LEFT, ROUTER, data=TEXT[:100], flags=0x18, acknowledgment=5, identification=1020), 68)
    ),
}
"""Fragments for the router, which answers when all are there."""

OPTIONED: dict[str, bytes] = {
    "no-operations": b"\1\1\1\1",
    "noise behind the end": b"\0abc",
    "router alert": options((ALERT, bytes(2))),
    "security": options((SECURITY, bytes(9))),
    "unknown ones": options((UNKNOWN, b"ab"), (UNKNOWN_COPIED, b"cd")),
    "record route": options((RR, b"\4" + bytes(12))),
    "record route, the last place": options((RR, b"\x08" + bytes(8))),
    "record route, full": options((RR, b"\x08" + bytes(4))),
    "record route, a pointer too small": options((RR, b"\3" + bytes(4))),
    "record route, a pointer into the last octets": options((RR, b"\6" + bytes(4))),
    "record route, too short": options((RR, b"")),
    "record route twice": options((RR, b"\4" + bytes(4)), (RR, b"\4" + bytes(4))),
    "timestamps": options((TS, b"\5\0" + bytes(12))),
    "timestamps and addresses": options((TS, b"\5\1" + bytes(24))),
    "timestamps, the second": options((TS, b"\x09\0" + bytes(8))),
    "timestamps, full": options((TS, b"\x09\x20" + bytes(4))),
    "timestamps, overflows overflow": options((TS, b"\x09\xf0" + bytes(4))),
    "timestamps, an address of the router": options((TS, b"\5\3" + bytes((192, 168, 1, 1)) + bytes(4))),
    "timestamps, an address of another": options((TS, b"\5\3" + bytes((10, 0, 0, 2)) + bytes(4))),
    "timestamps, a pointer too small": options((TS, b"\4\0" + bytes(4))),
    "timestamps, no room": options((TS, b"\5\1" + bytes(5))),
    "timestamps, too short": options((TS, b"\5")),
    "timestamps twice": options((TS, b"\5\0" + bytes(4)), (TS, b"\5\0" + bytes(4))),
    "record route and timestamps": options((TS, b"\5\0" + bytes(8)), (RR, b"\4" + bytes(8))),
    "a loose source route": options((LSRR, b"\4" + bytes((10, 0, 0, 3)))),
    "a strict source route": options((SSRR, b"\4" + bytes((10, 0, 0, 3)))),
    "a source route at its end": options((LSRR, b"\x08" + bytes((10, 0, 0, 3)))),
    "a length of 1": b"\x1e\1\1\1",
    "a length beyond the header": b"\x1e\x09\1\1",
    "a length of 0": b"\1\1\x1e\0",
}
"""Options as they stand in the header."""

_ASKING = {
    "in transit": lambda octets: left(udp(LEFT, RIGHT, data=b"hello", options=octets)),
    "in transit, TTL 1": lambda octets: left(udp(LEFT, RIGHT, data=TEXT[:900], ttl=1, options=octets)),
    "in fragments": lambda octets: left(udp(LEFT, NARROWER, data=TEXT[:600], options=octets)),
    "to the router": lambda octets: left(ping(LEFT, ROUTER, options=octets)),
    "to a closed udp port": lambda octets: left(udp(LEFT, ROUTER, options=octets)),
    "to a closed tcp port": lambda octets: left(tcp(LEFT, ROUTER, options=octets)),
    "too long and DF": lambda octets: left(udp(LEFT, NARROW, data=TEXT[:900], options=octets, fragment=DONT_FRAGMENT)),
    "to a blackhole": lambda octets: left(udp(LEFT, "198.51.100.200", options=octets)),
}

OPTIONS: dict[str, Question] = {
    f"{what}, {where}": ask(octets) for where, ask in _ASKING.items() for what, octets in OPTIONED.items()
}
