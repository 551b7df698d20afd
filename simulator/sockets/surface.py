"""What else Python's own sockets have: timeouts, the calls for connections, and what is refused without a kernel.

The names and the errors are CPython's; ``docs/sockets.md`` lists every attribute.
"""

from __future__ import annotations

import errno
import socket
from math import isnan
from operator import index
from typing import Any, NoReturn

from simulator.sockets.errors import fail

__all__ = ["Surface"]

_NOT_ALONE = "a socket of a router is this object: its descriptor only tells when to read"


class Surface:
    """The part of a socket's surface that moves no octets."""

    def __init__(self) -> None:
        self._timeout = socket.getdefaulttimeout()

    # -- timeouts ----------------------------------------------------------------------------------------------------

    def settimeout(self, seconds: float | None) -> None:
        """None: wait for ever; 0: never.  :raises ValueError, TypeError: as CPython's sockets do."""
        if seconds is not None:
            seconds = seconds if isinstance(seconds, float) else float(index(seconds))
            if isnan(seconds):
                raise ValueError("Invalid value NaN (not a number)")
            if seconds < 0:
                raise ValueError("Timeout value out of range")
        self._timeout = seconds

    def gettimeout(self) -> float | None:
        return self._timeout

    timeout = property(gettimeout)

    def setblocking(self, flag: bool) -> None:
        self._timeout = None if flag else 0.0

    def getblocking(self) -> bool:
        return self._timeout != 0

    # -- addresses and connections -----------------------------------------------------------------------------------

    def bind(self, address: Any) -> None:
        """Take a port or an address; each kind of socket says which.  :raises OSError: EOPNOTSUPP if it has neither."""
        fail(errno.EOPNOTSUPP)

    def getsockname(self) -> tuple[str, int]:
        """What it is bound to."""
        fail(errno.EOPNOTSUPP)

    def getpeername(self) -> tuple[str, int]:
        fail(errno.ENOTCONN)

    def connect(self, address: Any) -> None:
        fail(errno.EOPNOTSUPP)

    def connect_ex(self, address: Any) -> int:
        """``connect``, with the errno instead of the exception; 0 for success."""
        try:
            self.connect(address)
        except OSError as error:
            if error.errno is None:
                raise
            return error.errno
        return 0

    def listen(self, backlog: int = 0) -> None:
        fail(errno.EOPNOTSUPP)

    def accept(self) -> NoReturn:
        fail(errno.EINVAL)

    def shutdown(self, how: int) -> None:
        """:raises OSError: ENOTCONN; a socket that is not connected has nothing to shut down."""
        self._check_open()
        known = index(how) in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR)
        fail(errno.ENOTCONN if known else errno.EINVAL, f"shutdown({how})")

    # -- what it cannot do -------------------------------------------------------------------------------------------

    def dup(self) -> NoReturn:
        fail(errno.EOPNOTSUPP, f"dup(): {_NOT_ALONE}")

    def detach(self) -> NoReturn:
        fail(errno.EOPNOTSUPP, f"detach(): {_NOT_ALONE}")

    def makefile(self, *_: Any, **__: Any) -> NoReturn:
        fail(errno.EOPNOTSUPP, "makefile(): a stream of octets has neither packets nor addresses")

    def sendfile(self, *_: Any, **__: Any) -> NoReturn:
        raise ValueError("only SOCK_STREAM type sockets are supported")

    def __getstate__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")

    def _check_open(self) -> None:
        raise NotImplementedError
