"""Firewall rules as administrators write them, in any number, and packets that match them: one mix, two dialects.

Prefixes of many lengths, single ports and ranges, protocols, interfaces and directions, TCP flags and ICMP types, here
and there a `not` or an `or`.  Every rule names a network on one side at least, so that a packet made for a late rule
mostly gets there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from rules.addresses import dotted, mask_of
from rules.fields import ICMP, TCP, UDP, Header

__all__ = ["Wish", "headers", "ipchains_words", "ipfw_words", "wishes"]

_WORDS = {TCP: "tcp", UDP: "udp", ICMP: "icmp", 0: "ip"}
_PREFIX_LENGTHS = (8, 12, 16, 16, 19, 20, 21, 22, 23, 24, 24, 24, 24, 25, 26, 27, 28, 29, 30, 32, 32, 32)
_SERVICES = (21, 22, 23, 25, 53, 80, 110, 123, 143, 443, 993, 3306, 5432, 8080)
_NETWORKS = ((0x0A000000, 8), (0xAC100000, 12), (0xC0A80000, 16), (0, 0), (0, 0))
_SYN, _ACK = 0x02, 0x10


@dataclass(frozen=True, slots=True)
class Wish:
    """What a rule is to ask; (address, length) for networks, length 0 for any."""

    protocol: int
    source: tuple[int, int]
    destination: tuple[int, int]
    ports: tuple[int, int] | None
    """Of the destination."""
    interface: str | None
    incoming: bool
    setup: bool
    icmp_type: int | None
    but: tuple[int, int] | None
    """A network inside the source that is excepted: `not`."""
    also: tuple[int, int] | None
    """Another source that would do: `or`."""
    action: str


def _network(random: Random, lengths: Sequence[int]) -> tuple[int, int]:
    within, at_least = random.choice(_NETWORKS)
    length = max(random.choice(lengths), at_least)
    address = within | random.getrandbits(32) & ~mask_of(at_least)
    return address & mask_of(length), length


def _wish(random: Random) -> Wish:
    protocol = random.choices((TCP, UDP, ICMP, 0), (55, 25, 8, 12))[0]
    has_source, has_destination = random.choice(((True, True), (True, True), (True, False), (False, True)))
    lengths = _PREFIX_LENGTHS if has_source and has_destination else _PREFIX_LENGTHS[5:]
    source = _network(random, lengths) if has_source else (0, 0)
    ports = None
    if protocol in (TCP, UDP) and random.random() < 0.8:
        low = random.choice(_SERVICES) if random.random() < 0.6 else random.randrange(1, 65536)
        ports = (low, low) if random.random() < 0.8 else (low, min(low + random.choice((3, 10, 1000)), 65535))
    few = random.random()
    return Wish(
        protocol=protocol,
        source=source,
        destination=_network(random, lengths) if has_destination else (0, 0),
        ports=ports,
        interface=f"em{random.randrange(4)}" if random.random() < 0.3 else None,
        incoming=random.random() < 0.2,
        setup=protocol == TCP and random.random() < 0.15,
        icmp_type=random.choice((0, 3, 8, 11)) if protocol == ICMP else None,
        but=(source[0], 32) if has_source and source[1] < 30 and few < 0.05 else None,
        also=_network(random, _PREFIX_LENGTHS[12:]) if has_source and 0.05 < few < 0.1 else None,
        action=random.choices(("allow", "deny", "count"), (60, 37, 3))[0],
    )


def wishes(number: int) -> list[Wish]:
    """So many, always the same."""
    random = Random(number)
    return [_wish(random) for _ in range(number)]


def _prefix(network: tuple[int, int]) -> str:
    return f"{dotted(network[0])}/{network[1]}"


def ipfw_words(wish: Wish) -> str:
    """The rule for ipfw, from its action on."""
    source = _prefix(wish.source) if wish.source[1] else "any"
    if wish.also:
        source = f"{{ {source} or {_prefix(wish.also)} }}"
    words = f"{wish.action} {_WORDS[wish.protocol]} from {source} to "
    words += _prefix(wish.destination) if wish.destination[1] else "any"
    if wish.ports:
        words += f" {wish.ports[0]}-{wish.ports[1]}" if wish.ports[0] < wish.ports[1] else f" {wish.ports[0]}"
    if wish.icmp_type is not None:
        words += f" icmptypes {wish.icmp_type}"
    words += " in" * wish.incoming + " setup" * wish.setup
    if wish.interface:
        words += f" via {wish.interface}"
    if wish.but:
        words += f" not src-ip {_prefix(wish.but)}"
    return words


def ipchains_words(wish: Wish) -> str:
    """The rule for ipchains, without the chain; `or` becomes nothing, `not` an inverted destination."""
    words = f"-p {_WORDS[wish.protocol].replace('ip', 'all', wish.protocol == 0)}"
    if wish.source[1]:
        words += f" -s {_prefix(wish.source)}"
    icmp = "" if wish.icmp_type is None else f" --icmp-type {wish.icmp_type}"
    if wish.destination[1]:
        words += f" -d {_prefix(wish.destination)}"
    elif wish.but:
        words += f" -d ! {_prefix(wish.but)}"
    if wish.ports:
        words += f" --dport {wish.ports[0]}:{wish.ports[1]}"
    words += icmp + " -y" * wish.setup
    if wish.interface:
        words += f" -i {wish.interface}"
    return words + {"allow": " -j ACCEPT", "deny": " -j DENY", "count": ""}[wish.action]


def _header(random: Random, wish: Wish) -> Header:
    """A packet that the rule matches."""
    protocol = wish.protocol or random.choice((TCP, UDP))
    low, high = wish.ports or (1, 65535)
    host = [base | random.getrandbits(32) & ~mask_of(length) for base, length in (wish.source, wish.destination)]
    if wish.but == (host[0], 32):
        host[0] += 1
    has_ports = protocol in (TCP, UDP)
    return Header(
        source=host[0],
        destination=host[1],
        protocol=protocol,
        total_length=60,
        payload_length=40,
        source_port=random.randrange(1024, 65536) if has_ports else None,
        destination_port=random.randint(low, high) if has_ports else None,
        tcp_flags=(_SYN if wish.setup else random.choice((_SYN, _ACK))) if protocol == TCP else None,
        icmp_type=wish.icmp_type if protocol == ICMP else None,
        icmp_code=0 if protocol == ICMP else None,
        receive_interface=wish.interface or f"em{random.randrange(4)}",
    )


def headers(asked: Sequence[Wish], number: int) -> list[Header]:
    """Packets for rules from anywhere in the list, for those of its last tenth, and for none, in equal parts."""
    random = Random(number)
    last_tenth = asked[-max(len(asked) // 10, 1) :]
    made = [_header(random, random.choice(part)) for part in (asked, last_tenth) for _ in range(number // 3)]
    made += [_header(random, _wish(random)) for _ in range(number - len(made))]
    random.shuffle(made)
    return made
