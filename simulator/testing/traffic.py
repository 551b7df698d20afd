"""Hypothesis strategies for what comes to a world's router: from its networks, from its rules, from itself."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface

from hypothesis import assume
from hypothesis import strategies as st

from rules.fields import Header
from rules.strategies import NoPacketError, matching
from rules.strategies.asking import AnyRule, every_rule
from rules.strategies.headers import silent_headers
from simulator.router import Router
from simulator.testing.datagrams import Datagram, octets_of
from simulator.testing.worlds import World

__all__ = ["arriving", "arriving_at_rules", "arriving_like", "originated", "written"]

Arrivals = st.SearchStrategy[tuple[str, Datagram]]
"""Interface and datagram."""


@st.composite
def arriving(draw: st.DrawFn, world: World, *, fragments: bool = True, forwarded: bool = False) -> tuple[str, Datagram]:
    """A packet that a network of the world's may send to the router, and the interface that it comes in by.

    Its source is a host of that network, its destination a host of another one, one behind the default route, or,
    unless it is to be ``forwarded``, the router itself.
    """
    name = draw(st.sampled_from([*world.interfaces]))
    far = [int(IPv4Address(text)) for text in ("8.8.8.8", "30.0.0.1", "40.0.0.1")]
    there = st.sampled_from(far)
    for other in world.interfaces:
        if other != name:
            there = _hosts(world, other) | there
    if not forwarded:
        there |= st.sampled_from([int(IPv4Interface(address).ip) for address in world.interfaces.values()])
    drawn = silent_headers(source=_hosts(world, name), destination=there, fragments=fragments)
    return name, octets_of(draw(drawn))


def _hosts(world: World, interface: str) -> st.SearchStrategy[int]:
    """Hosts of a network, the neighbour first."""
    own = IPv4Interface(world.interfaces[interface])
    first, last = int(own.network[0]) + 1, int(own.network[-1]) - 1
    near = int(IPv4Address(world.neighbour(interface)))
    return st.just(near) | st.integers(first, last).map(lambda host: near if host == int(own.ip) else host)


def arriving_at_rules(
    world: World, router: Router, *, fragments: bool = True
) -> st.SearchStrategy[tuple[str, Datagram]]:
    """Packets drawn from the rules that a router has, arriving by the interface that the rule wants, or the first.

    Nothing is drawn where there are no rules, or none that matches anything.
    """
    return st.one_of([*_of_rules(world, router, fragments)])


def arriving_like(
    words: str, world: World, router: Router, *, fragments: bool = True
) -> st.SearchStrategy[tuple[str, Datagram]]:
    """Packets that match a rule of these words, arriving by the interface that it wants, or any.

    ``words``: ``"tcp from any to me 80"``, as behind the action of a rule of ipfw, or the options of one of ipchains.

    :raises NoPacketError: for a rule that matches nothing.
    :raises rules.CommandError: for words that are no rule.
    """
    rule = words if words.lstrip().startswith("-") else f"count {words}"
    return _matching(rule, world, router, fragments)


def _of_rules(world: World, router: Router, fragments: bool) -> Iterator[Arrivals]:
    for rule in every_rule(router.tables if world.is_linux else router.rules):
        try:
            yield _matching(rule, world, router, fragments)
        except NoPacketError:
            continue


def _matching(rule: AnyRule, world: World, router: Router, fragments: bool) -> Arrivals:
    names = tuple(world.interfaces)

    def arrival(header: Header) -> tuple[str, Datagram]:
        try:
            octets = octets_of(header)
        except ValueError:  # such as a rule that wants fewer octets than its transport's header has
            assume(False)
        return header.receive_interface if header.receive_interface in names else names[0], octets

    rules = router.tables if world.is_linux else router.rules
    return matching(rule, rules=rules, interfaces=names, fragments=fragments).map(arrival)


def originated(world: World) -> st.SearchStrategy[Datagram]:
    """Datagrams of the router's own, from one of its addresses or from 0.0.0.0, which it fills in."""
    own = [0, *(int(IPv4Interface(address).ip) for address in world.interfaces.values())]
    there = _hosts(world, next(iter(world.interfaces)))
    for name in [*world.interfaces][1:]:
        there |= _hosts(world, name)
    there |= st.sampled_from([int(IPv4Address("8.8.8.8")), *own[1:]])
    drawn = silent_headers(source=st.sampled_from(own), destination=there, fragments=False)
    return drawn.map(octets_of)


def written(world: World) -> st.SearchStrategy[tuple[Datagram, tuple[str, int]]]:
    """What a divert program may write of its own accord: a datagram and an address, outgoing or as received."""
    hosts = ["0.0.0.0", *(str(IPv4Interface(address).ip) for address in world.interfaces.values()), "8.8.8.8"]
    addresses = st.tuples(st.sampled_from(hosts), st.sampled_from((0, 100, 200, 65535)))
    return st.tuples(arriving(world).map(lambda arrival: arrival[1]), addresses)
