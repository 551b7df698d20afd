"""Interface: name, addresses, MTU, flags, and the link behind it."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface
from typing import Protocol

from rules.addresses import dotted, mask_of
from simulator.links.memory import MemoryLink
from simulator.routing import is_loopback, is_multicast

__all__ = ["ALL_HOSTS", "Address", "Interface", "Link"]

ALL_HOSTS = 0xE0000001
"""224.0.0.1: the group that every host belongs to (RFC 1112)."""


_HOST, _BROADCAST, _MULTICAST, _OUTGOING = 0, 1, 2, 4
"""Packet types by their numbers in linux/if_packet.h."""


class Link(Protocol):
    """Where octets go; where they come from calls :meth:`Interface.receive`."""

    def transmit(self, octets: bytes, /) -> object:
        """Hand one datagram to the wire.  Never blocks.

        :raises OSError: when the wire does not take it.
        """


class Tap(Protocol):
    """Somebody who watches what comes and goes (:mod:`simulator.sockets.tap`)."""

    def see(self, octets: bytes, interface: Interface, kind: int, /) -> None:
        """One datagram; ``kind`` is its PACKET_* type, as Linux names them."""


class Address:
    """An address of an interface: the host's own, its network, and the broadcast address or the peer."""

    __slots__ = ("broadcast", "host", "length", "network", "peer")

    def __init__(self, text: str | IPv4Interface, *, peer: str | None = None) -> None:
        """``text`` is ``"192.168.1.1/24"``; without a length the address stands alone.  :raises ValueError: else."""
        interface = IPv4Interface(text)
        self.host = int(interface.ip)
        self.length = interface.network.prefixlen
        self.network = int(interface.network.network_address)
        self.peer = int(IPv4Address(peer)) if peer is not None else None
        self.broadcast = int(interface.network.broadcast_address) if self.peer is None and self.length <= 30 else None

    def reaches(self, address: int) -> bool:
        """Whether an address is on this one's network, or its peer."""
        return address & mask_of(self.length) == self.network or address == self.peer

    def __str__(self) -> str:
        return f"{dotted(self.host)}/{self.length}" + (f" peer {dotted(self.peer)}" if self.peer is not None else "")

    def __repr__(self) -> str:
        return f"<Address {self}>"


class Interface:
    """One interface of the router.  Made by :meth:`simulator.Router.add_interface`."""

    __slots__ = ("_up", "addresses", "groups", "link", "mtu", "name", "on_change", "receive", "taps", "transmit")

    receive: Callable[[bytes], None]
    """``receive(octets)``: a datagram arrives from the wire.  Octets of any kind; never raises for them."""
    transmit: Callable[[bytes], object]
    """The link's own ``transmit``."""

    def __init__(self, name: str, link: Link, *, mtu: int) -> None:
        self.name = name
        self.link = link
        self.mtu = mtu
        self.addresses: list[Address] = []
        self.groups: set[int] = {ALL_HOSTS}
        """Multicast groups joined here."""
        self.taps: tuple[Tap, ...] = ()
        """Who watches here; mostly nobody."""
        self.transmit = link.transmit
        self._up = True
        self.on_change: Callable[[Interface], None] | None = None
        """Told when the interface goes up or down."""

    @property
    def up(self) -> bool:
        """Whether the interface takes and gives packets.  Going down loses its static routes, as in the kernels."""
        return self._up

    @up.setter
    def up(self, up: bool) -> None:
        if up != self._up:
            self._up = up
            if self.on_change is not None:
                self.on_change(self)

    @property
    def address(self) -> int | None:
        """The first address, which the kernels use when one of the interface's addresses is wanted."""
        return self.addresses[0].host if self.addresses else None

    def reaches(self, address: int) -> bool:
        """Whether an address is on a network of this interface, or the peer at its far end."""
        return any(each.reaches(address) for each in self.addresses)

    def show(self, octets: bytes, *, outgoing: bool = False) -> None:
        """Let the taps see a datagram that comes in here, or goes out."""
        kind = _OUTGOING if outgoing else self._kind_of(octets)
        for tap in self.taps:
            tap.see(octets, self, kind)

    def _kind_of(self, octets: bytes) -> int:
        """What the link tells of a datagram that came in: for this host, for a group, for all."""
        destination = int.from_bytes(octets[16:20], "big")
        if is_multicast(destination):
            return _MULTICAST
        to_all = destination == 0xFFFFFFFF or any(address.broadcast == destination for address in self.addresses)
        return _BROADCAST if to_all else _HOST

    def join(self, group: str) -> None:
        """Take datagrams for a multicast group from this interface.  :raises ValueError: when it is no group."""
        address = IPv4Address(group)
        if not address.is_multicast:
            raise ValueError(f"not a multicast group: {group!r}")
        self.groups.add(int(address))

    def leave(self, group: str) -> None:
        self.groups.discard(int(IPv4Address(group)))

    @property
    def is_loopback(self) -> bool:
        return bool(self.addresses) and is_loopback(self.addresses[0].host)

    @property
    def is_broadcast_link(self) -> bool:
        """Whether the link reaches many at once: neither the loopback interface nor a point-to-point link."""
        return not self.is_loopback and all(address.peer is None for address in self.addresses)

    @property
    def sent(self) -> list[bytes]:
        """What a memory link transmitted, oldest first.  :raises AttributeError: when another link is behind."""
        if isinstance(self.link, MemoryLink):
            return self.link.sent
        raise AttributeError(f"{self.name} has no memory link: what it sent is not kept")

    def __repr__(self) -> str:
        addresses = ", ".join(str(address) for address in self.addresses) or "no address"
        return f"<Interface {self.name}: {addresses}, mtu {self.mtu}{'' if self.up else ', down'}>"
