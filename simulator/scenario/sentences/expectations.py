"""Sentences that begin with ``expect``."""

from __future__ import annotations

from typing import Any

from lark import Token, v_args
from lark.tree import Meta

from simulator.scenario import model
from simulator.scenario.places import host
from simulator.scenario.sentences.terminals import Terminals

__all__ = ["Expectations"]


@v_args(meta=True)
class Expectations(Terminals):
    """A method for each rule of the grammar, in its order."""

    def expect(self, meta: Meta, children: list[Any]) -> Any:
        return self._at(meta, children[0])

    def within(self, meta: Meta, children: list[Token]) -> float:
        return self._seconds(children[0])

    def any(self, meta: Meta, children: list[Any]) -> model.Any:
        return model.Any(children[0] or {}, self._place(meta))

    def nothing(self, meta: Meta, children: list[Any]) -> model.Nothing:
        return model.Nothing()

    def expect_sends(self, meta: Meta, children: list[Any]) -> model.Transmits:
        return model.Transmits(str(children[0]), children[1], children[2] or 0.0)

    def expect_reads(self, meta: Meta, children: list[Any]) -> model.Reads:
        name, packets, address, within = children
        return model.Reads(str(name), packets, address, within or 0.0)

    def came_with(self, meta: Meta, children: list[Any]) -> model.ReadAddress:
        address, tag, interface = children
        known = None if address is None else host(str(address), self._place(address))
        return model.ReadAddress(known, None if tag is None else self._number(tag), interface)

    def came_with_tag_first(self, meta: Meta, children: list[Token | None]) -> model.ReadAddress:
        tag, address, interface = children
        return self.came_with(meta, [address, tag, interface])

    def came_in(self, meta: Meta, children: list[Token]) -> str:
        return str(children[0]) if children else ""

    def expect_delivers(self, meta: Meta, children: list[Any]) -> model.Delivers:
        return model.Delivers(str(children[0]), children[1], children[2] or 0.0)

    def expect_silence(self, meta: Meta, children: list[Token | None]) -> model.Silence:
        return model.Silence(0.0 if children[0] is None else self._seconds(children[0]))

    def expect_failure(self, meta: Meta, children: list[Token | None]) -> model.Failure:
        code, text = children
        return model.Failure(str(code), None if text is None else self._text(text))

    def expect_output(self, meta: Meta, children: list[Token | None]) -> model.Output:
        return model.Output(_barred(children[0]))

    def expect_prints(self, meta: Meta, children: list[Token | None]) -> model.Prints:
        return model.Prints(_barred(children[0]))

    def expect_log(self, meta: Meta, children: list[Token]) -> model.Log:
        return model.Log(self._text(children[0]))

    def expect_path(self, meta: Meta, children: list[Token]) -> model.Path:
        steps = [" ".join(step.split()) for step in str(children[0]).removeprefix("path").split(",")]
        return model.Path(tuple(step for step in steps if step))

    def expect_counter(self, meta: Meta, children: list[Any]) -> model.Counter:
        rule, packets, octets = children
        return model.Counter(rule, self._number(packets), None if octets is None else self._number(octets))

    def counter_of(self, meta: Meta, children: list[Token]) -> str:
        return ":".join(map(str, children))

    def expect_drop(self, meta: Meta, children: list[Token]) -> model.Drop:
        return model.Drop(str(children[0]))

    def expect_ledger(self, meta: Meta, children: list[Any]) -> model.LedgerCounts:
        return model.LedgerCounts(dict(child for child in children if child is not None))

    def balanced(self, meta: Meta, children: list[Any]) -> None:
        return None

    def count(self, meta: Meta, children: list[Token]) -> tuple[str, int]:
        return str(children[0]), self._number(children[1])


def _barred(block: Token | None) -> tuple[str, ...]:
    """The lines that begin with a bar, without it."""
    lines = [] if block is None else block.splitlines()
    return tuple(line.strip()[1:].removeprefix(" ").rstrip() for line in lines if line.strip())
