"""The commands ``nat N config``, ``nat show config``, ``nat show log`` and ``nat N delete``.

Sources: ipfw(8); ipfw_config_nat, ipfw_show_nat and ipfw_delete of FreeBSD 10 to 13.  A name that is no number is the
instance of no name; ``nat N show log`` prints the line of that instance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from rules.aliasing import Redirect
from rules.ipfw.addressing import inet_aton
from rules.ipfw.nat.instances import MODES, Instance, Instances
from rules.ipfw.nat.redirects import IPFW, RedirectError, address_redirect, port_redirect, protocol_redirect
from rules.ipfw.surroundings import Surroundings
from rules.ipfw.switches import Switches
from rules.ipfw.words import DATA_ERROR, UNAVAILABLE, USAGE, RefusalError, Words, leading_number

__all__ = ["NatCommand", "nat_command"]

_OS_ERROR = 71
_GENERAL = 1
_LOWEST_PORT = 1024


class NatCommand(NamedTuple):
    """What one of the commands works on."""

    words: Words
    instances: Instances
    surroundings: Surroundings
    switches: Switches
    print: Callable[[str], object]
    complain: Callable[[str], object]
    quiet: bool
    dry: bool
    """``-n``: nothing reaches the kernel."""


def nat_command(command: NatCommand) -> int | None:
    """Run what the next word says; its exit status.  None when it is no command of nat's own."""
    if command.words.accept("config"):
        return _config(command)
    if command.words.accept("delete"):
        return _delete(command)
    if command.words.accept("show"):
        return _show(command)
    return None


# config


def _config(command: NatCommand) -> int:
    words = command.words
    if not words:
        raise RefusalError("missing nat id", DATA_ERROR)
    text = words.take()
    number, rest = leading_number(text, 0)
    if number <= 0 or rest:
        raise RefusalError(f"illegal nat id: {text}", DATA_ERROR)
    if not words:
        raise RefusalError("missing option", DATA_ERROR)
    instance = _Reader(command, number).read()
    if not command.dry:
        command.instances.configure(instance)
        if not command.quiet:
            command.print(instance.listing())
    return 0


class _Reader:
    """The options of one instance, as they are being read.

    As in the tool, a first look at all words finds unknown and missing ones before anything else is said of any.
    """

    def __init__(self, command: NatCommand, number: int) -> None:
        self.command = command
        self.words = command.words.rest()
        self.at = 0
        self.instance = Instance(number=number)
        self.modes = frozenset(MODES) - command.switches.missing_words

    def read(self) -> Instance:
        self._look_through()
        self.at = 0
        while self.at < len(self.words):
            word = self._take()
            if word in self.modes:
                mode = replace(self.instance.mode, **{word: True})
                self.instance = replace(self.instance, mode=mode)
            else:
                self._option(word)
        return self.instance

    def _take(self) -> str:
        self.at += 1
        return self.words[self.at - 1]

    def _left(self) -> int:
        return len(self.words) - self.at

    def _begins_with_digit(self) -> bool:
        return self._left() > 0 and self.words[self.at][:1].isdigit()

    def _look_through(self) -> None:
        while self._left() > 0:
            word = self._take()
            needed = _ARGUMENTS.get(word)
            if word in self.modes:
                continue
            if needed is None or word in self.command.switches.missing_words:
                raise RefusalError(f"unrecognised option ``{word}''", DATA_ERROR)
            if word.startswith("redirect_") and self._left() < needed.least:
                raise RefusalError(f"{word}: not enough arguments", DATA_ERROR)
            self.at += needed.least
            for _ in range(needed.optional):
                self.at += self._begins_with_digit()

    def _option(self, word: str) -> None:
        needed = _ARGUMENTS[word]
        if self._left() < needed.least:
            raise RefusalError("missing option", DATA_ERROR)
        arguments: list[str | None] = [self._take() for _ in range(needed.least)]
        for _ in range(needed.optional):
            arguments.append(self._take() if self._begins_with_digit() else None)
        first = arguments[0] or ""
        if word == "ip":
            address = inet_aton(first)
            if address is None:
                raise RefusalError(f"bad ip address ``{first}''", DATA_ERROR)
            self.instance = replace(self.instance, address=address)
        elif word == "if":
            self._interface(first)
        elif word == "port_range":
            self.instance = replace(self.instance, ports=_port_range(first))
        else:
            self._redirect(word, arguments)

    def _interface(self, name: str) -> None:
        addresses = self.command.surroundings.addresses(name)
        if addresses is None:
            raise RefusalError(f"unknown interface name {name}", _GENERAL)
        self.instance = replace(self.instance, interface=name, address=addresses[0] if addresses else 0)

    def _redirect(self, word: str, arguments: list[str | None]) -> None:
        try:
            redirect = _REDIRECTS[word](*arguments)
        except RedirectError as error:
            status = _GENERAL if error.host else UNAVAILABLE if error.unmodelled else DATA_ERROR
            raise RefusalError(error.text, status) from None
        self.instance = replace(self.instance, redirects=(*self.instance.redirects, redirect))


class _Arguments(NamedTuple):
    """How many words follow an option; those that are not needed begin with a digit."""

    least: int
    optional: int = 0


_ARGUMENTS = {
    "ip": _Arguments(1),
    "if": _Arguments(1),
    "port_range": _Arguments(1),
    "redirect_addr": _Arguments(2),
    "redirect_port": _Arguments(3, 1),
    "redirect_proto": _Arguments(2, 2),
}

_REDIRECTS: dict[str, Callable[..., Redirect]] = {
    "redirect_addr": address_redirect,
    "redirect_port": partial(port_redirect, dialect=IPFW),
    "redirect_proto": protocol_redirect,
}


def _port_range(text: str) -> tuple[int, int]:
    low, rest = leading_number(text)
    high, behind = leading_number(rest[1:])
    legal = range(_LOWEST_PORT, 65536)
    if low not in legal or rest[:1] != "-" or high not in legal or behind:
        raise RefusalError(f"You need a range of port(s) from {_LOWEST_PORT} <= x < 65536", DATA_ERROR)
    if low >= high:
        raise RefusalError("Upper port has to be greater than lower port", DATA_ERROR)
    return low, high


# delete


def _delete(command: NatCommand) -> int:
    words, switches = command.words, command.switches
    words.need("missing rule specification")
    status = 0
    while (words.peek() or "")[:1].isdigit():
        number = leading_number(words.take())[0]
        gone = command.dry or command.instances.delete(number)
        status = 0 if gone else UNAVAILABLE
        if not gone and not (command.quiet and switches.nat_delete_quietly):
            command.complain(switches.nat_absent.format(number=number))
    return status


# show


def _show(command: NatCommand) -> int:
    if command.dry:
        return 0
    words = command.words
    what = name = None
    for word in words.rest():
        if "config".startswith(word):
            what = "config"
        elif word == "log":
            what = "log"
        elif name is not None:
            raise RefusalError("only one instance name may be specified", USAGE)
        else:
            name = word
    if what is None:
        raise RefusalError("Please specify action. Available: config,log", USAGE)
    if name is None:
        for instance in sorted(command.instances, key=lambda instance: instance.number):
            _print(command, instance, what)
        return 0
    found = command.instances.get(int(name)) if name.isdigit() else None
    if found is None or (what == "log" and not found.mode.log):
        reason = "No such process" if found is None else "No such file or directory"
        raise RefusalError(f"Error getting nat {name} instance info: {reason}", _OS_ERROR)
    _print(command, found, what)
    return 0


def _print(command: NatCommand, instance: Instance, what: str) -> None:
    if what == "config":
        command.print(instance.listing())
        return
    line = command.instances.log(instance.number) if instance.mode.log else ""
    if line:
        command.print(f"nat {instance.number}: {line}\n")
