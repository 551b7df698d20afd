"""Questions that need more than the datagram, and what stands for a value that a table gives."""

from __future__ import annotations

from abc import ABC, abstractmethod

from rules.fields import Fields
from rules.ipfw.surroundings import NOWHERE
from rules.ipfw.world import Test, World

__all__ = [
    "TABLEARG",
    "Bound",
]

TABLEARG = -1
"""Stands for ``tablearg``: the value of the table entry that matched."""


class Bound(ABC):
    """Base of the questions that need a world: asked alone, they answer in an empty one."""

    __slots__ = ()

    @abstractmethod
    def bind(self, world: World) -> Test:
        """The question made ready for a world."""

    def test(self, fields: Fields) -> bool:
        return self.bind(World(NOWHERE, lambda: 0.0))(fields)
