"""The script language: its grammar, its model, what plays it, and what writes a script while something happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.scenario.recording import Recording, record

__all__ = ["Recording", "record"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from simulator.scenario import recording

    value = globals()[name] = getattr(recording, name)
    return value
