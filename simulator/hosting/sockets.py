"""What a script gets for `socket.socket`: the router's sockets where they are divert, raw, UDP or packet sockets.

The class is a subclass of the real one, so `isinstance` holds and a script may derive its own. Sockets of other kinds
(Unix, TCP) are this machine's.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable
from typing import Any

from simulator.hosting.driver import POLLING, Driver
from simulator.router import PF_DIVERT, Router

__all__ = ["HostedSocket", "socket_class"]

_DONTWAIT = int(socket.MSG_DONTWAIT)
_NETLINK_FIREWALL = 3
_READING = {"recv": 1, "recvfrom": 1, "recv_into": 2, "recvfrom_into": 2, "recvmsg": 2, "recvmsg_into": 2}
"""The methods that may wait, each with the position of its flags."""
_OTHERS = (
    *("accept", "bind", "close", "connect", "connect_ex", "detach", "dup", "fileno", "get_inheritable", "getpeername"),
    *("getsockname", "getsockopt", "listen", "makefile", "send", "sendall", "sendfile", "sendmsg", "sendto"),
    *(
        "set_inheritable",
        "setsockopt",
        "shutdown",
        "gettimeout",
        "settimeout",
        "getblocking",
        "setblocking",
        "__repr__",
    ),
)


class HostedSocket:
    """A socket of the router whose waiting is the driver's, in the router's time."""

    def __init__(self, driver: Driver, inner: Any) -> None:
        self._driver = driver
        self._inner = inner
        self._timeout: float | None = inner.gettimeout()
        inner.setblocking(False)

    def read(self, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """One of the reading methods, waiting as the socket's timeout says."""
        method = getattr(self._inner, name)
        position = _READING[name]
        flags = keywords.get("flags", arguments[position] if len(arguments) > position else 0)
        timeout = 0.0 if isinstance(flags, int) and flags & _DONTWAIT else self._timeout
        limit = timeout if timeout is not None else self._inner.receive_timeout or None
        while True:
            with self._driver, contextlib.suppress(BlockingIOError):
                return method(*arguments, **keywords)
            if not self._driver.wait(self._is_ready, POLLING if limit == 0 else limit):
                if limit == 0 or timeout is None:
                    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
                raise TimeoutError("timed out")

    def _is_ready(self) -> bool:
        return bool(self._inner.readable or self._inner.closed)

    def call(self, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Any other method."""
        with self._driver:
            return getattr(self._inner, name)(*arguments, **keywords)

    def gettimeout(self) -> float | None:
        return self._timeout

    def settimeout(self, seconds: float | None) -> None:
        self._inner.settimeout(seconds)
        self._timeout = self._inner.gettimeout()
        self._inner.setblocking(False)

    def getblocking(self) -> bool:
        return self._timeout != 0

    def setblocking(self, flag: bool) -> None:
        self._timeout = None if flag else 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _is_the_routers(family: int, kind: int, proto: int) -> bool:
    kind &= 0xFF  # SOCK_NONBLOCK and SOCK_CLOEXEC stand above it
    if family == socket.AF_INET:
        return kind in (socket.SOCK_RAW, socket.SOCK_DGRAM)
    if family == getattr(socket, "AF_NETLINK", None):
        return proto == _NETLINK_FIREWALL
    return family in (PF_DIVERT, getattr(socket, "AF_PACKET", None))


def socket_class(driver: Driver, router: Router, real: type[socket.socket]) -> type[socket.socket]:
    """The class to put in the place of `socket.socket`."""

    class Socket(real):  # type: ignore[misc, valid-type]
        __doc__ = real.__doc__
        _hosted: HostedSocket | None = None

        def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:
            numbers = (
                socket.AF_INET if family == -1 else family,
                socket.SOCK_STREAM if type == -1 else type,
                0 if proto == -1 else proto,
            )
            if fileno is not None or not _is_the_routers(*numbers):
                super().__init__(family, type, proto, fileno)
                return
            self._io_refs = 0
            self._closed = False
            with driver:
                self._hosted = HostedSocket(driver, router.socket(*numbers))

        family = property(lambda self: self._look("family", real))
        type = property(lambda self: self._look("type", real))
        proto = property(lambda self: self._look("proto", real))
        timeout = property(lambda self: self.gettimeout())

        def _look(self, name: str, above: Any) -> Any:
            return getattr(above, name).__get__(self) if self._hosted is None else getattr(self._hosted, name)

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

    for name in _READING:
        setattr(Socket, name, _reading(name, getattr(real, name)))
    for name in _OTHERS:
        setattr(Socket, name, _calling(name, getattr(real, name)))
    Socket.__name__ = Socket.__qualname__ = "socket"
    Socket.__module__ = "socket"
    return Socket


def _reading(name: str, above: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, *arguments: Any, **keywords: Any) -> Any:
        hosted = self._hosted
        return above(self, *arguments, **keywords) if hosted is None else hosted.read(name, arguments, keywords)

    method.__name__ = name
    return method


def _calling(name: str, above: Callable[..., Any]) -> Callable[..., Any]:
    own = name in vars(HostedSocket)

    def method(self: Any, *arguments: Any, **keywords: Any) -> Any:
        hosted = self._hosted
        if hosted is None:
            return above(self, *arguments, **keywords)
        if own:
            return getattr(hosted, name)(*arguments, **keywords)
        return hosted.call(name, arguments, keywords)

    method.__name__ = name
    return method
