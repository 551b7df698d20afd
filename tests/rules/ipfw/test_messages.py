"""Wrong input: the tool's own words and exit status, and nothing changed (bsd.md table M-1)."""

from __future__ import annotations

import pytest

from rules.ipfw import CommandError, RuleSet

NO_BODY = "ip from any to any"
TOO_LONG = "// " + "x" * 84
REFUSED = "getsockopt(IP_FW_XADD): Invalid argument"
PORTS = ",".join(map(str, range(1, 32)))
MANY_PORTS = ",".join(map(str, range(1, 64)))

ROWS = [
    ("-a", "bad arguments, for usage summary ``ipfw''", 64),
    ("frob", "bad command `frob'", 64),
    ("add", "missing action", 64),
    ("add 100", "missing action", 64),
    ("add 100 frob ip from any to any", "invalid action frob\n", 65),
    ("add allow", "missing protocol", 64),
    ("add allow tcp", "missing ``from''", 64),
    ("add allow foo from any to any", "unrecognised option [-1] foo\n", 64),
    ("add allow { tcp or foo } from any to any", "invalid protocol ``foo''", 65),
    ("add allow ip from", "missing source address", 64),
    ("add allow ip from any", "missing ``to''", 64),
    ("add allow ip from any to", "missing dst address", 64),
    ("add allow ip from nohost to any", "hostname ``nohost'' unknown", 68),
    ("add allow ip from 1.2.3.4/33 to any", "bad width ``33''", 65),
    ("add allow ip from 1.2.3.4:xx to any", "bad netmask ``xx''", 65),
    ("add allow ip from 1.2.3.0/16{1} to any", "invalid set with mask 16\n", 65),
    ("add allow ip from 1.2.3.0/28{20} to any", "addr 20 out of range [0-15]\n", 65),
    ("add allow ip from 1.2.3.0/24{5-3} to any", "invalid range 5-3", 65),
    ("add allow ip from not 0.0.0.0/0 to any", "not any never matches", 65),
    ("add allow ip from any to any dst-port foo", "invalid destination port foo", 65),
    ("add allow ip from any to any src-port foo", "invalid source port foo", 65),
    ("add allow ip from any to any bogus", "unrecognised option [-1] bogus\n", 64),
    ("add divert", "missing argument for divert", 64),
    (f"add divert 0 {NO_BODY}", "illegal argument for divert", 65),
    (f"add divert foo {NO_BODY}", "illegal divert/tee port", 65),
    (f"add skipto x {NO_BODY}", "illegal argument for skipto", 65),
    (f"add set 32 allow {NO_BODY}", "illegal set 32", 65),
    (f"add prob 2 allow {NO_BODY}", "illegal match prob. 2", 65),
    (f"add prob nan allow {NO_BODY}", "illegal match prob. nan", 65),
    (f"add unreach zz {NO_BODY}", "unknown ICMP unreachable code ``zz''", 65),
    ("add fwd", "missing forward address[:port]", 64),
    (f"add fwd 1.2.3.4,x {NO_BODY}", "illegal forwarding port ``x''", 65),
    (f"add allow log logamount 5 log {NO_BODY}", "log cannot be specified more than once", 65),
    (f"add allow log logamount -1 {NO_BODY}", "logamount must be positive", 65),
    (f"add allow tag 1 tag 2 {NO_BODY}", "tag and untag cannot be specified more than once", 64),
    (f"add allow tag 0 {NO_BODY}", "tag: argument is out of range (1..65534): 0", 65),
    (f"add allow tag 70000 {NO_BODY}", "tag: argument is out of range (1..65534): 70000", 65),
    (f"add allow {NO_BODY} not not frag", 'double "not" not allowed\n', 64),
    (f"add allow {NO_BODY} {{ {{ frag", '+nested "(" not allowed\n', 64),
    (f"add allow {NO_BODY} in }}", '+missing ")"\n', 64),
    ("add allow ip from { 1.2.3.4 to any", 'missing ")"\n', 64),
    ("add allow ip from 1.2.3.4 or 1.2.3.5 to any", "invalid OR block", 65),
    (f"add allow {NO_BODY} frag or in", 'invalid "or" block\n', 64),
    (f"add allow {NO_BODY} via", "recv, xmit, via require interface name or address", 64),
    (f"add allow {NO_BODY} via 1.2.3.4.5", "bad ip address ``1.2.3.4.5''", 65),
    (f"add allow {NO_BODY} icmptypes 40", "ICMP type out of range", 65),
    (f"add allow {NO_BODY} icmptypes x", "invalid ICMP type", 65),
    (f"add allow {NO_BODY} tcpflags foo", "invalid flag foo", 65),
    (f"add allow {NO_BODY} keep-state keep-state", "only one of keep-state and limit is allowed", 64),
    (f"add allow {NO_BODY} {{ keep-state or in }}", "keep-state cannot be part of an or block", 64),
    (f"add allow {NO_BODY} limit 3", "limit: missing limit mask", 64),
    (f"add allow {NO_BODY} {TOO_LONG}", "comment too long (max 80 chars)", 65),
    (f"add 70000 allow {NO_BODY}", REFUSED, 69),
    (f"add allow tcp from any to any {PORTS}", REFUSED, 69),
    (f"add allow tcp from any to any {MANY_PORTS}", "too many ports/ranges\n", 65),
    (f"add allow {NO_BODY} fib 99", REFUSED, 69),
    ("delete 5", "rule 5 not found", 69),
    ("delete", "missing rule specification", 64),
    ("delete 65535", "rule 65535 not found", 69),
    ("delete set 7", "rule 0 not found", 69),
    ("set 3 delete 100", "rule 100 not found", 69),
    ("list 5", "rule 5 does not exist", 69),
    ("list 5-7", "no rules in range 5-7", 69),
    ("list x", "invalid rule number: x", 64),
    ("zero x", "invalid rule number ``x''", 64),
    ("zero 1-5", "invalid rule number 1-5\n", 65),
    ("set 40 list", "invalid set number 40\n", 65),
    ("set", "set needs command", 64),
    ("set frob", "invalid set command frob\n", 64),
    ("set swap 1", "set swap needs 2 set numbers\n", 64),
    ("set move 1 2", "syntax: set move [rule] X to Y\n", 64),
    ("set disable 40", "invalid set number 40\n", 65),
    ("set disable 1 enable 1", "cannot enable and disable the same set\n", 65),
    ("/x", "pathname: /x: No such file or directory", 64),
    (f"add nat {NO_BODY}", "illegal argument for nat", 65),
    ("pipe 1 config bw em0", "no if support", 1),
    (f"add netgraph 1 {NO_BODY}", "netgraph is not modelled here", 69),
    ("add allow ip6 from 2001:db8::1 to any", "IPv6 addresses are not modelled here: 2001:db8::1", 69),
]


@pytest.mark.parametrize(("command", "text", "status"), ROWS, ids=[row[0][:40] for row in ROWS])
def test_refusals(command: str, text: str, status: int) -> None:
    rules = RuleSet()
    rules.run("add 100 set 2 allow ip from any to any")
    before = rules.run("-aS list")
    with pytest.raises(CommandError) as error:
        rules.run(command.split())
    assert (error.value.stderr, error.value.status) == (f"ipfw: {text}\n", status)
    assert rules.run("-aS list") == before


SINCE_13 = {
    f"add divert 0 {NO_BODY}": ("illegal argument 0(0) for divert", 65),
    f"add skipto x {NO_BODY}": ("illegal argument x(4294967295) for skipto", 65),
    f"add nat {NO_BODY}": ("illegal argument ip(4294967295) for nat", 65),
    f"add allow {NO_BODY} keep-state keep-state": (
        "only one of keep-state, record-state,  limit and set-limit is allowed",
        64,
    ),
    f"add allow {NO_BODY} {{ keep-state or in }}": ("keep-state or record-state cannot be part of an or block", 64),
    "delete 5": ("rule 5 not found", 0),
    "delete 65535": ("rule 65535 not found", 0),
    "delete set 7": ("", 0),
    "set 3 delete 100": ("rule 100 not found", 0),
}
"""How FreeBSD 13 and 14 differ from 10; 11 does not."""


@pytest.mark.parametrize("profile", ["freebsd-11", "freebsd-13", "freebsd-14"])
@pytest.mark.parametrize(("command", "text", "status"), ROWS, ids=[row[0][:40] for row in ROWS])
def test_refusals_of_later_systems(profile: str, command: str, text: str, status: int) -> None:
    if profile != "freebsd-11":
        text, status = SINCE_13.get(command, (text, status))
    rules = RuleSet(profile)
    rules.run("add 100 set 2 allow ip from any to any")
    before = rules.run("-aS list")
    result = rules.execute(command.split())
    assert (result.stderr, result.status) == (f"ipfw: {text}\n" if text else "", status)
    assert rules.run("-aS list") == before


LATER = [
    ("freebsd-13", f"add skipto 70000 {NO_BODY}", "illegal argument 70000(70000) for skipto", 65),
    ("freebsd-13", "delete 3-6", "no rules rules in 3-6 range", 0),
    (
        "freebsd-13",
        f"add allow {NO_BODY} {{ in or limit src-addr 3 }}",
        "limit or set-limit cannot be part of an or block",
        64,
    ),
    ("freebsd-13", f"add allow {NO_BODY} keep-state :any", "Invalid state name :any", 65),
    ("freebsd-13", "add check-state frob", "Invalid state name frob", 65),
    ("freebsd-13", f"add allow {NO_BODY} defer-action defer-immediate-action", "only one defer-action is allowed", 64),
    ("freebsd-13", f"add allow {NO_BODY} tcpmss", "tcpmss/tcpwin requires size", 64),
    ("freebsd-13", f"add allow {NO_BODY} tcpmss 5,x", "invalid tcpmss size 5,x", 65),
    ("freebsd-13", f"add allow {NO_BODY} tcpwin 5,x", "invalid tcpwin size 5,x", 65),
    ("freebsd-10", f"add allow {NO_BODY} tcpwin", "tcpwin requires length", 64),
    ("freebsd-10", f"add allow {NO_BODY} tcpwin 5,x", "invalid tcpwin len 5,x", 65),
    ("freebsd-11", f"add allow {NO_BODY} tcpmss 5", "unrecognised option [-1] tcpmss\n", 64),
    ("freebsd-11", f"add allow {NO_BODY} record-state", "unrecognised option [-1] record-state\n", 64),
    ("freebsd-13", f"add setmark 5 {NO_BODY}", "invalid action setmark\n", 65),
    ("freebsd-13", f"add allow {NO_BODY} mark 5", "unrecognised option [-1] mark\n", 64),
    ("freebsd-14", "add setmark", "missing mark", 64),
    ("freebsd-14", f"add allow {NO_BODY} mark", "missing mark value:mask", 64),
    (
        "freebsd-14",
        f"add allow {NO_BODY} mark 0x11:1",
        "Static mark value: some bits in value are set that will be masked out by mask (0x11 & 0x1) = 0x1 != 0x11",
        65,
    ),
    ("freebsd-14", f"add allow {NO_BODY} lookup frob t", "format: cannot lookup on frob", 64),
    ("freebsd-13", f"add allow {NO_BODY} lookup mark t", "format: cannot lookup on mark", 64),
    ("freebsd-14", f"add allow {NO_BODY} flow t", 'enclose table name into "table()"', 65),
    ("freebsd-14", f"add allow {NO_BODY} flow table(t", "forgotten parenthesis: 'table(t'", 65),
    ("freebsd-10", f"add allow {NO_BODY} flow table(t)", "unrecognised option [-1] flow\n", 64),
    ("freebsd-14", f"add abort {NO_BODY}", "abort is not modelled here", 69),
    ("freebsd-14", f"add tcp-setmss 1300 {NO_BODY}", "tcp-setmss is not modelled here", 69),
    ("freebsd-14", f"add eaction x y {NO_BODY}", "eaction is not modelled here", 69),
    ("freebsd-14", f"add unreach needfrag 1200 {NO_BODY}", "unreach needfrag with an MTU is not modelled here", 69),
    ("freebsd-14", "internal iflist", "internal is not modelled here", 69),
    ("freebsd-14", "nptv6 x create", "nptv6 is not modelled here", 69),
]


@pytest.mark.parametrize(("profile", "command", "text", "status"), LATER)
def test_what_only_some_systems_say(profile: str, command: str, text: str, status: int) -> None:
    rules = RuleSet(profile)
    result = rules.execute(command.split())
    assert (result.stderr, result.status) == (f"ipfw: {text}\n", status)
    assert len(rules) == 1


def test_quiet_silences_an_absent_rule_only_since_13() -> None:
    """M-5"""
    assert RuleSet("freebsd-10").execute("-q delete 5").stderr == "ipfw: rule 5 not found\n"
    assert RuleSet("freebsd-13").execute("-q delete 5").stderr == ""


def test_the_second_log_is_an_abbreviation() -> None:
    """M-1 as observed"""
    assert RuleSet().execute(f"add allow log log {NO_BODY}").stderr == (
        "ipfw: DEPRECATED: 'log' matched 'logamount' as a sub-string\nipfw: unrecognised option [-1] from\n\n"
    )


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("zero", "Accounting cleared.\n"),
        ("zero 5", "Entry 5 cleared.\n"),
        ("resetlog", "Logging counts reset.\n"),
        ("resetlog 5", "Entry 5 logging count reset.\n"),
        ("flush", "Flushed all rules.\n"),
        ("-q zero 5", ""),
        ("-q flush", ""),
        ("set move 9 to 8", ""),
        ("set move rule 9 to 8", ""),
    ],
)
def test_what_success_prints(command: str, printed: str) -> None:
    """M-2, M-5"""
    rules = RuleSet()
    rules.run("add 5 count in")
    assert rules.execute(command) == (printed, "", 0)


@pytest.mark.parametrize("command", ["delete 65535", "delete set 7", "delete set 40", "set 3 delete 5"])
def test_deleting_what_cannot_go(command: str) -> None:
    """M-4"""
    rules = RuleSet()
    rules.run("add 5 count in")
    number = {"65535": 65535, "5": 5}.get(command.split()[-1], 0)
    assert rules.execute(command) == ("", f"ipfw: rule {number} not found\n", 69)
    assert len(rules) == 2


def test_warnings_come_with_status_zero() -> None:
    rules = RuleSet()
    assert rules.execute("ad 5 allow ip f any t any") == (
        "00005 allow ip from any to any\n",
        "ipfw: DEPRECATED: 'ad' matched 'add' as a sub-string\n"
        "ipfw: DEPRECATED: 'f' matched 'from' as a sub-string\n"
        "ipfw: DEPRECATED: 't' matched 'to' as a sub-string\n",
        0,
    )
    assert rules.execute("enable frob") == ("", "ipfw: unrecognize enable/disable keyword: frob\n\n", 0)
    assert rules.execute("-n list") == ("", "Testing only, list disabled\n", 0)


def test_a_wrong_port_list_warns_and_fails() -> None:
    assert RuleSet().execute("add allow tcp from any to any 80x") == (
        "",
        "ipfw: port list: invalid separator <x> in <80x>\nipfw: unrecognised option [-1] 80x\n\n",
        64,
    )


def test_usage() -> None:
    usage = 'usage: ipfw [options]\ndo "ipfw -h" or "man ipfw" for details\n'
    assert RuleSet().execute([]) == ("", f"ipfw: {usage}", 64)
    assert RuleSet().execute(["# nothing"]) == ("", f"ipfw: {usage}", 64)
    assert RuleSet().execute("-z list") == ("", f"ipfw: illegal option -- z\nipfw: {usage}", 64)


def test_absent_entries_are_told_on_standard_output() -> None:
    rules = RuleSet()
    rules.run("add 7 count in")
    assert rules.execute("zero 5 7") == ("Entry 5 not found\nEntry 7 cleared.\n", "", 69)
    assert rules.execute("-q resetlog 5 7") == ("Entry 5 not found\n", "", 69)
    assert RuleSet("freebsd-4").execute("zero 5") == (
        "",
        "ipfw: rule 5: setsockopt(IP_FW_ZERO): Invalid argument\n",
        69,
    )


def test_delete_goes_on_after_an_absent_rule() -> None:
    rules = RuleSet()
    rules.run("add 7 count in")
    assert rules.execute("delete 5 7 x 9") == ("", "ipfw: rule 5 not found\n", 69)
    assert [rule.number for rule in rules] == [65535]
    assert RuleSet("freebsd-13").execute("delete 5") == ("", "ipfw: rule 5 not found\n", 0)


@pytest.mark.parametrize("profile", ["freebsd-4", "dragonfly"])
@pytest.mark.parametrize("action", ["reass", "call 5", "return", "setfib 0"])
def test_what_a_system_lacks_it_refuses(profile: str, action: str) -> None:
    result = RuleSet(profile, ipfw_dialect="ipfw2").execute(f"add {action} ip from any to any")
    assert (result.stderr, result.status) == (f"ipfw: invalid action {action.split()[0]}\n\n", 65)


def test_files_stop_at_the_first_error() -> None:
    text = "add 5 allow in\n\n# a comment\nadd 6 frob in\nadd 7 allow in\n"
    rules = RuleSet(files={"/etc/rules": text})
    assert rules.execute(["/etc/rules"]) == (
        "00005 allow ip from any to any in\n",
        "Line 4: invalid action frob\n\n",
        65,
    )
    assert [rule.number for rule in rules] == [5, 65535]
    assert rules.execute(["-q", "-n", "/etc/rules"]).stdout == ""
    assert rules.execute(["-a", "/etc/rules"]) == (
        "",
        "ipfw: illegal option -- a\nipfw: bad arguments, for usage summary ``ipfw''\n",
        64,
    )
    assert rules.execute(["more", "/etc/rules"]).stderr == "ipfw: extraneous filename arguments /etc/rules\n"
    assert rules.run_file("add 9 deny out\n") == "00009 deny ip from any to any out\n"
