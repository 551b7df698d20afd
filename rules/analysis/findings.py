"""What is wrong, or odd, with a rule set: each finding with its rules, its reason, and a packet that shows it.

What is claimed of all packets (never matches, shadowed, redundant) is claimed from walks that have looked at all; what
is claimed of one packet comes with that packet.  Where something other than header fields decides, nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rules.analysis.branches import looping, unreachable
from rules.analysis.finding import Finding, Findings, Kind, outcome_words
from rules.analysis.fragments import fragments
from rules.analysis.program import Flow, Label, Node, Outcome, Program
from rules.analysis.rewritten import Collecting, Told, diverted_twice, loops
from rules.analysis.space import Region, intersection, is_subset
from rules.analysis.survey import Survey
from rules.analysis.walk import Arrival, TooManyPiecesError
from rules.analysis.witness import witness

__all__ = ["Finding", "Findings", "Kind", "findings", "outcome_words"]

_BOTH = frozenset({"in", "out"})


def findings(
    program: Program,
    *,
    tag: int | None = None,
    collecting: Collecting | None = None,
    chain_lines: dict[str, int] | None = None,
) -> Findings:
    """Everything about one program.

    ``tag``: divert programs write packets back with this tag instead of the one that they got; None: with that.
    ``collecting``: where fragments that match divert or tee are put together; by default as FreeBSD does (bsd.md F-3).
    ``chain_lines``: the lines that made the user chains.
    """
    return _Lint(program, tag, {"divert": _BOTH} if collecting is None else collecting, chain_lines or {}).run()


class _Lint:
    def __init__(self, program: Program, tag: int | None, collecting: Collecting, chain_lines: dict[str, int]) -> None:
        self.program = program
        self.survey = Survey(program)
        self.walker = self.survey.walker
        self.tag = tag
        self.collecting = collecting
        self.chain_lines = chain_lines
        self.found: list[Finding] = []
        self.undecided: list[tuple[Label, str]] = []
        self.lonely = set(unreachable(program))

    def run(self) -> Findings:
        self._chains()
        for number, node in enumerate(self.program.nodes):
            if node.is_policy or node.outcome == ("state",):
                continue
            if node.missing_target is not None:
                self._missing(node)
            try:
                self._rule(number, node)
            except TooManyPiecesError as error:
                self.undecided.append((node.label, str(error)))
        reasons = {node.label: ", ".join(dict.fromkeys(node.reasons)) for node in self.program.nodes if node.reasons}
        return Findings(tuple(self.found), tuple(self.undecided), tuple(reasons.items()))

    def _tell(
        self,
        kind: Kind,
        node: Node,
        reason: str,
        *,
        by: Iterable[int] = (),
        region: Region | None = None,
        meets: int | None = None,
    ) -> None:
        """``region``: packets that show it; ``meets``: the node that they match."""
        nodes = self.program.nodes
        labels = tuple(dict.fromkeys(nodes[number].label for number in by))
        shown = None if region is None else witness(self.program.space, region)
        met = None if meets is None else nodes[meets].label
        self.found.append(Finding(kind, node.label, node.line, labels, reason, shown, met))

    def _packets(self, region: Region, start: int) -> Region | None:
        """What of a region are packets, as far as these begin there in a first pass."""
        if start not in self.program.starts.values():
            return None
        return next(filter(None, (intersection(region, valid) for valid in self.program.space.valid())), None)

    def _rule(self, number: int, node: Node) -> None:
        if not node.matches:
            self._tell(Kind.NEVER_MATCHES, node, "no packet answers yes to all of its questions")
            return
        arrivals = self.survey.first_arrivals(number)
        if not arrivals and not self.survey.later_arrivals(number):
            self._shadowed(number, node)
            return
        self.survey.comes_back(node)
        self._redundant(number, node)
        told: list[Told] = []
        told += diverted_twice(self.survey, number, node, arrivals, self.collecting)
        told += loops(self.survey, number, node, arrivals, self.collecting, self.tag)
        told += fragments(self.survey, node, arrivals, self.collecting)
        for kind, reason, by, region in told:
            shown = witness(self.program.space, region)
            labels = tuple(dict.fromkeys(self.program.nodes[each].label for each in by))
            meets = labels[0] if kind is Kind.FRAGMENTS_SLIP else node.label
            self.found.append(Finding(kind, node.label, node.line, labels, reason, shown, meets))

    # What is never reached

    def _shadowed(self, number: int, node: Node) -> None:
        chain = self._chain(number)
        if chain in self.lonely:
            self._tell(Kind.SHADOWED, node, f"no packet comes to it: nothing jumps to chain {chain}")
            self._unreached(node, f"nothing jumps to chain {chain}", ())
            return
        takers: dict[int, Outcome] = {}
        shown: dict[int, Region] = {}
        for start, region in self.survey.starts_and_returns():
            for match in node.matches:
                wanted = intersection(region, match)
                if wanted is None:
                    continue
                for arrival in self.walker.arrivals(wanted, start, without=number):
                    for taker in (*arrival.matched, arrival.node):
                        if self.program.nodes[taker].flow is not Flow.NEXT and not self._is_behind(taker, number):
                            takers[taker] = self.program.nodes[taker].outcome
                            if arrival.certain and node.certain and taker not in shown:
                                packets = self._packets(arrival.region, start)
                                shown |= {} if packets is None else {taker: packets}
        rules = {taker for taker in takers if not self.program.nodes[taker].is_policy}
        by = self._alone(rules, node) or sorted(rules) or sorted(takers)
        others = {outcome for taker, outcome in takers.items() if taker in by} - {node.outcome}
        differs = f", with another action: {self._do(others)}" if others and node.outcome else ""
        names = self._names(by)
        reason = f"every packet that it could match is taken before by {names}{differs}"
        first = next((each for each in by if each in shown), None)
        region_of_first = None if first is None else shown[first]
        self._tell(Kind.SHADOWED, node, reason, by=by, region=region_of_first, meets=first)
        self._unreached(node, f"all are taken before by {names}", by, region_of_first, first)

    def _unreached(
        self, node: Node, why: str, by: Iterable[int], region: Region | None = None, meets: int | None = None
    ) -> None:
        if node.outcome[:1] in (("divert",), ("tee",), ("DIVERT",)):
            self._tell(Kind.UNREACHED_DIVERT, node, f"no packet reaches it: {why}", by=by, region=region, meets=meets)

    def _alone(self, takers: Iterable[int], node: Node) -> list[int]:
        """The first of the rules that take everything by which none passes, and that takes everything by itself."""
        for before in sorted(takers):
            other = self.program.nodes[before]
            takes = other.certain and other.flow is Flow.ENDS and before >= self.survey.last_return
            if takes and all(any(is_subset(match, wider) for wider in other.matches) for match in node.matches):
                return [before]
        return []

    def _chain(self, number: int) -> str | None:
        """The user chain of a node."""
        chains = self.program.chains.items()
        return next((name for name, (first, behind) in chains if first <= number < behind), None)

    def _is_behind(self, taker: int, number: int) -> bool:
        """Whether a node comes behind another, as far as their places say so."""
        return taker > number and self._chain(taker) == self._chain(number)

    def _names(self, numbers: Iterable[int]) -> str:
        labels = list(dict.fromkeys(str(self.program.nodes[number].label) for number in numbers))
        if len(labels) == 1:
            return f"rule {labels[0]}"
        return f"rules {', '.join(labels[:-1])} and {labels[-1]}" if labels else "the rules before"

    def _do(self, outcomes: Iterable[Outcome]) -> str:
        return " or ".join(sorted(outcome_words(outcome) for outcome in outcomes if outcome) or ["jump elsewhere"])

    # What is reached

    def _missing(self, node: Node) -> None:
        target = self.program.nodes[node.target] if node.target >= 0 else None
        goes = f": it goes on at rule {target.label}" if target is not None else ""
        self._tell(Kind.MISSING_TARGET, node, f"there is no rule {node.missing_target}{goes}")

    def _redundant(self, number: int, node: Node) -> None:
        """Without it, the same would happen to every packet that it matches."""
        if node.counts or not node.certain or node.flow is not Flow.ENDS:
            return
        takers: set[int] = set()
        shown: Region | None = None
        for start, region in self.survey.starts_and_returns():
            for match in node.matches:
                wanted = intersection(region, match)
                if wanted is None:
                    continue
                for arrival in self.walker.arrivals(wanted, start, until=number):
                    copies = _copies(arrival) if self.walker.goes_back else []
                    if shown is None and arrival.certain:
                        shown = self._packets(arrival.region, start)
                    for other in self._without(arrival, number, start):
                        if other.outcome != node.outcome or _copies(other) != copies:
                            return
                        takers.add(other.node)
        if takers:
            does = outcome_words(node.outcome)
            reason = f"without it {self._names(sorted(takers))} would {does} the same packets"
            meets = None if shown is None else number
            self._tell(Kind.REDUNDANT, node, reason, by=sorted(takers), region=shown, meets=meets)

    def _without(self, arrival: Arrival, number: int, start: int) -> Iterator[Arrival]:
        """What happens to packets that come to a rule, if it is not there."""
        if self.walker.goes_back:
            # Where a call comes back to is not known in the middle of the way.
            return self.walker.arrivals(arrival.region, start, without=number)
        return self.walker.arrivals(arrival.region, number, without=number, forgot=arrival.forgot)

    # User chains

    def _chains(self) -> None:
        for name in self.program.chains:
            if name in self.lonely:
                reason = "nothing jumps to it from input, forward or output"
                line = self.chain_lines.get(name)
                self.found.append(Finding(Kind.UNREACHABLE_CHAIN, name, line, (), reason))
        try:
            for label, number, region in looping(self.survey):
                node = self.program.nodes[number]
                chain = self._chain(node.target)
                reason = f"it jumps to chain {chain}, through which the packet is still on its way, and which drops it"
                shown = None if region is None else witness(self.program.space, region)
                self.found.append(Finding(Kind.LOOPING_CHAIN, label, node.line, (label,), reason, shown, label))
        except TooManyPiecesError as error:
            self.undecided.append(("chains", str(error)))


def _copies(arrival: Arrival) -> list[Outcome]:
    """What left on the way."""
    return [outcome for _, outcome in arrival.on_the_way]
