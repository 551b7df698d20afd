"""Capture files, written by scapy: imported when the first one is written.  Reading is `simulator.links.captures`."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["write_pcap"]

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
