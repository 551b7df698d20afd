"""dummynet: what ``pipe`` and ``queue`` rules do with time.

Nothing here knows of routers: packets are :class:`~simulator.dummynet.held.Held` things with a length, time is counted
in ticks of a clock that is handed in, and random numbers are, too.  ``modern`` is dummynet since FreeBSD 8, ``classic``
that of FreeBSD 4 and DragonFly; the schedulers of the former have a file each.
"""

from __future__ import annotations

from collections.abc import Callable

from rules.ipfw.pipes import ClassicPipes, ModernPipes
from simulator.dummynet.classic import ClassicDummynet
from simulator.dummynet.held import Outlet
from simulator.dummynet.modern import ModernDummynet
from simulator.dummynet.ticks import Ticks

__all__ = ["make_dummynet"]


def make_dummynet(
    pipes: ClassicPipes | ModernPipes,
    ticks: Ticks,
    chance: Callable[[], float],
    outlet: Outlet,
    *,
    io_fast: bool = False,
    expire: bool = True,
) -> ClassicDummynet | ModernDummynet:
    """The traffic of that configuration; it is told of changes from now on."""
    traffic: ClassicDummynet | ModernDummynet
    if isinstance(pipes, ModernPipes):
        traffic = ModernDummynet(pipes, ticks, chance, outlet, io_fast=io_fast, expire=expire)
    else:
        traffic = ClassicDummynet(pipes, ticks, chance, outlet, expire=expire)
    pipes.traffic = traffic
    return traffic
