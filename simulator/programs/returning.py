"""Sending a packet back with the address that came with it, as every divert program does."""

from __future__ import annotations

import errno
from typing import Any

from simulator.programs.registry import Output

__all__ = ["send_back"]


def send_back(divert: Any, octets: bytes, address: Any, errors: Output, program: str) -> bool:
    """Whether it was sent. What the system refuses is told in a line and the packet is lost, as natd does.

    EACCES says that the firewall denied what came back, EMSGSIZE that it no longer fits its way (bsd.md W-15); a
    program that gave up then would stop all traffic. A closed socket is another matter: raises OSError, EBADF.
    """
    try:
        divert.sendto(octets, address)
    except OSError as error:
        if error.errno == errno.EBADF:
            raise
        print(f"{program}: failed to write packet back: {error.strerror}", file=errors, flush=True)
        return False
    return True
