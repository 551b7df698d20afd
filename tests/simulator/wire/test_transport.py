"""ICMP, UDP and TCP as values and as views."""

from __future__ import annotations

import pytest

from simulator.wire import icmp, tcp, udp

HERE, THERE = 0x0A000001, 0x0A000002


def test_an_echo_request_octet_for_octet() -> None:
    octets = icmp.echo_request(0x0001, 0x0002, b"abcd")
    assert octets.hex() == "0800" + "3336" + "00010002" + b"abcd".hex()
    view = icmp.View(octets)
    assert (view.type, view.code, view.identifier, view.sequence, view.data) == (8, 0, 1, 2, b"abcd")
    assert icmp.echo_reply(1, 2, b"abcd") == icmp.reply_to(octets)


def test_only_a_request_is_replied_to() -> None:
    with pytest.raises(ValueError, match="ICMP type 0"):
        icmp.reply_to(icmp.echo_reply(1, 2))


def test_errors_say_what_they_are_about() -> None:
    quoted = bytes(range(28))
    assert icmp.View(icmp.needs_fragmenting(576, quoted)).mtu == 576
    assert icmp.View(icmp.redirect(icmp.REDIRECT_HOST, THERE, quoted)).gateway == THERE
    assert icmp.View(icmp.parameter_problem(21, quoted)).rest == 21 << 24
    for octets in (icmp.unreachable(3, quoted), icmp.time_exceeded(0, quoted)):
        assert icmp.View(octets).is_error
        assert icmp.View(octets).data == quoted
    assert not icmp.View(icmp.echo_request(1, 1)).is_error


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (lambda: icmp.echo_request(65536, 0), "identifier 65536"),
        (lambda: icmp.echo_reply(0, -1), "sequence -1"),
        (lambda: icmp.needs_fragmenting(65536, b""), "mtu 65536"),
        (lambda: icmp.parameter_problem(256, b""), "pointer 256"),
        (lambda: icmp.Message(type=256), "type 256"),
        (lambda: icmp.unreachable(-1, b""), "code -1"),
        (lambda: icmp.View(b"1234567"), "7 octets"),
        (lambda: icmp.parse(b"\x08\0\x12\x34\0\0\0\0"), "checksum 0x1234"),
        (lambda: udp.Header(source_port=-1, destination_port=0), "source_port -1"),
        (lambda: udp.Header(source_port=1, destination_port=65536), "destination_port 65536"),
        (
            lambda: udp.Header(source_port=1, destination_port=2).emit(bytes(65528), source=1, destination=2),
            "65536 octets",
        ),
        (lambda: udp.View(b""), "0 octets"),
        (lambda: udp.parse(bytes.fromhex("0001000200070000"), source=1, destination=2), "length 7"),
        (lambda: udp.parse(bytes.fromhex("0001000200090000"), source=1, destination=2), "length 9"),
        (lambda: udp.parse(bytes.fromhex("0001000200081234"), source=1, destination=2), "checksum 0x1234"),
        (lambda: tcp.Header(source_port=1, destination_port=2, sequence=1 << 32), "sequence 4294967296"),
        (lambda: tcp.Header(source_port=1, destination_port=2, options=b"\1"), "options 01"),
        (lambda: tcp.View(bytes(19)), "19 octets"),
        (lambda: tcp.parse(bytes(12) + b"\x40" + bytes(7), source=1, destination=2), "header length 16"),
        (lambda: tcp.parse(bytes(12) + b"\x60" + bytes(7), source=1, destination=2), "header length 24"),
        (lambda: tcp.parse(bytes(12) + b"\x50" + bytes(7), source=1, destination=2), "checksum 0x0000"),
        (lambda: list(tcp.options(b"\2\1")), "option 2 at octet 0 has length 1"),
        (lambda: list(tcp.options(b"\1\2")), "option 2 at octet 1 has no length"),
    ],
)
def test_a_fault_is_named_with_its_value(call: object, fault: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=fault):
        call()


def test_udp_without_a_checksum() -> None:
    header = udp.Header(source_port=53, destination_port=4000)
    octets = header.emit(b"answer", source=HERE, destination=THERE, checksummed=False)
    assert octets.hex() == "00350fa0000e0000" + b"answer".hex()
    assert udp.parse(octets, source=0, destination=0) == (header, b"answer")


def test_udp_padding_is_no_data() -> None:
    header = udp.Header(source_port=53, destination_port=4000)
    octets = header.emit(b"answer", source=HERE, destination=THERE)
    assert udp.parse(octets + b"padding", source=HERE, destination=THERE) == (header, b"answer")


def test_a_syn_with_options() -> None:
    options = [(2, b"\x05\xb4"), (1, b""), (3, b"\7"), (4, b""), (8, bytes(8))]
    header = tcp.Header(
        source_port=1024, destination_port=80, sequence=5, flags=tcp.SYN, options=tcp.build_options(options)
    )
    octets = header.emit(source=HERE, destination=THERE)
    view = tcp.View(octets)
    assert view.header_length == 40
    assert list(tcp.options(view.options)) == options
    assert str(view) == "TCP 1024 > 80 S seq 5 ack 0"
    with pytest.raises(ValueError, match="checksum"):
        tcp.parse(octets, source=HERE, destination=THERE + 1)


@pytest.mark.parametrize(
    ("flags", "sequence", "acknowledgment", "length", "answer"),
    [
        # (sequence, acknowledgment, flags) of the reset
        (tcp.SYN, 100, 0, 0, (0, 101, tcp.RST | tcp.ACK)),
        (tcp.SYN | tcp.FIN, 0xFFFFFFFF, 0, 2, (0, 3, tcp.RST | tcp.ACK)),
        (tcp.PSH, 100, 0, 7, (0, 107, tcp.RST | tcp.ACK)),
        (tcp.ACK, 100, 5000, 7, (5000, 0, tcp.RST)),
        (tcp.SYN | tcp.ACK, 100, 5000, 0, (5000, 0, tcp.RST)),
    ],
)
def test_a_reset_answers_what_it_is_about(
    flags: int, sequence: int, acknowledgment: int, length: int, answer: tuple[int, int, int]
) -> None:
    segment = tcp.Header(
        source_port=1, destination_port=2, sequence=sequence, acknowledgment=acknowledgment, flags=flags
    )
    reset = tcp.reset_for(segment, length)
    assert (reset.source_port, reset.destination_port) == (2, 1)
    assert (reset.sequence, reset.acknowledgment, reset.flags) == answer


def test_a_reset_is_not_answered() -> None:
    with pytest.raises(ValueError, match="0x14"):
        tcp.reset_for(tcp.Header(source_port=1, destination_port=2, flags=tcp.RST | tcp.ACK), 0)
