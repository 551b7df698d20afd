"""The variables below net.inet.ip.fw, and what each of them does."""

from __future__ import annotations

import pytest

from rules.fields import Header
from rules.ipfw import Action, CommandError, RuleSet
from rules.ipfw.sysctl import PREFIX

HERE, THERE = 0x0A000002, 0x08080808


def datagram(port: int = 1000) -> Header:
    return Header(
        source=HERE, destination=THERE, protocol=17, source_port=port, destination_port=53, transmit_interface="em0"
    )


def stateful(profile: str = "freebsd-10", **changes: int) -> RuleSet:
    rules = RuleSet(profile)
    rules.run("add 10 allow udp from any to any keep-state")
    for name, value in changes.items():
        rules.sysctl(f"{PREFIX}.{name}={value}")
    return rules


def test_reading_and_setting_as_sysctl_prints_it() -> None:
    rules = RuleSet()
    assert rules.sysctl("net.inet.ip.fw.dyn_ack_lifetime") == "net.inet.ip.fw.dyn_ack_lifetime: 300\n"
    assert rules.sysctl("sysctl net.inet.ip.fw.dyn_ack_lifetime=60") == "net.inet.ip.fw.dyn_ack_lifetime: 300 -> 60\n"
    assert rules.sysctl("-n net.inet.ip.fw.dyn_ack_lifetime net.inet.ip.fw.one_pass") == "60\n1\n"
    assert rules.sysctl("net.inet.ip.fw.dyn_ack_lifetime=0x20") == "net.inet.ip.fw.dyn_ack_lifetime: 60 -> 32\n"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("", "usage: sysctl [-n] name[=value] ...\n"),
        ("net.inet.ip.fw.frob", "sysctl: unknown oid 'net.inet.ip.fw.frob'\n"),
        ("net.inet.ip.fw.frob=1", "sysctl: unknown oid 'net.inet.ip.fw.frob'\n"),
        ("net.inet.ip.fw.dyn_count=1", "sysctl: oid 'net.inet.ip.fw.dyn_count' is read only\n"),
        (
            "net.inet.ip.fw.default_to_accept=1",
            "sysctl: oid 'net.inet.ip.fw.default_to_accept' is a read only tunable\n"
            "sysctl: Tunable values are set in /boot/loader.conf\n",
        ),
        ("net.inet.ip.fw.verbose=yes", "sysctl: invalid integer 'yes'\n"),
        ("net.inet.ip.fw.verbose=", "sysctl: invalid integer ''\n"),
        ("net.inet.ip.fw.dyn_max=-1", "sysctl: invalid integer '-1'\n"),
        ("net.inet.ip.fw.dyn_buckets=3", "sysctl: net.inet.ip.fw.dyn_buckets=3: Invalid argument\n"),
    ],
)
def test_refusals(words: str, text: str) -> None:
    rules = RuleSet()
    before = rules.sysctl(PREFIX)
    with pytest.raises(CommandError) as error:
        rules.sysctl(words)
    assert (error.value.stderr, error.value.status) == (text, 1)
    assert rules.sysctl(PREFIX) == before


def test_the_whole_branch_is_that_of_the_system() -> None:
    def names(profile: str) -> set[str]:
        return {
            line.partition(":")[0].removeprefix(f"{PREFIX}.") for line in RuleSet(profile).sysctl(PREFIX).split("\n")
        }

    assert "dyn_parent_max" in names("freebsd-13") - names("freebsd-11")
    assert "dyn_keep_states" in names("freebsd-10") - names("freebsd-4")


@pytest.mark.parametrize(("profile", "maximum"), [("freebsd-4", 1000), ("freebsd-10", 4096), ("freebsd-14", 16384)])
def test_how_many_states_there_may_be(profile: str, maximum: int) -> None:
    """D-4"""
    assert RuleSet(profile).sysctl(f"-n {PREFIX}.dyn_max") == f"{maximum}\n"


def test_lifetimes() -> None:
    """D-4"""
    rules = stateful(dyn_udp_lifetime=77)
    rules.evaluate(datagram())
    assert "(77s)" in rules.run("-d show")


@pytest.mark.parametrize("profile", ["freebsd-4", "freebsd-10", "freebsd-13"])
def test_dyn_max(profile: str) -> None:
    rules = stateful(profile, dyn_max=1)
    assert rules.evaluate(datagram(1)).action is Action.ALLOW
    refused = [rules.evaluate(datagram(2)) for _ in range(2)]
    assert [verdict.action for verdict in refused] == [Action.DENY, Action.DENY]
    assert [len(verdict.log) for verdict in refused] == [1, 0]  # once a second
    assert rules.sysctl(f"-n {PREFIX}.dyn_count") == "1\n"


def test_parents_have_a_bound_of_their_own() -> None:
    """D-4 (M)"""
    rules = RuleSet("freebsd-14")
    rules.run("add 10 allow udp from any to any limit src-port 5")
    rules.sysctl(f"{PREFIX}.dyn_parent_max=1")
    assert rules.evaluate(datagram(1)).action is Action.ALLOW
    refused = rules.evaluate(datagram(2))
    assert refused.action is Action.DENY
    assert "dyn_parent_max" in refused.log[0]
    assert rules.sysctl(f"-n {PREFIX}.dyn_count {PREFIX}.dyn_parent_count") == "1\n1\n"


def test_states_that_outlive_their_rule() -> None:
    """dyn_keep_states: the states of a deleted rule do what rule 65535 says, or (12 and later) what theirs said."""
    for profile, action, rule in (("freebsd-10", Action.DENY, 65535), ("freebsd-13", Action.ALLOW, 10)):
        rules = stateful(profile, dyn_keep_states=1)
        rules.run("add 20 check-state")
        rules.evaluate(datagram())
        rules.run("delete 10")
        verdict = rules.evaluate(datagram())
        assert (verdict.action, verdict.rule) == (action, rule), profile


def test_autoinc_step() -> None:
    """E-3"""
    rules = RuleSet()
    rules.sysctl(f"{PREFIX}.autoinc_step=7")
    assert rules.run("add count ip from any to any").startswith("00007 ")
    assert rules.run("add count ip from any to any").startswith("00014 ")


def test_verbose_limit_is_what_log_means_from_then_on() -> None:
    """E-42"""
    rules = RuleSet()
    rules.sysctl(f"{PREFIX}.verbose_limit=2")
    assert rules.run("add 5 count log ip from any to any") == "00005 count log logamount 2 ip from any to any\n"
    assert rules.run("add 6 count log logamount 0 ip from any to any") == "00006 count log ip from any to any\n"


def test_buckets_wait_for_an_empty_table() -> None:
    rules = stateful()
    rules.evaluate(datagram())
    rules.sysctl(f"{PREFIX}.dyn_buckets=16")
    assert rules.sysctl(f"-n {PREFIX}.curr_dyn_buckets") == "256\n"
    rules.now += 60
    rules.evaluate(datagram())
    assert rules.sysctl(f"-n {PREFIX}.curr_dyn_buckets") == "16\n"


@pytest.mark.parametrize("word", ["firewall", "one_pass", "debug", "verbose", "dyn_keepalive"])
def test_enable_and_disable_are_the_same_variables(word: str) -> None:
    rules = RuleSet()
    name = f"{PREFIX}.{'enable' if word == 'firewall' else word}"
    rules.run(f"disable {word}")
    assert rules.sysctl(name) == f"{name}: 0\n"
    rules.run(f"enable {word}")
    assert rules.sysctl(name) == f"{name}: 1\n"


def test_a_firewall_that_is_switched_off_accepts() -> None:
    """H-7"""
    rules = RuleSet()
    rules.sysctl(f"{PREFIX}.enable=0")
    verdict = rules.evaluate(datagram())
    assert (verdict.action, verdict.rule, verdict.counted) == (Action.ALLOW, None, ())
