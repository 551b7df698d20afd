"""Octets drawn are what they are said to be: seen by Packet, by scapy, and by the reassembly."""

from __future__ import annotations

import pytest
from datagrams import udp as make_udp
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.fields import Header
from rules.ipfw import RuleSet
from rules.strategies import headers, matching
from simulator import Router
from simulator.packet import Packet
from simulator.testing.strategies import Datagram, conversations, damaged, datagrams, fragments_of, octets_of
from simulator.wire import checksum, ipv4, tcp

NO_OCTETS = {"receive_interface", "transmit_interface", "mark", "tags", "reinjected", "link_broadcast", "owner"}


@given(headers())
def test_a_header_is_what_its_octets_show(header: Header) -> None:
    packet = Packet(octets_of(header))
    for name in Header.__dataclass_fields__.keys() - NO_OCTETS:
        assert getattr(packet, name) == getattr(header, name), name


@given(matching("deny tcp from 10.0.0.0/8 to any 25 tcpoptions mss ipoptions rr"))
def test_packets_drawn_from_a_rule_match_as_octets(header: Header) -> None:
    rules = RuleSet("freebsd-13")
    rules.run("add 100 deny tcp from 10.0.0.0/8 to any 25 tcpoptions mss ipoptions rr")
    assert rules.evaluate(Packet(octets_of(header))).rule == 100


@given(datagrams(fragments=True))
def test_scapy_says_the_checksums_are_right(octets: Datagram) -> None:
    scapy = pytest.importorskip("scapy.layers.inet")
    theirs = scapy.IP(bytes(octets))
    wanted = theirs.chksum
    del theirs.chksum
    assert scapy.IP(bytes(theirs)).chksum == wanted
    assert len(octets) == theirs.len


@given(datagrams())
def test_what_is_printed_makes_the_same_octets(octets: Datagram) -> None:
    assert eval(repr(octets), {"Datagram": Datagram}) == octets


def test_examples_are_said_in_words() -> None:
    """A failing property ends with a small example."""
    seen: list[Datagram] = []

    @settings(database=None)
    @given(datagrams())
    def never_tcp(octets: Datagram) -> None:
        seen.append(octets)
        assert octets[9] != 6

    with pytest.raises(AssertionError):
        never_tcp()
    assert repr(seen[-1]).startswith("Datagram.said('tcp from 192.0.2.1 80 to 192.0.2.1 80")


@given(damaged())
def test_a_damaged_datagram_goes_nowhere_wrong(octets: Datagram) -> None:
    router = Router("linux-2.2")
    router.add_interface("eth0", "192.168.1.1/24").receive(octets)
    assert router.ledger.balanced


@pytest.mark.parametrize("damage", ["cut", "version", "header checksum", "total length", "header length"])
def test_damage_is_found(damage: str) -> None:
    @settings(max_examples=20)
    @given(damaged(datagrams(protocol=st.just(17)), damages=(damage,)))
    def dropped(octets: Datagram) -> None:
        router = Router("freebsd-13", default_accept=True)
        eth0 = router.add_interface("em0", "192.168.1.1/24")
        router.add_route("0.0.0.0/0", via="192.168.1.2")
        eth0.receive(octets)
        assert router.ledger.dropped.total() == 1
        assert not eth0.sent

    dropped()


def test_an_unknown_damage_is_refused() -> None:
    with pytest.raises(ValueError, match="no such damage: burnt"):
        damaged(damages=("burnt",))


WHOLE = make_udp("192.168.1.2", "192.168.1.1", data=bytes(range(200)))


@settings(max_examples=50)
@given(fragments_of(WHOLE, overlaps=True), st.sampled_from(["freebsd-4", "freebsd-13"]))
def test_fragments_come_together_in_any_order(parts: list[Datagram], profile: str) -> None:
    router = Router(profile, default_accept=True)
    inside = router.add_interface("em0", "192.168.1.1/24")
    for part in parts:
        assert checksum.verify(part[:20])
        inside.receive(part)
    assert WHOLE[20:] in [octets[20:] for octets in router.delivered]


CLIENT, SERVER = 0xC0000201, 0xC6336401


@given(conversations(client=st.just(CLIENT), server=st.just(SERVER), most=2))
def test_conversations_are_in_order(said: list[Datagram]) -> None:
    expected: dict[int, int] = {}
    for octets in said:
        view = ipv4.View(octets)
        segment, data = tcp.parse(view.payload, source=view.source, destination=view.destination)
        assert segment.sequence == expected.get(view.source, segment.sequence)
        other = expected.get(view.destination, 0)
        assert segment.acknowledgment == (other if segment.flags & tcp.ACK else 0)
        expected[view.source] = segment.sequence + len(data) + bool(segment.flags & (tcp.SYN | tcp.FIN))
    assert {ipv4.View(octets).source for octets in said} == {CLIENT, SERVER}
