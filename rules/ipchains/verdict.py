"""What the engine says about one packet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from rules.ipchains.rule import Action

__all__ = ["Copy", "Decision", "Verdict"]


class Decision(Enum):
    """What kind of thing decided."""

    RULE = "rule"
    POLICY = "policy"
    LOOP = "loop"
    """A rule jumped to a chain that is still on the way here (linux.md F4)."""
    CHECK = "check"
    """A look at the fragment before any rule (linux.md F27, F28; Z1)."""
    END = "end"
    """The end of a user chain that was asked for by name (linux.md C2)."""


class Copy(NamedTuple):
    """A copy that a ``-o`` rule asks to be sent to the netlink firewall device (linux.md N1).

    ``tos`` and ``mark`` are the packet's at that moment, ``size`` is how many of its octets are wanted at most; the
    header checksum in the copy is the one from before any change of the TOS.
    """

    tos: int
    mark: int
    interface: str
    size: int


@dataclass(slots=True)
class Verdict:
    """The engine's answer.  Not to be changed: the answers of untouched packets are shared."""

    action: Action
    decision: Decision
    rule: str
    """``forward:1``, ``input:policy``, ``loop@u0:2``, ``suspect-tcp-fragment``, ..."""
    matched: tuple[str, ...]
    """Every rule that matched, in order, as ``chain:number``."""
    tos: int
    mark: int
    changed: bool
    """Whether :attr:`tos` or :attr:`mark` differ from what the packet came with."""
    port: int | None = None
    """Where DIVERT or REDIRECT sends the packet."""
    log: tuple[str, ...] = ()
    """Kernel messages, one line each, without the priority."""
    copies: tuple[Copy, ...] = ()
