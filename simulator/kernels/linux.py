"""A Linux kernel put together: ipchains, masquerading, the packet path, and what its sockets are made of."""

from __future__ import annotations

import errno
from functools import partial

from rules import ipchains
from rules.ipchains.sockopt import set_option
from simulator.interfaces import Interface
from simulator.masquerade import RESERVED_PORTS, Masquerade
from simulator.node import Node
from simulator.paths.linux import LinuxPath
from simulator.profiles import LinuxProfile
from simulator.sockets.address import LINUX_LAYOUT
from simulator.sockets.base import fail
from simulator.sockets.buffers import LinuxBuffer
from simulator.sockets.divert import Customs, DivertPorts
from simulator.sockets.netlink import FirewallCopies
from simulator.sockets.opening import SocketParts
from simulator.sockets.raw import RawCustoms, RawSocket
from simulator.sockets.raw_writing import LinuxRawWriting
from simulator.sockets.udp import UdpPorts, UdpSocket
from simulator.sockets.writing import LinuxWriting

__all__ = ["LinuxKernel"]


class LinuxKernel:
    """The rooms of one router."""

    def __init__(self, node: Node, profile: LinuxProfile, names: ipchains.Names, engine: str) -> None:
        self._node = node
        masquerade = Masquerade(node)
        copies = FirewallCopies(node)
        self.tables = ipchains.Tables(
            profile.rules,
            names=names,
            masquerading=masquerade,
            ip_forward=profile.forwarding,
            engine=engine,
        )
        ports = DivertPorts(ephemeral=range(1024, 65536), newest_receives=True)
        udp_ports = UdpPorts(node.own.__contains__)
        udp_ports.reserved = RESERVED_PORTS
        self.path = path = LinuxPath(node, profile, self.tables, ports, udp_ports, masquerade, copies)
        self.sockets = SocketParts(
            buffer=LinuxBuffer,
            ports=ports,
            write=LinuxWriting(node, profile, path.inject_inbound, path.inject_outbound).write,
            layout=LINUX_LAYOUT,
            customs=Customs(multicast_from=node.own.__contains__),
            listening=(ports, udp_ports, path.host.raw),
            udp=lambda buffer: UdpSocket(
                ports=udp_ports, buffer=buffer, send=path.host.send_udp, connect=path.connect_udp
            ),
            raw=partial(
                RawSocket,
                sockets=path.host.raw,
                writing=LinuxRawWriting(node, path.output_route_by, path.send_raw),
                customs=RawCustoms(layout=LINUX_LAYOUT, device=node.interfaces.get),
                firewall=self._set_firewall,
            ),
            raw_buffer=LinuxBuffer,
            raw_protocols=range(1, 256),
            capture_buffer=LinuxBuffer,
            copies=copies,
        )

    def readdressed(self, interface: Interface) -> None:
        """Nothing in the firewall goes by the addresses of an interface."""

    def _set_firewall(self, option: int, octets: bytes) -> None:
        """``setsockopt`` at level IPPROTO_IP on a raw socket (linux.md D4); EACCES without privilege (D23)."""
        if not self._node.privileged:
            fail(errno.EACCES, "changing the firewall needs privilege")
        set_option(self.tables.chains, option, octets, self.tables.masquerading)
