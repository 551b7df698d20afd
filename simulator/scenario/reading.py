"""From a script's text to its model: the grammar, its tokens made into values, and errors that point at the place.

The grammar stands in ``grammar.lark``.  ``include`` takes another script's lines in; what may be included is decided
by who calls :func:`read`, with the function that gives a name's text.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any as Anything

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken, VisitError
from lark.tree import Meta

from simulator.scenario import model
from simulator.scenario.model import Place, ScriptError
from simulator.scenario.places import duration, number, share
from simulator.spoken import SpokenError
from simulator.spoken import parse as parse_spoken
from simulator.wire.named import Value

__all__ = ["MOST_LINES", "Reader", "read"]

Reader = Callable[[str], str]
"""Gives the text of an included script.  :raises OSError, ValueError: when there is none, or it may not be had."""

MOST_LINES = 20_000
"""Lines of one script, those of what it includes too."""

_DEEPEST = 8
"""Includes inside includes."""

_MOST_NESTED = 50
"""Brackets inside brackets."""

_MOST_PIECES = 10_000
"""Numbers behind ``order``."""


class _Allowance:
    """The lines that may still come: an included script's count each time that it is included."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._left = MOST_LINES

    def spend(self, text: str, place: Place | None) -> None:
        self._left -= text.count("\n") + 1
        if self._left < 0:
            most = f"a script has at most {MOST_LINES} lines"
            if place is None:
                raise ScriptError(Place(self._file, MOST_LINES, 1), most)
            raise ScriptError(place, f"{most}, those of what it includes too")


_ANNOUNCED = re.compile(r"^Fails: *(\S.*)$", re.M)


def read(text: str, file: str, reader: Reader | None = None) -> model.Script:
    """The script.  One whose first comment announces a failure may be unreadable: then that is what it says.

    :raises ScriptError: for text that is no script, with the place and what was expected there.
    """
    description = _description(text)
    announced = tuple(_ANNOUNCED.findall(description))
    try:
        allowance = _Allowance(file)
        allowance.spend(text.removesuffix("\n"), None)
        script = _read(text, file, reader, 0, allowance)
    except ScriptError as error:
        if not announced:
            raise
        return model.Script(file, description, (), (), announced, error)
    if announced and script.cases:
        raise ScriptError(script.cases[0].place, "a script whose first comment announces a failure has no cases")
    return replace(script, announced=announced)


def _read(text: str, file: str, reader: Reader | None, depth: int, allowance: _Allowance) -> model.Script:
    source = text if text.endswith("\n") else text + "\n"
    _check_nesting(source, file)
    try:
        lines = _Builder(file, source).transform(_parser().parse(source))
    except UnexpectedInput as error:
        raise _explained(error, file, source) from None
    except VisitError as error:
        if isinstance(error.orig_exc, ScriptError):
            raise error.orig_exc from None
        raise
    setup: list[model.Line] = []
    cases: list[model.CaseBlock] = []
    current = setup
    for line in lines:
        match line.statement:
            case _Case(name):
                if any(name == case.name for case in cases):
                    raise ScriptError(line.place, f"there is a case {name!r} already")
                current = []
                cases.append(model.CaseBlock(name, line.place, ()))
            case _Include(path):
                current += _included(path, line.place, reader, depth, allowance)
            case _:
                current.append(line)
        if cases:
            cases[-1] = model.CaseBlock(cases[-1].name, cases[-1].place, tuple(current))
    return model.Script(file, _description(text), tuple(setup), tuple(cases))


def _check_nesting(source: str, file: str) -> None:
    """Brackets nested beyond any use would exhaust the stack of what reads them."""
    if source.count("(") + source.count("[") <= _MOST_NESTED:
        return
    for at, line in enumerate(source.split("\n"), start=1):
        depth = 0
        for column, character in enumerate(line, start=1):
            depth += (character in "([") - (character in ")]" and depth > 0)
            if depth > _MOST_NESTED:
                shown = line[: column + 20]
                raise ScriptError(Place(file, at, column, shown), f"brackets are nested {_MOST_NESTED} deep at most")


def _included(
    path: str, place: Place, reader: Reader | None, depth: int, allowance: _Allowance
) -> tuple[model.Line, ...]:
    if reader is None:
        raise ScriptError(place, "this script has no folder to include from")
    if depth == _DEEPEST:
        raise ScriptError(place, f"includes go {_DEEPEST} deep at most")
    try:
        text = reader(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ScriptError(place, f"cannot include {path!r}: {reason}") from None
    allowance.spend(text.removesuffix("\n"), place)
    script = _read(text, path, reader, depth + 1, allowance)
    if script.cases:
        raise ScriptError(script.cases[0].place, "an included script has no cases")
    return script.setup


def _description(text: str) -> str:
    """The comment that a script begins with."""
    said: list[str] = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        said.append(line.lstrip("#").strip())
    return "\n".join(said).strip()


@cache
def _parser() -> Lark:
    grammar = files("simulator.scenario").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=True)


# -- errors ------------------------------------------------------------------------------------------------------------

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
    "COMMAND": "'ipfw ...' or 'ipchains ...'",
    "PROGRAM": "'program PORT NAME'",
    "PATH": "'path ...'",
    "OUTPUT": "lines that begin with |",
    "UP_OR_DOWN": "'up' or 'down'",
    "LINK_WORD": "'delay', 'loss', 'reorder', 'duplicate', 'corrupt' or 'seed'",
    "_NL": "the end of the line",
    "$END": "the end of the script",
}


def _explained(error: UnexpectedInput, file: str, source: str) -> ScriptError:
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
    definition = next((each for each in _parser().terminals if each.name == terminal), None)
    return repr(definition.pattern.value) if definition is not None else ""


# -- tokens -> values --------------------------------------------------------------------------------------------------


class _Case:
    __match_args__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class _Include:
    __match_args__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path


@v_args(meta=True)
class _Builder(Transformer[Token, list[model.Line]]):
    """A method for each rule of the grammar, in its order: what stands there, as a value of the model."""

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

    # Terminals

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

    # Lines

    def start(self, meta: Meta, children: list[Anything]) -> list[model.Line]:
        return [
            child if isinstance(child, model.Line) else model.Line(child[0], None, child[1])
            for child in children
            if not isinstance(child, Token)
        ]

    def timed(self, meta: Meta, children: list[Anything]) -> model.Line:
        place, statement = children[1]
        return model.Line(place, self._time(children[0]), statement)

    def when(self, meta: Meta, children: list[Token]) -> model.Line:
        return model.Line(self._place(children[0]), self._time(children[0]), None)

    def _time(self, token: Token) -> model.Time:
        seconds = duration(token[1:], self._place(token))
        return model.Time(seconds, relative=token[0] == "+")

    def _at(self, meta: Meta, statement: Anything) -> tuple[Place, Anything]:
        return self._place(meta), statement

    # The world

    def router(self, meta: Meta, children: list[Anything], *, is_host: bool = False) -> Anything:
        names = [str(child) for child in children if isinstance(child, Token) and child.type == "NAME"]
        switches: dict[str, str] = dict(child for child in children if isinstance(child, tuple))
        name, profile = names if len(names) == 2 else (None, names[0])
        return self._at(meta, model.Router(name, profile, switches, is_host))

    def host(self, meta: Meta, children: list[Anything]) -> Anything:
        names = [child for child in children if isinstance(child, Token)]
        if len(names) == 1:
            children.insert(1, Token("NAME", "linux-2.2"))
        return self.router(meta, children, is_host=True)

    def switch(self, meta: Meta, children: list[Anything]) -> tuple[str, str]:
        return str(children[0]), children[1]

    def word(self, meta: Meta, children: list[Token]) -> str:
        return self._text(children[0])

    def on(self, meta: Meta, children: list[Token]) -> Anything:
        return self._at(meta, model.On(str(children[0])))

    def interface(self, meta: Meta, children: list[Anything]) -> Anything:
        name, *rest = children
        addresses = tuple(str(child) for child in rest if isinstance(child, Token))
        options: dict[str, Anything] = dict(child for child in rest if isinstance(child, tuple))
        return self._at(meta, model.Interface(str(name), addresses, options.get("mtu"), options.get("peer")))

    def mtu(self, meta: Meta, children: list[Token]) -> tuple[str, int]:
        return "mtu", self._number(children[0])

    def peer(self, meta: Meta, children: list[Token]) -> tuple[str, str]:
        return "peer", str(children[0])

    def address(self, meta: Meta, children: list[Token]) -> Anything:
        return self._at(meta, model.Address(str(children[0]), str(children[1])))

    def route(self, meta: Meta, children: list[Anything]) -> Anything:
        return self._at(meta, model.Route("0.0.0.0/0" if children[0] == "default" else str(children[0]), **children[1]))

    def via(self, meta: Meta, children: list[Token]) -> dict[str, str]:
        return {"via": str(children[0])}

    def through(self, meta: Meta, children: list[Token]) -> dict[str, str]:
        return {"interface": str(children[0])}

    def reject(self, meta: Meta, children: list[Token]) -> dict[str, str]:
        return {"kind": "reject"}

    def blackhole(self, meta: Meta, children: list[Token]) -> dict[str, str]:
        return {"kind": "blackhole"}

    def link(self, meta: Meta, children: list[Anything]) -> Anything:
        one, other, *impairments = children
        return self._at(meta, model.Link(str(one), str(other), dict(impairments)))

    def impairment(self, meta: Meta, children: list[Token]) -> tuple[str, float]:
        word, value = children
        place = self._place(value)
        if word == "delay":
            return str(word), duration(value, place)
        return str(word), number(value, place) if word == "seed" else share(value, place)

    def include(self, meta: Meta, children: list[Token]) -> Anything:
        return self._at(meta, _Include(self._text(children[0])))

    def case(self, meta: Meta, children: list[Token]) -> Anything:
        return self._at(meta, _Case(self._text(children[0])))

    def allow(self, meta: Meta, children: list[Token]) -> Anything:
        return self._at(meta, model.Allow(tuple(map(str, children))))

    # Rules, sockets, programs

    def command(self, meta: Meta, children: list[Token]) -> Anything:
        tool, _, words = _without_comment(str(children[0])).partition(" ")
        return self._at(meta, model.Command(tool, words.strip()))

    def program(self, meta: Meta, children: list[Token]) -> Anything:
        try:
            _, *words = shlex.split(_without_comment(str(children[0])))
        except ValueError as error:
            raise ScriptError(self._place(children[0]), f"not a program line: {error}") from None
        if len(words) < 2:
            raise ScriptError(self._place(children[0]), "expected: program PORT NAME [OPTION ...]")
        port = number(words[0], self._place(children[0]))
        return self._at(meta, model.Program(port, words[1], tuple(words[2:])))

    def socket(self, meta: Meta, children: list[Anything]) -> Anything:
        kind, of, address, only = children[1]
        owner: str | int = "root"
        if (user := children[2]) is not None:
            owner = self._number(user) if user.type == "NUMBER" else str(user)
        return self._at(meta, model.Socket(str(children[0]), kind, of, address, only, owner))

    def divert(self, meta: Meta, children: list[Token | None]) -> Anything:
        return "divert", *self._bound(children)

    def udp(self, meta: Meta, children: list[Token | None]) -> Anything:
        return "udp", *self._bound(children)

    def _bound(self, children: list[Token | None]) -> tuple[int, str | None, str]:
        address, port = children
        assert port is not None
        return self._number(port), None if address is None else str(address), ""

    def raw(self, meta: Meta, children: list[Token]) -> Anything:
        return "raw", self._number(children[0]), None, ""

    def tap(self, meta: Meta, children: list[Token | None]) -> Anything:
        interface, only = children
        return "tap", 0, str(interface), "" if only is None else self._text(only)

    def netlink(self, meta: Meta, children: list[Token]) -> Anything:
        return "netlink", 0, None, ""

    # Packets

    def packet(self, meta: Meta, children: list[Anything]) -> Anything:
        return self._at(meta, model.PacketDefinition(str(children[0]), children[1]))

    def fragments(self, meta: Meta, children: list[Anything]) -> model.Fragments:
        whole, mtu, order = children
        return model.Fragments(whole, self._number(mtu), order or (), self._place(meta))

    def order(self, meta: Meta, children: list[Token]) -> tuple[int, ...]:
        if len(children) > _MOST_PIECES:
            raise ScriptError(self._place(children[_MOST_PIECES]), f"at most {_MOST_PIECES:,} fragments in an order")
        return tuple(map(self._number, children))

    def one(self, meta: Meta, children: list[Anything]) -> Anything:
        source, edits = children
        if edits is None:
            return source
        if isinstance(source, model.Said):
            raise ScriptError(self._place(meta), "words say everything: use ttl, ipid ... instead of 'with'")
        return model.Edited(source, edits, self._place(meta))

    def fragment(self, meta: Meta, children: list[Anything]) -> model.Fragment:
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
            where = Place(place.file, place.line, place.column + error.column, place.text)
            raise ScriptError(where, error.text) from None

    def scapy(self, meta: Meta, children: list[Anything]) -> model.Scapy:
        return model.Scapy(self._source[meta.start_pos : meta.end_pos], self._place(meta))

    def edit(self, meta: Meta, children: list[Anything]) -> tuple[str, Value]:
        return str(children[0]), self._value(children[1])

    def _value(self, token: Token) -> Value:
        if token.type == "OCTETS":
            return self._octets(token)
        if token.type in ("NUMBER", "HEXNUMBER"):
            return self._number(token)
        return self._text(token)

    def with_(self, meta: Meta, children: list[tuple[str, Value]]) -> Mapping[str, Value]:
        return dict(children)

    # What happens

    def receives(self, meta: Meta, children: list[Anything]) -> Anything:
        return self._at(meta, model.Receives(str(children[0]), children[1]))

    def sends(self, meta: Meta, children: list[Anything]) -> Anything:
        return self._at(meta, model.Sends(str(children[0]), children[1]))

    def writes(self, meta: Meta, children: list[Anything]) -> Anything:
        return self._at(meta, model.Writes(str(children[0]), children[1], children[2] if len(children) == 3 else None))

    def back(self, meta: Meta, children: list[Anything]) -> str:
        return "back"

    def socket_address(self, meta: Meta, children: list[Token | None]) -> model.SocketAddress:
        host, tag, interface = children
        return model.SocketAddress(
            str(host), None if tag is None else self._number(tag), None if interface is None else str(interface)
        )

    def closes(self, meta: Meta, children: list[Token]) -> Anything:
        return self._at(meta, model.Closes(str(children[0])))

    def goes(self, meta: Meta, children: list[Token]) -> Anything:
        return self._at(meta, model.Goes(str(children[0]), children[1] == "up"))

    def joins(self, meta: Meta, children: list[Token]) -> Anything:
        return self._at(meta, model.Joins(str(children[0]), str(children[1])))

    def sets(self, meta: Meta, children: list[Token]) -> Anything:
        return self._at(meta, model.Sets(str(children[0]), str(children[1]), self._value(children[2])))

    # What is expected

    def expect(self, meta: Meta, children: list[Anything]) -> Anything:
        return self._at(meta, children[0])

    def within(self, meta: Meta, children: list[Token]) -> float:
        return self._seconds(children[0])

    def any(self, meta: Meta, children: list[Anything]) -> model.Any:
        return model.Any(children[0] or {}, self._place(meta))

    def nothing(self, meta: Meta, children: list[Anything]) -> model.Nothing:
        return model.Nothing()

    def expect_sends(self, meta: Meta, children: list[Anything]) -> model.Transmits:
        return model.Transmits(str(children[0]), children[1], children[2] or 0.0)

    def expect_reads(self, meta: Meta, children: list[Anything]) -> model.Reads:
        name, packets, address, within = children
        return model.Reads(str(name), packets, address, within or 0.0)

    def came_with(self, meta: Meta, children: list[Anything]) -> model.ReadAddress:
        host, tag, interface = children
        return model.ReadAddress(
            None if host is None else str(host), None if tag is None else self._number(tag), interface
        )

    def came_with_tag_first(self, meta: Meta, children: list[Token | None]) -> model.ReadAddress:
        tag, host, interface = children
        return self.came_with(meta, [host, tag, interface])

    def came_in(self, meta: Meta, children: list[Token]) -> str:
        return str(children[0]) if children else ""

    def expect_delivers(self, meta: Meta, children: list[Anything]) -> model.Delivers:
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

    def expect_counter(self, meta: Meta, children: list[Anything]) -> model.Counter:
        rule, packets, octets = children
        return model.Counter(rule, self._number(packets), None if octets is None else self._number(octets))

    def counter_of(self, meta: Meta, children: list[Token]) -> str:
        return ":".join(map(str, children))

    def expect_drop(self, meta: Meta, children: list[Token]) -> model.Drop:
        return model.Drop(str(children[0]))

    def expect_ledger(self, meta: Meta, children: list[Anything]) -> model.LedgerCounts:
        return model.LedgerCounts(dict(child for child in children if child is not None))

    def balanced(self, meta: Meta, children: list[Anything]) -> None:
        return None

    def count(self, meta: Meta, children: list[Token]) -> tuple[str, int]:
        return str(children[0]), self._number(children[1])


setattr(_Builder, "with", _Builder.with_)  # the rule's name is a keyword of Python
_COMMENT = re.compile(r"[ \t]#.*$")


def _without_comment(line: str) -> str:
    """A line whose words are another tool's: a comment begins at a number sign behind a blank."""
    return _COMMENT.sub("", line).rstrip()


def _barred(block: Token | None) -> tuple[str, ...]:
    """The lines that begin with a bar, without it."""
    lines = [] if block is None else block.splitlines()
    return tuple(line.strip()[1:].removeprefix(" ").rstrip() for line in lines if line.strip())
