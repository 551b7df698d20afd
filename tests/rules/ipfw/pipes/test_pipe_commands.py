"""``pipe``, ``queue`` and ``sched``: what is configured, listed and refused, on every system."""

from __future__ import annotations

import pytest

from rules.fields import Header
from rules.ipfw import Action, CommandError, RuleSet

FRESH_PIPE = """\
00001: unlimited         0 ms burst 0 
q131073  50 sl. 0 flows (1 buckets) sched 65537 weight 0 lmax 0 pri 0 droptail
 sched 65537 type FIFO flags 0x0 0 buckets 0 active
"""  # noqa: W291 - as the tool prints it


def run(profile: str, *commands: str) -> str:
    """What the last of the commands prints."""
    rules = RuleSet(profile=profile)
    return [rules.run(command) for command in commands][-1]


def complaint(profile: str, command: str) -> tuple[str, int]:
    rules = RuleSet(profile=profile)
    before = rules.run("pipe list")
    with pytest.raises(CommandError) as error:
        rules.run(command)
    assert rules.run("pipe list") == before
    return error.value.stderr, error.value.status


# -- FreeBSD 8 and later -----------------------------------------------------------------------------------------------


def test_a_pipe_is_a_link_a_flow_set_and_a_fifo() -> None:
    assert run("freebsd-10", "pipe 1 config", "pipe show") == FRESH_PIPE


RATES = [
    ("bw 1Mbit/s", "  1.000 Mbit/s"),
    ("bw 1000000", "  1.000 Mbit/s"),
    ("bw 56Kbit/s", " 56.000 Kbit/s"),
    ("bw 56kbit/s", " 56.000 Kbit/s"),
    ("bandwidth 300", "300.000 bit/s "),
    ("bw 64KByte/s", "512.000 Kbit/s"),
    ("bw 64KB", "512.000 Kbit/s"),
    ("bw 64Kbytes", "512.000 Kbit/s"),
    ("bw 1MBit/s", "  1.000 Mbit/s"),
    ("bw 0", "unlimited     "),
    ("bw 0x10K", " 16.000 Kbit/s"),
]


@pytest.mark.parametrize(("parameter", "listed"), RATES)
def test_bandwidths(parameter: str, listed: str) -> None:
    assert run("freebsd-10", f"pipe 7 config {parameter}", "pipe 7 list").splitlines()[0] == (
        f"00007: {listed}    0 ms burst 0 "
    )


def test_gigabits_since_13() -> None:
    assert "00001:   4.000 Gbit/s" in run("freebsd-13", "pipe 1 config bw 4Gbit/s", "pipe list")
    assert complaint("freebsd-13", "pipe 1 config bw 5Gbit/s") == ("ipfw: bandwidth too large\n", 65)
    assert complaint("freebsd-10", "pipe 1 config bw 2200Mbit/s") == ("ipfw: bandwidth too large\n", 65)


BURSTS = [
    ("10000", "10000 "),
    ("10k", "10240 "),
    ("1g", "1048576 K"),
    ("1000000000", "976563 K"),
    ("999999998", "999999998 "),
]


@pytest.mark.parametrize(("given", "listed"), BURSTS)
def test_bursts(given: str, listed: str) -> None:
    first = run("freebsd-10", f"pipe 1 config burst {given}", "pipe list").splitlines()[0]
    assert first == f"00001: unlimited         0 ms burst {listed}"


FLOW_SETS = [
    ("queue 10", " 10 sl. 0 flows (1 buckets) sched 65537 weight 0 lmax 0 pri 0 droptail"),
    ("queue 20Kbytes", "20 KB 0 flows (1 buckets) sched 65537 weight 0 lmax 0 pri 0 droptail"),
    ("queue 5000B", "5000 B 0 flows (1 buckets) sched 65537 weight 0 lmax 0 pri 0 droptail"),
    ("queue 100B", "16 KB 0 flows (1 buckets) sched 65537 weight 0 lmax 0 pri 0 droptail"),
    ("plr 0.05", " 50 sl.plr 0.050000 0 flows (1 buckets) sched 65537 weight 0 lmax 0 pri 0 droptail"),
    ("plr 7", " 50 sl.plr 1.000000 0 flows (1 buckets) sched 65537 weight 0 lmax 0 pri 0 droptail"),
    (
        "red 0.002/5/15/0.1",
        " 50 sl. 0 flows (1 buckets) sched 65537 weight 0 lmax 0 pri 0 \n"
        "\t  RED w_q 0.001999 min_th 5 max_th 15 max_p 0.099991",
    ),
    (
        "queue 30K gred 0.5/5K/10K/1 ecn",
        "30 KB 0 flows (1 buckets) sched 65537 weight 0 lmax 0 pri 0 \n"
        "\t GRED w_q 0.500000 min_th 5120 max_th 10240 max_p 1.000000 (ecn)",
    ),
]


@pytest.mark.parametrize(("parameters", "listed"), FLOW_SETS)
def test_queue_length_loss_and_red(parameters: str, listed: str) -> None:
    assert f"q131073 {listed}\n" in run("freebsd-10", f"pipe 1 config {parameters}", "pipe list")


MASKS = [
    ("mask dst-ip 0xffffffff", "0x00 0x00000000/0x0000 -> 0xffffffff/0x0000"),
    ("mask src-ip /24 buckets 64", "0x00 0x00ffffff/0x0000 -> 0x00000000/0x0000"),
    ("mask src-port 0xff dst-port 255 proto 0xff", "0xff 0x00000000/0x00ff -> 0x00000000/0x00ff"),
    ("mask all", "0xff 0xffffffff/0xffff -> 0xffffffff/0xffff"),
    ("mask src-ip /32 dst-ip 0x000000ff buckets 100", "0x00 0xffffffff/0x0000 -> 0x000000ff/0x0000"),
]


@pytest.mark.parametrize(("parameters", "listed"), MASKS)
def test_masks_of_pipes_are_the_fifos(parameters: str, listed: str) -> None:
    *_, scheduler, mask = run("freebsd-10", f"pipe 1 config {parameters}", "pipe list").splitlines()
    buckets = 100 if "buckets 100" in parameters else 64
    assert scheduler == f" sched 65537 type FIFO flags 0x1 {buckets} buckets 0 active"
    assert mask == f"    mask:  {listed}"


def test_queues_of_a_pipe_and_its_scheduler() -> None:
    rules = RuleSet(profile="freebsd-10")
    for command in (
        "pipe 1 config bw 1Mbit/s",
        "queue 1 config pipe 1 weight 30",
        "queue 2 config pipe 1 mask proto 1",
    ):
        assert rules.run(command) == ""
    assert rules.run("queue show") == (
        "q00001  50 sl. 0 flows (1 buckets) sched 1 weight 30 lmax 0 pri 0 droptail\n"
        "q00002  50 sl. 0 flows (64 buckets) sched 1 weight 1 lmax 0 pri 0 droptail\n"
        "    mask:  0x01 0x00000000/0x0000 -> 0x00000000/0x0000\n"
    )
    assert rules.run("sched show") == (
        "00001:   1.000 Mbit/s    0 ms burst 0 \n"
        " sched 1 type WF2Q+ flags 0x0 0 buckets 0 active\n"
        "   Children flowsets: 2 1 \n"
    )
    assert rules.messages == ["Bump flowset buckets to 64 (was 0)", "Bump WF2Q+ weight to 1 (was 0)"]


def test_what_is_not_said_anew_of_a_queue_stays() -> None:
    rules = RuleSet(profile="freebsd-10")
    rules.run("queue 5 config pipe 3 weight 40 queue 7 plr 0.5")
    assert (
        rules.run("queue list")
        == "q00005   7 sl.plr 0.500000 0 flows (1 buckets) sched 3 weight 40 lmax 0 pri 0 droptail\n"
    )
    rules.run("queue 5 config pri 9")
    assert rules.run("queue list") == "q00005  50 sl. 0 flows (1 buckets) sched 3 weight 40 lmax 0 pri 9 droptail\n"


def test_scheduler_types() -> None:
    rules = RuleSet(profile="freebsd-10")
    rules.run("pipe 4 config bw 2Mbit/s delay 10")
    for given, name in (("fifo", "FIFO"), ("rr", "RR"), ("QFQ", "QFQ"), ("prio", "PRIO"), ("wf2q+", "WF2Q+")):
        rules.run(f"sched 4 config type {given}")
        listing = rules.run("sched list")
        assert f" sched 4 type {name} flags 0x0 0 buckets 0 active\n" in listing
        assert listing.startswith("00004:   2.000 Mbit/s   10 ms burst 0 \n"), "the link stays"
    rules.run("queue 1 config sched 4 weight 300")
    assert "sched 4 weight 100 " in rules.run("queue list")
    assert "Clamp WF2Q+ weight to 100 (was 300)" in rules.messages


def test_pipes_are_listed_by_hash_slot_newest_first() -> None:
    rules = RuleSet(profile="freebsd-10")
    for number in (64, 2, 68, 4, 1):
        rules.run(f"pipe {number} config")
    listed = [int(line[:5]) for line in rules.run("pipe list").splitlines() if "burst" in line]
    assert listed == [68, 1, 2, 4, 64]


def test_ranges_and_numbers_that_are_none() -> None:
    rules = RuleSet(profile="freebsd-10")
    for number in (1, 2, 3, 7):
        rules.run(f"pipe {number} config")

    def listed(what: str) -> list[int]:
        return [int(line[:5]) for line in rules.run(what).splitlines() if "burst" in line]

    assert listed("pipe list") == [1, 2, 3, 7]
    assert listed("pipe list 2-3 7") == [2, 3, 7]
    assert listed("pipe 2 list") == [2]
    assert listed("pipe list 1,3") == [1, 3]
    assert listed("pipe list 3-1") == [1, 2, 3, 7], "a range the wrong way round is none"
    result = rules.execute("pipe list x")
    assert (result.stdout, result.status) == ("", 0)
    assert result.stderr == "ipfw: invalid number: x: Invalid argument\n" * 2


def test_delete_and_flush() -> None:
    rules = RuleSet(profile="freebsd-10")
    rules.run("pipe 1 config")
    rules.run("queue 1 config pipe 1")
    rules.run("pipe delete 1")
    assert rules.run("pipe list") == rules.run("sched list") == ""
    assert "sched 1 weight 1 " in rules.run("queue list"), "a queue outlives its pipe"
    absent = rules.execute("pipe 1 delete")
    assert (absent.stderr, absent.status) == ("ipfw: rule 1: setsockopt(IP_DUMMYNET_DEL): Invalid argument\n", 1)
    assert rules.execute("queue 1 delete").status == 0
    assert rules.run("queue list") == ""
    rules.run("sched 3 config type rr")
    assert rules.execute("sched 3 delete").status == 1, "the kernel has no such command"
    assert rules.run("pipe flush") == ""
    assert rules.run("sched list") == ""


REFUSED = [
    ("pipe config bw 1M", "need a pipe/flowset/sched number", 64),
    ("pipe 0 config", "need a pipe/flowset/sched number", 64),
    ("pipe 70000 config", "setsockopt(IP_DUMMYNET_CONFIGURE): Invalid argument", 1),
    ("pipe 1 config frob", "unrecognised option ``frob''", 65),
    ("pipe 1 config bw", "bw needs bandwidth or interface\n", 64),
    ("pipe 1 config bw em0", "no if support", 1),
    ("pipe 1 config delay", "delay needs argument 0..10000ms\n", 64),
    ("pipe 1 config delay 10001", "delay must be < 10000", 65),
    ("pipe 1 config queue", "queue needs queue size\n", 64),
    ("pipe 1 config queue 101", "2 <= queue size <= 100", 65),
    ("pipe 1 config queue 1025K", "queue size must be < 1048576B", 65),
    ("pipe 1 config plr", "plr needs argument 0..1\n", 64),
    ("pipe 1 config buckets", "buckets needs argument\n", 64),
    ("pipe 1 config mask", "mask needs mask specifier\n", 64),
    ("pipe 1 config mask src-ip", "mask: value missing", 64),
    ("pipe 1 config mask src-port 0x10000", "port mask must be 16 bit", 65),
    ("pipe 1 config mask proto 256", "proto mask must be 8 bit", 65),
    ("pipe 1 config mask src-ip6 64", "src-ip6 is not modelled here", 69),
    ("pipe 1 config red", "red/gred needs w_q/min_th/max_th/max_p\n", 64),
    ("pipe 1 config red 2/1/2/0.1", "0 < w_q <= 1", 65),
    ("pipe 1 config red 0.5/1/2/1.1", "0 <= max_p <= 1", 65),
    ("pipe 1 config red 0.5/2/2/1", "min_th 2 must be < than max_th 2", 65),
    ("pipe 1 config ecn", "enable red/gred for ECN", 64),
    ("pipe 1 config burst", "burst needs argument\n", 64),
    ("pipe 1 config burst x", "burst: invalid argument", 65),
    ("pipe 1 config burst 1000000g", "burst: out of range (0..2^48-1)", 65),
    ("pipe 1 config profile x", "profile is not modelled here", 69),
    ("queue 1 config bw 1M", "bw is only for links", 64),
    ("queue 1 config delay 1", "delay is only for links", 64),
    ("queue 1 config burst 1", "burst", 64),
    ("queue 1 config type rr", "type is only for schedulers", 64),
    ("queue 1 config weight 3", "setsockopt(IP_DUMMYNET_CONFIGURE): Operation not permitted", 1),
    ("sched 1 config type", "type needs a string", 64),
    ("sched 1 config type frob", "setsockopt(IP_DUMMYNET_CONFIGURE): Invalid argument", 1),
    ("sched 1 config type abcdefghijklmnop", "type abcdefghijklmnop too long\n", 1),
    ("pipe", "missing command", 64),
    ("pipe 1", "bad command `1'", 64),
    ("pipe frob", "bad command `frob'", 64),
    ("pipe delete", "missing rule specification", 64),
]


@pytest.mark.parametrize(("command", "text", "status"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refusals(command: str, text: str, status: int) -> None:
    assert complaint("freebsd-10", command) == (f"ipfw: {text}\n", status)


def test_other_queue_management_is_refused_where_it_is_known() -> None:
    assert complaint("freebsd-11", "pipe 1 config codel") == ("ipfw: codel is not modelled here\n", 69)
    assert complaint("freebsd-14", "sched 1 config type fq_codel") == ("ipfw: type fq_codel is not modelled here\n", 69)
    assert complaint("freebsd-10", "pipe 1 config codel") == ("ipfw: unrecognised option ``codel''\n", 65)
    text, status = complaint("freebsd-11", "pipe 1 config ecn")
    assert (text, status) == ("ipfw: ECN can be used with red/gred/codel/fq_codel only!\n", 64)


def test_warnings() -> None:
    rules = RuleSet(profile="freebsd-10")
    result = rules.execute("pipe 1 config bw 1Mbyte/s bw 2MBits queue 20by")
    assert result.status == 0
    assert result.stderr == (
        "ipfw: DEPRECATED: 'byte/s' matched 'bytes'\n"
        "ipfw: duplicate token, override bandwidth value!\n"
        "ipfw: DEPRECATED: 'Bits' matched 'Bit/s'\n"
        "ipfw: DEPRECATED: 'by' matched 'bytes'\n"
    )


def test_nothing_is_done_with_n() -> None:
    rules = RuleSet(profile="freebsd-10")
    assert rules.execute("-n pipe 1 config bw 1M") == ("", "", 0)
    assert rules.run("pipe list") == ""
    assert rules.execute("-n pipe list").stderr == "Testing only, list disabled\n"
    rules.run("pipe 1 config")
    assert rules.execute("-n pipe delete 1 2") == ("", "", 0)
    rules.run("-n pipe flush")
    assert rules.run("pipe list") == FRESH_PIPE


def test_pipe_before_another_command_means_nothing() -> None:
    rules = RuleSet(profile="freebsd-10")
    assert rules.run("pipe add 100 count ip from any to any") == "00100 count ip from any to any\n"


# -- FreeBSD 4 and DragonFly -------------------------------------------------------------------------------------------

CLASSIC = ("freebsd-4", "dragonfly")
NO_MASK = "    mask: 0x00 0x00000000/0x0000 -> 0x00000000/0x0000\n"


@pytest.mark.parametrize("profile", CLASSIC)
def test_classic_listing(profile: str) -> None:
    rules = RuleSet(profile=profile)
    rules.run("pipe 1 config bw 1Mbit/s delay 50 queue 20 plr 0.1")
    rules.run("pipe 2 config mask dst-ip 0xffffffff red 0.5/5/10/0.5")
    rules.run("queue 3 config pipe 1 weight 7")
    assert (
        rules.run("pipe list")
        == rules.run("queue show")
        == (
            f"00001:   1.000 Mbit/s   50 ms   20 sl.plr 0.100000 0 queues (1 buckets) droptail\n{NO_MASK}"
            "00002: unlimited    0 ms   50 sl. 0 queues (64 buckets) \n"
            "\t   RED w_q 0.500000 min_th 5 max_th 10 max_p 0.500000\n"
            "    mask: 0x00 0x00000000/0x0000 -> 0xffffffff/0x0000\n"
            f"q00003: weight 7 pipe 1   50 sl. 0 queues (1 buckets) droptail\n{NO_MASK}"
        )
    )
    assert rules.run("pipe 2 list").startswith("00002: ")
    assert "q00003" in rules.run("pipe 2 list"), "queues are listed in any case"


def test_dragonfly_lists_by_hash() -> None:
    rules = RuleSet(profile="dragonfly")
    for number in (16, 1, 17):
        rules.run(f"pipe {number} config")
    listed = [line[:5] for line in rules.run("pipe list").splitlines() if line[:1] == "0"]
    assert listed == ["00017", "00001", "00016"]


def test_dragonfly_reads_units_in_full() -> None:
    assert "8.000 Mbit/s" in run("dragonfly", "pipe 1 config bw 1mByte/s", "pipe list")
    assert "1.000 Mbit/s" in run("dragonfly", "pipe 1 config bw 1mb", "pipe list")
    assert "  20 KB" in run("dragonfly", "pipe 1 config queue 20KByte", "pipe list")
    assert "  20 KB" in run("freebsd-4", "pipe 1 config queue 20K", "pipe list")
    assert "   20 sl." in run("dragonfly", "pipe 1 config queue 20", "pipe list")


@pytest.mark.parametrize("profile", CLASSIC)
def test_classic_delete_and_flush(profile: str) -> None:
    rules = RuleSet(profile=profile)
    rules.run("pipe 1 config")
    rules.run("queue 1 config pipe 1")
    absent = rules.execute("pipe delete 9 1")
    assert (absent.stderr, absent.status) == ("ipfw: rule 9: setsockopt(IP_DUMMYNET_DEL): Invalid argument\n", 1)
    assert rules.run("pipe list") == f"q00001: weight 1 pipe 1   50 sl. 0 queues (1 buckets) droptail\n{NO_MASK}"
    assert rules.run("pipe flush") == "Flushed all pipes.\n"
    assert rules.run("-q queue flush") == rules.run("pipe list") == ""


CLASSIC_REFUSED = [
    ("pipe config bw 1M", "pipe_nr must be > 0", 65),
    ("queue config pipe 1", "setsockopt(IP_DUMMYNET_CONFIGURE): Invalid argument", 1),
    ("pipe 1 config delay 10001", "delay must be < 10000", 65),
    ("pipe 1 config weight 3", "weight only valid for queues", 65),
    ("pipe 1 config pipe 3", "pipe only valid for queues", 65),
    ("queue 1 config delay 3", "delay only valid for pipes", 65),
    ("queue 1 config bw 3", "bandwidth only valid for pipes", 65),
    ("queue 1 config weight 3", "pipe must be > 0", 65),
    ("queue 1 config pipe 1 weight 101", "weight must be <= 100", 65),
    ("pipe 1 config queue 101", "2 <= queue size <= 100", 65),
    ("pipe 1 config queue 1025Kbytes", "queue size must be < 1MB", 65),
    ("pipe 1 config mask src-port 0x10000", "mask: must be 16 bit", 65),
    ("pipe 1 config red 0.5/1/2/0", "0 < max_p <= 1", 65),
    ("pipe 1 config burst 3 x", "unrecognised option ``3''", 65),
    ("pipe 1 config profile", "unrecognised option ``(null)''", 65),
    ("sched 1 config type rr", "bad command `sched'", 64),
]


@pytest.mark.parametrize("profile", CLASSIC)
@pytest.mark.parametrize(("command", "text", "status"), CLASSIC_REFUSED, ids=[row[0] for row in CLASSIC_REFUSED])
def test_classic_refusals(profile: str, command: str, text: str, status: int) -> None:
    assert complaint(profile, command) == (f"ipfw: {text}\n", status)


def test_an_interface_as_clock_is_refused() -> None:
    text, status = complaint("freebsd-4", "pipe 1 config bw em0")
    assert (text, status) == ("ipfw: bw em0: an interface as clock is not modelled here\n", 69)


def test_a_queue_does_not_change_its_pipe_on_freebsd_4() -> None:
    rules = RuleSet(profile="freebsd-4")
    rules.run("queue 1 config pipe 1 weight 5")
    with pytest.raises(CommandError):
        rules.run("queue 1 config pipe 2")
    rules.run("queue 1 config pipe 1 weight 9")
    assert "weight 5 pipe 1" in rules.run("queue list"), "nor its weight"


# -- rules -------------------------------------------------------------------------------------------------------------

UDP = Header(source=0x0A000002, destination=0x0A000001, protocol=17, source_port=1024, destination_port=53)


@pytest.mark.parametrize("profile", ["freebsd-10", "freebsd-13", "freebsd-4", "dragonfly"])
@pytest.mark.parametrize("action", ["pipe", "queue"])
def test_rules(profile: str, action: str) -> None:
    rules = RuleSet(profile=profile)
    words = "udp from any to any"
    assert rules.run(f"add 100 {action} 7 log {words}") == f"00100 {action} 7 log {words}\n"
    assert str(next(iter(rules))) == f"100 {action} 7 log logamount 0 {words}"
    verdict = rules.evaluate(UDP)
    assert (verdict.action, verdict.number, verdict.rule) == (Action(action), 7, 100)
    assert verdict.log[0].startswith(f"ipfw: 100 {action.title()} 7 UDP 10.0.0.2:1024 10.0.0.1:53 in")
    assert next(iter(rules.counters))[1:] == (1, 20)


def test_the_number_of_a_table() -> None:
    rules = RuleSet(profile="freebsd-10")
    rules.run("table 1 add 10.0.0.0/8 33")
    assert rules.run("add 100 pipe tablearg udp from table(1) to any").startswith("00100 pipe tablearg udp")
    assert rules.evaluate(UDP).number == 33


def test_one_pass() -> None:
    """X-10: behind a pipe the search goes on at the next rule in list order, of the same number, too."""
    for profile in ("freebsd-10", "freebsd-4"):
        rules = RuleSet(profile=profile)
        for rule in ("100 pipe 1 ip from any to any", "100 count ip from any to any", "200 allow udp from any to any"):
            rules.run(f"add {rule}")
        rules.set_variable("one_pass", value=False)
        verdict = rules.evaluate(UDP)
        assert verdict.resume is not None
        after = rules.evaluate(UDP, resume=verdict.resume)
        assert (after.action, after.counted) == (Action.ALLOW, (100, 200))
        rules.set_variable("one_pass", value=True)
        if profile == "freebsd-10":
            assert rules.evaluate(UDP).resume is None, "decided when it matches"
        else:
            assert rules.evaluate(UDP, resume=verdict.resume).rule is None, "decided when it comes back"


def test_the_rule_is_gone_when_the_packet_comes_back() -> None:
    for profile, action in (("freebsd-10", Action.ALLOW), ("freebsd-4", Action.DENY), ("dragonfly", Action.DENY)):
        rules = RuleSet(profile=profile)
        rules.set_variable("one_pass", value=False)
        rules.run("add 100 pipe 1 ip from any to any")
        rules.run("add 100 allow ip from any to any")
        verdict = rules.evaluate(UDP)
        rules.remove(lambda entry: entry.rule.effect.action is Action.PIPE)
        assert rules.evaluate(UDP, resume=verdict.resume).action is action
