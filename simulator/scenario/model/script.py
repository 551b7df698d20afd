"""A whole script: its lines, its cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from simulator.scenario.model.actions import Action
from simulator.scenario.model.expectations import Expectation
from simulator.scenario.model.packets import PacketDefinition
from simulator.scenario.model.place import Place, ScriptError
from simulator.scenario.model.world import Address, Allow, Interface, Link, On, Route, Router

__all__ = ["CaseBlock", "Line", "Script", "Statement", "Time"]

Statement: TypeAlias = (
    Router | On | Interface | Address | Route | Link | Allow | PacketDefinition | Action | Expectation
)


@dataclass(frozen=True, slots=True)
class Time:
    """When: ``@31`` (seconds of the script's clock) or ``+0.5`` (from now)."""

    seconds: float
    relative: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One statement in its place; a line with a time alone has no statement."""

    place: Place
    time: Time | None
    statement: Statement | None


@dataclass(frozen=True, slots=True)
class CaseBlock:
    """``case NAME`` and the lines up to the next one."""

    name: str
    place: Place
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """A whole script: what comes before the first case is done anew for each case."""

    file: str
    description: str
    """The first comment, without its marks."""
    setup: tuple[Line, ...]
    cases: tuple[CaseBlock, ...]
    announced: tuple[str, ...] = ()
    """``Fails: TEXT`` in the first comment: the script is to fail so, in this order, and in no other way."""
    unreadable: ScriptError | None = None
    """Why it is no script; only of a script that announces a failure, others are not read at all."""

    @property
    def blocks(self) -> tuple[CaseBlock, ...]:
        """The cases; a script without any is one case without a name."""
        return self.cases or (CaseBlock("", Place(self.file, 1, 1), ()),)
