"""Packets, and sentences that give them names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lark import Token, v_args
from lark.tree import Meta

from simulator.scenario import model
from simulator.scenario.model import ScriptError
from simulator.scenario.sentences.terminals import Terminals
from simulator.spoken import SpokenError
from simulator.spoken import parse as parse_spoken
from simulator.wire.named import Value

__all__ = ["Packets"]

_MOST_PIECES = 10_000
"""Numbers behind ``order``."""


@v_args(meta=True)
class Packets(Terminals):
    """A method for each rule of the grammar, in its order."""

    def packet(self, meta: Meta, children: list[Any]) -> Any:
        return self._at(meta, model.PacketDefinition(str(children[0]), children[1]))

    def fragments(self, meta: Meta, children: list[Any]) -> model.Fragments:
        whole, mtu, order = children
        return model.Fragments(whole, self._number(mtu), order or (), self._place(meta))

    def order(self, meta: Meta, children: list[Token]) -> tuple[int, ...]:
        if len(children) > _MOST_PIECES:
            raise ScriptError(self._place(children[_MOST_PIECES]), f"at most {_MOST_PIECES:,} fragments in an order")
        return tuple(map(self._number, children))

    def one(self, meta: Meta, children: list[Any]) -> Any:
        source, edits = children
        if edits is None:
            return source
        if isinstance(source, model.Said):
            raise ScriptError(self._place(meta), "words say everything: use ttl, ipid ... instead of 'with'")
        return model.Edited(source, edits, self._place(meta))

    def fragment(self, meta: Meta, children: list[Any]) -> model.Fragment:
        count, whole, mtu = children
        return model.Fragment(whole, self._number(count), self._number(mtu), self._place(meta))

    def named(self, meta: Meta, children: list[Token]) -> model.Named:
        return model.Named(str(children[0]), self._place(meta))

    def hex(self, meta: Meta, children: list[Token]) -> model.Hex:
        try:
            return model.Hex(bytes.fromhex("".join(children)))
        except ValueError as error:
            raise ScriptError(self._place(meta), f"not octets in hex: {error}") from None

    def file(self, meta: Meta, children: list[Token | None]) -> model.File:
        path, count = children
        assert path is not None
        return model.File(self._text(path), 1 if count is None else self._number(count), self._place(meta))

    def spoken(self, meta: Meta, children: list[Token]) -> model.Said:
        place = self._place(meta)
        try:
            return model.Said(parse_spoken(str(children[0])), place)
        except SpokenError as error:
            raise ScriptError(place.further(error.column), error.text) from None

    def scapy(self, meta: Meta, children: list[Any]) -> model.Scapy:
        return model.Scapy(self._source[meta.start_pos : meta.end_pos], self._place(meta))

    def edit(self, meta: Meta, children: list[Any]) -> tuple[str, Value]:
        return str(children[0]), self._value(children[1])

    def edits(self, meta: Meta, children: list[tuple[str, Value]]) -> Mapping[str, Value]:
        return dict(children)
