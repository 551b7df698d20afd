"""The UDP header (RFC 768): a view that shows anything, and a value that can always be emitted."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from simulator.wire.checksum import Octets, transport_checksum, verify_transport
from simulator.wire.limits import check_limits
from simulator.wire.ports import PortsView

__all__ = ["PROTOCOL", "Header", "View", "parse"]

PROTOCOL = 17

_FIXED = Struct(">HHHH")


class View(PortsView):
    """The UDP fields of a datagram's payload as they stand.  Needs eight octets, checks nothing else."""

    __slots__ = ()

    def __init__(self, octets: Octets) -> None:
        if len(octets) < 8:
            raise ValueError(f"{len(octets)} octets are too few for a UDP header")
        self.octets = octets

    @property
    def length(self) -> int:
        """What the header says: header and data."""
        return self.octets[4] << 8 | self.octets[5]

    @property
    def checksum(self) -> int:
        """0 says that the sender made none."""
        return self.octets[6] << 8 | self.octets[7]

    @property
    def data(self) -> bytes:
        """After the header up to its length, as far as that is there."""
        return bytes(self.octets[8 : max(self.length, 8)])

    def __str__(self) -> str:
        return f"UDP {self.source_port} > {self.destination_port} length {self.length}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A UDP header without its length and checksum.  Raises ``ValueError`` for a port that does not fit."""

    source_port: int
    destination_port: int

    def __post_init__(self) -> None:
        check_limits(self, (("source_port", 0xFFFF), ("destination_port", 0xFFFF)))

    def emit(self, data: Octets = b"", *, source: int, destination: int, checksummed: bool = True) -> bytes:
        """Header and data; the addresses are those of the IP header, for the checksum.

        Without one (``checksummed=False``) the field is 0.  Raises ``ValueError`` when the length does not fit.
        """
        length = 8 + len(data)
        if length > 0xFFFF:
            raise ValueError(f"a UDP datagram of {length} octets is longer than 65535")
        bare = _FIXED.pack(self.source_port, self.destination_port, length, 0) + bytes(data)
        if not checksummed:
            return bare
        return bare[:6] + transport_checksum(source, destination, PROTOCOL, bare).to_bytes(2, "big") + bare[8:]


def parse(octets: Octets, *, source: int, destination: int, check: bool = True) -> tuple[Header, bytes]:
    """Header and data of an IP payload.

    Raises ``ValueError`` with the fault and its value: too few octets, a length under 8 or beyond the end, and, unless
    ``check`` is false, a wrong checksum.
    """
    view = View(octets)
    if not 8 <= view.length <= len(octets):
        raise ValueError(f"UDP length {view.length} is not between 8 and the {len(octets)} octets that are there")
    if check and not verify_transport(source, destination, PROTOCOL, octets[: view.length]):
        raise ValueError(f"UDP checksum {view.checksum:#06x} is wrong")
    return Header(source_port=view.source_port, destination_port=view.destination_port), view.data
