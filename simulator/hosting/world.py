"""The router of a description, with everything that will happen to it lined up."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rules.errors import CommandError
from simulator.hosting.description import Arrival, Description
from simulator.hosting.files import MachineFiles
from simulator.links.memory import MemoryLink
from simulator.profiles import LinuxProfile
from simulator.router import Router
from simulator.trace import Event

__all__ = ["Sent", "World"]


class Sent(NamedTuple):
    """A datagram that left."""

    time: float
    interface: str
    octets: bytes


class World:
    """Built from a description. Raises DescriptionError for what the router refuses."""

    def __init__(self, description: Description, *, profile: str | None = None, traced: bool = False) -> None:
        self.description = description
        try:
            self.router = Router(profile or description.profile, **description.switches)
        except ValueError as error:
            description.fail("switches" if description.switches and "profile" not in str(error) else "profile", error)
        except TypeError as error:
            description.fail("switches", error)
        self.sent: list[Sent] = []
        self.events: list[Event] = []
        self.refused: list[str] = []
        """What timed commands were refused with."""
        is_linux = isinstance(self.router.profile, LinuxProfile)
        self.tool = "ipchains" if is_linux else "ipfw"
        self.command: Callable[[list[str] | str], str] = self.router.ipchains if is_linux else self.router.ipfw
        if not is_linux:
            self.router.rules.files = MachineFiles()
        if traced:
            self.router.node.tracer.add(self.events.append)
        self._build()

    def _build(self) -> None:
        router, description = self.router, self.description
        for interface in description.interfaces:
            try:
                router.add_interface(
                    interface.name,
                    interface.addresses,
                    mtu=interface.mtu,
                    peer=interface.peer,
                    link=MemoryLink(to=self._sender(interface.name)),
                )
            except ValueError as error:
                description.fail(interface.key, error)
        for route in description.routes:
            try:
                router.add_route(route.prefix, via=route.via, interface=route.interface, kind=route.kind)
            except ValueError as error:
                description.fail(route.key, error)
        for key, command in description.rules:
            try:
                self.command(command)
            except CommandError as error:
                description.fail(key, f"{command}\n{error.stderr.rstrip()}")
        for arrival in description.arrivals:
            if arrival.interface is not None and arrival.interface not in router.interfaces:
                names = ", ".join(router.interfaces)
                description.fail(f"{arrival.key}.interface", f"no interface {arrival.interface!r} (there are {names})")

    def _sender(self, interface: str) -> Callable[[bytes], None]:
        def transmit(octets: bytes) -> None:
            self.sent.append(Sent(self.router.clock.now(), interface, octets))

        return transmit

    def happen(self, arrival: Arrival) -> None:
        """A packet or a command; standard input is somebody else's."""
        if arrival.command:
            try:
                self.command(arrival.command)
            except CommandError as error:
                self.refused.append(f"{arrival.key}: {arrival.command}: {error.stderr.strip()}")
        elif arrival.interface is not None:
            self.router.interfaces[arrival.interface].receive(arrival.octets)
        else:
            self.router.send(arrival.octets)
