"""Scripts played: what each sentence does, what it expects, and how it fails."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simulator.bpf import compile_filter
from simulator.links import captures
from simulator.scenario.loading import Folder
from simulator.scenario.model import Place
from simulator.scenario.reading import read
from simulator.scenario.runner import CaseResult, play
from simulator.trace import Kind

WORLD = """
router linux-2.2
interface eth0 192.168.1.1/24
interface eth1 10.0.0.1/24
packet ping = IP(src="192.168.1.2", dst="10.0.0.2")/ICMP()/"hello"
packet home = IP(src="192.168.1.2", dst="192.168.1.1")/ICMP()/"hello"
"""

BSD = """
router freebsd-13 default_accept=yes
interface em0 192.168.1.1/24
interface em1 10.0.0.1/24
packet ping = IP(src="192.168.1.2", dst="10.0.0.2")/ICMP()/"hello"
"""


def run(text: str, world: str = WORLD) -> CaseResult:
    (case,) = play(read(world + text, "a.scn")).cases
    return case


def failures(text: str, world: str = WORLD) -> list[tuple[int, str]]:
    """Line of the text (from 1) and reason of each failure."""
    above = world.count("\n")
    return [(failure.place.line - above, failure.why) for failure in run(text, world).failures]


GOOD = {
    "forwarded": "eth0 receives ping\nexpect eth1 sends ping with ttl=63",
    "said": "eth0 receives icmp from 192.168.1.2 to 10.0.0.2\nexpect eth1 sends icmp from 192.168.1.2 to 10.0.0.2",
    "any": 'eth0 receives ping\nexpect eth1 sends any with ttl=63, src="192.168.1.2", load="hello"',
    "it": "eth0 receives ping\nexpect eth1 sends any\neth0 receives it with ttl=9\nexpect eth1 sends it with ttl=8",
    "answered": "eth0 receives home\nexpect router delivers home\nexpect eth0 sends any with icmp.type=0",
    "nothing": "expect nothing for 5s\nexpect eth0 sends nothing\nexpect router delivers nothing within 1s",
    "originated": "router sends ping with src=0\nexpect eth1 sends any",
    "originated in vain": "router sends ping with dst='172.16.0.1'\nexpect failure ENETUNREACH",
    "command refused": "ipchains -A nowhere -j ACCEPT\nexpect failure 1",
    "divert": """
        ipchains -A forward -j DIVERT 1234
        socket d divert 1234
        eth0 receives ping
        expect d reads ping with ttl=63 address 192.168.1.1 tag 1234 interface eth0
        expect eth1 sends nothing
        d writes it with ttl=9 back
        expect eth1 sends ping with ttl=9
        expect path forward accept, output accept
        expect counter forward 1 packets 1 octets 33
        expect ledger received 1, injected 1, diverted 1, transmitted 1, dropped 0""",
    "part of an address": "ipchains -A input -j DIVERT 1\nsocket d divert 10.9.9.9 1\neth0 receives ping\n"
    "expect d reads icmp from 192.168.1.2 to 10.0.0.2 tag 1\neth0 receives ping\n"
    "expect d reads any with proto=1 interface eth0\nrouter sends ping with src='10.0.0.1'\nexpect eth1 sends any",
    "second program": "program 1 passthrough\nprogram 1 eat\nexpect failure EADDRINUSE",
    "write fails": "socket d divert 1\nd writes ping address 10.9.9.9\nexpect failure EADDRNOTAVAIL",
    "second bind": "socket d divert 1\nsocket e divert 1\nexpect failure EADDRINUSE",
    "no listener": "ipchains -A input -j DIVERT 1\neth0 receives ping\nexpect dropped NO_LISTENER",
    "closed": "ipchains -A input -j DIVERT 1\nsocket d divert 1\nd closes\neth0 receives ping\n"
    "expect dropped NO_LISTENER",
    "tap": "socket t tap eth0\neth0 receives ping\nexpect t reads ping interface eth0\nexpect eth1 sends any\n"
    "t writes home\nexpect eth0 sends home",
    "tap of another user": "socket t tap eth0 as www\nexpect failure EPERM",
    "netlink": "ipchains -A input -p icmp -o -m 7\nsocket n netlink\neth0 receives ping\n"
    "expect n reads ping tag 7 interface eth0\nexpect n reads nothing\nexpect eth1 sends any",
    "netlink of another user": "socket n netlink as www\nexpect failure EPERM",
    "program": "ipchains -A input -j DIVERT 1\nprogram 1 passthrough\neth0 receives ping\nexpect eth1 sends any",
    "path": "eth0 receives ping\nexpect path input accept, forward accept, output accept by output:policy\n"
    "expect eth1 sends any",
    "output": "ipchains -A input -p icmp -j DENY\nipchains -L input -n\nexpect output\n"
    "|Chain input (policy ACCEPT):\n"
    "|target     prot opt     source                destination           ports\n"
    "|DENY       icmp ------  0.0.0.0/0            0.0.0.0/0             * ->   *",
    "log": "ipchains -A input -p icmp -j DENY -l\neth0 receives ping\nexpect log 'input DENY eth0 PROTO=1'",
    "said by programs": "ipchains -A input -j DIVERT 1\nprogram 1 interceptor\nexpect program prints\n"
    "| interceptor:Creating a socket\n| interceptor:Binding a socket\n| interceptor: Waiting for data...\n"
    "expect program prints",
    "not root": "socket d divert 1 as www\nexpect failure EPERM\nsocket u udp 53 as 1001",
    "down": "eth1 goes down\neth0 receives ping\nexpect eth0 sends any with icmp.type=3\neth1 goes up\n"
    "eth0 receives ping\nexpect eth1 sends any",
    "group": "eth0 joins 224.1.2.3\neth0 receives ping with dst='224.1.2.3'\nexpect router delivers any\n"
    "expect eth0 sends any with icmp.type=0",
    "udp": "socket u udp 53\neth0 receives udp from 192.168.1.2 5 to 192.168.1.1 53 data 'hi'\n".replace("'", '"')
    + 'expect u reads "hi" address 192.168.1.2 tag 5\nu writes "yo" address 192.168.1.2 tag 5\n'
    'expect eth0 sends udp from 192.168.1.1 53 to 192.168.1.2 5 data "yo"',
    "fragments": 'eth0 receives fragments of IP(src="192.168.1.2", dst="192.168.1.1", id=5)/ICMP()/("x"*2000) at 1000 '
    "order 2 1 3\nexpect eth0 sends any\nexpect eth0 sends any\nexpect router delivers any with frag=0",
    "time": "@5\n+1 eth0 receives ping\nexpect eth1 sends any",
    "reassembly timeout": 'packet big = IP(src="192.168.1.2", dst="192.168.1.1", id=5)/ICMP()/("x"*2000)\n'
    "eth0 receives fragment 1 of big at 1000\nexpect eth0 sends any with icmp.type=11, code=1 within 40s",
    "allowed": "eth0 receives ping\nallow other packets on eth1",
    "all allowed": "eth0 receives ping\nallow other packets",
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_what_happens_as_expected(text: str) -> None:
    assert failures(text) == []


BAD = {
    "another packet": ("eth0 receives ping\nexpect eth1 sends ping", 2, "eth1 sends: differs in ip.ttl, ip.chksum"),
    "no packet": ("expect eth1 sends ping within 2s", 1, "eth1 sends: no packet within 2 s"),
    "another field": ("eth0 receives ping\nexpect eth1 sends any with ttl=9", 2, "eth1 sends: ip.ttl is 63, not 9"),
    "no such field": ("eth0 receives ping\nexpect eth1 sends any with dport=9", 2, "has no field 'dport'"),
    "words": (
        "eth0 receives ping\nexpect eth1 sends icmp from 192.168.1.2 to 10.0.0.2 icmptypes 0",
        2,
        "eth1 sends: icmp.type is 8, not 0",
    ),
    "a packet": ("eth0 receives ping\nexpect eth1 sends nothing", 2, "eth1 sends: a packet, where none was expected"),
    "left over": ("eth0 receives ping", 1, "eth1 sent a packet that no line expected: icmp from 192.168.1.2 to 10.0"),
    "unread of a tap": (
        "socket t tap eth0\neth0 receives ping\nexpect eth1 sends any",
        3,
        "t was given a packet that no",
    ),
    "tap's interface": (
        "socket t tap eth1\neth0 receives ping\nexpect eth1 sends any\nexpect t reads any interface eth0",
        4,
        "t reads: interface is eth1, not eth0",
    ),
    "unread copy": (
        "ipchains -A input -o -j DENY\nsocket n netlink\neth0 receives ping",
        3,
        "n was given a packet that",
    ),
    "unread": (
        "ipchains -A input -j DIVERT 1\nsocket d divert 1\neth0 receives ping",
        3,
        "d was given a packet that no line expected",
    ),
    "not silent": ("eth0 receives ping\nexpect nothing\nexpect eth1 sends any", 2, "eth1 sent a packet, where nothing"),
    "refused": ("ipchains -A nowhere -j ACCEPT", 1, "failed with 1: ipchains:"),
    "not refused": ("ipchains -L\nexpect failure 1", 2, "the action before did not fail"),
    "refused otherwise": ("ipchains -A nowhere -j ACCEPT\nexpect failure 2", 2, "failed with 1"),
    "other words": ("ipchains -A nowhere -j ACCEPT\nexpect failure 1 'no'", 2, "the failure says 'ipchains: "),
    "errno": ("router sends ping with dst='172.16.0.1'\nexpect failure EPERM", 2, "failed with ENETUNREACH"),
    "not asked": ("router sends ping with dst='172.16.0.1'\nexpect nothing", 1, "failed with ENETUNREACH"),
    "address": (
        "ipchains -A input -j DIVERT 1\nsocket d divert 1\neth0 receives ping\n"
        "expect d reads ping address 1.1.1.1 tag 2",
        4,
        "d reads: address is 192.168.1.1, not 1.1.1.1, tag is 1, not 2",
    ),
    "no address": ("socket d divert 1\nexpect d reads nothing tag 1", 2, "nothing was read, so no address came"),
    "interface": (
        "ipchains -A input -j DIVERT 1\nsocket d divert 1\neth0 receives ping\nexpect d reads ping no interface",
        4,
        "d reads: interface is eth0, not empty",
    ),
    "path": (
        "eth0 receives ping\nexpect path input accept\nexpect eth1 sends any",
        2,
        "the path is input accept by input",
    ),
    "counter": ("ipchains -A input -j ACCEPT\nexpect counter input 1 packets 1", 2, "has counted 0 packets, 0 octets"),
    "drop": (
        "eth0 receives ping\nexpect dropped NO_ROUTE\nexpect eth1 sends any",
        2,
        "dropped since the last action: noth",
    ),
    "ledger": ("expect ledger received 1", 1, "received is 0, not 1"),
    "log": ("expect log 'x'", 1, "no message of router contains 'x': it said nothing"),
    "output": ("ipchains -L input -n\nexpect output\n| x", 2, "the command before printed something else:"),
    "said": ("program 1 interceptor\nexpect program prints\n| Hello", 2, "programs printed something else:"),
    "root": ("socket d divert 1\nexpect failure EPERM", 2, "the action before did not fail"),
    "delivery": ("expect router delivers home", 1, "router delivers: no packet"),
}


@pytest.mark.parametrize(("text", "line", "why"), BAD.values(), ids=BAD)
def test_what_does_not_happen_is_told(text: str, line: int, why: str) -> None:
    found = failures(text)
    assert [each[0] for each in found] == [line]
    assert why in found[0][1]


NONSENSE = {
    "no router": ("", "eth0 receives ping", "there is no router yet: begin with 'router linux-2.2'", "eth0"),
    "profile": ("", "router linux-9", "no such profile: 'linux-9' (there are linux-2.2,", "linux-9"),
    "switch": ("", "router linux-2.2 frob=1", "linux-2.2 has no switch 'frob'", "frob"),
    "value": (
        "",
        "router linux-2.2 pass_through=maybe",
        "pass_through='maybe' is not a value of type bool",
        "pass_through",
    ),
    "twice": (WORLD, "router linux-2.2", "give this one a name, router R2 linux-2.2", "router"),
    "interface": (
        WORLD,
        "eth9 receives ping",
        "no interface 'eth9' (there are router.eth0, router.eth1, router.lo)",
        "eth9",
    ),
    "packet": (WORLD, "eth0 receives pong", "no packet 'pong' (there are ping, home)", "pong"),
    "socket": (WORLD, "d writes ping", "no socket 'd'", "d"),
    "tool": (WORLD, "ipfw list", "linux-2.2 has ipchains, not ipfw", "ipfw"),
    "address": (WORLD, "interface eth2 10.0.0.300", "10.0.0.300", "10.0.0.300"),
    "gateway": (WORLD, "route 0.0.0.0/0 via 172.16.0.1", "the gateway 172.16.0.1 is on no network", "172.16.0.1"),
    "program": (WORLD, "program 1 frob", "no such program: 'frob'", "frob"),
    "option": (WORLD, "program 1 passthrough --frob", "--frob", "--frob"),
    "past": (WORLD, "@5\n@4", "@4 is past: it is 5 s", "@4"),
    "back": (WORLD, "socket d divert 1\nd writes ping back", "d has read nothing yet", "back"),
    "reason": (WORLD, "expect dropped SOMEHOW", "no such reason: 'SOMEHOW' (there are TOO_SHORT,", "SOMEHOW"),
    "rule": (WORLD, "expect counter input 1 packets 1", "no rule 'input:1'", "input"),
    "count": (WORLD, "expect ledger lost 1", "the ledger has no 'lost'", "lost"),
    "loopback": (WORLD, "expect lo sends nothing", "lo is the loopback interface", "lo"),
    "sends": (WORLD, "eth0 sends ping", "an interface receives", "eth0"),
    "piece": (WORLD, "eth0 receives fragment 3 of ping at 68", "no fragment 3: there are 1", "fragment"),
    "field": (WORLD, "eth0 receives ping with ttl=300", "ip.ttl=300 is not in 0 to 255", "ttl"),
    "field name": (
        WORLD,
        "eth0 receives ping\nexpect eth1 sends any with tll=3",
        "no header field is called 'tll' (did you mean ttl",
        "tll",
    ),
    "option name": (WORLD, "socket d divert 1\nd sets SO_FROB 1", "no socket option 'SO_FROB'", "SO_FROB"),
    "tap": (WORLD, "socket t tap eth9", "no interface 'eth9'", "eth9"),
    "user": (WORLD, "socket d divert 1 as frob", "no such user: 'frob'", "frob"),
    "hook": (WORLD, "expect path inptu accept", "no hook 'inptu' (there are input, forward, output)", "inptu"),
    "verdict": (
        WORLD,
        "expect path input accept, output allow",
        "no verdict 'allow' (there are reject, deny, accept, redirect, masq, divert)",
        "allow",
    ),
    "pass": (BSD, "expect path input allow", "no hook 'input' (there are in, out)", "input"),
    "divrt": (
        BSD,
        "expect path in divrt 8668",
        "no verdict 'divrt' (there are allow, deny, divert, tee, nat, pipe, queue, fwd, unreach, reset, reass)",
        "divrt",
    ),
    "step": (
        BSD,
        "expect path in divert 8668 bye 100",
        "HOOK VERDICT [PORT] [by RULE], not 'in divert 8668 bye 100'",
        "bye",
    ),
    "half a step": (WORLD, "expect path input", "a step of a path is HOOK VERDICT [PORT] [by RULE]", "input"),
    "written address": (BSD, "socket d divert 1\nd writes ping address 300.1.1.1 tag 0", "'300.1.1.1'", "300.1.1.1"),
    "packed address": (
        BSD,
        "socket d divert 1\nd writes ping address 300.1.1.1 tag 0 interface em0",
        "Octet 300 (> 255) not permitted in '300.1.1.1'",
        "300.1.1.1",
    ),
    "packed tag": (
        BSD,
        "socket d divert 1\nd writes ping address 10.0.0.1 tag 70000 interface em0",
        "a tag is 0 to 65535, not 70000",
        "70000",
    ),
    "bound address": (WORLD, "socket u udp 300.1.1.1 5", "not an IPv4 address", "300.1.1.1"),
    "interface's address": (BSD, "interface em2 300.1.1.1/24", "in '300.1.1.1'", "300.1.1.1/24"),
    "length": (BSD, "interface em2 10.1.1.1/40", "'40' is not a valid netmask", "40"),
    "joined": (WORLD, "link eth0 to eth0", "eth0 cannot be joined to itself", "eth0"),
}


@pytest.mark.parametrize(("world", "text", "why", "word"), NONSENSE.values(), ids=NONSENSE)
def test_lines_that_make_no_sense_end_the_case(world: str, text: str, why: str, word: str) -> None:
    (failure,) = run(text + "\nexpect eth1 sends any", world).failures
    assert failure.is_script_error
    assert why in failure.why
    assert failure.place.line == (world + text).count("\n") + 1
    assert re.match(r"\S*", failure.place.text[failure.place.column - 1 :])[0].partition("=")[0] == word


def test_a_place_at_a_word_is_a_whole_word_behind_it() -> None:
    place = Place("a.scn", 1, 1, "link R1.eth0 to eth0 delay 10ms")
    assert place.at("eth0").column == 17
    assert place.at("eth0").at("link").column == 17
    assert place.at("eth").column == 1
    assert place.at("").column == 1
    assert place.at_named("no time: '10ms'", ["10", "10ms", "eth0"]).column == 28


def test_all_failures_of_a_case_are_told() -> None:
    text = "expect ledger received 1\nexpect ledger received 2\nexpect eth1 sends ping"
    assert [line for line, _ in failures(text)] == [1, 2, 3]


def test_a_failure_carries_both_packets_and_what_led_there_once() -> None:
    first, second = run("eth0 receives ping\nexpect eth1 sends ping\nexpect ledger received 9").failures
    assert first.expected is not None
    assert first.actual is not None
    assert first.expected[8] == first.actual[8] + 1
    assert [moment.event.kind for moment in first.led_here][:2] == [Kind.RECEIVED, Kind.FIREWALL]
    assert second.led_here == ()


def test_cases_have_worlds_of_their_own() -> None:
    script = read(WORLD + 'case "a"\nipchains -P input DENY\ncase "b"\neth0 receives ping\nexpect eth1 sends any', "a")
    assert [case.passed for case in play(script).cases] == [True, True]


ROUTERS = """
host A
interface eth0 10.0.1.2/24
route 0.0.0.0/0 via 10.0.1.1
router R freebsd-13 default_accept=yes
interface em0 10.0.1.1/24
interface em1 10.0.2.1/24
host B freebsd-11 default_accept=yes
interface em0 10.0.2.2/24
route 0.0.0.0/0 via 10.0.2.1
packet ping = IP(src="10.0.1.2", dst="10.0.2.2")/ICMP()
"""


def test_routers_joined_by_links() -> None:
    text = """
link A.eth0 to R.em0 delay 10ms
link R.em1 to B.em0 delay 20ms
on R
ipfw add 100 divert 8668 ip from any to any in
socket d divert 8668
A sends ping
expect d reads ping address 10.0.1.1 tag 100 interface em0 within 1s
d writes it back
expect B delivers ping with ttl=63 within 1s
expect d reads any with src="10.0.2.2" within 1s
d writes it back
expect A delivers any with icmp.type=0 within 1s
expect R.em1 sends nothing
"""
    assert failures(text, ROUTERS) == []


def test_a_bare_name_of_an_interface_that_several_have() -> None:
    (failure,) = run(
        "em0 receives ping\n", ROUTERS.replace("host B", "host C\ninterface eth9\nhost B") + "on C\n"
    ).failures
    assert "several routers have 'em0': say R.em0" in failure.why


def test_what_a_link_loses_and_delays_is_the_same_each_time() -> None:
    text = "link A.eth0 to R.em0 loss 50% seed 4\n" + "A sends ping\n" * 20 + "expect R.em1 sends nothing"
    (one,), (other,) = (run(text, ROUTERS).failures[:1] for _ in range(2))
    assert one == other


def test_a_divert_loop_ends() -> None:
    text = "ipfw add 100 divert 1 ip from any to any\nprogram 1 mangle --tag 0\nem0 receives ping\n"
    result = run(text.replace("mangle --tag 0", "passthrough"), BSD + "allow other packets\n")
    assert result.passed
    writer = "ipfw add 100 divert 1 ip from any to any\nsocket d divert 1\nem0 receives ping\n"
    again = "expect d reads any\nd writes it address 0.0.0.0 tag 0\n"
    assert run(writer + again * 5 + "expect d reads any", BSD).passed


def test_a_diverted_outgoing_packet_has_no_checksum_that_is_right() -> None:
    text = """
ipfw add 100 divert 1 ip from any to any out
socket d divert 1
router sends ping with src=0
expect d reads ping with src="10.0.0.1" address 0.0.0.0 tag 100
d writes it back
expect em1 sends ping with src="10.0.0.1"
"""
    assert failures(text, BSD) == []


def test_a_written_address_with_an_interface() -> None:
    text = """
socket d divert 1
d writes ping address 9.9.9.9 tag 0 interface em0
expect em1 sends ping with ttl=63
expect path in allow, out allow
"""
    assert failures(text, BSD) == []


def test_a_tap_with_a_filter() -> None:
    try:
        compile_filter("icmp")
    except ImportError as error:
        pytest.skip(str(error))
    text = 'socket t tap em0 "udp port 53"\nem0 receives ping\nem0 receives udp from 192.168.1.2 5 to 10.0.0.2 53\n'
    text += "expect t reads udp from 192.168.1.2 5 to 10.0.0.2 53\nallow other packets on em1"
    assert failures(text, BSD) == []
    (failure,) = run('socket t tap em0 "udp prt 53"', BSD).failures
    assert failure.is_script_error
    assert "udp prt 53" in failure.why or "syntax error" in failure.why


def test_a_bsd_has_no_netlink() -> None:
    assert failures("socket n netlink\nexpect failure EAFNOSUPPORT", BSD) == []


def test_a_program_s_date_is_the_time_of_the_script_from_1970_on(tmp_path: Path) -> None:
    copies = tmp_path / "copies.pcap"
    text = """
ipfw add 100 tee 8668 ip from any to any in
program 8668 tee-capture --write copies.pcap
@5 em0 receives ping
expect em1 sends any
"""
    (case,) = play(read(BSD + text, "a.scn"), Folder(tmp_path)).cases
    assert case.passed, case.failures
    assert [packet.time for packet in captures.read(copies)] == [5.0]


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("tee-capture --write ../copies.pcap", "outside the script's folder"),
        ("tee-capture --write /copies.pcap", "outside the script's folder"),
        ("tee-capture --write a.scn", "a script writes captures alone"),
        ("tee-capture --write notes.pcap", "a script writes captures alone"),
        ("natd -f ../secret -a 10.0.0.1", "outside the script's folder"),
    ],
)
def test_programs_of_a_script_have_the_files_of_its_folder_alone(tmp_path: Path, program: str, said: str) -> None:
    folder = tmp_path / "scripts"
    folder.mkdir()
    (tmp_path / "secret").write_text("log yes")
    (folder / "notes.pcap").write_text("not a capture")
    (case,) = play(read(f"{BSD}program 8668 {program}\n", "a.scn"), Folder(folder)).cases
    assert said in case.failures[0].why
    assert (folder / "notes.pcap").read_text() == "not a capture"
    (case,) = play(read(f"{BSD}program 8668 {program}\n", "a.scn")).cases
    assert not case.passed
