"""Rule sets of both dialects as one kind of program over regions, for everything that asks about all packets at once.

A program is a list of nodes.  Each has the regions that it matches and what then happens; a packet that no region holds
goes on to the next node.  Where a question cannot be decided from header fields (state, chance, routes, owners, ...),
the node says so: it *may* match what its regions hold, and need not; ``certain`` is false and ``reasons`` tell why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from rules.analysis.space import Place, Region, Space

__all__ = ["END_OF_CALLS", "Flow", "Label", "Node", "Outcome", "Program"]

Label = int | str
"""How people call a rule: its number (ipfw), ``chain:number`` or ``chain:policy`` (ipchains)."""

Outcome = tuple[object, ...]
"""What becomes of a packet: an action and its arguments, such as ``("divert", 8668)``; equal when the same happens."""

END_OF_CALLS = -1
"""Target of a return where there is nowhere to return to: the next node."""


class Flow(Enum):
    """How a packet goes on that a node matches."""

    ENDS = "ends"
    NEXT = "next"
    """With the next node, as after count and tee."""
    JUMPS = "jumps"
    """With the node ``target``."""
    CALLS = "calls"
    """With ``target``; a return comes back behind this node."""
    RETURNS = "returns"
    COLLECTS = "collects"
    """A whole datagram goes on with the next node; fragments end here, and come back as a whole one (reass)."""


@dataclass(frozen=True)
class Node:
    """One rule, or the end of a list."""

    label: Label
    words: str
    line: int | None
    """In the rule file, from 1."""
    matches: tuple[Region, ...]
    """Disjoint regions; what the rule matches, or may match."""
    flow: Flow
    outcome: Outcome = ()
    """What happens to a packet that ends here; for NEXT, a copy that leaves on the way (``tee``)."""
    target: int = END_OF_CALLS
    comes_back: int = END_OF_CALLS
    """CALLS: where a return goes on.  Else where packets go on that a divert socket wrote back, or that a pipe, nat or
    reassembly let go: with any header, for all that is known."""
    certain: bool = True
    """Whether everything in ``matches`` is sure to match."""
    reasons: tuple[str, ...] = ()
    """Why not."""
    counts: bool = False
    """It has an effect besides its outcome that somebody may want: it counts, logs, marks, copies."""
    missing_target: str | None = None
    """The target that it names and that is not there."""
    is_policy: bool = False
    """The end of a list, or a check before it, which nobody wrote."""
    loop_outcome: Outcome = ()
    """CALLS: what happens to a packet that is still on its way through the target already (Linux)."""
    forgets_origin: bool = False
    """NEXT: for the rest of the search the packet is one that no divert socket wrote (bsd.md X-9)."""
    asks_ports: bool = False
    """Some question is about ports."""


@dataclass(frozen=True)
class Program:
    """All nodes of a rule set, in one space."""

    space: Space
    nodes: tuple[Node, ...]
    starts: Mapping[str, int]
    """Where a packet begins, by its hook."""
    dialect: str
    places: tuple[Place, ...]
    checks: int = 0
    """So many nodes at the beginning are checks before any rule, of what comes back as well."""
    chains: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """User chains: their first node, and the one behind their last."""
