"""The first language of ipfw: what is typed, what is listed, what is refused (G-38, M-3; ipfw.c)."""

from __future__ import annotations

import pytest

from rules.ipfw import Host, RuleSet
from rules.ipfw.first.usage import USAGE_TEXT


def rule_set() -> RuleSet:
    return RuleSet("freebsd-4")


LISTED = [
    ("allow ip from any to any", "allow ip from any to any"),
    ("100 divert 8668 all from any to any via ed0", "divert 8668 ip from any to any via ed0"),
    ("pass tcp from 10.1.2.3/8 1024-65535 to me 22,80", "allow tcp from 10.0.0.0/8 1024-65535 to me 22,80"),
    ("drop icmp from any to any icmptypes 8,0", "deny icmp from any to any icmptype 0,8"),
    ("deny icmp from any to any icmptypes 127,0x10", "deny icmp from any to any icmptype 16,127"),
    ("reject ip from any to any", "unreach host ip from any to any"),
    ("unreach NET-UNKNOWN ip from any to any", "unreach net-unknown ip from any to any"),
    ("unreach 77 ip from any to any", "unreach 77 ip from any to any"),
    ("reset tcp from any to any", "reset tcp from any to any"),
    (
        "count ip from not 10.0.0.1 to not 10.0.0.0:255.0.255.0",
        "count ip from not 10.0.0.1 to not 10.0.0.0:255.0.255.0",
    ),
    ("count ip from not me to not any", "count ip from not me to not any"),
    ("count ip from 1.2.3.4/0 to 0.0.0.0/0", "count ip from any to any"),
    ("skipto 70000 ip from any to any", "skipto 4464 ip from any to any"),
    ("fwd 1.2.3.4,80 tcp from any to any", "fwd 1.2.3.4,80 tcp from any to any"),
    ("forward 1.2.3.4:http tcp from any to any", "fwd 1.2.3.4,80 tcp from any to any"),
    ("divert natd ip from any to any", "divert 8668 ip from any to any"),
    ("tee 0x10 ip from any to any", "tee 16 ip from any to any"),
    ("prob 0.25 count ip from any to any", "prob 0.250000 count ip from any to any"),
    ("allow log ip from any to any", "allow log ip from any to any"),
    ("allow log logamount 7 ip from any to any", "allow log logamount 7 ip from any to any"),
    ("allow log logamount 0 ip from any to any", "allow log ip from any to any"),
    ("check-state ip from any to any", "check-state"),
    # ports
    ("count tcp from any ftp\\-data to any smtp,80", "count tcp from any 20 to any 25,80"),
    ("count udp from any 0x35 to any 53-", "count udp from any 53 to any 53-65535"),
    ("count tcp from any to any 80:0xfff0,8080,1", "count tcp from any to any 80:0xfff0,8080,1"),
    ("count tcp from any 1-2,3,4,5 to any 6,7,8,9,10", "count tcp from any 1-2,3,4,5 to any 6,7,8,9,10"),
    # options, in the places of the listing whatever the order typed
    ("count ip from any to any in via em0", "count ip from any to any in recv em0"),
    ("count ip from any to any via em* out", "count ip from any to any out xmit em*"),
    ("count ip from any to any in out", "count ip from any to any"),
    ("count ip from any to any recv em0 xmit em1 out", "count ip from any to any out recv em0 xmit em1"),
    ("count ip from any to any via tun", "count ip from any to any via tun0"),
    ("count ip from any to any via any", "count ip from any to any via any"),
    ("count ip from any to any recv 10.0.0.1", "count ip from any to any recv 10.0.0.1"),
    ("count ip from any to any via verylongname3", "count ip from any to any via verylongn0"),
    ("count ip from any to any fragment bridged", "count ip from any to any bridged frag"),
    ("count ip from any to any gid wheel uid root", "count ip from any to any uid root gid wheel"),
    ("count ip from any to any ipoptions rr,!ts", "count ip from any to any ipopt rr,!ts"),
    ("count tcp from any to any setup keep-state", "count tcp from any to any keep-state setup"),
    ("count tcp from any to any tcpflags !ack,syn", "count tcp from any to any setup"),
    ("count tcp from any to any tcpflags urg,!fin,syn", "count tcp from any to any tcpflags !fin,syn,urg"),
    ("count tcp from any to any tcpflags syn tcpflags fin", "count tcp from any to any tcpflags fin,syn"),
    ("count tcp from any to any tcpoptions cc,!mss", "count tcp from any to any tcpoptions !mss,cc"),
    ("count tcp from any to any setup established", "count tcp from any to any established"),
    ("count tcp from any to any limit dst-port src-addr 3", "count tcp from any to any limit src-addr dst-port 3"),
    # every word may be cut short
    ("a tcp f n m 80 t an 1-2 es k", "allow tcp from not me 80 to any 1-2 keep-state established"),
    ("d 5 all from any to any", "divert 5 ip from any to any"),
    ("pa l logam 5 17 from any to any", "allow log logamount 5 udp from any to any"),
    ("r ip from any to any", "unreach host ip from any to any"),
    (
        "c tcp from any to any i r em0 l src-a src-p 2",
        "count tcp from any to any limit src-addr src-port 2 in recv em0",
    ),
]


@pytest.mark.parametrize(("typed", "listed"), LISTED, ids=[typed for typed, _ in LISTED])
def test_what_is_typed_is_listed_so(typed: str, listed: str) -> None:
    rules = rule_set()
    assert rules.run(["add", *typed.split()]) == f"00100 {listed}\n"
    assert rules.run("list 100") == f"00100 {listed}\n"


@pytest.mark.parametrize(
    "listed", [listed for _, listed in LISTED if "icmptype" not in listed and "ipopt" not in listed]
)
def test_what_is_listed_can_be_typed_again(listed: str) -> None:
    """``icmptype`` and ``ipopt`` can, too: they begin the words of the language."""
    first, second = rule_set(), rule_set()
    first.run(f"add 5 {listed}")
    second.run(["add", *first.run("list 5").split()])
    assert list(first) == list(second)


REFUSED = [
    ("", "missing action", 64),
    ("frob ip from any to any", "invalid action ``frob''", 65),
    ("set 3 allow ip from any to any", "invalid action ``set''", 65),
    ("call 5 ip from any to any", "invalid action ``call''", 65),
    ("divert", "missing divert port", 64),
    ("tee", "missing tee divert port", 64),
    ("divert foo ip from any to any", "illegal divert port", 65),
    ("tee 65536 ip from any to any", "illegal tee divert port", 65),
    ("skipto", "missing skipto rule number", 64),
    ("fwd", "missing forwarding IP address", 64),
    ("fwd 1.2.3.4,x ip from any to any", "illegal forwarding port ``x''", 65),
    ("fwd any ip from any to any", "illegal forwarding IP address", 65),
    ("unreach", "missing unreachable code", 65),
    ("unreach zz ip from any to any", "unknown ICMP unreachable code ``zz''", 65),
    ("prob 2 allow ip from any to any", "illegal match prob. 2", 65),
    ("allow log logamount", "``logamount'' requires argument", 64),
    ("allow log logamount -1 ip", "``logamount'' argument must be positive", 65),
    ("allow", "missing protocol", 64),
    ("allow in", "invalid protocol ``in''", 65),
    ("allow { tcp or udp } from any to any", "invalid protocol ``{''", 65),
    ("reset ip from any to any", "``reset'' is only valid for tcp packets", 65),
    ("allow tcp", "missing ``from''", 64),
    ("allow ip from", "missing source address", 64),
    ("allow ip from not", "missing source address", 64),
    ("allow ip from not not any", "hostname ``not'' unknown", 68),
    ("allow ip from nohost to any", "hostname ``nohost'' unknown", 68),
    ("allow ip from 1.2.3.4,5.6.7.8 to any", "hostname ``1.2.3.4,5.6.7.8'' unknown", 68),
    ("allow ip from { me or any } to any", "hostname ``{'' unknown", 68),
    ("allow ip from 1.2.3.4/33 to any", "bad width ``33''", 65),
    ("allow ip from 1.2.3.4:x to any", "bad netmask ``x''", 65),
    ("allow ip from any", "missing ``to''", 64),
    ("allow ip from any to", "missing dst address", 64),
    ("allow tcp from any to any 80x", "unknown port ``80x''", 65),
    ("allow tcp from any to any 80,", "unknown port ``''", 65),
    ("allow tcp from any to any 22,80-90", "unknown port ``80-90''", 65),
    ("allow tcp from any to any 70000", "port ``70000'' out of range", 65),
    ("allow tcp from any 1,2,3,4,5 to any 6,7,8,9,10,11", "too many ports (max is 10)", 64),
    ("allow tcp from any 1-2,3,4,5,6,7,8,9,10,11 to any", "too many ports (max is 10)", 64),
    ("allow ip from any to any 80", "only TCP and UDP protocols are valid with port specifications", 64),
    ("allow ip from any to any dst-port 80", "unknown argument ``dst-port''", 64),
    ("allow ip from any to any not frag", "unknown argument ``not''", 64),
    ("allow udp from any to any setup", "unknown argument ``setup''", 64),
    ("allow ip from any to any icmptypes 8", "unknown argument ``icmptypes''", 64),
    ("allow tcp from any to any icmptypes 8", "unknown or out of order argument ``icmptypes''", 64),
    ("allow icmp from any to any icmptypes 128", "ICMP type out of range", 65),
    ("allow icmp from any to any icmptypes x", "invalid ICMP type", 65),
    ("allow icmp from any to any icmptypes", "missing argument for ``icmptypes''", 64),
    ("allow ip from any to any iplen 5", "unknown argument ``iplen''", 64),
    ("allow ip from any to any uid", "``uid'' requires argument", 64),
    ("allow ip from any to any uid nobody-here", 'uid "nobody-here" is nonexistent', 65),
    ("allow ip from any to any via", "missing argument for ``via''", 64),
    ("allow ip from any to any via 1.2.3.4.5", "bad ip address ``1.2.3.4.5''", 65),
    ("allow ip from any to any via em0 recv em1", "``via'' is incompatible with ``xmit'' and ``recv''", 64),
    ("allow ip from any to any recv em0 via em1", "``via'' is incompatible with ``xmit'' and ``recv''", 64),
    ("allow ip from any to any xmit em0", "can't check xmit interface of incoming packets", 65),
    ("allow ip from any to any in out xmit em0", "can't check xmit interface of incoming packets", 65),
    ("allow tcp from any to any 80 frag", "can't mix 'frag' and port specifications", 65),
    ("allow tcp from any to any setup frag", "can't mix 'frag' and tcpflags", 65),
    ("allow tcp from any to any tcpflags foo", "invalid tcp flag ``foo''", 65),
    ("allow tcp from any to any tcpoptions foo", "invalid tcp option ``foo''", 65),
    ("allow ip from any to any ipoptions foo", "invalid ip option ``foo''", 65),
    ("allow ip from any to any limit", "limit needs mask and # of connections", 64),
    ("allow ip from any to any limit src-addr", "limit: limit must be >0", 64),
    ("allow ip from any to any limit 3", "missing limit mask", 64),
    ("65535 allow ip from any to any", "getsockopt(IP_FW_ADD): Invalid argument", 69),
    ("prob 0.5 check-state", "getsockopt(IP_FW_ADD): Invalid argument", 69),
    ("allow ip from any to any via *", "getsockopt(IP_FW_ADD): Invalid argument", 69),
    ("pipe", "missing pipe number", 64),
    ("allow ip from any to any keep-state 3", "a method of keep-state is not modelled here", 69),
]


@pytest.mark.parametrize(("typed", "text", "status"), REFUSED, ids=[typed for typed, *_ in REFUSED])
def test_what_is_refused_changes_nothing(typed: str, text: str, status: int) -> None:
    rules = rule_set()
    assert rules.execute(f"add {typed}") == ("", f"ipfw: {text}\n", status)
    assert len(rules) == 1


def test_usage_is_the_whole_of_it() -> None:
    """G-4, M-3"""
    assert rule_set().execute([]) == ("", USAGE_TEXT, 64)
    assert rule_set().execute("-S list") == ("", f"ipfw: illegal option -- S\n{USAGE_TEXT}", 64)
    assert rule_set().execute("-q").stderr == "ipfw: bad arguments, for usage summary ``ipfw''\n"
    assert len(USAGE_TEXT.splitlines()) == 39


def test_an_interface_that_is_not_there_is_warned_of() -> None:
    rules = RuleSet("freebsd-4", Host({"em0": "10.0.0.1/24"}))
    assert rules.execute("add 1 count ip from any to any via em*").stderr == ""
    result = rules.execute("add 2 count ip from any to any via ed*")
    assert (result.stderr, result.status) == ("ipfw: warning: interface ``ed0'' does not exist\n", 0)
    assert rules.execute("add 3 count ip from any to any via em1").stderr.endswith("``em1'' does not exist\n")


def test_numbers() -> None:
    rules = rule_set()
    for typed in ("", "70000", "65500", "", "0"):
        rules.run(f"add {typed} count ip from any to any")
    assert [rule.number for rule in rules] == [100, 4464, 65500, 65500, 65500, 65535]
    assert rules.run("100 add count ip from any to any") == "00100 count ip from any to any\n"
