"""Lines that make something happen: commands, packets, writes, closing, interfaces that go down.

An action may fail, as the real one may: a command is refused, a write gives an errno.  That is no fault of the script;
:class:`Done` says how it went, and ``expect failure`` or ``expect output`` may ask.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Any

from rules.errors import CommandError
from simulator.profiles import LinuxProfile
from simulator.programs.registry import ProgramError
from simulator.router import IPPROTO_DIVERT
from simulator.scenario import model
from simulator.scenario.model import Place, ScriptError
from simulator.scenario.world import CopyReader, ScriptSocket, Station, World
from simulator.sockets.address import BSD_LAYOUT, LINUX_LAYOUT
from simulator.sockets.netlink import NETLINK_FIREWALL

__all__ = ["ACTIONS", "Done"]

_AF_NETLINK = 16
_EVERY_GROUP = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Done:
    """How an action went."""

    station: Station | None
    """The router in which it happened."""
    output: str = ""
    code: str | None = None
    """How it failed: an errno's name, or an exit status; None when it did not."""
    text: str = ""
    """What was said of the failure."""


def _command(world: World, line: model.Command, place: Place) -> Done:
    station = world.station(place)
    router = station.router
    is_linux = isinstance(router.profile, LinuxProfile)
    tools = {"ipchains": router.ipchains} if is_linux else {"ipfw": router.ipfw, "sysctl": router.sysctl}
    if line.tool not in tools:
        raise ScriptError(place, f"{router.profile.name} has {' and '.join(tools)}, not {line.tool}")
    try:
        output = tools[line.tool](line.words)
    except CommandError as error:
        return Done(station, error.stdout, str(error.status), error.stderr)
    except ValueError as error:  # a quote that is not closed
        raise ScriptError(place, str(error)) from None
    return Done(station, output)


def _failed(station: Station | None, number: int) -> Done:
    return Done(station, "", errno.errorcode.get(number, str(number)), os.strerror(number))


def _receives(world: World, line: model.Receives, place: Place) -> Done:
    station, interface = world.interface(line.interface, place)
    for octets in world.packets.all(line.packets):
        interface.receive(octets)
        world.settle()
    return Done(station)


def _sends(world: World, line: model.Sends, place: Place) -> Done:
    if world.is_interface(line.router) and line.router not in world.stations:
        raise ScriptError(place, f"an interface receives; to see what it sends, 'expect {line.router} sends ...'")
    station = world.station(place, line.router)
    failed = 0
    for octets in world.packets.all(line.packets):
        failed = station.router.send(octets) or failed
        world.settle()
    return _failed(station, failed) if failed else Done(station)


def _socket(world: World, line: model.Socket, place: Place) -> Done:
    station = world.station(place)
    if line.name in world.sockets:
        raise ScriptError(place.at(line.name), f"there is a socket {line.name!r} already")
    if line.name == "it" or line.name in world.stations or world.is_interface(line.name):
        raise ScriptError(place.at(line.name), f"{line.name!r} is taken: give the socket another name")
    if line.kind == "tap":
        return _tap(world, line, place)
    family, kind, proto, address = {
        "divert": (socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT, (line.address or "0.0.0.0", line.number)),
        "udp": (socket.AF_INET, socket.SOCK_DGRAM, 0, (line.address or "0.0.0.0", line.number)),
        "raw": (socket.AF_INET, socket.SOCK_RAW, line.number, None),
        "netlink": (_AF_NETLINK, socket.SOCK_RAW, NETLINK_FIREWALL, (0, _EVERY_GROUP)),
    }[line.kind]
    try:
        made = station.router.socket(family, kind, proto, owner=line.owner)
    except ValueError as error:
        raise ScriptError(place.at(line.owner), str(error)) from None
    except OSError as error:
        return _failed(station, error.errno or 0)
    made.setblocking(False)
    reader = CopyReader if line.kind == "netlink" else ScriptSocket
    world.sockets[line.name] = reader(line.name, made, station)
    if address is None:
        return Done(station)
    try:
        made.bind(address)
    except socket.gaierror as error:
        raise _no_address(error, line.address, place) from None
    except OSError as error:
        return _failed(station, error.errno or 0)
    except OverflowError as error:
        raise ScriptError(place.at(line.number), str(error)) from None
    return Done(station)


def _tap(world: World, line: model.Socket, place: Place) -> Done:
    station, interface = world.interface(line.address or "", place)
    if line.owner not in ("root", 0):
        return _failed(station, errno.EPERM)
    try:
        made = station.router.tap(interface, line.filter)
    except (ImportError, ValueError) as error:
        raise ScriptError(place.at(line.filter), str(error)) from None
    except OSError as error:
        return _failed(station, error.errno or 0)
    made.setblocking(False)
    world.sockets[line.name] = ScriptSocket(line.name, made, station)
    return Done(station)


def _program(world: World, line: model.Program, place: Place) -> Done:
    station = world.station(place)
    try:
        world.programs.add(station.router, line.port, line.name, line.options)
    except ProgramError as error:
        refused = error.__cause__
        if isinstance(refused, PermissionError) and refused.filename is not None:
            told = f"{line.name}: {refused.strerror}: {refused.filename}"
            raise ScriptError(place.at(refused.filename), told) from None
        if isinstance(refused, OSError) and refused.errno:
            return _failed(station, refused.errno)
        told = str(error)
        raise ScriptError(place.at_named(told, (*line.options, line.name)), told) from None
    return Done(station)


def _writes(world: World, line: model.Writes, place: Place) -> Done:
    found = world.socket(line.socket, place)
    address = _address(found, line.to, place)
    done = Done(found.station)
    for octets in world.packets.all(line.packets):
        try:
            found.socket.send(octets) if address is None else found.socket.sendto(octets, address)
        except socket.gaierror as error:
            raise _no_address(error, line.to, place) from None
        except OSError as error:
            done = _failed(found.station, error.errno or 0)
        except OverflowError as error:
            where = place.at(line.to.tag) if isinstance(line.to, model.SocketAddress) else place
            raise ScriptError(where, str(error)) from None
        world.settle()
    return done


def _no_address(error: socket.gaierror, said: model.SocketAddress | str | None, place: Place) -> ScriptError:
    """No kernel is asked about an address that is none, so this is not the failure of an action."""
    host = said.host if isinstance(said, model.SocketAddress) else said
    return ScriptError(place.at(host or ""), str(error.strerror))


def _address(found: ScriptSocket, to: model.SocketAddress | str | None, place: Place) -> Any:
    if to is None:
        return None
    if isinstance(to, str):
        if found.address is None:
            raise ScriptError(place.at(to), f"{found.name} has read nothing yet: there is no address to write back to")
        return found.address
    pair = (to.host, to.tag or 0)
    if to.interface is None:
        return pair
    layout = LINUX_LAYOUT if isinstance(found.station.router.profile, LinuxProfile) else BSD_LAYOUT
    zero = to.interface.encode("ascii", "replace")[:7].ljust(8, b"\0")
    try:
        return layout.pack(int(IPv4Address(to.host)), to.tag or 0, zero)
    except AddressValueError as error:
        raise ScriptError(place.at(to.host), str(error)) from None
    except OverflowError:
        raise ScriptError(place.at(to.tag), f"a tag is 0 to 65535, not {to.tag}") from None


def _closes(world: World, line: model.Closes, place: Place) -> Done:
    found = world.socket(line.socket, place)
    found.socket.close()
    return Done(found.station)


def _goes(world: World, line: model.Goes, place: Place) -> Done:
    station, interface = world.interface(line.interface, place)
    interface.up = line.up
    world.settle()
    return Done(station)


def _joins(world: World, line: model.Joins, place: Place) -> Done:
    station, interface = world.interface(line.interface, place)
    try:
        interface.join(line.group)
    except ValueError as error:
        raise ScriptError(place.at(line.group), str(error)) from None
    return Done(station)


def _sets(world: World, line: model.Sets, place: Place) -> Done:
    found = world.socket(line.socket, place)
    level = {"SO": socket.SOL_SOCKET, "IP": socket.IPPROTO_IP}.get(line.option.partition("_")[0])
    option = getattr(socket, line.option, None)
    if level is None or not isinstance(option, int):
        raise ScriptError(
            place.at(line.option), f"no socket option {line.option!r} (such as SO_REUSEPORT, IP_MULTICAST_IF)"
        )
    value = line.value
    if isinstance(value, str):
        try:
            value = socket.inet_aton(value)
        except OSError:
            raise ScriptError(place.at(value), f"a value is a number, an address or octets, not {value!r}") from None
    try:
        found.socket.setsockopt(level, option, value)
    except OSError as error:
        return _failed(found.station, error.errno or 0)
    return Done(found.station)


ACTIONS: dict[type, Callable[[World, Any, Place], Done]] = {
    model.Command: _command,
    model.Receives: _receives,
    model.Sends: _sends,
    model.Socket: _socket,
    model.Program: _program,
    model.Writes: _writes,
    model.Closes: _closes,
    model.Goes: _goes,
    model.Joins: _joins,
    model.Sets: _sets,
}
"""What each statement that makes something happen does."""
