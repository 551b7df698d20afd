"""divertsim: a router in one Python process, for learning, testing and replaying what divert sockets do.

>>> from simulator import Router
>>> router = Router("linux-2.2")
>>> eth0 = router.add_interface("eth0", "192.168.1.1/24")
>>> router.ipchains("-A forward -p icmp -j DIVERT 1234")
''
"""

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
