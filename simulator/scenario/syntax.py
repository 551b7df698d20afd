"""The grammar's parser, and what is said of text that it refuses.

The grammar stands in ``grammar.lark``.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib.resources import files

from lark import Lark
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from simulator.scenario.model import Place, ScriptError

__all__ = ["explained", "parser"]


@cache
def parser() -> Lark:
    """Made once, when the first script is read."""
    grammar = files("simulator.scenario").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=True)


_NAMES = {
    "NAME": "a name",
    "NUMBER": "a number",
    "ADDRESS": "an address such as 10.0.0.1 or 10.0.0.1/24",
    "STRING": "text in quotes",
    "OCTETS": 'octets such as b"\\x00"',
    "DURATION": "a time such as 2s or 10ms",
    "TIME": "a time such as +0.5 or @31",
    "SPOKEN": "a packet in ipfw's words (icmp from A to B)",
    "HEX": "octets in hex",
    "HEXNUMBER": "a number such as 0x1f",
    "COMMAND": "'ipfw ...', 'ipchains ...' or 'sysctl ...'",
    "PROGRAM": "'program PORT NAME'",
    "PATH": "'path ...'",
    "OUTPUT": "lines that begin with |",
    "UP_OR_DOWN": "'up' or 'down'",
    "LINK_WORD": "'delay', 'loss', 'reorder', 'duplicate', 'corrupt' or 'seed'",
    "_NL": "the end of the line",
    "$END": "the end of the script",
}


def explained(error: UnexpectedInput, file: str, source: str) -> ScriptError:
    """What the parser expected, and found in its place."""
    lines = source.splitlines()
    if isinstance(error, UnexpectedEOF):
        return ScriptError(Place(file, len(lines), 1, lines[-1] if lines else ""), "the script ends too early")
    line, column = error.line, error.column
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    expected: set[str] = set()
    found = repr(text[column - 1 : column])
    if isinstance(error, UnexpectedToken):
        expected = set(error.accepts or error.expected)
        found = "the end of the line" if error.token.type == "_NL" else repr(str(error.token))
        if error.token.type == "_NL":
            column = len(text.partition("#")[0].rstrip()) + 1
    elif isinstance(error, UnexpectedCharacters):
        expected = set(error.allowed or ())
    verb = set(_VERBS) <= expected
    first = text.split()[0] if text.split() else ""
    if verb and (near := get_close_matches(first, _STATEMENTS, n=1)):
        where = Place(file, line, text.index(first) + 1, text)
        return ScriptError(where, f"no statement begins with {first!r} (did you mean {near[0]}?)")
    if "'" in found[1:-1] or '"' in found[1:-1]:
        found = "a quote that is not closed" if isinstance(error, UnexpectedCharacters) else found
    message = f"expected {_listed(expected)}, not {found}" if expected else f"cannot read {found}"
    return ScriptError(Place(file, line, column, text), message)


_VERBS = ("RECEIVES", "SENDS", "WRITES")
_STATEMENTS = (
    *("router", "host", "on", "interface", "address", "route", "link", "include", "case", "allow", "ipfw", "ipchains"),
    "sysctl",
    *("socket", "program", "packet", "expect"),
)
"""What lines begin with, apart from names of one's own."""


def _listed(expected: set[str]) -> str:
    if "EXPECT" in expected and "ROUTER" in expected and "_NL" not in expected:
        return "a statement (router, interface, ipfw, NAME receives, expect ...)"
    words = sorted(filter(None, map(_word, expected)))
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _word(terminal: str) -> str:
    if terminal in _NAMES:
        return _NAMES[terminal]
    definition = next((each for each in parser().terminals if each.name == terminal), None)
    return repr(definition.pattern.value) if definition is not None else ""
