"""The engine of Linux 2.2: what matches, what a match does, and where the packet goes then."""

from __future__ import annotations

import pytest

from rules.fields import ICMP, MORE_FRAGMENTS, TCP, UDP, Header
from rules.ipchains import Action, Copy, Decision, Tables, Verdict

SYN, ACK, FIN, RST = 2, 16, 1, 4
HOST, OTHER = 0x0A000001, 0x0A000002


def tcp(**changes: object) -> Header:
    values: dict[str, object] = {"protocol": TCP, "source_port": 1025, "destination_port": 80, "tcp_flags": ACK}
    return packet(**({"total_length": 40} | values | changes))


def packet(**changes: object) -> Header:
    values: dict[str, object] = {"source": HOST, "destination": OTHER, "total_length": 28, "protocol": 47}
    return Header(**(values | changes))  # type: ignore[arg-type]


def tables(*commands: str, profile: str = "linux-2.2") -> Tables:
    made = Tables(profile)
    for command in commands:
        made.run(command)
    return made


def verdict(rule: str, fields: Header, interface: str = "eth0") -> Action:
    """What a chain of this one rule says; ACCEPT is the rule's miss."""
    return tables(f"-A input {rule} -j DENY").traverse("input", fields, interface).action


TCP_WHOLE = tcp()
UDP_WHOLE = packet(protocol=UDP, source_port=53, destination_port=1024)
PING = packet(protocol=ICMP, icmp_type=8, icmp_code=0)
LATER = packet(protocol=UDP, fragment=3)
LAST_OF_2048 = packet(protocol=TCP, fragment=256)
SHORT = tcp(total_length=35)
FIRST = tcp(fragment=MORE_FRAGMENTS)


@pytest.mark.parametrize(
    ("rule", "fields", "matches"),
    [
        ("", TCP_WHOLE, True),
        ("-s 10.0.0.1", TCP_WHOLE, True),
        ("-s 10.0.0.2", TCP_WHOLE, False),
        ("-s ! 10.0.0.2", TCP_WHOLE, True),
        ("-s 10.0.0.77/24", TCP_WHOLE, True),
        ("-d 10.9.9.2/255.0.0.255", TCP_WHOLE, True),
        ("-s ! 0/0", TCP_WHOLE, False),
        ("-p tcp", TCP_WHOLE, True),
        ("-p ! tcp", TCP_WHOLE, False),
        ("-p 300", packet(protocol=44), False),
        ("-p tcp -d 0/0 80", TCP_WHOLE, True),
        ("-p tcp -d 0/0 ! 80", TCP_WHOLE, False),
        ("-p tcp -s 0/0 1024:1030", TCP_WHOLE, True),
        ("-p tcp -s 0/0 2000:1000", TCP_WHOLE, False),
        ("-p tcp -s 0/0 ! 2000:1000", TCP_WHOLE, True),
        ("-p icmp -s 0/0 8 -d 0/0 0", PING, True),
        ("-p icmp --icmp-type echo-reply", PING, False),
        ("-p icmp --icmp-type ping", PING, True),
        # Fragments: no port test but the full range, no flag test at all.
        ("-f", LATER, True),
        ("! -f", LATER, False),
        ("-p udp", LATER, True),
        ("-p udp -s 0/0 53", LATER, False),
        ("-p udp -s 0/0 ! 53", LATER, False),
        ("-p udp -s 0/0 ! 0:65535", LATER, True),
        ("-p udp -s 0/0 ! 0:65535", UDP_WHOLE, False),
        ("-f", FIRST, False),
        ("! -f", FIRST, True),
        ("-f", SHORT, True),
        ("-p tcp -d 0/0 80", SHORT, False),
        ("-p tcp -y", packet(protocol=TCP, fragment=9), False),
        ("-p tcp ! -y", packet(protocol=TCP, fragment=9), False),
        # Offsets that are multiples of 256 units are no fragments to the matcher, with ports 65535 and no SYN.
        ("-f", LAST_OF_2048, False),
        ("! -f", LAST_OF_2048, True),
        ("-p tcp -s 0/0 65535", LAST_OF_2048, True),
        ("-p tcp -s 0/0 1024:", LAST_OF_2048, True),
        ("-p tcp ! -y", LAST_OF_2048, True),
        ("-p tcp -y", LAST_OF_2048, False),
        # SYN and neither ACK nor RST; FIN does not matter.
        ("-p tcp -y", tcp(tcp_flags=SYN), True),
        ("-p tcp -y", tcp(tcp_flags=SYN | FIN), True),
        ("-p tcp -y", tcp(tcp_flags=SYN | ACK), False),
        ("-p tcp -y", tcp(tcp_flags=SYN | RST), False),
        ("-p tcp ! -y", tcp(tcp_flags=SYN | ACK), True),
    ],
)
def test_match(rule: str, fields: Header, matches: bool) -> None:
    assert (verdict(rule, fields) is Action.DENY) is matches


@pytest.mark.parametrize(
    ("rule", "interface", "matches"),
    [
        ("-i eth0", "eth0", True),
        ("-i eth0", "eth0:1", False),
        ("-i ETH0", "eth0", False),
        ("-i eth+", "eth10", True),
        ("-i eth+", "eth", True),
        ("-i eth+", "ppp0", False),
        ("-i +", "ppp0", True),
        ("-i ! +", "ppp0", False),
        ("-i ! eth0", "ppp0", True),
        ("-i ! eth+", "eth1", False),
    ],
)
def test_interface(rule: str, interface: str, matches: bool) -> None:
    assert (verdict(rule, TCP_WHOLE, interface) is Action.DENY) is matches


def test_before_any_rule() -> None:
    firewall = tables("-A input -j ACCEPT")
    tiny = firewall.traverse("input", packet(protocol=TCP, fragment=1), "eth0")
    short = firewall.traverse("input", packet(protocol=ICMP, fragment=MORE_FRAGMENTS, total_length=27), "eth0")
    assert (tiny.action, tiny.rule, tiny.decision) == (Action.DENY, "suspect-tcp-fragment", Decision.CHECK)
    assert tiny.log == (
        "Suspect TCP fragment.",
        "eth0 PROTO=6 10.0.0.1:0 10.0.0.2:0 L=28 S=0x00 I=0 F=0x0001 T=64 (#0)",
    )
    assert (short.action, short.rule) == (Action.DENY, "suspect-short-first-fragment")
    assert firewall.chains["input"].entries[0].packets == 0
    gre = packet(fragment=MORE_FRAGMENTS, total_length=20)
    assert firewall.traverse("input", gre, "eth0").action is Action.ACCEPT


def test_policy_and_counters() -> None:
    firewall = tables("-P input REJECT", "-A input -p udp")
    said = firewall.traverse("input", UDP_WHOLE, "eth0")
    assert (said.action, said.rule, said.matched) == (Action.REJECT, "input:policy", ("input:1",))
    firewall.traverse("input", TCP_WHOLE, "eth0")
    chain = firewall.chains["input"]
    assert (chain.packets, chain.octets) == (2, 68)
    assert (chain.entries[0].packets, chain.entries[0].octets) == (1, 28)


def test_user_chains() -> None:
    firewall = tables(
        "-N u0", "-N u1", "-A input -j u0", "-A input -j DENY",
        "-A u0 -p udp -j u1", "-A u0 -p tcp -j RETURN", "-A u0 -j REJECT", "-A u1 -s 10.0.0.9 -j ACCEPT",
    )  # fmt: skip
    udp = firewall.traverse("input", UDP_WHOLE, "eth0")
    assert (udp.action, udp.rule, udp.matched) == (Action.REJECT, "u0:3", ("input:1", "u0:1", "u0:3"))
    returned = firewall.traverse("input", TCP_WHOLE, "eth0")
    assert (returned.rule, returned.matched) == ("input:2", ("input:1", "u0:2", "input:2"))


def test_return_in_a_built_in_chain_is_its_policy() -> None:
    said = tables("-P input DENY", "-A input -j RETURN", "-A input -j ACCEPT").traverse("input", PING, "eth0")
    assert (said.action, said.rule, said.matched) == (Action.DENY, "input:policy", ("input:1",))


def test_loop() -> None:
    firewall = tables("-N a", "-N b", "-A input -j a", "-A a -j b", "-A b -j a")
    said = firewall.traverse("input", PING, "eth0")
    assert (said.action, said.rule, said.decision) == (Action.DENY, "loop@b:1", Decision.LOOP)
    assert said.log == ("IP firewall: Loop detected at `a'.", "Chain backtrace: b<-a<-input")
    assert [firewall.chains[name].entries[0].packets for name in ("input", "a", "b")] == [1, 1, 1]
    assert firewall.chains["input"].packets == 0


def test_the_same_chain_twice_is_no_loop() -> None:
    said = tables("-N a", "-A input -j a", "-A input -j a", "-A a -p 1").traverse("input", PING, "eth0")
    assert said.matched == ("input:1", "a:1", "input:2", "a:1")


def test_effects_add_up() -> None:
    firewall = tables(
        "-A input -t 0x01 0x10 -m 7", "-A input -m +5 -o 24 -l", "-A input -m -13 -o -t 0xFF 0x08 -j ACCEPT"
    )
    said = firewall.traverse("input", packet(protocol=TCP, fragment=7, tos=0xFF, mark=3), "eth0")
    assert (said.tos, said.mark, said.changed) == (0x19, 0xFFFFFFFF, True)
    assert said.copies == (Copy(0x11, 12, "eth0", 24), Copy(0x19, 0xFFFFFFFF, "eth0", 65535))
    assert said.log == (
        "Packet log: input - eth0 PROTO=6 10.0.0.1:65535 10.0.0.2:65535 L=28 S=0x11 I=0 F=0x0007 T=64 (#1)",
    )


def test_log_numbers_restart_as_the_switch_says() -> None:
    rules = ("-A input -p 47", "-A input -p 47", "-A input -l -j ACCEPT")
    assert tables(*rules).traverse("input", packet(), "eth0").log[0].endswith("(#1)")
    assert tables(*rules, profile="linux-2.0").traverse("input", packet(), "eth0").log[0].endswith("(#3)")


def test_log_numbers_restart_after_a_chain_returned() -> None:
    firewall = tables("-N u", "-A input -p 47", "-A input -j u", "-A input -l", "-A u -l", "-A u -l")
    said = firewall.traverse("input", packet(), "eth0")
    assert [line[-4:] for line in said.log] == ["(#1)", "(#1)", "(#1)"]
    firewall.run("-I input 3 -p 50")
    assert firewall.traverse("input", packet(), "eth0").log[2].endswith("(#2)")


def test_log_shows_options_syn_and_port() -> None:
    firewall = tables("-A input -p tcp -l -j REDIRECT 8080")
    opening = tcp(tcp_flags=SYN, options=bytes.fromhex("8307040a00000100"), header_length=28, total_length=48)
    assert firewall.traverse("input", opening, "ppp0").log == (
        "Packet log: input REDIRECT 8080 ppp0 PROTO=6 10.0.0.1:1025 10.0.0.2:80"
        " L=48 S=0x00 I=0 F=0x0000 T=64 O=0x0A040783 O=0x00010000 SYN (#1)",
    )


def test_redirect_to_its_own_port() -> None:
    firewall = tables("-A input -p udp -j REDIRECT", "-N u", "-A u -p tcp -j REDIRECT 0", "-A input -j u")
    assert firewall.traverse("input", UDP_WHOLE, "eth0").port == 1024
    assert firewall.traverse("input", LATER, "eth0").port == 65535
    assert firewall.traverse("input", TCP_WHOLE, "eth0").port == 80


def test_unmarked_packets_share_an_answer() -> None:
    firewall = tables("-A input -p tcp -j ACCEPT")
    first, second = (firewall.traverse("input", TCP_WHOLE, "eth0") for _ in range(2))
    assert first is second
    assert first == Verdict(Action.ACCEPT, Decision.RULE, "input:1", ("input:1",), 0, 0, False)
    marked = firewall.traverse("input", tcp(mark=9, tos=8), "eth0")
    assert (marked.mark, marked.tos, marked.changed) == (9, 8, False)
    firewall.run("-I input -p udp -j DENY")
    assert firewall.traverse("input", TCP_WHOLE, "eth0").rule == "input:2"


def test_a_new_policy_answers_at_once() -> None:
    firewall = tables()
    assert firewall.traverse("output", PING, "eth0").action is Action.ACCEPT
    firewall.run("-P output DENY")
    assert firewall.traverse("output", PING, "eth0").action is Action.DENY
    assert firewall.chains["output"].packets == 2


def test_divert() -> None:
    firewall = tables("-A forward -p icmp -j DIVERT 1234", "-A forward -j DENY")
    said = firewall.traverse("forward", PING, "eth0")
    assert (said.action, said.port, said.rule) == (Action.DIVERT, 1234, "forward:1")


def test_a_diverted_packet_passes_divert_rules() -> None:
    firewall = tables("-A input -j DIVERT 1 -m 5", "-A input -p icmp -j DENY", "-A input -j DIVERT 2")
    said = firewall.traverse("input", PING, "eth0", diverted=True)
    assert (said.rule, said.matched, said.mark) == ("input:2", ("input:2",), 0)
    said = firewall.traverse("input", TCP_WHOLE, "eth0", diverted=True)
    assert said.rule == "input:policy"
    assert [entry.packets for entry in firewall.chains["input"].entries] == [0, 1, 0]


def test_pass_through() -> None:
    firewall = tables("-A input -j DIVERT 1 -m 5 -l", "-A input -j DIVERT 2", "-A input -j DENY")
    said = firewall.traverse("input", PING, "eth0", listening={2})
    assert (said.action, said.port, said.matched, said.mark) == (Action.DIVERT, 2, ("input:1", "input:2"), 5)
    assert "DIVERT 1 eth0" in said.log[0]
    nobody = firewall.traverse("input", PING, "eth0", listening=frozenset())
    assert (nobody.rule, nobody.matched) == ("input:3", ("input:1", "input:2", "input:3"))
    assert [entry.packets for entry in firewall.chains["input"].entries] == [2, 2, 1]


@pytest.mark.parametrize(
    ("fields", "action", "rule"),
    [
        (packet(protocol=UDP, fragment=100), Action.ACCEPT, "later-fragment"),
        (packet(protocol=47, fragment=100), Action.DENY, "input:policy"),
        (packet(protocol=TCP, fragment=1), Action.DENY, "suspect-tcp-fragment"),
        (tcp(total_length=35), Action.DENY, "short-transport-header"),
        (packet(protocol=UDP, total_length=27), Action.DENY, "short-transport-header"),
        (tcp(), Action.DENY, "input:policy"),
    ],
)
def test_linux_2_0(fields: Header, action: Action, rule: str) -> None:
    said = tables("-P input DENY", profile="linux-2.0").traverse("input", fields, "eth0")
    assert (said.action, said.rule, said.log) == (action, rule, ())


def test_linux_2_0_changes_the_tos_of_what_passes_only() -> None:
    for target, tos in (("ACCEPT", 0x10), ("DENY", 0)):
        firewall = tables(f"-A input -t 0x01 0x10 -j {target}", profile="linux-2.0")
        assert firewall.traverse("input", PING, "eth0").tos == tos
        assert tables(f"-A input -t 0x01 0x10 -j {target}").traverse("input", PING, "eth0").tos == 0x10


def test_unknown_chain() -> None:
    with pytest.raises(KeyError, match="INPUT"):
        Tables().traverse("INPUT", PING, "eth0")
