"""Everything that is put in the place of the standard library's while a script runs, and taken back afterwards."""

from __future__ import annotations

import io
import os
import select
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from simulator.hosting.driver import Driver
from simulator.hosting.sockets import socket_class
from simulator.hosting.waiting import DrivenInput, Waiting
from simulator.profiles import BsdProfile
from simulator.router import PF_DIVERT, Router

__all__ = ["fed_input", "standing_in"]

_ABSENT = object()


def _replacements(driver: Driver, router: Router) -> Iterator[tuple[Any, str, Any]]:
    """Where, which name, and what stands there."""
    waiting = Waiting(driver)
    yield socket, "socket", socket_class(driver, router, socket.socket)
    yield socket, "getprotobyname", _getprotobyname(router)
    if isinstance(router.profile, BsdProfile) and router.profile.own_family:
        for name in ("PF_DIVERT", "AF_DIVERT"):
            yield socket, name, PF_DIVERT
    yield select, "select", waiting.select
    yield selectors.SelectSelector, "_select", staticmethod(waiting.select)
    for name in ("poll", "epoll"):
        if hasattr(select, name):
            yield select, name, getattr(waiting, name)
            yield (
                getattr(selectors, f"{name.capitalize()}Selector"),
                "_selector_cls",
                staticmethod(getattr(waiting, name)),
            )
    yield time, "sleep", waiting.sleep
    yield time, "time", waiting.time
    yield time, "time_ns", _nanoseconds(waiting.time)
    for name in ("monotonic", "perf_counter"):
        yield time, name, waiting.monotonic
        yield time, f"{name}_ns", _nanoseconds(waiting.monotonic)
    yield signal, "pause", waiting.pause
    # The script is root on the router's host.
    for name in ("getuid", "geteuid"):
        yield os, name, lambda: 0


def _nanoseconds(seconds: Callable[[], float]) -> Callable[[], int]:
    return lambda: round(seconds() * 1_000_000_000)


def _getprotobyname(router: Router) -> Callable[[str], int]:
    real = socket.getprotobyname

    def getprotobyname(name: str, /) -> int:
        """As `socket.getprotobyname`, with the line for divert that the router's /etc/protocols has."""
        number = router.profile.divert_protocol
        if name.lower() == "divert" and number:
            return number
        return real(name)

    return getprotobyname


@contextmanager
def standing_in(driver: Driver, router: Router) -> Iterator[None]:
    """Inside, all of it is replaced."""
    before = []
    try:
        for owner, name, value in list(_replacements(driver, router)):
            before.append((owner, name, vars(owner).get(name, _ABSENT)))
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in reversed(before):
            if value is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, value)


@contextmanager
def fed_input(driver: Driver) -> Iterator[Callable[[str | None], None]]:
    """Inside, standard input, descriptor and all, has what is fed to the function that this gives; None ends it."""
    here, there = os.pipe()
    saved = os.dup(0)
    before = sys.stdin
    os.dup2(here, 0)
    os.close(here)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(DrivenInput(driver, 0)), encoding="utf-8", line_buffering=True)
    is_open = True

    def feed(text: str | None) -> None:
        nonlocal is_open
        if text is not None and is_open:
            os.write(there, text.encode("utf-8"))
        elif is_open:
            os.close(there)
            is_open = False

    try:
        yield feed
    finally:
        feed(None)
        sys.stdin = before
        os.dup2(saved, 0)
        os.close(saved)
