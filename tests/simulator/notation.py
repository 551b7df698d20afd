"""Datagrams in words and back: ``udp 192.168.1.2:5000 > 10.0.0.9:53``, ``tcp A:P > B:Q SYN``, ``icmp A > B echo 7``.

An ICMP error quotes a datagram in brackets: ``icmp A > B unreachable [udp B:Q > C:R]``.  A TTL other than 64 stands at
the end, ``ttl 63``; ``bad`` spoils the transport checksum on the way in and says that it is wrong on the way out.
Checksums are tested with a plain loop, not with the code that makes them.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address

from simulator.wire import icmp, ipv4, tcp, udp

_KINDS = {
    "reply": 0,
    "unreachable": 3,
    "quench": 4,
    "redirect": 5,
    "echo": 8,
    "exceeded": 11,
    "problem": 12,
    "timestamp": 13,
    "timestamp-reply": 14,
    "information": 15,
    "information-reply": 16,
    "mask": 17,
    "mask-reply": 18,
}
_QUERIES = frozenset(range(13, 19)) | {0, 8}
_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17}
_FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16}
_WORDS = re.compile(
    r"(?P<protocol>\w+) (?P<source>[\d.]+)(?::(?P<sport>\d+))? > (?P<destination>[\d.]+)(?::(?P<dport>\d+))?"
    r"(?: (?P<flags>[A-Z|]+))?(?: (?P<kind>[a-z-]+)(?: (?P<id>\d+))?(?: \[(?P<quoted>.*)\])?)?$"
)


def number(address: str) -> int:
    return int(IPv4Address(address))


def datagram(words: str, data: bytes = b"data", **header: int) -> bytes:
    """The octets; ``header`` has further fields of :class:`simulator.wire.ipv4.Header`."""
    words, spoiled = words.removesuffix(" bad"), words.endswith(" bad")
    words, _, ttl = words.partition(" ttl ")
    match = _WORDS.match(words)
    assert match, words
    source, destination = number(match["source"]), number(match["destination"])
    ends = {"source": source, "destination": destination}
    protocol = _PROTOCOLS.get(match["protocol"])
    if protocol == 17:
        at = 6
        payload = udp.Header(source_port=int(match["sport"]), destination_port=int(match["dport"])).emit(data, **ends)
    elif protocol == 6:
        at = 16
        flags = sum(_FLAGS[flag] for flag in (match["flags"] or "ACK").split("|"))
        ports = {"source_port": int(match["sport"]), "destination_port": int(match["dport"])}
        payload = tcp.Header(**ports, flags=flags).emit(data, **ends)
    elif protocol == 1:
        at = 2
        kind = _KINDS[match["kind"]]
        rest = int(match["id"]) << 16 | 1 if match["id"] else 0
        payload = icmp.Message(type=kind, rest=rest, data=datagram(match["quoted"]) if match["quoted"] else data).emit()
    else:
        at, protocol, payload = 0, int(match["protocol"].removeprefix("proto")), data
    if spoiled:
        payload = payload[:at] + bytes((payload[at] ^ 0x55,)) + payload[at + 1 :]
    return ipv4.Header(**ends, protocol=protocol, ttl=int(ttl or 64), **header).emit(payload)


def words(octets: bytes) -> str:
    """What :func:`datagram` makes of these words."""
    assert plain_sum(octets[: (octets[0] & 15) * 4]) == 0xFFFF, "IP header checksum"
    text = _ends_and_more(octets, quoted=False)
    return text if octets[8] == 64 else f"{text} ttl {octets[8]}"


def _ends_and_more(octets: bytes, *, quoted: bool) -> str:
    view = ipv4.View(octets)
    payload = octets[view.header_length :]
    protocol = next((name for name, value in _PROTOCOLS.items() if value == view.protocol), f"proto{view.protocol}")
    source, destination = str(IPv4Address(view.source)), str(IPv4Address(view.destination))
    if view.protocol == 1:
        kind = next(name for name, value in _KINDS.items() if value == payload[0])
        text = f"{protocol} {source} > {destination} {kind}"
        if payload[0] in _QUERIES:
            text += f" {payload[4] << 8 | payload[5]}"
        elif payload[0] in icmp.ERRORS:
            assert plain_sum(payload[8 : 8 + (payload[8] & 15) * 4]) == 0xFFFF, "quoted IP header checksum"
            text += f" [{_ends_and_more(payload[8:], quoted=True)}]"
        return text if quoted or plain_sum(payload) == 0xFFFF else text + " bad"
    if view.protocol not in (6, 17):
        return f"{protocol} {source} > {destination}"
    sport, dport = payload[0] << 8 | payload[1], payload[2] << 8 | payload[3]
    text = f"{protocol} {source}:{sport} > {destination}:{dport}"
    if view.protocol == 6 and not quoted:
        text += " " + "|".join(name for name, bit in _FLAGS.items() if payload[13] & bit)
    pseudo = octets[12:20] + bytes((0, view.protocol)) + len(payload).to_bytes(2, "big")
    return text if quoted or plain_sum(pseudo + payload) == 0xFFFF else text + " bad"


def plain_sum(octets: bytes) -> int:
    """The one's complement sum (RFC 1071), word by word."""
    total = 0
    for at in range(0, len(octets), 2):
        total += int.from_bytes(octets[at : at + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total
