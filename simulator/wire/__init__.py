"""Octets and header values: checksums, IPv4, ICMP, UDP and TCP.  Pure functions and views, no I/O.

Each protocol has two levels.  A ``View`` looks at octets and shows whatever stands there, garbage included; it asks
only for the octets that its fixed fields need.  A header value (``ipv4.Header``, ``icmp.Message``, ``udp.Header``,
``tcp.Header``) is checked when it is made, so a value that exists can be emitted.

>>> from simulator.wire import icmp, ipv4
>>> header = ipv4.Header(source=0x0A000001, destination=0x0A000002, protocol=1)
>>> octets = header.emit(icmp.echo_request(identifier=7, sequence=1, data=b"ping"))
>>> ipv4.parse(octets) == header
True
"""

from __future__ import annotations

__all__: list[str] = []
