"""In-kernel nat in a router: in as de-aliasing, out as aliasing, one_pass, refusals, addresses that change."""

from __future__ import annotations

import errno

import pytest
from bsd_worlds import BsdWorld
from datagrams import address, ip, pieces, ping, tcp, udp

from rules.addresses import dotted
from rules.fields import ICMP, TCP, UDP
from simulator import Reason
from simulator.packet import Packet
from simulator.wire import icmp
from simulator.wire.checksum import verify, verify_transport

SINCE_8 = pytest.mark.parametrize("profile", ["freebsd-10", "freebsd-11", "freebsd-13", "freebsd-14"])

INSIDE, OTHER, PUBLIC, REMOTE = "192.168.1.2", "192.168.1.3", "10.0.0.1", "10.0.0.2"


class NatWorld(BsdWorld):
    """``nat 1`` with em1's address, kept ports and more words, for all that passes em1."""

    def __init__(self, profile: str, config: str = "", *rules: str, **switches: bool) -> None:
        super().__init__(profile, **switches)
        self.router.ipfw(f"nat 1 config if em1 same_ports {config}")
        for rule in rules or ("100 nat 1 ip from any to any via em1",):
            self.router.ipfw(f"add {rule}")

    def from_inside(self, octets: bytes) -> list[str]:
        self.em0.receive(octets)
        return [said(each) for each in self.sent]

    from_outside_octets: list[bytes]

    def from_outside(self, octets: bytes) -> list[str]:
        self.em1.receive(octets)
        self.from_outside_octets = self.sent
        return [said(each) for each in self.from_outside_octets]


def said(octets: bytes) -> str:
    packet = Packet(octets)
    assert verify(octets[: packet.header_length])
    if packet.protocol in (TCP, UDP) and not packet.is_fragment:
        assert verify_transport(packet.source, packet.destination, packet.protocol, octets[packet.header_length :])
    if packet.protocol == ICMP and not packet.is_fragment:
        assert verify(octets[packet.header_length :])
    ports = [f":{port}" if port is not None else "" for port in (packet.source_port, packet.destination_port)]
    return f"{dotted(packet.source)}{ports[0]} > {dotted(packet.destination)}{ports[1]}"


@SINCE_8
@pytest.mark.parametrize("fast_forward", [False, True])
def test_there_and_back(profile: str, fast_forward: bool) -> None:
    world = NatWorld(profile, fast_forward=fast_forward)
    assert world.from_inside(tcp(INSIDE, REMOTE)) == [f"{PUBLIC}:5000 > {REMOTE}:80"]
    assert world.from_outside(tcp(REMOTE, PUBLIC, ports=(80, 5000), flags=0x12)) == [f"{REMOTE}:80 > {INSIDE}:5000"]
    assert world.from_inside(ping(INSIDE, REMOTE)) == [f"{PUBLIC} > {REMOTE}"]
    assert world.from_outside(ip(REMOTE, PUBLIC, 1, icmp.Message(type=0, rest=7 << 16 | 1).emit())) == [
        f"{REMOTE} > {INSIDE}"
    ]
    assert world.matched(100) == [4]
    assert not world.dropped


@SINCE_8
def test_what_belongs_to_no_conversation_is_for_this_host(profile: str) -> None:
    world = NatWorld(profile)
    assert world.from_outside(ping(REMOTE, PUBLIC)) == [f"{PUBLIC} > {REMOTE}"]
    assert len(world.router.delivered) == 1


@SINCE_8
def test_refused_with_deny_in(profile: str) -> None:
    world = NatWorld(profile, "deny_in")
    with world.router.trace() as trace:
        assert world.from_outside(ping(REMOTE, PUBLIC)) == []
    assert world.dropped == {Reason.NAT_REFUSED: 1}
    assert "refused by ipfw's nat" in str(trace)
    assert world.matched(100) == [1]


@SINCE_8
def test_without_the_instance_the_rule_denies(profile: str) -> None:
    world = NatWorld(profile)
    world.router.ipfw("nat 1 delete")
    assert world.from_inside(tcp(INSIDE, REMOTE)) == []
    assert world.dropped == {Reason.DENIED: 1}
    assert world.router.send(udp(PUBLIC, REMOTE)) == errno.EACCES


@SINCE_8
def test_one_pass_accepts_and_without_it_the_next_rule_sees_the_translated_packet(profile: str) -> None:
    rules = (
        "100 nat 1 ip from any to any via em1",
        f"100 count ip from {PUBLIC} to any out",
        "200 deny ip from any to any",
    )
    world = NatWorld(profile, "", *rules)
    world.router.ipfw("add 50 allow ip from any to any via em0")
    assert world.from_inside(udp(INSIDE, REMOTE)) == [f"{PUBLIC}:5000 > {REMOTE}:6000"]
    world.router.ipfw("disable one_pass")
    assert world.from_inside(udp(INSIDE, REMOTE)) == []
    assert (world.matched(100), world.matched(200)) == ([2, 1], [1])
    world.router.ipfw("add 150 allow udp from any to any")
    assert world.from_outside(udp(REMOTE, PUBLIC, ports=(6000, 5000))) == [f"{REMOTE}:6000 > {INSIDE}:5000"]


@SINCE_8
def test_what_this_host_sends_is_translated_too(profile: str) -> None:
    world = NatWorld(profile)
    world.router.ipfw("nat 1 config if em1")  # without same_ports
    world.router.send(udp(PUBLIC, REMOTE, ports=(53, 9)))
    (sent,) = world.em1.sent
    port = Packet(sent).source_port
    assert port is not None
    assert port >= 0x8000
    assert world.from_outside(udp(REMOTE, PUBLIC, ports=(9, port))) == [
        f"{PUBLIC}:{port} > {REMOTE}:9",
        f"{PUBLIC} > {REMOTE}",  # nobody listens on port 53 here: an ICMP error
    ]
    assert Packet(world.router.delivered[-1]).destination_port == 53


@SINCE_8
@pytest.mark.parametrize("fast_forward", [False, True])
def test_a_redirected_port(profile: str, fast_forward: bool) -> None:
    world = NatWorld(profile, f"redirect_port tcp {INSIDE}:80 8080", fast_forward=fast_forward)
    assert world.from_outside(tcp(REMOTE, PUBLIC, ports=(9, 8080))) == [f"{REMOTE}:9 > {INSIDE}:80"]
    assert world.from_inside(tcp(INSIDE, REMOTE, ports=(80, 9), flags=0x12)) == [f"{PUBLIC}:8080 > {REMOTE}:9"]


@SINCE_8
def test_an_error_from_a_router_far_away_reaches_the_host_inside(profile: str) -> None:
    world = NatWorld(profile)
    datagram = udp(INSIDE, "8.8.8.8", ports=(5000, 33434), ttl=2)
    world.em0.receive(datagram)
    (outside,) = world.sent
    message = icmp.Message(type=11, code=0, data=outside[:28]).emit()
    assert world.from_outside(ip("10.0.0.254", PUBLIC, 1, message)) == [f"10.0.0.254 > {INSIDE}"]
    quoted = Packet(world.from_outside_octets[0][28:])
    assert (quoted.source, quoted.source_port) == (address(INSIDE), 5000)


@SINCE_8
def test_fragments(profile: str) -> None:
    world = NatWorld(profile)
    for piece in pieces(udp(INSIDE, REMOTE, ports=(5000, 6000), data=bytes(3000)), 1500):
        (sent,) = world.from_inside(piece)
        assert sent.startswith(PUBLIC)
    answers = pieces(udp(REMOTE, PUBLIC, ports=(6000, 5000), data=bytes(3000)), 1500)
    assert world.from_outside(answers[1]) == []
    assert world.dropped == {Reason.NAT_REFUSED: 1}
    for piece in answers:
        (sent,) = world.from_outside(piece)
        assert f"> {INSIDE}" in sent


@SINCE_8
def test_time_is_the_routers(profile: str) -> None:
    world = NatWorld(profile, "deny_in")
    world.from_inside(udp(INSIDE, REMOTE))
    answer = udp(REMOTE, PUBLIC, ports=(6000, 5000))
    world.router.clock.advance(60)
    assert world.from_outside(answer) == [f"{REMOTE}:6000 > {INSIDE}:5000"]
    world.router.clock.advance(60.5)
    assert world.from_outside(answer) == []


@SINCE_8
def test_a_change_of_the_instance_keeps_its_conversations_and_deleting_it_does_not(profile: str) -> None:
    world = NatWorld(profile)
    answer = udp(REMOTE, PUBLIC, ports=(6000, 5000))
    world.from_inside(udp(INSIDE, REMOTE))
    world.router.ipfw("nat 1 config if em1 deny_in log")
    assert world.from_outside(answer) == [f"{REMOTE}:6000 > {INSIDE}:5000"]
    world.router.ipfw("nat 1 delete")
    world.router.ipfw("nat 1 config if em1 deny_in")
    assert world.from_outside(answer) == []


@SINCE_8
def test_the_address_of_the_interface_is_followed(profile: str) -> None:
    world = NatWorld(profile, "reset")
    world.from_inside(udp(INSIDE, REMOTE))
    world.router.delete_address("em1", PUBLIC)
    world.router.add_address("em1", "10.0.0.77/24")
    assert world.router.ipfw("nat show config") == "ipfw nat 1 config if em1 same_ports reset\n"
    assert world.from_inside(udp(INSIDE, REMOTE)) == [f"10.0.0.77:5000 > {REMOTE}:6000"]
    assert world.from_outside(udp(REMOTE, "10.0.0.77", ports=(6000, 5000))) == [f"{REMOTE}:6000 > {INSIDE}:5000"]


def test_a_further_address_becomes_the_aliasing_address() -> None:
    """ifaddr_change goes through all addresses of the interface, and the last one stays."""
    world = NatWorld("freebsd-13")
    world.router.add_address("em1", "10.0.0.77/24")
    assert world.from_inside(udp(INSIDE, REMOTE)) == [f"10.0.0.77:5000 > {REMOTE}:6000"]


def test_an_interface_without_an_address_translates_nothing_until_it_has_one() -> None:
    world = NatWorld("freebsd-13")
    world.router.add_interface("ppp0")
    world.router.ipfw("nat 1 config if ppp0 same_ports")
    assert world.from_inside(udp(INSIDE, REMOTE)) == [f"{INSIDE}:5000 > {REMOTE}:6000"]
    world.router.add_address("ppp0", "10.9.9.9/32")
    assert world.from_inside(udp(OTHER, REMOTE)) == [f"10.9.9.9:5000 > {REMOTE}:6000"]


@SINCE_8
def test_global_translates_what_an_instance_knows_and_begins_nothing(profile: str) -> None:
    world = NatWorld(profile, "", "100 nat global ip from any to any via em1")
    world.router.ipfw("nat 2 config ip 10.0.0.1 redirect_port tcp 192.168.1.2:80 8080")
    assert world.from_inside(udp(INSIDE, REMOTE)) == [f"{INSIDE}:5000 > {REMOTE}:6000"]
    assert world.from_outside(tcp(REMOTE, PUBLIC, ports=(9, 8080))) == [f"{PUBLIC}:8080 > {REMOTE}:9"]  # a reset
    world.router.ipfw("add 50 nat 2 tcp from any to any in via em1")
    assert world.from_outside(tcp(REMOTE, PUBLIC, ports=(9, 8080))) == [f"{REMOTE}:9 > {INSIDE}:80"]
    answer = tcp(INSIDE, REMOTE, ports=(80, 9), flags=0x12)
    assert world.from_inside(answer) == [f"{PUBLIC}:8080 > {REMOTE}:9"]
    world.router.ipfw("delete 100")
    world.router.ipfw("add 100 nat global ip from any to any in")  # the wrong way
    assert world.from_inside(answer) == [f"{INSIDE}:80 > {REMOTE}:9"]
    world.router.ipfw("add 100 nat global ip from any to any via em1")
    assert world.from_inside(answer) == [f"{PUBLIC}:8080 > {REMOTE}:9"]
    world.router.ipfw("nat 2 config ip 10.0.0.1 skip_global redirect_port tcp 192.168.1.2:80 8080")
    assert world.from_inside(answer) == [f"{INSIDE}:80 > {REMOTE}:9"]


@SINCE_8
@pytest.mark.parametrize("fast_forward", [False, True])
def test_in_reverse_the_out_pass_may_lead_elsewhere_and_here(profile: str, fast_forward: bool) -> None:
    """What leaves by em0 is for the host behind the alias: routed anew, with no further pass."""
    world = BsdWorld(profile, fast_forward=fast_forward)
    world.router.ipfw(
        "nat 1 config ip 172.16.0.1 reverse redirect_addr 10.0.0.2 172.16.0.9 redirect_addr 192.168.1.1 172.16.0.8"
    )
    world.router.add_route("172.16.0.0/16", via="192.168.1.254")
    world.router.ipfw("add 100 nat 1 ip from any to any out via em0")
    world.router.ipfw("add 50 deny ip from any to any out via em1")  # nobody asks again
    world.em1.receive(udp("10.0.0.3", "172.16.0.9"))
    (sent,) = world.em1.sent
    assert said(sent) == "10.0.0.3:5000 > 10.0.0.2:6000"
    assert not world.em0.sent
    world.em1.receive(ping("10.0.0.3", "172.16.0.8"))
    assert Packet(world.router.delivered[-1]).destination == address("192.168.1.1")
    assert world.router.ledger.balanced


@SINCE_8
@pytest.mark.parametrize("fast_forward", [False, True])
def test_the_in_pass_may_lead_to_this_host(profile: str, fast_forward: bool) -> None:
    world = NatWorld(profile, "redirect_addr 192.168.1.1 172.16.0.8", fast_forward=fast_forward)
    world.router.add_route("172.16.0.0/16", via="10.0.0.254")
    world.em1.receive(ping(REMOTE, "172.16.0.8"))
    assert Packet(world.router.delivered[-1]).destination == address("192.168.1.1")
    assert [said(each) for each in world.em1.sent] == [f"172.16.0.8 > {REMOTE}"]


@SINCE_8
def test_counts_are_shown(profile: str) -> None:
    world = NatWorld(profile, "log")
    assert world.router.ipfw("nat show log") == ""
    world.from_inside(udp(INSIDE, REMOTE))
    line = "nat 1: icmp=0, udp=1, tcp=0, sctp=0, pptp=0, proto=0, frag_id=0 frag_ptr=0 / tot=1\n"
    assert world.router.ipfw("nat show log") == world.router.ipfw("nat 1 show log") == line
