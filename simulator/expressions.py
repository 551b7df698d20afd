"""Packets as scapy writes them, from text that nobody has to trust: ``IP(src="10.0.0.1", dst="10.0.0.2")/ICMP()``.

The text is parsed, never run: it may name layers and give their fields literal values, and nothing else.  Addresses are
numbers, since a name would be looked up in the network; what scapy would take from the machine it runs on, the source
address, is 0.0.0.0 unless it is said.  scapy is imported when the first packet is made.
"""

from __future__ import annotations

import ast
import importlib
import re
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NoReturn

from simulator.nopacket import NoPacketError

__all__ = ["LONGEST_TEXT", "ExpressionError", "octets"]

LONGEST_TEXT = 20_000
"""Characters of an expression."""

_LARGEST = 65_535
"""Octets of a packet, and of any text or repetition in it."""

_MODULES = ("packet", "layers.inet", "layers.dns", "layers.ntp", "layers.rip", "layers.tftp", "layers.dhcp")
"""Where layers may come from, below ``scapy``: those whose defaults are the same on every machine."""


class ExpressionError(NoPacketError):
    """An expression that is no packet."""


def octets(text: str) -> bytes:
    """The packet's octets, lengths and checksums filled in by scapy where they are not said.

    :raises ExpressionError: for text that is no packet, with the place; and where scapy is not installed.
    """
    if len(text) > LONGEST_TEXT:
        raise ExpressionError(f"an expression has at most {LONGEST_TEXT} characters, not {len(text)}", 0)
    indent = len(text) - len(text.lstrip())
    try:
        with warnings.catch_warnings(action="ignore"):  # a doubtful backslash is not worth a line to the user
            tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise ExpressionError(
            f"not a packet expression: {error.msg}", indent + max((error.offset or 1) - 1, 0)
        ) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ExpressionError(f"not a packet expression: {error or 'nested too deep'}", 0) from None
    reader = _Reader(indent)
    try:
        found = reader.payload(tree.body)
    except ImportError:
        told = "packets in scapy's notation need scapy: pip install 'divertsim[scapy]'"
        raise ExpressionError(told, indent) from None
    except RecursionError:
        raise ExpressionError("nested too deep", 0) from None
    try:
        result = found if isinstance(found, bytes) else bytes(found)
    except Exception as error:  # whatever a field makes of a value that does not fit it
        raise ExpressionError(f"scapy cannot build it: {_first_line(error)}", indent) from None
    if len(result) > _LARGEST:
        raise ExpressionError(f"a packet has at most {_LARGEST} octets, not {len(result)}", indent)
    return result


class _Reader:
    """Makes values of the nodes of an expression; each method names what may stand in its place."""

    def __init__(self, indent: int) -> None:
        self._indent = indent

    def _fail(self, node: ast.AST, text: str) -> NoReturn:
        raise ExpressionError(text, self._indent + getattr(node, "col_offset", 0))

    def payload(self, node: ast.expr) -> Any:
        """Layers joined by ``/``, text or octets: a scapy packet, or octets alone."""
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            below, above = self.payload(node.left), self.payload(node.right)
            if isinstance(below, bytes):
                return below + bytes(above)
            return below / (_layers()["Raw"](above) if isinstance(above, bytes) else above)
        if isinstance(node, ast.Call):
            return self._layer(node)
        value = self._value(node)
        if isinstance(value, str):
            value = value.encode("utf-8")
        if not isinstance(value, bytes):
            self._fail(node, f"expected a layer such as IP(), text or octets, not {ast.unparse(node)}")
        return value

    def _layer(self, node: ast.Call) -> Any:
        if not isinstance(node.func, ast.Name):
            self._fail(node, f"expected the name of a layer, not {ast.unparse(node.func)}")
        layer = _layers().get(node.func.id)
        if layer is None:
            self._fail(node, f"no layer {node.func.id!r}{_like(node.func.id)}")
        fields = {field.name: field for field in layer.fields_desc}
        values: dict[str, Any] = {}
        if node.args:
            if node.func.id != "Raw" or len(node.args) > 1:
                self._fail(node.args[0], f"a field of {node.func.id} is given by its name")
            values["load"] = self._value(node.args[0])
        for keyword in node.keywords:
            if keyword.arg is None:
                self._fail(keyword.value, "expected NAME=VALUE")
            if keyword.arg not in fields:
                self._fail(keyword, f"{node.func.id} has no field {keyword.arg!r} (it has {', '.join(fields)})")
            values[keyword.arg] = self._value(keyword.value)
        for keyword in node.keywords:
            if keyword.arg is not None:
                self._check(keyword.value, fields[keyword.arg], values[keyword.arg], values)
        if node.func.id == "IP":
            values.setdefault("src", "0.0.0.0")
            values.setdefault("dst", "0.0.0.0")
        try:
            return layer(**values)
        except Exception as error:  # as for building
            self._fail(node, f"scapy cannot make {node.func.id}: {_first_line(error)}")

    def _check(self, node: ast.expr, field: Any, value: Any, other_fields: Mapping[str, Any]) -> None:
        """Address fields take dotted quads alone: scapy would look a name up, and make many packets of a network.

        A field of several kinds (the data of a DNS record) may hold a name when the layer's type says so.
        """
        kinds = {kind.__name__ for each in (field, getattr(field, "fld", field)) for kind in type(each).__mro__}
        is_address = bool(kinds & {"IPField", "SourceIPField"}) or (
            "MultipleTypeField" in kinds and other_fields.get("type", 1) in (1, "A")
        )
        if is_address and not (isinstance(value, str) and _QUAD.fullmatch(value)):
            self._fail(node, f"{field.name} is an address such as 10.0.0.1, not {value!r}")

    def _value(self, node: ast.expr) -> Any:
        """A literal, a list or tuple of such, a repetition of text or octets, or a layer."""
        match node:
            case ast.Constant(value) if value is None or isinstance(value, str | bytes | bool | int | float):
                if isinstance(value, str | bytes) and len(value) > _LARGEST:
                    self._fail(node, f"at most {_LARGEST} octets")
                if isinstance(value, int) and abs(value) >= 1 << 128:
                    self._fail(node, f"too large a number: {value}")
                return value
            case ast.UnaryOp(ast.USub(), ast.Constant(value)) if isinstance(value, int | float):
                return -value
            case ast.List(items) | ast.Tuple(items):
                found = [self._value(item) for item in items]
                return found if isinstance(node, ast.List) else tuple(found)
            case ast.BinOp(left, ast.Mult(), right):
                return self._repeated(node, left, right)
            case ast.BinOp(_, ast.Div(), _):
                return self.payload(node)
            case ast.Call():
                return self._layer(node)
        self._fail(node, f"expected a literal or a layer, not {ast.unparse(node)}")

    def _repeated(self, node: ast.BinOp, left: ast.expr, right: ast.expr) -> str | bytes:
        what, times = self._value(left), self._value(right)
        if not isinstance(what, str | bytes) or not isinstance(times, int) or isinstance(times, bool):
            self._fail(node, f'expected text or octets times a number, such as "x"*100, not {ast.unparse(node)}')
        if not 0 <= times <= _LARGEST or len(what) * times > _LARGEST:
            self._fail(node, f"at most {_LARGEST} octets, not {len(what)} * {times}")
        return what * times


_QUAD = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}")


@cache
def _layers() -> dict[str, Any]:
    """The layers of scapy that may be named."""
    return dict(_gather())


def _gather() -> Iterator[tuple[str, Any]]:
    base = importlib.import_module("scapy.packet").Packet
    modules = {f"scapy.{name}" for name in _MODULES}
    for module in sorted(modules):
        for name, value in vars(importlib.import_module(module)).items():
            if isinstance(value, type) and issubclass(value, base) and value.__module__ in modules:
                yield name, value


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _like(name: str) -> str:
    """Names that may have been meant."""
    close = importlib.import_module("difflib").get_close_matches(name, _layers(), n=3)
    return f" (did you mean {', '.join(close)}?)" if close else ""
