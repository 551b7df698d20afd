"""Headers in ipfw's words: what the simulator reads back is the same packet."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from rules.fields import Header
from rules.strategies import headers, matching, said
from simulator.spoken import build, parse
from simulator.testing.strategies import octets_of
from simulator.wire.named import differences


@settings(max_examples=300)
@given(headers())
def test_the_words_make_the_packet(header: Header) -> None:
    words, _, silent = said(header).partition("  # ")
    spoken = parse(words)
    assert (spoken.hook, spoken.interface, spoken.received_on) == (
        "in" if header.transmit_interface is None and header.receive_interface else "out",
        header.transmit_interface or header.receive_interface,
        header.receive_interface if header.transmit_interface else None,
    )
    if not silent and header.icmp_type in (None, 8):  # the rest of other messages is not the identifier of an echo
        differing = {each.name for each in differences(build(spoken), octets_of(header))}
        # The checksum of a transport header whose rest is elsewhere is nobody's to compute.
        assert differing <= ({"udp.chksum", "tcp.chksum", "icmp.chksum"} if header.more_fragments else set())


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (
            Header(
                source=0xC0000201,
                destination=0xC6336401,
                protocol=6,
                source_port=1024,
                destination_port=25,
                tcp_flags=2,
                total_length=40,
                identification=1,
                receive_interface="em0",
            ),
            "tcp from 192.0.2.1 1024 to 198.51.100.1 25 in via em0",
        ),
        (Header(protocol=17, fragment=185, total_length=28), "udp from 0.0.0.0 to 0.0.0.0 ipid 0 offset 1480 iplen 28"),
        (
            Header(protocol=1, icmp_type=8, total_length=28, tags=frozenset({5, 7}), options=b"\1\1\1\0"),
            "icmp from 0.0.0.0 to 0.0.0.0 ipid 0  # IP options 01010100, tags 5, 7",
        ),
        (
            Header(total_length=20, receive_interface="em0", transmit_interface="em1", reinjected="out"),
            "0 from 0.0.0.0 to 0.0.0.0 ipid 0 out recv em0 via em1  # written by a divert socket (out)",
        ),
    ],
)
def test_what_is_said(header: Header, words: str) -> None:
    assert said(header) == words


def test_a_failing_test_prints_them() -> None:
    @settings(max_examples=5, database=None)
    @given(matching("deny tcp from 10.0.0.1 to any 25"))
    def fails(header: Header) -> None:
        raise AssertionError

    with pytest.raises(AssertionError) as caught:
        fails()
    told = "\n".join(caught.value.__notes__)
    assert "packet: tcp from 10.0.0.1 " in told
