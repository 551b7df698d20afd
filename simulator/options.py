"""IP options of a datagram that a Linux 2.2 host receives or forwards (RFC 791 section 3.1; linux.md H1, H5).

Options are looked at in two places.  When a datagram has been received and routed, they are checked, routes and times
are recorded, and a source route chooses where it goes next (ip_options_compile, ip_options_rcv_srr).  When it is
forwarded, after the output chain, the address that was recorded becomes that of the interface it leaves by, the source
route moves on by one, and the header checksum is made right again (ip_forward_options); until then it is the old one.

What answers the datagram (an echo reply, a reset, an ICMP error) takes its record route and its timestamp along
(ip_options_echo, ip_options_build).  A source route is not turned round, and router alert means nothing here.
"""

from __future__ import annotations

from collections.abc import Callable

from simulator.icmp_errors import Error, IcmpErrors
from simulator.ledger import Reason
from simulator.node import Node
from simulator.packet import MINIMUM_HEADER, Packet
from simulator.routing import Kind, Route, is_class_e, is_multicast

__all__ = ["PARAMETER_PROBLEM", "LinuxOptions", "Pending"]

_END, _NOP, _RECORD_ROUTE, _TIMESTAMP, _LOOSE, _STRICT, _ROUTER_ALERT = 0, 1, 7, 68, 131, 137, 148
_TIME_ONLY, _TIME_AND_ADDRESS, _PRESPECIFIED = 0, 1, 3
_MOST_OVERFLOWS = 15
_DAY = 86_400_000
_DESTINATION = 16
"""Where the destination address stands in the header: what a strict route that goes elsewhere is blamed on."""

PARAMETER_PROBLEM = Error(12, 0)


class Pending:
    """What the options of a received datagram are, and what they still want when it is forwarded."""

    __slots__ = ("changed", "hop", "recorded", "seen", "source_route", "stamped", "strict", "timed")

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}
        """Where each kind of option that must not come twice starts, octets from the start of the header."""
        self.changed = False
        """The header was changed, its checksum not."""
        self.recorded = 0
        """Where the address of this host was put into a record route, 0 for nowhere."""
        self.stamped = 0
        """Where it was put beside a timestamp."""
        self.timed = False
        """The time was put into a timestamp."""
        self.source_route = 0
        """Where the source route starts."""
        self.strict = False
        """No hop may lie between this host and the next one of the source route."""
        self.hop = 0
        """Where the next hop of the source route stands, if it leads on from here."""


class _FaultError(Exception):
    """An option is wrong at that octet of the header."""

    def __init__(self, octet: int) -> None:
        super().__init__(octet)
        self.octet = octet


class LinuxOptions:
    """Options as one host treats them."""

    def __init__(
        self,
        node: Node,
        errors: IcmpErrors,
        find: Callable[[int, int], Route | Reason],
        *,
        source_routes: bool,
    ) -> None:
        """``find``: the route for a received datagram by source and destination; ``source_routes``: they are taken."""
        self._node = node
        self._errors = errors
        self._find = find
        self._source_routes = source_routes
        self._parsers: dict[int, Callable[[bytearray, int, int, Pending, int], None]] = {
            _RECORD_ROUTE: self._record_route,
            _TIMESTAMP: self._timestamp,
            _LOOSE: _source_route,
            _STRICT: _source_route,
            _ROUTER_ALERT: _router_alert,
        }

    # -- received --------------------------------------------------------------------------------------------------

    def received(self, packet: Packet, route: Route | Reason) -> Route | Reason:
        """Do what the options want of the host that received the datagram; where it goes, or why nowhere.

        They are looked at without a route, too, as long as the sender will be told of that.
        """
        header = bytearray(packet.octets[: packet.header_length])
        pending = packet.pending_options = Pending()
        fault = self._walk(header, pending, self._own_address(packet))
        _write(packet, header)
        if fault:
            return self._problem(packet, fault)
        if not pending.source_route:
            return route
        if not self._source_routes or isinstance(route, Reason):
            return Reason.SOURCE_ROUTED
        return self._follow(packet, header, pending, route)

    def _walk(self, header: bytearray, pending: Pending, own: int) -> int:
        """Each option in turn; the octet at fault, 0 for none."""
        at, end = MINIMUM_HEADER, len(header)
        while at < end:
            kind = header[at]
            if kind == _END:
                if any(header[at:]):
                    header[at:] = bytes(end - at)
                    pending.changed = True
                return 0
            if kind == _NOP:
                at += 1
                continue
            length = header[at + 1] if at + 1 < end else 0
            if not 2 <= length <= end - at:
                return at
            parse = self._parsers.get(kind)
            if parse is not None:
                try:
                    parse(header, at, length, pending, own)
                except _FaultError as fault:
                    return fault.octet
            at += length
        return 0

    def _record_route(self, header: bytearray, at: int, length: int, pending: Pending, own: int) -> None:
        _only_once(pending, "record route", at)
        pointer = _pointer(header, at, length, shortest=3, least=4)
        if pointer > length:
            pending.seen["record route"] = at
            return  # full: passed on as it is
        place = _room(at, pointer, length, 4)
        pending.seen["record route"] = at
        header[place : place + 4] = own.to_bytes(4, "big")
        header[at + 2] = pointer + 4
        pending.recorded = place
        pending.changed = True

    def _timestamp(self, header: bytearray, at: int, length: int, pending: Pending, own: int) -> None:
        _only_once(pending, "timestamp", at)
        pointer = _pointer(header, at, length, shortest=4, least=5)
        if pointer > length:
            overflows = header[at + 3] >> 4
            if overflows == _MOST_OVERFLOWS:
                raise _FaultError(at + 3)
            pending.seen["timestamp"] = at
            header[at + 3] += 0x10
            pending.changed = True
            return
        place = _room(at, pointer, length, 4)
        form = header[at + 3] & 15
        if form == _TIME_ONLY:
            pending.seen["timestamp"] = at
            self._stamp(header, place, pending)
            header[at + 2] = pointer + 4
        elif form in (_TIME_AND_ADDRESS, _PRESPECIFIED):
            _room(at, pointer, length, 8)
            pending.seen["timestamp"] = at
            if form == _TIME_AND_ADDRESS:
                header[place : place + 4] = own.to_bytes(4, "big")
                pending.stamped = place
            elif self._is_elsewhere(int.from_bytes(header[place : place + 4], "big")):
                return
            self._stamp(header, place + 4, pending)
            header[at + 2] = pointer + 8

    def _stamp(self, header: bytearray, place: int, pending: Pending) -> None:
        header[place : place + 4] = self._now()
        pending.changed = pending.timed = True

    def _now(self) -> bytes:
        """Milliseconds since midnight (RFC 791); the router's clock starts at midnight."""
        return (int(self._node.clock.now() * 1000) % _DAY).to_bytes(4, "big")

    def _is_elsewhere(self, address: int) -> bool:
        """Whether an address is one that belongs to another host, and to one alone."""
        if is_multicast(address) or is_class_e(address) or address >> 24 == 0:
            return False
        route = self._node.routes.lookup(address)
        return route is None or route.kind not in (Kind.LOCAL, Kind.BROADCAST)

    def _own_address(self, packet: Packet) -> int:
        """The address by which the sender reached this host."""
        if packet.destination in self._node.own:
            return packet.destination
        received_on = packet.received_on
        return self._node.source_towards(packet.source) or (received_on.address if received_on else 0) or 0

    def _problem(self, packet: Packet, octet: int) -> Reason:
        self._errors.report(packet, PARAMETER_PROBLEM, octet << 24)
        return Reason.BAD_OPTIONS

    def _follow(self, packet: Packet, header: bytearray, pending: Pending, route: Route) -> Route | Reason:
        """Where the source route leads: past hops that are this host itself, to the first one that is not."""
        if packet.link_broadcast or route.kind is Kind.BROADCAST or is_multicast(packet.destination):
            return Reason.NOT_FOR_US
        if route.kind is Kind.UNICAST:
            return self._problem(packet, _DESTINATION) if pending.strict else route
        start = pending.source_route
        length = header[start + 1]
        for pointer in range(header[start + 2], length + 1, 4):
            if pointer + 3 > length:
                return self._problem(packet, start + 2)
            place = start + pointer - 1
            hop = int.from_bytes(header[place : place + 4], "big")
            found = self._find(packet.source, hop)
            if isinstance(found, Reason):
                return found
            if found.kind is Kind.UNICAST:
                pending.hop = place
                pending.changed = True
                return found
            if found.kind is not Kind.LOCAL:
                return Reason.NO_ROUTE
            packet.set_destination(hop)
            pending.changed = True
        return route

    # -- answered --------------------------------------------------------------------------------------------------

    def echoed(self, packet: Packet, source: int) -> bytes | None:
        """The options of an answer from that address (0: the one nearest to the sender); None: it cannot be sent."""
        pending = packet.pending_options
        if pending is None:
            return b""
        own = (source or self._node.source_towards(packet.source)).to_bytes(4, "big")
        try:
            answer = self._echoed_route(packet, pending, own) + self._echoed_timestamp(packet, pending, own)
        except _FaultError:
            return None
        return answer + bytes(-len(answer) % 4)

    def _echoed_route(self, packet: Packet, pending: Pending, own: bytes) -> bytes:
        """The way back is recorded behind the way here."""
        option = _option(packet, pending.seen.get("record route"))
        if pending.recorded and option[2] <= option[1]:
            place = _room(0, option[2], option[1], 4)
            option[place : place + 4] = own
            option[2] += 4
        return bytes(option)

    def _echoed_timestamp(self, packet: Packet, pending: Pending, own: bytes) -> bytes:
        option = _option(packet, pending.seen.get("timestamp"))
        if not pending.timed or option[2] > option[1]:
            return bytes(option)
        if option[3] & 15 == _PRESPECIFIED:
            # One octet more than the entry takes: that is how 2.2 counts.
            if option[2] + 8 <= option[1] and not self._is_local(int.from_bytes(option[option[2] - 1 :][:4], "big")):
                option[option[2] + 3 : option[2] + 7] = self._now()
                option[2] += 8
            return bytes(option)
        for value in (own, self._now()) if pending.stamped else (self._now(),):
            place = _room(0, option[2], option[1], 4)
            option[place : place + 4] = value
            option[2] += 4
        return bytes(option)

    def _is_local(self, address: int) -> bool:
        route = self._node.routes.lookup(address)
        return route is not None and route.kind is Kind.LOCAL

    # -- forwarded -------------------------------------------------------------------------------------------------

    def forwarded(self, packet: Packet, pending: Pending) -> None:
        """The last changes before the datagram leaves, and the right header checksum if there were any."""
        if not pending.changed:
            return
        header = bytearray(packet.octets[: packet.header_length])
        hop = int.from_bytes(header[pending.hop : pending.hop + 4], "big") if pending.hop else packet.destination
        leaving_from = self._node.source_towards(hop).to_bytes(4, "big")
        if pending.recorded:
            header[pending.recorded : pending.recorded + 4] = leaving_from
        if pending.hop:
            header[pending.hop : pending.hop + 4] = leaving_from
            header[pending.source_route + 2] = pending.hop - pending.source_route + 5
            if pending.stamped:
                header[pending.stamped : pending.stamped + 4] = leaving_from
        _write(packet, header)
        if pending.hop:
            packet.set_destination(hop)
        packet.fix_checksum()
        packet.pending_options = None


def _write(packet: Packet, header: bytearray) -> None:
    packet.octets = bytes(header) + packet.octets[len(header) :]


def _option(packet: Packet, at: int | None) -> bytearray:
    """The option that starts there in the header; nothing when there is none."""
    return bytearray() if at is None else bytearray(packet.octets[at : at + packet.octets[at + 1]])


def _only_once(pending: Pending, name: str, at: int) -> None:
    if name in pending.seen:
        raise _FaultError(at)


def _pointer(header: bytearray, at: int, length: int, *, shortest: int, least: int) -> int:
    """The pointer of an option that has one."""
    if length < shortest:
        raise _FaultError(at + 1)
    pointer = header[at + 2]
    if pointer < least:
        raise _FaultError(at + 2)
    return pointer


def _room(at: int, pointer: int, length: int, octets: int) -> int:
    """Where the pointer points, in the header, if that many octets are left there."""
    if pointer + octets - 1 > length:
        raise _FaultError(at + 2)
    return at + pointer - 1


def _source_route(header: bytearray, at: int, length: int, pending: Pending, own: int) -> None:
    _pointer(header, at, length, shortest=3, least=4)
    _only_once(pending, "source route", at)  # RFC 1812 section 5.2.4.1
    pending.seen["source route"] = at
    pending.source_route = at
    pending.strict = header[at] == _STRICT


def _router_alert(header: bytearray, at: int, length: int, pending: Pending, own: int) -> None:
    if length < 4:
        raise _FaultError(at + 1)
