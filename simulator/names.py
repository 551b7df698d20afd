"""The machine's own name files, for those who want its names instead of the table of this project.

Nothing else in the project reads them, so that answers do not depend on the machine they were given on.
"""

from __future__ import annotations

from pathlib import Path

from rules.ipchains import Names

__all__ = ["machine_names"]

_FILES = ("services", "protocols", "networks", "hosts")


def machine_names(folder: str = "/etc") -> Names:
    """Names from ``services``, ``protocols``, ``networks`` and ``hosts`` in a folder; a missing one is empty."""
    texts = {}
    for name in _FILES:
        path = Path(folder, name)
        texts[name] = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return Names.from_files(**texts)
