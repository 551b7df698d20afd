"""Masquerading: short exchanges between clients inside, 192.168.1.0/24, and hosts outside, and what stays of them."""

from __future__ import annotations

import socket
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notation import datagram, words

from simulator import Reason, Router
from simulator.masquerade import CAPACITY, PORTS

pytestmark = pytest.mark.profiles("linux-2.2")

ROUTER = "10.0.0.1"


class Net:
    """A router that masquerades what leaves by eth1, and the wires on both sides."""

    def __init__(self, *rules: str, **switches: object) -> None:
        self.router = Router("linux-2.2", **switches)
        self.eth0 = self.router.add_interface("eth0", "192.168.1.1/24")
        self.eth1 = self.router.add_interface("eth1", f"{ROUTER}/24")
        self.router.add_route("0.0.0.0/0", via="10.0.0.254")
        for rule in rules or ("-A forward -i eth1 -j MASQ", "-P forward DENY"):
            self.router.ipchains(rule)

    def inside(self, text: str | bytes) -> list[str]:
        """A client sends; what is seen outside, then what comes back inside."""
        return self._receive(self.eth0, text)

    def outside(self, text: str | bytes) -> list[str]:
        return self._receive(self.eth1, text)

    def _receive(self, interface: object, text: str | bytes) -> list[str]:
        interface.receive(datagram(text) if isinstance(text, str) else text)  # type: ignore[attr-defined]
        seen = [words(octets) for octets in (*self.eth1.sent, *self.eth0.sent)]
        self.eth0.sent.clear()
        self.eth1.sent.clear()
        assert self.router.ledger.balanced
        return seen

    @property
    def entries(self) -> list[str]:
        return self.router.ipchains("-M -L -n").splitlines()[2:]

    def dropped(self, reason: Reason) -> int:
        return self.router.ledger.dropped[reason]


def test_udp_there_and_back() -> None:
    net = Net()
    assert net.inside("udp 192.168.1.2:5000 > 10.0.0.9:53") == ["udp 10.0.0.1:61000 > 10.0.0.9:53 ttl 63"]
    assert net.outside("udp 10.0.0.9:53 > 10.0.0.1:61000") == ["udp 10.0.0.9:53 > 192.168.1.2:5000 ttl 63"]
    assert net.router.delivered == []


def test_udp_is_loose() -> None:
    """One port for one client port, whoever the far end is, and anybody may answer."""
    net = Net()
    net.inside("udp 192.168.1.2:5000 > 10.0.0.9:53")
    assert net.inside("udp 192.168.1.2:5000 > 10.0.0.8:99") == ["udp 10.0.0.1:61000 > 10.0.0.8:99 ttl 63"]
    assert net.outside("udp 10.0.0.7:1 > 10.0.0.1:61000") == ["udp 10.0.0.7:1 > 192.168.1.2:5000 ttl 63"]
    assert len(net.entries) == 1


def test_tcp_is_known_by_both_ends() -> None:
    net = Net()
    assert net.inside("tcp 192.168.1.2:5000 > 10.0.0.9:80 SYN") == ["tcp 10.0.0.1:61000 > 10.0.0.9:80 SYN ttl 63"]
    assert net.inside("tcp 192.168.1.2:5000 > 10.0.0.8:80 SYN") == ["tcp 10.0.0.1:61001 > 10.0.0.8:80 SYN ttl 63"]
    assert net.outside("tcp 10.0.0.9:80 > 10.0.0.1:61000 SYN|ACK") == [
        "tcp 10.0.0.9:80 > 192.168.1.2:5000 SYN|ACK ttl 63"
    ]
    # Anybody else is answered as at any closed port of the router's.
    assert net.outside("tcp 10.0.0.9:81 > 10.0.0.1:61000 SYN") == ["tcp 10.0.0.1:61000 > 10.0.0.9:81 RST|ACK"]


@pytest.mark.parametrize(
    ("query", "reply"),
    [("echo", "reply"), ("timestamp", "timestamp-reply"), ("information", "information-reply"), ("mask", "mask-reply")],
)
def test_icmp_queries(query: str, reply: str) -> None:
    net = Net()
    assert net.inside(f"icmp 192.168.1.2 > 10.0.0.9 {query} 7") == [f"icmp 10.0.0.1 > 10.0.0.9 {query} 61000 ttl 63"]
    assert net.outside(f"icmp 10.0.0.9 > 10.0.0.1 {reply} 61000") == [f"icmp 10.0.0.9 > 192.168.1.2 {reply} 7 ttl 63"]


def test_a_reply_of_another_kind_is_no_answer() -> None:
    net = Net()
    net.inside("icmp 192.168.1.2 > 10.0.0.9 echo 7")
    assert net.outside("icmp 10.0.0.9 > 10.0.0.1 timestamp-reply 61000") == []
    assert len(net.router.delivered) == 1


def test_other_icmp_passes_as_it_is() -> None:
    net = Net()
    assert net.inside("icmp 192.168.1.2 > 10.0.0.9 reply 7") == ["icmp 192.168.1.2 > 10.0.0.9 reply 7 ttl 63"]
    error = "icmp 192.168.1.2 > 10.0.0.9 unreachable [udp 10.0.0.9:1 > 192.168.1.2:2]"
    assert net.inside(error) == [f"{error} ttl 63"]


@pytest.mark.parametrize("kind", ["unreachable", "quench", "exceeded"])
@pytest.mark.parametrize(
    ("sent", "there", "back"),
    [
        ("udp 192.168.1.2:5000 > 10.0.0.9:53", "udp 10.0.0.1:61000 > 10.0.0.9:53", "udp 10.0.0.9:53 > 10.0.0.1:61000"),
        ("tcp 192.168.1.2:5000 > 10.0.0.9:80", "tcp 10.0.0.1:61000 > 10.0.0.9:80", "tcp 10.0.0.9:80 > 10.0.0.1:61000"),
        (
            "icmp 192.168.1.2 > 10.0.0.9 echo 7",
            "icmp 10.0.0.1 > 10.0.0.9 echo 61000",
            "icmp 10.0.0.9 > 10.0.0.1 reply 61000",
        ),
    ],
)
def test_errors_are_translated_both_ways(sent: str, there: str, back: str, kind: str) -> None:
    net = Net()
    net.inside(sent)
    # A router beyond reports on what the client sent ...
    assert net.outside(f"icmp 10.0.0.77 > 10.0.0.1 {kind} [{there}]") == [
        f"icmp 10.0.0.77 > 192.168.1.2 {kind} [{sent}] ttl 63"
    ]
    # ... and the client on the answer; this passes the forward chain by, whose policy is DENY.
    received = net.outside(back)[0].removesuffix(" ttl 63")
    net.router.ipchains("-F forward")
    assert net.inside(f"icmp 192.168.1.2 > 10.0.0.9 {kind} [{received.removesuffix(' ACK')}]") == [
        f"icmp 10.0.0.1 > 10.0.0.9 {kind} [{back}] ttl 63"
    ]


@pytest.mark.parametrize("kind", ["redirect", "problem"])
def test_redirects_and_parameter_problems_are_not_translated(kind: str) -> None:
    net = Net()
    net.inside("udp 192.168.1.2:5000 > 10.0.0.9:53")
    assert net.outside(f"icmp 10.0.0.77 > 10.0.0.1 {kind} [udp 10.0.0.1:61000 > 10.0.0.9:53]") == []
    assert len(net.router.delivered) == 1


@pytest.mark.parametrize(
    ("broken", "side"),
    [
        ("udp 192.168.1.2:5000 > 10.0.0.9:53 bad", "inside"),
        ("tcp 192.168.1.2:5000 > 10.0.0.9:53 SYN bad", "inside"),
        ("udp 10.0.0.9:53 > 10.0.0.1:61000 bad", "outside"),
        ("icmp 10.0.0.77 > 10.0.0.1 unreachable [udp 10.0.0.1:61000 > 10.0.0.9:53] bad", "outside"),
    ],
)
def test_wrong_checksums_end_here(broken: str, side: str) -> None:
    net = Net()
    net.inside("udp 192.168.1.2:5000 > 10.0.0.9:53")
    assert (net.inside if side == "inside" else net.outside)(broken) == []
    assert net.dropped(Reason.BAD_TRANSPORT_CHECKSUM) == 1
    told = [line for line in net.router.messages if line.startswith("IP_MASQ")]
    assert told == (["IP_MASQ:reverse ICMP: failed checksum from 10.0.0.77!"] if broken.startswith("icmp") else [])


def test_a_missing_udp_checksum_is_made() -> None:
    net = Net()
    octets = datagram("udp 192.168.1.2:5000 > 10.0.0.9:53")
    assert net.inside(octets[:26] + b"\0\0" + octets[28:]) == ["udp 10.0.0.1:61000 > 10.0.0.9:53 ttl 63"]


@pytest.mark.parametrize(
    "octets",
    [
        datagram("proto47 192.168.1.2 > 10.0.0.9"),
        datagram("udp 192.168.1.2:5000 > 10.0.0.9:53", fragment=0x2000),
        datagram("udp 192.168.1.2:5000 > 10.0.0.9:53", fragment=185),
    ],
    ids=["other protocol", "first fragment", "later fragment"],
)
def test_what_cannot_be_masqueraded_is_dropped(octets: bytes) -> None:
    net = Net()
    assert net.inside(octets) == []
    assert net.dropped(Reason.NOT_MASQUERADED) == 1


def test_fragments_with_always_defragment() -> None:
    net = Net(always_defragment=True)
    whole = datagram("udp 192.168.1.2:5000 > 10.0.0.9:53", bytes(40), identification=9)
    head, tail = whole[:20], whole[20:]

    def piece(start: int, end: int, more: int) -> bytes:
        header = datagram(
            "proto17 192.168.1.2 > 10.0.0.9", tail[start:end], identification=9, fragment=more | start // 8
        )
        assert header[:2] == head[:2]
        return header

    assert net.inside(piece(0, 24, 0x2000)) == []
    assert net.inside(piece(24, 48, 0)) == ["udp 10.0.0.1:61000 > 10.0.0.9:53 ttl 63"]


def test_fragments_of_answers_need_nothing() -> None:
    net = Net()
    net.inside("udp 192.168.1.2:5000 > 10.0.0.9:53")
    tail = datagram("udp 10.0.0.9:53 > 10.0.0.1:61000", bytes(16))[20:]
    pieces = [
        datagram("proto17 10.0.0.9 > 10.0.0.1", tail[:16], identification=3, fragment=0x2000),
        datagram("proto17 10.0.0.9 > 10.0.0.1", tail[16:], identification=3, fragment=2),
    ]
    assert [net.outside(piece) for piece in pieces] == [[], ["udp 10.0.0.9:53 > 192.168.1.2:5000 ttl 63"]]


def test_the_address_is_that_of_the_outgoing_interface() -> None:
    net = Net("-A forward -j MASQ")
    eth2 = net.router.add_interface("eth2", "172.16.0.1/16")
    net.inside("udp 192.168.1.2:5000 > 172.16.3.3:53")
    assert [words(octets) for octets in eth2.sent] == ["udp 172.16.0.1:61000 > 172.16.3.3:53 ttl 63"]


@pytest.mark.statement("linux.md N6")
def test_answers_lower_the_ttl_and_meet_the_output_chain_but_not_the_forward_chain() -> None:
    net = Net()
    net.inside("udp 192.168.1.2:5000 > 10.0.0.9:53")
    net.router.ipchains("-F forward")
    assert net.outside("udp 10.0.0.9:53 > 10.0.0.1:61000 ttl 9") == ["udp 10.0.0.9:53 > 192.168.1.2:5000 ttl 8"]
    assert net.outside("udp 10.0.0.9:53 > 10.0.0.1:61000 ttl 1")[0].startswith("icmp 10.0.0.1 > 10.0.0.9 exceeded")
    net.router.ipchains("-A output -i eth0 -j REJECT")
    # The error quotes what its reader sent.
    assert net.outside("udp 10.0.0.9:53 > 10.0.0.1:61000") == [
        "icmp 10.0.0.1 > 10.0.0.9 unreachable [udp 10.0.0.9:53 > 10.0.0.1:61000] ttl 255"
    ]


@pytest.mark.parametrize("chain", ["input", "output"])
def test_misplaced_masq_means_accept(chain: str) -> None:
    net = Net("-N user", "-A user -j MASQ", f"-A {chain} -j user")
    assert net.inside("udp 192.168.1.2:5000 > 10.0.0.9:53") == ["udp 192.168.1.2:5000 > 10.0.0.9:53 ttl 63"]
    assert net.entries == []


def test_masq_as_policy() -> None:
    net = Net("-P forward MASQ")
    assert net.inside("udp 192.168.1.2:5000 > 10.0.0.9:53") == ["udp 10.0.0.1:61000 > 10.0.0.9:53 ttl 63"]


def test_a_diverted_packet_is_masqueraded_after_it_came_back() -> None:
    net = Net("-A forward -j DIVERT 7", "-A forward -j MASQ")
    divert = net.router.socket(socket.AF_INET, socket.SOCK_RAW, 254)
    divert.bind(("0.0.0.0", 7))
    assert net.inside("udp 192.168.1.2:5000 > 10.0.0.9:53") == []
    octets, address = divert.recvfrom(65535)
    assert words(octets) == "udp 192.168.1.2:5000 > 10.0.0.9:53 ttl 63"
    divert.sendto(octets, address)
    assert [words(octets) for octets in net.eth1.sent] == ["udp 10.0.0.1:61000 > 10.0.0.9:53 ttl 63"]
    assert net.router.ledger.balanced


# -- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opening", "seconds"),
    [
        (["udp 192.168.1.2:5000 > 10.0.0.9:53"], 300),
        (["icmp 192.168.1.2 > 10.0.0.9 echo 7"], 125),
        (["tcp 192.168.1.2:5000 > 10.0.0.9:80 SYN"], 900),
        (["tcp 192.168.1.2:5000 > 10.0.0.9:80 SYN", "tcp 192.168.1.2:5000 > 10.0.0.9:80 FIN|ACK"], 120),
        (["tcp 192.168.1.2:5000 > 10.0.0.9:80 FIN", "tcp 192.168.1.2:5000 > 10.0.0.9:80 ACK"], 120),
        (["tcp 192.168.1.2:5000 > 10.0.0.9:80 RST", "tcp 192.168.1.2:5000 > 10.0.0.9:80 SYN"], 900),
    ],
)
@pytest.mark.statement("linux.md N6")
def test_how_long_entries_live(opening: list[str], seconds: int) -> None:
    net = Net()
    clock = net.router.clock
    for text in opening:
        net.inside(text)
    clock.advance(seconds - 1)
    assert len(net.entries) == 1
    net.inside(opening[-1])
    clock.advance(seconds - 0.5)
    assert len(net.entries) == 1
    clock.advance(0.5)
    assert net.entries == []
    assert clock.next_deadline() is None


def test_an_answer_prolongs_too_and_a_fin_from_outside_counts() -> None:
    net = Net()
    net.inside("tcp 192.168.1.2:5000 > 10.0.0.9:80 SYN")
    net.router.clock.advance(800)
    net.outside("tcp 10.0.0.9:80 > 10.0.0.1:61000 SYN|ACK")
    net.router.clock.advance(800)
    net.outside("tcp 10.0.0.9:80 > 10.0.0.1:61000 FIN|ACK")
    net.router.clock.advance(119)
    assert len(net.entries) == 1
    net.router.clock.advance(1)
    assert net.entries == []


def test_timers_do_not_pile_up() -> None:
    net = Net()
    flags = ("SYN", "FIN", "ACK")
    for turn in range(300):
        net.inside(f"tcp 192.168.1.2:5000 > 10.0.0.9:80 {flags[turn % 3]}")
    assert len(net.router.clock._heap) <= 3


def test_timeouts_can_be_set_and_zero_keeps() -> None:
    net = Net()
    net.router.ipchains("-M -S 30 0 10")
    net.inside("tcp 192.168.1.2:5000 > 10.0.0.9:80 SYN")
    net.inside("tcp 192.168.1.3:5000 > 10.0.0.9:80 FIN")
    net.inside("udp 192.168.1.2:5000 > 10.0.0.9:53")
    assert net.entries == [
        "TCP  00:30.00 192.168.1.2          10.0.0.9             5000 (61000) -> 80",
        "TCP  02:00.00 192.168.1.3          10.0.0.9             5000 (61001) -> 80",
        "UDP  00:10.00 192.168.1.2          10.0.0.9             5000 (61002) -> 53",
    ]
    net.router.clock.advance(10)
    assert [line[:4] for line in net.entries] == ["TCP ", "TCP "]


# -- ports -----------------------------------------------------------------------------------------------------------


def test_ports_run_out_and_come_back() -> None:
    net = Net()
    for port in range(len(PORTS)):
        assert net.inside(f"udp 192.168.1.2:{port + 1} > 10.0.0.9:53")[0].startswith(f"udp 10.0.0.1:{PORTS[port]} ")
    assert PORTS[-1] == 65095
    for _ in range(6):
        assert net.inside("udp 192.168.1.3:1 > 10.0.0.9:53") == []
    assert net.dropped(Reason.NO_MASQUERADING_PORT) == 6
    complaint = "IP_MASQ:ip_masq_new(proto=UDP): could not get free masq entry (free=36864)."
    assert [line for line in net.router.messages if "MASQ" in line] == [complaint] * 4
    assert net.inside("tcp 192.168.1.2:1 > 10.0.0.9:80 SYN") == ["tcp 10.0.0.1:61000 > 10.0.0.9:80 SYN ttl 63"]
    net.router.clock.advance(300)
    assert net.inside("udp 192.168.1.3:1 > 10.0.0.9:53") == ["udp 10.0.0.1:61001 > 10.0.0.9:53 ttl 63"]


def test_entries_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CAPACITY == 40960
    monkeypatch.setattr("simulator.masquerade.CAPACITY", 3)
    net = Net()
    seen = [net.inside(f"tcp 192.168.1.2:{port} > 10.0.0.9:80 SYN") for port in range(1, 5)]
    assert [len(each) for each in seen] == [1, 1, 1, 0]
    assert "IP_MASQ:ip_masq_new(proto=TCP): no free ports." in net.router.messages
    net.router.clock.advance(900)
    assert len(net.inside("tcp 192.168.1.2:5 > 10.0.0.9:80 SYN")) == 1


@pytest.mark.parametrize(("port", "taken"), [(60999, False), (61000, True), (65096, True), (65097, False)])
@pytest.mark.statement("linux.md N6")
def test_nobody_binds_the_ports(port: int, taken: bool) -> None:
    sock = Net().router.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if taken:
        with pytest.raises(OSError, match=str(port)):
            sock.bind(("0.0.0.0", port))
    else:
        sock.bind(("0.0.0.0", port))


# -- any conversation ------------------------------------------------------------------------------------------------

ends = st.tuples(st.integers(2, 254), st.integers(1, 65535), st.integers(2, 254), st.integers(1, 65535))
flows = st.lists(
    st.tuples(st.sampled_from(["udp", "tcp", "icmp"]), ends, st.binary(max_size=9)), min_size=1, max_size=8
)


@given(flows)
def test_what_goes_out_comes_back_to_whom_it_was_from(conversations: list[tuple[str, tuple[int, ...], bytes]]) -> None:
    net = Net()
    seen: dict[str, str] = {}
    for protocol, (client, port, host, far), data in conversations:
        source, destination = f"192.168.1.{client}", f"10.0.0.{host}"
        if protocol == "icmp":
            there, back = f"icmp {source} > {destination} echo {port}", f"icmp {destination} > {source} reply {port}"
        else:
            there = f"{protocol} {source}:{port} > {destination}:{far}"
            back = f"{protocol} {destination}:{far} > {source}:{port}"
        (out,) = net.inside(datagram(there, data))
        assert f"{protocol} {ROUTER}" in out
        if protocol == "icmp":
            answer = f"icmp {destination} > {ROUTER} reply {out.split()[5]}"
        else:
            masqueraded, _, target = out.split()[1:4]
            answer = f"{protocol} {target} > {masqueraded}"
        seen[answer] = back
    assert len(seen) == len(set(seen.values()))
    for answer, back in seen.items():
        (result,) = net.outside(datagram(answer))
        assert result.removesuffix(" ttl 63").removesuffix(" ACK") == back
    assert net.router.ledger.balanced


def test_ports_are_given_in_turn() -> None:
    net = Net()
    given_out = [net.inside(f"tcp 192.168.1.2:{port} > 10.0.0.9:80 SYN")[0] for port in range(1, 20)]
    numbers = [int(text.split()[1].split(":")[1]) for text in given_out]
    assert all(after == before + 1 for before, after in pairwise(numbers))
