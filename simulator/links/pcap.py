"""Writing pcap: packets that begin with their IP header, one at a time.

Source: pcap-savefile(5).  Reading is :mod:`simulator.links.captures`; interfaces, directions and comments need
:mod:`simulator.links.pcapng`.
"""

from __future__ import annotations

from struct import Struct
from typing import BinaryIO

__all__ = ["PcapWriter"]

_MAGIC = 0xA1B2C3D4
"""Microseconds, in the octet order in which it stands there."""
_RAW = 101
"""Link type of packets that begin with their IP header."""
_MICROSECONDS = 1_000_000
_SECONDS = range(1 << 32)
"""What a time stamp has room for: from 1970 to 2106."""

_file = Struct("<IHHiIII").pack
_record = Struct("<IIII").pack


class PcapWriter:
    """Writes to a binary file, which the caller opens and closes; little-endian, microseconds, raw IP.

    ``snaplen``: octets of a packet that are kept.
    """

    def __init__(self, file: BinaryIO, *, snaplen: int = 65535) -> None:
        self.written = 0
        """Packets."""
        self._file = file
        self._snaplen = snaplen
        file.write(_file(_MAGIC, 2, 4, 0, 0, snaplen, _RAW))

    def write(self, time: float, octets: bytes, *, length: int | None = None) -> None:
        """One packet.  ``time``: seconds since the epoch; ``length``: octets on the wire, if more than are here.

        :raises ValueError: for a time before 1970, or after 2106.
        """
        seconds, microseconds = divmod(round(time * _MICROSECONDS), _MICROSECONDS)
        if seconds not in _SECONDS:
            raise ValueError(f"a pcap file has no time stamp for {time} seconds since 1970")
        kept = octets[: self._snaplen]
        self._file.write(_record(seconds, microseconds, len(kept), len(octets) if length is None else length) + kept)
        self.written += 1
