"""``ipfw pipe``, ``queue`` and ``sched``: what dummynet is told (ipfw(8), TRAFFIC SHAPER CONFIGURATION).

Here is the configuration alone, with the tool's commands and listings; what happens to datagrams is done by whoever
has datagrams, behind :class:`~rules.ipfw.pipes.values.Traffic`.
"""

from __future__ import annotations

from rules.ipfw.pipes.classic import ClassicPipes
from rules.ipfw.pipes.kinds import Kind, take_kind
from rules.ipfw.pipes.modern import ModernPipes
from rules.ipfw.switches import Switches

__all__ = ["ClassicPipes", "Kind", "ModernPipes", "make_pipes", "take_kind"]


def make_pipes(switches: Switches) -> ClassicPipes | ModernPipes:
    """The configuration of that system, empty."""
    return ModernPipes(switches) if switches.schedulers else ClassicPipes(switches)
