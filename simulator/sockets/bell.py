"""A descriptor for select, poll, selectors and asyncio: readable from ``ring`` to ``silence``, always writable."""

from __future__ import annotations

import contextlib
import os
import socket

__all__ = ["Bell"]


class Bell:
    """Two ends of a socket pair: what is sent into the far one makes the near one readable."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._near.setblocking(False)
        self._far.setblocking(False)

    def fileno(self) -> int:
        return self._near.fileno()

    @property
    def inheritable(self) -> bool:
        return os.get_inheritable(self._near.fileno())

    @inheritable.setter
    def inheritable(self, flag: bool) -> None:
        os.set_inheritable(self._near.fileno(), flag)

    def ring(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is ringing loudly enough
            self._far.send(b"!")

    def silence(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._near.recv(1)

    def close(self) -> None:
        self._near.close()
        self._far.close()
