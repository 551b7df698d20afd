"""``OSError`` with the number of the machine this runs on (bsd.md S-15)."""

from __future__ import annotations

import os
from typing import NoReturn

__all__ = ["fail"]


def fail(number: int, detail: str = "") -> NoReturn:
    """Raise the ``OSError`` of that number; ``detail`` repeats the offending value."""
    raise OSError(number, os.strerror(number) + (f": {detail}" if detail else ""))
