"""``ipfw table``: what lookup tables hold, how they are made and changed, and what rules find in them."""

from __future__ import annotations

from typing import Any

import pytest

from rules.fields import Header
from rules.ipfw import Action, Owner, RuleSet

SINCE_11 = ("freebsd-11", "freebsd-13", "freebsd-14")


def packet(**changes: Any) -> Header:
    fields: dict[str, Any] = {
        "source": 0x0A000002,
        "destination": 0xC0A80205,
        "protocol": 17,
        "source_port": 1024,
        "destination_port": 53,
        "total_length": 60,
        "payload_length": 40,
        "receive_interface": "vlan20",
    }
    return Header(**{**fields, **changes})


def filled(*commands: str, profile: str = "freebsd-14") -> RuleSet:
    rules = RuleSet(profile, fibs=20)
    for command in commands:
        rules.run(command)
    return rules


# Before FreeBSD 11


def test_tables_of_freebsd_10() -> None:
    rules = filled("table 1 add 10.1.2.3/8 7", "table 1 add 10.0.0.0/24", "table 2 add em0 5", profile="freebsd-10")
    assert rules.run("table 1 list") == "10.0.0.0/8 7\n10.0.0.0/24 0\n"
    assert rules.run("-i table 1 list") == "10.0.0.0/8 0.0.0.7\n10.0.0.0/24 0.0.0.0\n"
    assert rules.run("table all list").startswith("---table(1)---\n")
    assert rules.execute("table 1 add 10.0.0.0/8 8") == (
        "",
        "ipfw: setsockopt(IP_FW_TABLE_XADD): File exists\n",
        71,
    )
    assert rules.execute("table 1 delete 9.0.0.0/8").stderr == "ipfw: setsockopt(IP_FW_TABLE_XDEL): No such process\n"
    rules.run("-q table 1 add 10.0.0.0/8 8")
    rules.run("-q table 1 delete 9.0.0.0/8")
    assert rules.run("table 1 list").startswith("10.0.0.0/8 8\n")
    assert rules.execute("table 1 add 9.0.0.0/8 frob").status == 68
    rules.run("table all flush")
    assert rules.run("table all list") == ""


# Since FreeBSD 11: making them


@pytest.mark.parametrize("profile", SINCE_11)
def test_a_table_is_made_and_described(profile: str) -> None:
    rules = filled("table clients create", "table flows create type flow:dst-port,src-ip valtype fib,skipto limit 9")
    rules.run("add 5 allow ip from table(clients) to table(clients)")
    assert rules.run("table clients info") == (
        "--- table(clients), set(0) ---\n"
        " kindex: 1, type: addr\n"
        " references: 2, valtype: legacy\n"
        " algorithm: addr:radix\n"
        " items: 0, size: 296\n"
    )
    assert rules.run("table flows info") == (
        "--- table(flows), set(0) ---\n"
        " kindex: 2, type: flow:src-ip,dst-port\n"
        " references: 0, valtype: skipto,fib\n"
        " algorithm: flow:hash\n"
        " items: 0, size: 296\n"
        " limit: 9\n"
    )
    assert rules.run("table all info") == rules.run("table flows info") + rules.run("table clients info")


REFUSED = [
    ("table", "table needs name", 64),
    ("table a", "table needs command", 64),
    ("table a/b create", "table name a/b is invalid", 64),
    ("table a frob", "ambiguous table command frob", 64),
    ("table a l", "ambiguous table command l", 64),
    ("table all add 1.2.3.4", "table name required", 64),
    ("table a atomic", "atomic needs command", 64),
    ("table a atomic delete 1.2.3.4", "atomic is not compatible with delete", 64),
    ("table here create", "Table creation failed: File exists", 71),
    ("table here create type iface missing", "The existing table is not compatible with one you are creating.", 65),
    ("table a create frob", "ambiguous option frob", 64),
    ("table a create type", "table type required", 64),
    ("table a create type frob", "Unknown tabletype: frob. Supported: addr, mac, iface, number, flow", 64),
    ("table a create type addr:src-ip", "Unsupported suboptions: src-ip", 64),
    ("table a create type flow:frob", "unable to parse flow option frob", 64),
    ("table a create valtype", "table value type required", 64),
    (
        "table a create valtype frob",
        "Unknown value type: frob. Supported: "
        "skipto, pipe, fib, nat, dscp, tag, divert, netgraph, limit, ipv4, ipv6, mark",
        64,
    ),
    ("table a create limit", "limit value required", 64),
    ("table a create algo", "table algorithm name required", 64),
    ("table a create algo addr:hash", "algorithm addr:hash is not modelled here, only addr:radix", 69),
    ("table a modify limit 5", "Table modification failed: No such process", 71),
    ("table here modify locked", "cmd is not supported for modification", 64),
    ("table a lock", "Table lock failed: No such process", 71),
    ("table here swap", "second table name required", 64),
    ("table here swap all", "table name all is invalid", 64),
    ("table here swap names", "Unable to swap table: check types", 64),
    ("table a list", "failed to request table info: No such process", 71),
    ("table a info", "failed to request table info: No such process", 71),
    ("table here add", "address required", 64),
    ("table here add 1.2.3.4/33", "bad IPv4 mask width: 33", 65),
    ("table here add frob", "hostname ``frob'' unknown", 68),
    ("table here add 2001:db8::/32", "IPv6 addresses are not modelled here: 2001:db8::", 69),
    ("table here add 1.2.3.4 frob", "Unable to parse value frob", 71),
    ("table a add 10.5 7", "Table a does not exist, cannot guess key '10.5' type", 64),
    ("table a delete 1.2.3.4", "Table a does not exist", 65),
    ("table a lookup 1.2.3.4", "Table a does not exist", 65),
    ("table here lookup", "address required", 64),
    ("table here lookup 9.9.9.9", "Entry 9.9.9.9 not found", 69),
    ("table numbers add 8x 1", "Invalid number: 8x", 65),
    ("table valued add 1.2.3.4 5", "Not enough fields inside value", 64),
    ("table valued add 1.2.3.4 5,x", "Unable to parse x as fib", 64),
    ("table hop add 1.2.3.4 nohost", "Unable to parse nohost as ipv4", 64),
    ("table points add 1.2.3.4 frob", "Unable to parse frob as DSCP code", 64),
    ("table points add 1.2.3.4 64", "Unable to parse 64 as DSCP value", 64),
    ("table flows add 1.2.3.4", "invalid key: proto missing", 65),
    ("table flows add 1.2.3.4,frob,5", "Unknown proto: frob", 65),
    ("table flows add 1.2.3.4,300,5", "Bad protocol number: 300", 65),
    ("table flows add 1.2.3.4,tcp", "invalid key: dst port missing", 65),
    ("table flows add 1.2.3.4,tcp,frob", "Unknown service: frob", 65),
    ("table used destroy", "failed to destroy table used: Device busy", 71),
    ("table macs add 00:01:02:03:04:05", "tables of MAC addresses are not modelled here", 69),
]


@pytest.mark.parametrize(("command", "text", "status"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refusals(command: str, text: str, status: int) -> None:
    rules = filled(
        "table here create",
        "table here add 10.0.0.0/8 1",
        "table names create type iface",
        "table numbers create type number",
        "table valued create valtype skipto,fib",
        "table hop create valtype ipv4",
        "table points create valtype dscp",
        "table flows create type flow:src-ip,proto,dst-port",
        "table used create",
        "table macs create type mac",
        "add 5 allow ip from table(used) to any",
    )
    before = rules.run("table all info"), rules.run("table all list")
    assert rules.execute(command) == ("", f"ipfw: {text}\n", status)
    assert (rules.run("table all info"), rules.run("table all list")) == before


def test_what_came_later() -> None:
    assert RuleSet("freebsd-13").execute("table a create type mac").stderr == (
        "ipfw: Unknown tabletype: mac. Supported: addr, iface, number, flow\n"
    )
    assert RuleSet("freebsd-13").execute("table a create valtype mark").stderr.endswith("limit, ipv4, ipv6\n")
    assert RuleSet("freebsd-11").execute("table a create missing").stderr == "ipfw: ambiguous option missing\n"


def test_what_is_not_there_is_only_told_of() -> None:
    rules = filled()
    assert rules.execute("table a destroy") == ("", "ipfw: failed to destroy table a: No such process\n", 0)
    assert rules.execute("table a flush") == ("", "ipfw: failed to flush table a info: No such process\n", 0)
    assert rules.execute("-q table a flush") == ("", "", 0)
    assert rules.execute("table a swap b") == ("", "", 0)


def test_missing_and_or_flush() -> None:
    rules = filled("table a create", "table a add 1.2.3.4")
    rules.run("table a create missing")
    assert rules.run("table a list") == "1.2.3.4/32 0\n"
    rules.run("table a create or-flush")
    assert rules.run("table a list") == ""


# Since FreeBSD 11: what is in them


def test_adding_and_deleting_say_what_became_of_each_key() -> None:
    rules = filled("table a create")
    assert rules.run("table a add 10.1.2.3/8 7 1.2.3.4 8 9.9.9.9") == (
        "added: 10.1.2.3/8 7\nadded: 1.2.3.4/32 8\nadded: 9.9.9.9/32 0\n"
    )
    assert rules.run("table a list") == "1.2.3.4/32 8\n9.9.9.9/32 0\n10.0.0.0/8 7\n"
    assert rules.run("table a lookup 10.200.0.1") == "10.0.0.0/8 7\n"
    assert rules.execute("table a add 5.5.5.5 1 10.0.0.0/8 9 6.6.6.6 2") == (
        "added: 5.5.5.5/32 1\nexists: 10.0.0.0/8 9\nadded: 6.6.6.6/32 2\n",
        "ipfw: Adding record failed: record already exists\n",
        71,
    )
    assert rules.run("table a delete 5.5.5.5 6.6.6.6") == "deleted: 5.5.5.5/32 1\ndeleted: 6.6.6.6/32 2\n"
    assert rules.execute("table a delete 5.5.5.5 9.9.9.9") == (
        "notfound: 5.5.5.5/32 0\ndeleted: 9.9.9.9/32 0\n",
        "ipfw: Deleting record failed: record not found\n",
        71,
    )


def test_atomic_is_all_or_nothing() -> None:
    rules = filled("table a create", "table a add 10.0.0.0/8 7")
    assert rules.execute("table a atomic add 5.5.5.5 1 10.0.0.0/8 9 6.6.6.6 2") == (
        "added(reverted): 5.5.5.5/32 1\nexists: 10.0.0.0/8 9\nignored: 6.6.6.6/32 2\n",
        "ipfw: Adding record failed: record already exists\n",
        71,
    )
    assert rules.run("table a list") == "10.0.0.0/8 7\n"


def test_quiet_replaces_and_forgives() -> None:
    rules = filled("table a create", "table a add 10.0.0.0/8 7")
    assert rules.execute("-q table a add 10.0.0.0/8 9") == ("", "", 0)
    assert rules.run("table a list") == "10.0.0.0/8 9\n"
    assert rules.execute("-q table a delete 1.2.3.4") == ("", "", 0)


def test_limits_and_locks() -> None:
    rules = filled("table a create limit 1", "table a add 1.1.1.1")
    assert rules.execute("table a add 2.2.2.2") == (
        "limit: 2.2.2.2/32 0\n",
        "ipfw: Adding record failed: limit hit\n",
        71,
    )
    rules.run("table a modify limit 2")
    rules.run("table a lock")
    assert ", locked\n" in rules.run("table a info")
    assert rules.execute("table a add 2.2.2.2").stderr == "ipfw: Adding record failed: table is locked\n"
    assert rules.execute("table a flush").stderr == "ipfw: failed to flush table a info: Permission denied\n"
    rules.run("table a unlock")
    assert rules.run("table a add 2.2.2.2") == "added: 2.2.2.2/32 0\n"
    rules.run("table a flush")
    assert rules.run("table a list") == ""


def test_a_table_that_is_not_there_is_made_for_its_first_key() -> None:
    rules = filled()
    result = rules.execute("table em add em0 5")
    warning = "ipfw: DEPRECATED: inserting data into non-existent table em. (auto-created)\n"
    assert result == ("added: em0 5\n", warning, 0)
    for key, kind in (("80", "number"), ("1.2.3.4", "addr"), ("localhost.", "")):
        rules.execute(f"-q table t{kind} add {key}")
    assert "type: number" in rules.run("table tnumber info")
    assert "type: addr" in rules.run("table taddr info")


def test_minus_n_changes_nothing() -> None:
    rules = filled("table a create")
    for command in (
        "table b create",
        "table a add 1.2.3.4",
        "table a destroy",
        "table a lock",
        "table a modify limit 5",
    ):
        rules.run(f"-n {command}")
    assert rules.run("table all info") == filled("table a create").run("table all info")


# Since FreeBSD 11: what rules find


def test_values_for_several_uses() -> None:
    rules = filled(
        "table IN create type iface valtype skipto,fib",
        "table IN add vlan20 12000,12 vlan30 13000,13",
        "add 100 setfib tablearg ip from any to any recv table(IN) in",
        "add 200 skipto tablearg ip from any to any recv table(IN) in",
        "add 300 deny ip from any to any",
        "add 12000 allow ip from any to any fib 12",
        "add 13000 count ip from any to any",
    )
    assert rules.run("table IN list") == "vlan20 12000,12\nvlan30 13000,13\n"
    assert rules.evaluate(packet()).counted == (100, 200, 12000)
    assert rules.evaluate(packet(receive_interface="vlan30")).counted == (100, 200, 13000, 65535)
    assert rules.evaluate(packet(receive_interface="vlan40")).rule == 300


def test_next_hops_ports_and_limits_from_tables() -> None:
    rules = filled(
        "table hops create valtype ipv4",
        "table hops add 192.168.2.0/24 10.23.2.1",
        "table ports create type number valtype divert,tag,limit",
        "table ports add 53 7,8668,1",
        "add 10 tee tablearg tag tablearg udp from any to any lookup dst-port ports",
        "add 15 count ip from any to any tagged 7",
        "add 20 fwd tablearg ip from any to table(hops)",
    )
    assert rules.run("table ports list") == "53 7,8668,1\n"
    verdict = rules.evaluate(packet())
    assert (verdict.action, verdict.port, verdict.tags) == (Action.TEE, 8668, frozenset({7}))
    rest = rules.evaluate(packet(), resume=verdict.resume)
    assert (rest.counted, rest.next_hop) == ((15, 20), (0x0A170201, 0))


@pytest.mark.parametrize(
    ("key", "entry", "hit", "miss"),
    [
        ("dst-port", "53", {}, {"destination_port": 54}),
        ("src-port", "1024", {}, {"source_port": 1}),
        ("dscp", "46", {"tos": 46 << 2}, {"tos": 0}),
        ("uid", "80", {"owner": Owner(80, 80)}, {"owner": Owner(81, 80)}),
        ("jail", "0", {"owner": Owner(80, 80)}, {}),
    ],
)
def test_lookups_of_numbers(key: str, entry: str, hit: dict[str, Any], miss: dict[str, Any]) -> None:
    rules = filled("table t create type number", f"table t add {entry} 5", f"add 10 allow in lookup {key} t")
    assert rules.run("list 10").endswith(f" lookup {key} t\n")
    assert rules.evaluate(packet(**hit)).rule == 10
    assert rules.evaluate(packet(**miss)).rule == 65535


def test_flows() -> None:
    rules = filled(
        "table fl create type flow:src-ip,proto,dst-ip,dst-port",
        "table fl add 10.0.0.2,udp,192.168.2.5,53 11",
        "add 100 allow ip from any to any flow table(fl,11) recv vlan20",
        "add 200 skipto tablearg ip from any to any flow table(fl)",
    )
    assert rules.run("table fl list") == "10.0.0.2,17,192.168.2.5,53 11\n"
    assert rules.run("list 100") == "00100 allow ip from any to any flow table(fl,11) recv vlan20\n"
    assert rules.evaluate(packet()).rule == 100
    assert rules.evaluate(packet(destination_port=54)).rule == 65535
    assert rules.run("table fl lookup 10.0.0.2,17,192.168.2.5,domain") == "10.0.0.2,17,192.168.2.5,53 11\n"


def test_swapping_changes_what_rules_find_at_once() -> None:
    rules = filled(
        "table a create",
        "table b create",
        "table b add 10.0.0.0/8",
        "add 10 allow ip from table(a) to any",
    )
    assert rules.evaluate(packet()).rule == 65535
    rules.run("table a swap b")
    assert rules.evaluate(packet()).rule == 10
    assert rules.run("table b list") == ""


def test_a_rule_needs_a_table_of_the_right_kind() -> None:
    rules = filled("table a create type number")
    assert rules.execute("add 10 allow ip from table(a) to any").stderr == (
        "ipfw: getsockopt(IP_FW_XADD): Invalid argument\n"
    )
    rules.run("add 10 allow ip from any to any recv table(new)")
    assert "type: iface" in rules.run("table new info")


def test_a_table_that_is_no_longer_used_may_go() -> None:
    rules = filled("table a create", "add 10 allow ip from table(a) to any")
    assert rules.execute("table a destroy").status == 71
    assert "Device busy" in rules.execute("table all destroy").stderr
    rules.run("delete 10")
    rules.run("table a destroy")
    assert rules.run("table all list") == ""
