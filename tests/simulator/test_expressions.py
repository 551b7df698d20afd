"""Packets as scapy writes them, from text that nobody has to trust."""

from __future__ import annotations

import socket
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import expressions
from simulator.expressions import LONGEST_TEXT, ExpressionError, octets
from simulator.wire.named import dissect

scapy = pytest.importorskip("scapy.all")


def fields(text: str) -> dict[str, str]:
    return {field.name: field.text for field in dissect(octets(text))}


def test_layers_with_their_fields() -> None:
    found = fields('IP(src="192.0.2.1", dst="192.0.2.2", ttl=7, flags="DF")/TCP(dport=22, flags="SA")/("ab" * 3)')
    assert found["ip.src"] == "192.0.2.1"
    assert (found["ip.ttl"], found["ip.flags"], found["tcp.dport"], found["tcp.flags"]) == ("7", "DF", "22", "SA")
    assert found["load"] == '"ababab" (6)'


def test_the_same_octets_as_scapy() -> None:
    text = (
        'IP(src="192.0.2.1", dst="192.0.2.2", options=[IPOption_RR()])/UDP(sport=1, dport=2)/DNS(qd=DNSQR(qname="a.b"))'
    )
    assert octets(text) == bytes(eval(text, vars(scapy)))


def test_the_machine_does_not_choose_the_source() -> None:
    assert fields('IP(dst="192.0.2.2")/ICMP()')["ip.src"] == "0.0.0.0"


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("IPP()", 0, "no layer 'IPP' (did you mean IP"),
        ('IP(dst="192.0.2.1")/ICMQ()', 20, "no layer 'ICMQ'"),
        ("IP(tll=3)", 3, "IP has no field 'tll' (it has version,"),
        ('IP(dst="host.example")', 7, "dst is an address such as 10.0.0.1, not 'host.example'"),
        ('IP(dst="192.0.2.0/24")', 7, "dst is an address"),
        ('IP()/UDP()/DNS(an=DNSRR(rdata="host.example"))', 30, "rdata is an address"),
        ("IP(ttl=foo)", 7, "expected a literal or a layer, not foo"),
        ("IP(ttl=999)", 0, "scapy cannot build it"),
        ("IP(", 2, "'(' was never closed"),
        ("IP(64)", 3, "a field of IP is given by its name"),
        ("Ether()", 0, "no layer 'Ether'"),
        ('"x" * 100000', 0, "at most 65535 octets, not 1 * 100000"),
    ],
)
def test_what_is_no_packet_is_told_with_its_place(text: str, column: int, said: str) -> None:
    with pytest.raises(ExpressionError) as error:
        octets(text)
    assert said in error.value.text
    assert error.value.column == column


@pytest.mark.parametrize(
    "text",
    [
        '__import__("os").system("true")',
        'IP(dst="192.0.2.1").show()',
        "(lambda: 1)()",
        'IP(**{"ttl": 1})',
        "IP(id=RandShort())",
        'f"{1}"',
        "[IP() for _ in (1,)]",
        "IP(ttl=(x := 3))",
        "9" * 5000,
        "-" * 5000 + "1",
        "(" * 3000,
        "x" * (LONGEST_TEXT + 1),
        "IP()" + "/IP()" * 3900,
        '"x" * 60000 / ("y" * 60000)',
    ],
)
def test_hostile_text_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        octets(text)


def test_nothing_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a name was looked up")

    for name in ("getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    with pytest.raises(ExpressionError):
        octets('IP(dst="host.example")/ICMP()')
    assert octets('IP(dst="192.0.2.1")/ICMP()')


@given(st.text(alphabet='IPCM()/"x*=.1,[]:{}_\\ \n', max_size=40))
def test_any_text_is_a_packet_or_an_error_with_a_place(text: str) -> None:
    place = None
    try:
        octets(text)
    except ExpressionError as error:
        place = error.column
    assert place is None or 0 <= place <= len(text)


def test_without_scapy_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    expressions._layers.cache_clear()
    monkeypatch.setitem(sys.modules, "scapy.packet", None)
    with pytest.raises(ExpressionError, match=r"pip install 'divertsim\[scapy\]'"):
        octets('IP(dst="192.0.2.1")')
    monkeypatch.undo()
    assert octets('IP(dst="192.0.2.1")')
    assert octets('"text"') == b"text"
