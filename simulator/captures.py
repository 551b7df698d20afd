"""Capture files, written and read by scapy, which is imported when the first one is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["CaptureError", "read_capture", "write_pcap"]

_LINKTYPE_RAW = 101
"""Each packet begins with its IPv4 or IPv6 header."""


def write_pcap(path: str, packets: Iterable[tuple[float, bytes, int]]) -> int:
    """``packets`` are (seconds, octets, octets on the wire); how many were written.

    :raises ImportError: without scapy, with the remedy.
    """
    try:
        from scapy.utils import RawPcapWriter
    except ImportError as error:
        raise ImportError("capture files are written by scapy: pip install 'divertsim[scapy]'") from error
    count = 0
    with RawPcapWriter(path, linktype=_LINKTYPE_RAW) as writer:
        writer.write_header(None)
        for seconds, octets, length in packets:
            whole, part = divmod(round(seconds * 1_000_000), 1_000_000)
            writer.write_packet(octets, sec=whole, usec=part, caplen=len(octets), wirelen=length)
            count += 1
    return count


class CaptureError(ValueError):
    """A file that is no capture, or one of a kind of link that is not known here."""


_ETHERNET, _IPV4 = 1, b"\x08\0"
_HEADERS = {0: 4, 108: 4, 12: 0, 14: 0, 101: 0, 228: 0, 113: 16, 276: 20}
"""Octets before the IPv4 header, by link type: BSD loopback, raw IP, Linux "cooked" (v1 and v2)."""
_VLAN_TAGS = (b"\x81\0", b"\x88\xa8")


def read_capture(path: str) -> Iterator[tuple[float, bytes]]:
    """The IPv4 datagrams of a pcap or pcapng file: seconds since the epoch, and octets; other frames are passed over.

    :raises CaptureError: for a file that is none.
    :raises OSError: when it cannot be read.
    :raises ImportError: without scapy, with the remedy.
    """
    try:
        from scapy.error import Scapy_Exception
        from scapy.utils import RawPcapNgReader, RawPcapReader
    except ImportError as error:
        raise ImportError("capture files are read by scapy: pip install 'divertsim[scapy]'") from error
    try:
        reader = RawPcapReader(path)
    except Scapy_Exception as error:
        raise CaptureError(f"{path}: {error}") from None
    with reader:
        ng = isinstance(reader, RawPcapNgReader)
        each: Iterable[tuple[bytes, Any]] = reader
        for frame, found in each:
            octets = _datagram(frame, found.linktype if ng else reader.linktype, path)
            if octets[:1] and octets[0] >> 4 == 4:
                yield (_ng_seconds(found) if ng else _seconds(found, reader)), octets


def _datagram(frame: bytes, link: int, path: str) -> bytes:
    """What a frame carries; nothing when that is not IPv4."""
    if link == _ETHERNET:
        at = 12
        while frame[at : at + 2] in _VLAN_TAGS:
            at += 4
        return frame[at + 2 :] if frame[at : at + 2] == _IPV4 else b""
    if link not in _HEADERS:
        raise CaptureError(f"{path}: frames of link type {link}, which is not known here")
    return frame[_HEADERS[link] :]


def _seconds(found: Any, reader: Any) -> float:
    return float(found.sec) + float(found.usec) / (1_000_000_000 if reader.nano else 1_000_000)


def _ng_seconds(found: Any) -> float:
    return float((found.tshigh << 32) + found.tslow) / float(found.tsresol)
