"""The smallest divert program: every packet goes on as if it had not been diverted."""

from __future__ import annotations

from typing import Any

from simulator.programs.registry import Entry, Surroundings
from simulator.programs.returning import send_back

__all__ = ["PROGRAM", "passthrough"]


def passthrough(divert: Any, around: Surroundings) -> None:
    """One packet, sent back with the very address that came with it.

    The address tells where the packet goes on: in the same direction, behind the rule that diverted it (bsd.md X-1).
    """
    octets, address = divert.recvfrom(65535)
    send_back(divert, octets, address, around.errors, "passthrough")


PROGRAM = Entry(
    name="passthrough",
    summary="Put every packet back unchanged.",
    make=lambda _, around: lambda divert: passthrough(divert, around),
)
