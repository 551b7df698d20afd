"""What is wrong, or odd, with a rule set: each finding with its rules, its reason, and a packet that shows it.

What is claimed of all packets (never matches, shadowed, redundant) is claimed from walks that have looked at all; what
is claimed of one packet comes with that packet.  Where something other than header fields decides, nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from rules.analysis.program import Flow, Label, Node, Outcome, Program
from rules.analysis.space import Region, intersection, is_subset
from rules.analysis.walk import Arrival, TooManyPiecesError, Walker
from rules.analysis.witness import Witness, witness
from rules.fields import MORE_FRAGMENTS, OFFSET_MASK

__all__ = ["Finding", "Findings", "Kind", "findings", "outcome_words"]


class Kind(StrEnum):
    """Kinds of findings."""

    NEVER_MATCHES = "never-matches"
    SHADOWED = "shadowed"
    REDUNDANT = "redundant"
    UNREACHED_DIVERT = "unreached-divert"
    DIVERTED_TWICE = "diverted-twice"
    DIVERT_LOOP = "divert-loop"
    FRAGMENTS_LOST = "fragments-lost"
    FRAGMENTS_SLIP = "fragments-slip"
    MISSING_TARGET = "missing-target"
    UNREACHABLE_CHAIN = "unreachable-chain"
    LOOPING_CHAIN = "looping-chain"
    PROFILE_DEPENDENT = "profile-dependent"


@dataclass(frozen=True)
class Finding:
    """One finding."""

    kind: Kind
    rule: Label
    line: int | None
    by: tuple[Label, ...]
    """The rules that bring it about."""
    reason: str
    witness: Witness | None = None


@dataclass(frozen=True)
class Findings:
    """All findings of a rule set, and what could not be decided."""

    found: tuple[Finding, ...]
    undecided: tuple[tuple[Label, str], ...]
    """Rules about which nothing is claimed, with the reason."""


_REFUSED = frozenset({"deny", "unreach", "reset", "DENY", "REJECT"})
_ACCEPTED = frozenset({"allow", "fwd", "ACCEPT", "MASQ", "REDIRECT"})


def findings(program: Program, *, tag: int | None = None, reassembles: bool = True) -> Findings:
    """Everything about one program.

    ``tag``: divert programs write packets back with this tag instead of the one that they got; None: with that.
    ``reassembles``: fragments that match divert are collected (the BSDs), rather than diverted one by one.
    """
    return _Lint(program, tag, reassembles).run()


class _Lint:
    def __init__(self, program: Program, tag: int | None, reassembles: bool) -> None:
        self.program = program
        self.walker = Walker(program)
        self.tag = tag
        self.reassembles = reassembles
        self.found: list[Finding] = []
        self.undecided: list[tuple[Label, str]] = []

    def run(self) -> Findings:
        for number, node in enumerate(self.program.nodes):
            if node.is_policy or node.outcome == ("state",):
                continue
            self._missing(node)
            try:
                arrivals = self._reaching(number)
                if arrivals is not None:
                    self._reached(number, node, arrivals)
            except TooManyPiecesError as error:
                self.undecided.append((node.label, str(error)))
        return Findings(tuple(self.found), tuple(self.undecided))

    def _tell(
        self, kind: Kind, node: Node, reason: str, *, by: Iterable[int] = (), region: Region | None = None
    ) -> None:
        labels = tuple(dict.fromkeys(self.program.nodes[number].label for number in by))
        shown = None if region is None else witness(self.program.space, region)
        self.found.append(Finding(kind, node.label, node.line, labels, reason, shown))

    # Which packets come to a rule

    def _starts(self) -> Iterator[tuple[int, Region]]:
        """Where walks begin, each with the packets that begin there."""
        for start in sorted(set(self.program.starts.values())):
            hooks = {hook for hook, node in self.program.starts.items() if node == start}
            yield start, self.program.space.at(hooks)

    def _reaching(self, number: int) -> list[Arrival] | None:
        """Pieces that match a rule in its place, a few of them; None, and told, when there are none."""
        node = self.program.nodes[number]
        if not node.matches:
            self._tell(Kind.NEVER_MATCHES, node, "no packet answers yes to all of its questions")
            return None
        arrivals: list[Arrival] = []
        for start, region in self._starts():
            for match in node.matches:
                wanted = intersection(region, match)
                if wanted is not None:
                    arrivals += _few(self.walker.arrivals(wanted, start, until=number), 64)
        if arrivals:
            return arrivals
        self._shadowed(number, node)
        return None

    def _shadowed(self, number: int, node: Node) -> None:
        takers: dict[int, Outcome] = {}
        for start, region in self._starts():
            for match in node.matches:
                wanted = intersection(region, match)
                if wanted is None:
                    continue
                for arrival in self.walker.arrivals(wanted, start, without=number):
                    for taker in (*arrival.matched, arrival.node):
                        if self.program.nodes[taker].flow not in (Flow.NEXT,) and not self._is_behind(taker, number):
                            takers[taker] = self.program.nodes[taker].outcome
        by = self._alone(number, node) or sorted(taker for taker in takers if taker < number) or sorted(takers)
        others = {outcome for taker, outcome in takers.items() if taker in by} - {node.outcome}
        differs = f", which {self._do(others)} instead" if others and node.outcome else ""
        names = self._names(by)
        self._tell(Kind.SHADOWED, node, f"every packet that it could match is taken before by {names}{differs}", by=by)
        if node.outcome[:1] in (("divert",), ("tee",), ("DIVERT",)):
            self._tell(Kind.UNREACHED_DIVERT, node, f"no packet reaches it: {names} takes them all before", by=by)

    def _alone(self, number: int, node: Node) -> list[int]:
        """The first rule before that takes everything by itself, if there is one."""
        for before, other in enumerate(self.program.nodes[:number]):
            takes = other.certain and other.flow is Flow.ENDS and bool(other.matches)
            if takes and all(any(is_subset(match, wider) for wider in other.matches) for match in node.matches):
                return [before]
        return []

    def _is_behind(self, taker: int, number: int) -> bool:
        return taker > number

    def _names(self, numbers: Iterable[int]) -> str:
        labels = list(dict.fromkeys(str(self.program.nodes[number].label) for number in numbers))
        if len(labels) == 1:
            return f"rule {labels[0]}"
        return f"rules {', '.join(labels[:-1])} and {labels[-1]}" if labels else "the rules before"

    def _do(self, outcomes: Iterable[Outcome]) -> str:
        return " or ".join(sorted(outcome_words(outcome) for outcome in outcomes if outcome) or ["jump elsewhere"])

    # A rule that packets come to

    def _reached(self, number: int, node: Node, arrivals: list[Arrival]) -> None:
        self._redundant(number, node)
        if node.outcome[:1] in (("divert",), ("DIVERT",)) and node.flow is Flow.ENDS:
            self._diverted_twice(number, node, arrivals)
            self._loops(number, node, arrivals)
        if node.looks_into_transport:
            self._fragments(number, node, arrivals)

    def _missing(self, node: Node) -> None:
        if node.missing_target is not None:
            target = self.program.nodes[node.target] if node.target >= 0 else None
            goes = f": it goes on at rule {target.label}" if target is not None else ""
            self._tell(Kind.MISSING_TARGET, node, f"there is no rule {node.missing_target}{goes}")

    def _redundant(self, number: int, node: Node) -> None:
        """Without it, the same would happen to every packet that it matches."""
        if node.counts or not node.certain or node.flow is not Flow.ENDS:
            return
        takers: set[int] = set()
        for start, region in self._starts():
            for match in node.matches:
                wanted = intersection(region, match)
                if wanted is None:
                    continue
                for arrival in self.walker.arrivals(wanted, start, until=number):
                    for other in self.walker.arrivals(arrival.region, number, without=number):
                        if other.outcome != node.outcome or other.on_the_way:
                            return
                        takers.add(other.node)
        if takers:
            does = outcome_words(node.outcome)
            self._tell(
                Kind.REDUNDANT,
                node,
                f"without it {self._names(sorted(takers))} would {does} the same packets",
                by=sorted(takers),
            )

    def _behind(self, label: Label) -> int:
        """The node at which a packet goes on that comes back with a tag: the first with a greater number (X-1)."""
        nodes = self.program.nodes
        return next(
            (i for i, each in enumerate(nodes) if isinstance(each.label, int) and each.label > int(label)),
            len(nodes) - 1,
        )

    def _again(self, node: Node, arrival: Arrival, tag: int) -> Iterator[Arrival]:
        """What happens to packets in the rest of the pass, after a program has written them back."""
        start = self._behind(tag)
        return self.walker.arrivals(arrival.region, start)

    def _diverted_twice(self, number: int, node: Node, arrivals: list[Arrival]) -> None:
        if not isinstance(node.label, int):
            return
        for arrival in arrivals:
            for later in self._again(node, arrival, node.label):
                if later.outcome == node.outcome and later.node != number:
                    other = self.program.nodes[later.node].label
                    reason = f"what comes back from port {node.outcome[1]} is diverted there again, by rule {other}"
                    self._tell(Kind.DIVERTED_TWICE, node, reason, by=[later.node], region=later.region)
                    return
        self._both_passes(number, node, arrivals)

    def _both_passes(self, number: int, node: Node, arrivals: list[Arrival]) -> None:
        """A forwarded packet that is diverted to one port on its way in and on its way out (X-6)."""
        space = self.program.space
        at = space.index["place"]
        for arrival in arrivals:
            came = {atom.low.received_on for atom in space.values(arrival.region)["place"] if atom.low.hook == "in"}
            if not came:
                continue
            out = space.at({"out"}, came)[at]
            region = tuple(out if index == at else atoms for index, atoms in enumerate(arrival.region))
            for later in self.walker.arrivals(region, self.program.starts["out"]):
                if later.outcome == node.outcome:
                    other = self.program.nodes[later.node].label
                    by = "it" if later.node == number else f"rule {other}"
                    port = node.outcome[1]
                    reason = f"a forwarded packet goes to port {port} on its way in, and by {by} again on its way out"
                    self._tell(Kind.DIVERTED_TWICE, node, reason, by=[later.node], region=self._at_in(later, arrival))
                    return

    def _at_in(self, later: Arrival, arrival: Arrival) -> Region:
        """The packets of the second pass, as they were in the first."""
        at = self.program.space.index["place"]
        return tuple(
            arrival.region[index] if index == at else atoms & arrival.region[index] or arrival.region[index]
            for index, atoms in enumerate(later.region)
        )

    def _loops(self, number: int, node: Node, arrivals: list[Arrival]) -> None:
        """A program that writes with a tag of its own may get its packet back for ever (X-7)."""
        if self.tag is None or not isinstance(node.label, int) or self.tag >= node.label:
            return
        for arrival in arrivals:
            for later in self._again(node, arrival, self.tag):
                if later.node == number:
                    reason = f"a packet that is written back with tag {self.tag} comes to it again, for ever"
                    self._tell(Kind.DIVERT_LOOP, node, reason, by=[number], region=later.region)
                    return

    # Fragments

    def _fragments(self, number: int, node: Node, arrivals: list[Arrival]) -> None:
        action = node.outcome[:1]
        space = self.program.space
        fragment = space.index["fragment"]
        begins = space.dimensions[fragment].where(
            lambda value: bool(value & MORE_FRAGMENTS) and not value & OFFSET_MASK
        )
        later = space.dimensions[fragment].where(lambda value: value & OFFSET_MASK > 1)
        is_divert = action in (("divert",), ("DIVERT",))
        for arrival in arrivals:
            first = _with(arrival.region, fragment, begins)
            if first is None:
                continue
            for rest in self._later_fragments(arrival.region, fragment, later):
                outcome = rest.outcome
                if is_divert and self.reassembles and outcome != node.outcome:
                    taker = self.program.nodes[rest.node].label
                    reason = (
                        f"it looks into the transport header, which later fragments lack: rule {taker} has those "
                        f"({outcome_words(outcome)}), the first one waits for them, and the datagram is lost"
                    )
                    self._tell(Kind.FRAGMENTS_LOST, node, reason, by=[rest.node], region=first)
                    return
                if set(action) & _REFUSED and outcome[:1] and outcome[0] in _ACCEPTED:
                    reason = (
                        "it looks into the transport header, which later fragments lack: "
                        f"rule {self.program.nodes[rest.node].label} lets them through"
                    )
                    self._tell(Kind.FRAGMENTS_SLIP, node, reason, by=[rest.node], region=rest.region)
                    return

    def _later_fragments(self, region: Region, fragment: int, later: int) -> Iterator[Arrival]:
        """What becomes of the later fragments of the datagrams whose first fragments are in a region."""
        space = self.program.space
        transports = {"source_port", "destination_port", "tcp_flags", "icmp_type", "icmp_code", "tcp_sequence"}
        transports |= {"tcp_acknowledgment", "tcp_window", "tcp_options"}
        loose = [
            dimension.full if dimension.name in transports else atoms
            for dimension, atoms in zip(space.dimensions, region, strict=True)
        ]
        loose[fragment] = later
        for valid in space.valid():
            wanted = intersection(tuple(loose), valid)
            if wanted is None:
                continue
            for start, begins in self._starts():
                here = intersection(wanted, begins)
                if here is not None:
                    yield from self.walker.arrivals(here, start)


def _with(region: Region, index: int, atoms: int) -> Region | None:
    both = region[index] & atoms
    return (*region[:index], both, *region[index + 1 :]) if both else None


def _few(arrivals: Iterator[Arrival], most: int) -> list[Arrival]:
    found = []
    for arrival in arrivals:
        found.append(arrival)
        if len(found) == most:
            break
    return found


def outcome_words(outcome: Outcome) -> str:
    """An outcome for people: ``divert 8668``."""
    return " ".join(map(str, outcome)) or "goes on"
