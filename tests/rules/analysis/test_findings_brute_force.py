"""What lint claims of all packets is what is true of all packets: random rule lists over a tiny space, asked packet by
packet.

``DIVERTSIM_EXAMPLES=5000 pytest tests/rules/analysis`` looks at so many lists.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from random import Random
from typing import Any

from alike import Asked, bits, classes, lowest, others
from hypothesis import given, note, settings
from hypothesis import strategies as st

from rules import ipfw
from rules.analysis.findings import Finding, Kind, findings
from rules.analysis.ipfw import build
from rules.fields import Header

SOURCES = ["any", "10.0.0.0/30", "10.0.0.1", "10.0.0.2,192.0.2.9"]
DESTINATIONS = ["any", "10.0.0.0/31", "10.0.0.1"]
FROM_PORTS = ["", " 80", " not 80"]
TO_PORTS = [*FROM_PORTS, " 80-90"]
PROTOCOLS = ["ip", "tcp", "udp", "icmp"]
OPTIONS = ["", "", "", " in", " out", " frag", " not frag", " setup", " established", " icmptypes 8", " ipttl 3"]
OPTIONS += [" via em0", " recv em0", " xmit em0", " { frag or ipttl 3 }", " { in or src-ip 10.0.0.1 }", " diverted"]
ACTIONS = ["allow", "allow", "deny", "deny", "divert 5000", "divert 6000", "count", "skipto 400", "skipto 700"]
ACTIONS += ["tee 5000", "reject", "fwd 192.0.2.1", "reset", "call 900", "return"]

FLAGS = (2, 16, 6, 8, None)
"""Setup, established, both (SYN and RST), neither; and what UDP has."""

WITH_END = ("allow", "deny", "divert", "reject", "fwd", "reset")
REFUSED, ACCEPTED = ("deny", "reject", "reset"), ("allow", "fwd")


@dataclass(frozen=True)
class Rule:
    """A rule as it is drawn: its number, and the words that stand for one question each."""

    number: int
    action: str
    protocol: str
    source: str
    from_port: str
    destination: str
    to_port: str
    option: str

    @property
    def command(self) -> str:
        ends = f"from {self.source}{self.from_port} to {self.destination}{self.to_port}"
        return f"add {self.number} {self.action} {self.protocol} {ends}{self.option}"

    @property
    def counting(self) -> list[str]:
        """The command, before it one that counts where the rule itself does not: a return without a call, and a call
        too deep (bsd.md E-34)."""
        counts = self.action.startswith(("return", "call"))
        return [*([replace(self, action="count").command] if counts else []), self.command]

    @property
    def questions(self) -> Iterator[str]:
        """The bodies of rules that ask one thing each; who answers yes to all of them matches."""
        yield f"{self.protocol} from any to any"
        yield f"ip from {self.source} to {self.destination}"
        if self.from_port or self.to_port:
            yield f"{self.protocol} from any{self.from_port} to any{self.to_port}"
        if self.option:
            yield f"ip from any to any{self.option}"


@st.composite
def lists(draw: st.DrawFn) -> list[Rule]:
    """Lists with unique numbers."""
    found = []
    for number in range(1, draw(st.integers(1, 12)) + 1):
        protocol = draw(st.sampled_from(PROTOCOLS))
        has = protocol in ("tcp", "udp")
        ports = [draw(st.sampled_from(each)) if has else "" for each in (FROM_PORTS, TO_PORTS)]
        action, source, destination, option = (
            draw(st.sampled_from(each)) for each in (ACTIONS, SOURCES, DESTINATIONS, OPTIONS)
        )
        found.append(Rule(number * 100, action, protocol, source, ports[0], destination, ports[1], option))
    return found


def _packets() -> Iterator[Header]:
    """One of each kind that some question above tells apart; a later fragment behind its first fragments."""
    transports: list[dict[str, Any]] = [{"protocol": 47}]
    for source, destination, fragment, flags in product((80, 7), (80, 85, 7), (0, 0x2000), FLAGS):
        ports = {"source_port": source, "destination_port": destination, "fragment": fragment}
        transports.append({"protocol": 17 if flags is None else 6, "tcp_flags": flags, **ports})
    for kind, fragment in product((0, 8), (0, 0x2000)):
        transports.append({"protocol": 1, "icmp_type": kind, "icmp_code": 0, "fragment": fragment})
    transports += [{"protocol": protocol, "fragment": 5} for protocol in (6, 17, 1, 47)]
    names = ("em0", "em9", "em8")
    for source, destination, (came, leaves), ttl, transport in product(
        (0x0A000000, 0x0A000001, 0x0A000002, 0xC0000209, 0x01020304),
        (0x0A000000, 0x0A000001, 0x01020304),
        [*((name, None) for name in names[:2]), *product((None, *names), names)],
        (3, 4, 64),
        transports,
    ):
        for wrote in (None, "in" if leaves is None else "out"):
            yield Header(
                source=source,
                destination=destination,
                ttl=ttl,
                receive_interface=came,
                transmit_interface=leaves,
                reinjected=wrote,
                total_length=100,
                payload_length=80,
                **transport,
            )


def made(commands: list[str]) -> ipfw.RuleSet:
    rules = ipfw.RuleSet(profile="freebsd-10")
    for command in commands:
        rules.run(command)
    return rules


def _matching(body: str) -> Any:
    rules = made([f"add 1 allow {body}"])
    return lambda packet: 1 in rules.evaluate(packet).counted


SPACE = Asked(list(_packets()), _matching)
WRITTEN = sum(1 << index for index, packet in enumerate(SPACE.points) if packet.reinjected)


@dataclass(frozen=True)
class End:
    """What happens to a packet in one search."""

    outcomes: tuple[tuple[Any, ...], ...]
    """Each tee, then the end."""
    decided_by: int
    counted: frozenset[int]


def search(rules: ipfw.RuleSet, packet: Header, tag: int = 0) -> End:
    verdict = rules.evaluate(packet, tag)
    found, counted = [], set(verdict.counted)
    while verdict.resume is not None:
        found.append((verdict.action.value, verdict.port))
        verdict = rules.evaluate(packet, resume=verdict.resume)
        counted |= set(verdict.counted)
    end = (verdict.action.value, verdict.port, verdict.code, verdict.next_hop)
    assert verdict.rule is not None
    return End((*found, end), verdict.rule, frozenset(counted))


class BruteForce:
    """A list, and what becomes of every packet of the space."""

    def __init__(self, drawn: list[Rule]) -> None:
        self.drawn = {rule.number: rule for rule in drawn}
        self.rules = made([command for rule in drawn for command in rule.counting])
        self.matching = {rule.number: SPACE.all(rule.questions) for rule in drawn}
        self.asks_writer = any("diverted" in rule.option for rule in drawn)
        self.classes = classes(SPACE.everything, [*self.matching.values(), *([WRITTEN] if self.asks_writer else [])])
        self.first = self._searches(0, self.classes)
        """A class, and what becomes of it in a first pass."""
        self.passes = self._passes()
        """The tag with which a search begins, and one packet of each class that begins there."""

    def _searches(self, tag: int, groups: list[int]) -> list[tuple[int, End]]:
        return [(group, search(self.rules, SPACE.points[lowest(group)], tag)) for group in groups]

    def _passes(self) -> dict[int, list[tuple[int, End]]]:
        """All searches that there are: first passes, and those behind rules that gave the packet to a program, which
        may write anything."""
        written = [group for group in self.classes if group & WRITTEN or not self.asks_writer]
        found = {0: self.first}
        coming = [0]
        while coming:
            for _, end in found[coming.pop()]:
                for number in end.counted - found.keys():
                    if number in self.drawn and self.drawn[number].action.split()[0] in ("divert", "tee"):
                        found[number] = self._searches(number, written)
                        coming.append(number)
        return found

    def check_classes(self, random: Random) -> None:
        """What the classes are made from is what the rule set itself does."""
        for group, end in self.first:
            for index in others(group, random):
                assert search(self.rules, SPACE.points[index]) == end

    @property
    def never(self) -> set[int]:
        return {number for number, points in self.matching.items() if not points}

    @property
    def met(self) -> set[int]:
        return {number for ends in self.passes.values() for _, end in ends for number in end.counted}

    def redundant(self, number: int) -> bool:
        """Whether the same happens in every search if the rule is not there."""
        without = made([each for rule in self.drawn.values() if rule.number != number for each in rule.counting])
        return all(
            search(without, SPACE.points[lowest(group)], tag).outcomes == end.outcomes
            for tag, ends in self.passes.items()
            for group, end in ends
        )

    def arriving(self, number: int) -> int:
        """The packets that match a rule in their first pass."""
        return sum(group for group, end in self.first if number in end.counted)


def told(found: tuple[Finding, ...], kind: Kind) -> set[object]:
    return {finding.rule for finding in found if finding.kind is kind}


@settings(max_examples=int(os.environ.get("DIVERTSIM_EXAMPLES", "150")), deadline=None)
@given(lists(), st.randoms(use_true_random=False))
def test_what_is_claimed_of_all_packets_is_what_brute_force_finds(drawn: list[Rule], random: Random) -> None:
    note("\n".join(rule.command for rule in drawn))
    brute = BruteForce(drawn)
    brute.check_classes(random)
    result = findings(build(made([rule.command for rule in drawn])))
    assert result.undecided == ()
    assert told(result.found, Kind.NEVER_MATCHES) == brute.never
    shadowed = brute.drawn.keys() - brute.met - brute.never
    assert told(result.found, Kind.SHADOWED) == shadowed
    diverts = {number for number in shadowed if brute.drawn[number].action.startswith(("divert", "tee"))}
    assert told(result.found, Kind.UNREACHED_DIVERT) == diverts
    ends = {number for number in brute.met & brute.drawn.keys() if brute.drawn[number].action.startswith(WITH_END)}
    assert told(result.found, Kind.REDUNDANT) == {number for number in ends if brute.redundant(number)}


# Kinds that one packet shows


def _key(packet: Header, **changes: Any) -> tuple[Any, ...]:
    names = ("source", "destination", "protocol", "ttl", "fragment", "source_port", "destination_port", "tcp_flags")
    names += ("icmp_type", "receive_interface", "transmit_interface", "reinjected")
    return tuple(changes.get(name, getattr(packet, name)) for name in names)


_INDEX = {_key(packet): index for index, packet in enumerate(SPACE.points)}


BACK = [
    _INDEX[_key(packet, reinjected="in" if packet.transmit_interface is None else "out")] for packet in SPACE.points
]
"""For each packet the same as it comes back from a socket."""


def _outgoing(packet: Header) -> list[int]:
    """A packet that comes in, as it is forwarded by each other interface.  To these rules 63 and 2 are what 64 is."""
    if packet.transmit_interface is not None:
        return []
    ttl = 3 if packet.ttl == 4 else 64
    return [
        _INDEX[_key(packet, transmit_interface=leaves, reinjected=None, ttl=ttl)]
        for leaves in ("em0", "em9", "em8")
        if leaves != packet.receive_interface
    ]


OUTGOING = [_outgoing(packet) for packet in SPACE.points]
WHOLE = sum(1 << index for index, packet in enumerate(SPACE.points) if not packet.fragment)


def _first_fragments() -> dict[int, int]:
    """For each later fragment the first fragments that its datagram may have."""
    found: dict[int, int] = {}
    none = dict.fromkeys(("source_port", "destination_port", "tcp_flags", "icmp_type"), None)
    for index, packet in enumerate(SPACE.points):
        if packet.fragment == 0x2000:
            later = _INDEX[_key(packet, fragment=5, **none)]
            found[later] = found.get(later, 0) | 1 << index
    return found


FIRST_FRAGMENTS = _first_fragments()


class Lookup:
    """What becomes of single packets: of one of each class, with each tag, it is asked of the rule set itself."""

    def __init__(self, brute: BruteForce) -> None:
        self.brute = brute
        self.class_of = [0] * len(SPACE.points)
        for group in brute.classes:
            first = lowest(group)
            for index in bits(group):
                self.class_of[index] = first
        self._memory: dict[tuple[int, int], End] = {}

    def end(self, index: int, tag: int = 0) -> End:
        key = self.class_of[index], tag
        if key not in self._memory:
            self._memory[key] = search(self.brute.rules, SPACE.points[index], tag)
        return self._memory[key]

    def written_back(self, index: int, tag: int) -> list[End]:
        """What becomes of a packet that programs write back unchanged, until none gets it any more, or one again by the
        same rule."""
        index = BACK[index]
        ends, given = [self.end(index, tag)], {tag}
        while ends[-1].outcomes[-1][0] == "divert" and ends[-1].decided_by not in given:
            given.add(ends[-1].decided_by)
            ends.append(self.end(index, ends[-1].decided_by))
        return ends

    def arriving(self, number: int) -> Iterator[int]:
        """Whole datagrams that match a rule in their first pass; of those that are alike in all that follows, one."""
        seen = set()
        for index in bits(self.brute.arriving(number) & WHOLE):
            later = (BACK[index], *OUTGOING[index])
            alike = tuple(self.class_of[each] for each in (index, *later))
            if alike not in seen:
                seen.add(alike)
                yield index


def diverted_twice(brute: BruteForce, look: Lookup, number: int) -> bool:
    """Whether a whole datagram goes to the port of a divert rule twice, when programs write it back unchanged."""
    for index in look.arriving(number):
        first = look.end(index).outcomes[-1]
        ends = [end.outcomes[-1] for end in look.written_back(index, number)]
        if first in ends:
            return True
        if ends[-1][0] in ACCEPTED and any(look.end(out).outcomes[-1] == first for out in OUTGOING[index]):
            return True
    return False


def loops(look: Lookup, number: int, tag: int) -> bool:
    """Whether a whole datagram that a program writes back unchanged, with that tag, comes to a divert rule again."""
    return any(number in look.end(BACK[index], tag).counted for index in look.arriving(number))


def fragments(brute: BruteForce, look: Lookup, number: int) -> Kind | None:
    """What becomes of later fragments whose first fragment a rule with ports takes."""
    rule = brute.drawn[number]
    hands_over = rule.action.startswith(("divert", "tee"))
    if not (rule.from_port or rule.to_port) or not (hands_over or rule.action in REFUSED):
        return None
    arriving = brute.arriving(number)
    action, _, port = rule.action.partition(" ")
    for later, firsts in FIRST_FRAGMENTS.items():
        if firsts & arriving:
            outcomes = look.end(later).outcomes
            if hands_over and (action, int(port)) not in [each[:2] for each in outcomes]:
                return Kind.FRAGMENTS_LOST
            if not hands_over and outcomes[-1][0] in ACCEPTED:
                return Kind.FRAGMENTS_SLIP
    return None


@settings(max_examples=int(os.environ.get("DIVERTSIM_EXAMPLES", "150")), deadline=None)
@given(lists(), st.sampled_from([0, 100, 250, 600]))
def test_what_is_claimed_of_one_packet_is_true_of_one(drawn: list[Rule], tag: int) -> None:
    note("\n".join(rule.command for rule in drawn))
    brute = BruteForce(drawn)
    look = Lookup(brute)
    found = findings(build(made([rule.command for rule in drawn])), tag=tag).found
    diverts = [number for number, rule in brute.drawn.items() if rule.action.startswith("divert")]
    assert told(found, Kind.DIVERTED_TWICE) == {number for number in diverts if diverted_twice(brute, look, number)}
    looping = {number for number in diverts if number > tag and loops(look, number, tag)}
    assert told(found, Kind.DIVERT_LOOP) == looping
    for kind in (Kind.FRAGMENTS_LOST, Kind.FRAGMENTS_SLIP):
        assert told(found, kind) == {number for number in brute.drawn if fragments(brute, look, number) is kind}, kind
