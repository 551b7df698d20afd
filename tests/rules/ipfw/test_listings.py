"""What is typed, and the line that ``add`` prints and ``list`` repeats (bsd.md section 10.4)."""

from __future__ import annotations

import pytest

from rules.ipfw import RuleSet

TYPED_AND_LISTED = [
    ("100 divert 8668 all from any to any via ed0", "00100 divert 8668 ip from any to any via ed0"),
    (
        "200 pass tcp from 10.1.2.3/8 1024-65535 to me 22,80-90 setup keep-state",
        "00200 allow tcp from 10.0.0.0/8 1024-65535 to me dst-port 22,80-90 setup keep-state",
    ),
    (
        "300 drop log logamount 5 icmp from any to any icmptypes 8,0",
        "00300 deny log logamount 5 icmp from any to any icmptypes 0,8",
    ),
    (
        "400 count ip from { 10.0.0.1 or 10.0.0.2 } to any out",
        "00400 count ip from { 10.0.0.1 or 10.0.0.2 } to any out",
    ),
    (
        "500 prob 0.5 deny src-ip 1.2.3.0/24{1,2,7-9}",
        "00500 prob 0.500000 deny ip from any to any src-ip 1.2.3.0/24{1,2,7-9}",
    ),
    (
        "600 unreach 13 udp from not 10.0.0.0/8 to any 53",
        "00600 unreach filter-prohib udp from not 10.0.0.0/8 to any dst-port 53",
    ),
    (
        "700 tee natd ip from any to any in recv em* // copy",
        "00700 tee 8668 ip from any to any in recv em* // copy",
    ),
    ("800 allow tcp from any to any tcpflags !syn,ack", "00800 allow tcp from any to any tcpflags !syn,ack"),
    ("900 skipto 2000 ip from any to any not frag", "00900 skipto 2000 ip from any to any not frag"),
    ("allow ip from any to any", "00100 allow ip from any to any"),
    ("1 // only a word", "00001 count ip from any to any // only a word"),
    ("1 allow in", "00001 allow ip from any to any in"),
    ("1 allow ip from any to any not in not out", "00001 allow ip from any to any out in"),
    ("1 allow ip from any to any !frag", "00001 allow ip from any to any not frag"),
    ("1 allow ip from any to any { in | frag )", "00001 allow ip from any to any { in or frag }"),
    ("1 allow ip from any to any { in or frag", "00001 allow ip from any to any { in or frag }"),
    ("1 allow ip from any to any not { in or frag }", "00001 allow ip from any to any { out or frag }"),
    ("1 allow ip from not any to 1.2.3.4", "00001 allow ip from any to not 1.2.3.4"),
    ("1 allow ip from any to any not via any", "00001 allow ip from any to any"),
    ("1 allow ip from any to any src-ip 1.2.3.4", "00001 allow ip from any to any src-ip 1.2.3.4"),
    ("1 allow tcp from any to any src-ip 1.2.3.4", "00001 allow tcp from 1.2.3.4 to any"),
    ("1 allow ip from any to any { in", "00001 allow ip from any to any in"),
    ("1 allow ip from any to 1.2.3.4 src-ip 5.6.7.8", "00001 allow ip from any to 1.2.3.4 5.6.7.8"),
    ("1 allow ip from any to any in src-ip 1.2.3.4", "00001 allow ip from any to any in src-ip 1.2.3.4"),
    ("1 allow ip from any to me proto icmp", "00001 allow ip from any to me icmp"),
    ("1 allow tcp from any to any lookup dst-ip 5", "00001 allow tcp from any to lookup dst-ip 5"),
    ("1 allow ip4 from any to any", "00001 allow ip4 from any to any"),
    ("1 allow ipv6 from me to any", "00001 allow ip6 from me6 to any"),
    ("1 allow { tcp or 17 or not 99 } from any to any", "00001 allow { tcp or udp or not 99 } from any to any"),
    ("1 allow ip from 10.0.0.1:255.0.255.0 to any", "00001 allow ip from 10.0.0.0:255.0.255.0 to any"),
    ("1 allow ip from 10.0.0.1,10.9.0.0/16 to 0.0.0.0/0", "00001 allow ip from 10.0.0.1,10.9.0.0/16 to any"),
    ("1 allow ip from table(5,7) to not table(6)", "00001 allow ip from table(5,7) to not table(6)"),
    ("1 allow tcp from any ftp\\-data to any http,https", "00001 allow tcp from any 20 to any dst-port 80,443"),
    ("1 fwd 10.0.0.1:80 tcp from any to any", "00001 fwd 10.0.0.1,80 tcp from any to any"),
    ("1 fwd tablearg ip from any to table(1)", "00001 fwd tablearg ip from any to table(1)"),
    ("1 divert tablearg ip from any to any", "00001 divert tablearg ip from any to any"),
    ("1 divert 70000 ip from any to any", "00001 divert 4464 ip from any to any"),
    ("1 unreach host ip from any to any", "00001 reject ip from any to any"),
    ("1 unreach 77 ip from any to any", "00001 unreach 77 ip from any to any"),
    ("1 check-state ip from any to any", "00001 check-state"),
    ("1 check-state log", "00001 check-state log"),
    ("1 allow tag 7 log ip from any to any", "00001 allow log tag 7 ip from any to any"),
    (
        "1 allow ip from any to any limit dst-port src-addr src-port dst-addr 3",
        "00001 allow ip from any to any limit all 3",
    ),
    (
        "1 allow ip from any to any ipttl 1,5-7 iplen 0x20 ipid 9 tagged 3-4",
        "00001 allow ip from any to any ipttl 1,5-7 iplen 32 ipid 9 tagged 3-4",
    ),
    ("1 allow ip from any to any dscp 46,af11,3", "00001 allow ip from any to any dscp 3,af11,ef"),
    ("1 setdscp 10 ip from any to any", "00001 setdscp af11 ip from any to any"),
    ("1 setdscp be ip from any to any", "00001 setdscp tablearg ip from any to any"),
    ("1 allow tcp from any to any tcpseq 1,2", "00001 allow tcp from any to any tcpseq 1"),
    ("1 allow tcp from any to any not tcpack 4294967295", "00001 allow tcp from any to any tcpack -1"),
    ("1 allow ip from any to any ipprecedence 9", "00001 allow ip from any to any ipprecedence 1"),
    ("1 allow ip from any to any iptos congestion", "00001 allow ip from any to any iptos mincost,congestion"),
    ("1 allow ip from any to any uid root gid 12345", "00001 allow ip from any to any uid root gid 12345"),
]


@pytest.mark.parametrize(("typed", "listed"), TYPED_AND_LISTED)
def test_add_prints_what_list_repeats(typed: str, listed: str) -> None:
    rules = RuleSet()
    assert rules.run(["add", *typed.split()]) == f"{listed}\n"
    assert rules.run("list").splitlines()[0] == listed


OPTIONS = [
    (["-c"], "add 500 allow in", "00500 allow in\n"),
    (["-c"], "add 500 allow ip from any to any", "00500 allow ip from any to any\n"),
    (["-S"], "add 500 set 3 allow in", "00500 set 3 allow ip from any to any in\n"),
    (["-q"], "add 500 allow in", ""),
    (["-N"], "add 500 allow tcp from localhost to any 25,4444", "00500 allow tcp from localhost to any dst-port "),
    (["-n"], "add allow in", "00000 allow ip from any to any in\n"),
]


@pytest.mark.parametrize(("options", "command", "printed"), OPTIONS)
def test_options_of_add(options: list[str], command: str, printed: str) -> None:
    rules = RuleSet()
    output = rules.run([*options, *command.split()])
    assert output.startswith(printed)
    assert bool(output) == bool(printed)
    assert len(rules) == (1 if "-n" in options else 2)


def test_names_of_services() -> None:
    rules = RuleSet()
    assert rules.run("-N add 1 allow udp from any 53 to any 514,515") == (
        "00001 allow udp from any domain to any dst-port syslog,515\n"
    )


def test_listing_options() -> None:
    rules = RuleSet(now=86400.0)
    rules.run("add 10 allow log tag 5 ip from any to any // first")
    rules.run("add 20 set 4 deny ip from any to any")
    rules.run("set disable 4")
    assert rules.run("-b list") == "00010 allow log tag 5 // first\n65535 deny // ...\n"
    assert rules.run("list 20") == ""
    assert rules.run("-S list 20") == "# DISABLED 00020 set 4 deny ip from any to any\n"
    assert rules.run("-aT list 65535") == "65535 0 0          0 deny ip from any to any\n"
    assert rules.run("-at list 65535") == "65535 0 0 " + " " * 24 + "deny ip from any to any\n"
    assert rules.run("set 4 list") == ""
    assert rules.run("set 31 list") == "65535 deny ip from any to any\n"


@pytest.mark.parametrize(
    ("profile", "typed", "listed"),
    [
        ("freebsd-13", "1 allow udp from any to any 53 frag", "00001 allow udp from any to any 53 frag offset"),
        ("freebsd-13", "1 allow udp from any to any dst-port 53", "00001 allow udp from any to any 53"),
        ("freebsd-13", "1 allow in dst-port 53", "00001 allow in dst-port 53"),
        ("freebsd-13", "1 allow ip from any to any frag mf,!df", "00001 allow ip from any to any frag !df,mf"),
        ("freebsd-13", "1 allow tcp from any to any in src-ip 1.2.3.4", "00001 allow tcp from 1.2.3.4 to any in"),
        ("freebsd-13", "1 allow ip from any 5 to any in proto udp", "00001 allow udp from any 5 to any in"),
        (
            "freebsd-13",
            "1 allow ip from any to any 5 in dst-port 6",
            "00001 allow ip from any to any dst-port 5 in dst-port 6",
        ),
        (
            "freebsd-13",
            "1 allow { tcp or udp } from { me or 1.2.3.4 } to not me out",
            "00001 allow { tcp or udp } from { me or 1.2.3.4 } to not me out",
        ),
        ("freebsd-13", "1 allow src-ip 1.2.3.4 proto tcp not out", "00001 allow src-ip 1.2.3.4 proto tcp in"),
        ("freebsd-13", "1 allow ip from any to any lookup dst-port 5", "00001 allow ip from any to lookup dst-port 5"),
        ("freebsd-13", "1 check-state // first", "00001 check-state :default // first"),
        (
            "freebsd-13",
            "1 allow udp from any to any record-state",
            "00001 allow udp from any to any record-state :default",
        ),
        (
            "freebsd-13",
            "1 allow udp from any to any set-limit src-addr 5 :x",
            "00001 allow udp from any to any set-limit src-addr 5 :x",
        ),
        (
            "freebsd-13",
            "1 allow out keep-state defer-action",
            "00001 allow out keep-state :default defer-immediate-action",
        ),
        (
            "freebsd-13",
            "1 allow tcp from any to any tcpmss 500-1460,9000",
            "00001 allow tcp from any to any tcpmss 500-1460,9000",
        ),
        (
            "freebsd-14",
            "1 setmark 16 ip from any to any mark 1:0xf",
            "00001 setmark 0x10 ip from any to any mark 0x1:0xf",
        ),
        (
            "freebsd-14",
            "1 setmark tablearg ip from any to any mark tablearg",
            "00001 setmark tablearg ip from any to any mark tablearg",
        ),
        ("freebsd-14", "1 check-state", "00001 check-state :default"),
        ("freebsd-14", "1 check-state :any", "00001 check-state :any"),
        ("freebsd-14", "1 allow in keep-state :a", "00001 allow in keep-state :a"),
        ("freebsd-11", "1 setdscp be ip from any to any", "00001 setdscp be ip from any to any"),
        ("freebsd-4", "1 divert 0x10 ip fr any to any", "00001 divert 16 ip from any to any"),
    ],
)
def test_profiles_list_in_their_ways(profile: str, typed: str, listed: str) -> None:
    rules = RuleSet(profile)
    result = rules.execute(["add", *typed.split()])
    assert result == (f"{listed}\n", "", 0)
