"""Programs that change packets: what they change, and checksums that scapy and the kernel's rules find right."""

from __future__ import annotations

import io
from typing import Any

import pytest
from bsd_worlds import LEFT, RIGHT, BsdWorld
from datagrams import ip, pieces, ping, tcp, udp
from hypothesis import given, settings
from hypothesis import strategies as st
from standin import played
from worlds import World

from simulator.programs.mangle import Edits, edited
from simulator.programs.mss_clamp import clamped
from simulator.programs.registry import ProgramError, Surroundings, find
from simulator.wire import ipv4
from simulator.wire import tcp as tcp_wire
from simulator.wire.named import differences

scapy = pytest.importorskip("scapy.layers.inet")
utils = pytest.importorskip("scapy.utils")


def build(name: str, *words: str, **around: Any) -> Any:
    return find(name).build(list(words), Surroundings(**{"output": io.StringIO(), "errors": io.StringIO()} | around))


def summed_anew(octets: bytes) -> bytes:
    """With every checksum as scapy's own functions make it."""
    packet = bytearray(octets)
    header = (packet[0] & 15) * 4
    packet[10:12] = b"\0\0"
    packet[10:12] = utils.checksum(bytes(packet[:header])).to_bytes(2, "big")
    place = {1: 2, 6: 16, 17: 6}[packet[9]] + header
    packet[place : place + 2] = b"\0\0"
    segment = bytes(packet[header:])
    found = utils.checksum(segment) if packet[9] == 1 else scapy.in4_chksum(packet[9], scapy.IP(octets), segment)
    if packet[9] == 17 and not found:
        found = 0xFFFF
    packet[place : place + 2] = found.to_bytes(2, "big")
    return bytes(packet)


def changed(before: bytes, after: bytes) -> dict[str, str | None]:
    """The fields that differ, checksums aside."""
    found = {each.name: each.other for each in differences(before, after)}
    return {name: value for name, value in found.items() if "chksum" not in name}


TCP_PACKET = tcp(LEFT, RIGHT, data=b"GET /secret HTTP/1.0\r\n")
UDP_PACKET = udp(LEFT, RIGHT, data=b"a secret")
PING = ping(LEFT, RIGHT, data=b"secret..")


@pytest.mark.parametrize(
    ("words", "packet", "fields"),
    [
        (["--ttl", "7"], PING, {"ip.ttl": "7"}),
        (["--tos", "0x10"], UDP_PACKET, {"ip.tos": "0x10"}),
        (["--source", "172.16.0.1"], TCP_PACKET, {"ip.src": "172.16.0.1"}),
        (["--destination", "172.16.0.1"], UDP_PACKET, {"ip.dst": "172.16.0.1"}),
        (["--destination", "172.16.0.1"], PING, {"ip.dst": "172.16.0.1"}),
        (["--source-port", "1"], UDP_PACKET, {"udp.sport": "1"}),
        (["--destination-port", "8080", "--ttl", "3"], TCP_PACKET, {"tcp.dport": "8080", "ip.ttl": "3"}),
        (["--destination-port", "8080"], PING, {}),
        (["--ttl", "7", "--protocol", "tcp"], PING, {}),
        (["--ttl", "64"], PING, {}),
    ],
)
def test_one_field_and_its_checksums(words: list[str], packet: bytes, fields: dict[str, str]) -> None:
    [sent] = played(build("mangle", *words), packet)
    assert changed(packet, sent) == fields
    assert sent == summed_anew(sent)


@pytest.mark.parametrize("packet", [TCP_PACKET, UDP_PACKET, PING])
def test_text_of_the_data(packet: bytes) -> None:
    [sent] = played(build("mangle", "--replace", "secret=public", "--replace", r"\x2e\x2e=\n\="), packet)
    assert b"secret" not in sent
    assert b"public" in sent
    assert sent == summed_anew(sent)
    if packet is PING:
        assert sent.endswith(b"public\n=")


def test_headers_are_not_text() -> None:
    """The source port spells a word; only the data is looked at."""
    packet = udp(LEFT, RIGHT, ports=(0x6162, 0x6364), data=b"abcd")
    [sent] = played(build("mangle", "--replace", "abcd=ABCD"), packet)
    assert (sent[20:24], sent[28:]) == (b"abcd", b"ABCD")


def test_without_checksums_every_checksum_stays() -> None:
    [sent] = played(build("mangle", "--ttl", "7", "--replace", "secret=public", "--no-checksums"), UDP_PACKET)
    assert (sent[10:12], sent[26:28]) == (UDP_PACKET[10:12], UDP_PACKET[26:28])
    assert sent != summed_anew(sent)


def test_a_udp_checksum_that_is_left_out_stays_out() -> None:
    bare = bytearray(UDP_PACKET)
    bare[26:28] = b"\0\0"
    [sent] = played(build("mangle", "--destination", "1.2.3.4", "--replace", "secret=public"), bytes(bare))
    assert sent[26:28] == b"\0\0"


def test_a_wrong_checksum_stays_wrong() -> None:
    wrong = bytearray(UDP_PACKET)
    wrong[26] ^= 0x55
    [sent] = played(build("mangle", "--destination", "1.2.3.4"), bytes(wrong))
    assert sent != summed_anew(sent)


def test_later_fragments_keep_their_data() -> None:
    first, *others = pieces(udp(LEFT, RIGHT, data=b"secret" * 300), 576)
    edits = Edits(destination=0x01020304, destination_port=9, replace=((b"secret", b"public"),))
    assert b"public" in edited(first, edits)
    for other in others:
        assert edited(other, edits)[20:] == other[20:]
        assert edited(other, edits)[16:20] == b"\1\2\3\4"


@given(octets=st.binary(max_size=80))
def test_any_octets_at_all(octets: bytes) -> None:
    """What is no datagram is not changed, and nothing raises."""
    edits = Edits(ttl=1, source=1, source_port=1, replace=((b"a", b"b"),))
    assert len(edited(octets, edits)) == len(octets)
    assert len(clamped(octets, 100)[0]) == len(octets)


packets = st.builds(
    lambda make, data, sizes: make(LEFT, RIGHT, data=data, **sizes),
    st.sampled_from([tcp, udp, ping]),
    st.binary(max_size=50),
    st.fixed_dictionaries({"ttl": st.integers(0, 255), "identification": st.integers(0, 0xFFFF)}),
)


@settings(max_examples=200, deadline=None)
@given(
    packet=packets,
    edits=st.builds(
        Edits,
        ttl=st.none() | st.integers(0, 255),
        tos=st.none() | st.integers(0, 255),
        source=st.none() | st.integers(0, 0xFFFFFFFF),
        destination=st.none() | st.integers(0, 0xFFFFFFFF),
        source_port=st.none() | st.integers(0, 0xFFFF),
        destination_port=st.none() | st.integers(0, 0xFFFF),
        checksums=st.just(True),
        replace=st.just(((b"\0", b"\xff"),)) | st.just(((b"\xff\xff", b"\0\0"),)) | st.just(()),
    ),
)
def test_checksums_are_what_a_fresh_sum_gives(packet: bytes, edits: Edits) -> None:
    found = edited(packet, edits)
    assert found == summed_anew(found)


WRONG = {
    ("--ttl", "256"): "argument --ttl: a TTL is from 0 to 255, not 256",
    ("--ttl", "x"): "argument --ttl: a TTL is a number from 0 to 255, not 'x'",
    ("--tos", "-1"): "argument --tos: an octet is from 0 to 255, not -1",
    ("--source", "host"): "argument --source: an address is written like 10.0.0.1, not 'host'",
    ("--source-port", "70000"): "argument --source-port: a port is from 0 to 65535, not 70000",
    ("--replace", "a"): "argument --replace: a replacement is written OLD=NEW, not 'a'",
    ("--replace", "=a"): "argument --replace: a replacement is written OLD=NEW, not '=a'",
    ("--replace", "a=bc"): "argument --replace: OLD and NEW have as many octets, not 1 and 2: 'a=bc'",
    ("--replace", r"a=\q"): r"argument --replace: after \ stands one of n, r, t, =, \ or xHH: '\\q'",
    ("--protocol", "gre"): "argument --protocol: invalid choice: 'gre'",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_values(words: tuple[str, ...]) -> None:
    with pytest.raises(ProgramError) as error:
        build("mangle", *words)
    assert str(error.value).startswith(f"mangle: {WRONG[words]}")


def test_in_a_linux_router() -> None:
    world = World("linux-2.2", "-A forward -p udp -j DIVERT 1234")
    sock = world.divert()
    world.eth0.receive(udp(LEFT, RIGHT, data=b"secret"))
    build("mangle", "--ttl", "42", "--replace", "secret=public")(sock)
    [sent] = world.eth1.sent
    assert (sent[8], sent[28:]) == (42, b"public")
    assert sent == summed_anew(sent)


@pytest.mark.parametrize("profile", ["freebsd-4", "freebsd-13", "dragonfly"])
def test_in_a_bsd_router(profile: str) -> None:
    """Written back inward, the packet is routed by its new address, and its TTL lowered from its new one."""
    world = BsdWorld(profile, "100 divert 8668 udp from any to any in")
    sock = world.divert()
    world.em0.receive(udp(LEFT, "8.8.8.8", data=b"secret"))
    build("mangle", "--ttl", "42", "--destination", RIGHT)(sock)
    [sent] = world.em1.sent
    assert (sent[8], sent[16:20]) == (41, bytes((10, 0, 0, 2)))
    assert sent == summed_anew(sent)


def test_a_bsd_router_drops_what_is_not_mended() -> None:
    world = BsdWorld("freebsd-13", "100 divert 8668 udp from any to any in")
    sock = world.divert()
    world.em0.receive(udp(LEFT, RIGHT))
    build("mangle", "--ttl", "42", "--no-checksums")(sock)
    assert world.sent == []
    assert "BAD_CHECKSUM" in {reason.name for reason in world.dropped}


# -- mss-clamp ---------------------------------------------------------------------------------------------------------


def syn(options: bytes, flags: int = tcp_wire.SYN, **header: Any) -> bytes:
    source, destination = 0xC0A80102, 0x0A000002
    padded = options + bytes(-len(options) & 3)
    segment = tcp_wire.Header(source_port=4000, destination_port=80, flags=flags, options=padded)
    return ipv4.Header(source=source, destination=destination, protocol=6, **header).emit(
        segment.emit(source=source, destination=destination)
    )


MSS_1460 = b"\2\4\x05\xb4"


@pytest.mark.parametrize(
    ("options", "flags", "lowered"),
    [
        (MSS_1460, 2, True),
        (MSS_1460, 18, True),
        (b"\1" + MSS_1460, 2, True),
        (b"\1\1\1" + MSS_1460, 2, True),
        (b"\3\3\7" + MSS_1460 + b"\4\2", 2, True),
        (MSS_1460, 16, False),
        (b"", 2, False),
        (b"\2\4\x02\x00", 2, False),
        (b"\2\3\x05\xb4", 2, False),
        (b"\0\0\0\0" + MSS_1460, 2, False),
        (b"\5\0\2\4\x05\xb4", 2, False),
        (b"\1\1\2\4", 2, False),
    ],
)
def test_the_option_of_syn_segments(options: bytes, flags: int, lowered: bool) -> None:
    packet = syn(options, flags)
    [sent] = played(build("mss-clamp", "--mss", "1200"), packet)
    assert (sent != packet) == lowered
    assert sent == summed_anew(sent)
    if lowered:
        assert dict(scapy.IP(sent)[scapy.TCP].options)["MSS"] == 1200


def test_the_limit_may_be_an_mtu_and_each_change_is_told() -> None:
    output = io.StringIO()
    [sent] = played(build("mss-clamp", "--mtu", "1400", output=output), syn(MSS_1460))
    assert dict(scapy.IP(sent)[scapy.TCP].options)["MSS"] == 1360
    assert output.getvalue() == "mss-clamp: 192.168.1.2 > 10.0.0.2: 1460 octets become 1360\n"
    output = io.StringIO()
    played(build("mss-clamp", "--mtu", "1400", "--quiet", output=output), syn(MSS_1460))
    assert output.getvalue() == ""


@pytest.mark.parametrize("words", [[], ["--mss", "1", "--mtu", "100"]])
def test_a_limit_has_to_be_said_once(words: list[str]) -> None:
    with pytest.raises(ProgramError, match="mss-clamp: one of --mss and --mtu is needed"):
        build("mss-clamp", *words)


def test_fragments_and_other_protocols_pass() -> None:
    program = build("mss-clamp", "--mss", "100")
    for packet in (PING, UDP_PACKET, ip(LEFT, RIGHT, 6, bytes(40), fragment=3), syn(MSS_1460)[:30]):
        assert played(program, packet) == [packet]
