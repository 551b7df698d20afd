"""What a script gets for `select`, `poll`, `epoll`, `time` and standard input: all wait in the router's time."""

from __future__ import annotations

import io
import os
import select
import time
from collections.abc import Callable
from typing import Any

from simulator.hosting.driver import POLLING, Driver

__all__ = ["DrivenInput", "Waiting"]

_real_select = select.select
_real_poll = getattr(select, "poll", None)
_real_epoll = getattr(select, "epoll", None)


class Waiting:
    """The functions and classes, for one driver."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._began = time.time() - driver.clock.now()

    def select(self, rlist: Any, wlist: Any, xlist: Any, timeout: float | None = None) -> Any:
        """As `select.select`."""
        rlist, wlist, xlist = list(rlist), list(wlist), list(xlist)

        def ready() -> Any:
            found = _real_select(rlist, wlist, xlist, 0)
            return found if any(found) else None

        return self._wait(ready, timeout) or ([], [], [])

    def _wait(self, ready: Callable[[], Any], timeout: float | None) -> Any:
        if timeout is not None and timeout < 0:
            raise ValueError("timeout must be non-negative")
        return self._driver.wait(ready, POLLING if timeout == 0 else timeout)

    def poll(self) -> Any:
        """As `select.poll`."""
        assert _real_poll is not None
        return _Poll(self, _real_poll(), lambda found, _: found.poll(0), 1000)

    def epoll(self, sizehint: int = -1, flags: int = 0) -> Any:
        """As `select.epoll`."""
        assert _real_epoll is not None
        return _Poll(self, _real_epoll(sizehint, flags), lambda found, most: found.poll(0, *most), 1)

    def until(self, ready: Callable[[], Any], timeout: float | None) -> Any:
        """Like `select`, with a condition of any kind; a negative timeout is none."""
        return self._wait(ready, None if timeout is not None and timeout < 0 else timeout)

    def sleep(self, seconds: float) -> None:
        """As `time.sleep`."""
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        self._driver.wait(lambda: None, seconds)

    def pause(self) -> None:
        """As `signal.pause`."""
        self._driver.wait(lambda: None)

    def time(self) -> float:
        """As `time.time`: when the script began, and the router's time since."""
        return self._began + self._driver.clock.now()

    def monotonic(self) -> float:
        """As `time.monotonic`."""
        return self._driver.clock.now()


class _Poll:
    """`poll` or `epoll` around the real one; everything but waiting is the real one's."""

    def __init__(self, waiting: Waiting, real: Any, look: Callable[[Any, tuple[int, ...]], Any], unit: int) -> None:
        self._waiting = waiting
        self._real = real
        self._look = look
        self._unit = unit
        """Timeouts count so many to a second."""

    def poll(self, timeout: float | None = None, *most: int) -> Any:
        seconds = None if timeout is None else timeout / self._unit
        return self._waiting.until(lambda: self._look(self._real, most), seconds) or []

    def __enter__(self) -> _Poll:
        return self

    def __exit__(self, *_: object) -> None:
        self._real.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class DrivenInput(io.RawIOBase):
    """Standard input whose octets come from the description; reading it waits in the router's time."""

    def __init__(self, driver: Driver, descriptor: int) -> None:
        self._driver = driver
        self._descriptor = descriptor

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def readinto(self, buffer: Any) -> int:
        self._driver.wait(lambda: any(_real_select([self._descriptor], [], [], 0)))
        octets = os.read(self._descriptor, len(buffer))
        buffer[: len(octets)] = octets
        return len(octets)
