"""The commands of the tools of 2003 besides ``add``: what they print, refuse and leave alone."""

from __future__ import annotations

import pytest

from rules.ipfw import RuleSet
from rules.ipfw.switches import Dialect

FILES = {
    "/good": "# a comment\n\nadd 1 count ip from any to any # and another\n",
    "/wrong": "add 1 count ip from any to any\nadd frob\nadd 2 count ip from any to any\n",
    "/long": f"add {'x ' * 300}\n",
}
TOOLS = [("freebsd-4", "ipfw1"), ("freebsd-4", "ipfw2"), ("dragonfly", "ipfw2")]
SECOND = TOOLS[1:]


def rule_set(system: str, dialect: Dialect) -> RuleSet:
    rules = RuleSet(system, ipfw_dialect=dialect, files=FILES)
    rules.run("add 100 count log ip from any to any")
    return rules


def absent(number: int, call: str) -> str:
    return f"ipfw: rule {number}: setsockopt({call}): Invalid argument\n"


ANSWERS = [
    ("list", "00100 count log ip from any to any\n65535 deny ip from any to any\n", "", 0),
    ("show 100", "00100 0 0 count log ip from any to any\n", "", 0),
    ("list 5 100", "00100 count log ip from any to any\n", "ipfw: rule 5 does not exist\n", 69),
    ("list x 100", "00100 count log ip from any to any\n", "ipfw: invalid rule number: x\n", 64),
    ("list 5-7", "", "ipfw: invalid rule number: 5-7\n", 64),
    ("zero", "Accounting cleared.\n", "", 0),
    ("-q zero", "", "", 0),
    ("zero 7 100", "Entry 100 cleared\n", absent(7, "IP_FW_ZERO"), 69),
    ("zero x", "", "ipfw: invalid rule number ``x''\n", 64),
    ("resetlog", "Logging counts reset.\n", "", 0),
    ("resetlog 100 7", "Entry 100 logging count reset\n", absent(7, "IP_FW_RESETLOG"), 69),
    ("resetlog x", "", "ipfw: invalid rule number ``x''\n", 65),
    ("delete", "", "", 0),
    ("delete 5", "", absent(5, "IP_FW_DEL"), 69),
    ("delete 65535", "", absent(65535, "IP_FW_DEL"), 69),
    ("flush", "Flushed all rules.\n", "", 0),
    ("-q flush", "", "", 0),
    ("frob", "", "ipfw: bad command `frob'\n", 64),
    ("nat 1 config ip 1.2.3.4", "", "ipfw: bad command `nat'\n", 64),
    ("internal iflist", "", "ipfw: bad command `internal'\n", 64),
    ("-a", "", "ipfw: bad arguments, for usage summary ``ipfw''\n", 64),
    ("pipe 1 config bw 1Mbit/s", "", "", 0),
    ("/absent", "", "ipfw: bad command `/absent'\n", 64),
    ("/good", "00001 count ip from any to any\n", "", 0),
    ("-q /good", "", "", 0),
    ("/long", "", "ipfw: Line 1: too many arguments\n", 64),
    ("/good more", "", "ipfw: bad command `/good'\n", 64),
    ("-p cpp /good", "", "ipfw: a preprocessor is not modelled here\n", 69),
    ("-D NAME /good", "", "ipfw: -D requires -p\n", 64),
]


@pytest.mark.parametrize(("system", "dialect"), TOOLS)
@pytest.mark.parametrize(("command", "out", "err", "status"), ANSWERS, ids=[row[0] for row in ANSWERS])
def test_every_tool_answers(system: str, dialect: Dialect, command: str, out: str, err: str, status: int) -> None:
    assert rule_set(system, dialect).execute(command.split()) == (out, err, status)


SETS = [
    ("delete set 7", "", "", 0),
    ("delete set 40", "", absent(0x1000028, "IP_FW_DEL"), 69),
    ("-S list 65535", "65535 set 31 deny ip from any to any\n", "", 0),
    ("set show", f"enable {' '.join(map(str, range(31)))}\n", "", 0),
    ("set", "", "ipfw: set needs command\n", 64),
    ("set list", "", "ipfw: invalid set command list\n\n", 64),
    ("set 3 delete 100", "", "ipfw: invalid set command 3\n\n", 64),
    ("set disable 31", "", "ipfw: invalid set number 31\n\n", 65),
    ("set swap 1", "", "ipfw: set swap needs 2 set numbers\n\n", 64),
    ("set move 1 2", "", "ipfw: syntax: set move [rule] X to Y\n\n", 64),
    ("set move 5 to 31", "", "ipfw: invalid dest. set to\n\n", 65),
    ("set disable 1 enable 1", "", "ipfw: cannot enable and disable the same set\n\n", 65),
    ("enable frob", "", "ipfw: unrecognize enable/disable keyword: frob\n\n", 0),
    ("disable", "", "ipfw: missing keyword to enable/disable\n\n", 0),
    ("pipe", "", "ipfw: missing command\n", 64),
]


@pytest.mark.parametrize(("command", "out", "err", "status"), SETS, ids=[row[0] for row in SETS])
def test_sets_and_switches_belong_to_the_second_language(command: str, out: str, err: str, status: int) -> None:
    for system, dialect in SECOND:
        assert rule_set(system, "ipfw2").execute(command.split()) == (out, err, status), (system, dialect)
    first = rule_set("freebsd-4", "ipfw1").execute(command.split())
    if command.split()[0] in ("set", "enable", "disable"):
        assert first == ("", f"ipfw: bad command `{command.split()[0]}'\n", 64)
    elif command.startswith("delete"):
        assert first == ("", "", 0)  # `set` is no number, so there is nothing to delete
    else:
        assert first.status == 64


@pytest.mark.parametrize(("system", "dialect"), TOOLS)
def test_a_wrong_line_ends_a_file(system: str, dialect: Dialect) -> None:
    rules = rule_set(system, dialect)
    answer = rules.execute("/wrong")
    assert (answer.stdout, answer.status) == ("00001 count ip from any to any\n", 65)
    assert answer.stderr.startswith("ipfw: invalid action")
    assert [rule.number for rule in rules] == [1, 100, 65535]


@pytest.mark.parametrize(("system", "dialect"), TOOLS)
def test_what_the_log_says_of_counters(system: str, dialect: Dialect) -> None:
    """E-44"""
    rules = rule_set(system, dialect)
    for command in ("zero", "zero 100", "resetlog", "resetlog 100", "zero 7"):
        rules.execute(command)
    assert rules.messages == [
        "ipfw: Accounting cleared.",
        "ipfw: Entry 100 cleared.",
        f"ipfw: All logging counts {'cleared' if dialect == 'ipfw1' else 'reset'}.",
        "ipfw: Entry 100 logging count reset.",
    ]


def test_the_time_of_a_rule_that_never_matched() -> None:
    """L-1"""
    for (system, dialect), blank in zip(TOOLS, ["\t\t\t ", " " * 25, " " * 25], strict=True):
        line = rule_set(system, "ipfw1" if dialect == "ipfw1" else "ipfw2").run("-t list 100")
        assert line == f"00100 {blank}count log ip from any to any\n"


@pytest.mark.statement("bsd.md DF-7")
@pytest.mark.profiles("dragonfly")
def test_counters_are_listed_on_demand() -> None:
    rules = rule_set("dragonfly", "ipfw2")
    rules.run("delete 100")
    bare, counted = "65535 deny ip from any to any\n", "65535 0 0 deny ip from any to any\n"
    assert [rules.run(line) for line in ("list", "-d list", "-a list", "show")] == [bare, bare, counted, counted]


# DragonFly's tables

TABLE_ANSWERS = [
    ("table list", "3\n", "", 0),
    ("table 4 create", "Created table 4\n", "", 0),
    ("-q table 4 create", "", "", 0),
    ("table create 4", "Created table 4\n", "", 0),
    ("table 3 create", "", "ipfw: setsockopt(IP_FW_TBL_CREATE): File exists\n", 69),
    ("table 64 create", "", "ipfw: setsockopt(IP_FW_TBL_CREATE): Invalid argument\n", 69),
    ("table 3 destroy", "Destroyed table 3\n", "", 0),
    ("table 4 destroy", "", "ipfw: setsockopt(IP_FW_TBL_DESTROY): No such file or directory\n", 69),
    ("table 3 add 192.168.1.1", "Added 192.168.1.1 to table 3\n", "", 0),
    ("table 3 add 10/8", "Failed to add 10/8 to table 3\n", "", 0),
    ("table 3 delete 10.0.0.0/8", "Deleted 10.0.0.0/8 from table 3\n", "", 0),
    ("table 3 delete 11/8 10/8", "Failed to delete 11/8 from table 3\nDeleted 10/8 from table 3\n", "", 0),
    ("table 4 add 10.0.0.0/8", "", "ipfw: setsockopt(IP_FW_TBL_ADD): No such file or directory\n", 69),
    ("table 3 add", "", "ipfw: missing addresses\n", 65),
    ("table 3 add nohost", "", "ipfw: invalid address nohost\n", 65),
    ("table x add 1.2.3.4", "", "ipfw: bad command `x'\n", 64),
    ("table add x", "", "ipfw: invalid table id x\n", 65),
    ("table add", "", "ipfw: missing table id\n", 65),
    ("table 3 print", "10.0.0.0/8\n10.1.0.0/16\n", "", 0),
    ("table 3 show", "0 10.0.0.0/8\n0 10.1.0.0/16\n", "", 0),
    ("table 4 print", "", "ipfw: getsockopt(IP_FW_TBL_GET): No such file or directory\n", 69),
    ("table 3 flush", "Flushed table 3\n", "", 0),
    ("table flush", "Flushed all tables\n", "", 0),
    ("table 3 zero", "Accounting cleared\n", "", 0),
    ("table 3 expire 60", "Expired 2 addresses\n", "", 0),
    ("table expire", "", "ipfw: missing expire time\n", 65),
    ("table 3 expire 5x", "", "ipfw: invalid expire timeout 5x\n", 65),
    ("table", "", "ipfw: missing command\n", 64),
    ("table 3 frob", "", "ipfw: bad command `frob'\n", 64),
]


@pytest.mark.parametrize(("command", "out", "err", "status"), TABLE_ANSWERS, ids=[row[0] for row in TABLE_ANSWERS])
def test_tables_have_numbers_and_are_made(command: str, out: str, err: str, status: int) -> None:
    """DF-6"""
    rules = RuleSet("dragonfly", now=1000000.0)
    for line in ("table 3 create", "table 3 add 10/8 10.1/16"):
        rules.run(line)
    assert rules.execute(command.split()) == (out, err, status)
