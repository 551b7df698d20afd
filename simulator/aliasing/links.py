"""Links: what a translation remembers of each conversation, how they are found, and how long they live.

A link ties a local end (``source``) to the end outside (``destination``) and to the address and port that stand for the
local end out there (``alias``).  It is found from inside by source and destination, from outside by alias and
destination. A *partial* link does not know its far end yet (address or port 0): the first datagram from outside that
fits makes a full link of it, and only a permanent one stays for the next.

Facts: libalias(3), alias_db.c of FreeBSD 8 to 14 (in its newest form where forms differ).  There, links that are too
old are swept up with time; here a link is gone for everybody the moment it is too old.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator

from rules.aliasing import FIRST_PORT, LAST_PORT, Server
from rules.fields import ICMP, TCP, UDP

__all__ = ["ADDRESS", "ANY", "CONNECTED", "DISCONNECTED", "FRAGMENT", "NOT_CONNECTED", "Link", "LinkTable", "Timeouts"]

ANY = 0
"""An address or port that a link does not know."""

FRAGMENT, ADDRESS = 0x101, 0x102
"""Kinds of links beside the protocol numbers: the identification of fragments, an address redirection."""

NOT_CONNECTED, CONNECTED, DISCONNECTED = range(3)
"""One direction of a TCP connection."""

_ATTEMPTS = 20
"""Ports tried for a new link."""
_SWEPT = 2
"""Links looked at for their age with each datagram, so that a flood of new ones cannot pile up dead ones."""

_Key = tuple[int, ...]


class Timeouts:
    """Seconds of silence that links survive."""

    TCP_OPENING = 300.0
    """Until both sides sent a SYN."""
    TCP_CONNECTED = 86_400.0
    TCP_HALF_CLOSED = 90.0
    """One side sent FIN or RST."""
    TCP_CLOSED = 10.0
    UDP = 60.0
    ICMP = 60.0
    PROTOCOL = 60.0
    """Any other protocol."""
    FRAGMENT = 10.0


_TIMEOUT = {
    TCP: Timeouts.TCP_OPENING,
    UDP: Timeouts.UDP,
    ICMP: Timeouts.ICMP,
    FRAGMENT: Timeouts.FRAGMENT,
}


class Link:
    """One conversation, one redirection, or one fragmented datagram."""

    __slots__ = (
        "alias",
        "alias_port",
        "destination",
        "destination_port",
        "fragment_to",
        "inward",
        "kind",
        "outward",
        "permanent",
        "servers",
        "source",
        "source_port",
        "timeout",
        "used",
    )

    def __init__(
        self, kind: int, source: int, source_port: int, destination: int, destination_port: int, alias: int
    ) -> None:
        self.kind = kind
        self.source = source
        self.source_port = source_port
        self.destination = destination
        self.destination_port = destination_port
        self.alias = alias
        """0 for whatever the aliasing address is."""
        self.alias_port = 0
        self.permanent = False
        self.servers: deque[Server] = deque()
        """A pool that takes turns as local end."""
        self.inward = self.outward = NOT_CONNECTED
        self.fragment_to = 0
        """Where the rest of a fragmented datagram goes."""
        self.timeout = _TIMEOUT.get(kind, Timeouts.PROTOCOL)
        self.used = 0.0

    @property
    def is_partial(self) -> bool:
        return not self.destination or not self.destination_port

    @property
    def outer_key(self) -> _Key:
        return self.kind, self.source, self.source_port, self.destination, self.destination_port

    @property
    def group_key(self) -> _Key:
        return self.kind, self.alias, self.alias_port

    def saw(self, flags: int, *, going_out: bool) -> None:
        """A TCP segment passed: the state of its direction, and with it the timeout."""
        fin, syn, rst = 1, 2, 4
        mine, other = (self.outward, self.inward) if going_out else (self.inward, self.outward)
        if (flags & rst and mine == NOT_CONNECTED) or (flags & (fin | rst) and mine == CONNECTED):
            mine = DISCONNECTED
            self.timeout = Timeouts.TCP_HALF_CLOSED if other == CONNECTED else Timeouts.TCP_CLOSED
        elif flags & syn and mine == NOT_CONNECTED:
            mine = CONNECTED
            if other == CONNECTED:
                self.timeout = Timeouts.TCP_CONNECTED
        else:
            return
        if going_out:
            self.outward = mine
        else:
            self.inward = mine


class _Group:
    """The links of one kind, alias address and port."""

    __slots__ = ("full", "partial")

    def __init__(self) -> None:
        self.full: dict[tuple[int, int], list[Link]] = {}
        """By destination address and port, newest last: protocols without ports cannot tell two local ends apart."""
        self.partial: list[Link] = []
        """Newest last."""


class LinkTable:
    """All links of one translation.  ``now`` gives seconds, ``choose(n)`` a random number from 0 to n - 1."""

    def __init__(self, now: Callable[[], float], choose: Callable[[int], int]) -> None:
        self.ports = range(FIRST_PORT, LAST_PORT + 1)
        """Aliasing ports and identifiers to choose from."""
        self._now = now
        self._choose = choose
        self._outward: dict[_Key, Link] = {}
        self._inward: dict[_Key, _Group] = {}
        self._all: dict[Link, None] = {}
        """Every link, the one whose age was looked at longest ago first."""
        self.counts: Counter[int] = Counter()
        """Links by kind."""
        self.on_change: Callable[[], object] = lambda: None
        """Called when a link came or went."""

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Link]:
        """Those that are not too old."""
        return iter([link for link in self._all if not self._is_over(link)])

    # -- coming and going --------------------------------------------------------------------------------------------

    def add(self, link: Link, port: int | None, *, same_port: bool = False, permanent: bool = False) -> Link | None:
        """Take up a link with that aliasing port; None: choose one, the local port first where ``same_port``.

        None when no port can be had.
        """
        chosen = self._free_port(link, same_port=same_port) if port is None else port
        if chosen is None:
            return None
        link.alias_port = chosen
        link.permanent = permanent
        link.used = self._now()
        self._outward[link.outer_key] = link
        group = self._inward.setdefault(link.group_key, _Group())
        if link.is_partial:
            group.partial.append(link)
        else:
            group.full.setdefault((link.destination, link.destination_port), []).append(link)
        self._all[link] = None
        self.counts[link.kind] += 1
        self.on_change()
        return link

    def _free_port(self, link: Link, *, same_port: bool) -> int | None:
        """A port that no full link to the same far end has; others may share it."""
        port = link.source_port if same_port else self._random_port()
        for _ in range(_ATTEMPTS):
            group = self._inward.get((link.kind, link.alias, port))
            taken = [] if group is None else group.full.get((link.destination, link.destination_port), [])
            if all(map(self._is_over, taken)):
                for each in [*taken]:
                    self.remove(each)
                return port
            port = self._random_port()
        return None

    def _random_port(self) -> int:
        return self.ports[self._choose(len(self.ports))]

    def pool(self, link: Link, servers: tuple[Server, ...]) -> None:
        """The link stands for a pool, which takes turns from its last member backwards; nothing leaves by it."""
        link.servers = deque(reversed(servers))
        if self._outward.get(link.outer_key) is link:
            del self._outward[link.outer_key]

    def remove(self, link: Link) -> None:
        """The link is gone, permanent or not; again is harmless."""
        if link not in self._all:
            return
        del self._all[link]
        if self._outward.get(link.outer_key) is link:
            del self._outward[link.outer_key]
        group = self._inward[link.group_key]
        if link.is_partial:
            group.partial.remove(link)
        else:
            same = group.full[link.destination, link.destination_port]
            same.remove(link)
            if not same:
                del group.full[link.destination, link.destination_port]
        if not group.full and not group.partial:
            del self._inward[link.group_key]
        self.counts[link.kind] -= 1
        self.on_change()

    def clear(self) -> None:
        """End every link but the permanent ones."""
        for link in [link for link in self._all if not link.permanent]:
            self.remove(link)

    def sweep(self) -> None:
        """Look at a few links and end those that are over."""
        for _ in range(min(_SWEPT, len(self._all))):
            link = next(iter(self._all))
            if self._is_over(link):
                self.remove(link)
            else:
                del self._all[link]
                self._all[link] = None

    def _is_over(self, link: Link) -> bool:
        return not link.permanent and self._now() - link.used > link.timeout

    def _use(self, link: Link | None) -> Link | None:
        """The link, its time started again; None when that was up."""
        if link is None:
            return None
        if self._is_over(link):
            self.remove(link)
            return None
        link.used = self._now()
        return link

    def _replace(self, partial: Link, full: Link, port: int) -> Link | None:
        """A full link takes the place of a partial one, which stays if it is permanent."""
        added = self.add(full, port)
        if not partial.permanent:
            self.remove(partial)
        return added

    # -- from inside -------------------------------------------------------------------------------------------------

    def find_out(
        self,
        kind: int,
        source: int,
        source_port: int,
        destination: int,
        destination_port: int,
        *,
        partial: bool = False,
    ) -> Link | None:
        """The link of a datagram that leaves; with ``partial``, one that does not know the far end becomes one that
        does.

        Of partial links, one that knows the address goes before one that knows the port, and that before the others.
        """
        found = self._use(self._outward.get((kind, source, source_port, destination, destination_port)))
        if found is not None or not partial:
            return found
        for address, port in ((destination, ANY), (ANY, destination_port), (ANY, ANY)):
            found = self._use(self._outward.get((kind, source, source_port, address, port)))
            if found is not None:
                full = Link(kind, source, source_port, destination, destination_port, found.alias)
                return self._replace(found, full, found.alias_port)
        return None

    # -- from outside ------------------------------------------------------------------------------------------------

    def find_in(
        self, kind: int, alias: int, alias_port: int, remote: int, remote_port: int, *, partial: bool = False
    ) -> Link | None:
        """The link of a datagram that comes in; with ``partial``, one that does not know the far end becomes one that
        does, its next server where it is a pool."""
        group = self._inward.get((kind, alias, alias_port))
        if group is None:
            return None
        if remote and remote_port:
            for link in reversed([*group.full.get((remote, remote_port), ())]):
                if (found := self._use(link)) is not None:
                    return found
        best = self._best(group, remote, remote_port)
        if best is None or not partial:
            return best
        source, source_port = best.source, best.source_port
        if best.servers:
            source, source_port = best.servers[0]
            best.servers.rotate(-1)
        return self._replace(best, Link(kind, source, source_port, remote, remote_port, alias), alias_port)

    def _best(self, group: _Group, remote: int, remote_port: int) -> Link | None:
        """The link that fits best where one side or the other does not know the far end: by address, by port, at
        all."""
        ranked: list[Link | None] = [None, None, None]
        full = [] if remote and remote_port else [link for same in group.full.values() for link in same][::-1]
        for link in (*full, *reversed(group.partial)):
            if self._is_over(link):
                continue
            knows_address = bool(remote and link.destination)
            knows_port = bool(remote_port and link.destination_port)
            if (knows_address and link.destination != remote) or (knows_port and link.destination_port != remote_port):
                continue
            rank = 0 if knows_address and not knows_port else 1 if knows_port and not knows_address else 2
            if ranked[rank] is None:
                ranked[rank] = link
        return next((link for link in ranked if link is not None), None)
