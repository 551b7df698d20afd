"""``nat``: its commands, messages and listings, its rules, and what a rule set says of them without a router."""

from __future__ import annotations

import pytest

from rules.fields import Header
from rules.ipfw import Action, Host, RuleSet

SINCE_8 = ("freebsd-10", "freebsd-11", "freebsd-13", "freebsd-14")
HOST = Host({"em0": "1.2.3.4/24", "em1": "192.168.1.1/24"})


def rule_set(profile: str = "freebsd-11", *commands: str) -> RuleSet:
    rules = RuleSet(profile, HOST)
    for command in commands:
        rules.run(command)
    return rules


def answer(command: str, *before: str, profile: str = "freebsd-11") -> tuple[int, str]:
    """Exit status, and what was printed on either stream."""
    result = rule_set(profile, *before).execute(command)
    return result.status, result.stdout + result.stderr


# -- config and its listing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "listed"),
    [
        ("ip 1.2.3.4", "ip 1.2.3.4"),
        ("ip 0x01020304", "ip 1.2.3.4"),
        ("if em0", "if em0"),
        (
            "if em0 proxy_only reverse reset unreg_only skip_global same_ports deny_in log",
            "if em0 log deny_in same_ports skip_global unreg_only reset reverse proxy_only",
        ),
        ("if em0 log log", "if em0 log"),
        ("log", "log"),
        ("ip 1.2.3.4 if em0", "if em0"),
        ("ip 1.2.3.4 redirect_port tcp 192.168.1.2:80 8080", None),
        ("ip 1.2.3.4 redirect_port tcp 192.168.1.2:http www", "ip 1.2.3.4 redirect_port tcp 192.168.1.2:80 80"),
        ("ip 1.2.3.4 redirect_port udp 192.168.1.2:53-55 1.2.3.4:1053-1055", None),
        ("ip 1.2.3.4 redirect_port tcp 192.168.1.2:80 8080 9.9.9.9", None),
        ("ip 1.2.3.4 redirect_port tcp 192.168.1.2:80 8080 9.9.9.9:1024", None),
        ("ip 1.2.3.4 redirect_port tcp 192.168.1.2:80-81 80-81 9.9.9.9:5-6", None),
        (
            "ip 1.2.3.4 redirect_port tcp 192.168.1.2:80 8080 9.9.9.9:0",
            "ip 1.2.3.4 redirect_port tcp 192.168.1.2:80 8080 9.9.9.9",
        ),
        # The kernel keeps servers, and redirections, newest first.
        (
            "redirect_port tcp 10.0.0.2:80,10.0.0.3:81 1.2.3.4:80",
            "redirect_port tcp 10.0.0.3:81,10.0.0.2:80 1.2.3.4:80",
        ),
        ("redirect_addr 10.0.0.2 1.2.3.5", None),
        ("redirect_addr 10.0.0.2 0.0.0.0", None),
        ("redirect_addr 10.0.0.2,10.0.0.3 1.2.3.5", "redirect_addr 10.0.0.3,10.0.0.2 1.2.3.5"),
        ("redirect_proto esp 10.0.0.2", None),
        ("redirect_proto esp 10.0.0.2 1.2.3.5", None),
        ("redirect_proto gre 10.0.0.2 1.2.3.5 9.9.9.9", None),
        (
            "redirect_addr 10.0.0.2 1.2.3.5 redirect_proto esp 10.0.0.2 log redirect_port tcp 10.0.0.3:80 80",
            "log redirect_port tcp 10.0.0.3:80 80 redirect_proto esp 10.0.0.2 redirect_addr 10.0.0.2 1.2.3.5",
        ),
    ],
)
def test_what_is_configured_is_listed(words: str, listed: str | None) -> None:
    expected = f"ipfw nat 7 config {words if listed is None else listed}\n"
    rules = rule_set()
    assert rules.run(f"nat 7 config {words}") == expected
    assert rules.run("nat show config") == rules.run("nat 7 show config") == rules.run("nat show config 7") == expected
    (instance,) = rules.nats
    again = rule_set()
    again.run(str(instance))
    assert [*again.nats] == [instance]


@pytest.mark.parametrize("profile", ["freebsd-13", "freebsd-14"])
def test_what_is_new_in_13(profile: str) -> None:
    for words in ("if em0 unreg_cgn", "if em0 unreg_cgn port_range 2000-3000"):
        assert answer(f"nat 1 config {words}", profile=profile) == (0, f"ipfw nat 1 config {words}\n")


@pytest.mark.parametrize(
    ("words", "complaint", "status"),
    [
        ("config", "missing nat id", 65),
        ("config frob ip 1.2.3.4", "illegal nat id: frob", 65),
        ("0 config ip 1.2.3.4", "illegal nat id: 0", 65),
        ("1x config ip 1.2.3.4", "illegal nat id: 1x", 65),
        ("1 config", "missing option", 65),
        ("1 config ip", "missing option", 65),
        ("1 config if", "missing option", 65),
        ("1 config log ip", "missing option", 65),
        ("1 config ip frob", "bad ip address ``frob''", 65),
        ("1 config ip 1.2.3.4 frob", "unrecognised option ``frob''", 65),
        ("1 config ip frob frob", "unrecognised option ``frob''", 65),
        ("1 config deny_incoming", "unrecognised option ``deny_incoming''", 65),
        ("1 config if em7", "unknown interface name em7", 1),
        ("1 config redirect_addr 10.0.0.1", "redirect_addr: not enough arguments", 65),
        ("1 config redirect_port tcp 10.0.0.1:80", "redirect_port: not enough arguments", 65),
        ("1 config redirect_proto esp", "redirect_proto: not enough arguments", 65),
        ("1 config redirect_addr frob 1.2.3.4", "unknown host frob", 1),
        ("1 config redirect_proto frob 1.2.3.4", "redirect_proto: unknown protocol frob", 65),
        ("1 config redirect_port icmp 10.0.0.1:1 1", "unknown protocol icmp. Expected sctp, tcp or udp", 65),
        ("1 config redirect_port sctp 10.0.0.1 1", "redirect_port: sctp is not modelled here", 69),
        ("1 config redirect_port tcp 10.0.0.1 80", "10.0.0.1 is missing port number", 65),
        ("1 config redirect_port tcp 10.0.0.1:frob 80", "frob/tcp: unknown service", 65),
        ("1 config redirect_port tcp 10.0.0.1:80 1.2.3.4:", "/tcp: unknown service", 65),
        ("1 config redirect_port tcp 10.0.0.1:9-8 80", "invalid port range 9-8", 65),
        ("1 config redirect_port tcp 10.0.0.1:80-81 80", "redirect_port: port ranges must be equal in size", 65),
        ("1 config redirect_port tcp 10.0.0.1:1-2,10.0.0.2:1 80",
         "redirect_port: local port must be single in this context", 65),
        ("1 config redirect_port tcp 10.0.0.1:80 80 9.9.9.9:1-2",
         "redirect_port: remote port mustbe 0 or equal to local port range in size", 65),
        ("1 config port_range 2000-3000", "unrecognised option ``port_range''", 65),
        ("1 config unreg_cgn", "unrecognised option ``unreg_cgn''", 65),
        ("frob", "bad command `frob'", 64),
        ("", "missing command", 64),
        ("show", "Please specify action. Available: config,log", 64),
        ("show config 1 2", "only one instance name may be specified", 64),
        ("show config 1", "Error getting nat 1 instance info: No such process", 71),
        ("5 show log", "Error getting nat 5 instance info: No such process", 71),
        ("2 show log", "Error getting nat 2 instance info: No such file or directory", 71),
        ("delete", "missing rule specification", 64),
        ("5 delete", "nat 5 not available: Invalid argument", 69),
    ],
)  # fmt: skip
def test_messages(words: str, complaint: str, status: int) -> None:
    rules = rule_set("freebsd-11", "nat 2 config ip 1.2.3.4")
    before = [*rules.nats]
    result = rules.execute(f"nat {words}")
    assert (result.status, result.stdout, result.stderr) == (status, "", f"ipfw: {complaint}\n")
    assert [*rules.nats] == before


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("port_range 80-90", "You need a range of port(s) from 1024 <= x < 65536"),
        ("port_range 2000", "You need a range of port(s) from 1024 <= x < 65536"),
        ("port_range 2000-70000", "You need a range of port(s) from 1024 <= x < 65536"),
        ("port_range 3000-2000", "Upper port has to be greater than lower port"),
    ],
)
def test_port_ranges_that_are_none(words: str, complaint: str) -> None:
    assert answer(f"nat 1 config {words}", profile="freebsd-13") == (65, f"ipfw: {complaint}\n")


@pytest.mark.parametrize(
    ("profile", "complaint"),
    [
        ("freebsd-10", "rule 5 not available: Invalid argument"),
        ("freebsd-11", "nat 5 not available: Invalid argument"),
        ("freebsd-13", "nat 5 not available: No such process"),
    ],
)
def test_an_instance_that_is_not_there_cannot_be_deleted(profile: str, complaint: str) -> None:
    for command in ("nat 5 delete", "nat delete 5"):
        assert answer(command, profile=profile) == (69, f"ipfw: {complaint}\n")
    loud = profile == "freebsd-10"
    assert answer("-q nat 5 delete", profile=profile) == (69, f"ipfw: {complaint}\n" if loud else "")


def test_delete_takes_several_and_one_that_is_used() -> None:
    rules = rule_set("freebsd-11", *(f"nat {number} config ip 1.2.3.4" for number in (1, 2, 3)))
    rules.run("add 100 nat 1 ip from any to any")
    assert rules.run("nat delete 1 3") == ""
    assert [instance.number for instance in rules.nats] == [2]
    assert len(rules) == 2


def test_the_listing_is_in_order_of_numbers() -> None:
    rules = rule_set("freebsd-11", *(f"nat {number} config ip 1.2.3.{number}" for number in (10, 9, 100)))
    assert rules.run("nat show config") == "".join(f"ipfw nat {n} config ip 1.2.3.{n}\n" for n in (9, 10, 100))
    assert [instance.number for instance in rules.nats] == [100, 9, 10]


def test_quiet_and_dry() -> None:
    rules = rule_set()
    assert rules.run("-n nat 1 config ip 1.2.3.4") == ""
    assert len(rules.nats) == 0
    assert rules.run("-q nat 1 config ip 1.2.3.4") == ""
    assert rules.run("-n nat 1 delete") == rules.run("-n nat show config") == ""
    assert len(rules.nats) == 1


def test_abbreviations() -> None:
    rules = rule_set()
    result = rules.execute("na 1 conf ip 1.2.3.4")
    assert result.stderr == "ipfw: DEPRECATED: 'conf' matched 'config' as a sub-string\n"
    assert rules.execute("nat show c") == ("ipfw nat 1 config ip 1.2.3.4\n", "", 0)


def test_other_commands_behind_nat_are_meant_for_rules() -> None:
    rules = rule_set("freebsd-11", "nat 1 config ip 1.2.3.4")
    assert rules.run("nat add 100 allow ip from any to any") == "00100 allow ip from any to any\n"
    assert "00100 allow" in rules.run("nat list")
    rules.run("-q nat flush")
    assert (len(rules), len(rules.nats)) == (1, 1)


@pytest.mark.parametrize("profile", ["freebsd-4", "dragonfly"])
def test_older_systems_have_no_nat(profile: str) -> None:
    assert answer("nat 1 config ip 1.2.3.4", profile=profile) == (64, "ipfw: bad command `nat'\n")
    refused = {"freebsd-4": "invalid action ``nat''\n", "dragonfly": "invalid action nat\n\n"}[profile]
    assert answer("add 100 nat 1 ip from any to any", profile=profile) == (65, f"ipfw: {refused}")


def test_without_any_interface_every_name_will_do() -> None:
    rules = RuleSet("freebsd-11")
    assert rules.run("nat 1 config if em0") == "ipfw nat 1 config if em0\n"


# -- rules -------------------------------------------------------------------------------------------------------------

ANYTHING = Header(source=1, destination=2, protocol=17, source_port=3, destination_port=4, total_length=100)


@pytest.mark.parametrize("profile", SINCE_8)
@pytest.mark.parametrize("action", ["nat 1", "nat 65534", "nat global", "nat tablearg"])
def test_rules_are_listed_and_can_be_typed_again(profile: str, action: str) -> None:
    rules = rule_set(profile)
    listed = rules.run(f"add 100 {action} ip from any to any")
    assert listed == f"00100 {action} ip from any to any\n"
    rule = next(iter(rules))
    rules.run(f"add {rule}")
    assert [*rules][1] == rule


@pytest.mark.parametrize(
    ("words", "complaint", "status"),
    [
        ("nat", "missing argument for nat", 64),
        ("nat ip from any to any", "illegal argument for nat", 65),
        ("nat 0 ip from any to any", "illegal argument for nat", 65),
        ("nat 65535 ip from any to any", "illegal argument for nat", 65),
    ],
)
def test_wrong_rules(words: str, complaint: str, status: int) -> None:
    assert answer(f"add 100 {words}") == (status, f"ipfw: {complaint}\n")


def test_the_verdict_names_the_instance_and_ends_the_search() -> None:
    rules = rule_set("freebsd-11", "nat 5 config ip 1.2.3.4", "add 100 nat 5 ip from any to any")
    rules.run("add 200 count ip from any to any")
    verdict = rules.evaluate(ANYTHING)
    assert (verdict.action, verdict.number, verdict.rule, verdict.resume) == (Action.NAT, 5, 100, None)
    assert [counters.packets for counters in rules.counters] == [1, 0, 0]


def test_without_one_pass_the_search_goes_on_at_the_next_rule_even_of_that_number() -> None:
    rules = rule_set("freebsd-11", "nat 5 config ip 1.2.3.4", "disable one_pass")
    for rule in ("100 nat 5 ip from any to any", "100 count ip from any to any", "200 allow ip from any to any"):
        rules.run(f"add {rule}")
    verdict = rules.evaluate(ANYTHING)
    assert verdict.resume is not None
    behind = rules.evaluate(ANYTHING, resume=verdict.resume)
    assert (behind.action, behind.rule, behind.counted) == (Action.ALLOW, 200, (100, 200))


def test_an_instance_that_is_not_there_denies() -> None:
    rules = rule_set("freebsd-11", "add 100 nat 5 ip from any to any")
    verdict = rules.evaluate(ANYTHING)
    assert (verdict.action, verdict.rule, verdict.counted) == (Action.DENY, 100, (100,))
    rules.run("nat 5 config ip 1.2.3.4")
    assert rules.evaluate(ANYTHING).action is Action.NAT
    rules.run("nat 5 delete")
    assert rules.evaluate(ANYTHING).action is Action.DENY


def test_the_instance_may_come_from_a_table() -> None:
    rules = rule_set("freebsd-11", "nat 5 config ip 1.2.3.4", "table 1 add 0.0.0.1 5", "table 1 add 0.0.0.7 0")
    rules.run("add 100 nat tablearg ip from table(1) to any")
    assert rules.evaluate(ANYTHING).number == 5
    assert rules.evaluate(Header(source=7, destination=2, protocol=99)).action is Action.DENY


def test_the_log_line() -> None:
    rules = rule_set("freebsd-11", "nat 5 config ip 1.2.3.4", "add 100 nat 5 log ip from any to any")
    assert rules.evaluate(ANYTHING).log == ("ipfw: 100 Nat UDP 0.0.0.1:3 0.0.0.2:4 in",)
