"""Searching by tables gives the plain engine's answers: verdicts, counters, log lines and state, in lists that change.

Values come from a small world in which everything asked for exists and has a neighbour that just misses it.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.classifier import Classifier
from rules.fields import ICMP, MORE_FRAGMENTS, TCP, UDP, Fields, Header
from rules.ipfw import Host, Owner, RuleSet, Verdict, engine, search
from rules.ipfw.switches import Dialect
from rules.roster import Engine

HOSTS = ("10.0.0.1", "10.0.0.2", "10.0.1.2", "10.1.0.2", "192.168.1.1", "8.8.8.8")
ADDRESSES = [int.from_bytes(bytes(map(int, host.split("."))), "big") for host in HOSTS]
PLACES = (
    *("any", "any", *HOSTS, "10.0.0.0/8", "10.0.0.0/24", "10.0.0.0/31", "0.0.0.0/1", "128.0.0.0/1"),
    *("10.0.0.2:255.0.0.255", "10.0.0.1,192.168.0.0/16", "10.0.0.0/24{1,5-9}", "me", "table(1)", "table(2)"),
    *("table(1,7)", "not 10.0.0.0/8", "not me", "not table(1)", "not 8.8.8.8", "{ 10.0.0.1 or 8.8.8.8 }"),
    *("{ not 10.0.0.1 or me }", "{ table(1) or 10.0.1.2 }", "not 10.0.0.2:255.0.0.255"),
)
PORTS = ("", "", "53", "1-1023", "53,80,1000-2000", "not 53", "1024-65535")
OPTIONS = (
    *("in", "out", "not in", "frag", "not frag", "via em0", "via em*", "not via em0", "recv em1", "xmit em0"),
    *("recv 10.0.0.1", "recv table(3)", "via table(3)", "{ recv em0 or xmit em1 }", "icmptypes 0,8,30"),
    *("not icmptypes 8", "ipttl 64", "ipttl 1-63", "iplen 60", "ipid 1-7", "tcpflags syn,!ack", "tcpflags !fin"),
    *("established", "setup", "tcpoptions mss", "not tcpoptions ts", "iptos lowdelay", "iptos !throughput"),
    *("ipprecedence 3", "dscp ef,cs1", "ipoptions rr", "ipoptions !ssrr", "diverted", "diverted-output"),
    *("not diverted-loopback", "tagged 5", "not tagged 5", "tagged tablearg", "fib 0", "fib 1", "uid 7"),
    *("not uid 7", "verrevpath", "antispoof", "versrcreach", "proto tcp", "src-ip 10.0.0.0/8", "dst-port 53"),
    *("not dst-ip 10.0.0.0/31", "{ src-ip 10.0.0.1 or dst-ip 10.0.0.1 }", "{ icmptypes 8 or proto udp }"),
    *("{ established or proto udp }", "{ tcpoptions mss or in }", "lookup dst-port 4", "lookup src-ip 2"),
    *("layer2", "not layer2", "// said", "ipversion 4", "ipversion 6", "tcpseq 1", "tcpwin 100", "tcpdatalen 1-30"),
    *("mark 5", "mark tablearg", "not mark 5", "tcpmss 1-1460", "defer-immediate-action"),
)
ACTIONS = (
    *("allow", "allow", "deny", "deny", "count", "count", "divert 8668", "tee 5000", "fwd 10.0.0.9,80"),
    *("unreach port", "reset", "reass", "skipto 300", "skipto 1", "skipto tablearg", "call 200", "return"),
    *("divert tablearg", "fwd tablearg", "setdscp ef", "setdscp ef", "setdscp tablearg", "setfib 1", "nat 1"),
    *("setmark 5", "setmark tablearg", "nat tablearg", "nat global", "pipe 1", "pipe tablearg", "queue 2"),
)
NUMBERS = (10, 100, 100, 150, 200, 200, 250, 300, 65000)
STATES = (
    *("keep-state", "keep-state", "limit src-addr 1", "limit dst-port 2", "keep-state :web", "limit src-addr 2 :w"),
    *("record-state", "set-limit src-addr 1"),
)
CHANGES = (
    *("delete 100", "delete 150", "delete 200", "delete 300", "set disable 5", "set enable 5", "set swap 0 5"),
    *("set move 5 to 0", "set move rule 100 to 5", "zero", "zero 100", "resetlog", "-f flush", "delete set 5"),
    *("table 1 add 10.0.0.0/24 7", "table 1 add 8.8.8.8 200", "table 1 delete 10.0.0.0/24", "table 1 flush"),
    *("table 2 add 10.0.0.0/8 300", "table 2 delete 10.0.0.0/8", "table 3 add em0 5", "table 3 delete em0"),
    *("disable firewall", "enable firewall", "nat 1 config ip 10.0.0.1", "disable one_pass", "enable one_pass"),
    *("pipe 1 config bw 1Mbit/s", "queue 2 config pipe 1", "pipe 1 delete", "nat 1 delete", "nat 7 config ip 10.0.0.1"),
)
TABLES = (
    *("table 1 create", "table 2 create", "table 3 create type iface", "table 4 create type number"),
    *("table 1 add 10.0.0.0/24 7", "table 2 add 10.0.0.0/8 300", "table 2 add 8.8.8.8 5", "table 3 add em0 5"),
)


class Pools:
    """What the rules of one list are made from: little of everything that there is, so that it meets more often."""

    def __init__(self, random: Random) -> None:
        self.actions = random.sample(ACTIONS, 5)
        self.places = ["any", *random.sample(PLACES, 5)]
        self.options = random.sample(OPTIONS, 6)
        self.states = random.sample(STATES, 2)


def addition(random: Random, pools: Pools) -> str:
    """``add``, with any action and a few questions."""
    one_in = lambda number: random.randrange(number) == 0  # noqa: E731
    words = f"add {random.choice(NUMBERS)} set {random.choice((0, 0, 0, 5))}" + " prob 0.5" * one_in(10)
    if one_in(8):
        return f"{words} check-state {random.choice(('', '', ':web', ':any'))}" + " log" * one_in(4)
    words += f" {random.choice(pools.actions)}" + " log logamount 3" * one_in(8)
    words += f" {random.choice(('tag 5', 'untag 5', 'tag tablearg'))}" * one_in(8)
    protocol = random.choice(("ip", "ip", "ip", "tcp", "udp", "icmp", "{ tcp or udp }", "not icmp"))
    has_ports = protocol in ("tcp", "udp", "{ tcp or udp }")
    for preposition in ("from", "to"):
        place = "any" if one_in(2) else random.choice(pools.places)
        port = random.choice(PORTS) if has_ports and one_in(2) else ""
        protocol += f" {preposition} {place} {port}"
    options = random.sample(pools.options, random.choice((0, 0, 1, 1, 2)))
    return " ".join([words, protocol, *options, *([random.choice(pools.states)] if one_in(4) else [])])


def packet(random: Random) -> Header:
    """One that has what some rules ask for."""
    pick = random.choice
    protocol = pick((TCP, TCP, UDP, UDP, ICMP, 47))
    offset = pick((0,) * 9 + (1, 8))
    has_ports = protocol in (TCP, UDP) and not offset
    ports = (52, 53, 80, 1023, 1024, 1500, 40000)
    is_tcp = protocol == TCP and not offset
    return Header(
        source=pick(ADDRESSES),
        destination=pick(ADDRESSES),
        protocol=protocol,
        total_length=60,
        payload_length=40,
        identification=pick((0, 7, 8)),
        ttl=pick((1, 63, 64)),
        tos=pick((0, 0, 0x10, 0x60, 0xB8, 0x08)),
        fragment=offset | pick((0, 0, 0, MORE_FRAGMENTS)),
        options=pick((b"", b"", b"\x07\x04\x04\0")),
        source_port=pick(ports) if has_ports else None,
        destination_port=pick(ports) if has_ports else None,
        icmp_type=pick((0, 3, 8, 30)) if protocol == ICMP and not offset else None,
        icmp_code=0 if protocol == ICMP and not offset else None,
        tcp_flags=pick((0x02, 0x12, 0x10, 0x11, 0x04, 0)) if is_tcp else None,
        tcp_sequence=1 if is_tcp else None,
        tcp_acknowledgment=1 if is_tcp else None,
        tcp_window=100 if is_tcp else None,
        tcp_options=pick((b"", b"\2\4\5\xb4", None)) if is_tcp else None,
        tcp_data_length=20 if is_tcp else None,
        receive_interface=pick(("em0", "em1", "lo0", None)),
        transmit_interface=pick((None, None, "em0", "em1")),
        tags=pick((frozenset(), frozenset(), frozenset({5}))),
        reinjected=pick((None, None, "in", "out")),
    )


class ChangingHost(Host):
    """A host whose first address changes, and whose users own what comes from the lower ports."""

    def renumber(self, address: int) -> None:
        self._addresses["em0"] = address
        self._local = frozenset(self._addresses.values())

    def owner(self, fields: Fields) -> Owner | None:
        return Owner(7, 7) if (fields.source_port or 0) < 1024 else None


class Pair:
    """Two rule sets to which the same happens, and that must not differ."""

    def __init__(self, profile: str | tuple[str, Dialect], other: Engine) -> None:
        self.now = 1000.0
        self.hosts: list[ChangingHost] = []
        self.plain, self.other = (self._made(profile, way) for way in (Engine.PLAIN, other))

    def _made(self, profile: str | tuple[str, Dialect], way: Engine) -> RuleSet:
        name, dialect = (profile, None) if isinstance(profile, str) else profile
        self.hosts.append(ChangingHost({"em0": "10.0.0.1/24", "em1": "192.168.1.1/24"}))
        now = lambda: self.now  # noqa: E731
        return RuleSet(name, self.hosts[-1], ipfw_dialect=dialect, now=now, fibs=4, engine=way)

    def both(self, ask: Callable[[RuleSet], Any]) -> Any:
        plain, other = ask(self.plain), ask(self.other)
        assert plain == other
        return plain

    def run(self, command: str) -> None:
        self.both(lambda rules: rules.execute(command))

    def send(self, fields: Header, start_after: int) -> None:
        """A datagram, again as often as its verdict says that it goes on, and back with its calls."""
        self.both(lambda rules: passes(rules, fields, start_after))

    def check(self) -> None:
        """Counters, times, log counts and states, as listings show them and as they are."""
        self.both(lambda rules: rules.execute(["-a", "-d", "-e", "-S", "-T", "list"]))
        self.both(
            lambda rules: [(entry.packets, entry.octets, entry.logged, entry.matched_at) for entry in rules.chain]
        )


def passes(rules: RuleSet, fields: Header, start_after: int) -> list[tuple[object, ...]]:
    verdicts = [rules.evaluate(fields, start_after)]
    for _ in range(4):
        if (resume := verdicts[-1].resume) is not None:
            verdicts.append(rules.evaluate(fields, resume=resume))
    verdicts.append(rules.evaluate(fields, calls=verdicts[0].calls))
    return [tuple(getattr(verdict, name) for name in Verdict.__slots__) for verdict in verdicts]


PROFILES = (("freebsd-4", "ipfw1"), ("freebsd-4", "ipfw2"), "freebsd-10", "freebsd-13", "freebsd-14", "dragonfly")
SEEDS = st.integers(0, 2**32)
"""A number stands for one rule, or one event: drawn singly, they would be too few to meet."""


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(PROFILES),
    st.sampled_from([Engine.FAST, Engine.FAST, Engine.FAST, Engine.AUTO]),
    SEEDS.map(Random).map(Pools),
    st.lists(SEEDS, min_size=6, max_size=14),
    st.lists(SEEDS, min_size=15, max_size=40),
)
def test_tables_give_the_plain_answers(
    profile: str | tuple[str, Dialect], other: Engine, pools: Pools, rules: list[int], events: list[int]
) -> None:
    pair = Pair(profile, other)
    # A list this short is not worth keeping tables for; here they are kept through every change.
    with patch.object(engine, "_MANY_CHANGES", 1), patch.object(search, "_MOST_STEPS", 60):
        for command in (*TABLES, *(addition(Random(seed), pools) for seed in rules)):
            pair.run(command)
        for seed in events:
            happen(pair, Random(seed), pools)
        pair.check()


def happen(pair: Pair, random: Random, pools: Pools) -> None:
    """A packet mostly, or a change, or time."""
    match random.randrange(12):
        case 0 | 1:
            pair.run(random.choice(CHANGES))
        case 2:
            pair.run(addition(random, pools))
        case 3:
            pair.now += random.choice((0.5, 3, 8, 30))
        case 4:
            address = random.choice(ADDRESSES)
            for host in pair.hosts:
                host.renumber(address)
        case 5:
            pair.send(packet(random), random.choice((99, 100, 200, 65535)))
        case _:
            pair.send(packet(random), 0)


ROW = {"source": ADDRESSES[0], "destination": ADDRESSES[1], "total_length": 60, "payload_length": 40}


def fast(*commands: str) -> RuleSet:
    rules = RuleSet("freebsd-10", engine="fast")
    for command in commands:
        rules.run(command)
    return rules


def test_a_datagram_that_a_rule_changed_is_looked_up_anew() -> None:
    rules = fast("add 100 setdscp ef ip from any to any", "add 200 allow ip from any to any dscp ef")
    assert rules.evaluate(Header(protocol=17, **ROW)).rule == 200


def test_a_value_left_in_the_register_counts_also_for_a_rule_added_later() -> None:
    """``tablearg`` is what the last table said that was asked, in whichever rule."""
    rules = fast(
        "table 1 add 10.0.0.0/24 300",
        *(f"add {number} count ip from any to 1.2.3.4" for number in range(1, 30)),
        *(
            "add 100 count ip from table(1) to 1.2.3.4",
            "add 250 deny ip from any to any",
            "add 300 allow ip from any to any",
        ),
    )
    assert rules.evaluate(Header(protocol=17, **ROW)).rule == 250
    tables = rules.engine.roster.tables
    rules.run("add 200 skipto tablearg ip from any to any")
    assert rules.evaluate(Header(protocol=17, **ROW)).rule == 300
    assert rules.engine.roster.tables is not tables


def test_options_that_are_cut_short_end_the_search_whatever_else_their_rule_asks() -> None:
    """F-13: what is asked first decides."""
    cut = Header(protocol=TCP, tcp_flags=2, tcp_options=None, source_port=1, destination_port=2, **ROW)
    assert fast("add 100 allow tcp from any to any tcpoptions mss dst-port 5").evaluate(cut).rule is None
    assert fast("add 100 allow tcp from any to any dst-port 5 tcpoptions mss").evaluate(cut).rule == 65535


def made_tables() -> tuple[list[int], Any]:
    """The sizes of tables as they are made, while the second is entered."""
    sizes: list[int] = []
    make = Classifier.__init__

    def counted(self: Classifier, rules: Any, size: int, reader: Any) -> None:
        sizes.append(size)
        make(self, rules, size, reader)

    return sizes, patch.object(Classifier, "__init__", counted)


def test_a_growing_list_makes_tables_seldom() -> None:
    """A rule and a packet in turn: as many tables as the list doubles a few times."""
    sizes, counting = made_tables()
    rules = RuleSet("freebsd-10")
    with counting:
        for number in range(1, 601):
            rules.run(f"add {number} count ip from 10.0.{number >> 8}.{number & 255} to any")
            rules.evaluate(Header(protocol=17, **ROW))
    assert 1 <= len(sizes) <= 8


def test_changes_of_a_long_list_make_no_tables() -> None:
    """Added, deleted, sets switched and moved: and the answers are those of a list made so from the start."""
    sizes, counting = made_tables()
    rules = fast(
        *(f"add {number} set {number % 3} deny ip from 10.0.0.{number % 200} to any" for number in range(1, 401))
    )
    header = Header(protocol=17, **ROW)
    with counting:
        assert rules.evaluate(header).rule == 1
        rules.run("delete 1")
        assert (rules.evaluate(header).rule, rules.evaluate(header).counted_at) == (201, (199,))
        rules.run("set disable 0")
        assert rules.evaluate(header).rule == 65535
        rules.run("set swap 0 1")
        rules.run("add 5 set 1 count udp from any to any")
        assert rules.evaluate(header).counted == (5, 201)
        assert rules.evaluate(header).counted_at == (4, 200)
    assert sizes == [401]
