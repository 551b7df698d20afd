"""Ctrl-C while Python still imports: there is nothing to put away yet, and a traceback would say nothing."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["silently"]


@contextmanager
def silently() -> Iterator[None]:
    """Inside, Ctrl-C ends the process as it ends one without a handler."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
