"""Playing recorded cases against the simulator, one module per file format."""

from __future__ import annotations

__all__: list[str] = []
