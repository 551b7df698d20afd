"""One packet out of a region: a nice one, with addresses of the documentation and ports that people know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rules.analysis.space import ABSENT, Atom, Place, Region, Space
from rules.fields import ICMP, OFFSET_MASK, TCP, UDP, Header

__all__ = ["Witness", "witness"]

_NICE: dict[str, Sequence[Any]] = {
    "source": (0xC0000202, 0xC6336402, 0xCB007102, 0x0A000002, 0xC0A80102, 0xAC100002),
    "destination": (0xC6336407, 0xCB007107, 0xC0000207, 0x0A000007, 0xC0A80107, 0xAC100007),
    "protocol": (TCP, UDP, ICMP, 47, 50),
    "source_port": (1024, 40000, 53, 80, 1023),
    "destination_port": (80, 443, 22, 25, 53, 8080),
    "fragment": (0, 0x2000, 185),
    "icmp_type": (8, 0, 3, 11),
    "icmp_code": (0,),
    "tcp_flags": (2, 16, 18, 24, 17, 4),
    "ttl": (64, 128, 255),
    "tos": (0,),
    "total_length": (60, 40, 1500, 576),
    "identification": (1,),
    "tcp_sequence": (0,),
    "tcp_acknowledgment": (0, 1),
    "tcp_window": (65535,),
}
"""Values that people like, the nicest first."""


@dataclass(frozen=True)
class Witness:
    """A packet, where it is, and whether a divert socket wrote it."""

    place: Place
    header: Header
    reinjected: str | None = None


def witness(space: Space, region: Region) -> Witness:
    """The nicest packet of a region, whose points are packets (:meth:`Space.valid`)."""
    chosen = {name: _nicest(name, atoms) for name, atoms in space.values(region).items()}
    place = chosen.pop("place")
    reinjected = chosen.pop("reinjected", None)
    protocol, fragment = chosen["protocol"], chosen["fragment"]
    fields: dict[str, Any] = {"source": _NICE["source"][0], "destination": _NICE["destination"][0], **chosen}
    first = not fragment & OFFSET_MASK
    if first and protocol in (TCP, UDP):
        fields.setdefault("source_port", 1024)
        fields.setdefault("destination_port", 80 if protocol == TCP else 53)
    if first and protocol == TCP:
        for name, value in (("tcp_flags", 2), ("tcp_sequence", 0), ("tcp_acknowledgment", 0), ("tcp_window", 65535)):
            fields.setdefault(name, value)
        fields.setdefault("tcp_options", b"")
    if first and protocol == ICMP:
        fields.setdefault("icmp_type", 8)
        fields.setdefault("icmp_code", 0)
    options = fields.get("options", b"")
    header_length = 20 + len(options)
    transport = {TCP: 20 + len(fields.get("tcp_options") or b""), UDP: 8, ICMP: 8}.get(protocol, 0) if first else 8
    natural = header_length + max(transport, 8)
    lengths = space.values(region).get("total_length", ())
    if not lengths or any(natural in atom for atom in lengths):
        fields["total_length"] = natural
    fields |= {"header_length": header_length, "payload_length": fields["total_length"] - header_length}
    if fields.get("tcp_flags") is not None:
        fields["tcp_data_length"] = fields["total_length"] - header_length - transport
    header = Header(
        **fields, receive_interface=place.received_on, transmit_interface=place.leaves_by, reinjected=reinjected
    )
    return Witness(place, header, reinjected)


def _nicest(name: str, atoms: Sequence[Atom]) -> Any:
    for value in _NICE.get(name, ()):
        if any(value in atom for atom in atoms):
            return value
    if name == "place":
        return min((atom.low for atom in atoms), key=lambda place: _plainness(place))
    first = next(iter(_simple(atoms)))
    if first.low is ABSENT or not isinstance(first.low, int) or first.low == first.high:
        return first.low
    if name in ("source", "destination"):
        return _round_address(first)
    return first.low


def _simple(atoms: Iterable[Atom]) -> list[Atom]:
    """Atoms with the fewest bits set first: round numbers."""
    return sorted(
        atoms,
        key=lambda atom: (
            not isinstance(atom.low, int),
            bin(atom.low or 0).count("1") if isinstance(atom.low, int) else 0,
        ),
    )


def _round_address(atom: Atom) -> int:
    """An address of an interval that is neither its first nor its last, if it has others."""
    low, high = int(atom.low), int(atom.high)
    if high - low > 2:
        return low + 2 if low & 0xFF == 0 else low + 1
    return low


def _plainness(place: Place) -> tuple[Any, ...]:
    """In before out, known interfaces before others, a forwarded packet before one of the host's own."""
    return (
        place.hook not in ("in", "input"),
        str(place.leaves_by or "").startswith("other"),
        str(place.received_on or "").startswith("other"),
        place.received_on is None,
        place.leaves_by or "",
        place.received_on or "",
    )
