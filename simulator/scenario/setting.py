"""Lines that build the world: routers, interfaces, routes, links, programs, packets with names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
        where = place.at(name) if line.name else place
        told = f"there is a router {name!r} already"
        raise ScriptError(where, told if line.name else f"{told}: give this one a name, router R2 {line.profile}")
    if line.profile not in PROFILES:
        raise ScriptError(
            place.at(line.profile), f"no such profile: {line.profile!r} (there are {', '.join(PROFILES)})"
        )
    switches: dict[str, Any] = {}
    for switch, text in line.switches.items():
        try:
            switches |= read_switches(line.profile, {switch: text})
        except (TypeError, ValueError) as error:
            raise ScriptError(place.at(switch), str(error)) from None
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
    with _refused(place, line.name, *line.addresses, line.mtu, line.peer):
        station.router.add_interface(name, line.addresses, mtu=line.mtu or 1500, link=wire, peer=line.peer)
    world.wires[station.name, name] = wire


def _address(world: World, line: model.Address, place: Place) -> None:
    station, interface = world.interface(line.interface, place)
    with _refused(place, line.address):
        if line.is_gone:
            station.router.delete_address(interface, line.address.partition("/")[0])
        else:
            station.router.add_address(interface, line.address)


def _route(world: World, line: model.Route, place: Place) -> None:
    station = world.station(place)
    with _refused(place, line.via, line.interface, line.prefix):
        if line.kind == "gone":
            station.router.delete_route(line.prefix)
        else:
            station.router.add_route(line.prefix, via=line.via, interface=line.interface, kind=line.kind)


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


@contextmanager
def _refused(place: Place, *words: object) -> Iterator[None]:
    """What the router refuses is an error at the word of the line that the refusal names, or at a half of it: the
    address or the length of a network."""
    try:
        yield
    except ValueError as error:
        told = str(error)
        halves = [half for word in words if isinstance(word, str) and "/" in word for half in word.split("/")]
        raise ScriptError(place.at_named(told, (*words, *halves)), told) from None


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
