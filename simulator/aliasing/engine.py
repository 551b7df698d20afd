"""The translation itself: what becomes of one datagram on its way out or in.

Facts: libalias(3), alias.c of FreeBSD 8 to 14.  Out, a datagram's source becomes the aliasing address and a port that
no other conversation with that far end has; in, the destination becomes the local end again.  ICMP queries have their
identifier for a port; ICMP errors are translated by the datagram that they quote, which is translated, too.

Of a fragmented datagram the first piece, which has the ports, is translated whole.  Coming in, its identification leads
the rest to the same local address; going out, the rest only gets its source changed.

Other than there, the header checksum of a quoted datagram is right again afterwards.  Protocols that carry addresses in
their data (FTP, IRC, PPTP, SIP ...), proxy rules and SCTP are not translated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from struct import Struct
from typing import NamedTuple

from rules.aliasing import NO_ADDRESS, AddressRedirect, Mode, PortRedirect, Redirect, Server
from rules.fields import ICMP, MORE_FRAGMENTS, OFFSET_MASK, TCP, UDP
from simulator.aliasing.links import ADDRESS, ANY, FRAGMENT, Link, LinkTable
from simulator.wire import icmp
from simulator.wire.checksum import update, update_32
from simulator.wire.rewriting import DESTINATION, SOURCE, End, rewrite_end, set_address, set_port

__all__ = ["Aliasing", "Outcome", "Translated"]

_header = Struct(">BBHHHBBHII")
_ports = Struct(">HH")
_word = Struct(">H")

_NO_PORT = 1
"""Stands for the port that ICMP, other protocols and fragments do not have; 0 would be an unknown one."""

_PROTOCOL_OF = {"tcp": TCP, "udp": UDP}
_NEEDED = {TCP: 18, UDP: 8, ICMP: 8}
"""Octets behind the IP header that a translation touches."""

_ECHO_REPLY, _ECHO, _TIMESTAMP, _TIMESTAMP_REPLY = 0, 8, 13, 14
_REQUESTS = frozenset({_ECHO, _TIMESTAMP})
_REPLIES = frozenset({_ECHO_REPLY, _TIMESTAMP_REPLY})
_ERRORS = frozenset({icmp.UNREACHABLE, icmp.SOURCE_QUENCH, icmp.TIME_EXCEEDED, icmp.PARAMETER_PROBLEM})
_QUOTED = 8

_PRIVATE = ((0x0A000000, 0xFF000000), (0xAC100000, 0xFFF00000), (0xC0A80000, 0xFFFF0000))
_CARRIER_GRADE = ((0x64400000, 0xFFC00000),)


class Outcome(Enum):
    """What a translation came to."""

    OK = "translated"
    """Or looked at and found to need no change."""
    IGNORED = "none of its business"
    ERROR = "cannot be kept track of"
    HEADER_FRAGMENT = "first fragment"
    UNRESOLVED_FRAGMENT = "fragment of an unknown datagram"


class Translated(NamedTuple):
    """The outcome, and the octets as they are now."""

    outcome: Outcome
    octets: bytes


class _Datagram:
    """Octets being changed, and the header as it was."""

    __slots__ = ("at", "destination", "fragment", "identification", "octets", "protocol", "source")

    def __init__(self, octets: bytearray, begin: int = 0) -> None:
        first, _, _, self.identification, self.fragment, _, self.protocol, _, self.source, self.destination = (
            _header.unpack_from(octets, begin)
        )
        self.octets = octets
        self.at = begin + ((first & 15) << 2)
        """Where the transport header begins."""

    @property
    def ports(self) -> tuple[int, int]:
        source, destination = _ports.unpack_from(self.octets, self.at)
        return source, destination

    @property
    def identifier(self) -> int:
        """Of an ICMP query."""
        value: int = _word.unpack_from(self.octets, self.at + 4)[0]
        return value


def _read(octets: bytearray, begin: int = 0) -> _Datagram | None:
    """The datagram there, None if it is not as far as its headers need."""
    if len(octets) < begin + 20 or octets[begin] >> 4 != 4 or octets[begin] & 15 < 5:
        return None
    datagram = _Datagram(octets, begin)
    needed = 0 if datagram.fragment & OFFSET_MASK else 8 if begin else _NEEDED.get(datagram.protocol, 0)
    return datagram if len(octets) >= datagram.at + needed else None


class Aliasing:
    """One translation between an inside and an outside.

    ``now`` gives seconds, ``choose(n)`` a random number from 0 to n - 1.  ``address``: the aliasing address, 0 for none
    yet.  ``target``: where incoming datagrams go that belong to no link: 0 leaves them as they are, 255.255.255.255
    sends them to the aliasing address."""

    def __init__(
        self,
        *,
        now: Callable[[], float],
        choose: Callable[[int], int],
        address: int = 0,
        mode: Mode = Mode(),  # noqa: B008 - a frozen value
        target: int = 0,
    ) -> None:
        self.links = LinkTable(now, choose)
        self.links.on_change = self._log
        self.mode = mode
        self.target = target
        self.log = ""
        """The line of counts, as of the last link that came or went, where the mode says ``log``."""
        self._address = self._stands_for = address
        self._redirects: tuple[Redirect, ...] = ()
        self._redirections: list[Link] = []

    # -- configuring -------------------------------------------------------------------------------------------------

    @property
    def address(self) -> int:
        """The aliasing address; a new one ends all links where the mode says ``reset``."""
        return self._address

    @address.setter
    def address(self, address: int) -> None:
        if self.mode.reset and address != self._address:
            self.links.clear()
        self._address = self._stands_for = address

    @property
    def redirects(self) -> tuple[Redirect, ...]:
        """The redirections; new ones take the place of the old, what they led to lives on."""
        return self._redirects

    @redirects.setter
    def redirects(self, redirects: Iterable[Redirect]) -> None:
        for link in self._redirections:
            self.links.remove(link)
        self._redirects = tuple(redirects)
        self._redirections = [link for redirect in self._redirects for link in self._redirect(redirect)]

    def _redirect(self, redirect: Redirect) -> list[Link]:
        if isinstance(redirect, PortRedirect):
            links = []
            for step in range(redirect.count):
                remote_port = redirect.remote_port + step if redirect.remote_port else ANY
                kind, local_port = _PROTOCOL_OF[redirect.protocol], redirect.local_port + step & 0xFFFF
                link = Link(kind, redirect.local, local_port, redirect.remote, remote_port, redirect.public)
                links.append(self._permanent(link, redirect.public_port + step & 0xFFFF, redirect.servers))
            return links
        if isinstance(redirect, AddressRedirect):
            link = Link(ADDRESS, redirect.local, ANY, ANY, ANY, redirect.public)
            return [self._permanent(link, ANY, tuple(Server(each, 0) for each in redirect.servers))]
        link = Link(redirect.protocol, redirect.local, _NO_PORT, redirect.remote, _NO_PORT, redirect.public)
        return [self._permanent(link, ANY, ())]

    def _permanent(self, link: Link, port: int, servers: tuple[Server, ...]) -> Link:
        added = self.links.add(link, port, permanent=True)
        assert added is not None  # with a port of its own it always finds room
        if servers:
            self.links.pool(added, servers)
        return added

    def _log(self) -> None:
        if self.mode.log:
            self.log = self.counts()

    def counts(self) -> str:
        """The links by kind, in libalias's words for a log."""
        counts = self.links.counts
        echo, udp, tcp, fragments = (counts[kind] for kind in (ICMP, UDP, TCP, FRAGMENT))
        total = counts.total() - counts[ADDRESS]
        other = total - echo - udp - tcp - fragments
        return (
            f"icmp={echo}, udp={udp}, tcp={tcp}, sctp=0, pptp=0, proto={other}, "
            f"frag_id={fragments} frag_ptr=0 / tot={total}"
        )

    # -- translating -------------------------------------------------------------------------------------------------

    def alias(self, octets: bytes, *, create: bool = True) -> Translated:
        """A datagram that leaves.  Without ``create``, only what belongs to a link already is translated."""
        return self._translate(octets, going_out=not self.mode.reverse, create=create)

    def dealias(self, octets: bytes) -> Translated:
        """A datagram that comes in."""
        return self._translate(octets, going_out=self.mode.reverse, create=True)

    def _translate(self, octets: bytes, *, going_out: bool, create: bool) -> Translated:
        self.links.sweep()
        changed = bytearray(octets)
        datagram = _read(changed)
        if datagram is None or int.from_bytes(octets[2:4], "big") > len(octets):
            return Translated(Outcome.IGNORED, octets)
        outcome = self._out(datagram, create) if going_out else self._in(datagram)
        return Translated(outcome, bytes(changed))

    def _out(self, datagram: _Datagram, create: bool) -> Outcome:
        self._stands_for = self._alias_for(datagram.source)
        try:
            if datagram.fragment & OFFSET_MASK:
                set_address(datagram.octets, 0, SOURCE, self._alias_of_local(datagram.source))
                return Outcome.OK
            if self.mode.proxy_only:
                return Outcome.OK
            if datagram.protocol == ICMP:
                return self._icmp_out(datagram, create)
            if datagram.protocol in (TCP, UDP):
                return self._ports_out(datagram, create)
            return self._protocol_out(datagram)
        finally:
            self._stands_for = self._address

    def _alias_for(self, source: int) -> int:
        """The aliasing address for a local one: itself, where it is not to be translated."""
        mode = self.mode
        if mode.unreg_only or mode.unreg_cgn:
            translated = _PRIVATE + _CARRIER_GRADE if mode.unreg_cgn else _PRIVATE
            return self._address if any(source & mask == network for network, mask in translated) else source
        return source if mode.proxy_only else self._address

    def _in(self, datagram: _Datagram) -> Outcome:
        if datagram.fragment & OFFSET_MASK:
            return self._fragment_in(datagram)
        if datagram.protocol == ICMP:
            outcome = self._icmp_in(datagram)
        elif datagram.protocol in (TCP, UDP):
            outcome = self._ports_in(datagram)
        else:
            outcome = self._protocol_in(datagram)
        return self._first_fragment_in(datagram) if datagram.fragment & MORE_FRAGMENTS else outcome

    # -- TCP and UDP -------------------------------------------------------------------------------------------------

    def _ports_out(self, datagram: _Datagram, create: bool) -> Outcome:
        source_port, destination_port = datagram.ports
        link = self._find_out(
            datagram.protocol, datagram.source, source_port, datagram.destination, destination_port, create
        )
        if link is None:
            return Outcome.IGNORED
        if datagram.protocol == TCP:
            link.saw(datagram.octets[datagram.at + 13], going_out=True)
        rewrite_end(datagram.octets, SOURCE, link.alias or self._stands_for, link.alias_port)
        return Outcome.OK

    def _ports_in(self, datagram: _Datagram) -> Outcome:
        remote_port, alias_port = datagram.ports
        create = not self.mode.proxy_only
        link = self._find_in(
            datagram.protocol, datagram.destination, alias_port, datagram.source, remote_port, partial=create
        )
        if link is None and create:
            link = self._unasked(datagram, alias_port, remote_port, alias_port)
        if link is None:
            return Outcome.IGNORED
        rewrite_end(datagram.octets, DESTINATION, link.source or self._address, link.source_port)
        if datagram.protocol == TCP:
            link.saw(datagram.octets[datagram.at + 13], going_out=False)
        return Outcome.OK

    # -- other protocols ---------------------------------------------------------------------------------------------

    def _protocol_out(self, datagram: _Datagram) -> Outcome:
        kind, source, destination = datagram.protocol, datagram.source, datagram.destination
        link = self._find_out_only(kind, source, _NO_PORT, destination, _NO_PORT, partial=True)
        if link is None:
            new = Link(kind, source, _NO_PORT, destination, _NO_PORT, self._alias_of_local(source))
            link = self.links.add(new, ANY)
        assert link is not None
        set_address(datagram.octets, 0, SOURCE, link.alias or self._stands_for)
        return Outcome.OK

    def _protocol_in(self, datagram: _Datagram) -> Outcome:
        if self.mode.proxy_only:
            return Outcome.OK
        kind, alias, remote = datagram.protocol, datagram.destination, datagram.source
        link = self._find_in(kind, alias, ANY, remote, _NO_PORT, partial=True)
        if link is None:
            link = self._unasked(datagram, _NO_PORT, _NO_PORT, ANY)
        if link is None:
            return Outcome.IGNORED
        set_address(datagram.octets, 0, DESTINATION, link.source or self._address)
        return Outcome.OK

    # -- ICMP --------------------------------------------------------------------------------------------------------

    def _icmp_out(self, datagram: _Datagram, create: bool) -> Outcome:
        kind, code = datagram.octets[datagram.at : datagram.at + 2]
        if kind in _ERRORS:
            return self._error_out(datagram)
        if kind in _REPLIES or (kind in _REQUESTS and code == 0):
            source, destination = datagram.source, datagram.destination
            link = self._find_out(ICMP, source, datagram.identifier, destination, _NO_PORT, create, partial=False)
            if link is not None:
                rewrite_end(datagram.octets, SOURCE, link.alias or self._stands_for, link.alias_port)
                return Outcome.OK
        return Outcome.IGNORED

    def _icmp_in(self, datagram: _Datagram) -> Outcome:
        if self.mode.proxy_only:
            return Outcome.OK
        kind, code = datagram.octets[datagram.at : datagram.at + 2]
        if kind in _ERRORS:
            return self._error_in(datagram)
        if kind in _REQUESTS or (kind in _REPLIES and code == 0):
            identifier = datagram.identifier
            link = self._find_in(ICMP, datagram.destination, identifier, datagram.source, _NO_PORT)
            if link is None:
                link = self._unasked(datagram, identifier, _NO_PORT, identifier)
            if link is not None:
                rewrite_end(datagram.octets, DESTINATION, link.source or self._address, link.source_port)
                return Outcome.OK
        return Outcome.IGNORED

    def _error_out(self, datagram: _Datagram) -> Outcome:
        """About a datagram that came in: its destination is known outside by its alias."""
        quoted = _quoted(datagram)
        if quoted is None:
            return Outcome.IGNORED
        local_port, remote_port = _quoted_ports(quoted, local=DESTINATION)
        link = self._find_out_only(
            quoted.protocol, quoted.destination, local_port, quoted.source, remote_port, partial=False
        )
        if link is None:
            return Outcome.IGNORED
        alias = link.alias or self._stands_for
        _rewrite_quoted(datagram, quoted, DESTINATION, alias, link.alias_port)
        if datagram.source == quoted.destination:
            set_address(datagram.octets, 0, SOURCE, alias)
        return Outcome.OK

    def _error_in(self, datagram: _Datagram) -> Outcome:
        """About a datagram that left: its source is the local end."""
        quoted = _quoted(datagram)
        if quoted is None:
            return Outcome.IGNORED
        alias_port, remote_port = _quoted_ports(quoted, local=SOURCE)
        link = self._find_in(quoted.protocol, quoted.source, alias_port, quoted.destination, remote_port)
        if link is None or link.servers:
            return Outcome.IGNORED
        local = link.source or self._address
        _rewrite_quoted(datagram, quoted, SOURCE, local, link.source_port)
        set_address(datagram.octets, 0, DESTINATION, local)
        return Outcome.OK

    # -- fragments ---------------------------------------------------------------------------------------------------

    def _first_fragment_in(self, datagram: _Datagram) -> Outcome:
        """Remember where it went, whatever became of it."""
        remote, alias, number = datagram.source, datagram.destination, datagram.identification
        link = self._find_in(FRAGMENT, alias, number, remote, _NO_PORT)
        if link is None:
            link = self.links.add(Link(FRAGMENT, ANY, _NO_PORT, remote, _NO_PORT, alias), number)
        if link is None:
            return Outcome.ERROR
        link.fragment_to = _Datagram(datagram.octets).destination
        return Outcome.HEADER_FRAGMENT

    def _fragment_in(self, datagram: _Datagram) -> Outcome:
        link = self._find_in(FRAGMENT, datagram.destination, datagram.identification, datagram.source, _NO_PORT)
        if link is None:
            return Outcome.UNRESOLVED_FRAGMENT
        set_address(datagram.octets, 0, DESTINATION, link.fragment_to)
        return Outcome.OK

    # -- links -------------------------------------------------------------------------------------------------------

    def _find_out(
        self,
        kind: int,
        source: int,
        source_port: int,
        destination: int,
        destination_port: int,
        create: bool,
        *,
        partial: bool = True,
    ) -> Link | None:
        found = self._find_out_only(
            kind, source, source_port, destination, destination_port, partial=partial and create
        )
        if found is not None or not create:
            return found
        new = Link(kind, source, source_port, destination, destination_port, self._alias_of_local(source))
        return self.links.add(new, None, same_port=self.mode.same_ports)

    def _find_out_only(
        self, kind: int, source: int, source_port: int, destination: int, destination_port: int, *, partial: bool
    ) -> Link | None:
        """A link of that source, or of the aliasing address whatever it is, if that is the source."""
        find = self.links.find_out
        found = find(kind, source, source_port, destination, destination_port, partial=partial)
        if found is None and source and source == self._stands_for:
            found = find(kind, ANY, source_port, destination, destination_port, partial=partial)
        return found

    def _find_in(
        self, kind: int, alias: int, alias_port: int, remote: int, remote_port: int, *, partial: bool = False
    ) -> Link | None:
        """A link of that alias, or of the aliasing address whatever it is, if that is the alias."""
        find = self.links.find_in
        found = find(kind, alias, alias_port, remote, remote_port, partial=partial)
        if found is None and alias and alias == self._address:
            found = find(kind, ANY, alias_port, remote, remote_port, partial=partial)
        return found

    def _unasked(self, datagram: _Datagram, local_port: int, remote_port: int, alias_port: int) -> Link | None:
        """A link for a datagram from outside that belongs to none, unless those are refused."""
        if self.mode.deny_in:
            return None
        alias = datagram.destination
        local = self._local_of_alias(alias)
        return self.links.add(
            Link(datagram.protocol, local, local_port, datagram.source, remote_port, alias), alias_port
        )

    def _local_of_alias(self, alias: int) -> int:
        """Who gets what is sent to a public address without a link."""
        link = self._find_in(ADDRESS, alias, ANY, ANY, ANY)
        if link is None:
            if self.target == NO_ADDRESS:
                return self._address or alias
            return self.target or alias
        if link.servers:
            server = link.servers[0]
            link.servers.rotate(-1)
            return server.address
        return link.source or self._address or alias

    def _alias_of_local(self, local: int) -> int:
        """What a local address is known as outside."""
        link = self._find_out_only(ADDRESS, local, ANY, ANY, ANY, partial=False)
        return (link.alias if link is not None else 0) or self._stands_for or local


def _quoted(datagram: _Datagram) -> _Datagram | None:
    """The datagram that an ICMP error is about; None unless it is TCP, UDP or an ICMP request and has its ports."""
    quoted = _read(datagram.octets, datagram.at + _QUOTED)
    if quoted is None or quoted.fragment & OFFSET_MASK:
        return None
    if quoted.protocol == ICMP:
        return quoted if quoted.octets[quoted.at] in _REQUESTS else None
    return quoted if quoted.protocol in (TCP, UDP) else None


def _quoted_ports(quoted: _Datagram, *, local: End) -> tuple[int, int]:
    """The port of the local end and that of the far one; an identifier belongs to the local end whoever asked."""
    if quoted.protocol == ICMP:
        return quoted.identifier, _NO_PORT
    source, destination = quoted.ports
    return (source, destination) if local is SOURCE else (destination, source)


def _rewrite_quoted(datagram: _Datagram, quoted: _Datagram, end: End, address: int, port: int) -> None:
    """Another address and port in a quoted datagram; its header checksum and the ICMP checksum around it fit."""
    octets, begin = datagram.octets, datagram.at + _QUOTED
    place = datagram.at + 2
    (fitting,) = _word.unpack_from(octets, place)
    (header_before,) = _word.unpack_from(octets, begin + 10)
    old_address = set_address(octets, begin, end, address)
    old_port = set_port(octets, begin, end, port)
    (header_after,) = _word.unpack_from(octets, begin + 10)
    fitting = update_32(fitting, old_address, address)
    fitting = update(fitting, header_before, header_after)
    _word.pack_into(octets, place, update(fitting, old_port, port))
