"""The kernels' paths as drawings: stages with their places, the ways between them, and which event stands where.

Each stage has two places, for wide and for narrow pages, in a grid of columns and rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from simulator.trace import Event, Kind

__all__ = ["BSD", "LINUX", "Diagram", "StageBox"]


@dataclass(frozen=True, slots=True)
class StageBox:
    """A stage of the path."""

    title: str
    note: str
    """What happens there, in a few words."""
    wide: tuple[float, float]
    """Column and row of its middle."""
    narrow: tuple[float, float]
    is_firewall: bool = False


@dataclass(frozen=True)
class Diagram:
    """A kernel's path."""

    name: str
    stages: Mapping[str, StageBox]
    ways: tuple[tuple[str, str], ...]
    """From stage to stage."""
    hooks: Mapping[str, str]
    """The stage of each chain or pass."""

    def stage_of(self, event: Event, before: str) -> str:
        """Where an event is drawn; ``before`` is where the packet stood."""
        if event.kind is Kind.FIREWALL:
            return self.hooks.get(event.hook or "", before)
        return _STAGES.get(event.kind, before)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "stages": {
                key: {
                    "title": stage.title,
                    "note": stage.note,
                    "wide": stage.wide,
                    "narrow": stage.narrow,
                    "firewall": stage.is_firewall,
                }
                for key, stage in self.stages.items()
            },
            "ways": [list(way) for way in self.ways],
        }


_STAGES: dict[Kind, str] = {
    Kind.RECEIVED: "wire-in",
    Kind.ORIGINATED: "host",
    Kind.GENERATED: "host",
    Kind.DELIVERED: "host",
    Kind.INJECTED: "program",
    Kind.DIVERTED: "program",
    Kind.COPIED: "program",
    Kind.ROUTED: "routing",
    Kind.HELD: "waiting",
    Kind.MERGED: "waiting",
    Kind.TRANSMITTED: "wire-out",
}
"""Where each kind of event stands; the others stay where the packet is."""


def _both_ways(program: str, hooks: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for hook in hooks:
        yield hook, program
        yield program, hook


LINUX = Diagram(
    name="Linux 2.2",
    stages={
        "wire-in": StageBox("wire", "arrives", (0, 1), (0, 0)),
        "input": StageBox("input chain", "all that arrives", (1.2, 1), (0, 1), True),
        "routing": StageBox("routing", "for this host?", (2.4, 1), (0, 2)),
        "forward": StageBox("forward chain", "TTL - 1 before", (3.6, 1), (0, 3), True),
        "output": StageBox("output chain", "all that leaves", (4.8, 1), (0, 4), True),
        "wire-out": StageBox("wire", "leaves", (6, 1), (0, 5)),
        "waiting": StageBox("reassembly", "fragments wait", (1.2, 0), (1, 1)),
        "host": StageBox("this host", "its own protocols", (2.4, 0), (1, 2)),
        "program": StageBox("program", "divert socket", (3.6, 2), (1, 3.5)),
    },
    ways=(
        ("wire-in", "input"),
        ("input", "routing"),
        ("routing", "host"),
        ("routing", "forward"),
        ("forward", "output"),
        ("host", "output"),
        ("output", "wire-out"),
        ("waiting", "host"),
        *_both_ways("program", ("input", "forward", "output")),
    ),
    hooks={"input": "input", "forward": "forward", "output": "output"},
)

BSD = Diagram(
    name="FreeBSD, DragonFly",
    stages={
        "wire-in": StageBox("wire", "arrives", (0, 1), (0, 0)),
        "in": StageBox("ipfw, in", "all that arrives", (1.2, 1), (0, 1), True),
        "forwarding": StageBox("for this host?", "else TTL - 1", (2.4, 1), (0, 2)),
        "routing": StageBox("routing", "next hop, interface", (3.6, 1), (0, 3)),
        "out": StageBox("ipfw, out", "all that leaves", (4.8, 1), (0, 4), True),
        "wire-out": StageBox("wire", "leaves", (6, 1), (0, 5)),
        "waiting": StageBox("waiting", "fragments, pipes", (1.2, 0), (1, 1)),
        "host": StageBox("this host", "its own protocols", (2.4, 0), (1, 2)),
        "program": StageBox("program", "divert socket", (3, 2), (1, 4)),
    },
    ways=(
        ("wire-in", "in"),
        ("in", "forwarding"),
        ("forwarding", "host"),
        ("forwarding", "routing"),
        ("host", "routing"),
        ("routing", "out"),
        ("out", "wire-out"),
        ("in", "waiting"),
        ("waiting", "host"),
        *_both_ways("program", ("in", "out")),
    ),
    hooks={"in": "in", "out": "out"},
)
