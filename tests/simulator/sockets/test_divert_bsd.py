"""Divert sockets as objects on the BSDs: creation, options, bind, named by the statements of bsd.md sections 1, 2."""

from __future__ import annotations

import errno
import socket

import pytest
from bsd_worlds import ALL, LEFT, OWN, RIGHT, SINCE_8, BsdWorld, echo, fails, queued, with_switch
from datagrams import udp

from rules.errors import CommandError
from simulator import IPPROTO_DIVERT, Reason
from simulator.router import PF_DIVERT
from simulator.sockets.address import BSD_LAYOUT

every = pytest.mark.parametrize("profile", ALL)
PCB = [profile for profile in ALL if profile != "freebsd-14"]
"""Where divert sockets bind as all Internet sockets do."""

in_pcbbind = pytest.mark.parametrize("profile", PCB)
own_family = pytest.mark.parametrize("profile", with_switch("own_family", True))
GOOD = udp(LEFT, RIGHT)


def name(port: int, *, family: int = 2, length: int = 16) -> bytes:
    """A sockaddr for bind."""
    return (bytes((length, family)) + port.to_bytes(2, "big")).ljust(length, b"\0")


class TestCreation:
    @pytest.mark.statement("bsd.md S-1", "bsd.md S-2")
    @every
    @pytest.mark.parametrize(("family", "protocol"), [(socket.AF_INET, 254), (socket.AF_INET, 258), (PF_DIVERT, 0)])
    def test_s1_s2_three_ways(self, profile: str, family: int, protocol: int) -> None:
        sock = BsdWorld(profile).router.socket(family, socket.SOCK_RAW, protocol)
        assert sock.type == socket.SOCK_RAW

    @pytest.mark.statement("bsd.md S-3")
    @every
    @pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM, socket.SOCK_SEQPACKET, 0])
    def test_s3_other_types(self, profile: str, kind: int) -> None:
        for protocol in (254, 258):
            with fails(errno.EPROTONOSUPPORT):
                BsdWorld(profile).router.socket(socket.AF_INET, kind, protocol)
        for family, protocol, number in ((socket.AF_INET, 257, errno.EPROTONOSUPPORT), (99, 258, errno.EAFNOSUPPORT)):
            with fails(number):
                BsdWorld(profile).router.socket(family, socket.SOCK_RAW, protocol)

    @pytest.mark.statement("bsd.md S-4")
    @every
    def test_s4_privilege_is_asked_for_at_creation_only(self, profile: str) -> None:
        world = BsdWorld(profile)
        sock = world.unbound()
        world.router.node.privileged = False
        with fails(errno.EPERM):
            world.router.socket(socket.AF_INET, socket.SOCK_RAW, IPPROTO_DIVERT)
        assert sock.sendto(udp("10.0.0.1", RIGHT), ("0.0.0.0", 0)) == 28

    @pytest.mark.statement("bsd.md S-5")
    @every
    def test_s5_buffers(self, profile: str) -> None:
        sock = BsdWorld(profile).unbound()
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            assert sock.getsockopt(socket.SOL_SOCKET, option) == 65636

    @pytest.mark.statement("bsd.md S-8", "bsd.md S-10")
    @every
    def test_s8_s10_no_connections(self, profile: str) -> None:
        sock = BsdWorld(profile).unbound()
        with fails(errno.EOPNOTSUPP):
            sock.connect((RIGHT, 1))
        with fails(errno.EOPNOTSUPP):
            sock.listen()
        with fails(errno.EINVAL):
            sock.accept()
        assert sock.connect_ex((RIGHT, 1)) == errno.EOPNOTSUPP
        if profile in with_switch("send_without_address", True):
            assert sock.getpeername() == ("0.0.0.0", 0), "it counts as connected"
            return
        with fails(errno.ENOTCONN):
            sock.getpeername()

    @pytest.mark.statement("bsd.md S-9")
    @pytest.mark.parametrize("profile", with_switch("shutdown_errno", errno.ENOTCONN))
    def test_s9_shutdown_changes_nothing(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any in")
        sock = world.divert()
        world.em0.receive(GOOD)
        for how in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR):
            with fails(errno.ENOTCONN):
                sock.shutdown(how)
        with fails(errno.EINVAL):
            sock.shutdown(3)
        assert echo(sock) == 1

    @pytest.mark.parametrize("profile", with_switch("shutdown_errno", errno.EOPNOTSUPP))
    @pytest.mark.statement("bsd.md S-9")
    def test_s9_there_is_no_shutdown(self, profile: str) -> None:
        sock = BsdWorld(profile).divert()
        with fails(errno.EOPNOTSUPP):
            sock.shutdown(socket.SHUT_RD)
        with fails(errno.EINVAL):
            sock.shutdown(3)

    @pytest.mark.statement("bsd.md S-9")
    @pytest.mark.parametrize("profile", with_switch("shutdown_errno", 0))
    def test_s9_shutdown_works(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any in")
        sock = world.divert()
        world.em0.receive(GOOD)
        sock.shutdown(socket.SHUT_RD)
        assert sock.recv(100) == b""
        sock.shutdown(socket.SHUT_WR)
        with fails(errno.EPIPE):
            sock.sendto(GOOD, ("0.0.0.0", 0))

    @pytest.mark.statement("bsd.md S-13")
    @every
    def test_s13_close_gives_the_port_back(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any in")
        sock = world.divert()
        world.em0.receive(GOOD)
        sock.close()
        world.em0.receive(GOOD)
        assert world.dropped == {Reason.NO_LISTENER: 1}
        assert not world.divert().readable, "what was queued is lost"


class TestOptions:
    @pytest.mark.statement("bsd.md S-12")
    @pytest.mark.parametrize("profile", with_switch("socket_options_of_ip", True))
    def test_s12_levels(self, profile: str) -> None:
        if profile == "freebsd-14":
            pytest.skip("has no options of IP")
        sock = BsdWorld(profile).unbound()
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 3)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 16)
        with fails(errno.EOPNOTSUPP):
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, bytes(4))
        with fails(errno.EINVAL):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with fails(errno.ENOPROTOOPT):
            sock.setsockopt(socket.SOL_SOCKET, 9999, 1)

    @pytest.mark.statement("bsd.md S-12")
    @pytest.mark.parametrize("profile", ["freebsd-14", "dragonfly"])
    def test_s12_none_of_ip(self, profile: str) -> None:
        with fails(errno.ENOPROTOOPT):
            BsdWorld(profile).unbound().setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 3)

    @pytest.mark.statement("bsd.md W-2")
    @every
    def test_w2_the_send_buffer_is_the_largest_write(self, profile: str) -> None:
        sock = BsdWorld(profile).unbound()
        with fails(errno.EMSGSIZE):
            sock.sendto(bytes(65637), ("0.0.0.0", 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 30)
        with fails(errno.EMSGSIZE):
            sock.sendto(bytes(31), ("0.0.0.0", 0))
        for octets, number in ((0, errno.EINVAL), (-1, errno.EINVAL), (2**24, errno.ENOBUFS)):
            with fails(number):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, octets)

    @pytest.mark.statement("bsd.md R-16")
    @every
    def test_r16_small_packets_of_this_host_need_less_memory(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any")
        sock = world.divert()
        for _ in range(300):
            world.em0.receive(GOOD)
        assert len(queued(sock)) == 206  # of 2560 octets memory each, the last one because 288 octets were left
        for _ in range(1100):
            world.router.send(udp("10.0.0.1", RIGHT))
        assert len(queued(sock)) == 1026


class TestBind:
    @pytest.mark.statement("bsd.md B-1")
    @in_pcbbind
    def test_b1_families_and_lengths(self, profile: str) -> None:
        sock = BsdWorld(profile).unbound()
        for family in (0, 1, 28):
            with fails(errno.EAFNOSUPPORT):
                sock.bind(name(9000, family=family))
        for length in (8, 15, 20):
            with fails(errno.EINVAL):
                sock.bind(name(9000, length=length))
        sock.bind(name(9000))
        assert sock.getsockname() == ("0.0.0.0", 9000)

    @pytest.mark.statement("bsd.md B-2", "bsd.md B-4")
    @in_pcbbind
    def test_b2_b4_the_host_is_ignored_and_a_second_bind_refused(self, profile: str) -> None:
        sock = BsdWorld(profile).unbound()
        assert sock.getsockname() == ("0.0.0.0", 0)
        sock.bind(("1.2.3.4", 9000))
        for port in (9000, 9001):
            with fails(errno.EINVAL):
                sock.bind(("", port))

    @pytest.mark.statement("bsd.md B-4")
    @in_pcbbind
    def test_b4_port_0_is_any_free_one(self, profile: str) -> None:
        world = BsdWorld(profile)
        first, second = world.divert(0), world.divert(0)
        ports = {first.getsockname()[1], second.getsockname()[1]}
        assert len(ports) == 2
        assert min(ports) >= 1024

    @pytest.mark.statement("bsd.md B-5")
    @in_pcbbind
    def test_b5_reserved_ports(self, profile: str) -> None:
        world = BsdWorld(profile)
        sock = world.unbound()
        world.router.node.privileged = False
        with fails(errno.EACCES):
            sock.bind(("", 1023))
        sock.bind(("", 1024))

    @pytest.mark.statement("bsd.md B-6")
    @in_pcbbind
    def test_b6_reuseport_is_needed_on_both(self, profile: str) -> None:
        world = BsdWorld(profile)
        first, second = world.divert(), world.unbound()
        second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with fails(errno.EADDRINUSE):
            second.bind(("", 8668))
        second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with fails(errno.EADDRINUSE):
            second.bind(("", 8668))
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        second.bind(("", 8668))

    @pytest.mark.statement("bsd.md B-8")
    @in_pcbbind
    def test_b8_who_receives(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 ip from any to any in")
        socks = [world.unbound() for _ in range(3)]
        for sock in socks:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        for sock in (socks[1], socks[2], socks[0]):
            sock.bind(("", 8668))
        order = socks[::-1] if profile in with_switch("newest_receives", True) else socks
        for sock in order:
            world.em0.receive(GOOD)
            assert len(queued(sock)) == 1
            sock.close()

    @own_family
    @pytest.mark.statement("bsd.md B-1", "bsd.md B-2")
    def test_b1_b2_own_family(self, profile: str) -> None:
        sock = BsdWorld(profile).unbound()
        for family in (0, 28):
            with fails(errno.EAFNOSUPPORT):
                sock.bind(name(9000, family=family))
        for length in (8, 15, 20):
            with fails(errno.EINVAL):
                sock.bind(name(9000, length=length))
        sock.bind(("1.2.3.4", 9000))
        assert sock.port == 9000

    @own_family
    @pytest.mark.statement("bsd.md B-5")
    def test_b5_no_port_is_reserved(self, profile: str) -> None:
        world = BsdWorld(profile)
        sock = world.unbound()
        world.router.node.privileged = False
        sock.bind(("", 80))

    @every
    @pytest.mark.statement("bsd.md B-3")
    def test_b3_a_number_space_of_its_own(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 8668 udp from any to any in")
        speaker = world.router.socket(socket.AF_INET, socket.SOCK_DGRAM)
        speaker.bind(("", 8668))
        sock = world.divert(8668)
        world.em0.receive(udp(LEFT, OWN, ports=(1, 8668), data=b"hello"))
        assert not speaker.readable
        assert echo(sock) == 1
        assert speaker.recv(100) == b"hello"

    @every
    @pytest.mark.statement("bsd.md B-10")
    @pytest.mark.parametrize(("text", "port"), [("1", 1), ("65534", 65534), ("natd", 8668)])
    def test_b10_ports_of_rules(self, profile: str, text: str, port: int) -> None:
        world = BsdWorld(profile, f"100 divert {text} ip from any to any in")
        sock = world.divert(port)
        world.em0.receive(GOOD)
        assert len(queued(sock)) == 1

    @every
    @pytest.mark.statement("bsd.md B-10")
    @pytest.mark.parametrize("text", ["0", "65536", "nosuchservice"])
    def test_b10_ports_that_are_none(self, profile: str, text: str) -> None:
        with pytest.raises(CommandError, match="illegal"):
            BsdWorld(profile, f"100 divert {text} ip from any to any in")

    @pytest.mark.parametrize("profile", SINCE_8)
    @pytest.mark.statement("bsd.md B-10")
    def test_b10_the_port_of_a_table(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert tablearg ip from table(1) to any in")
        world.router.ipfw("table 1 add 192.168.1.2/32 7777")
        sock = world.divert(7777)
        world.em0.receive(GOOD)
        assert len(queued(sock)) == 1

    @own_family
    @pytest.mark.statement("bsd.md B-4", "bsd.md B-6", "bsd.md S-10", "bsd.md W-5")
    def test_own_family_moves_and_shares_nothing(self, profile: str) -> None:
        world = BsdWorld(profile, "100 divert 9001 ip from any to any in")
        sock, other = world.unbound(), world.unbound()
        for each in (sock, other):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("", 9000))
        with fails(errno.EADDRINUSE):
            sock.bind(("", 9000))
        sock.bind(("", 9001))
        with fails(errno.EADDRINUSE):
            other.bind(("", 9001))
        other.bind(("", 9000))
        world.em0.receive(GOOD)
        assert echo(sock) == 1
        with fails(errno.EOPNOTSUPP):
            sock.getsockname()
        other.bind(("", 0))
        assert other.port == 0
        address = BSD_LAYOUT.pack(0, 0, bytes(8))
        with fails(errno.EAFNOSUPPORT):
            sock.sendto(GOOD, address[:1] + b"\x1c" + address[2:])
        with fails(errno.EINVAL):
            sock.sendto(GOOD, address + bytes(2))
