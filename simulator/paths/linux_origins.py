"""What a packet at Linux's output chain comes from, and what its sender learns of a refusal (linux.md H8, H9)."""

from __future__ import annotations

import errno
from typing import NamedTuple

from simulator import fragments
from simulator.icmp_errors import HOST_UNREACHABLE, PORT_UNREACHABLE, Error

__all__ = ["FORWARDED", "INJECTED", "LOCAL_DATAGRAM", "LOCAL_TCP", "Origin"]


class Origin(NamedTuple):
    """Who sends it."""

    denied: int
    """The errno after DENY."""
    rejected: int
    """The errno after REJECT."""
    error: Error | None
    """The ICMP error after REJECT."""
    fragments: fragments.Style
    """How it is cut when it is too large for the interface."""


FORWARDED = Origin(0, 0, HOST_UNREACHABLE, fragments.LINUX)
LOCAL_DATAGRAM = Origin(errno.EPERM, errno.EPERM, None, fragments.LINUX_LOCAL)
LOCAL_TCP = Origin(0, 0, PORT_UNREACHABLE, fragments.LINUX)
INJECTED = Origin(errno.EPERM, errno.EPERM, None, fragments.LINUX)
