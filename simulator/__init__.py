"""divertsim: a router in one Python process, for learning, testing and replaying what divert sockets do.

>>> from simulator import Router
>>> router = Router("linux-2.2")
>>> eth0 = router.add_interface("eth0", "192.168.1.1/24")
>>> router.ipchains("-A forward -p icmp -j DIVERT 1234")
''
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rules.errors import CommandError
    from simulator.clock import SimulatedClock, WallClock
    from simulator.ledger import Ledger, Reason
    from simulator.profiles import PROFILES
    from simulator.router import IPPROTO_DIVERT, PF_DIVERT, Router
    from simulator.sockets.address import Address
    from simulator.sockets.options import SO_RERROR, SO_SETFIB

__all__ = [
    "IPPROTO_DIVERT",
    "PF_DIVERT",
    "PROFILES",
    "SO_RERROR",
    "SO_SETFIB",
    "Address",
    "CommandError",
    "Ledger",
    "Reason",
    "Router",
    "SimulatedClock",
    "WallClock",
]

# Whoever runs one program or one command does not wait for the rest: a name's module is imported when it is asked for.
_HOMES = {
    "IPPROTO_DIVERT": "simulator.router",
    "PF_DIVERT": "simulator.router",
    "PROFILES": "simulator.profiles",
    "SO_RERROR": "simulator.sockets.options",
    "SO_SETFIB": "simulator.sockets.options",
    "Address": "simulator.sockets.address",
    "CommandError": "rules.errors",
    "Ledger": "simulator.ledger",
    "Reason": "simulator.ledger",
    "Router": "simulator.router",
    "SimulatedClock": "simulator.clock",
    "WallClock": "simulator.clock",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
