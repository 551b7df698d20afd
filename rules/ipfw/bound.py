"""Questions that need more than the datagram, and what stands for a value that a table gives."""

from __future__ import annotations

from rules.fields import Fields
from rules.ipfw.surroundings import NOWHERE
from rules.ipfw.world import Test, World

__all__ = [
    "TABLEARG",
    "Bound",
]

TABLEARG = -1
"""Stands for ``tablearg``: the value of the table entry that matched."""


class Bound:
    """Base of the questions that need a world: asked alone, they answer in an empty one."""

    __slots__ = ()

    def bind(self, world: World) -> Test:
        raise NotImplementedError

    def test(self, fields: Fields) -> bool:
        return self.bind(World(NOWHERE, lambda: 0.0))(fields)
