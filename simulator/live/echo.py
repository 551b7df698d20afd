"""Echo requests from a host: the system's ping where there is one, else the same thing through a raw ICMP socket.

Both report lines as ping(8) prints them, and return how many requests were sent and how many were answered. They are
jobs for `simulator.live.host.NamespaceHost.start`. The raw socket needs no privilege outside: in its own namespace a
host is root. (RFC 792 has the message; the host's kernel adds the IP header, and the far one's answers.)
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import struct
import subprocess
import time
from typing import NamedTuple

from simulator.live.messages import Report
from simulator.live.namespaces import die_with_parent
from simulator.wire.checksum import checksum

__all__ = ["Pinged", "ping", "ping_by_socket", "system_ping"]

_ECHO_REPLY, _ECHO_REQUEST = 0, 8
_HEADER = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence
_PAYLOAD = bytes(range(56))
_SUMMARY = re.compile(r"(\d+) packets transmitted, (\d+) (?:packets )?received")


class Pinged(NamedTuple):
    """Requests sent and requests answered."""

    sent: int
    replied: int


def system_ping() -> str | None:
    """The path of an iputils ping, the one whose options and output are known here; None when there is none."""
    path = shutil.which("ping")
    if path is None:
        return None
    try:
        version = subprocess.run([path, "-V"], capture_output=True, text=True, timeout=5).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    return path if "iputils" in version else None


def ping(report: Report, destination: str, count: int, interval: float, patience: float) -> Pinged:
    """Send `count` echo requests, `interval` seconds apart, and wait `patience` seconds for the last answers."""
    path = system_ping()
    if path is None:
        return ping_by_socket(report, destination, count, interval, patience)
    # Without real root 0.2 seconds is ping's smallest interval; 1 second is the smallest patience of old ones.
    words = [path, "-n", "-c", str(count), "-i", str(max(interval, 0.2)), "-W", str(max(patience, 1)), destination]
    with subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"LC_ALL": "C"},
        preexec_fn=die_with_parent,
    ) as process:
        assert process.stdout is not None
        result = None
        for line in process.stdout:
            if line.strip():
                report(line.rstrip())
            if found := _SUMMARY.search(line):
                result = Pinged(int(found[1]), int(found[2]))
    if result is None:
        return ping_by_socket(report, destination, count, interval, patience)
    return result


def ping_by_socket(report: Report, destination: str, count: int, interval: float, patience: float) -> Pinged:
    """The same, without a program: messages built here, sent and received through a raw ICMP socket."""
    identifier = os.getpid() & 0xFFFF
    departure: dict[int, float] = {}
    answered: set[int] = set()
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as icmp:
        report(f"PING {destination} {len(_PAYLOAD)}({len(_PAYLOAD) + 28}) bytes of data.")
        next_departure = time.monotonic()
        while len(answered) < count:
            now = time.monotonic()
            if len(departure) < count and now >= next_departure:
                sequence = len(departure) + 1
                departure[sequence] = now
                next_departure = now + interval
                icmp.sendto(_request(identifier, sequence), (destination, 0))
            deadline = next_departure if len(departure) < count else departure[count] + patience
            if (left := deadline - time.monotonic()) <= 0:
                if len(departure) < count:
                    continue
                break
            icmp.settimeout(left)
            try:
                octets, (source, _) = icmp.recvfrom(65535)
            except TimeoutError:
                continue
            message = octets[(octets[0] & 15) * 4 :]
            kind, _, _, whose, sequence = _HEADER.unpack_from(message)
            if (kind, whose) == (_ECHO_REPLY, identifier) and sequence not in answered:
                answered.add(sequence)
                took = (time.monotonic() - departure[sequence]) * 1000
                report(f"{len(message)} bytes from {source}: icmp_seq={sequence} ttl={octets[8]} time={took:.3g} ms")
    lost = round(100 * (1 - len(answered) / count)) if count else 0
    report(f"--- {destination} ping statistics ---")
    report(f"{count} packets transmitted, {len(answered)} received, {lost}% packet loss")
    return Pinged(len(departure), len(answered))


def _request(identifier: int, sequence: int) -> bytes:
    """An echo request with its checksum."""
    bare = _HEADER.pack(_ECHO_REQUEST, 0, 0, identifier, sequence) + _PAYLOAD
    return _HEADER.pack(_ECHO_REQUEST, 0, checksum(bare), identifier, sequence) + _PAYLOAD
