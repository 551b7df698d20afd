"""What rules may ask about the host they stand on: its addresses, its routes, who owns a socket.

The engine knows only :class:`Surroundings`; a router answers from its own tables.  :class:`Host` is a plain value with
the same answers, for rules that are tried without a router.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Interface, IPv4Network
from typing import NamedTuple, Protocol

from rules.fields import Fields
from rules.ipfw.names import GROUPS, USERS

__all__ = ["NOWHERE", "Host", "Owner", "Route", "Surroundings"]


class Route(NamedTuple):
    """The route a lookup found: the interface it leaves by, and of what kind it is."""

    interface: str
    is_default: bool = False
    is_connected: bool = False
    is_reject: bool = False


class Owner(NamedTuple):
    """Whose socket a packet belongs to, for ``uid``, ``gid`` and ``jail``.  Jail 0 is the host itself."""

    uid: int
    gid: int
    jail: int = 0

    @classmethod
    def of(cls, user: str | int | tuple[int, int]) -> Owner:
        """A user by name, by number with the group of that number, or as (uid, gid).

        Raises ValueError for a name that the base system does not have.
        """
        if isinstance(user, tuple):
            return cls(*user)
        if isinstance(user, int):
            return cls(user, user)
        if user not in USERS:
            raise ValueError(f"no such user: {user!r} (a number will do)")
        return cls(USERS[user], GROUPS.get(user, USERS[user]))


class Surroundings(Protocol):
    """Questions about the host, all of them asked anew for every packet."""

    def is_local(self, address: int) -> bool:
        """Is it configured on any interface? (``me``, E-14)"""

    def has_address(self, interface: str, address: int) -> bool:
        """Is it configured on this interface? (``recv``/``xmit``/``via`` ADDRESS, E-18)"""

    def addresses(self, interface: str) -> tuple[int, ...] | None:
        """The addresses of an interface, None if there is no such one. (``nat N config if``)"""

    def network_of(self, interface: str) -> tuple[int, int] | None:
        """Its first address and the mask of that, None without one. (``[em0]``, ``[em0:net]`` of DragonFly)"""

    def route(self, address: int) -> Route | None:
        """The route to it, None if there is none. (``verrevpath`` and its like, E-22)"""

    def owner(self, fields: Fields) -> Owner | None:
        """The local socket that the packet belongs to. (``uid``, ``gid``, E-23)"""


class Host:
    """A host of fixed addresses and routes.  Packets say themselves whose they are (``Header(owner=Owner(80, 80))``).

    ``interfaces``: name -> ``"address/length"``; ``routes``: (``"prefix/length"``, interface).  Every route but the
    default one counts as directly connected; without ``routes``, the networks of the interfaces are the routes.
    """

    def __init__(
        self, interfaces: Mapping[str, str] | None = None, routes: Iterable[tuple[str, str]] | None = None
    ) -> None:
        own = {name: IPv4Interface(address) for name, address in (interfaces or {}).items()}
        self._addresses = {name: int(interface.ip) for name, interface in own.items()}
        self._networks = {name: (int(each.ip), int(each.netmask)) for name, each in own.items()}
        self._local = frozenset(self._addresses.values())
        if routes is None:
            routes = [(str(interface.network), name) for name, interface in own.items()]
        prefixes = [(IPv4Network(prefix), interface) for prefix, interface in routes]
        self._routes = [
            (int(prefix.netmask), int(prefix.network_address), self._route_of(prefix, interface))
            for prefix, interface in sorted(prefixes, key=lambda route: -route[0].prefixlen)
        ]

    @staticmethod
    def _route_of(prefix: IPv4Network, interface: str) -> Route:
        return Route(interface, is_default=prefix.prefixlen == 0, is_connected=prefix.prefixlen > 0)

    def is_local(self, address: int) -> bool:
        return address in self._local

    def has_address(self, interface: str, address: int) -> bool:
        return self._addresses.get(interface) == address

    def addresses(self, interface: str) -> tuple[int, ...] | None:
        """Without any interface, every name is taken."""
        address = self._addresses.get(interface)
        return (address,) if address is not None else None if self._addresses else ()

    def network_of(self, interface: str) -> tuple[int, int] | None:
        return self._networks.get(interface)

    def route(self, address: int) -> Route | None:
        for mask, network, route in self._routes:
            if address & mask == network:
                return route
        return None

    def owner(self, fields: Fields) -> Owner | None:
        owner: Owner | None = getattr(fields, "owner", None)
        return owner


NOWHERE = Host()
"""No address, no route."""
