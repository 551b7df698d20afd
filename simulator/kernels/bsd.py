"""A BSD kernel put together: ipfw, the packet path, and what its sockets are made of."""

from __future__ import annotations

import errno
import socket
from functools import partial

from rules import ipfw
from simulator.interfaces import Interface
from simulator.node import Node
from simulator.paths.bsd import BsdPath
from simulator.profiles import BsdProfile
from simulator.sockets.address import BSD_LAYOUT, BSD_PORT_LAYOUT
from simulator.sockets.buffers import BSD_LARGEST, BpfBuffer, BsdBuffer
from simulator.sockets.divert import Customs, DivertPorts
from simulator.sockets.opening import SocketParts
from simulator.sockets.raw import RawCustoms, RawSocket
from simulator.sockets.raw_writing import BsdRawWriting, shown_by_bsd
from simulator.sockets.udp import UdpPorts, UdpSocket
from simulator.sockets.writing import BsdWriting
from simulator.surroundings import RouterSurroundings

__all__ = ["BsdKernel"]


class BsdKernel:
    """The rooms of one router."""

    def __init__(self, node: Node, profile: BsdProfile, engine: str) -> None:
        udp_ports = UdpPorts(node.own.__contains__)
        udp_ports.layout = BSD_PORT_LAYOUT
        self.rules = ipfw.RuleSet(
            profile.rules,
            surroundings=RouterSurroundings(node, udp_ports),
            default="allow" if profile.default_accept else "deny",
            now=node.clock.now,
            log=node.messages.append,
            engine=engine,
        )
        first, last = profile.ephemeral
        ports = DivertPorts(ephemeral=range(first, last + 1), newest_receives=profile.newest_receives)
        self.path = path = BsdPath(node, profile, self.rules, ports, udp_ports)
        self.sockets = SocketParts(
            buffer=BsdBuffer,
            ports=ports,
            write=BsdWriting(node, profile, path.inject_in, path.inject_out, path.too_small).write,
            layout=BSD_LAYOUT,
            customs=_divert_customs(profile),
            listening=(ports, udp_ports, path.host.raw),
            udp=lambda buffer: UdpSocket(ports=udp_ports, buffer=buffer, send=path.host.send_udp, connect=lambda *_: 0),
            raw=partial(
                RawSocket,
                sockets=path.host.raw,
                writing=BsdRawWriting(node, profile, path.originate, path.send_raw),
                customs=_raw_customs(profile),
            ),
            raw_buffer=partial(BsdBuffer, profile.raw_buffer),
            raw_protocols=range(256),
            capture_buffer=BpfBuffer,
        )

    def readdressed(self, interface: Interface) -> None:
        """The instances of ``nat`` that translate to the address of an interface follow it."""
        self.rules.nats.addresses_changed(interface.name, tuple(each.host for each in interface.addresses))


def _divert_customs(profile: BsdProfile) -> Customs:
    return Customs(
        own_family=profile.own_family,
        ip_options=profile.socket_options_of_ip and not profile.own_family,
        largest_buffer=BSD_LARGEST,
        connected=profile.send_without_address,
        tells_overflow=profile.tells_overflow,
        routing_tables=profile.routing_tables,
        shutdown_errno=profile.shutdown_errno,
        reserved_ports=not profile.own_family,
    )


def _raw_customs(profile: BsdProfile) -> RawCustoms:
    return RawCustoms(
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
    )
