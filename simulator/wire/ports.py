"""The start of a TCP or UDP header: the two ports, which both have at the same place."""

from __future__ import annotations

from simulator.wire.checksum import Octets

__all__ = ["PortsView"]


class PortsView:
    """A view of a header that starts with two ports.  Subclasses check that its fixed octets are there."""

    __slots__ = ("octets",)

    octets: Octets

    @property
    def source_port(self) -> int:
        return self.octets[0] << 8 | self.octets[1]

    @property
    def destination_port(self) -> int:
        return self.octets[2] << 8 | self.octets[3]
