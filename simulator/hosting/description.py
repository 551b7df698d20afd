"""The file that describes a router and its traffic, in TOML; what is wrong is told with the file and the key.

profile = "freebsd-13"
rules = ["add 100 divert 8668 icmp from any to any", "add 200 allow ip from any to any"]

[interfaces.em0]
address = "192.168.1.1/24"

[[traffic]]
at = 0.5
interface = "em0"
packet = 'IP(src="192.168.1.2", dst="10.0.0.2")/ICMP()'
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

from simulator.hosting.packets import PacketError, datagrams

__all__ = ["SHOWN", "Arrival", "Description", "DescriptionError", "InterfaceDescription", "RouteDescription", "load"]

SHOWN = ("sent", "delivered", "ledger", "rules", "messages", "trace")
"""What can be shown at the end."""

_AFTERWARDS = 60.0
"""Seconds that the router lives on after the last thing that happens, unless the file says until when."""
_MOST_PACKETS = 1_000_000


class DescriptionError(ValueError):
    """Something is wrong with the file; the message is `file: key: what`."""


@dataclass(frozen=True, kw_only=True)
class InterfaceDescription:
    name: str
    addresses: tuple[str, ...]
    mtu: int
    peer: str | None
    key: str


@dataclass(frozen=True, kw_only=True)
class RouteDescription:
    prefix: str
    via: str | None
    interface: str | None
    kind: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """One thing that happens: a packet, a command, or words on standard input."""

    at: float
    """Seconds from the start."""
    octets: bytes = b""
    interface: str | None = None
    """Where a packet comes in; None: this host sends it."""
    command: str = ""
    text: str | None = None
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class Description:
    """What the file says, its packets made."""

    file: str
    profile: str
    switches: Mapping[str, Any]
    interfaces: tuple[InterfaceDescription, ...]
    routes: tuple[RouteDescription, ...]
    rules: tuple[tuple[str, str], ...]
    """Key and command."""
    arrivals: tuple[Arrival, ...]
    """In order of time; of one instant, in the order of the file."""
    seconds: float
    """When the router's life ends."""
    show: tuple[str, ...]
    has_stdin: bool = field(default=False)

    def fail(self, key: str, text: object) -> NoReturn:
        """Raise DescriptionError for that key."""
        raise DescriptionError(f"{self.file}: {key}: {text}")


def load(path: Path) -> Description:
    """Read the file. Raises DescriptionError; OSError when a file cannot be read."""
    name = str(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DescriptionError(f"{name}: {error}") from None
    table = _Table(name, "", values)
    with table:
        profile = table.text("profile")
        switches = table.any("switches", {})
        if not isinstance(switches, dict):
            table.fail("switches", f"expected a table of switches, not {switches!r}")
        interfaces = tuple(_interface(name, each) for name, each in table.tables("interfaces"))
        routes = tuple(map(_route, table.list_of_tables("routes")))
        rules = tuple(_rules(table))
        arrivals = [
            *_traffic(table, path.parent),
            *(_timed(each, "run") for each in table.list_of_tables("commands")),
            *(_timed(each, "text") for each in table.list_of_tables("stdin")),
        ]
        arrivals.sort(key=lambda arrival: arrival.at)
        last = arrivals[-1].at if arrivals else 0.0
        seconds = table.number("seconds", last + _AFTERWARDS)
        show = tuple(table.texts("show", ("sent", "ledger")))
        for each in show:
            if each not in SHOWN:
                table.fail("show", f"{each!r} is none of {', '.join(SHOWN)}")
    return Description(
        file=name,
        profile=profile,
        switches=switches,
        interfaces=interfaces,
        routes=routes,
        rules=rules,
        arrivals=tuple(arrivals),
        seconds=seconds,
        show=show,
        has_stdin="stdin" in values,
    )


_REQUIRED: Any = object()


class _Table:
    """One table of the file: gives values of the kind that is asked for, and complains of keys nobody asked for."""

    def __init__(self, file: str, key: str, values: Mapping[str, Any]) -> None:
        self.file = file
        self.key = key
        self._values = values
        self._asked: list[str] = []

    def __enter__(self) -> _Table:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            for key in self._values:
                if key not in self._asked:
                    self.fail(key, f"no such key here (there are {', '.join(self._asked)})")

    def name(self, key: str) -> str:
        """The whole name of a key."""
        return f"{self.key}.{key}" if self.key else key

    def fail(self, key: str, text: object) -> NoReturn:
        raise DescriptionError(f"{self.file}: {self.name(key)}: {text}")

    def any(self, key: str, default: Any = _REQUIRED) -> Any:
        self._asked.append(key)
        if key in self._values:
            return self._values[key]
        if default is _REQUIRED:
            self.fail(key, "is missing")
        return default

    def _of(self, key: str, kinds: tuple[type, ...], what: str, default: Any) -> Any:
        value = self.any(key, default)
        if value is not default and (not isinstance(value, kinds) or isinstance(value, bool)):
            self.fail(key, f"expected {what}, not {value!r}")
        return value

    def text(self, key: str, default: Any = _REQUIRED) -> Any:
        return self._of(key, (str,), "a text", default)

    def whole(self, key: str, default: Any = _REQUIRED) -> int:
        found: int = self._of(key, (int,), "a whole number", default)
        return found

    def number(self, key: str, default: Any = _REQUIRED) -> float:
        """Seconds: finite, not negative."""
        value = self._of(key, (int, float), "a number of seconds", default)
        if not isfinite(value) or value < 0:
            self.fail(key, f"expected a number of seconds, 0 or more, not {value!r}")
        return float(value)

    def texts(self, key: str, default: Sequence[str] = ()) -> Sequence[str]:
        """A text, or a list of texts."""
        value = self.any(key, default)
        found = [value] if isinstance(value, str) else value
        if value is not default and (not isinstance(found, list) or not all(isinstance(each, str) for each in found)):
            self.fail(key, f"expected a text or a list of texts, not {value!r}")
        return list(found)

    def tables(self, key: str) -> Iterator[tuple[str, _Table]]:
        """A table of tables: name and table of each."""
        value = self.any(key, {})
        if not isinstance(value, dict):
            self.fail(key, f"expected tables such as [{key}.NAME], not {value!r}")
        for name, each in value.items():
            if not isinstance(each, dict):
                self.fail(f"{key}.{name}", f"expected a table, not {each!r}")
            yield name, _Table(self.file, self.name(f"{key}.{name}"), each)

    def list_of_tables(self, key: str) -> Iterator[_Table]:
        value = self.any(key, [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            self.fail(key, f"expected tables such as [[{key}]], not {value!r}")
        for number, each in enumerate(value, start=1):
            yield _Table(self.file, self.name(f"{key}[{number}]"), each)


def _interface(name: str, table: _Table) -> InterfaceDescription:
    with table:
        return InterfaceDescription(
            name=name,
            addresses=tuple(table.texts("address")),
            mtu=table.whole("mtu", 1500),
            peer=table.text("peer", None),
            key=table.key,
        )


def _route(table: _Table) -> RouteDescription:
    with table:
        return RouteDescription(
            prefix=table.text("to"),
            via=table.text("via", None),
            interface=table.text("interface", None),
            kind=table.text("kind", "unicast"),
            key=table.key,
        )


def _rules(table: _Table) -> Iterator[tuple[str, str]]:
    """Commands, from a list, or a text of one a line with comments."""
    value = table.any("rules", [])
    lines = value.splitlines() if isinstance(value, str) else value
    if not isinstance(lines, list) or not all(isinstance(each, str) for each in lines):
        table.fail("rules", f"expected a list of commands, or a text with one a line, not {value!r}")
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield table.name(f"rules[{number}]"), line.strip()


def _timed(table: _Table, what: str) -> Arrival:
    """A command, or a line of standard input, at its time."""
    with table:
        at = table.number("at", 0.0)
        text = table.text(what)
    return Arrival(at=at, command=text if what == "run" else "", text=text if what == "text" else None, key=table.key)


_SOURCES = ("packet", "words", "hex", "file", "pcap")


def _traffic(table: _Table, folder: Path) -> Iterator[Arrival]:
    total = 0
    for each in table.list_of_tables("traffic"):
        with each:
            at = each.number("at", 0.0)
            interface = each.text("interface", None)
            given = [(source, text) for source in _SOURCES if (text := each.text(source, None)) is not None]
            repeat, every = each.whole("repeat", 1), each.number("every", 0.0)
        if len(given) != 1:
            each.fail(_SOURCES[0], f"expected exactly one of {', '.join(_SOURCES)}, not {len(given)}")
        if repeat < 1:
            each.fail("repeat", f"at least once, not {repeat}")
        [(source, text)] = given
        try:
            made = datagrams(source, text, folder)
        except PacketError as error:
            each.fail(source, error)
        total += repeat * len(made)
        if total > _MOST_PACKETS:
            each.fail("repeat", f"more than {_MOST_PACKETS:,} packets")
        for number in range(repeat):
            for after, octets in made:
                yield Arrival(at=at + number * every + after, octets=octets, interface=interface, key=each.key)
