"""Routers and what comes to them, drawn."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from rules.errors import CommandError
from simulator.packet import Packet
from simulator.profiles import PROFILES
from simulator.scenario.reading import read
from simulator.testing.strategies import (
    Datagram,
    World,
    arriving,
    arriving_at_rules,
    behaviours,
    commands,
    originated,
    worlds,
    written,
)


def drawn_from(strategy: Any, test: Any, examples: int = 50) -> None:
    settings(max_examples=examples, deadline=None)(given(strategy)(test))()


def test_a_world_is_what_it_prints() -> None:
    def check(world: World) -> None:
        assert eval(repr(world), {"World": World}) == world
        router = world.build()
        assert {name: str(each.addresses[0]) for name, each in router.interfaces.items() if not each.is_loopback} == {
            **world.interfaces
        }
        assert all(router.interfaces[name].mtu == world.mtus.get(name, 1500) for name in world.interfaces)
        assert read(str(world), "world.scn").setup[0].statement is not None

    drawn_from(worlds(), check)


def test_worlds_shrink_to_an_ordinary_router() -> None:
    world = find(worlds(profiles=["freebsd-13"]), lambda world: True)
    assert world.interfaces == {"em0": "192.168.1.1/24", "em1": "10.0.0.1/24"}
    assert (world.mtus, [*world.routes]) == ({}, ["0.0.0.0/0"])


def test_a_world_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="'netbsd'"):
        worlds(profiles=["netbsd"])
    with pytest.raises(ValueError, match="not 0 to 9"):
        worlds(least=0, most=9)


def test_what_arrives_comes_from_a_neighbour() -> None:
    world = World()

    def check(arrival: tuple[str, Datagram]) -> None:
        name, octets = arrival
        packet = Packet(octets)
        own = IPv4Interface(world.interfaces[name])
        assert IPv4Address(packet.source) in own.network
        assert IPv4Address(packet.source) != own.ip
        router = world.build(default_accept=True)
        router.interfaces[name].receive(octets)
        assert not router.ledger.dropped or packet.ttl == 1 or packet.is_fragment

    drawn_from(arriving(world, fragments=False), check, 200)


def test_forwarded_ones_are_not_for_the_router() -> None:
    world = World()
    own = {IPv4Interface(address).ip for address in world.interfaces.values()}
    drawn_from(
        arriving(world, forwarded=True), lambda each: assert_not_in(IPv4Address(Packet(each[1]).destination), own), 200
    )


def assert_not_in(address: IPv4Address, own: set[IPv4Address]) -> None:
    assert address not in own


@pytest.mark.parametrize(
    "world",
    [
        World(rules=("add 100 deny tcp from 203.0.113.7 to any 7777 in recv em1",)),
        World(
            profile="linux-2.2",
            interfaces={"eth0": "192.168.1.1/24", "eth1": "10.0.0.1/24"},
            rules=("-A input -p tcp -s 203.0.113.7 -d 0/0 7777 -i eth1 -j DENY",),
        ),
    ],
)
def test_packets_are_drawn_from_the_rules_of_a_router(world: World) -> None:
    router = world.build()

    def check(arrival: tuple[str, Datagram]) -> None:
        packet = Packet(arrival[1])
        assert (packet.source, packet.destination_port) == (int(IPv4Address("203.0.113.7")), 7777)
        if not world.is_linux:
            assert arrival[0] == "em1"

    drawn_from(arriving_at_rules(world, router), check)


@pytest.mark.parametrize("profile", PROFILES)
def test_most_commands_are_taken(profile: str) -> None:
    linux = profile.startswith("linux")
    interfaces = {"eth0" if linux else "em0": "192.168.1.1/24"}
    world = World(profile=profile, interfaces=interfaces, routes={})
    taken: list[bool] = []

    def check(command: str) -> None:
        router = world.build()
        run = router.ipchains if linux else router.ipfw
        if profile == "linux-2.2":  # 2.0 has no chains of one's own
            run("-N u0")
        try:
            run(command)
        except CommandError:
            taken.append(False)
        else:
            taken.append(True)

    drawn_from(commands(world), check, 60)
    assert sum(taken) > len(taken) / 2


@given(st.data())
def test_own_packets_and_writes(data: st.DataObject) -> None:
    world = data.draw(worlds(most=3))
    router = world.build()
    router.send(data.draw(originated(world)))
    octets, (host, _) = data.draw(written(world))
    assert Packet(octets).version == 4
    IPv4Address(host)
    assert router.ledger.balanced


def test_behaviours_are_often_good_ones_and_sometimes_not() -> None:
    assert find(behaviours(), lambda program: True).changes == ("back",)
    assert find(behaviours(), lambda program: "drop" in program.changes).changes == ("drop",)


def test_an_mtu_is_of_an_interface_that_there_is() -> None:
    with pytest.raises(ValueError, match=r"'em9', which is no interface .there are em0, em1"):
        World(mtus={"em9": 576}).build()
