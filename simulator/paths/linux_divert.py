"""From a DIVERT rule of Linux to the socket (linux.md D5, D10, T5)."""

from __future__ import annotations

from collections.abc import Mapping

from simulator.interfaces import Interface
from simulator.ledger import Reason
from simulator.node import Node
from simulator.packet import Packet
from simulator.sockets.address import LINUX_LAYOUT, Address
from simulator.sockets.divert import DivertSocket
from simulator.trace import Kind

__all__ = ["Diverting"]


class Diverting:
    """Hands packets to the divert sockets of one host."""

    def __init__(self, node: Node, listeners: Mapping[int, DivertSocket]) -> None:
        self._node = node
        self._listeners = listeners
        self._swap = node.profile.tag_byte_order == "host"
        self._addresses: dict[tuple[int, int, str], Address] = {}

    def divert(self, packet: Packet, chain: str, port: int) -> bool:
        """Hand the packet to the socket on that port; False when nobody listens, which acts as DENY (D5, T5)."""
        sock = self._listeners.get(port)
        if sock is None:
            self._node.drop(packet, Reason.NO_LISTENER)
            return False
        interface = packet.received_on if chain != "output" else None
        host = (interface.address or 0) if interface is not None else 0
        key = (host, port, chain)
        address = self._addresses.get(key)
        if address is None or address.interface != (interface.name if interface is not None else None):
            address = self._addresses[key] = self._address(host, port, chain, interface)
        if not sock.enqueue(packet.octets, address):
            self._node.drop(packet, Reason.SOCKET_FULL)
            return True
        self._node.ledger.diverted += 1
        if self._node.tracer.listening:
            self._node.tracer.record(Kind.DIVERTED, packet, port=port, address=f"{address[0]}:{address[1]}")
        return True

    def _address(self, host: int, port: int, chain: str, interface: Interface | None) -> Address:
        """D10: the receiving interface's address, or 0 for outgoing.  The chain's name rides in sin_zero."""
        return Address(
            host,
            port,
            interface=interface.name if interface is not None else None,
            zero=chain.encode().ljust(8, b"\0"),
            layout=LINUX_LAYOUT,
            swap=self._swap,
        )
