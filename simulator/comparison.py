"""The switches of several profiles side by side, each with what it says and where that is known from.

Everything is read from the switches themselves: their values, and the docstrings beneath them in the source.
"""

from __future__ import annotations

import ast
import errno
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from rules.ipchains import switches as ipchains
from rules.ipfw import switches as ipfw
from simulator.fragments import BsdPolicy
from simulator.profiles import BsdProfile, LinuxProfile, Profile

__all__ = ["GROUPS", "Group", "Row", "compare", "descriptions", "markdown", "words_of"]


@dataclass(frozen=True, slots=True)
class Group:
    """Switches that belong together: the class that has them, and which part of a profile is of that class."""

    title: str
    owner: type
    part: str = ""
    """The attribute of the profile that holds them; empty for the profile itself."""

    def holder(self, profile: Profile) -> Any:
        """What has these switches in a profile; None if nothing has."""
        value = getattr(profile, self.part, None) if self.part else profile
        return value if isinstance(value, self.owner) else None


GROUPS = (
    Group("every kernel", Profile),
    Group("Linux: packet path and sockets", LinuxProfile),
    Group("Linux: ipchains", ipchains.Switches, "rules"),
    Group("BSD: packet path and sockets", BsdProfile),
    Group("BSD: reassembly", BsdPolicy, "reassembly"),
    Group("BSD: ipfw", ipfw.Switches, "rules"),
)

_NO_SWITCHES = frozenset({"name", "rules", "reassembly"})
_LABELS = frozenset({"F4", "F5", "F6", "F9", "F10"})
_SOURCE = re.compile(
    r"\b[A-Z]{1,3}-?\d+[a-z]?(?:\.\d+)?\b|RFC \d+|net\.inet\.[\w.]+|\b\w+\.c\b"
    r"|\b(?:observed|executed|README)\b|seen on [A-Z]?\w* ?\d+"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One switch: ``values`` by name of profile, ``sources`` the statements, documents and files that it rests on."""

    group: str
    name: str
    text: str
    sources: tuple[str, ...]
    values: dict[str, Any]

    @property
    def differs(self) -> bool:
        """Whether the profiles compared disagree."""
        return len({repr(_plain(value)) for value in self.values.values()}) > 1

    def as_json(self) -> dict[str, Any]:
        """With values as JSON has them: sets as sorted lists, numbers of errors by their name."""
        return {
            "group": self.group,
            "switch": self.name,
            "differs": self.differs,
            "values": {profile: _json_value(self.name, value) for profile, value in self.values.items()},
            "text": self.text,
            "sources": list(self.sources),
        }


@cache
def descriptions(owner: type) -> dict[str, str]:
    """The docstring under each field of a class, as one line, in the order of the source."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    name = None
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
            found[name] = ""
        elif name and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found[name] = " ".join(str(node.value.value).split())
            name = None
    return found


def compare(profiles: Sequence[Profile]) -> list[Row]:
    """Every switch that any of the profiles has, in the order of the source."""
    return [row for group in GROUPS for row in _rows(group, profiles)]


def _rows(group: Group, profiles: Sequence[Profile]) -> Iterator[Row]:
    holders = {profile.name: group.holder(profile) for profile in profiles}
    having = {name: holder for name, holder in holders.items() if holder is not None}
    if not having:
        return
    texts = descriptions(group.owner)
    for name in _own_fields(group.owner):
        values = {profile: getattr(holder, name) for profile, holder in having.items()}
        yield Row(group.title, name, texts.get(name, ""), _sources(texts.get(name, "")), values)


def _own_fields(owner: type) -> Iterable[str]:
    """The switches that this class brings, without those of its base that it does not even mention."""
    inherited = {field.name for base in owner.__mro__[1:] if base is not object for field in fields(base)}
    return [field.name for field in fields(owner) if field.name not in inherited | _NO_SWITCHES]


def _sources(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for each in _SOURCE.findall(text) if each not in _LABELS))


# Values


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else value


def _errno_name(number: int) -> str | None:
    """Two numbers have two names each on some systems; this is the one that the sockets' manuals use."""
    return "EOPNOTSUPP" if number == errno.EOPNOTSUPP else errno.errorcode.get(number)


def _json_value(name: str, value: Any) -> Any:
    if isinstance(value, int) and name.endswith("_errno"):
        return _errno_name(value) or value
    if isinstance(value, frozenset | tuple):
        return [*_plain(value)]
    return value


def words_of(name: str, value: Any, *, most: int | None = None) -> str:
    """A value in a few words; a set of more than ``most`` words by its size alone."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "no limit"
    if isinstance(value, int) and name.endswith("_errno"):
        return _errno_name(value) or "none"
    if isinstance(value, frozenset | tuple):
        items = [str(item) for item in _plain(value)]
        if most is not None and len(items) > most:
            return f"{len(items)} words"
        return ", ".join(items) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


# The page


def markdown(rows: Sequence[Row]) -> str:
    """The comparison as a page: one table a group, and what each switch says."""
    lines: list[str] = []
    for group in dict.fromkeys(row.group for row in rows):
        mine = [row for row in rows if row.group == group]
        profiles = list(mine[0].values)
        lines += [f"## {group[0].upper()}{group[1:]}", ""]
        lines += ["| switch | " + " | ".join(profiles) + " |", "|---" * (len(profiles) + 1) + "|"]
        for row in mine:
            cells = [words_of(row.name, row.values[profile], most=4).replace("|", "\\|") for profile in profiles]
            lines.append(f"| `{row.name}` | " + " | ".join(cells) + " |")
        lines.append("")
        for row in mine:
            lines += [f"- **`{row.name}`**: {_without_markup(row.text)}", *_long_values(row)]
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def _without_markup(text: str) -> str:
    """Docstrings are reStructuredText; Markdown has single backquotes."""
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")


def _long_values(row: Row) -> Iterator[str]:
    for profile, value in row.values.items():
        if words_of(row.name, value, most=4) != words_of(row.name, value):
            yield f"  - {profile}: {words_of(row.name, value)}"
