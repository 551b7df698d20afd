"""Sentences that hold for all rules of the old languages: listings read back, and two languages that agree."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rules.fields import Header
from rules.ipfw import Host, RuleSet

HOST = Host({"em0": "10.0.0.1/24", "em1": "192.168.1.1/24"})

# Packets of a few addresses, ports and flags, so that rules of the same few meet them

HOSTS = [0x0A000001, 0x0A000002, 0xC0A80101, 0x01020304]
PORTS = [20, 53, 80, 1000, 1024]


@st.composite
def headers(draw: st.DrawFn, *, later: bool = True) -> Header:
    """A packet in or out, whole or a fragment that is not the first (but never the second eight octets)."""
    protocol = draw(st.sampled_from([1, 6, 17, 47]))
    whole = Header(
        source=draw(st.sampled_from(HOSTS)),
        destination=draw(st.sampled_from(HOSTS)),
        protocol=protocol,
        total_length=60,
        payload_length=40,
        identification=7,
        options=draw(st.sampled_from([b"", b"\x07\x07\x04\0\0\0\0\0"])),
        receive_interface="em0",
        transmit_interface=draw(st.sampled_from([None, "em1"])),
    )
    if later and draw(st.integers(0, 3)) == 0:
        return replace(whole, fragment=5)
    whole = replace(whole, fragment=draw(st.sampled_from([0, 0x2000])))
    if protocol == 1:
        return replace(whole, icmp_type=draw(st.sampled_from([0, 3, 8])), icmp_code=0)
    if protocol in (6, 17):
        whole = replace(whole, source_port=draw(st.sampled_from(PORTS)), destination_port=draw(st.sampled_from(PORTS)))
    if protocol == 6:
        options = draw(st.sampled_from([b"", b"\x02\x04\x05\xb4", b"\x0b\x06\0\0\0\x01\0\0"]))
        whole = replace(whole, tcp_flags=draw(st.integers(0, 63)), tcp_options=options)
    return whole


# Rules of the first language

ADDRESSES = ["any", "me", "10.0.0.2", "10.0.0.0/24", "1.2.3.4:255.0.255.0", "not 10.0.0.0/8", "not 192.168.1.1"]
ACTIONS = ["allow", "deny", "count", "divert 8668", "tee 5000", "skipto 300", "unreach port", "fwd 1.2.3.4"]
WAYS = ["", "in", "out", "in recv em0", "out xmit em1", "out recv em0 xmit em1", "via em0", "via em*", "recv 10.0.0.1"]
STATES = ["", "keep-state", "limit src-addr 2", "limit dst-addr dst-port 3"]
IP_OPTIONS = ["", "ipoptions rr", "ipoptions !rr,!ts"]
TCP = ["", "setup", "tcpflags syn,!ack", "tcpflags !fin,rst", "tcpoptions mss", "tcpoptions !cc,!mss"]
LISTS = ["", "80", "53,80", "20-1000,1024", "1024,80", "0-52,53,80"]


@st.composite
def bodies(draw: st.DrawFn, *, states: bool = False) -> str:
    """Of a rule that both languages can say, without the questions that they answer otherwise."""
    protocol = draw(st.sampled_from(["ip", "tcp", "udp", "icmp", "47"]))
    has_ports = protocol in ("tcp", "udp")
    ports = st.sampled_from(LISTS) if has_ports else st.just("")
    source, destination = draw(st.sampled_from(ADDRESSES)), draw(st.sampled_from(ADDRESSES))
    words = [protocol, "from", source, draw(ports), "to", destination, draw(ports)]
    words += [draw(st.sampled_from(WAYS)), draw(st.sampled_from(IP_OPTIONS))]
    if states:
        words.append(draw(st.sampled_from(STATES)))
    if protocol == "tcp":
        words.append(draw(st.sampled_from(TCP)))
    elif protocol != "udp" and draw(st.booleans()):
        words.append("frag")
    return " ".join(filter(None, words))


FIRST_ONLY = {
    "tcp": ["established", "tcpflags fin"],
    "icmp": ["icmptypes 8,0", "bridged"],
    "ip": ["via any", "bridged"],
}


@st.composite
def first_rules(draw: st.DrawFn) -> str:
    """A rule of the first language, as typed; not ``established`` with flags, which are not listed then."""
    prefix = draw(st.sampled_from(["", "prob 0.25 "]))
    log = draw(st.sampled_from(["", " log", " log logamount 7"]))
    body = draw(bodies(states=True))
    more = FIRST_ONLY.get(body.split()[0], [""])
    if "recv" in body or "xmit" in body or "via" in body:
        more = [word for word in more if word != "via any"]
    if "setup" in body or "tcpflags" in body:
        more = [word for word in more if word != "established"]
    return f"{prefix}{draw(st.sampled_from(ACTIONS))}{log} {body} {draw(st.sampled_from(['', *more]))}"


@given(first_rules())
def test_a_listed_rule_of_the_first_language_reads_back_as_the_same(typed: str) -> None:
    first, second = (RuleSet("freebsd-4", HOST, ipfw_dialect="ipfw1") for _ in range(2))
    listed = first.run(f"add 100 {typed}")
    assert second.run(f"add {listed}") == listed
    assert [*first] == [*second]


@given(st.lists(st.tuples(st.sampled_from([100, 200, 300]), st.sampled_from(ACTIONS), bodies()), max_size=8), headers())
def test_the_two_languages_agree_on_what_both_can_say(rules: list[tuple[int, str, str]], header: Header) -> None:
    """Except for what the two kernels see otherwise: fragments in front of ``icmptypes`` and ``established``, the
    second eight octets of TCP, dynamic state, ``prob`` and log lines."""
    verdicts = []
    for dialect in ("ipfw1", "ipfw2"):
        made = RuleSet("freebsd-4", HOST, ipfw_dialect="ipfw1" if dialect == "ipfw1" else "ipfw2")
        for number, action, body in rules:
            made.run(f"add {number} {action} {body}")
        verdict = made.evaluate(header)
        verdicts.append((verdict.action, verdict.rule, verdict.counted_at, verdict.port, verdict.next_hop))
    assert verdicts[0] == verdicts[1]


DRAGONFLY = ["ipfrag", "icmpcodes 0,3", "frag", "in", "not in", "dst-port 80", "src-ip <3>", "dst-ip [em0:net]"]


@given(
    st.sampled_from(["freebsd-4", "dragonfly"]),
    st.lists(st.tuples(st.sampled_from([100, 200, 300]), st.sampled_from(ACTIONS), bodies(states=True)), max_size=8),
    st.lists(st.sampled_from(DRAGONFLY), max_size=3),
    st.lists(headers() | headers().map(lambda header: replace(header, fragment=1)), min_size=1, max_size=5),
)
def test_tables_of_rules_answer_as_asking_one_by_one(
    language: str, rules: list[tuple[int, str, str]], extra: list[str], packets: list[Header]
) -> None:
    answers = []
    for engine in ("plain", "fast"):
        made = RuleSet(language, HOST, engine=engine, now=100.0)
        if language == "dragonfly":
            made.run("table 3 create")
            made.run("table 3 add 10.0.0/24 1.2.3.4")
            for option in extra:
                made.run(f"add 150 deny {option}")
        for number, action, body in rules:
            made.run(f"add {number} {action} {body}")
        found = [made.evaluate(header) for header in packets]
        listing = [made.run(command) for command in ("-a list", "-d list")]
        if language == "dragonfly":
            listing.append(made.run("-t table 3 show"))
        answers.append(([(each.action, each.rule, each.counted_at, each.log) for each in found], listing))
    assert answers[0] == answers[1]
