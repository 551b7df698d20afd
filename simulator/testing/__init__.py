"""For tests of programs, rules and routers: comparisons that speak of fields instead of octets, a state machine around
a router, and properties in one line.

``RouterMachine`` and :mod:`simulator.testing.properties` need hypothesis (``pip install 'divertsim[strategies]'``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.testing.octets import assert_same, explain

if TYPE_CHECKING:
    from simulator.testing.machine import RouterMachine

__all__ = ["RouterMachine", "assert_same", "explain"]


def __getattr__(name: str) -> Any:
    if name != "RouterMachine":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from simulator.testing.machine import RouterMachine

    return RouterMachine
