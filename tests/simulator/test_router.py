"""The public front door, as its documentation shows it, and what misuse of it says."""

from __future__ import annotations

import dataclasses
import doctest
import errno
import socket
from typing import Any

import pytest
from datagrams import address, ping, udp
from worlds import forwarded

import simulator
from simulator import IPPROTO_DIVERT, PROFILES, CommandError, Reason, Router, SimulatedClock, WallClock
from simulator.profiles import BsdProfile, LinuxProfile
from simulator.routing import Kind as RouteKind


class TestAsDocumented:
    def test_line_by_line_linux(self) -> None:
        router = Router("linux-2.2")
        eth0 = router.add_interface("eth0", "192.168.1.1/24", mtu=1500)
        eth1 = router.add_interface("eth1", "10.0.0.1/24")
        router.add_route("0.0.0.0/0", via="10.0.0.254")
        assert router.ipchains("-A forward -p icmp -j DIVERT 1234") == ""
        assert "DIVERT" in router.ipchains(["-L", "forward", "-n"])

        sock = router.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT)
        sock.bind(("0.0.0.0", 1234))
        eth0.receive(asked := ping("192.168.1.2", "8.8.8.8"))
        octets, came_from = sock.recvfrom(65535)
        assert came_from == ("192.168.1.1", 1234)
        host, port = came_from
        assert (host, port) == ("192.168.1.1", 1234)
        assert (came_from.interface, came_from.tag, len(came_from.packed)) == ("eth0", 1234, 16)
        assert sock.sendto(octets, came_from) == len(octets)
        assert eth1.sent == [forwarded(asked)]
        eth1.sent.clear()

        assert router.send(ping("10.0.0.1", "10.0.0.2")) == 0
        assert eth1.sent == [ping("10.0.0.1", "10.0.0.2")]
        eth0.receive(mine := ping("192.168.1.2", "192.168.1.1"))
        assert router.delivered == [mine]

        router.clock.advance(31.0)
        assert router.clock.now() == 31.0
        with router.trace() as trace:
            eth0.receive(ping("192.168.1.2", "192.168.1.1"))
        assert trace.events
        assert "echo request" in str(trace)
        assert trace.to_json().startswith("[")
        assert router.ledger.balanced

    def test_line_by_line_bsd(self) -> None:
        router = Router("freebsd-11", default_accept=True)
        em0 = router.add_interface("em0", "192.168.1.1/24")
        em1 = router.add_interface("em1", "10.0.0.1/24")
        router.ipfw("add 100 divert 8668 ip from any to any")
        sock = router.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT)
        sock.bind(("0.0.0.0", 8668))
        em0.receive(asked := ping("192.168.1.2", "10.0.0.2"))
        octets, came_from = sock.recvfrom(65535)
        assert (octets, came_from, came_from.interface) == (asked, ("192.168.1.1", 100), "em0")
        sock.sendto(octets, came_from)
        octets, came_from = sock.recvfrom(65535)
        assert came_from == ("0.0.0.0", 100)
        sock.sendto(octets, came_from)
        assert em1.sent == [forwarded(asked)]
        assert router.ledger.balanced

    def test_the_package_documents_itself(self) -> None:
        assert doctest.testmod(simulator).failed == 0

    def test_a_second_interface_may_have_the_route(self) -> None:
        router = Router()
        router.add_interface("eth1", "10.0.0.1/24")
        route = router.add_route("172.16.0.0/12", interface="eth1")
        assert str(route) == "172.16.0.0/12 dev eth1"
        assert repr(router) == "<Router linux-2.2: lo, eth1>"


class TestProfiles:
    @pytest.mark.parametrize("name", PROFILES)
    def test_every_profile_makes_a_router(self, name: str) -> None:
        router = Router(name)
        router.add_interface("if0", "10.0.0.1/24")
        assert router.profile.name == name
        lo, mtu = router.profile.loopback
        assert router.node.interfaces[lo].mtu == mtu

    @pytest.mark.parametrize("name", PROFILES)
    def test_ping_to_itself(self, name: str) -> None:
        switches: dict[str, Any] = {} if name.startswith("linux") else {"default_accept": True}
        router = Router(name, **switches)
        router.add_interface("if0", "10.0.0.1/24")
        assert router.send(ping("10.0.0.1", "10.0.0.1")) == 0
        assert len(router.delivered) == 2
        assert router.ledger.balanced

    def test_switches(self) -> None:
        router = Router("linux-2.2", pass_through=True, offset_as_char=False)
        assert isinstance(router.profile, LinuxProfile)
        assert router.profile.pass_through
        assert not router.profile.rules.offset_as_char
        assert not PROFILES["linux-2.2"].pass_through  # type: ignore[attr-defined]

    def test_unknown_names(self) -> None:
        with pytest.raises(ValueError, match=r"'linux-2\.4'.*linux-2\.2"):
            Router("linux-2.4")
        with pytest.raises(TypeError, match=r"no switch 'pass_thru'.*pass_through"):
            Router("linux-2.2", pass_thru=True)
        with pytest.raises(TypeError, match="name"):
            Router("linux-2.2", name="x")
        with pytest.raises(TypeError, match="no switch 'pass_through'"):
            Router("freebsd-11", pass_through=True)

    def test_clocks(self) -> None:
        assert isinstance(Router().clock, SimulatedClock)
        clock = SimulatedClock(5.0)
        assert Router(clock=clock).clock is clock
        assert isinstance(Router(clock=WallClock()).clock, WallClock)

    def test_the_other_familys_firewall(self) -> None:
        with pytest.raises(TypeError, match=r"linux-2\.2 has ipchains"):
            Router("linux-2.2").ipfw("list")
        with pytest.raises(TypeError, match="freebsd-14 has ipfw"):
            Router("freebsd-14").ipchains("-L")
        assert isinstance(Router("dragonfly").profile, BsdProfile)


class TestCommands:
    def test_a_failing_command_says_what_the_tool_says(self) -> None:
        router = Router()
        with pytest.raises(CommandError) as caught:
            router.ipchains("-A nowhere -j ACCEPT")
        assert (caught.value.stderr, caught.value.status) == ("ipchains: No target by that name\n", 1)
        with pytest.raises(CommandError) as caught:
            router.ipchains("-A input -p nonsense")
        assert caught.value.status == 2

    def test_and_changes_nothing(self) -> None:
        router = Router("freebsd-11")
        before = router.ipfw("list")
        with pytest.raises(CommandError) as caught:
            router.ipfw("add 100 divert ip from any to any")
        assert caught.value.status != 0
        assert caught.value.stderr
        assert router.ipfw("list") == before


class TestRoutes:
    @staticmethod
    def router() -> Router:
        router = Router()
        router.add_interface("eth0", "10.0.0.1/24")
        return router

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"prefix": "nonsense", "via": "10.0.0.2"}, "nonsense"),
            ({"prefix": "10.1.0.1/16", "via": "10.0.0.2"}, "10.1.0.1/16"),
            ({"prefix": "30.0.0.0/8"}, "30.0.0.0/8 needs via= or interface="),
            ({"prefix": "30.0.0.0/8", "via": "11.0.0.1"}, "11.0.0.1 is on no network"),
            ({"prefix": "30.0.0.0/8", "via": "10.0.0.1"}, "10.0.0.1 is on no network"),
            ({"prefix": "30.0.0.0/8", "via": "10.0.0.255"}, "10.0.0.255 is on no network"),
            ({"prefix": "30.0.0.0/8", "via": "127.0.0.1"}, "127.0.0.1 is on no network"),
            ({"prefix": "30.0.0.0/8", "via": "gateway"}, "gateway"),
            ({"prefix": "30.0.0.0/8", "interface": "eth7"}, "'eth7'"),
            ({"prefix": "30.0.0.0/8", "kind": "local"}, "'local'"),
            ({"prefix": "30.0.0.0/8", "kind": "nonsense", "via": "10.0.0.2"}, "'nonsense'"),
        ],
    )
    def test_routes_that_cannot_be(self, arguments: dict[str, str], said: str) -> None:
        router = self.router()
        before = list(router.node.routes)
        with pytest.raises(ValueError, match=said):
            router.add_route(**arguments)  # type: ignore[arg-type]
        assert list(router.node.routes) == before

    def test_a_gateway_behind_a_gateway_is_none(self) -> None:
        router = self.router()
        router.add_route("30.0.0.0/8", via="10.0.0.2")
        with pytest.raises(ValueError, match=r"30\.0\.0\.1"):
            router.add_route("31.0.0.0/8", via="30.0.0.1")

    @pytest.mark.parametrize("kind", ["reject", "blackhole"])
    def test_routes_that_lead_nowhere(self, kind: str) -> None:
        router = self.router()
        assert router.add_route("30.0.0.0/8", kind=kind).kind is RouteKind(kind)
        assert router.send(udp("10.0.0.1", "30.1.1.1")) == errno.ENETUNREACH
        router.node.interfaces["eth0"].receive(udp("10.0.0.2", "30.1.1.1"))
        reason = Reason.UNREACHABLE_ROUTE if kind == "reject" else Reason.BLACKHOLE_ROUTE
        assert router.ledger.dropped[reason] == 1

    def test_deleting(self) -> None:
        router = self.router()
        router.add_route("30.0.0.0/8", via="10.0.0.2")
        router.delete_route("30.0.0.0/8")
        assert router.node.routes.lookup(address("30.0.0.1")) is None
        with pytest.raises(ValueError, match=r"30\.0\.0\.0/8"):
            router.delete_route("30.0.0.0/8")


class TestSend:
    GOOD = udp("10.0.0.1", "10.0.0.2", data=b"data")

    @staticmethod
    def router() -> Router:
        router = Router()
        router.add_interface("eth0", "10.0.0.1/24")
        return router

    @pytest.mark.parametrize(
        ("octets", "reason"),
        [
            (b"", Reason.TOO_SHORT),
            (GOOD[:19], Reason.TOO_SHORT),
            (GOOD[:-1], Reason.TRUNCATED),
            (b"\x65" + GOOD[1:], Reason.NOT_IPV4),
            (b"\x35" + GOOD[1:], Reason.BAD_VERSION),
            (b"\x44" + GOOD[1:], Reason.BAD_HEADER_LENGTH),
            (b"\x4f" + GOOD[1:], Reason.BAD_LENGTH),
            (GOOD[:2] + b"\0\x13" + GOOD[4:], Reason.BAD_LENGTH),
        ],
    )
    def test_garbage(self, octets: bytes, reason: Reason) -> None:
        router = self.router()
        assert router.send(octets) == errno.EINVAL
        assert router.ledger.dropped == {reason: 1}
        assert router.ledger.balanced

    @pytest.mark.parametrize("octets", ["text", 5, None, [69, 0]])
    def test_no_octets_at_all(self, octets: Any) -> None:
        router = self.router()
        with pytest.raises(TypeError):
            router.send(octets)
        with pytest.raises(TypeError):
            router.node.interfaces["eth0"].receive(octets)
        assert router.ledger.sources == 0

    def test_what_follows_the_datagram_is_cut(self) -> None:
        router = self.router()
        assert router.send(bytearray(self.GOOD + b"more")) == 0
        assert router.node.interfaces["eth0"].sent == [self.GOOD]

    def test_the_checksum_is_filled_in(self) -> None:
        router = self.router()
        router.send(self.GOOD[:10] + b"\0\0" + self.GOOD[12:])
        assert router.node.interfaces["eth0"].sent == [self.GOOD]


class TestSwitches:
    @pytest.mark.parametrize(
        ("profile", "switches", "said"),
        [
            ("linux-2.2", {"pass_through": "yes"}, "pass_through='yes' is not a value of type bool"),
            ("linux-2.2", {"pass_through_goes": "accept"}, "is not 'to the next rule' or 'accepted'"),
            ("freebsd-13", {"tag_byte_order": "little"}, "is not 'clear' or 'host'"),
            ("linux-2.2", {"offset_as_char": None}, "offset_as_char=None is not a value of type bool"),
            ("freebsd-4", {"tee_original": "lost"}, "is not 'next rule' or 'accepted'"),
            ("linux-2.2", {"unbound_errno": "EINVAL"}, "is not a value of type int"),
        ],
    )
    def test_a_value_that_a_switch_does_not_have(self, profile: str, switches: dict[str, object], said: str) -> None:
        with pytest.raises(ValueError, match=said):
            Router(profile, **switches)  # type: ignore[arg-type]

    def test_every_profile_takes_its_own_values(self) -> None:
        for name, profile in PROFILES.items():
            for switches in (profile, profile.rules):
                for each in dataclasses.fields(switches):
                    if each.name not in ("name", "rules"):
                        Router(name, **{each.name: getattr(switches, each.name)})

    def test_a_host_with_a_bad_address_is_named(self) -> None:
        with pytest.raises(ValueError, match="host 'gateway': Expected 4 octets in 'nowhere'"):
            Router(hosts={"gateway": "nowhere"})

    def test_a_gateway_must_be_on_the_interface_that_is_named(self) -> None:
        router = Router()
        router.add_interface("eth0", "192.168.1.1/24")
        router.add_interface("eth1", "10.0.0.1/24")
        with pytest.raises(ValueError, match=r"10\.0\.0\.254 is on no network of eth0"):
            router.add_route("0.0.0.0/0", via="10.0.0.254", interface="eth0")
