"""What is always true of a router, watched while anything is done to it.

Each packet has one beginning and one fate; the ledger's sums balance; counters of rules agree with the trace; a socket
gives packets in the order in which they were diverted to it; and what a program writes back as it read it is not
diverted where the kernel promises that it is not.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from simulator.ledger import Reason
from simulator.profiles import LinuxProfile
from simulator.router import Router
from simulator.sockets.address import Address
from simulator.sockets.base import QueueSocket
from simulator.sockets.divert import DivertSocket
from simulator.spoken import speak
from simulator.trace import Event, Kind

__all__ = ["BrokenInvariantError", "Invariants"]

_BEGINNINGS = frozenset({Kind.RECEIVED, Kind.ORIGINATED, Kind.INJECTED, Kind.GENERATED, Kind.COPIED})
_FATES = frozenset({Kind.TRANSMITTED, Kind.DELIVERED, Kind.DIVERTED, Kind.DROPPED, Kind.MERGED})

Counts = Counter[tuple[str, str]]
"""(rule as the trace says it, ``packets`` or ``octets``) -> how many."""


class BrokenInvariantError(AssertionError):
    """Something is wrong that raised nothing by itself."""


class Invariants:
    """Watches a router from now on, until ``close``; take it before any packet has passed."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._begun: Counter[int] = Counter()
        self._fates: Counter[int] = Counter()
        self._expected = self._counters()
        self._commands = 0
        self._diverted: dict[QueueSocket, deque[bytes]] = {}
        """What each socket may be given yet, in order; where several share a port, all of it to each."""
        self._writing: list[Any] = []
        """Addresses of writes that are not over."""
        self._back: dict[int, int] = {}
        """Packets written back as they were read -> the rule behind which they go on (BSD)."""
        self._is_linux = isinstance(router.profile, LinuxProfile)
        self._stack = ExitStack()
        self._stack.enter_context(router.trace(self._hear))
        self._stack.enter_context(router.overhear(self))

    def close(self) -> None:
        """Watch no longer."""
        self._stack.close()

    def check(self) -> None:
        """Between two steps.  :raises BrokenInvariantError: saying which, and with what."""
        ledger = self._router.ledger
        if not ledger.balanced:
            raise BrokenInvariantError(f"the ledger does not balance: {ledger}")
        self._check_counters()

    def check_end(self) -> None:
        """When nothing is held any more, as after hours without traffic: every packet has had one fate.

        :raises BrokenInvariantError: for a packet that has not, or is held all the same.
        """
        self.check()
        if held := self._router.ledger.held:
            raise BrokenInvariantError(f"{held} packets are still held")
        for number, times in self._begun.items():
            if times != 1 or self._fates[number] != 1:
                raise BrokenInvariantError(f"packet {number} began {times} times and ended {self._fates[number]} times")

    # What happens

    def _hear(self, event: Event) -> None:
        if len(self._router.history) != self._commands:
            self._begin_counting()
        # The copy that a program is shown (netlink) is no packet of its own, and has no number of its own.
        shown = event.kind is Kind.COPIED and event.packet in self._begun
        self._begun[event.packet] += event.kind in _BEGINNINGS and not shown
        # A link that refuses a packet does so after it was handed over: the second event corrects the first.
        self._fates[event.packet] += event.kind in _FATES and event.reason is not Reason.LINK_FAILED
        if event.kind is Kind.FIREWALL:
            self._passed(event)
        elif event.kind is Kind.INJECTED and self._writing and isinstance(self._writing[-1], Address):
            self._back[event.packet] = self._writing[-1].tag
        elif event.kind in (Kind.DIVERTED, Kind.COPIED) and event.port is not None:
            for sock in self._router.listening:
                if isinstance(sock, DivertSocket) and sock.port == event.port:
                    self._diverted.setdefault(sock, deque()).append(event.octets or b"")

    def _passed(self, event: Event) -> None:
        for rule in event.matched:
            self._expected[rule, "packets"] += 1
            self._expected[rule, "octets"] += int.from_bytes((event.octets or b"")[2:4], "big")  # what the header says
        behind = self._back.get(event.packet)
        if behind is None:
            return
        if self._is_linux:
            wrong = event.verdict == "DIVERT"  # linux.md T6: for the rest of its life
        else:
            # bsd.md X-1; the next pass begins with the first rule.
            del self._back[event.packet]
            wrong = bool(event.matched) and int(event.matched[0]) <= behind and not self._has_state(event.matched[0])
        if wrong:
            said = speak(event.octets or b"")
            raise BrokenInvariantError(f"what was written back is at rule {event.rule} again ({event.hook}): {said}")

    def _has_state(self, number: str) -> bool:
        """Whether state may lead to the rule from one behind it."""
        return any(rule.state is not None for rule in self._router.rules if str(rule.number) == number)

    # Order

    @contextmanager
    def writing(self, sock: QueueSocket, octets: bytes, address: Any) -> Iterator[None]:
        self._writing.append(address if isinstance(sock, DivertSocket) else None)
        try:
            yield
        finally:
            self._writing.pop()

    def has_read(self, sock: QueueSocket, octets: bytes, address: Any) -> None:
        if not isinstance(sock, DivertSocket):
            return
        waiting = self._diverted.get(sock, deque())
        while waiting:
            if waiting.popleft() == octets:  # those before it were for another socket of the port
                return
        raise BrokenInvariantError(f"{sock} gave a packet out of its turn, or twice: {speak(octets)}")

    # Counters

    def _counters(self) -> Counts:
        counts: Counts = Counter()
        for rule, packets, octets in _read_counters(self._router):
            counts[rule, "packets"] += packets
            counts[rule, "octets"] += octets
        return counts

    def _begin_counting(self) -> None:
        """A command may have changed the rules and their counters: from here on they are counted again."""
        self._commands = len(self._router.history)
        self._expected = self._counters()

    def _check_counters(self) -> None:
        if len(self._router.history) != self._commands:
            self._begin_counting()
            return
        counters = self._counters()
        for rule, what in counters.keys() | self._expected.keys():
            counted, seen = counters[rule, what], self._expected[rule, what]
            if counted != seen:
                raise BrokenInvariantError(f"rule {rule} has counted {counted} {what}, and the trace shows {seen}")


def _read_counters(router: Router) -> Iterator[tuple[str, int, int]]:
    """(rule as the trace says it, packets, octets)"""
    if isinstance(router.profile, LinuxProfile):
        for name, chain in router.tables.chains.items():
            for number, entry in enumerate(chain.entries, 1):
                yield f"{name}:{number}", entry.packets, entry.octets
        return
    for each in router.rules.counters:
        yield str(each.number), each.packets, each.octets
