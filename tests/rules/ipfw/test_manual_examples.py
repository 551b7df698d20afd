"""What the EXAMPLES of ipfw(8) do, with addresses and names of our own: it all parses, and lists as the tool lists it.

Left out are the examples that need what is not here: ``ngtee`` and layer 2, and host names but ``localhost``.
"""

from __future__ import annotations

import pytest

from rules.errors import CommandError
from rules.fields import Header
from rules.ipfw import Action, RuleSet
from simulator import Reason
from tests.bsd_worlds import LEFT, RIGHT, BsdWorld
from tests.datagrams import tcp, udp

MODERN = ("freebsd-10", "freebsd-11", "freebsd-13", "freebsd-14")

FILTERING = [
    (
        "add deny tcp from 203.0.113.7 to 198.51.100.9 telnet",
        "00100 deny tcp from 203.0.113.7 to 198.51.100.9 dst-port 23",
    ),
    ("add deny ip from 203.0.113.0/24 to me", "00100 deny ip from 203.0.113.0/24 to me"),
    ("add allow tcp from any to any established", "00100 allow tcp from any to any established"),
    (
        "add allow tcp from 10.1.0.0/16 1024-65535 to 10.2.0.0/16 22,25,80 setup",
        "00100 allow tcp from 10.1.0.0/16 1024-65535 to 10.2.0.0/16 dst-port 22,25,80 setup",
    ),
    (
        "add allow ip from { 10.1.2.0/24{20,35,66,18} or 10.2.3.0/28{6,3,11} } to any",
        "00100 allow ip from { 10.1.2.0/24{18,20,35,66} or 10.2.3.0/28{3,6,11} } to any",
    ),
    ("add deny ip from 10.1.2.0/24{8,38,60} to any", "00100 deny ip from 10.1.2.0/24{8,38,60} to any"),
    ("add deny ip from any to any not verrevpath in", "00100 deny ip from any to any not verrevpath in"),
    ("add deny ip from any to any not antispoof in", "00100 deny ip from any to any not antispoof in"),
    ("add setdscp ef ip from any to any dscp af11,af21", "00100 setdscp ef ip from any to any dscp af11,af21"),
    ("add divert 5000 ip from 192.168.7.0/24 to any in", "00100 divert 5000 ip from 192.168.7.0/24 to any in"),
    ("add prob 0.05 deny ip from any to any in", "00100 prob 0.050000 deny ip from any to any in"),
    ("add nat 123 all from any to any", "00100 nat 123 ip from any to any"),
]


@pytest.mark.parametrize("profile", MODERN)
@pytest.mark.parametrize(("command", "line"), FILTERING, ids=[line[6:50] for _, line in FILTERING])
def test_one_rule(profile: str, command: str, line: str) -> None:
    rules = RuleSet(profile)
    if profile in ("freebsd-13", "freebsd-14"):
        line = line.replace("dst-port ", "")
    printed = rules.run(command)
    assert printed.rstrip("\n") == line
    assert rules.run("list 100") == printed


@pytest.mark.parametrize("profile", MODERN)
def test_dynamic_rules_let_in_only_answers(profile: str) -> None:
    world = BsdWorld(profile, default_accept=False)
    for rule in (
        "check-state",
        "deny tcp from any to any established",
        "allow tcp from 192.168.1.0/24 to any setup keep-state",
    ):
        world.router.ipfw(f"add {rule}")
    world.em1.receive(tcp(RIGHT, LEFT, ports=(80, 5000), flags=18, acknowledgment=1))
    assert world.sent == []
    world.em0.receive(tcp(LEFT, RIGHT, flags=2))
    world.em1.receive(tcp(RIGHT, LEFT, ports=(80, 5000), flags=18, acknowledgment=1))
    assert len(world.sent) == 2


@pytest.mark.parametrize("profile", MODERN)
def test_connections_are_limited(profile: str) -> None:
    world = BsdWorld(profile, default_accept=False)
    world.router.ipfw("add allow tcp from 192.168.1.0/24 to any setup limit src-addr 2")
    for port in (1, 2, 3):
        world.em0.receive(tcp(LEFT, RIGHT, ports=(port, 80), flags=2))
    assert len(world.sent) == 2
    assert "too many entries" in world.router.messages[-1]


@pytest.mark.parametrize("profile", MODERN)
def test_listings(profile: str) -> None:
    rules = RuleSet(profile)
    assert rules.run("-a list") == rules.run("show") == "65535 0 0 deny ip from any to any\n"
    blank = " " * (25 if profile in ("freebsd-13", "freebsd-14") else 24)
    assert rules.run("-at list") == f"65535 0 0 {blank}deny ip from any to any\n"


SINCE_11 = MODERN[1:]


@pytest.mark.parametrize("profile", SINCE_11)
def test_lookup_tables(profile: str) -> None:
    rules = RuleSet(profile, fibs=16)
    for command in (
        "table T1 create type addr",
        "table T1 add 192.168.2.0/24 1",
        "table T1 add 192.168.0.0/27 4",
        "table T1 add 192.168.0.2 1",
        "table T2 create type addr valtype ipv4",
        "table T2 add 192.168.2.0/24 10.23.2.1",
        "table IN create type iface valtype skipto,fib",
        "table IN add vlan20 12000,12",
        "table OUT create type iface valtype skipto",
        "table OUT add vlan20 22000",
        "table fl create type flow:src-ip,proto,dst-ip,dst-port",
        "table fl add 10.0.0.1,udp,10.0.0.2,53 12",
        "add 50 allow ip from any to any flow table(fl,12) recv ix0",
        "add 100 fwd tablearg ip from any to table(T2)",
        "add 110 setfib tablearg ip from any to any recv table(IN) in",
        "add 200 skipto tablearg ip from any to any recv table(IN) in",
        "add 300 skipto tablearg ip from any to any xmit table(OUT) out",
    ):
        rules.run(command)
    packet = Header(destination=0xC0A80209, receive_interface="vlan20")
    assert rules.evaluate(packet).next_hop == (0x0A170201, 0)
    packet.destination = 1
    assert rules.evaluate(packet).counted == (110, 200, 65535)


@pytest.mark.parametrize("profile", MODERN)
def test_a_set_is_switched_on_at_once_and_off_again(profile: str) -> None:
    rules = RuleSet(profile)
    rules.run("set disable 18")
    for number in (10, 20):
        rules.run(f"add {number} set 18 allow udp from any to any")
    packet = Header(protocol=17)
    assert rules.evaluate(packet).action is Action.DENY
    rules.run("set enable 18")
    assert rules.evaluate(packet).rule == 10
    assert len(rules.run("set 18 show").splitlines()) == 2
    rules.run("set disable 18")
    assert rules.run("set 18 show") == ""
    assert rules.run("-S set 18 show").startswith("# DISABLED 00010 1 20 set 18 allow")
    rules.run("set 18 zero 10")
    rules.run("set 18 delete 10")
    assert [rule.number for rule in rules] == [20, 65535]
    rules.run("delete set 18")
    assert len(rules) == 1


@pytest.mark.parametrize("profile", MODERN)
def test_sets_are_swapped_in_one_step(profile: str) -> None:
    """A new list is written into a set that is off, and changes places with the old one."""
    rules = RuleSet(profile)
    rules.run("add 10 set 1 deny udp from any to any")
    rules.run("set disable 2")
    rules.run("add 10 set 2 allow udp from any to any")
    assert rules.evaluate(Header(protocol=17)).action is Action.DENY
    rules.run("set swap 1 2")
    assert rules.evaluate(Header(protocol=17)).action is Action.ALLOW


@pytest.mark.parametrize("profile", ["freebsd-13", "freebsd-14"])
def test_a_translated_flow_is_found_again_by_its_state(profile: str) -> None:
    """``record-state`` and ``defer-action`` make state before a packet is translated, and act on it later."""
    rules = RuleSet(profile)
    for command in (
        "add 100 check-state :pub",
        "add 200 skipto 1000 tcp from any to any setup out record-state :pub defer-action",
        "add 300 allow tcp from any to any out",
        "add 1000 divert 8668 ip from any to any",
    ):
        rules.run(command)
    segment = Header(
        protocol=6, source=1, destination=2, source_port=1, destination_port=2, tcp_flags=2, transmit_interface="em0"
    )
    assert rules.evaluate(segment).counted == (300,)
    assert rules.evaluate(segment).counted == (200, 1000)


NATS = [
    "nat 123 config ip 192.0.2.1 log deny_in reset same_ports",
    "nat 123 config ip 10.0.0.1",
    "nat 1 config ip 10.0.0.9 redirect_addr 10.0.0.1 10.0.0.66",
    "nat 2 config ip 10.0.0.9 redirect_port tcp 192.168.0.1:80 500",
    "nat 3 config ip 10.0.0.9 redirect_proto udp 192.168.1.43 192.168.1.1",
    "nat 4 config ip 10.0.0.9 redirect_addr 192.168.0.10,192.168.0.11,192.168.0.12 10.0.0.100",
    "nat 5 config ip 10.0.0.9 redirect_port tcp 192.168.0.1:80,192.168.0.10:22,192.168.0.20:25 500",
    "nat show config",
]


@pytest.mark.parametrize("command", NATS)
def test_translation(command: str) -> None:
    BsdWorld("freebsd-13").router.ipfw(command)


@pytest.mark.parametrize("profile", MODERN)
def test_a_file_of_commands(profile: str) -> None:
    text = """\
# a small firewall
-f flush
add 100 allow ip from any to any via lo0      # the host itself
add 200 deny ip from any to 127.0.0.0/8
add 300 check-state

add 400 allow tcp from any to me 22, 80 setup keep-state
add 65000 deny log ip from any to any
"""
    rules = RuleSet(profile, files={"/etc/ipfw.rules": text})
    assert rules.run(["-q", "/etc/ipfw.rules"]) == ""
    assert [rule.number for rule in rules] == [100, 200, 300, 400, 65000, 65535]
    assert rules.run(["-n", "/etc/ipfw.rules"]).count("\n") == 6


def test_diverting_and_going_on() -> None:
    world = BsdWorld("freebsd-14", "100 divert 5000 ip from 192.168.1.0/24 to any in")
    sock = world.divert(5000)
    world.em0.receive(udp(LEFT, RIGHT))
    sock.sendto(*sock.recvfrom(65535))
    assert len(world.sent) == 1


LOCALHOST = "add deny tcp from localhost to 198.51.100.9 telnet"


@pytest.mark.parametrize("profile", ["freebsd-4", *MODERN, "dragonfly"])
def test_host_names(profile: str) -> None:
    """The name that every host knows; others are refused as names that nobody could look up."""
    assert "deny tcp from 127.0.0.1 to 198.51.100.9" in RuleSet(profile).run(LOCALHOST)
    with pytest.raises(CommandError, match=r"hostname ``mail\.example'' unknown"):
        RuleSet(profile).run(LOCALHOST.replace("localhost", "mail.example"))


EVERY = ("freebsd-4", *MODERN, "dragonfly")
SLOW_LINES = {
    "one link for a network": [
        "add pipe 10 ip from 192.168.1.0/24 to any out",
        "pipe 10 config bw 300Kbit/s queue 50KBytes",
    ],
    "a link each way": [
        "add pipe 1 ip from any to any out",
        "add pipe 2 ip from any to any in",
        "pipe 1 config bw 64Kbit/s queue 10KBytes",
        "pipe 2 config bw 640Kbit/s queue 30KBytes",
    ],
    "a server that is far away": [
        "add pipe 3 tcp from any to any 80 out",
        "add pipe 4 tcp from any 80 to any in",
        "pipe 3 config delay 250ms bw 1Mbit/s",
        "pipe 4 config delay 250ms bw 1Mbit/s",
    ],
    "a link for each host": [
        "add pipe 1 ip from 192.168.1.0/24 to any out",
        "add pipe 2 ip from any to 192.168.1.0/24 in",
        "pipe 1 config mask src-ip 0x000000ff bw 200Kbit/s queue 20KBytes",
        "pipe 2 config mask dst-ip 0x000000ff bw 200Kbit/s queue 20KBytes",
    ],
    "weights on one link": [
        "add queue 1 tcp from any to any out",
        "add queue 2 ip from any to any out",
        "pipe 1 config bw 500Kbit/s",
        "queue 1 config pipe 1 weight 75",
        "queue 2 config pipe 1 weight 25 mask dst-ip 0xffffffff",
    ],
    "random early drops": ["add pipe 5 ip from any to any out", "pipe 5 config bw 1Mbit/s red 0.002/10/30/0.1"],
}


@pytest.mark.parametrize("profile", EVERY)
@pytest.mark.parametrize("commands", SLOW_LINES.values(), ids=SLOW_LINES)
def test_slow_lines(profile: str, commands: list[str]) -> None:
    """What is typed is listed, and a datagram gets through, but not at once."""
    world = BsdWorld(profile)
    for command in commands:
        world.router.ipfw(command)
    world.router.ipfw("pipe show")
    rules = world.router.ipfw("list").splitlines()
    assert [line.split()[1:3] for line in rules[:-1]] == [each.split()[1:3] for each in commands if each[0] == "a"]
    world.em0.receive(tcp(LEFT, RIGHT))
    assert world.sent == []
    world.router.clock.advance(2.0)
    assert len(world.sent) == 1
    assert world.router.ledger.held == 0


@pytest.mark.parametrize("profile", EVERY)
def test_a_link_that_loses(profile: str) -> None:
    world = BsdWorld(profile, "pipe 10 ip from any to any out")
    world.router.ipfw("pipe 10 config plr 0.05")
    for _ in range(400):
        world.em0.receive(tcp(LEFT, RIGHT))
    lost = world.router.ledger.dropped[Reason.PIPE_LOSS]
    assert 5 < lost < 40
    assert len(world.sent) == 400 - lost


@pytest.mark.parametrize("profile", MODERN)
def test_schedulers(profile: str) -> None:
    """Traffic of each service in turn, one queue each, and a burst at the start."""
    world = BsdWorld(profile)
    for command in (
        "pipe 1 config bw 800Kbit/s burst 1K",
        "sched 1 config pipe 1 type rr",
        "queue 1 config sched 1",
        "queue 2 config sched 1",
        "add queue 1 tcp from any to any out",
        "add queue 2 udp from any to any out",
    ):
        world.router.ipfw(command)
    assert "type RR" in world.router.ipfw("sched show")
    for _ in range(50):
        world.em0.receive(tcp(LEFT, RIGHT))
    for _ in range(4):
        world.em0.receive(udp(LEFT, RIGHT))
    world.router.clock.advance(60.0)
    protocols = [octets[9] for octets in world.sent]
    assert len(protocols) == 54
    assert protocols[-4:] == [6] * 4
