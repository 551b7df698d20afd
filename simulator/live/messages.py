"""What a router's process and a host's agent say to each other: one pickled value a message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["LARGEST_MESSAGE", "Attached", "Failed", "Message", "Order", "Report", "Request", "Stop"]

LARGEST_MESSAGE = 1 << 17
"""Octets; one message is one pickled value. Well below the kernel's default send buffer (net.core.wmem_default)."""

Report = Callable[[object], None]
"""What a job calls to tell its caller something before it returns."""


class Order(NamedTuple):
    """The host to be made: dotted addresses, prefix length, the router's address as default gateway, MTU in octets."""

    device: str
    address: str
    prefix: int
    gateway: str
    mtu: int


class Attached(NamedTuple):
    """The host stands; the descriptor of its TUN device comes with this message."""

    device: str
    privilege: str


class Failed(NamedTuple):
    """The host could not be made; `cause` and `remedy` are a line each."""

    stage: str
    """What it failed at: "process", "namespace", "pytun", "device" or "address"."""
    cause: str
    remedy: str
    privilege: str
    """As in `Attached` when the namespace was to be had, else empty."""


class Request(NamedTuple):
    """Do `call` as job number `job`: a pickled pair `(function, arguments)`, for `function(report, *arguments)`.

    Pickled for itself, so that a call that cannot be unpickled concerns its job alone.
    """

    job: int
    call: bytes


class Stop(NamedTuple):
    """End job number `job` now."""

    job: int


class Message(NamedTuple):
    """From a job: kind "report" (any number), then "result" or "error" (its traceback), and always "ended" at last."""

    job: int
    kind: str
    value: Any
