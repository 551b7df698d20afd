"""Addresses, routes and flags of interfaces in this process's network namespace: rtnetlink(7) through pyroute2."""

from __future__ import annotations

import importlib
from contextlib import suppress
from typing import Any

__all__ = ["QUEUE_LENGTH", "configure", "set_link"]

QUEUE_LENGTH = 10_000
"""Datagrams a TUN device holds for its reader: one second at 10,000 a second. Linux's default is 500."""


def _netlink() -> Any:
    return importlib.import_module("pyroute2").IPRoute()


def configure(device: str, address: str, prefix: int, gateway: str, mtu: int) -> None:
    """Loopback up, `device` up with its address, the rest by way of `gateway`. Raises OSError (netlink's errno)."""
    with _netlink() as netlink:
        netlink.link("set", index=netlink.link_lookup(ifname="lo")[0], state="up")
        index = netlink.link_lookup(ifname=device)[0]
        netlink.link("set", index=index, mtu=mtu, txqlen=QUEUE_LENGTH)
        netlink.addr("add", index=index, address=address, prefixlen=prefix)
        netlink.link("set", index=index, state="up")
        netlink.route("add", dst="default", gateway=gateway)


def set_link(device: str, gateway: str, *, up: bool | None = None, mtu: int | None = None) -> None:
    """Change a configured device. Going down takes the routes with it, so coming up sets the default route again."""
    with _netlink() as netlink:
        index = netlink.link_lookup(ifname=device)[0]
        if mtu is not None:
            netlink.link("set", index=index, mtu=mtu)
        if up is not None:
            netlink.link("set", index=index, state="up" if up else "down")
        if up:
            with suppress(FileExistsError):
                netlink.route("replace", dst="default", gateway=gateway)
