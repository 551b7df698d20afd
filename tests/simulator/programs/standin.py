"""A socket with exactly what a divert socket of CPython on FreeBSD has: the methods of `socket.socket`, real types,
a plain pair as the address."""

from __future__ import annotations

import errno
import os
from collections import deque
from typing import Any

__all__ = ["StandIn", "played"]

INCOMING = ("192.168.1.1", 100)


class StandIn:
    """A divert socket whose datagrams are given; it keeps what is sent, and fails as told."""

    __slots__ = ("_fails", "_incoming", "sent")

    def __init__(self, *datagrams: tuple[bytes, tuple[str, int]], fails: int = 0) -> None:
        self._incoming = deque(datagrams)
        self._fails = fails
        self.sent: list[tuple[bytes, tuple[str, int]]] = []

    def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, tuple[str, int]]:
        if not self._incoming:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        octets, address = self._incoming.popleft()
        return octets[:bufsize], address

    def recvfrom_into(self, buffer: bytearray, nbytes: int = 0, flags: int = 0) -> tuple[int, tuple[str, int]]:
        octets, address = self.recvfrom(nbytes or len(buffer))
        memoryview(buffer)[: len(octets)] = octets
        return len(octets), address

    def sendto(self, data: bytes, address: tuple[str, int], /) -> int:
        # As in C: the octets of a buffer, and an address of exactly two parts.
        assert type(data) in (bytes, bytearray, memoryview)
        assert isinstance(address, tuple)
        assert len(address) == 2
        if self._fails:
            raise OSError(self._fails, os.strerror(self._fails))
        self.sent.append((bytes(data), address))
        return len(data)


def played(program: Any, *datagrams: bytes, address: tuple[str, int] = INCOMING, fails: int = 0) -> list[bytes]:
    """What the program sends back for these datagrams, each with the address that came with it."""
    divert = StandIn(*((octets, address) for octets in datagrams), fails=fails)
    for _ in datagrams:
        program(divert)
    assert all(sent is address for _, sent in divert.sent)
    return [octets for octets, _ in divert.sent]
