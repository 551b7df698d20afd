"""Sentences about the world: routers, interfaces, routes, links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Address", "Allow", "Interface", "Link", "On", "Route", "Router"]


@dataclass(frozen=True, slots=True)
class Router:
    """``router [NAME] PROFILE [SWITCH=VALUE ...]``; ``host`` is a router that does not forward."""

    name: str | None
    profile: str
    switches: Mapping[str, str]
    is_host: bool


@dataclass(frozen=True, slots=True)
class On:
    """``on NAME``: the lines from here on are about that router."""

    router: str


@dataclass(frozen=True, slots=True)
class Interface:
    """``interface NAME [ADDRESS ...] [mtu N] [peer ADDRESS]``"""

    name: str
    addresses: tuple[str, ...]
    mtu: int | None
    peer: str | None


@dataclass(frozen=True, slots=True)
class Address:
    """``address INTERFACE ADDRESS [gone]``: one more, or one less."""

    interface: str
    address: str
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """``route PREFIX via ADDRESS | interface NAME | reject | blackhole | gone``"""

    prefix: str
    via: str | None = None
    interface: str | None = None
    kind: str = "unicast"


@dataclass(frozen=True, slots=True)
class Link:
    """``link INTERFACE to INTERFACE [delay T] [loss P%] [reorder P%] [duplicate P%] [corrupt P%] [seed N]``"""

    one: str
    other: str
    impairments: Mapping[str, float]
    """Seconds for ``delay``, shares from 0 to 1 for the others, a number for ``seed``."""


@dataclass(frozen=True, slots=True)
class Allow:
    """``allow other packets [on NAME ...]``: what nobody expected there is no failure."""

    names: tuple[str, ...]
