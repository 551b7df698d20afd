"""Scripts and what they take in, from files: nothing outside the folder in which the script lies."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import IO, Any

from simulator.links.captures import is_capture, read_one
from simulator.scenario.model import Place, Script, ScriptError
from simulator.scenario.packets import Files
from simulator.scenario.reading import Reader, read

__all__ = ["LARGEST_FILE", "SUFFIX", "Folder", "find_scripts", "load"]

SUFFIX = ".scn"
LARGEST_FILE = 16 * 1024 * 1024
"""Octets of a script, or of a file that it takes a packet from."""


class Folder:
    """The folder of a script: what it may include and read packets from."""

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()

    def find(self, name: str) -> Path:
        """A file in the folder or below.  :raises ValueError: for one outside, or one that is too large."""
        path = (self._path / name).resolve()
        if not path.is_relative_to(self._path):
            raise ValueError("it lies outside the script's folder")
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"it has more than {LARGEST_FILE:,} octets")
        return path

    def open(self, name: str, mode: str) -> IO[Any]:
        """A file for a program of the script: to be read, or a capture (``.pcap``) to be written.

        Nothing that is no capture is written over.
        """
        if "w" not in mode:
            return self.find(name).open(mode)
        path = (self._path / name).resolve()
        if not path.is_relative_to(self._path):
            raise PermissionError(errno.EACCES, "it lies outside the script's folder", name)
        if path.suffix != ".pcap" or (path.exists() and not is_capture(path)):
            raise PermissionError(errno.EACCES, "a script writes captures alone, to files that end in .pcap", name)
        return path.open(mode)

    def text(self, name: str) -> str:
        return self.find(name).read_text(encoding="utf-8-sig")

    def packet(self, name: str, number: int) -> bytes:
        """A packet of a capture, counted from 1, or a file of hex digits."""
        path = self.find(name)
        if path.suffix == ".hex":
            return bytes.fromhex(path.read_text(encoding="ascii"))
        return read_one(path, number)


def load(path: Path) -> tuple[Script, Files]:
    """A script, and what gives it the packets of its files.

    :raises ScriptError: for a file that is no script.
    :raises OSError: when there is no such file.
    """
    folder = Folder(path.parent)
    reader: Reader = folder.text
    if path.stat().st_size > LARGEST_FILE:
        raise ScriptError(Place(str(path), 1, 1), f"a script has at most {LARGEST_FILE:,} octets")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ScriptError(Place(str(path), 1, 1), f"not text in UTF-8: {error.reason} at octet {error.start}") from None
    return read(text, str(path), reader), folder


def find_scripts(paths: tuple[Path, ...]) -> list[Path]:
    """The scripts that the paths name: files as they are, folders with all scripts below, in the order of their names.

    A file whose name begins with ``_`` is there to be included.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = sorted(path.rglob(f"*{SUFFIX}"))
            found += [each for each in below if not each.name.startswith("_")]
        else:
            found.append(path)
    return found
