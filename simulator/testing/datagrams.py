"""Datagrams as values that say in ipfw's words what they are, and the datagram of a header."""

from __future__ import annotations

from dataclasses import replace

from rules.fields import OFFSET_MASK, TRANSPORT_OCTETS, Header
from simulator import spoken
from simulator.making import datagram

__all__ = ["Datagram", "octets_of"]


class Datagram(bytes):
    """Octets that say in ipfw's words what they are."""

    @classmethod
    def said(cls, words: str) -> Datagram:
        """The datagram of those words.  :raises simulator.spoken.SpokenError: when they say none."""
        return cls(spoken.build(spoken.parse(words)))

    def __repr__(self) -> str:
        words = spoken.spoken_exactly(self)
        return f"Datagram.said({words!r})" if words is not None else f"Datagram.fromhex({self.hex()!r})"


def octets_of(header: Header) -> Datagram:
    """The datagram of a header, ``payload_length`` octets behind it, its data zeros, lengths and checksums right.

    Where it is, its marks, tags and owner are no octets.

    :raises ValueError: for a field that does not fit, or a payload that has no room for the transport header.
    """
    first = not header.fragment & OFFSET_MASK
    needed = TRANSPORT_OCTETS.get(header.protocol, 0) + len(header.tcp_options or b"") if first else 0
    if header.payload_length < needed:
        raise ValueError(f"{header.payload_length} octets have no room for a transport header of {needed}")
    return Datagram(datagram(replace(header, total_length=20 + len(header.options) + header.payload_length)))
