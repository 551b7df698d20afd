"""The statements, read from the ``.toml`` files beside this module."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator import PROFILES
from simulator.profiles import BsdProfile, LinuxProfile

__all__ = ["FILES", "GROUPS", "Section", "Statement", "document", "expand", "statements"]

HERE = Path(__file__).parent
FILES = ("bsd", "linux", "howto")
"""In the order of the page."""

_BEFORE_5 = ("freebsd-4", "dragonfly")
_BSD = tuple(name for name, profile in PROFILES.items() if isinstance(profile, BsdProfile))

GROUPS: dict[str, tuple[str, ...]] = {
    "every BSD": _BSD,
    "before FreeBSD 5": _BEFORE_5,
    "since FreeBSD 8": tuple(name for name in _BSD if name not in _BEFORE_5),
    "before FreeBSD 14": tuple(name for name in _BSD if name != "freebsd-14"),
    "every Linux": tuple(name for name, profile in PROFILES.items() if isinstance(profile, LinuxProfile)),
}
"""Profiles that are named together."""


@dataclass(frozen=True)
class Statement:
    """One numbered statement."""

    name: str
    """``"bsd.md W-13"``."""
    says: str
    """What it says, in our words."""
    profiles: tuple[str, ...]
    """Those in which it is to be true."""
    left_out: dict[str, str]
    """Profile -> why it is not true there, or not tested."""
    open: bool
    """Nobody has looked at it yet."""

    @property
    def wanted(self) -> tuple[str, ...]:
        """The profiles in which a test has to name it."""
        return tuple(name for name in self.profiles if name not in self.left_out)


@dataclass(frozen=True)
class Section:
    title: str
    statements: tuple[Statement, ...]


def expand(names: list[str]) -> tuple[str, ...]:
    """Groups and names of profiles -> names.  :raises ValueError: for a name that is neither."""
    found = [each for name in names for each in GROUPS.get(name, (name,))]
    for name in found:
        if name not in PROFILES:
            raise ValueError(f"neither a profile nor a group of them: {name!r}")
    return tuple(dict.fromkeys(found))


def _statement(name: str, default: list[str], *, says: str, **entry: Any) -> Statement:
    profiles = expand(entry.pop("profiles", default))
    reasons = entry.pop("left_out", {})
    if isinstance(reasons, str):
        left_out = dict.fromkeys(profiles, reasons)
    else:
        left_out = {each: reason for group, reason in reasons.items() for each in expand([group])}
    still_open = entry.pop("open", False)
    if entry:
        raise ValueError(f"{name} has unknown keys: {', '.join(entry)}")
    return Statement(name, " ".join(says.split()), profiles, left_out, still_open)


def document(stem: str) -> tuple[str, tuple[Section, ...]]:
    """The title and the sections of one file.  :raises ValueError: for what makes no sense in it."""
    data = tomllib.loads((HERE / f"{stem}.toml").read_text(encoding="utf-8"))
    sections = []
    for table in data["section"]:
        title, default = table.pop("title"), table.pop("profiles", data["profiles"])
        found = [_statement(f"{stem}.md {key}", default, **entry) for key, entry in table.items()]
        sections.append(Section(title, tuple(found)))
    return data["title"], tuple(sections)


def statements() -> Iterator[Statement]:
    """All of them."""
    for stem in FILES:
        for section in document(stem)[1]:
            yield from section.statements
