"""Lines: a sentence each, with its place and its time; and those that divide a script or bring another's lines in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lark import Token, v_args
from lark.tree import Meta

from simulator.scenario import model
from simulator.scenario.places import duration
from simulator.scenario.sentences.actions import Actions
from simulator.scenario.sentences.expectations import Expectations
from simulator.scenario.sentences.packets import Packets
from simulator.scenario.sentences.world import World

__all__ = ["Case", "Include", "Lines"]


@dataclass(frozen=True, slots=True)
class Case:
    """The lines from here on are a case."""

    name: str


@dataclass(frozen=True, slots=True)
class Include:
    """The lines of another script stand here."""

    path: str


@v_args(meta=True)
class Lines(World, Actions, Packets, Expectations):
    """All rules of the grammar: from what the parser found to the lines of a script."""

    def start(self, meta: Meta, children: list[Any]) -> list[model.Line]:
        return [
            child if isinstance(child, model.Line) else model.Line(child[0], None, child[1])
            for child in children
            if not isinstance(child, Token)
        ]

    def timed(self, meta: Meta, children: list[Any]) -> model.Line:
        place, statement = children[1]
        return model.Line(place, self._time(children[0]), statement)

    def when(self, meta: Meta, children: list[Token]) -> model.Line:
        return model.Line(self._place(children[0]), self._time(children[0]), None)

    def _time(self, token: Token) -> model.Time:
        seconds = duration(token[1:], self._place(token))
        return model.Time(seconds, relative=token[0] == "+")

    def include(self, meta: Meta, children: list[Token]) -> Any:
        return self._at(meta, Include(self._text(children[0])))

    def case(self, meta: Meta, children: list[Token]) -> Any:
        return self._at(meta, Case(self._text(children[0])))
