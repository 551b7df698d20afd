"""Sentences about the world: routers, interfaces, routes, links."""

from __future__ import annotations

from typing import Any

from lark import Token, v_args
from lark.tree import Meta

from simulator.scenario import model
from simulator.scenario.places import duration, number, share
from simulator.scenario.sentences.terminals import Terminals

__all__ = ["World"]


@v_args(meta=True)
class World(Terminals):
    """A method for each rule of the grammar, in its order."""

    def router(self, meta: Meta, children: list[Any], *, is_host: bool = False) -> Any:
        names = [str(child) for child in children if isinstance(child, Token) and child.type == "NAME"]
        switches: dict[str, str] = dict(child for child in children if isinstance(child, tuple))
        name, profile = names if len(names) == 2 else (None, names[0])
        return self._at(meta, model.Router(name, profile, switches, is_host))

    def host(self, meta: Meta, children: list[Any]) -> Any:
        names = [child for child in children if isinstance(child, Token)]
        if len(names) == 1:
            children.insert(1, Token("NAME", "linux-2.2"))
        return self.router(meta, children, is_host=True)

    def switch(self, meta: Meta, children: list[Any]) -> tuple[str, str]:
        return str(children[0]), children[1]

    def word(self, meta: Meta, children: list[Token]) -> str:
        return self._text(children[0])

    def on(self, meta: Meta, children: list[Token]) -> Any:
        return self._at(meta, model.On(str(children[0])))

    def interface(self, meta: Meta, children: list[Any]) -> Any:
        name, *rest = children
        addresses = tuple(str(child) for child in rest if isinstance(child, Token))
        options: dict[str, Any] = dict(child for child in rest if isinstance(child, tuple))
        return self._at(meta, model.Interface(str(name), addresses, options.get("mtu"), options.get("peer")))

    def mtu(self, meta: Meta, children: list[Token]) -> tuple[str, int]:
        return "mtu", self._number(children[0])

    def peer(self, meta: Meta, children: list[Token]) -> tuple[str, str]:
        return "peer", str(children[0])

    def address(self, meta: Meta, children: list[Token | None]) -> Any:
        interface, address, gone = children
        return self._at(meta, model.Address(str(interface), str(address), gone is not None))

    def route(self, meta: Meta, children: list[Any]) -> Any:
        return self._at(meta, model.Route("0.0.0.0/0" if children[0] == "default" else str(children[0]), **children[1]))

    def via(self, meta: Meta, children: list[Token]) -> dict[str, str]:
        return {"via": str(children[0])}

    def through(self, meta: Meta, children: list[Token]) -> dict[str, str]:
        return {"interface": str(children[0])}

    def reject(self, meta: Meta, children: list[Token]) -> dict[str, str]:
        return {"kind": "reject"}

    def blackhole(self, meta: Meta, children: list[Token]) -> dict[str, str]:
        return {"kind": "blackhole"}

    def gone(self, meta: Meta, children: list[Token]) -> dict[str, str]:
        return {"kind": "gone"}

    def link(self, meta: Meta, children: list[Any]) -> Any:
        one, other, *impairments = children
        return self._at(meta, model.Link(str(one), str(other), dict(impairments)))

    def impairment(self, meta: Meta, children: list[Token]) -> tuple[str, float]:
        word, value = children
        place = self._place(value)
        if word == "delay":
            return str(word), duration(value, place)
        return str(word), number(value, place) if word == "seed" else share(value, place)

    def allow(self, meta: Meta, children: list[Token]) -> Any:
        return self._at(meta, model.Allow(tuple(map(str, children))))
