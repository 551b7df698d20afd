"""Which profile a case file means."""

from __future__ import annotations

from simulator.profiles import PROFILES

__all__ = ["profile_of"]


def profile_of(name: str) -> str:
    """The profile of that name; of a minor version's name (``freebsd-13.0``, ``linux-2.2.12``), its major version's.

    :raises ValueError: when there is none.
    """
    major = name
    while major not in PROFILES:
        major, dot, _ = major.rpartition(".")
        if not dot:
            raise ValueError(f"no such profile: {name!r} (there are {', '.join(PROFILES)})")
    return major
