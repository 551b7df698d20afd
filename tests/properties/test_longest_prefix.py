"""Longest-prefix lookup against a plain linear search, while routes come and go and interfaces go down and up."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.addresses import mask_of
from simulator.interfaces import Interface
from simulator.links.memory import MemoryLink
from simulator.routing import Kind, Route, Routes

addresses = st.integers(0, 0xFFFFFFFF)
# Few distinct high and low bits, so that prefixes nest and destinations fall into several of them.
near = st.builds(lambda high, low: high << 24 | low, st.sampled_from([0, 10, 127, 192, 255]), st.integers(0, 15))
destinations = near | addresses
prefixes = st.tuples(destinations, st.sampled_from([0, 1, 8, 24, 28, 29, 30, 31, 32]) | st.integers(0, 32))

steps = st.one_of(
    st.tuples(st.just("add"), prefixes, st.integers(0, 2)),
    st.tuples(st.just("add"), prefixes, st.integers(0, 2)),
    st.tuples(st.just("remove"), st.integers(0, 20), st.none()),
    st.tuples(st.just("flip"), st.integers(0, 2), st.none()),
    st.tuples(st.just("ask"), destinations, st.none()),
    st.tuples(st.just("ask"), destinations, st.none()),
)


def plain(routes: list[Route], destination: int) -> Route | None:
    """The first of the longest matching prefixes whose interface is up."""
    best: Route | None = None
    for route in routes:
        matches = destination & mask_of(route.length) == route.network
        if matches and route.interface.up and (best is None or route.length > best.length):
            best = route
    return best


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, max_size=60))
def test_lookup_is_the_linear_search(taken: list[tuple[str, int | tuple[int, int], int | None]]) -> None:
    table = Routes()
    listed: list[Route] = []
    interfaces = [Interface(f"eth{number}", MemoryLink(), mtu=1500) for number in range(3)]
    for step in taken:
        match step:
            case "add", (int(network), int(length)), int(index):
                route = Route(network, length, interfaces[index], kind=Kind.UNICAST, connected=bool(network & 1))
                table.add(route)
                listed.append(route)
            case "remove", int(index), None if index < len(listed):
                table.remove(listed.pop(index))
            case "flip", int(index), None:
                interface = interfaces[index]
                interface.up = not interface.up
                if interface.up:
                    table.changed()
                else:
                    table.interface_down(interface)
                    listed = [route for route in listed if route.connected or route.interface is not interface]
            case "ask", int(destination), None:
                assert table.lookup(destination) is plain(listed, destination)
    assert sorted(map(id, table)) == sorted(map(id, listed))
    for route in listed:
        for destination in (route.network, route.network | ~mask_of(route.length) & 0xFFFFFFFF):
            assert table.lookup(destination) is plain(listed, destination)
