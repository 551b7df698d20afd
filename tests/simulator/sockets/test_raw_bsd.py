"""Raw sockets of the BSDs (ip(4); raw_ip.c): what they hear, and what the kernel does with what they send."""

from __future__ import annotations

import errno
import socket
from typing import Any

import pytest
from datagrams import address, ip, pieces, ping, udp
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import PROFILES, Reason, Router
from simulator.packet import Packet
from simulator.profiles import BsdProfile
from simulator.wire import icmp, ipv4

BSD = [name for name, profile in PROFILES.items() if isinstance(profile, BsdProfile)]
EVERY = pytest.mark.parametrize("profile", BSD)
IPPROTO_IP = socket.IPPROTO_IP
HERE, NEAR, FAR = "10.0.0.1", "10.0.0.9", "192.168.1.7"
OLD = ["freebsd-4", "freebsd-10", "dragonfly"]
"""Host order on raw sockets."""
EXACT = ["freebsd-13", "freebsd-14"]
POSSIBLE = {0, errno.EINVAL, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EMSGSIZE}
"""What a send may fail with while the firewall lets everything pass."""
ANYTHING = st.one_of(st.binary(max_size=80), st.binary(max_size=60).map(lambda data: ip(HERE, NEAR, payload=data)))


def new_router(profile: str, **switches: Any) -> Router:
    router = Router(profile, default_accept=True, **switches)
    router.add_interface("em0", "192.168.1.1/24")
    router.add_interface("em1", f"{HERE}/24", mtu=600)
    return router


def raw(router: Router, proto: int = 99, *, header: bool = False) -> Any:
    sock = router.socket(socket.AF_INET, socket.SOCK_RAW, proto)
    sock.setblocking(False)
    if header:
        sock.setsockopt(IPPROTO_IP, socket.IP_HDRINCL, 1)
    return sock


def host_order(octets: bytes, *, taken_off: int = 0) -> bytes:
    """The datagram with length and offset as a little-endian machine keeps them."""
    length = int.from_bytes(octets[2:4], "big") - taken_off
    return octets[:2] + length.to_bytes(2, "little") + octets[4:6] + octets[7:5:-1] + octets[8:]


def written(profile: str, octets: bytes) -> bytes:
    """A datagram as a program has to write it there."""
    return host_order(octets) if profile in OLD else octets


def refusal(call: Any, *arguments: Any) -> str:
    with pytest.raises(OSError) as caught:
        call(*arguments)
    assert caught.value.errno is not None
    return errno.errorcode[caught.value.errno]


# -- making ------------------------------------------------------------------------------------------------------------


@EVERY
def test_protocols_there_are_and_are_not(profile: str) -> None:
    router = Router(profile)
    for proto in (0, 1, 255):
        assert raw(router, proto).proto == proto
    for proto in (-1, 256, 70000):
        assert refusal(raw, router, proto) == "EPROTONOSUPPORT"
    assert raw(router, 255).getsockopt(IPPROTO_IP, socket.IP_HDRINCL) == 0
    router.node.privileged = False
    assert refusal(raw, router) == "EPERM"


@EVERY
def test_buffers(profile: str) -> None:
    size = 8192 if profile in ("freebsd-4", "dragonfly") else 9216
    sock = raw(new_router(profile))
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == size
    assert refusal(sock.sendto, bytes(size + 1), (NEAR, 0)) == "EMSGSIZE"
    assert sock.sendto(bytes(size), (NEAR, 0)) == size


# -- receiving ---------------------------------------------------------------------------------------------------------


@EVERY
def test_what_no_protocol_here_takes_and_how_its_header_looks(profile: str) -> None:
    router = new_router(profile)
    first, second, any_protocol, other = raw(router), raw(router), raw(router, 0), raw(router, 98)
    octets = ip(NEAR, HERE, ttl=3, fragment=0x4000)
    router.interfaces["em1"].receive(octets)
    shown = {
        "freebsd-4": host_order(octets, taken_off=20),
        "dragonfly": host_order(octets, taken_off=20),
        "freebsd-10": host_order(octets),
    }.get(profile, octets)
    assert first.recvfrom(999) == second.recvfrom(999) == any_protocol.recvfrom(999) == (shown, (NEAR, 0))
    assert not other.readable
    assert router.interfaces["em1"].sent == []
    assert router.ledger.delivered == 1


@EVERY
def test_never_tcp_or_udp(profile: str) -> None:
    router = new_router(profile)
    sniffers = [raw(router, proto) for proto in (0, socket.IPPROTO_UDP, socket.IPPROTO_TCP)]
    router.interfaces["em1"].receive(udp(NEAR, HERE))
    assert not any(sock.readable for sock in sniffers)


@EVERY
@pytest.mark.parametrize(
    ("message", "heard"),
    [
        (icmp.Message(type=0, code=0, rest=7).emit(), True),
        (icmp.Message(type=3, code=1, data=ping(HERE, NEAR)[:28]).emit(), True),
        (icmp.Message(type=8, code=0, rest=7).emit(), False),
        (icmp.Message(type=0, code=0, rest=7).emit()[:-1] + b"\1", False),
        (b"\0\0\0\0", False),
    ],
    ids=["reply", "unreachable", "request", "checksum", "short"],
)
def test_of_icmp_what_is_not_answered(profile: str, message: bytes, heard: bool) -> None:
    router = new_router(profile)
    sock = raw(router, socket.IPPROTO_ICMP)
    router.interfaces["em1"].receive(ip(NEAR, HERE, 1, message))
    assert sock.readable is heard


@EVERY
def test_an_echo_request_to_everybody_is_heard(profile: str) -> None:
    router = new_router(profile)
    sock = raw(router, socket.IPPROTO_ICMP)
    router.interfaces["em1"].receive(ping(NEAR, "10.0.0.255"))
    assert sock.readable
    assert router.interfaces["em1"].sent == []


@EVERY
def test_nobody(profile: str) -> None:
    """Since some release an ICMP error tells the sender."""
    router = new_router(profile)
    router.interfaces["em1"].receive(ip(NEAR, HERE))
    sent = router.interfaces["em1"].sent
    assert len(sent) == (profile in EXACT)
    if sent:
        assert sent[0][20:22] == bytes((3, 2))
    assert router.path.statistics()["noproto"] == 1  # type: ignore[union-attr]
    assert router.path.statistics().get("delivered", 0) == 0  # type: ignore[union-attr]


@EVERY
def test_whole_datagrams_only(profile: str) -> None:
    router = new_router(profile)
    sock = raw(router)
    for piece in pieces(ip(NEAR, HERE, payload=bytes(64)), 60):
        router.interfaces["em1"].receive(piece)
    assert len(sock.recv(999)) == 84
    assert not sock.readable


@EVERY
def test_bound_and_connected(profile: str) -> None:
    router = new_router(profile)
    bound, elsewhere, connected = raw(router), raw(router), raw(router)
    bound.bind((HERE, 7))
    elsewhere.bind(("192.168.1.1", 0))
    connected.connect((FAR, 0))
    connected.bind((HERE, 0))
    router.interfaces["em1"].receive(ip(NEAR, HERE))
    assert (bound.readable, elsewhere.readable, connected.readable) == (True, False, False)
    assert bound.getsockname() == (HERE, 0)
    assert connected.getpeername() == (FAR, 0)
    bound.bind(("10.0.0.255", 0))
    for stranger in (NEAR, "224.0.0.1"):
        assert refusal(bound.bind, (stranger, 0)) == "EADDRNOTAVAIL"


# -- sending -----------------------------------------------------------------------------------------------------------


@EVERY
def test_data_gets_a_header(profile: str) -> None:
    router = new_router(profile)
    sock = raw(router)
    sock.setsockopt(IPPROTO_IP, socket.IP_TTL, 9)
    sock.setsockopt(IPPROTO_IP, socket.IP_TOS, 0x11)
    assert sock.sendto(b"data", (NEAR, 0)) == 4
    assert router.interfaces["em1"].sent == [ip(HERE, NEAR, payload=b"data", ttl=9, tos=0x11)]
    assert router.ledger.originated == 1
    assert router.ledger.balanced
    assert "rawout" not in router.path.statistics()  # type: ignore[union-attr]


@EVERY
def test_a_header_of_ones_own(profile: str) -> None:
    """The destination in the header counts, not the address of the call; the checksum is redone."""
    router = new_router(profile)
    sock = raw(router, header=True)
    spoofed = ip("1.2.3.4", NEAR, 17, ttl=5, identification=77)
    assert sock.sendto(written(profile, spoofed[:10] + b"\0\0" + spoofed[12:]), (FAR, 0)) == len(spoofed)
    assert router.interfaces["em1"].sent == [spoofed]
    assert router.interfaces["em0"].sent == []
    assert router.path.statistics()["rawout"] == 1  # type: ignore[union-attr]


@EVERY
def test_what_is_filled_in(profile: str) -> None:
    router = new_router(profile)
    sock = raw(router, header=True)
    bare = ip("0.0.0.0", NEAR, identification=0)
    sock.sendto(written(profile, bare), (NEAR, 0))
    [sent] = router.interfaces["em1"].sent
    assert Packet(sent).source == address(HERE)
    assert Packet(sent).identification


@EVERY
def test_the_order_of_octets_matters(profile: str) -> None:
    """The other order says some 17,000 octets for 28."""
    router = new_router(profile)
    sock = raw(router, header=True)
    octets = ip(HERE, NEAR)
    wrong = octets if profile in OLD else host_order(octets)
    assert refusal(sock.sendto, wrong, (NEAR, 0)) == "EINVAL"
    assert router.ledger.originated == 0


@EVERY
@pytest.mark.parametrize(("said", "fits"), [(28, True), (29, False), (27, None), (19, False)])
def test_lengths(profile: str, said: int, fits: bool | None) -> None:
    router = new_router(profile)
    sock = raw(router, header=True)
    octets = ip(HERE, NEAR)
    octets = written(profile, octets[:2] + said.to_bytes(2, "big") + octets[4:])
    if fits or (fits is None and profile not in EXACT):
        assert sock.sendto(octets, (NEAR, 0)) == 28
    else:
        assert refusal(sock.sendto, octets, (NEAR, 0)) == "EINVAL"
    assert refusal(sock.sendto, octets[:19], (NEAR, 0)) == "EINVAL"


@pytest.mark.parametrize("profile", EXACT)
@pytest.mark.parametrize(
    ("options", "good"),
    [
        (b"\1\1\1\0", True),
        (b"\7\4\4\0", True),
        (b"\0\xff\xff\xff", True),
        (b"\7\5\4\0", False),
        (b"\7\1\1\1", False),
        (b"\1\1\1\7", False),
    ],
)
def test_options_have_to_be_well_formed(profile: str, options: bytes, good: bool) -> None:
    router = new_router(profile)
    sock = raw(router, header=True)
    octets = ipv4.Header(source=address(HERE), destination=address(NEAR), protocol=99, options=options).emit(b"")
    if good:
        assert sock.sendto(octets, (NEAR, 0)) == 24
    else:
        assert refusal(sock.sendto, octets, (NEAR, 0)) == "EINVAL"


@EVERY
def test_unlike_linux_it_is_cut_where_it_is_too_large(profile: str) -> None:
    router = new_router(profile)
    sock = raw(router, header=True)
    octets = ip(HERE, NEAR, payload=bytes(1000))
    assert sock.sendto(written(profile, octets), (NEAR, 0)) == 1020
    assert len(router.interfaces["em1"].sent) == 2
    whole = ip(HERE, NEAR, payload=bytes(1000), fragment=0x4000)
    assert refusal(sock.sendto, written(profile, whole), (NEAR, 0)) == "EMSGSIZE"


@EVERY
def test_broadcasts_need_no_permission(profile: str) -> None:
    router = new_router(profile)
    assert raw(router).sendto(b"x", ("10.0.0.255", 0)) == 1
    assert len(router.interfaces["em1"].sent) == 1


@EVERY
def test_errors(profile: str) -> None:
    router = new_router(profile)
    sock = raw(router)
    assert refusal(sock.send, b"x") == "ENOTCONN"
    assert refusal(sock.sendto, b"x", ("172.16.0.1", 0)) == "EHOSTUNREACH"
    assert refusal(sock.sendto, b"x", bytes(15)) == "EINVAL"
    assert refusal(sock.setsockopt, IPPROTO_IP, socket.IP_TTL, 0) == "EINVAL"
    router.ipfw("add 1 deny ip from any to any out")
    assert refusal(sock.sendto, b"x", (NEAR, 0)) == "EACCES"
    router.ipfw("delete 1")
    other_family = bytes((16, 10, 0, 0)) + socket.inet_aton(NEAR) + bytes(8)
    if profile == "freebsd-14":
        assert refusal(sock.sendto, b"x", other_family) == "EAFNOSUPPORT"
    else:
        assert sock.sendto(b"x", other_family) == 1
    sock.connect((NEAR, 0))
    assert sock.send(b"x") == 1
    assert refusal(sock.sendto, b"x", (NEAR, 0)) == "EISCONN"
    assert router.ledger.balanced


@EVERY
def test_only_attached_networks(profile: str) -> None:
    router = new_router(profile)
    router.add_route("0.0.0.0/0", via=NEAR)
    for sock in (raw(router), raw(router, header=True)):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, 1)
        data = written(profile, ip(HERE, "172.16.0.1")) if sock.option(IPPROTO_IP, socket.IP_HDRINCL) else b"x"
        assert refusal(sock.sendto, data, ("172.16.0.1", 0)) == "ENETUNREACH"
        near = written(profile, ip(HERE, NEAR)) if sock.option(IPPROTO_IP, socket.IP_HDRINCL) else b"x"
        sock.sendto(near, (NEAR, 0))
    assert [Packet(octets).ttl for octets in router.interfaces["em1"].sent] == [1, 1]


@EVERY
@pytest.mark.parametrize("header", [True, False])
def test_a_rule_may_ask_whose_it_is(profile: str, header: bool) -> None:
    router = new_router(profile)
    router.ipfw("add 100 deny udp from any to any uid root out")
    sock = raw(router, socket.IPPROTO_UDP, header=header)
    octets = udp(HERE, NEAR)
    assert refusal(sock.sendto, written(profile, octets) if header else octets[20:], (NEAR, 0)) == "EACCES"


@EVERY
def test_diverted_like_anything_else_that_leaves(profile: str) -> None:
    router = new_router(profile)
    router.ipfw("add 100 divert 1234 ip from any to any out")
    divert = router.socket(socket.AF_INET, socket.SOCK_RAW, 254)
    divert.bind(("0.0.0.0", 1234))
    raw(router).sendto(b"x", (NEAR, 0))
    octets, sender = divert.recvfrom(65535)
    divert.sendto(octets, sender)
    assert len(router.interfaces["em1"].sent) == 1


@EVERY
@settings(max_examples=60, deadline=None)
@given(ANYTHING, st.data())
def test_octets_of_any_kind_have_one_fate(profile: str, octets: bytes, data: Any) -> None:
    router = new_router(profile)
    destination = data.draw(st.sampled_from([NEAR, HERE, FAR, "0.0.0.0", "224.0.0.9"]))
    sock = raw(router, header=data.draw(st.booleans()))
    if octets and data.draw(st.booleans()):
        at = data.draw(st.integers(0, min(len(octets), 20) - 1))
        octets = octets[:at] + bytes((data.draw(st.integers(0, 255)),)) + octets[at + 1 :]
    octets = written(profile, octets) if len(octets) > 20 else octets
    number = 0
    try:
        assert sock.sendto(octets, (destination, 0)) == len(octets)
    except OSError as error:
        number = error.errno or -1
    if router.ledger.dropped[Reason.DENIED]:  # bsd.md F-13: a transport header that is cut short passes no rule
        assert len(octets) - Packet(octets).header_length < {1: 4, 6: 20, 17: 8, 132: 12}[Packet(octets).protocol]
        assert number == errno.EACCES
    else:
        assert number in POSSIBLE
    assert router.ledger.balanced
