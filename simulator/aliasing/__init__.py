"""Address translation as libalias(3) does it: octets in, octets out.

FreeBSD's in-kernel ``nat`` (:mod:`simulator.paths.bsd_nat`) and :mod:`simulator.programs.natd` both translate by it.
Time and chance are handed in; nothing here knows a router.
"""

from simulator.aliasing.engine import Aliasing, Outcome, Translated
from simulator.aliasing.links import Link, LinkTable, Timeouts

__all__ = ["Aliasing", "Link", "LinkTable", "Outcome", "Timeouts", "Translated"]
