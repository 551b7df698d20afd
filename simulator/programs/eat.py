"""The program that drops: what is not sent back is gone."""

from __future__ import annotations

from typing import Any

from simulator.programs.registry import Entry

__all__ = ["PROGRAM", "eat"]


def eat(divert: Any) -> None:
    """One packet, taken and forgotten. No sender hears of it: there is no ICMP message (bsd.md W-22)."""
    divert.recvfrom(65535)


PROGRAM = Entry(name="eat", summary="Take every packet and drop it.", make=lambda _, __: eat)
