"""What became of one datagram in one search of the rule list."""

from __future__ import annotations

from typing import NamedTuple

from rules.ipfw.rule import Action

__all__ = ["ENDS", "Resume", "Verdict"]

ENDS = (
    *(Action.ALLOW, Action.DENY, Action.DIVERT, Action.TEE, Action.NAT, Action.PIPE, Action.QUEUE, Action.FWD),
    *(Action.UNREACH, Action.RESET, Action.REASS, Action.DEFRAG),
)
"""The actions that end a search, or interrupt it."""


class Resume(NamedTuple):
    """Where and how a search goes on behind a rule that did not end it (X-10)."""

    number: int
    serial: int
    tos: int | None
    tags: frozenset[int] | None
    fib: int
    calls: tuple[int, ...]
    returns: int = 0
    """How often state has sent this datagram to its rule so far."""
    mark: int = 0
    held: bool = False
    """A pipe or queue had it meanwhile."""


class Verdict:
    """The end of a search.

    ``action``: one of :data:`ENDS`.
    ``rule``: number of the rule that decided; None for a transport header that is too short (F-13) or, where the system
    drops those, a re-entry tag beyond the list (X-3).
    ``port``: of ``divert`` and ``tee``.  ``number``: of the pipe, the queue, or the nat instance, 0 for ``global``.
    ``code``: of ``unreach``, ``reject`` being 1.  ``next_hop``: of ``fwd``, (address, port or 0).
    ``replies``: whether UNREACH and RESET really send something (E-30).
    ``counted``, ``counted_at``: numbers and positions in the whole list of the rules whose counters went up, in order.
    ``tags``, ``fib``: what the packet carries now.  ``tos``: its new type of service, None if it did not change.
    ``calls``: the stack of ``call``, which travels with the packet (E-34).
    ``log``: lines for the log (E-41).
    ``resume``: how to go on behind this rule, for TEE, NAT, PIPE, QUEUE, REASS and DEFRAG; None for a TEE whose
    original is accepted (T-2), and for a NAT, PIPE or QUEUE after which the packet is accepted (E-36).
    """

    __slots__ = (
        "action",
        "calls",
        "code",
        "counted",
        "counted_at",
        "fib",
        "log",
        "next_hop",
        "number",
        "port",
        "replies",
        "resume",
        "rule",
        "tags",
        "tos",
    )

    def __init__(
        self,
        action: Action,
        rule: int | None,
        *,
        port: int = 0,
        code: int = 0,
        number: int = 0,
        next_hop: tuple[int, int] | None = None,
        replies: bool = False,
        counted: tuple[int, ...] = (),
        counted_at: tuple[int, ...] = (),
        tags: frozenset[int] = frozenset(),
        tos: int | None = None,
        fib: int = 0,
        calls: tuple[int, ...] = (),
        log: tuple[str, ...] = (),
        resume: Resume | None = None,
    ) -> None:
        self.action = action
        self.rule = rule
        self.port = port
        self.code = code
        self.number = number
        self.next_hop = next_hop
        self.replies = replies
        self.counted = counted
        self.counted_at = counted_at
        self.tags = tags
        self.tos = tos
        self.fib = fib
        self.calls = calls
        self.log = log
        self.resume = resume

    def __repr__(self) -> str:
        return f"<Verdict {self.action.value} by rule {self.rule}, counted {self.counted}>"
