"""Router: puts the rooms together.  The public front door.

What ifconfig(8) and route(8) do is in ``configuration``, sockets are opened in ``sockets/opening``, and each family's
kernel is put together in ``kernels/``.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import AddressValueError, IPv4Address
from typing import Any

from rules import ipchains, ipfw
from simulator.clock import Clock, SimulatedClock
from simulator.configuration import Configuration
from simulator.history import Act, remembered
from simulator.interfaces import Interface
from simulator.kernels.bsd import BsdKernel
from simulator.kernels.linux import LinuxKernel
from simulator.ledger import Ledger, Reason
from simulator.node import Node
from simulator.packet import Packet
from simulator.paths.bsd import BsdPath
from simulator.paths.linux import LinuxPath
from simulator.profiles import BsdProfile, LinuxProfile, Profile, resolve
from simulator.sockets.opening import IPPROTO_DIVERT, PF_DIVERT, Opening, User
from simulator.trace import Kind, Listener, Trace

__all__ = ["IPPROTO_DIVERT", "PF_DIVERT", "Router"]


class Router(Configuration, Opening):
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
        node = Node(self.profile, clock if clock is not None else SimulatedClock())
        known = _with_hosts(names or ipchains.Names.standard(), hosts or {})
        kernel: LinuxKernel | BsdKernel
        if isinstance(self.profile, LinuxProfile):
            kernel = LinuxKernel(node, self.profile, known, engine)
            self.tables = kernel.tables
        else:
            assert isinstance(self.profile, BsdProfile)
            kernel = BsdKernel(node, self.profile, engine)
            self.rules = kernel.rules
        self.path: LinuxPath | BsdPath = kernel.path
        Opening.__init__(self, node, kernel.sockets)
        Configuration.__init__(self, node, connect=self._connect_interface, readdressed=kernel.readdressed)
        name, mtu = self.profile.loopback
        node.loopback = self.add_interface(name, "127.0.0.1/8", mtu=mtu)
        given: dict[str, Any] = {"profile": profile, "names": names, "hosts": hosts, "switches": switches}
        node.history[:] = [Act(node.clock.now(), "Router", given)]

    # -- packets ---------------------------------------------------------------------------------------------------

    def _connect_interface(self, interface: Interface) -> None:
        interface.receive = self._receiver(interface)
        self._taps.changed()

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
    def messages(self) -> Sequence[str]:
        """The kernel's messages, oldest first; the last 10,000 are kept."""
        return self.node.messages

    @property
    def history(self) -> Sequence[Act]:
        """What was done to build it, oldest first."""
        return self.node.history

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


def _with_hosts(names: ipchains.Names, hosts: Mapping[str, str | Sequence[str]]) -> ipchains.Names:
    """The names with further hosts.  :raises ValueError: for a bad address."""
    addresses: dict[str, list[int]] = {}
    for name, given in hosts.items():
        try:
            addresses[name] = [int(IPv4Address(each)) for each in ([given] if isinstance(given, str) else given)]
        except AddressValueError as error:
            raise ValueError(f"host {name!r}: {error}") from error
    return names.with_hosts(addresses)
