"""A program with everything that may come to its rules: first passes, and what comes back to go on behind a rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rules.analysis.program import END_OF_CALLS, Flow, Node, Program
from rules.analysis.space import Region, intersection
from rules.analysis.walk import Arrival, TooManyPiecesError, Walker

__all__ = ["Survey"]

_FEW = 64

_HANDING = (Flow.ENDS, Flow.NEXT, Flow.COLLECTS)
"""Flows of nodes that may hand packets to somebody who gives them back."""


class Survey:
    """Where packets begin: at the hooks' starts, and behind rules that hand them to a socket, a pipe or a queue.

    What comes back is known to be a packet, and no more: a program may have changed all of it.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.space = program.space
        self.walker = Walker(program)
        self._written = self._all(is_written=True)
        self._held = self._all(is_written=False)
        self._returns: dict[int, list[Region]] = {}
        if any(node.flow in (Flow.CALLS, Flow.RETURNS) for node in program.nodes):
            self._all_come_back()

    def _all_come_back(self) -> None:
        """Every node to which packets come lets them come back.

        Where calls lead backwards, what comes back behind a node may come to an earlier one, so this goes on until
        nothing is new.
        """
        waiting = [
            number
            for number, node in enumerate(self.program.nodes)
            if node.flow in _HANDING and node.comes_back != END_OF_CALLS
        ]
        while reached := [number for number in waiting if self._is_reached(number)]:
            for number in reached:
                self.comes_back(self.program.nodes[number])
                waiting.remove(number)

    def _is_reached(self, number: int) -> bool:
        """Whether packets come to a node; where that takes too long to say, they may."""
        try:
            return bool(self.first_arrivals(number) or self.later_arrivals(number))
        except TooManyPiecesError:
            return True

    def _all(self, *, is_written: bool) -> list[Region]:
        """Every packet that a divert socket may write; or that a pipe, nat or reassembly may let go, of which nobody
        knows any more whether a divert socket wrote it (bsd.md X-9)."""
        at = self.space.index.get("reinjected")
        if at is None:
            return self.space.valid()
        nobody = self.space.dimensions[at].holds(None)
        origin = self.space.everything[at] & ~nobody if is_written else nobody
        return [(*region[:at], origin, *region[at + 1 :]) for region in self.space.valid()]

    def comes_back(self, node: Node) -> None:
        """Packets come to this node: what it hands over may come back behind it."""
        if node.flow in _HANDING and node.comes_back != END_OF_CALLS:
            is_written = node.outcome[:1] in (("divert",), ("tee",))
            self._returns.setdefault(node.comes_back, self._written if is_written else self._held)

    def starts(self) -> Iterator[tuple[int, Region]]:
        """Where first passes begin, each with the packets that begin there."""
        for start in sorted(set(self.program.starts.values())):
            hooks = {hook for hook, node in self.program.starts.items() if node == start}
            yield start, self.space.at(hooks)

    def starts_and_returns(self) -> Iterator[tuple[int, Region]]:
        """Where searches begin, for whatever reason."""
        yield from self.starts()
        for start, regions in sorted(self._returns.items()):
            for region in regions:
                yield start, region

    @property
    def last_return(self) -> int:
        """The last node behind which packets come back; -1 for none."""
        return max(self._returns, default=-1)

    def first_arrivals(self, number: int) -> list[Arrival]:
        """Pieces that match a node in the first pass, a few of them."""
        return self._arrivals(number, self.starts())

    def later_arrivals(self, number: int) -> list[Arrival]:
        """Pieces that match it after they came back, a few of them."""
        returns = ((start, region) for start, regions in sorted(self._returns.items()) for region in regions)
        return self._arrivals(number, returns)

    def _arrivals(self, number: int, starts: Iterable[tuple[int, Region]]) -> list[Arrival]:
        arrivals: list[Arrival] = []
        for start, region in starts:
            for match in self.program.nodes[number].matches:
                wanted = intersection(region, match)
                if wanted is not None:
                    arrivals += few(self.walker.arrivals(wanted, start, until=number))
        return arrivals


def few(arrivals: Iterator[Arrival]) -> list[Arrival]:
    """The first ones."""
    found = []
    for arrival in arrivals:
        found.append(arrival)
        if len(found) == _FEW:
            break
    return found
