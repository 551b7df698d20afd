"""Whether the fields of a header value fit into their place on the wire."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["check_limits"]


def check_limits(header: object, limits: Iterable[tuple[str, int]]) -> None:
    """Raise ``ValueError`` for the first of these fields that is not between 0 and its limit, by name and value."""
    for name, limit in limits:
        value = getattr(header, name)
        if not 0 <= value <= limit:
            raise ValueError(f"{name} {value} is not between 0 and {limit}")
