"""Addresses, networks, ports and protocols: round ones first, which is what examples shrink to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from hypothesis import strategies as st

from rules.fields import ICMP, TCP, UDP

__all__ = [
    "NICE_ADDRESSES",
    "NICE_PORTS",
    "addresses",
    "networks",
    "port_ranges",
    "ports",
    "protocols",
]

NICE_ADDRESSES = tuple(
    int(IPv4Address(text))
    for text in ("192.0.2.1", "198.51.100.1", "203.0.113.1", "10.0.0.2", "192.168.1.2", "10.0.0.1", "192.168.1.1")
)
"""Those set aside for documentation (RFC 5737), and private ones (RFC 1918)."""

NICE_PORTS = (80, 53, 22, 25, 1024, 40000)


def addresses(network: str = "0.0.0.0/0") -> st.SearchStrategy[int]:
    """Addresses of a network as integers; documentation addresses where it has them, its edges, then any.

    :raises ValueError: for a network that is none, or has bits behind its length.
    """
    whole = IPv4Network(network)
    first, last = int(whole.network_address), int(whole.broadcast_address)
    nice = [address for address in (*NICE_ADDRESSES, first + 1, last - 1, first, last) if first <= address <= last]
    return st.sampled_from(list(dict.fromkeys(nice))) | st.integers(first, last)


@st.composite
def networks(draw: st.DrawFn, *, shortest: int = 0, longest: int = 32) -> str:
    """Networks as rules write them, ``192.0.2.0/24``, without bits behind the length."""
    round_lengths = [length for length in (24, 8, 16, 32, 31, 1, 0) if shortest <= length <= longest]
    lengths = st.integers(shortest, longest)
    length = draw(st.sampled_from(round_lengths) | lengths if round_lengths else lengths)
    address = draw(addresses())
    return str(IPv4Network((address & (0xFFFFFFFF << 32 - length & 0xFFFFFFFF), length)))


def ports() -> st.SearchStrategy[int]:
    """TCP and UDP ports: those of services, the edges, then any."""
    return st.sampled_from((*NICE_PORTS, 1023, 65535, 1, 0)) | st.integers(0, 65535)


def port_ranges() -> st.SearchStrategy[tuple[int, int]]:
    """Lowest and highest port, both included; often one port."""
    pairs = st.tuples(ports(), ports()).map(lambda pair: (min(pair), max(pair)))
    return ports().map(lambda port: (port, port)) | pairs


def protocols() -> st.SearchStrategy[int]:
    """Protocol numbers: UDP, TCP and ICMP mostly."""
    return st.sampled_from((UDP, TCP, ICMP, 47)) | st.integers(0, 255)
