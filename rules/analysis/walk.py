"""Walking a program with whole regions of packets at once.

A walk starts with a region and follows it from node to node.  Where a node matches a part, that part and the rest go
different ways; each piece that arrives somewhere comes with the nodes that it met.  Pieces are disjoint, and together
they are the whole region, except where a node is not certain: there a piece goes both ways, marked as not certain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rules.analysis.program import END_OF_CALLS, Flow, Node, Outcome, Program
from rules.analysis.space import Region, difference, intersection
from rules.fields import MORE_FRAGMENTS, OFFSET_MASK

__all__ = ["MOST_STEPS", "Arrival", "TooManyPiecesError", "Walker"]

_CALL_DEPTH = 16
MOST_STEPS = 300_000
"""Nodes that one walk looks at; rule sets whose pieces are more than that are not decided."""

_FEW_ATOMS = 8
"""Of a region in one dimension: so few are looked up in the index one by one."""


class TooManyPiecesError(Exception):
    """A walk has no end in reasonable time; nothing is claimed from it."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A piece of the region, where it ends, or where it matches the node that was looked for."""

    region: Region
    node: int
    outcome: Outcome
    """Of the node."""
    on_the_way: tuple[tuple[int, Outcome], ...]
    """What happened before, node and outcome each: the copies of tee."""
    matched: tuple[int, ...]
    """The nodes that matched before."""
    certain: bool
    """Whether every packet of the piece is sure to come here."""
    forgot: bool = False
    """Whether rules no longer see that a divert socket wrote it."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece on its way, in front of a node."""

    region: Region
    node: int
    calls: tuple[int, ...] = ()
    on_the_way: tuple[tuple[int, Outcome], ...] = ()
    matched: tuple[int, ...] = ()
    certain: bool = True
    forgot: bool = False


class Walker:
    """Walks through one program.  An index finds the nodes that can match a region without asking each."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._index = _index(program)
        self._fragment = program.space.index["fragment"]
        whole = program.space.dimensions[self._fragment].where(lambda value: not value & (MORE_FRAGMENTS | OFFSET_MASK))
        self._whole = whole
        self._origin = program.space.index.get("reinjected")
        self._matches = {False: [node.matches for node in program.nodes]}
        if any(node.forgets_origin for node in program.nodes):
            self._matches[True] = [tuple(self._by_whom_ever(node)) for node in program.nodes]
        self._everyone = (1 << len(program.nodes)) - 1
        self.goes_back = any(
            node.flow in (Flow.CALLS, Flow.RETURNS) or (node.flow is Flow.JUMPS and node.target <= number)
            for number, node in enumerate(program.nodes)
        )

    def arrivals(
        self,
        region: Region,
        start: int,
        *,
        until: int | None = None,
        without: int | None = None,
        forgot: bool = False,
    ) -> Iterator[Arrival]:
        """Follow a region from a node to its ends; with ``until``, to where it matches that node, and nowhere else.

        ``without``: a node that is passed by as if it were not there.  Pieces come out one by one, so who needs one
        packet need not wait for all.  ``forgot``: see :attr:`Arrival.forgot`.

        :raises TooManyPiecesError: when there is no end to it.
        """
        pieces = [_Piece(region, start, forgot=forgot)]
        for _ in range(MOST_STEPS):
            if not pieces:
                return
            piece = pieces.pop()
            met = self._next(piece, without)
            if met is None or (until is not None and met[0] > until and not piece.calls and not self.goes_back):
                continue
            position, inside, outside = met
            pieces += [replace(piece, region=rest, node=position) for rest in outside]
            node = self.program.nodes[position]
            if not node.certain:
                # It may also fail to match, and go on behind.
                pieces.append(replace(piece, region=inside, node=position + 1, certain=False))
            inner = replace(piece, region=inside, node=position, certain=piece.certain and node.certain)
            loops = bool(node.loop_outcome) and self._is_inside(node.target, piece.calls)
            if loops and until is None:
                yield _arrival(inner, node.loop_outcome)
            elif loops and position != until:
                continue
            elif position == until or (until is None and node.flow is Flow.ENDS):
                yield _arrival(inner, node.outcome)
            elif node.flow is Flow.COLLECTS:
                for part, is_whole in self._whole_and_not(inside):
                    if is_whole:
                        pieces.append(_moved(replace(inner, region=part), node))
                    elif until is None:
                        yield _arrival(replace(inner, region=part), node.outcome)
            elif node.flow is not Flow.ENDS:
                pieces.append(_moved(inner, node))
        raise TooManyPiecesError(f"more than {MOST_STEPS:,} steps")

    def _whole_and_not(self, region: Region) -> Iterator[tuple[Region, bool]]:
        """The whole datagrams and the fragments of a region."""
        for part, is_whole in (
            (region[self._fragment] & self._whole, True),
            (region[self._fragment] & ~self._whole, False),
        ):
            if part:
                yield (*region[: self._fragment], part, *region[self._fragment + 1 :]), is_whole

    def _by_whom_ever(self, node: Node) -> Iterator[Region]:
        """What a node matches of packets of which it is forgotten that a divert socket wrote them."""
        at = self._origin
        if at is None:
            yield from node.matches
            return
        origin = self.program.space.dimensions[at]
        for region in node.matches:
            if region[at] & origin.holds(None):
                yield (*region[:at], origin.full, *region[at + 1 :])

    def _is_inside(self, target: int, calls: tuple[int, ...]) -> bool:
        """Whether a chain that is called is still on the way here."""
        return any(self.program.nodes[back - 1].target == target for back in calls)

    def _next(self, piece: _Piece, without: int | None) -> tuple[int, Region, list[Region]] | None:
        """The first node from the piece's on that matches some of it: which, what it takes, and what it leaves."""
        matches = self._matches[piece.forgot]
        candidates = self._candidates(piece) >> piece.node
        position = piece.node
        while candidates:
            step = (candidates & -candidates).bit_length() - 1
            candidates >>= step + 1
            position += step
            if position != without:
                for alternative in matches[position]:
                    inside = intersection(piece.region, alternative)
                    if inside is not None:
                        return position, inside, list(difference(piece.region, alternative))
            position += 1
        return None

    def _candidates(self, piece: _Piece) -> int:
        """The nodes that may match something of a piece, as bits."""
        found = self._everyone
        for position, (atoms, index) in enumerate(zip(piece.region, self._index, strict=True)):
            if index is None or (piece.forgot and position == self._origin) or atoms.bit_count() > _FEW_ATOMS:
                continue
            everywhere, by_atom = index
            here = everywhere
            while atoms:
                low = atoms & -atoms
                here |= by_atom.get(low.bit_length() - 1, 0)
                atoms ^= low
            found &= here
        return found


def _arrival(piece: _Piece, outcome: Outcome) -> Arrival:
    return Arrival(piece.region, piece.node, outcome, piece.on_the_way, piece.matched, piece.certain, piece.forgot)


def _moved(piece: _Piece, node: Node) -> _Piece:
    """A piece that matched a node which does not end it, where it goes on."""
    behind = piece.node + 1
    target, calls = behind, piece.calls
    if node.flow is Flow.JUMPS:
        target = node.target
    elif node.flow is Flow.CALLS and (len(calls) < _CALL_DEPTH or node.loop_outcome):
        target, calls = node.target, (*calls, node.comes_back)
    elif node.flow is Flow.RETURNS and calls:
        *rest, target = calls
        calls = tuple(rest)
    # To a whole datagram, reass does nothing.
    copies = node.outcome and node.flow is Flow.NEXT
    told = (*piece.on_the_way, (piece.node, node.outcome)) if copies else piece.on_the_way
    return replace(
        piece,
        node=behind if target == END_OF_CALLS else target,
        calls=calls,
        on_the_way=told,
        matched=(*piece.matched, piece.node),
        forgot=piece.forgot or node.forgets_origin,
    )


Index = tuple[int, dict[int, int]] | None
"""Of one dimension: the nodes that take (nearly) everything there, and for each atom the others that take it; None
where all do."""


def _index(program: Program) -> list[Index]:
    found: list[Index] = []
    for position, dimension in enumerate(program.space.dimensions):
        everywhere = 0
        by_atom: dict[int, int] = {}
        for number, node in enumerate(program.nodes):
            allowed = 0
            for region in node.matches:
                allowed |= region[position]
            if allowed == dimension.full or allowed.bit_count() > 64:
                everywhere |= 1 << number
                continue
            while allowed:
                low = allowed & -allowed
                atom = low.bit_length() - 1
                by_atom[atom] = by_atom.get(atom, 0) | 1 << number
                allowed ^= low
        found.append((everywhere, by_atom) if everywhere.bit_count() < len(program.nodes) else None)
    return found
