"""What a program may want to know of an interface, of this machine or of a router: its address and its MTU."""

from __future__ import annotations

import socket
import struct
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from simulator.router import Router

__all__ = ["Site", "router_site", "site_of"]

_SIOCGIFADDR, _SIOCGIFMTU = (0x8915, 0x8921) if sys.platform == "linux" else (0xC0206921, 0xC0206933)
_REQUEST = struct.Struct("16s16x")
_VALUE_AT, _ADDRESS_AT = 16, 20
"""Where struct ifreq has a number, and the address of a sockaddr_in, on Linux and on the BSDs."""


class Site(NamedTuple):
    """An interface's first address, None if it has none, and its MTU."""

    address: int | None
    mtu: int


def site_of(name: str) -> Site:
    """An interface of this machine.  Raises KeyError when there is none of that name."""
    from fcntl import ioctl

    if name not in (each for _, each in socket.if_nameindex()):
        raise KeyError(name)
    request = _REQUEST.pack(name.encode())
    address: int | None = None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        with suppress(OSError):
            address = int.from_bytes(ioctl(sock, _SIOCGIFADDR, request)[_ADDRESS_AT : _ADDRESS_AT + 4], "big")
        (mtu,) = struct.unpack_from("=i", ioctl(sock, _SIOCGIFMTU, request), _VALUE_AT)
    return Site(address, mtu)


def router_site(router: Router, name: str) -> Site:
    """An interface of a router.  Raises KeyError when there is none of that name."""
    interface = router.node.interfaces[name]
    return Site(interface.address, interface.mtu)
