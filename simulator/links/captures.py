"""Captures: pcap and pcapng files, read one packet at a time, in constant memory.

Sources: the pcap and pcapng formats as the IETF's opsawg drafts describe them, and the registry of link types at
tcpdump.org.  What comes out is the IPv4 datagram inside each link-layer frame; frames that hold none are told apart.
Both byte orders, microseconds and nanoseconds, several interfaces and sections are understood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import BinaryIO

__all__ = ["LINK_TYPES", "CaptureError", "Captured", "Source", "datagram", "is_capture", "read", "read_one"]

_LARGEST_RECORD = 16 * 1024 * 1024
"""Octets: a record or block that claims to be longer is taken for damage."""


class CaptureError(ValueError):
    """A file that is no capture, or is damaged: ``text``, how many packets had been read, and the octet of the file."""

    def __init__(self, text: str, packets: int, offset: int) -> None:
        super().__init__(text, packets, offset)
        self.text = text
        self.packets = packets
        self.offset = offset

    def __str__(self) -> str:
        return f"{self.text}, at octet {self.offset:,}, after {self.packets:,} packets"


@dataclass(frozen=True, slots=True)
class Source:
    """Where packets of a capture were taken: an interface of pcapng, or the whole file of pcap."""

    link_type: int
    name: str
    ticks: int
    """Of its time stamps in a second."""
    offset: int = 0
    """Seconds to be added to them."""


@dataclass(slots=True)
class Captured:
    """One packet of a capture."""

    number: int
    """From 1."""
    time: float
    """Seconds since the epoch."""
    frame: bytes
    """As captured, with its link-layer header."""
    length: int
    """Octets of the frame on the wire; more than are here when the capture cut it."""
    source: Source
    offset: int = 0
    """Octets of the file up to this packet's end."""
    comment: str = ""
    """pcapng: what somebody wrote beside it."""


# Link layers


def _ethernet(frame: bytes) -> tuple[int, int]:
    """Behind VLAN tags, if there are some (IEEE 802.1Q)."""
    at, kind = 14, int.from_bytes(frame[12:14], "big")
    while kind in (0x8100, 0x88A8, 0x9100):
        kind = int.from_bytes(frame[at + 2 : at + 4], "big")
        at += 4
    return at, kind


def _null(frame: bytes) -> tuple[int, int]:
    """The address family in the byte order of the machine that captured; AF_INET is 2 everywhere."""
    return 4, 0x0800 if frame[:4] in (b"\x02\0\0\0", b"\0\0\0\x02") else 0


def _loop(frame: bytes) -> tuple[int, int]:
    return 4, 0x0800 if frame[:4] == b"\0\0\0\x02" else 0


def _cooked(frame: bytes) -> tuple[int, int]:
    return 16, int.from_bytes(frame[14:16], "big")


def _cooked_2(frame: bytes) -> tuple[int, int]:
    return 20, int.from_bytes(frame[0:2], "big")


def _raw(frame: bytes) -> tuple[int, int]:
    return 0, 0x0800 if frame[:1] and frame[0] >> 4 == 4 else 0


LINK_TYPES: dict[int, tuple[str, Callable[[bytes], tuple[int, int]]]] = {
    0: ("null", _null),
    1: ("Ethernet", _ethernet),
    12: ("raw IP", _raw),
    14: ("raw IP", _raw),
    101: ("raw IP", _raw),
    108: ("loopback", _loop),
    113: ("Linux cooked", _cooked),
    228: ("raw IPv4", lambda frame: (0, 0x0800)),
    276: ("Linux cooked, version 2", _cooked_2),
}
"""Link types that are understood: the name, and where in a frame the packet begins and which EtherType it has."""


def datagram(packet: Captured) -> bytes | None:
    """The IPv4 datagram in a frame, link padding included; None when it holds something else."""
    at, kind = LINK_TYPES[packet.source.link_type][1](packet.frame)
    return packet.frame[at:] if kind == 0x0800 and len(packet.frame) > at else None


# Files


def read(path: Path) -> Iterator[Captured]:
    """The packets of a capture in the order of the file.

    :raises CaptureError: when the file is no capture, or ends or goes wrong in the middle; packets before were given.
    :raises OSError: when it cannot be read.
    """
    with path.open("rb", buffering=1 << 20) as file:
        magic = file.read(4)
        if magic in _PCAP:
            yield from _read_pcap(file, *_PCAP[magic])
        elif magic == b"\x0a\x0d\x0d\x0a":
            yield from _Blocks(file).packets()
        else:
            raise CaptureError(f"neither pcap nor pcapng: it begins with {magic.hex() or 'nothing'}", 0, 0)


def is_capture(path: Path) -> bool:
    """Whether a file begins like a capture."""
    with path.open("rb") as file:
        return file.read(4) in (*_PCAP, b"\x0a\x0d\x0d\x0a")


def read_one(path: Path, number: int) -> bytes:
    """The IPv4 datagram in packet ``number``, from 1.  :raises ValueError: when there is none."""
    for packet in read(path):
        if packet.number == number:
            octets = datagram(packet)
            if octets is None:
                raise ValueError(f"packet {number} is no IPv4 datagram")
            return octets
    raise ValueError(f"there is no packet {number}")


def _check_link_type(link_type: int, packets: int, offset: int) -> None:
    if link_type not in LINK_TYPES:
        known = ", ".join(f"{number} ({name})" for number, (name, _) in LINK_TYPES.items())
        raise CaptureError(f"link type {link_type} is not understood (there are {known})", packets, offset)


_PCAP = {
    b"\xa1\xb2\xc3\xd4": (">", 1_000_000),
    b"\xd4\xc3\xb2\xa1": ("<", 1_000_000),
    b"\xa1\xb2\x3c\x4d": (">", 1_000_000_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1_000_000_000),
}


def _read_pcap(file: BinaryIO, order: str, ticks: int) -> Iterator[Captured]:
    header = file.read(20)
    if len(header) < 20:
        raise CaptureError("the file's header is cut off", 0, 4 + len(header))
    link_type = Struct(order + "HHiIII").unpack(header)[5] & 0xFFFF
    _check_link_type(link_type, 0, 20)
    source = Source(link_type, "", ticks)
    unpack = Struct(order + "IIII").unpack
    number, offset = 0, 24
    while head := file.read(16):
        if len(head) < 16:
            raise CaptureError("a record's header is cut off", number, offset)
        seconds, fraction, present, length = unpack(head)
        if present > _LARGEST_RECORD:
            raise CaptureError(f"a record claims {present:,} octets", number, offset)
        frame = file.read(present)
        if len(frame) < present:
            raise CaptureError(f"a record of {present:,} octets is cut off after {len(frame):,}", number, offset)
        number += 1
        offset += 16 + present
        yield Captured(number, seconds + fraction / ticks, frame, length, source, offset)


_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
_COMMENT, _IF_NAME, _IF_RESOLUTION, _IF_OFFSET = 1, 2, 9, 14


class _Blocks:
    """The blocks of a pcapng file, whose first four octets have been read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._order = "<"
        self._offset = 0
        self._number = 0
        self._sources: list[Source] = []
        self._snap = 0

    def packets(self) -> Iterator[Captured]:
        self._section(b"\x0a\x0d\x0d\x0a")
        while head := self._file.read(4):
            if len(head) < 4:
                raise self._damage("a block's type is cut off")
            kind = int.from_bytes(head, "little" if self._order == "<" else "big")
            if kind == _SECTION:
                self._section(head)
                continue
            start = self._offset
            body = self._body()
            if kind == _ENHANCED:
                yield self._enhanced(body, start)
            elif kind == _INTERFACE:
                self._interface(body, start)
            elif kind == _SIMPLE:
                yield self._simple(body, start)
            elif kind == _OLD_PACKET:
                yield self._old(body, start)

    def _damage(self, text: str, at: int | None = None) -> CaptureError:
        return CaptureError(text, self._number, self._offset if at is None else at)

    def _section(self, head: bytes) -> None:
        """A section header: it says the byte order of all that follows."""
        length, magic = self._file.read(4), self._file.read(4)
        if magic == b"\x4d\x3c\x2b\x1a":
            self._order = "<"
        elif magic == b"\x1a\x2b\x3c\x4d":
            self._order = ">"
        else:
            raise self._damage(f"a section without byte order: {magic.hex()}")
        (total,) = Struct(self._order + "I").unpack(length)
        self._rest(total, 12)
        self._sources = []

    def _body(self) -> bytes:
        """A block's body, its type already read."""
        length = self._file.read(4)
        if len(length) < 4:
            raise self._damage("a block's length is cut off")
        (total,) = Struct(self._order + "I").unpack(length)
        return self._rest(total, 8)

    def _rest(self, total: int, done: int) -> bytes:
        if total < done + 4 or total & 3 or total > _LARGEST_RECORD:
            raise self._damage(f"a block claims {total:,} octets")
        body = self._file.read(total - done)
        if len(body) < total - done:
            raise self._damage(f"a block of {total:,} octets is cut off after {done + len(body):,}")
        if Struct(self._order + "I").unpack(body[-4:])[0] != total:
            raise self._damage("a block's two lengths differ")
        self._offset += total
        return body[:-4]

    def _options(self, octets: bytes) -> Iterator[tuple[int, bytes]]:
        at, unpack = 0, Struct(self._order + "HH").unpack_from
        while at + 4 <= len(octets):
            code, length = unpack(octets, at)
            if code == 0:
                return
            yield code, octets[at + 4 : at + 4 + length]
            at += 4 + (length + 3 & ~3)

    def _interface(self, body: bytes, start: int) -> None:
        if len(body) < 8:
            raise self._damage("an interface description is too short", start)
        link_type, _, self._snap = Struct(self._order + "HHI").unpack_from(body)
        _check_link_type(link_type, self._number, start)
        name, ticks, offset = "", 1_000_000, 0
        for code, value in self._options(body[8:]):
            if code == _IF_NAME:
                name = value.decode("utf-8", "replace")
            elif code == _IF_RESOLUTION and value:
                ticks = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
            elif code == _IF_OFFSET and len(value) == 8:
                (offset,) = Struct(self._order + "q").unpack(value)
        self._sources.append(Source(link_type, name, ticks, offset))

    def _source(self, index: int, start: int) -> Source:
        if index >= len(self._sources):
            raise self._damage(f"a packet of interface {index}, of which nothing was said", start)
        return self._sources[index]

    def _enhanced(self, body: bytes, start: int) -> Captured:
        if len(body) < 20:
            raise self._damage("a packet block is too short", start)
        index, high, low, present, length = Struct(self._order + "IIIII").unpack_from(body)
        return self._packet(index, high << 32 | low, present, length, body, 20, start)

    def _old(self, body: bytes, start: int) -> Captured:
        if len(body) < 20:
            raise self._damage("a packet block is too short", start)
        index, _, high, low, present, length = Struct(self._order + "HHIIII").unpack_from(body)
        return self._packet(index, high << 32 | low, present, length, body, 20, start)

    def _simple(self, body: bytes, start: int) -> Captured:
        """No time, and the first interface; as many octets as its snapshot length allows."""
        (length,) = Struct(self._order + "I").unpack_from(body)
        present = min(length, self._snap or length, len(body) - 4)
        return self._packet(0, 0, present, length, body, 4, start)

    def _packet(self, index: int, stamp: int, present: int, length: int, body: bytes, at: int, start: int) -> Captured:
        source = self._source(index, start)
        if present > len(body) - at:
            raise self._damage(f"a packet claims {present:,} octets, more than its block has", start)
        self._number += 1
        comment = ""
        rest = body[at + (present + 3 & ~3) :]
        if rest:
            comment = "\n".join(
                value.decode("utf-8", "replace") for code, value in self._options(rest) if code == _COMMENT
            )
        seconds = stamp / source.ticks + source.offset
        return Captured(self._number, seconds, body[at : at + present], length, source, self._offset, comment)
