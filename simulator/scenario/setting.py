"""Lines that build the world: routers, interfaces, routes, links, programs, packets with names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulator.profiles import PROFILES, read_switches
from simulator.router import Router
from simulator.scenario import model
from simulator.scenario.model import Place, ScriptError
from simulator.scenario.world import Station, Wire, World

__all__ = ["SETTINGS"]


def _router(world: World, line: model.Router, place: Place) -> None:
    name = line.name or ("router" if not line.is_host else None)
    if name is None:
        raise ScriptError(place, "a host needs a name: host A, or host A linux-2.2")
    if name in world.stations:
        told = f"there is a router {name!r} already"
        raise ScriptError(place, told if line.name else f"{told}: give this one a name, router R2 {line.profile}")
    if line.profile not in PROFILES:
        raise ScriptError(place, f"no such profile: {line.profile!r} (there are {', '.join(PROFILES)})")
    try:
        switches = read_switches(line.profile, line.switches)
    except (TypeError, ValueError) as error:
        raise ScriptError(place, str(error)) from None
    if line.is_host:
        switches.setdefault("forwarding", False)
    router = Router(line.profile, clock=world.clock, **switches)
    world.stations[name] = world.current = Station(name, router)


def _on(world: World, line: model.On, place: Place) -> None:
    world.current = world.station(place, line.router)


def _interface(world: World, line: model.Interface, place: Place) -> None:
    owner, dot, own = line.name.partition(".")
    if dot and owner in world.stations:
        station, name = world.stations[owner], own
    else:
        station, name = world.station(place), line.name
    wire = Wire()
    _tried(
        place,
        lambda: station.router.add_interface(name, line.addresses, mtu=line.mtu or 1500, link=wire, peer=line.peer),
    )
    world.wires[station.name, name] = wire


def _address(world: World, line: model.Address, place: Place) -> None:
    station, interface = world.interface(line.interface, place)
    _tried(place, lambda: station.router.add_address(interface, line.address))


def _route(world: World, line: model.Route, place: Place) -> None:
    station = world.station(place)
    _tried(
        place,
        lambda: station.router.add_route(line.prefix, via=line.via, interface=line.interface, kind=line.kind),
    )


def _link(world: World, line: model.Link, place: Place) -> None:
    world.join(line.one, line.other, dict(line.impairments), place)


def _allow(world: World, line: model.Allow, place: Place) -> None:
    world.allows_all = world.allows_all or not line.names
    for name in line.names:
        if name in world.sockets:
            world.allowed.add(("", name))
        else:
            station, interface = world.interface(name, place)
            world.allowed.add((station.name, interface.name))


def _packet(world: World, line: model.PacketDefinition, place: Place) -> None:
    world.packets.define(line.name, line.packets, place)


def _tried(place: Place, build: Callable[[], object]) -> None:
    try:
        build()
    except ValueError as error:
        raise ScriptError(place, str(error)) from None


SETTINGS: dict[type, Callable[[World, Any, Place], None]] = {
    model.Router: _router,
    model.On: _on,
    model.Interface: _interface,
    model.Address: _address,
    model.Route: _route,
    model.Link: _link,
    model.Allow: _allow,
    model.PacketDefinition: _packet,
}
"""What each statement about the world does."""
