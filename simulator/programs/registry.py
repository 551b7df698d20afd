"""The programs by name: what each is for, its options, and how one is made from them.

A program is something that is called with a divert socket and takes one datagram from it: `program(divert)`. It uses
only what CPython's own sockets have, so the same source runs over `Router.socket` and on a system with divert sockets.
Two methods are there for those that need them:

`due(divert)`
    Do what the time has come for, and return the seconds until there is more to do, or None.
`finish()`
    The program is over: give back what it holds, such as a file.

A module of this room that offers a `PROGRAM` and stands in `PROGRAMS` can be run by its name: from the command line
(`divertsim demo --program NAME`), on a real system (`python -m simulator.programs NAME PORT`), and from Python::

    entry = find("mangle")
    program = entry.build(["--ttl", "42"], Surroundings(output=sys.stdout, now=router.clock.now))
"""

from __future__ import annotations

import argparse
import importlib
import random
import socket
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, NoReturn, Protocol

from simulator.programs.sites import Site, site_of

__all__ = [
    "PROGRAMS",
    "Entry",
    "Output",
    "Program",
    "ProgramError",
    "Surroundings",
    "due",
    "find",
    "finish",
    "open_divert",
]

PROGRAMS = {
    "interceptor": "interceptor",
    "freebsd-sample": "freebsd_sample",
    "passthrough": "passthrough",
    "eat": "eat",
    "tee-capture": "tee_capture",
    "mangle": "mangle",
    "mss-clamp": "mss_clamp",
    "delay": "delay",
    "natd": "natd",
}
"""The module of each program, by the program's name, in the order in which they are listed."""


class ProgramError(Exception):
    """A program that does not exist, or an option or a value that it does not have; the message is one line."""


class Output(Protocol):
    """What lines are written to, such as sys.stdout."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


class Program(Protocol):
    """Takes one datagram of a divert socket. Raises what the socket's `recvfrom` raises."""

    def __call__(self, divert: Any, /) -> object: ...


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a program finds around it."""

    output: Output = field(default_factory=lambda: sys.stdout)
    """Where its lines go."""
    errors: Output = field(default_factory=lambda: sys.stderr)
    """Where its progress and its complaints go."""
    now: Callable[[], float] = time.monotonic
    """Seconds, never going back: the machine's, or a router's."""
    date: Callable[[], float] = time.time
    """Seconds since 1970; a router's time begins there."""
    socket: Callable[..., Any] = socket.socket
    """Makes further sockets: the machine's, or a router's."""
    port: int = 0
    """The divert port that it listens on."""
    site: Callable[[str], Site] = site_of
    """An interface by its name, KeyError for none: the machine's, or a router's."""
    open: Callable[[str, str], IO[Any]] = open
    """Opens a file by name and mode: any of the machine's, or what a script may have."""
    choose: Callable[[int], int] = random.randrange
    """A random number from 0 to below the one given."""


Open = Callable[[int, Surroundings], Any]


def open_divert(port: int, around: Surroundings) -> Any:
    """A divert socket bound to a port. Raises OSError, as `socket` and `bind` do."""
    divert = around.socket(socket.AF_INET, socket.SOCK_RAW, _protocol())
    try:
        divert.bind(("0.0.0.0", port))
    except OSError:
        divert.close()
        raise
    return divert


def _protocol() -> int:
    """IPPROTO_DIVERT: what /etc/protocols says, else what the system's headers say (bsd.md S-1)."""
    try:
        return socket.getprotobyname("divert")
    except OSError:
        return 258 if sys.platform.startswith("freebsd") else 254


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A program in the list."""

    name: str
    summary: str
    """What it does, in one line."""
    make: Callable[[Namespace, Surroundings], Program]
    """The program, from the values of its options. May raise ProgramError, and OSError for a file."""
    options: Callable[[ArgumentParser], object] = lambda _: None
    """Add the program's options to a parser."""
    open: Open = open_divert
    """Make and bind its divert socket."""

    def parser(self, around: Surroundings | None = None) -> ArgumentParser:
        """For its options; raises ProgramError where argparse would end the process.

        Options that name a file to be read have it read in these surroundings.
        """
        parser = _Parser(prog=self.name, description=self.summary, add_help=False, allow_abbrev=False)
        self.options(parser)
        return parser

    def options_text(self) -> str:
        """Its options as `--help` would show them; empty when there are none."""
        formatter = argparse.HelpFormatter(prog=self.name, width=100)
        if actions := self.parser()._actions:
            formatter.start_section("options")
            formatter.add_arguments(actions)
            formatter.end_section()
        return formatter.format_help()

    def described(self) -> list[dict[str, Any]]:
        """Its options as data: names, help, what stands behind each, whether it is needed, its default."""
        return [
            {
                "names": action.option_strings,
                "help": action.help,
                "value": None if action.nargs == 0 else action.metavar or (action.choices and list(action.choices)),
                "required": action.required,
                "default": action.default,
            }
            for action in self.parser()._actions
        ]

    def build(self, words: Sequence[str], around: Surroundings) -> Program:
        """The program with these words as its options. Raises ProgramError; OSError for a file that it opens."""
        return self.make(self.parser(around).parse_args(list(words)), around)


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ProgramError(f"{self.prog}: {message}")


def find(name: str) -> Entry:
    """The program of that name. Raises ProgramError with the names that there are."""
    if name not in PROGRAMS:
        raise ProgramError(f"no such program: {name!r} (there are {', '.join(PROGRAMS)})")
    entry = importlib.import_module(f"simulator.programs.{PROGRAMS[name]}").PROGRAM
    assert isinstance(entry, Entry)
    return entry


def due(program: Program, divert: Any) -> float | None:
    """The program's own `due`, if it has one."""
    method = getattr(program, "due", None)
    return None if method is None else method(divert)


def finish(program: Program) -> None:
    """The program's own `finish`, if it has one."""
    method = getattr(program, "finish", None)
    if method is not None:
        method()
