"""Searching chains by tables gives the plain engine's answers: verdicts, counters and logs, in chains that change.

Values come from a small world in which everything asked for exists and has a neighbour that just misses it.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.fields import ICMP, TCP, UDP, Header
from rules.ipchains import PROFILES, Flag, Inverse, Rule, Tables
from rules.roster import Engine

CHAINS = ("input", "forward", "output", "u0", "u1")
INTERFACES = ("eth0", "eth1", "ppp0")
ADDRESSES = (0x0A000001, 0x0A000002, 0x0A000101, 0xC0A80101)
MASKS = (0, 0, 0, 0xFFFFFFFF, 0xFFFFFF00, 0xFF000000, 0xFFFFFFFE, 0xFF00FF00)
RANGES = ((0, 65535), (0, 65535), (53, 53), (0, 1023), (8, 8), (80, 22), (0, 8))
TARGETS = ("", "", "ACCEPT", "DENY", "REJECT", "RETURN", "DIVERT", "u0", "u1", "u0", "u1")


def a_rule(random: Random) -> Rule:
    """A rule of any kind."""

    def rarely(what: Any, otherwise: Any, one_in: int = 6) -> Any:
        return what if random.randrange(one_in) == 0 else otherwise

    protocol = random.choice((0, 0, ICMP, TCP, UDP, 47, 300))
    inverse = Inverse(random.getrandbits(8)) if random.randrange(4) == 0 else Inverse(0)
    has_ports = protocol in (ICMP, TCP, UDP) and Inverse.PROTOCOL not in inverse
    flags = Flag.SYN if protocol == TCP and has_ports and random.randrange(3) == 0 else Flag(0)
    flags |= rarely(Flag.FRAGMENT, Flag(0)) | rarely(Flag.LOG, Flag(0)) | rarely(Flag.NETLINK, Flag(0))
    flags |= rarely(Flag.WILDCARD, Flag(0), 2) | rarely(Flag.MARK_ABSOLUTE, Flag(0))
    masks = random.choice(MASKS), random.choice(MASKS)
    target = random.choice(TARGETS)
    return Rule(
        source=random.choice(ADDRESSES) & masks[0],
        source_mask=masks[0],
        destination=random.choice(ADDRESSES) & masks[1],
        destination_mask=masks[1],
        interface=random.choice(("", "", "eth", "eth0", "ppp0")),
        protocol=protocol,
        source_ports=random.choice(RANGES) if has_ports else (0, 65535),
        destination_ports=random.choice(RANGES) if has_ports else (0, 65535),
        target=target,
        port=random.choice((1, 3)) if target == "DIVERT" else 0,
        flags=flags,
        inverse=inverse,
        tos_and=rarely(0x01, 0xFF),
        tos_xor=rarely(0x10, 0),
        mark=rarely(1, 0),
        output_size=40 if Flag.NETLINK in flags else 0,
    )


def a_packet(random: Random) -> Header:
    """One that has what some rules ask for, fragments and cut ones among them."""
    pick = random.choice
    protocol = pick((ICMP, TCP, TCP, UDP, UDP, 47))
    offset = pick((0,) * 9 + (1, 2, 256))
    needed = {TCP: 20, UDP: 8, ICMP: 8}.get(protocol, 0)
    ports = (52, 53, 54, 1023, 1024, 8, 0)
    has_ports = not offset and protocol in (TCP, UDP)
    is_icmp = not offset and protocol == ICMP
    return Header(
        source=pick(ADDRESSES),
        destination=pick(ADDRESSES),
        protocol=protocol,
        total_length=20 + pick((needed,) * 6 + (max(needed - 5, 0), 0)),
        fragment=offset | pick((0, 0, 0, 0x2000, 0x4000)),
        tos=pick((0, 0x10)),
        source_port=pick(ports) if has_ports else None,
        destination_port=pick(ports) if has_ports else None,
        icmp_type=pick((0, 8, 9)) if is_icmp else None,
        icmp_code=pick((0, 9)) if is_icmp else None,
        tcp_flags=pick((0x02, 0x12, 0x10, 0x06, 0x03)) if has_ports and protocol == TCP else None,
        mark=pick((0, 0, 5)),
    )


class Pair:
    """Two machines to which the same happens, and that must not differ."""

    def __init__(self, profile: str, other: Engine) -> None:
        self.plain, self.other = (Tables(PROFILES[profile], engine=way) for way in (Engine.PLAIN, other))
        if PROFILES[profile].user_chains:
            for name in ("u0", "u1"):
                self.both(lambda tables, name=name: tables.run(f"-N {name}"))

    def both(self, ask: Callable[[Tables], Any]) -> Any:
        plain, other = ask(self.plain), ask(self.other)
        assert plain == other
        return plain

    def send(self, chain: str, fields: Header, interface: str, **options: Any) -> None:
        self.both(lambda tables: tables.traverse(chain, fields, interface, **options))

    def change(self, name: str, operation: str, *arguments: Any) -> None:
        def apply(tables: Tables) -> int | None:
            try:
                getattr(tables.chains, operation)(name, *arguments)
            except OSError as error:
                return error.errno
            return None

        self.both(apply)

    def check(self) -> None:
        self.both(
            lambda tables: [
                (chain.packets, chain.octets, [(each.label, each.packets, each.octets) for each in chain.entries])
                for chain in tables.chains.values()
            ]
        )


def happen(pair: Pair, random: Random) -> None:
    """A packet mostly, or a change."""
    chain = random.choice(CHAINS)
    match random.randrange(14):
        case 0:
            pair.change(chain, "append", a_rule(random))
        case 1:
            pair.change(chain, "insert", random.randint(1, 6), a_rule(random))
        case 2:
            pair.change(chain, "replace", random.randint(1, 6), a_rule(random))
        case 3 | 4:
            pair.change(chain, "delete_number", random.randint(1, 4))
        case 5:
            pair.change(chain, random.choice(("flush", "zero", "zero")))
        case _:
            pair.send(
                random.choice(CHAINS[:3]),
                a_packet(random),
                random.choice(INTERFACES),
                diverted=random.randrange(4) == 0,
                listening=random.choice((None, {1, 2}, ())),
            )


SEEDS = st.integers(0, 2**32)
"""A number stands for one rule, or one event: drawn singly, they would be too few to meet."""


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(["linux-2.2", "linux-2.2", "linux-2.0"]),
    st.lists(SEEDS, min_size=8, max_size=30),
    st.lists(SEEDS, min_size=15, max_size=40),
)
def test_tables_give_the_plain_answers(profile: str, rules: list[int], events: list[int]) -> None:
    pair = Pair(profile, Engine.FAST)
    for seed in rules:
        pair.change(CHAINS[seed % 5], "append", a_rule(Random(seed)))
    for seed in events:
        happen(pair, Random(seed))
    pair.check()
