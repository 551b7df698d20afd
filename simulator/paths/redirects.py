"""How often Linux tells a sender of a better way (ip_rt_send_redirect of net/ipv4/route.c).

Each redirect about one source and destination doubles the wait for the next, from 20 ms on; after nine that did no
good it says nothing more until 20.48 seconds have passed without such a packet.
"""

from __future__ import annotations

from simulator.clock import Clock

__all__ = ["Redirects"]

_FIRST_WAIT = 0.02
_MOST = 9
_SILENCE = _FIRST_WAIT * 2 ** (_MOST + 1)
_REMEMBERED = 4096


class Redirects:
    """What was told to whom, and when."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: dict[tuple[int, int], tuple[int, float]] = {}

    def allows(self, source: int, destination: int) -> bool:
        """Whether a redirect may go out now; counted as sent if so."""
        now = self._clock.now()
        if len(self._told) >= _REMEMBERED:
            self._told.clear()
        key = (source, destination)
        number, last = self._told.get(key, (0, now - _SILENCE))
        if now - last > _SILENCE:
            number = 0
        if number >= _MOST:
            self._told[key] = (number, now)
            return False
        if number and now - last <= _FIRST_WAIT * 2**number:
            return False
        self._told[key] = (number + 1, now)
        return True
