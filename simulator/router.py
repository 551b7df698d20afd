"""Router: puts the rooms together.  The public front door."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from operator import index
from typing import Any, get_args

from rules import ipchains, ipfw
from rules.ipchains.sockopt import set_option
from simulator.bpf import Program, compile_filter
from simulator.clock import Clock, SimulatedClock
from simulator.history import Act, remembered
from simulator.interfaces import Address, Interface, Link
from simulator.ledger import Ledger, Reason
from simulator.links.memory import MemoryLink
from simulator.masquerade import RESERVED_PORTS, Masquerade
from simulator.node import Node
from simulator.packet import Packet
from simulator.paths.bsd import BsdPath
from simulator.paths.linux import LinuxPath
from simulator.profiles import BsdProfile, LinuxProfile, Profile, resolve
from simulator.routing import Kind as RouteKind
from simulator.routing import Route, Routes
from simulator.sockets.address import BSD_LAYOUT, BSD_PORT_LAYOUT, LINUX_LAYOUT, Layout
from simulator.sockets.base import Buffer, Overhearing, QueueSocket, fail
from simulator.sockets.buffers import BSD_LARGEST, CAPTURE_DEFAULT, BpfBuffer, BsdBuffer, LinuxBuffer
from simulator.sockets.divert import Customs, DivertPorts, DivertSocket, Write
from simulator.sockets.netlink import DEVICE, NETLINK_FIREWALL, FirewallCopies, NetlinkSocket
from simulator.sockets.raw import RawCustoms, RawSocket
from simulator.sockets.raw_writing import BsdRawWriting, LinuxRawWriting, shown_by_bsd
from simulator.sockets.tap import Direction, PacketTap, Taps
from simulator.sockets.udp import Connect, UdpPorts, UdpSocket
from simulator.sockets.writing import BsdWriting, LinuxWriting
from simulator.surroundings import RouterSurroundings
from simulator.trace import Kind, Listener, Trace

__all__ = ["IPPROTO_DIVERT", "PF_DIVERT", "Router"]

IPPROTO_DIVERT = 254
"""Linux, FreeBSD 4 and DragonFly; 258 (FreeBSD 5 and later) means the same here (bsd.md S-1)."""

PF_DIVERT = 44
"""The protocol family of FreeBSD 14's divert sockets (bsd.md S-2)."""

User = str | int | tuple[int, int]
"""A user of this host: name, number, or (uid, gid)."""

_DIVERT_PROTOCOLS = (IPPROTO_DIVERT, 258)
_SOCKET_FLAGS = int(socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
_NAME = re.compile("[!-.0-~]{1,15}")
"""Interface names as the kernels take them (dev_valid_name of Linux)."""

_MTU = range(68, 65536)
"""RFC 791: every link carries 68 octets unfragmented; no datagram is longer than 65,535."""


class Router:
    """A router with one kernel's packet path, firewall and divert sockets.

    ``profile`` names the kernel (``simulator.PROFILES`` has them all); every switch of it can be set by keyword, such
    as ``pass_through=True``.  Time stands still until ``router.clock.advance(seconds)``, unless another clock is given.

    ipchains knows services, protocols and networks by a table of this project, so that answers do not depend on the
    machine; ``names`` is another table (:func:`simulator.names.machine_names` reads the machine's own).  ``hosts`` are
    host names that its rules may use, each with an address or several: ``{"gateway": "10.0.0.254"}``.

    ``engine`` is how rules are searched, with the same answers (docs/classifier.md): ``"plain"``, ``"fast"`` or
    ``"auto"``.

    :raises ValueError: for a profile or an engine that does not exist, or a host's bad address.
    :raises TypeError: for a keyword that is no switch of the profile.
    """

    def __init__(
        self,
        profile: str = "linux-2.2",
        *,
        clock: Clock | None = None,
        names: ipchains.Names | None = None,
        hosts: Mapping[str, str | Sequence[str]] | None = None,
        engine: str = "auto",
        **switches: Any,
    ) -> None:
        self.profile: Profile = resolve(profile, **switches)
        self.node = Node(self.profile, clock if clock is not None else SimulatedClock())
        self._taps = Taps(self.node)
        self._udp_ports = UdpPorts(self.node.own.__contains__)
        self._engine = engine
        self.history: list[Act] = []
        """What was done to it since its birth, oldest first."""
        self._overheard: list[Overhearing] = []
        self._names = _with_hosts(names or ipchains.Names.standard(), hosts or {})
        self._raw_socket: Callable[..., RawSocket]
        self._raw_buffer: Callable[[], Buffer] = LinuxBuffer
        self._raw_protocols = range(1, 256)
        self._udp_connect: Connect = lambda *_: 0
        self._packet_sockets = False
        self._copies: FirewallCopies | None = None
        self._capture_buffer: Callable[[int], Buffer]
        self.path: LinuxPath | BsdPath
        if isinstance(self.profile, LinuxProfile):
            self._build_linux(self.profile)
        elif isinstance(self.profile, BsdProfile):
            self._build_bsd(self.profile)
        name, mtu = self.profile.loopback
        self.node.loopback = self.add_interface(name, "127.0.0.1/8", mtu=mtu)
        given: dict[str, Any] = {"profile": profile, "names": names, "hosts": hosts, "switches": switches}
        self.history[:] = [Act(self.clock.now(), "Router", given)]

    def _build_linux(self, profile: LinuxProfile) -> None:
        masquerade = Masquerade(self.node)
        self._packet_sockets = True
        self._copies = copies = FirewallCopies(self.node)
        self._capture_buffer = LinuxBuffer
        self._udp_ports.reserved = RESERVED_PORTS
        self.tables = ipchains.Tables(
            profile.rules,
            names=self._names,
            masquerading=masquerade,
            ip_forward=profile.forwarding,
            engine=self._engine,
        )
        self._divert_ports = DivertPorts(ephemeral=range(1024, 65536), newest_receives=True)
        self.path = path = LinuxPath(
            self.node, profile, self.tables, self._divert_ports, self._udp_ports, masquerade, copies
        )
        self._udp_connect = path.connect_udp
        writing = LinuxWriting(self.node, profile, path.inject_inbound, path.inject_outbound)
        self._divert_parts(writing.write, LINUX_LAYOUT, LinuxBuffer, Customs(multicast_from=self.node.own.__contains__))
        self._raw_socket = partial(
            RawSocket,
            sockets=path.host.raw,
            writing=LinuxRawWriting(self.node, path.output_route_by, path.send_raw),
            customs=RawCustoms(layout=LINUX_LAYOUT, device=self.node.interfaces.get),
            firewall=self._set_firewall,
        )

    def _set_firewall(self, option: int, octets: bytes) -> None:
        """``setsockopt`` at level IPPROTO_IP on a raw socket (linux.md D4); EACCES without privilege (D23)."""
        if not self.node.privileged:
            fail(errno.EACCES, "changing the firewall needs privilege")
        set_option(self.tables.chains, option, octets, self.tables.masquerading)

    def _build_bsd(self, profile: BsdProfile) -> None:
        self._capture_buffer = BpfBuffer
        self._udp_ports.layout = BSD_PORT_LAYOUT
        self.rules = ipfw.RuleSet(
            profile.rules,
            surroundings=RouterSurroundings(self.node, self._udp_ports),
            default="allow" if profile.default_accept else "deny",
            now=self.node.clock.now,
            log=self.node.messages.append,
            engine=self._engine,
        )
        first, last = profile.ephemeral
        self._divert_ports = DivertPorts(ephemeral=range(first, last + 1), newest_receives=profile.newest_receives)
        self.path = path = BsdPath(self.node, profile, self.rules, self._divert_ports, self._udp_ports)
        writing = BsdWriting(self.node, profile, path.inject_in, path.inject_out, path.too_small)
        customs = Customs(
            own_family=profile.own_family,
            ip_options=profile.socket_options_of_ip and not profile.own_family,
            largest_buffer=BSD_LARGEST,
            connected=profile.send_without_address,
            tells_overflow=profile.tells_overflow,
            routing_tables=profile.routing_tables,
            shutdown_errno=profile.shutdown_errno,
            reserved_ports=not profile.own_family,
        )
        self._divert_parts(writing.write, BSD_LAYOUT, BsdBuffer, customs)
        self._raw_protocols = range(256)
        self._raw_buffer = partial(BsdBuffer, profile.raw_buffer)
        self._raw_socket = partial(
            RawSocket,
            sockets=path.host.raw,
            writing=BsdRawWriting(self.node, profile, path.originate, path.send_raw),
            customs=RawCustoms(
                layout=BSD_LAYOUT,
                headers_included=frozenset(),
                shown=shown_by_bsd(profile),
                names_protocol=False,
                strange_flags=0,
                families=(socket.AF_INET,) if profile.own_family else (),
                strange_family=errno.EAFNOSUPPORT,
                no_address=errno.ENOTCONN,
                second_address=errno.EISCONN,
                bound_after_connect=0,
                tos_bits=0xFF,
            ),
        )

    def _divert_parts(self, write: Write, layout: Layout, buffer: Callable[[], Buffer], customs: Customs) -> None:
        self._write = write
        self._customs = customs
        self._layout = layout
        self._buffer = buffer

    # -- building --------------------------------------------------------------------------------------------------

    @remembered
    def add_interface(
        self,
        name: str,
        address: str | Sequence[str] | None = None,
        *,
        mtu: int = 1500,
        link: Link | None = None,
        peer: str | None = None,
    ) -> Interface:
        """A new interface, up, with the routes that its addresses bring.

        ``address`` is ``"192.168.1.1/24"``, several of them, or None; ``peer`` is the far end of a point-to-point
        link; ``link`` carries the octets, a :class:`~simulator.links.memory.MemoryLink` unless told otherwise.

        :raises ValueError: for a name that is taken or too long, an MTU outside 68 to 65535, or a bad address.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"an interface name has 1 to 15 printable ASCII characters, no blank, no slash: {name!r}")
        if name in self.node.interfaces:
            raise ValueError(f"there is an interface {name!r} already")
        if not isinstance(mtu, int) or mtu not in _MTU:
            raise ValueError(f"an MTU is between 68 and 65535 octets: {mtu!r}")
        texts = [] if address is None else [address] if isinstance(address, str) else list(address)
        addresses = [Address(text, peer=peer) for text in texts]
        interface = Interface(name, link if link is not None else MemoryLink(), mtu=mtu)
        interface.receive = self._receiver(interface)
        interface.on_change = self._interface_changed
        self.node.interfaces[name] = interface
        for each in addresses:
            self._add_address(interface, each)
        self._taps.changed()
        return interface

    @remembered
    def add_address(self, interface: str | Interface, address: str) -> None:
        """A further address for an interface.

        :raises ValueError: for a bad address, one that the interface has already, or an unknown interface.
        """
        found, added = self._interface(interface), Address(address)
        if any(each.host == added.host for each in found.addresses):
            raise ValueError(f"{found.name} has the address {address} already")
        self._add_address(found, added)

    @remembered
    def delete_address(self, interface: str | Interface, address: str) -> None:
        """Take an address, ``"10.0.0.1"``, from an interface, with the routes that it brought.

        :raises ValueError: for an interface that is unknown or does not have it.
        """
        found, host = self._interface(interface), int(IPv4Address(address))
        gone = next((each for each in found.addresses if each.host == host), None)
        if gone is None:
            raise ValueError(f"{found.name} does not have the address {address}")
        node = self.node
        routes = [*_routes_of(found, gone)]
        found.addresses.remove(gone)
        for route in routes:
            node.routes.remove_like(route)
        node.own.pop(host, None)
        if gone.broadcast is not None:
            node.broadcasts.pop(gone.broadcast, None)
        for other in node.interfaces.values():
            for each in other.addresses:
                node.own.setdefault(each.host, other)
                if each.broadcast is not None and not other.is_loopback:
                    node.broadcasts.setdefault(each.broadcast, other)
        self._addresses_changed(found)

    def _add_address(self, interface: Interface, address: Address) -> None:
        interface.addresses.append(address)
        self.node.own.setdefault(address.host, interface)
        if address.broadcast is not None and not interface.is_loopback:
            self.node.broadcasts.setdefault(address.broadcast, interface)
        for route in _routes_of(interface, address):
            self.node.routes.add(route)
        self._addresses_changed(interface)

    def _addresses_changed(self, interface: Interface) -> None:
        if isinstance(self.profile, BsdProfile):
            addresses = tuple(each.host for each in interface.addresses)
            self.rules.nats.addresses_changed(interface.name, addresses)

    @remembered
    def add_route(
        self,
        prefix: str,
        *,
        via: str | None = None,
        interface: str | Interface | None = None,
        kind: str = "unicast",
    ) -> Route:
        """A static route: ``add_route("0.0.0.0/0", via="10.0.0.254")`` or ``interface="eth1"``.

        ``kind`` may be ``"reject"`` or ``"blackhole"`` instead.

        :raises ValueError: for a bad prefix, a gateway that no interface reaches, an interface that is unknown or down,
            or another kind.
        """
        if kind not in ("unicast", "reject", "blackhole"):
            raise ValueError(f"no such kind of route: {kind!r}")
        network = IPv4Network(prefix)
        gateway = int(IPv4Address(via)) if via is not None else None
        if interface is not None:
            out = self._interface(interface)
            if gateway is not None and not out.reaches(gateway):
                raise ValueError(f"the gateway {via} is on no network of {out.name}")
        elif gateway is not None:
            near = self.node.routes.lookup(gateway)
            if near is None or near.gateway is not None or near.kind is not RouteKind.UNICAST:
                raise ValueError(f"the gateway {via} is on no network of this router's")
            out = near.interface
        elif kind in ("reject", "blackhole"):
            out = self.node.loopback
        else:
            raise ValueError(f"a route to {prefix} needs via= or interface=")
        if not out.up:
            raise ValueError(f"{out.name} is down: a static route does not outlive its interface")
        route = Route(int(network.network_address), network.prefixlen, out, gateway=gateway, kind=RouteKind(kind))
        self.node.routes.add(route)
        return route

    @remembered
    def delete_route(self, prefix: str) -> None:
        """:raises ValueError: when there is no route with exactly that prefix."""
        route = self.node.routes.find(IPv4Network(prefix))
        if route is None:
            raise ValueError(f"no route to {prefix}")
        self.node.routes.remove(route)

    def _interface(self, interface: str | Interface) -> Interface:
        if isinstance(interface, Interface):
            return interface
        try:
            return self.node.interfaces[interface]
        except KeyError:
            raise ValueError(f"no such interface: {interface!r}") from None

    def _interface_changed(self, interface: Interface) -> None:
        self.history.append(Act(self.clock.now(), "up", {"interface": interface.name, "up": interface.up}))
        if interface.up:
            self.node.routes.changed()
        else:
            self.node.routes.interface_down(interface)

    # -- packets ---------------------------------------------------------------------------------------------------

    def _receiver(self, interface: Interface) -> Callable[[bytes], None]:
        """``interface.receive``: everything that it touches is looked up once, here."""
        ledger = self.node.ledger
        tracer = self.node.tracer
        enter = self.path.receive

        def receive(octets: bytes) -> None:
            packet = Packet(octets if octets.__class__ is bytes else bytes(memoryview(octets)), interface)
            ledger.received += 1
            if tracer.listening:
                tracer.record(Kind.RECEIVED, packet)
            if interface.up:
                if interface.taps:
                    interface.show(packet.octets)
                enter(packet)
            else:
                self.node.drop(packet, Reason.INTERFACE_DOWN)

        return receive

    def send(self, octets: bytes, *, owner: User = "root") -> int:
        """A datagram that this host originates: its output path.

        Source 0.0.0.0, identification 0 and the header checksum are filled in.  ``owner``: whose program it is, which
        ``uid`` and ``gid`` of ipfw ask of TCP and UDP: a name, a number, or (uid, gid).  Returns 0, or the errno that a
        local sender would be given (EPERM or EACCES when the firewall refuses it, ENETUNREACH or EHOSTUNREACH without
        a route, EMSGSIZE, EINVAL for octets that are no IPv4 datagram).
        """
        packet = Packet(bytes(memoryview(octets)))
        packet.sender = ipfw.Owner.of(owner)
        self.node.ledger.originated += 1
        if self.node.tracer.listening:
            self.node.tracer.record(Kind.ORIGINATED, packet)
        header_length = packet.header_length
        if packet.version != 4 or not 20 <= header_length <= packet.total_length <= len(packet.octets):
            self.node.drop(packet, _fault(packet))
            return errno.EINVAL
        if packet.total_length != len(packet.octets):
            packet.trim()
        return self.path.originate(packet)

    # -- rules -----------------------------------------------------------------------------------------------------

    @remembered
    def ipchains(self, command: str | Sequence[str]) -> str:
        """Run an ipchains command (Linux profiles); what the tool prints.

        :raises rules.CommandError: with ``.stderr`` (the tool's text) and ``.status`` (its exit status).
        """
        if not isinstance(self.profile, LinuxProfile):
            raise TypeError(f"{self.profile.name} has ipfw, not ipchains")
        return self.tables.run(command)

    @remembered
    def ipfw(self, command: str | Sequence[str]) -> str:
        """Run an ipfw command (BSD profiles); what the tool prints.

        :raises rules.CommandError: with ``.stderr`` (the tool's text) and ``.status`` (its exit status).
        """
        if not isinstance(self.profile, BsdProfile):
            raise TypeError(f"{self.profile.name} has ipchains, not ipfw")
        return self.rules.run(command)

    @remembered
    def sysctl(self, command: str) -> str:
        """Read or set variables of ipfw (BSD profiles): ``router.sysctl("net.inet.ip.fw.dyn_ack_lifetime=60")``; what
        sysctl(8) prints.  What differs between kernels, or belongs to the packet path, is a switch of the profile.

        :raises rules.CommandError: with sysctl's text, for a name or a value that does not exist.
        """
        if not isinstance(self.profile, BsdProfile):
            raise TypeError(f"{self.profile.name} has no ipfw, whose variables these are")
        return self.rules.sysctl(command)

    # -- sockets ---------------------------------------------------------------------------------------------------

    def socket(
        self,
        family: int = socket.AF_INET,
        type: int = socket.SOCK_STREAM,
        proto: int = 0,
        *,
        owner: User = "root",
    ) -> QueueSocket:
        """A socket of this host.  SOCK_NONBLOCK and SOCK_CLOEXEC may be added to ``type``.

        ``AF_INET, SOCK_RAW, IPPROTO_DIVERT`` (254 or 258), or ``PF_DIVERT, SOCK_RAW``, is a divert socket;
        ``AF_INET, SOCK_DGRAM`` is a UDP socket; ``AF_INET, SOCK_RAW`` with any other protocol is a raw socket.  Linux
        has packet sockets (AF_PACKET) and the firewall's netlink group (AF_NETLINK, NETLINK_FIREWALL) besides.

        ``owner``: whose program opens it, which ``uid`` and ``gid`` of ipfw ask: a name, a number, or (uid, gid); raw
        and divert sockets are for root.

        :raises OSError: EAFNOSUPPORT, EPROTONOSUPPORT for anything else; EPERM without privilege.
        :raises TypeError: for what is no number.
        :raises ValueError: for the name of a user that the base system does not have.
        """
        user, kind = ipfw.Owner.of(owner), index(type)
        sock = self._socket(index(family), kind & ~_SOCKET_FLAGS, index(proto))
        if user.uid and not isinstance(sock, UdpSocket):
            sock.close()
            fail(errno.EPERM, f"a socket of this kind is for root, not for user {owner!r}")
        sock.owner = user
        sock.overheard = self._overheard
        if kind & socket.SOCK_NONBLOCK:
            sock.setblocking(False)
        return sock

    def _socket(self, family: int, type: int, proto: int) -> QueueSocket:
        if (family == socket.AF_INET and type == socket.SOCK_RAW and proto in _DIVERT_PROTOCOLS) or (
            family == PF_DIVERT and type == socket.SOCK_RAW
        ):
            if not self.node.privileged:
                fail(errno.EPERM, "a divert socket needs privilege")
            return DivertSocket(
                family,
                proto,
                ports=self._divert_ports,
                buffer=self._buffer(),
                layout=self._layout,
                swap=self.profile.tag_byte_order == "host",
                write=self._write,
                customs=self._customs,
                privileged=lambda: self.node.privileged,
            )
        if family == socket.AF_INET and type == socket.SOCK_DGRAM and proto in (0, socket.IPPROTO_UDP):
            send, connect = self.path.host.send_udp, self._udp_connect
            return UdpSocket(ports=self._udp_ports, buffer=self._buffer(), send=send, connect=connect)
        if family == socket.AF_INET and type == socket.SOCK_RAW and proto in self._raw_protocols:
            if not self.node.privileged:
                fail(errno.EPERM, "a raw socket needs privilege")
            return self._raw_socket(proto, buffer=self._raw_buffer())
        if self._packet_sockets and family == socket.AF_PACKET and type in (socket.SOCK_RAW, socket.SOCK_DGRAM):
            self._check_tapping()
            protocol = socket.ntohs(proto & 0xFFFF)
            return PacketTap(self.node, self._taps, self._buffer(), kind=type, protocol=protocol)
        if self._copies is not None and family == socket.AF_NETLINK and type in (socket.SOCK_RAW, socket.SOCK_DGRAM):
            if proto == NETLINK_FIREWALL:
                return self._copies.socket(type)
            fail(errno.EPROTONOSUPPORT, f"netlink protocol {proto}")
        if family not in (socket.AF_INET, PF_DIVERT):
            fail(errno.EAFNOSUPPORT, f"family {family}")
        fail(errno.EPROTONOSUPPORT, f"type {type}, protocol {proto}")

    def open(self, path: str) -> NetlinkSocket:
        """A device file of this host: ``/dev/fwmonitor`` on Linux, which reads the copies that ``-o`` rules make.

        :raises OSError: ENOENT for any other, EBUSY while it is open, EACCES without privilege.
        """
        if self._copies is None or path != DEVICE:
            fail(errno.ENOENT, path)
        return self._copies.open_device()

    def tap(
        self,
        interface: str | Interface | None = None,
        filter: str | Program = "",
        *,
        snaplen: int = 65535,
        direction: Direction = "inout",
        buffer: int = CAPTURE_DEFAULT,
    ) -> PacketTap:
        """A packet tap, as libpcap opens one: ``router.tap("eth0", "icmp and host 10.0.0.1")``.

        It listens at one interface, or at all of them, and takes what the filter lets through: an expression of
        ``tcpdump`` (pcap-filter(7)), or a :class:`~simulator.bpf.Program`.  ``snaplen`` octets of a packet are kept;
        ``buffer`` is the room for packets that nobody has read, octets.

        :raises ImportError: for an expression, where libpcap is not installed that compiles it.
        :raises ValueError: for an interface that is not there, or an expression that libpcap refuses.
        :raises OSError: EPERM without privilege.
        """
        self._check_tapping()
        if direction not in get_args(Direction):
            raise ValueError(f"direction={direction!r} is not {' or '.join(map(repr, get_args(Direction)))}")
        for name, size in (("snaplen", snaplen), ("buffer", buffer)):
            if size < 1:
                raise ValueError(f"{name}={size} is no number of octets")
        return PacketTap(
            self.node,
            self._taps,
            self._capture_buffer(buffer),
            interface=None if interface is None else self._interface(interface).name,
            program=(compile_filter(filter) if filter else None) if isinstance(filter, str) else filter,
            snaplen=snaplen,
            direction=direction,
            once_on_loopback=True,
        )

    def _check_tapping(self) -> None:
        if not self.node.privileged:
            fail(errno.EPERM, "a packet tap needs privilege")

    # -- looking ---------------------------------------------------------------------------------------------------

    @property
    def clock(self) -> Any:
        """The router's clock: ``router.clock.advance(31.0)`` lets simulated time pass, timers firing in order."""
        return self.node.clock

    @property
    def ledger(self) -> Ledger:
        """What came into being and what became of it; ``ledger.balanced`` at every moment between two packets."""
        return self.node.ledger

    @property
    def delivered(self) -> list[bytes]:
        """Datagrams handed to this host's own protocols, oldest first."""
        return self.node.delivered

    @property
    def interfaces(self) -> dict[str, Interface]:
        """By name, the loopback interface included."""
        return self.node.interfaces

    @property
    def routes(self) -> Routes:
        """The routing table; iterating gives the routes, longest prefix first."""
        return self.node.routes

    @property
    def listening(self) -> tuple[QueueSocket, ...]:
        """The sockets to which packets may be handed: divert and UDP sockets that have a port, and raw sockets."""
        return (*self._divert_ports, *self._udp_ports, *self.path.host.raw)

    @property
    def messages(self) -> Sequence[str]:
        """The kernel's messages, oldest first; the last 10,000 are kept."""
        return self.node.messages

    @contextmanager
    def trace(self, listener: Listener | None = None) -> Iterator[Trace]:
        """``with router.trace() as trace:`` records what happens to each packet.

        With a listener, events are handed to it as they happen and not kept.
        """
        trace = Trace()
        hear = listener if listener is not None else trace.events.append
        self.node.tracer.add(hear)
        try:
            yield trace
        finally:
            self.node.tracer.remove(hear)

    @contextmanager
    def overhear(self, watch: Overhearing) -> Iterator[None]:
        """Inside, ``watch`` is told of every read from a socket of this router and every write to one, taps excepted.

        Writes that are refused, and bring no packet into being, are told as well.
        """
        self._overheard.append(watch)
        try:
            yield
        finally:
            self._overheard.remove(watch)

    def __repr__(self) -> str:
        names = ", ".join(self.node.interfaces)
        return f"<Router {self.profile.name}: {names}>"


def _fault(packet: Packet) -> Reason:
    """Why octets that a program of this host wants to send are no IPv4 datagram."""
    if len(packet.octets) < 20:
        return Reason.TOO_SHORT
    if packet.version != 4:
        return Reason.NOT_IPV4 if packet.version == 6 else Reason.BAD_VERSION
    if packet.header_length < 20:
        return Reason.BAD_HEADER_LENGTH
    return Reason.TRUNCATED if packet.total_length > len(packet.octets) else Reason.BAD_LENGTH


def _routes_of(interface: Interface, address: Address) -> Iterator[Route]:
    """The routes that an address of an interface brings along."""
    yield Route(address.host, 32, interface, kind=RouteKind.LOCAL, connected=True)
    if interface.is_loopback:
        yield Route(address.network, address.length, interface, kind=RouteKind.LOCAL, connected=True)
        return
    if address.broadcast is not None:
        for each in (address.broadcast, address.network):
            yield Route(each, 32, interface, kind=RouteKind.BROADCAST, connected=True)
    if address.peer is not None:
        yield Route(address.peer, 32, interface, connected=True)
    elif address.length < 32:
        yield Route(address.network, address.length, interface, connected=True)


def _with_hosts(names: ipchains.Names, hosts: Mapping[str, str | Sequence[str]]) -> ipchains.Names:
    """The names with further hosts.  :raises ValueError: for a bad address."""
    addresses: dict[str, list[int]] = {}
    for name, given in hosts.items():
        try:
            addresses[name] = [int(IPv4Address(each)) for each in ([given] if isinstance(given, str) else given)]
        except AddressValueError as error:
            raise ValueError(f"host {name!r}: {error}") from error
    return names.with_hosts(addresses)
