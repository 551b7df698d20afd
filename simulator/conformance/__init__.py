"""Playing recorded cases against the simulator: a module for each family of case files, and ``formats``, which knows
them all and compares."""

from __future__ import annotations

__all__: list[str] = []
