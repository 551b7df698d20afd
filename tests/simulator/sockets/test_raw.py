"""Raw sockets: what they receive, how they send, and the firewall behind their options (linux.md O1-O10, D4, D23)."""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.ipchains import Rule
from rules.ipchains.sockopt import SocketOption, pack_change, pack_delete_number, pack_new, pack_policy
from simulator import Reason, Router
from simulator.wire import ipv4, udp

pytestmark = pytest.mark.profiles("linux-2.2")

IPPROTO_IP = socket.IPPROTO_IP
HERE, NEAR, FAR = "10.0.0.1", "10.0.0.9", "192.168.1.7"


def number(address: str) -> int:
    return int(IPv4Address(address))


def datagram(source: str, destination: str, protocol: int = 99, payload: bytes = b"data", **header: Any) -> bytes:
    return ipv4.Header(source=number(source), destination=number(destination), protocol=protocol, **header).emit(
        payload
    )


def udp_datagram(source: str, destination: str, **header: Any) -> bytes:
    ends = {"source": number(source), "destination": number(destination)}
    segment = udp.Header(source_port=5000, destination_port=53).emit(b"data", **ends)
    return datagram(source, destination, 17, segment, **header)


@pytest.fixture
def router() -> Router:
    return new_router()


def new_router(**switches: Any) -> Router:
    router = Router("linux-2.2", **switches)
    router.add_interface("eth0", "192.168.1.1/24")
    router.add_interface("eth1", f"{HERE}/24", mtu=600)
    return router


def raw(router: Router, proto: int = socket.IPPROTO_RAW) -> Any:
    sock = router.socket(socket.AF_INET, socket.SOCK_RAW, proto)
    sock.setblocking(False)
    return sock


def sent(router: Router, name: str = "eth1") -> list[bytes]:
    return router.interfaces[name].sent


def refusal(call: Any, *arguments: Any) -> str:
    with pytest.raises(OSError) as caught:
        call(*arguments)
    assert caught.value.errno is not None
    return errno.errorcode[caught.value.errno]


# -- making ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("proto", [0, 256, -1])
def test_protocols_there_are_not(router: Router, proto: int) -> None:
    assert refusal(router.socket, socket.AF_INET, socket.SOCK_RAW, proto) == "EPROTONOSUPPORT"


@pytest.mark.statement("linux.md D23")
def test_without_privilege_there_is_none_and_no_change_of_the_firewall(router: Router) -> None:
    sock = raw(router)
    router.node.privileged = False
    assert refusal(raw, router) == "EPERM"
    assert refusal(sock.setsockopt, IPPROTO_IP, SocketOption.FLUSH, b"input\0\0\0\0") == "EACCES"


# -- receiving -------------------------------------------------------------------------------------------------------


@pytest.mark.statement("linux.md O1")
def test_copies_of_what_is_delivered_header_included(router: Router) -> None:
    first, second, other = raw(router, 99), raw(router, 99), raw(router, 98)
    octets = datagram(NEAR, HERE, ttl=3)
    router.interfaces["eth1"].receive(octets)
    assert first.recvfrom(999) == second.recvfrom(999) == (octets, (NEAR, 0))
    assert refusal(other.recv, 1) == "EAGAIN"
    assert sent(router) == []  # no protocol unreachable
    assert router.ledger.delivered == 1
    assert router.ledger.balanced


@pytest.mark.statement("linux.md O1")
def test_the_protocol_itself_gets_its_own(router: Router) -> None:
    service, sniffer = router.socket(socket.AF_INET, socket.SOCK_DGRAM), raw(router, socket.IPPROTO_UDP)
    service.bind(("0.0.0.0", 53))
    octets = udp_datagram(NEAR, HERE)
    router.interfaces["eth1"].receive(octets)
    assert service.recv(99) == b"data"
    assert sniffer.recv(99) == octets


@pytest.mark.statement("linux.md O1", "linux.md O10")
def test_not_what_is_forwarded_sent_or_refused(router: Router) -> None:
    sock = raw(router, 99)
    router.ipchains("-A input -s 10.0.0.8 -j DENY")
    eth1 = router.interfaces["eth1"]
    eth1.receive(datagram(NEAR, FAR))
    eth1.receive(datagram("10.0.0.8", HERE))
    router.send(datagram(HERE, NEAR))
    assert refusal(sock.recv, 1) == "EAGAIN"


@pytest.mark.statement("linux.md O1", "linux.md H4")
def test_whole_datagrams_only(router: Router) -> None:
    sock = raw(router, 99)
    for start, more in ((8, 0), (0, ipv4.MORE_FRAGMENTS)):
        router.interfaces["eth1"].receive(
            datagram(NEAR, HERE, payload=bytes(8), identification=4, fragment=more | start // 8)
        )
    assert len(sock.recv(99)) == 36


@pytest.mark.statement("linux.md O1", "linux.md H4")
def test_not_what_was_demasqueraded(router: Router) -> None:
    sock = raw(router, socket.IPPROTO_UDP)
    router.ipchains("-A forward -j MASQ")
    router.interfaces["eth0"].receive(udp_datagram(FAR, NEAR))
    ends = {"source": number(NEAR), "destination": number(HERE)}
    answer = udp.Header(source_port=53, destination_port=61000).emit(b"", **ends)
    router.interfaces["eth1"].receive(datagram(NEAR, HERE, 17, answer))
    assert len(sent(router, "eth0")) == 1
    assert refusal(sock.recv, 1) == "EAGAIN"


@pytest.mark.parametrize(
    ("bound", "connected", "source", "heard"),
    [
        (HERE, None, NEAR, True),
        ("192.168.1.1", None, NEAR, False),
        (None, NEAR, NEAR, True),
        (None, "10.0.0.8", NEAR, False),
        (HERE, NEAR, NEAR, True),
    ],
)
@pytest.mark.statement("linux.md O1")
def test_who_hears(router: Router, bound: str | None, connected: str | None, source: str, heard: bool) -> None:
    sock = raw(router, 99)
    if bound:
        sock.bind((bound, 0))
    if connected:
        sock.connect((connected, 0))
    router.interfaces["eth1"].receive(datagram(source, HERE))
    assert sock.readable is heard
    # Nobody who wants it: protocol unreachable.
    assert len(sent(router)) == (not heard)


def test_a_closed_socket_hears_nothing(router: Router) -> None:
    sock = raw(router, 99)
    sock.close()
    sock.close()
    router.interfaces["eth1"].receive(datagram(NEAR, HERE))
    assert len(sent(router)) == 1
    assert refusal(sock.recv, 1) == "EBADF"


def test_a_full_buffer_loses_the_copy_silently(router: Router) -> None:
    sock = raw(router, 99)
    for _ in range(1000):
        router.interfaces["eth1"].receive(datagram(NEAR, HERE))
    assert 100 < len(sock._queue) < 1000
    assert sent(router) == []
    assert router.ledger.delivered == 1000
    assert router.ledger.balanced


@pytest.mark.parametrize(
    ("host", "refused"),
    [(HERE, None), ("0.0.0.0", None), ("224.0.0.5", None), ("10.0.0.255", None), (NEAR, "EADDRNOTAVAIL")],
)
@pytest.mark.statement("linux.md O9")
def test_binding(router: Router, host: str, refused: str | None) -> None:
    first, second = raw(router), raw(router)
    if refused:
        assert refusal(first.bind, (host, 7)) == refused
    else:
        first.bind((host, 7))
        second.bind((host, 7))
        assert first.getsockname() == (host, 255)


# -- sending with a header of one's own --------------------------------------------------------------------------------


@pytest.mark.statement("linux.md O3", "linux.md O4")
def test_what_is_filled_in(router: Router) -> None:
    bare = bytearray(datagram("0.0.0.0", NEAR, ttl=9, fragment=0x8000))
    bare[2:4] = b"\xff\xff"
    bare[10:12] = b"\xff\xff"
    sock = raw(router)
    assert [sock.sendto(bare, (NEAR, 0)), sock.sendto(bare, (NEAR, 0))] == [24, 24]
    assert sent(router) == [
        datagram(HERE, NEAR, ttl=9, fragment=0x8000, identification=identification) for identification in (0, 1)
    ]
    assert router.ledger.originated == 2
    assert router.ledger.balanced


@pytest.mark.statement("linux.md O3")
def test_any_source_and_identification_goes(router: Router) -> None:
    octets = datagram("1.2.3.4", NEAR, identification=77)
    raw(router).sendto(octets, (NEAR, 0))
    assert sent(router) == [octets]


@pytest.mark.statement("linux.md O5")
def test_the_address_routes_not_the_header(router: Router) -> None:
    octets = datagram("1.2.3.4", FAR, identification=77)
    raw(router).sendto(octets, (NEAR, 0))
    assert sent(router) == [octets]
    assert sent(router, "eth0") == []


@pytest.mark.statement("linux.md O8")
def test_to_this_host_it_comes_round_by_loopback(router: Router) -> None:
    sender, reader = raw(router), raw(router, 99)
    octets = datagram(HERE, HERE, identification=7)
    sender.sendto(octets, (HERE, 0))
    sender.sendto(octets, ("0.0.0.0", 0))
    assert [reader.recv(99), reader.recv(99)] == [octets, octets]


@pytest.mark.statement("linux.md O3")
def test_a_header_that_is_none_does_not_survive_loopback(router: Router) -> None:
    sock = raw(router)
    sock.sendto(b"\x65" + datagram(HERE, HERE)[1:], (HERE, 0))
    assert router.ledger.dropped[Reason.NOT_IPV4] == 1
    sock.sendto(b"short", (HERE, 0))
    assert router.ledger.dropped[Reason.TOO_SHORT] == 1
    assert router.ledger.balanced


def test_what_has_no_header_passes_the_output_chain_by(router: Router) -> None:
    router.ipchains("-P output DENY")
    sock = raw(router)
    assert sock.sendto(b"short", (NEAR, 0)) == 5
    assert sent(router) == [b"sh\x00\x05t"]
    assert refusal(sock.sendto, datagram(HERE, NEAR), (NEAR, 0)) == "EPERM"


@pytest.mark.parametrize("target", ["DENY", "REJECT", "DIVERT 7"])
@pytest.mark.statement("linux.md O7", "linux.md H9")
def test_refused_by_the_output_chain(router: Router, target: str) -> None:
    router.ipchains(f"-A output -j {target}")
    assert refusal(raw(router).sendto, datagram(HERE, NEAR), (NEAR, 0)) == "EPERM"
    assert router.ledger.balanced


@pytest.mark.statement("linux.md O6")
def test_never_cut(router: Router) -> None:
    sock = raw(router)
    assert sock.sendto(datagram(HERE, NEAR, payload=bytes(580)), (NEAR, 0)) == 600
    assert refusal(sock.sendto, datagram(HERE, NEAR, payload=bytes(581)), (NEAR, 0)) == "EMSGSIZE"
    assert refusal(sock.sendto, bytes(65536), (NEAR, 0)) == "EMSGSIZE"
    assert len(sent(router)) == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((bytes(15),), "EINVAL"),
        ((bytes.fromhex("0a00 0000 0a000009 0000000000000000"),), "EINVAL"),
        ((None,), "EINVAL"),
        ((socket.MSG_OOB, (NEAR, 0)), errno.errorcode[errno.EOPNOTSUPP]),
        ((socket.MSG_PEEK, (NEAR, 0)), "EINVAL"),
        ((socket.MSG_DONTROUTE, ("172.16.0.1", 0)), "ENETUNREACH"),
        ((("10.0.0.255", 0),), "EACCES"),
        ((("255.255.255.255", 0),), "ENETUNREACH"),
        ((("172.16.0.1", 0),), "ENETUNREACH"),
    ],
)
@pytest.mark.statement("linux.md O7")
def test_errors(router: Router, arguments: Any, error: str) -> None:
    assert refusal(raw(router).sendto, datagram(HERE, NEAR), *arguments) == error
    assert router.ledger.originated == 0


@pytest.mark.parametrize("family", ["0200", "0000"])
def test_an_address_in_octets(router: Router, family: str) -> None:
    octets = bytes.fromhex(f"{family} 0000 0a000009 0000000000000000")
    raw(router).sendto(datagram(HERE, NEAR), octets)
    assert len(sent(router)) == 1


@pytest.mark.statement("linux.md O7")
def test_broadcast_with_permission(router: Router) -> None:
    sock = raw(router)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.sendto(datagram(HERE, "10.0.0.255"), ("10.0.0.255", 0))
    assert len(sent(router)) == 1


def test_a_connected_socket_sends_without_being_told(router: Router) -> None:
    sock = raw(router)
    sock.connect((NEAR, 0))
    assert sock.getpeername() == (NEAR, 0)
    sock.send(datagram(HERE, NEAR))
    assert len(sent(router)) == 1


def sent_by(router: Router) -> list[tuple[str, int]]:
    """Which interface sent something since the last time, and under which source."""
    found = []
    for name in ("eth0", "eth1"):
        found += [(name, ipv4.View(octets).source) for octets in sent(router, name)]
        sent(router, name).clear()
    return found


def test_without_gateways(router: Router) -> None:
    """SO_DONTROUTE and MSG_DONTROUTE: only routes without a gateway count, however long the others' prefixes are."""
    router.add_route("0.0.0.0/0", via=NEAR)
    router.add_route("172.16.0.0/12", interface="eth0")
    router.add_route("172.16.1.0/24", via=NEAR)
    sock = raw(router, 99)
    for destination, usual, attached in (
        (NEAR, "eth1", "eth1"),
        ("172.16.1.1", "eth1", "eth0"),
        ("8.8.8.8", "eth1", None),
    ):
        sock.sendto(b"x", (destination, 0))
        assert [name for name, _ in sent_by(router)] == [usual]
        if attached is None:
            assert refusal(sock.sendto, b"x", socket.MSG_DONTROUTE, (destination, 0)) == "ENETUNREACH"
        else:
            sock.sendto(b"x", socket.MSG_DONTROUTE, (destination, 0))
            assert [name for name, _ in sent_by(router)] == [attached]
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, 1)
    assert refusal(sock.sendto, b"x", ("8.8.8.8", 0)) == "ENETUNREACH"
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, 0)
    assert sock.sendto(b"x", ("8.8.8.8", 0)) == 1


def bind_to(sock: Any, name: bytes) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)


@pytest.mark.statement("linux.md O1")
def test_a_bound_device_chooses_what_is_heard(router: Router) -> None:
    sock = raw(router, 99)
    bind_to(sock, b"eth0\0")
    router.interfaces["eth1"].receive(datagram(NEAR, HERE))
    assert not sock.readable
    router.interfaces["eth0"].receive(datagram("192.168.1.9", HERE))
    assert sock.readable
    bind_to(sock, b"\0")
    router.interfaces["eth1"].receive(datagram(NEAR, HERE))
    assert len(sock._queue) == 2
    assert refusal(bind_to, sock, b"eth7") == "ENODEV"


def test_a_bound_device_chooses_the_way_out(router: Router) -> None:
    """Routes by other devices do not count; without one the destination is taken to be on the link."""
    sock = raw(router, 99)
    bind_to(sock, b"eth0")
    eth0, eth1 = ("eth0", number("192.168.1.1")), ("eth1", number(HERE))
    for destination in (FAR, NEAR, "8.8.8.8", "224.0.0.9"):
        sock.sendto(b"x", (destination, 0))
        assert sent_by(router) == [eth0]
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.sendto(b"x", ("255.255.255.255", 0))
    assert sent_by(router) == [eth0]
    sock.sendto(b"x", ("192.168.1.1", 0))
    assert sent_by(router) == []
    assert router.ledger.delivered == 3  # the copy of the broadcast, this one, and the protocol unreachable about it
    bind_to(sock, b"eth1")
    sock.sendto(b"x", (NEAR, 0))
    assert sent_by(router) == [eth1]
    router.interfaces["eth1"].up = False
    assert refusal(sock.sendto, b"x", (NEAR, 0)) == "ENETUNREACH"
    assert router.ledger.balanced


# -- sending data ------------------------------------------------------------------------------------------------------


def test_the_kernel_makes_the_header(router: Router) -> None:
    sock = raw(router, 99)
    sock.setsockopt(IPPROTO_IP, socket.IP_TTL, 7)
    sock.setsockopt(IPPROTO_IP, socket.IP_TOS, 0x10)
    sock.sendto(b"data", (NEAR, 0))
    assert sent(router) == [datagram(HERE, NEAR, ttl=7, tos=0x10)]


def test_tcp_too_goes_out_as_it_was_written(router: Router) -> None:
    raw(router, socket.IPPROTO_TCP).sendto(b"data", (NEAR, 0))
    assert sent(router) == [datagram(HERE, NEAR, 6)]


def test_data_is_cut_where_it_is_too_large(router: Router) -> None:
    raw(router, 99).sendto(bytes(1000), (NEAR, 0))
    assert [ipv4.View(octets).fragment for octets in sent(router)] == [0x2000 * (at == 0) | at for at in (72, 0)]
    assert router.ledger.balanced


@pytest.mark.statement("linux.md O2")
def test_the_option_is_on_for_one_protocol_and_may_be_set_for_others(router: Router) -> None:
    own, other = raw(router), raw(router, 99)
    assert own.getsockopt(IPPROTO_IP, socket.IP_HDRINCL) == 1
    assert other.getsockopt(IPPROTO_IP, socket.IP_HDRINCL) == 0
    other.setsockopt(IPPROTO_IP, socket.IP_HDRINCL, 1)
    octets = datagram("1.2.3.4", NEAR, 17, identification=7)
    other.sendto(octets, (NEAR, 0))
    assert sent(router) == [octets]


@pytest.mark.parametrize(("option", "value"), [(socket.IP_TTL, 0), (socket.IP_TTL, 256), (socket.IP_TOS, 1)])
def test_bad_options(router: Router, option: int, value: int) -> None:
    assert refusal(raw(router).setsockopt, IPPROTO_IP, option, value) == "EINVAL"


@given(st.binary(max_size=80), st.sampled_from([NEAR, HERE, FAR, "0.0.0.0", "224.0.0.9"]))
def test_octets_of_any_kind_have_one_fate(octets: bytes, destination: str) -> None:
    router = new_router()
    if destination == "224.0.0.9":
        assert refusal(raw(router).sendto, octets, (destination, 0)) == "ENETUNREACH"
    else:
        assert raw(router).sendto(octets, (destination, 0)) == len(octets)
    assert router.ledger.balanced


# -- the firewall ------------------------------------------------------------------------------------------------------

RULE = Rule(protocol=1, target="DIVERT", port=1234)


def rules(router: Router, chain: str = "input") -> list[Rule]:
    return [entry.rule for entry in router.tables.chains[chain].entries]


@pytest.mark.statement("linux.md D4")
def test_rules_come_and_go(router: Router) -> None:
    sock = raw(router)
    deny = Rule(target="DENY")

    def change(option: SocketOption, octets: bytes) -> list[str]:
        sock.setsockopt(IPPROTO_IP, option, octets)
        return [rule.target for rule in rules(router)]

    assert change(SocketOption.APPEND, pack_change("input", RULE)) == ["DIVERT"]
    assert change(SocketOption.INSERT, pack_new("input", 1, deny)) == ["DENY", "DIVERT"]
    assert change(SocketOption.REPLACE, pack_new("input", 2, deny)) == ["DENY", "DENY"]
    assert change(SocketOption.DELETE_NUMBER, pack_delete_number("input", 2)) == ["DENY"]
    assert change(SocketOption.DELETE, pack_change("input", deny)) == []
    change(SocketOption.SET_POLICY, pack_policy("input", "DENY"))
    router.interfaces["eth1"].receive(datagram(NEAR, HERE))
    assert router.ledger.dropped[Reason.DENIED] == 1


@pytest.mark.statement("linux.md D4")
def test_the_rule_works_and_is_listed(router: Router) -> None:
    raw(router).setsockopt(IPPROTO_IP, SocketOption.APPEND, pack_change("input", RULE))
    divert = router.socket(socket.AF_INET, socket.SOCK_RAW, 254)
    divert.bind(("0.0.0.0", 1234))
    octets = datagram(NEAR, HERE, 1, bytes(8))
    router.interfaces["eth1"].receive(octets)
    assert divert.recv(99) == octets
    assert "DIVERT     icmp" in router.ipchains("-L input -n")


@pytest.mark.parametrize(
    ("option", "octets", "error"),
    [
        (SocketOption.APPEND, pack_change("nowhere", RULE), "ENOENT"),
        (SocketOption.APPEND, pack_change("input", Rule(target="nobody")), "ENOENT"),
        (SocketOption.APPEND, pack_change("input", RULE)[:-1], "EINVAL"),
        (SocketOption.DELETE, pack_change("input", RULE), "EINVAL"),
        (SocketOption.INSERT, pack_new("input", 2, RULE), "EINVAL"),
        (SocketOption.DELETE_NUMBER, pack_delete_number("input", 1), "ENOENT"),
        (SocketOption.CREATE_CHAIN, b"input\0\0\0\0", "EEXIST"),
        (SocketOption.DELETE_CHAIN, b"input\0\0\0\0", "EBUSY"),
        (SocketOption.SET_POLICY, pack_policy("input", "DIVERT"), "EINVAL"),
        (SocketOption.FLUSH, 1, "EINVAL"),
        (76, bytes(4), "ENOPROTOOPT"),
    ],
)
def test_refused_changes(router: Router, option: int, octets: bytes | int, error: str) -> None:
    assert refusal(raw(router).setsockopt, IPPROTO_IP, option, octets) == error
    assert rules(router) == []


def test_the_options_are_those_of_ip_and_of_open_sockets(router: Router) -> None:
    sock = raw(router)
    octets = pack_change("input", RULE)
    assert refusal(sock.setsockopt, socket.IPPROTO_TCP, SocketOption.APPEND, octets) == "ENOPROTOOPT"
    assert refusal(sock.getsockopt, IPPROTO_IP, SocketOption.APPEND) == "ENOPROTOOPT"
    sock.close()
    assert refusal(sock.setsockopt, IPPROTO_IP, SocketOption.APPEND, octets) == "EBADF"


def test_masquerading_timeouts(router: Router) -> None:
    router.ipchains("-A forward -j MASQ")
    octets = b"".join(ticks.to_bytes(4, "little") for ticks in (0, 0, 4200))
    raw(router).setsockopt(IPPROTO_IP, SocketOption.MASQUERADING_TIMEOUTS, octets)
    router.interfaces["eth0"].receive(udp_datagram(FAR, NEAR))
    assert "00:42.00" in router.ipchains("-M -L -n")
