"""From what a script says of a packet to octets, and from octets to whether they are what it expected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import IO, Any, Protocol

from simulator import expressions
from simulator.fragments import LINUX, fragment
from simulator.scenario import model
from simulator.scenario.model import Place, ScriptError
from simulator.spoken import build
from simulator.wire.named import FIELDS, Value, alter, differences, dissect, full_name

__all__ = ["Files", "Library", "MismatchError", "compare", "compare_fields"]


class Files(Protocol):
    """The files that a script may have."""

    def packet(self, name: str, number: int) -> bytes:
        """A packet in a file, counted from 1.  :raises OSError, ValueError: when there is none."""

    def open(self, name: str, mode: str) -> IO[Any]:
        """A file for a program.  :raises OSError, ValueError: when it may not have it."""


class Library:
    """The packets that a script has named, and how to make the others."""

    def __init__(self, files: Files | None = None) -> None:
        self.named: dict[str, list[bytes]] = {}
        self._files = files

    def define(self, name: str, packets: model.Packets, place: Place) -> None:
        if name == "it":
            raise ScriptError(place.at(name), "'it' is the packet that was seen last")
        self.named[name] = self.all(packets)

    def seen(self, octets: bytes) -> None:
        """From now on ``it`` is this packet."""
        self.named["it"] = [octets]

    def all(self, packets: model.Packets) -> list[bytes]:
        """The octets of each packet.  :raises ScriptError: at the place of what cannot be made."""
        match packets:
            case model.Fragments(whole, mtu, order, place):
                pieces = _cut(self._one(whole, place), mtu, place)
                for number in order:
                    _piece(pieces, number, place)
                return [pieces[number - 1] for number in order] if order else pieces
            case model.Named(name, place):
                return list(self._find(name, place))
            case _:
                return [self._one(packets, None)]

    def _find(self, name: str, place: Place) -> list[bytes]:
        try:
            return self.named[name]
        except KeyError:
            known = f" (there are {', '.join(self.named)})" if self.named else ""
            raise ScriptError(place, f"no packet {name!r}{known}") from None

    def _one(self, source: model.Source | model.Edited, place: Place | None) -> bytes:
        match source:
            case model.Hex(octets):
                return octets
            case model.Named(name, place):
                found = self._find(name, place)
                if len(found) != 1:
                    raise ScriptError(place, f"{name!r} is {len(found)} packets; one is wanted here")
                return found[0]
            case model.Edited(inner, edits, place):
                octets = self._one(inner, place)
                return _guard(place.at("with"), lambda: alter(octets, edits), edits)
            case model.Said(spoken, place):
                return _guard(place, lambda: build(spoken))
            case model.Scapy(text, place):
                return _scapy(text, place)
            case model.Fragment(whole, number, mtu, place):
                return _piece(_cut(self._one(whole, place), mtu, place), number, place)
            case model.File(path, number, place):
                return self._file(path, number, place)
        raise AssertionError(source)

    def _file(self, path: str, number: int, place: Place) -> bytes:
        if self._files is None:
            raise ScriptError(place, "this script has no folder to read files from")
        try:
            return self._files.packet(path, number)
        except OSError as error:
            raise ScriptError(place, f"cannot read {path!r}: {error.strerror or error}") from None
        except ValueError as error:
            raise ScriptError(place, f"{path}: {error}") from None


def _guard(place: Place, make: Callable[[], bytes], words: Iterable[str] = ()) -> bytes:
    try:
        return make()
    except ValueError as error:
        raise ScriptError(place.at_named(str(error), words), str(error)) from None


def _scapy(text: str, place: Place) -> bytes:
    try:
        return expressions.octets(text)
    except expressions.ExpressionError as error:
        raise ScriptError(place.further(error.column), error.text) from None


def _cut(octets: bytes, mtu: int, place: Place) -> list[bytes]:
    """In the order of their offsets, filled as far as the MTU allows."""
    if len(octets) < 20:
        raise ScriptError(place, f"{len(octets)} octets cannot be cut into fragments")
    try:
        return fragment(octets, mtu, style=LINUX)
    except ValueError as error:
        raise ScriptError(place, str(error)) from None


def _piece(pieces: Sequence[bytes], number: int, place: Place) -> bytes:
    if not 1 <= number <= len(pieces):
        raise ScriptError(place, f"no fragment {number}: there are {len(pieces)}")
    return pieces[number - 1]


# What was expected


class MismatchError(Exception):
    """A packet that is not the expected one: why, and what was expected in its place, if that is a whole packet."""

    def __init__(self, why: str, expected: bytes | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.expected = expected


def compare(expected: bytes, actual: bytes, *, ignored: frozenset[str] = frozenset()) -> None:
    """Whole packets, octet by octet.  :raises MismatchError: naming the fields that differ."""
    if expected == actual:
        return
    wrong = [each for each in differences(expected, actual) if each.name not in ignored]
    if wrong:
        raise MismatchError("differs in " + ", ".join(each.name for each in wrong), expected)


_FIELD_NAMES = frozenset(name for full in FIELDS for name in (full, full.partition(".")[2] or full))
"""With the header's name and without it."""


def compare_fields(wanted: Mapping[str, Value], actual: bytes, place: Place) -> None:
    """Named fields only.

    :raises MismatchError: when one differs, or the packet has none of that name.
    :raises ScriptError: for a name that no field has, or a value that it cannot have.
    """
    for name, value in wanted.items():
        if name not in _FIELD_NAMES:
            near = get_close_matches(name, _FIELD_NAMES, n=3)
            meant = f" (did you mean {', '.join(near)}?)" if near else ""
            raise ScriptError(place.at(name), f"no header field is called {name!r}{meant}")
        try:
            full = full_name(actual, name)
        except ValueError as error:
            raise MismatchError(str(error)) from None
        found = next((each for each in dissect(actual) if each.name == full), None)
        try:
            changed = alter(actual, {name: value})
        except ValueError as error:
            raise ScriptError(place.at(name), str(error)) from None
        after = next((each for each in dissect(changed) if each.name == full), None)
        have, want = (found.value if found else b""), (after.value if after else b"")
        if have != want:
            raise MismatchError(f"{full} is {found.text if found else 'empty'}, not {after.text if after else 'empty'}")
