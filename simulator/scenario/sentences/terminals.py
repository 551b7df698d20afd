"""What every kind of sentence is made of: tokens as values, a bad one an error in its place."""

from __future__ import annotations

import ast
import re
from typing import Any

from lark import Token, Transformer
from lark.tree import Meta

from simulator.scenario.model import Place, ScriptError
from simulator.scenario.places import duration, number
from simulator.wire.named import Value

__all__ = ["Terminals", "without_comment"]


class Terminals(Transformer[Token, Any]):
    """Below the builders of sentences, each of which has a method for each of its rules of the grammar."""

    def __init__(self, file: str, source: str) -> None:
        super().__init__()
        self._file = file
        self._source = source
        self._lines = source.splitlines()

    def _place(self, where: Meta | Token) -> Place:
        line, column = where.line, where.column
        assert line is not None
        assert column is not None
        return Place(self._file, line, column, self._lines[line - 1])

    def _at(self, meta: Meta, statement: Any) -> tuple[Place, Any]:
        return self._place(meta), statement

    def _text(self, token: Token) -> str:
        """What quotes hold; a bare word is itself."""
        if token[:1] not in "'\"":
            return str(token)
        try:
            return str(ast.literal_eval(token))
        except (ValueError, SyntaxError) as error:
            raise ScriptError(self._place(token), f"not a text: {error}") from None

    def _octets(self, token: Token) -> bytes:
        try:
            return bytes(ast.literal_eval(token))
        except (ValueError, SyntaxError) as error:
            raise ScriptError(self._place(token), f"not octets: {error}") from None

    def _number(self, token: Token) -> int:
        return number(token, self._place(token))

    def _seconds(self, token: Token) -> float:
        return duration(token, self._place(token))

    def _value(self, token: Token) -> Value:
        if token.type == "OCTETS":
            return self._octets(token)
        if token.type in ("NUMBER", "HEXNUMBER"):
            return self._number(token)
        return self._text(token)


_COMMENT = re.compile(r"[ \t]#.*$")


def without_comment(line: str) -> str:
    """A line whose words are another tool's: a comment begins at a number sign behind a blank."""
    return _COMMENT.sub("", line).rstrip()
