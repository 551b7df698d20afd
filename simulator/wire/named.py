"""The header fields of a datagram by name: taken apart, compared, and altered.

Names are scapy's, which people know, behind the name of their header: ``ip.ttl``, ``tcp.dport``, ``icmp.type``; without
it (``ttl``, ``dport``) a name means the first header that has such a field, IP before transport.  What follows the last
known header is ``load``.  A fragment with an offset has no transport header: all that it carries is its load.

Any octets can be taken apart; what is not there is left out.  A field altered to a value that does not fit is a
``ValueError`` that names both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import TypeAlias

from rules.addresses import dotted
from simulator.wire.checksum import checksum, transport_checksum

__all__ = [
    "FIELDS",
    "Difference",
    "Field",
    "Value",
    "alter",
    "differences",
    "dissect",
    "full_name",
    "shown",
    "side_by_side",
]

Value: TypeAlias = int | str | bytes
"""A field's value: a number (an address too), octets, or text such as ``"10.0.0.1"`` or ``"SA"``."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a field stands in its header, in bits, and how it is shown."""

    at: int
    width: int
    letters: str = ""
    """For flags: one letter a bit, the lowest bit first (TCP) or a name (IP)."""
    is_address: bool = False
    in_hex: bool = False


_IP = {
    "version": _Place(0, 4),
    "ihl": _Place(4, 4),
    "tos": _Place(8, 8, in_hex=True),
    "len": _Place(16, 16),
    "id": _Place(32, 16),
    "flags": _Place(48, 3, letters="MF DF evil"),
    "frag": _Place(51, 13),
    "ttl": _Place(64, 8),
    "proto": _Place(72, 8),
    "chksum": _Place(80, 16, in_hex=True),
    "src": _Place(96, 32, is_address=True),
    "dst": _Place(128, 32, is_address=True),
}
_ICMP = {"type": _Place(0, 8), "code": _Place(8, 8), "chksum": _Place(16, 16, in_hex=True)}
_ICMP_ECHO = _ICMP | {"id": _Place(32, 16), "seq": _Place(48, 16)}
_ICMP_UNREACHABLE = _ICMP | {"unused": _Place(32, 16), "mtu": _Place(48, 16)}
_ICMP_REDIRECT = _ICMP | {"gw": _Place(32, 32, is_address=True)}
_ICMP_OTHER = _ICMP | {"unused": _Place(32, 32)}
_ICMP_KINDS = {
    **dict.fromkeys((0, 8, 13, 14, 15, 16, 17, 18), _ICMP_ECHO),
    3: _ICMP_UNREACHABLE,
    5: _ICMP_REDIRECT,
}
_UDP = {
    "sport": _Place(0, 16),
    "dport": _Place(16, 16),
    "len": _Place(32, 16),
    "chksum": _Place(48, 16, in_hex=True),
}
_TCP = {
    "sport": _Place(0, 16),
    "dport": _Place(16, 16),
    "seq": _Place(32, 32),
    "ack": _Place(64, 32),
    "dataofs": _Place(96, 4),
    "reserved": _Place(100, 4),
    "flags": _Place(104, 8, letters="F S R P A U E C"),
    "window": _Place(112, 16),
    "chksum": _Place(128, 16, in_hex=True),
    "urgptr": _Place(144, 16),
}
_TRANSPORT = {1: "icmp", 6: "tcp", 17: "udp"}
_SIZES = {"icmp": 8, "tcp": 20, "udp": 8}
_TABLES = {"ip": _IP, "icmp": _ICMP_ECHO | _ICMP_UNREACHABLE | _ICMP_REDIRECT, "udp": _UDP, "tcp": _TCP}

FIELDS: tuple[str, ...] = (
    *(f"ip.{name}" for name in _IP),
    "ip.options",
    *(f"{layer}.{name}" for layer in ("icmp", "udp", "tcp") for name in _TABLES[layer]),
    "tcp.options",
    "load",
)
"""Every name that there is, in full."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of one datagram."""

    name: str
    """In full, such as ``ip.ttl``."""
    value: int | bytes
    text: str
    """The value as people write it: ``10.0.0.1``, ``DF``, ``0x1c46``."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field in which two datagrams differ; None where one of them does not have it."""

    name: str
    one: str | None
    other: str | None

    def __str__(self) -> str:
        return f"{self.name} {self.one or '-'} -> {self.other or '-'}"


@dataclass(frozen=True, slots=True)
class _Section:
    """A header as it stands in the octets: which, where its fixed part starts, where its options and its end are."""

    layer: str
    start: int
    fixed: int
    end: int
    table: Mapping[str, _Place]


def _sections(octets: bytes) -> Iterator[_Section]:
    """The headers that are wholly there."""
    if len(octets) < 20 or octets[0] >> 4 != 4:
        return
    end = min(max((octets[0] & 15) * 4, 20), len(octets))
    yield _Section("ip", 0, 20, end, _IP)
    layer = _TRANSPORT.get(octets[9])
    if layer is None or (octets[6] & 0x1F or octets[7]) or len(octets) - end < _SIZES[layer]:
        return
    start, size = end, _SIZES[layer]
    if layer == "icmp":
        yield _Section(layer, start, size, start + size, _ICMP_KINDS.get(octets[start], _ICMP_OTHER))
    elif layer == "udp":
        yield _Section(layer, start, size, start + size, _UDP)
    else:
        length = min(max((octets[start + 12] >> 4) * 4, size), len(octets) - start)
        yield _Section(layer, start, size, start + length, _TCP)


def dissect(octets: bytes) -> tuple[Field, ...]:
    """Every field of a datagram in the order of the octets; octets that are no IPv4 datagram are one ``load``."""
    found: list[Field] = []
    end = 0
    for section in _sections(octets):
        head = int.from_bytes(octets[section.start : section.start + section.fixed], "big")
        for name, place in section.table.items():
            value = head >> (section.fixed * 8 - place.at - place.width) & ((1 << place.width) - 1)
            found.append(Field(f"{section.layer}.{name}", value, _text(place, value)))
        options = octets[section.start + section.fixed : section.end]
        if options:
            found.append(Field(f"{section.layer}.options", options, options.hex()))
        end = section.end
    if octets[end:] or not end:
        load = octets[end:]
        found.append(Field("load", load, shown(load)))
    return tuple(found)


def _text(place: _Place, value: int) -> str:
    if place.is_address:
        return dotted(value)
    if place.letters:
        names = [name for bit, name in enumerate(place.letters.split()) if value >> bit & 1]
        return ("" if len(names[0]) == 1 else "+").join(names) if names else "0"
    return f"{value:#06x}" if place.in_hex and place.width == 16 else f"{value:#04x}" if place.in_hex else str(value)


def shown(load: bytes, most: int = 24) -> str:
    """Octets in a few characters: text where they are text, else hex; the middle of long ones is left out."""
    if load and all(32 <= octet < 127 for octet in load):
        text = load.decode("ascii")
        head = text if len(text) <= most else f"{text[:most]}..."
        return f'"{head}" ({len(load)})'
    head = load.hex() if len(load) <= most else f"{load[:most].hex()}..."
    return f"{head} ({len(load)})"


def differences(one: bytes, other: bytes) -> tuple[Difference, ...]:
    """The fields in which two datagrams differ, in the order of the first one's octets."""
    if one == other:
        return ()
    sections = list(_sections(one))
    if sections == list(_sections(other)):
        return tuple(_same_layout(sections, one, other))
    left = {field.name: field for field in dissect(one)}
    right = {field.name: field for field in dissect(other)}
    found: list[Difference] = []
    for name in (*left, *(name for name in right if name not in left)):
        ours, theirs = left.get(name), right.get(name)
        if ours is None or theirs is None or ours.value != theirs.value:
            found.append(Difference(name, *_told_apart(ours, theirs)))
    return tuple(found)


def _same_layout(sections: list[_Section], one: bytes, other: bytes) -> Iterator[Difference]:
    """Where all headers are the same ones, only those that differ have to be looked at."""
    end = 0
    for section in sections:
        fixed = slice(section.start, section.start + section.fixed)
        left, right = int.from_bytes(one[fixed], "big"), int.from_bytes(other[fixed], "big")
        if left != right:
            for name, place in section.table.items():
                shift = section.fixed * 8 - place.at - place.width
                mask = (1 << place.width) - 1
                ours, theirs = left >> shift & mask, right >> shift & mask
                if ours != theirs:
                    yield Difference(f"{section.layer}.{name}", _text(place, ours), _text(place, theirs))
        options = slice(section.start + section.fixed, section.end)
        if one[options] != other[options]:
            yield Difference(f"{section.layer}.options", one[options].hex(), other[options].hex())
        end = section.end
    if one[end:] != other[end:]:
        load = (Field("load", octets[end:], shown(octets[end:])) if octets[end:] else None for octets in (one, other))
        yield Difference("load", *_told_apart(*load))


def _told_apart(one: Field | None, other: Field | None) -> tuple[str | None, str | None]:
    """The texts of both; where long octets look alike in short, the first octet that differs is named."""
    texts = (one.text if one else None, other.text if other else None)
    if one is None or other is None or texts[0] != texts[1]:
        return texts
    ours, theirs = one.value, other.value
    assert isinstance(ours, bytes)
    assert isinstance(theirs, bytes)
    at = next((index for index, (left, right) in enumerate(zip(ours, theirs, strict=False)) if left != right), None)
    if at is None:
        return texts
    return f"{texts[0]} with {ours[at]:02x} at octet {at}", f"{texts[1]} with {theirs[at]:02x} at octet {at}"


def side_by_side(expected: bytes, actual: bytes, *, all_fields: bool = True) -> Iterator[str]:
    """Two packets field by field in aligned lines, those that differ marked with ``>``, or those alone."""
    ours = {field.name: field for field in dissect(expected)}
    theirs = {field.name: field for field in dissect(actual)}
    rows = [
        (name, ours.get(name), theirs.get(name)) for name in (*ours, *(name for name in theirs if name not in ours))
    ]
    width = max(8, *(len(field.text) for _, field, _ in rows if field is not None))
    yield f"      {'field':<13} {'expected':<{width}}  actual"
    for name, one, other in rows:
        same = one is not None and other is not None and one.value == other.value
        mark = " " if same else ">"
        if all_fields or not same:
            yield f"    {mark} {name:<13} {one.text if one else '-':<{width}}  {other.text if other else '-'}".rstrip()


def full_name(octets: bytes, name: str) -> str:
    """The full name of a field of this datagram.  :raises ValueError: when it has no such field."""
    sections = tuple(_sections(octets))
    layer, dot, rest = name.partition(".")
    for section in sections:
        if dot and section.layer != layer:
            continue
        if (wanted := rest if dot else name) in section.table or (wanted == "options" and section.layer != "icmp"):
            return f"{section.layer}.{wanted}"
    if name == "load":
        return name
    headers = "/".join(section.layer for section in sections) or "no IPv4"
    raise ValueError(f"a datagram with {headers} header has no field {name!r}")


def alter(octets: bytes, changes: Mapping[str, Value]) -> bytes:
    """The datagram with other values in some fields.

    Lengths (``ip.len``, ``udp.len``) and checksums follow, as a sender would make them, except those that are altered
    themselves; the transport checksum of a fragment stays as it is, since its rest is not here, and so does a UDP
    checksum of 0 (none).

    :raises ValueError: for a field that the datagram does not have, or a value that does not fit.
    """
    given = {full_name(octets, name): value for name, value in changes.items()}
    result = bytearray(octets)
    if "load" in given:
        end = max((section.end for section in _sections(octets)), default=0)
        result[end:] = _octets("load", given["load"])
    for name in ("tcp.options", "ip.options"):  # from behind, so that places before them stay
        if name in given:
            _set_options(result, octets, name, _octets(name, given[name]))
    if len(result) > 0xFFFF:
        raise ValueError(f"a datagram of {len(result)} octets is longer than 65535")
    for layers in (("ip",), ("icmp", "udp", "tcp")):  # IP first: it decides what else there is
        sections = {section.layer: section for section in _sections(bytes(result))}
        for name, value in given.items():
            layer, _, field = name.partition(".")
            if layer in layers and field != "options":
                _set(result, sections.get(layer), name, field, value)
    _follow(result, {section.layer: section for section in _sections(bytes(result))}, given)
    return bytes(result)


def _octets(name: str, value: Value) -> bytes:
    if isinstance(value, int):
        raise ValueError(f"{name} takes octets or text, not {value!r}")
    return value.encode("utf-8") if isinstance(value, str) else value


def _set_options(result: bytearray, octets: bytes, name: str, options: bytes) -> None:
    layer = name.partition(".")[0]
    section = next(each for each in _sections(octets) if each.layer == layer)
    if len(options) % 4 or len(options) > 40:
        raise ValueError(f"{name}: options are a multiple of four octets, at most 40, not {len(options)}")
    result[section.start + section.fixed : section.end] = options
    words = (section.fixed + len(options)) // 4
    if layer == "ip":
        result[0] = result[0] & 0xF0 | words
    else:
        result[section.start + 12] = result[section.start + 12] & 0x0F | words << 4


def _set(result: bytearray, section: _Section | None, name: str, field: str, value: Value) -> None:
    place = None if section is None else section.table.get(field)
    if section is None or place is None:
        raise ValueError(f"no field {name!r} in what the datagram has become")
    number = _number(name, place, value)
    if not 0 <= number < 1 << place.width:
        raise ValueError(f"{name}={value!r} is not in 0 to {(1 << place.width) - 1}")
    slot = slice(section.start, section.start + section.fixed)
    shift = section.fixed * 8 - place.at - place.width
    head = int.from_bytes(result[slot], "big")
    head &= ~(((1 << place.width) - 1) << shift)
    result[slot] = (head | number << shift).to_bytes(section.fixed, "big")


def _number(name: str, place: _Place, value: Value) -> int:
    if isinstance(value, int):
        return value
    if isinstance(value, bytes):
        raise ValueError(f"{name} takes a number or text, not octets: {value!r}")
    if place.is_address:
        try:
            return int(IPv4Address(value))
        except AddressValueError:
            raise ValueError(f"{name}={value!r} is not an IPv4 address") from None
    if place.letters:
        names = place.letters.split()
        parts = list(value) if len(names[0]) == 1 else value.replace("+", " ").split()
        unknown = [part for part in parts if part not in names]
        if unknown:
            raise ValueError(f"{name}={value!r}: no flag {unknown[0]!r} (there are {', '.join(names)})")
        return sum(1 << names.index(part) for part in set(parts))
    raise ValueError(f"{name} takes a number, not {value!r}")


def _follow(result: bytearray, sections: Mapping[str, _Section], given: Mapping[str, Value]) -> None:
    """Lengths, then the transport's checksum, then the header's: each is summed over what is there by then."""
    ip = sections.get("ip")
    if ip is None:
        return
    if "ip.len" not in given and ("load" in given or "ip.options" in given or "tcp.options" in given):
        result[2:4] = len(result).to_bytes(2, "big")
    layer = next((name for name in ("icmp", "udp", "tcp") if name in sections), None)
    if layer is not None:
        _follow_transport(result, sections[layer], given)
    if "ip.chksum" not in given:
        result[10:12] = bytes(2)
        result[10:12] = checksum(result[: ip.end]).to_bytes(2, "big")


def _follow_transport(result: bytearray, section: _Section, given: Mapping[str, Value]) -> None:
    layer, start = section.layer, section.start
    if layer == "udp" and "udp.len" not in given and "load" in given:
        result[start + 4 : start + 6] = (len(result) - start).to_bytes(2, "big")
    summed = {"load"} if layer == "icmp" else {"load", "ip.src", "ip.dst", "ip.proto"}
    touched = any(name.startswith(layer) for name in given) or given.keys() & summed
    at = start + section.table["chksum"].at // 8
    more_fragments = bool(result[6] & 0x20)
    if f"{layer}.chksum" in given or not touched or more_fragments:
        return
    if layer == "udp" and not any(result[at : at + 2]):
        return
    result[at : at + 2] = bytes(2)
    segment = bytes(result[start:])
    if layer == "icmp":
        value = checksum(segment)
    else:
        source, destination = int.from_bytes(result[12:16], "big"), int.from_bytes(result[16:20], "big")
        value = transport_checksum(source, destination, result[9], segment)
    result[at : at + 2] = value.to_bytes(2, "big")
