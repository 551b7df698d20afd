"""Writing pcapng: packets with the names of interfaces, directions and comments, one at a time.

Source: the pcapng format as the IETF's opsawg draft describes it.  What readers such as Wireshark show beside a packet
is its comment.
"""

from __future__ import annotations

from struct import Struct
from typing import BinaryIO, Literal

__all__ = ["PcapngWriter"]

_RAW = 101
"""Link type of packets that begin with their IP header."""
_SECTION, _INTERFACE, _ENHANCED = 0x0A0D0D0A, 1, 6
_COMMENT, _IF_NAME, _FLAGS = 1, 2, 2
_DIRECTIONS = {"in": 1, "out": 2}
_MICROSECONDS = 1_000_000

_head = Struct("<II").pack
_tail = Struct("<I").pack
_option = Struct("<HH").pack
_packet = Struct("<IIIII").pack


class PcapngWriter:
    """Writes to a binary file, which the caller opens and closes; little-endian, microseconds, raw IP."""

    def __init__(self, file: BinaryIO, application: str = "divertsim") -> None:
        self._file = file
        self._interfaces: dict[str, int] = {}
        body = Struct("<IHHq").pack(0x1A2B3C4D, 1, 0, -1) + _text_option(4, application) + _option(0, 0)
        self._block(_SECTION, body)

    def write(
        self,
        interface: str,
        time: float,
        octets: bytes,
        *,
        length: int | None = None,
        direction: Literal["in", "out"] | None = None,
        comment: str = "",
    ) -> None:
        """One packet.  ``time``: seconds since the epoch; ``length``: octets on the wire, if more than are here."""
        index = self._interface(interface)
        stamp = round(time * _MICROSECONDS)
        body = _packet(index, stamp >> 32, stamp & 0xFFFFFFFF, len(octets), len(octets) if length is None else length)
        body += octets + bytes(-len(octets) & 3)
        options = _text_option(_COMMENT, comment) if comment else b""
        if direction is not None:
            options += _option(_FLAGS, 4) + _tail(_DIRECTIONS[direction])
        self._block(_ENHANCED, body + (options + _option(0, 0) if options else b""))

    def _interface(self, name: str) -> int:
        """The number of an interface, which is described when it is first used."""
        if name not in self._interfaces:
            self._interfaces[name] = len(self._interfaces)
            described = _text_option(_IF_NAME, name) + _option(0, 0) if name else b""
            self._block(_INTERFACE, Struct("<HHI").pack(_RAW, 0, 0) + described)
        return self._interfaces[name]

    def _block(self, kind: int, body: bytes) -> None:
        total = len(body) + 12
        self._file.write(_head(kind, total) + body + _tail(total))


def _text_option(code: int, text: str) -> bytes:
    octets = text.encode("utf-8")[:0xFFFF]
    return _option(code, len(octets)) + octets + bytes(-len(octets) & 3)
