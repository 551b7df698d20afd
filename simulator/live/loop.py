"""The live loop: one thread that feeds a router from its TUN devices, lets divert programs run, and fires timers.

    loop = LiveLoop(router)
    loop.serve(eth0)                      # an interface whose link is a TunLink
    loop.attach(divert_socket, program)   # program(divert_socket) handles one datagram a call
    loop.run(until=lambda: job.done, seconds=10)

Fair: each round takes at most `BATCH` datagrams from each link that has some, so a flood on one side delays the other
by no more than one batch. A program runs as soon as its socket has something, before the next datagram is read, so no
queue fills up that a prompt program would have emptied.
"""

from __future__ import annotations

import errno
import select
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from simulator.interfaces import Interface
from simulator.links.tun import TunLink

__all__ = ["BATCH", "LiveLoop", "Program", "Served", "Waitable"]

BATCH = 64
"""Datagrams taken from one link before the next has its turn; also calls of one program in a row."""

_REMEMBERED = 100
"""Failures of programs that are kept, the newest."""

_GONE = frozenset({errno.EBADFD, errno.EIO, errno.EBADF})
"""The device was deleted (EIO in older kernels), or the link closed. Any other errno may pass."""

Program = Callable[[Any], object]
"""Takes one datagram from a non-blocking divert socket, and may send it back."""


class Served(Protocol):
    """What the loop needs of a router."""

    @property
    def clock(self) -> Any: ...

    @property
    def delivered(self) -> Any: ...


class Waitable(Protocol):
    """Something to wait for besides the links: a host, a pipe."""

    def fileno(self) -> int: ...


class LiveLoop:
    """Drives one router in real time. The router's clock must be a `simulator.clock.WallClock`."""

    def __init__(self, router: Served) -> None:
        self.router = router
        self.lost: list[Interface] = []
        """Interfaces whose device was deleted, or link closed, while served; nothing more comes from them."""
        self.failures: deque[tuple[Any, OSError]] = deque(maxlen=_REMEMBERED)
        """The divert socket, and what its program raised: the last of them."""
        self._poll = select.poll()
        self._ready: dict[int, Callable[[], object]] = {}
        self._programs: list[tuple[Any, Program]] = []

    def serve(self, interface: Interface) -> None:
        """Read the interface's link, a TunLink, from now on."""
        link = interface.link
        if not isinstance(link, TunLink):
            raise TypeError(f"{interface.name} has no TUN device behind it but {link!r}")
        descriptor = link.fileno()
        self._watch(descriptor, lambda: self._drain(descriptor, link, interface))

    def watch(self, waitable: Waitable, action: Callable[[], object]) -> None:
        """Call `action()` whenever there is something to read there."""
        self._watch(waitable.fileno(), action)

    def _watch(self, descriptor: int, action: Callable[[], object]) -> None:
        self._ready[descriptor] = action
        self._poll.register(descriptor, select.POLLIN)

    def attach(self, divert: Any, program: Program) -> None:
        """Have `program(divert)` called whenever the divert socket has a datagram; the socket becomes non-blocking.

        An OSError of the program does not end the loop, for a send may fail in passing (ENOBUFS while the far end's
        interface is down): it goes to `failures`, and the program is called again for the next datagram.
        BlockingIOError is no failure. Other exceptions end `run`.
        """
        divert.setblocking(False)
        self._programs.append((divert, program))

    def detach(self, divert: Any) -> None:
        """Stop it; datagrams then stay in the socket."""
        self._programs = [pair for pair in self._programs if pair[0] is not divert]

    def run(self, until: Callable[[], bool], seconds: float) -> bool:
        """Serve until the condition holds, which is asked after every round; False when `seconds` were over before."""
        end = time.monotonic() + seconds
        while not until():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self.run_once(left)
        return True

    def run_once(self, seconds: float) -> None:
        """One round: wait at most `seconds` for something to do, and do it."""
        clock = self.router.clock
        deadline = clock.next_deadline()
        if deadline is not None and deadline < seconds:
            seconds = deadline
        # poll(2) counts milliseconds: rounded up, or the last one before a timer would be spent spinning.
        for descriptor, _ in self._poll.poll(int(seconds * 1000) + 1):
            self._ready[descriptor]()
        if deadline is not None:
            clock.run_due()
        if self._programs:
            self._run_programs()  # what timers released
        self.router.delivered.clear()

    def _drain(self, descriptor: int, link: TunLink, interface: Interface) -> None:
        """One link's turn."""
        take, hand_in, programs = link.receive, interface.receive, self._programs
        for _ in range(BATCH):
            try:
                octets = take()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _GONE:
                    self._poll.unregister(descriptor)
                    del self._ready[descriptor]
                    self.lost.append(interface)
                return
            hand_in(octets)
            if programs:
                self._run_programs()

    def _run_programs(self) -> None:
        for divert, program in self._programs:
            if divert.readable:
                for _ in range(BATCH):
                    try:
                        program(divert)
                    except BlockingIOError:
                        break
                    except OSError as error:
                        self.failures.append((divert, error))
                    if not divert.readable:
                        break
