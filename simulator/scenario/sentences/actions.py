"""Sentences that make something happen: commands, sockets, programs, packets."""

from __future__ import annotations

import shlex
from typing import Any

from lark import Token, v_args
from lark.tree import Meta

from simulator.scenario import model
from simulator.scenario.model import ScriptError
from simulator.scenario.places import divert_port
from simulator.scenario.sentences.terminals import Terminals, without_comment

__all__ = ["Actions"]


@v_args(meta=True)
class Actions(Terminals):
    """A method for each rule of the grammar, in its order."""

    def command(self, meta: Meta, children: list[Token]) -> Any:
        tool, _, words = without_comment(str(children[0])).partition(" ")
        return self._at(meta, model.Command(tool, words.strip()))

    def program(self, meta: Meta, children: list[Token]) -> Any:
        try:
            _, *words = shlex.split(without_comment(str(children[0])))
        except ValueError as error:
            raise ScriptError(self._place(children[0]), f"not a program line: {error}") from None
        if len(words) < 2:
            raise ScriptError(self._place(children[0]), "expected: program PORT NAME [OPTION ...]")
        port = divert_port(words[0], self._place(children[0]).at(words[0]))
        return self._at(meta, model.Program(port, words[1], tuple(words[2:])))

    def socket(self, meta: Meta, children: list[Any]) -> Any:
        kind, of, address, only = children[1]
        owner: str | int = "root"
        if (user := children[2]) is not None:
            owner = self._number(user) if user.type == "NUMBER" else str(user)
        return self._at(meta, model.Socket(str(children[0]), kind, of, address, only, owner))

    def divert(self, meta: Meta, children: list[Token | None]) -> Any:
        address, port = children
        assert port is not None
        return "divert", divert_port(port, self._place(port)), None if address is None else str(address), ""

    def udp(self, meta: Meta, children: list[Token | None]) -> Any:
        address, port = children
        assert port is not None
        return "udp", self._number(port), None if address is None else str(address), ""

    def raw(self, meta: Meta, children: list[Token]) -> Any:
        return "raw", self._number(children[0]), None, ""

    def tap(self, meta: Meta, children: list[Token | None]) -> Any:
        interface, only = children
        return "tap", 0, str(interface), "" if only is None else self._text(only)

    def netlink(self, meta: Meta, children: list[Token]) -> Any:
        return "netlink", 0, None, ""

    def receives(self, meta: Meta, children: list[Any]) -> Any:
        return self._at(meta, model.Receives(str(children[0]), children[1]))

    def sends(self, meta: Meta, children: list[Any]) -> Any:
        return self._at(meta, model.Sends(str(children[0]), children[1]))

    def writes(self, meta: Meta, children: list[Any]) -> Any:
        return self._at(meta, model.Writes(str(children[0]), children[1], children[2] if len(children) == 3 else None))

    def back(self, meta: Meta, children: list[Any]) -> str:
        return "back"

    def socket_address(self, meta: Meta, children: list[Token | None]) -> model.SocketAddress:
        host, tag, interface = children
        return model.SocketAddress(
            str(host), None if tag is None else self._number(tag), None if interface is None else str(interface)
        )

    def closes(self, meta: Meta, children: list[Token]) -> Any:
        return self._at(meta, model.Closes(str(children[0])))

    def goes(self, meta: Meta, children: list[Token]) -> Any:
        return self._at(meta, model.Goes(str(children[0]), children[1] == "up"))

    def joins(self, meta: Meta, children: list[Token]) -> Any:
        return self._at(meta, model.Joins(str(children[0]), str(children[1])))

    def sets(self, meta: Meta, children: list[Token]) -> Any:
        return self._at(meta, model.Sets(str(children[0]), str(children[1]), self._value(children[2])))
