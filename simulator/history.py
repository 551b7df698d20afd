"""What was done to a router to build it: interfaces, routes, commands.  Packets are the trace's business.

A router keeps this list from its birth, because a rule set is a matter of its past (what a command does depends on
those before it); :func:`simulator.scenario.record` writes a script from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from rules.errors import CommandError
from simulator.clock import Clock

__all__ = ["Act", "remembered"]


@dataclass(frozen=True, slots=True)
class Act:
    """A method of the router that was called."""

    time: float
    """Seconds of the router's clock."""
    method: str
    """Its name; ``Router`` for the beginning, ``up`` for an interface that goes up or down."""
    arguments: Mapping[str, Any]
    """By the names of its parameters."""
    failed: bool = False
    """Whether the command was refused."""


class Remembers(Protocol):
    """A node, as far as it matters here."""

    history: list[Act]
    clock: Clock


class OfANode(Protocol):
    """A part of a router."""

    @property
    def node(self) -> Remembers: ...


P = ParamSpec("P")
R = TypeVar("R")
Self = TypeVar("Self", bound=OfANode)


def remembered(method: Callable[Concatenate[Self, P], R]) -> Callable[Concatenate[Self, P], R]:
    """A method whose calls are kept in the node's history, except those that raise anything but a CommandError."""
    parameters = signature(method)

    @wraps(method)
    def kept(self: Self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        bound = dict(parameters.bind(self, *args, **kwargs).arguments)
        del bound["self"]
        # A list that the caller changes later is not what was said.
        given = {name: tuple(value) if isinstance(value, list) else value for name, value in bound.items()}

        def keep(*, failed: bool = False) -> None:
            self.node.history.append(Act(self.node.clock.now(), method.__name__, given, failed))

        try:
            result = method(self, *args, **kwargs)
        except CommandError:
            keep(failed=True)
            raise
        keep()
        return result

    return kept
