"""`rules.analysis` as others import it: rule sets in, findings and headers out."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rules import analysis, ipchains, ipfw


def rules(*commands: str, profile: str = "freebsd-13") -> ipfw.RuleSet:
    made = ipfw.RuleSet(profile)
    for number, command in enumerate(commands, start=1):
        made.run(f"add {number}00 {command}")
    return made


def tables(*commands: str) -> ipchains.Tables:
    made = ipchains.Tables("linux-2.2")
    for command in commands:
        made.run(command)
    return made


def test_lint_takes_rule_sets_of_both_dialects() -> None:
    found = analysis.lint(rules("allow ip from any to any", "deny tcp from any to any")).found
    assert [(each.kind, each.rule, each.by) for each in found] == [(analysis.Kind.SHADOWED, 200, (100,))]
    found = analysis.lint(tables("-A input -j ACCEPT", "-A input -p tcp -j DENY", "-P input DENY")).found
    assert [(each.kind, each.rule, each.by) for each in found] == [(analysis.Kind.SHADOWED, "input:2", ("input:1",))]


def test_lint_is_told_what_it_cannot_know() -> None:
    looping = rules("divert 5000 ip from any to any in", "allow ip from any to any")
    assert analysis.lint(looping).found == ()
    assert [each.kind for each in analysis.lint(looping, tag=0).found] == [analysis.Kind.DIVERT_LOOP]
    fragments = rules("divert 5000 ip from any to any frag in", "allow ip from any to any")
    assert analysis.lint(fragments, tag=0).found == ()
    assert [each.kind for each in analysis.lint(fragments, tag=0, collecting={}).found] == [analysis.Kind.DIVERT_LOOP]
    made = ipfw.RuleSet("freebsd-13", ipfw.Host({"em0": "192.0.2.1/24"}))
    made.run("add 100 allow ip from any to me")
    made.run("add 200 deny ip from any to 192.0.2.1")
    assert analysis.lint(made).uncertain == ((100, "the addresses of the host (me)"),)
    assert [each.kind for each in analysis.lint(made, knows_host=True).found][:1] == [analysis.Kind.SHADOWED]


def test_differences_are_proven_or_shown() -> None:
    one, other = rules("allow tcp from any to any 80-90"), rules("allow tcp from any to any 80")
    assert analysis.differences(one, one).equal
    comparison = analysis.differences(one, other)
    assert not comparison.equal
    for each in comparison.differences:
        answers = [each_rules.evaluate(each.witness.header).rule for each_rules in (one, other)]
        assert answers == [each.one, each.other] == [100, 65535]


def test_chance_leaves_differences_open() -> None:
    one = rules("prob 0.5 count ip from any to any", "allow ip from any to any")
    comparison = analysis.differences(one, rules("count ip from any to any", "allow ip from any to any"))
    assert (comparison.differences, comparison.uncertain, comparison.equal) == ((), (100,), False)


def test_a_difference_is_certain_only_if_both_ways_are() -> None:
    sure, unsure = (
        rules("allow ip from any to any"),
        rules("prob 0.5 deny ip from any to any", "allow ip from any to any"),
    )
    for pair in ((sure, unsure), (unsure, sure)):
        assert [each.certain for each in analysis.differences(*pair).differences] == [False]


def test_what_a_pipe_may_let_go_makes_no_certain_difference() -> None:
    """Only TCP comes to the pipe, which is not followed; so whether UDP comes out of it is not said."""
    pair = [
        rules("deny udp from any to any", "pipe 1 tcp from any to any", f"{action} udp from any to any")
        for action in ("allow", "deny")
    ]
    for each in pair:
        each.variables["one_pass"] = 0
    found = analysis.differences(*pair).differences
    assert found
    assert not any(each.certain for each in found)


def test_ipchains_and_ipfw_meet_at_two_hooks() -> None:
    chains = tables("-P input DENY", "-P output ACCEPT", "-P forward DENY")
    comparison = analysis.differences(chains, rules("allow ip from any to any out"))
    assert [(each.one, each.other) for each in comparison.differences] == [("output:policy", "too short")]
    comparison = analysis.differences(chains, rules("allow ip from any to any"))
    assert ("input:policy", 100) in {(each.one, each.other) for each in comparison.differences}


def test_a_packet_that_reaches_a_rule() -> None:
    made = rules("deny udp from any to any", "count ip from any to any", "allow tcp from any to any")
    reached = analysis.reaches(made, 200)
    assert reached is not None
    assert (reached.certain, reached.witness.place.hook) == (True, "in")
    verdict = made.evaluate(reached.witness.header)
    assert 200 in verdict.counted
    assert (verdict.action.value,) == reached.outcome
    assert analysis.reaches(rules("allow ip from any to any", "deny ip from any to any"), 200) is None
    perhaps = analysis.reaches(rules("prob 0.5 allow ip from any to any", "deny ip from any to any"), 200)
    assert perhaps is not None
    assert not perhaps.certain
    with pytest.raises(LookupError, match="there is no rule 150"):
        analysis.reaches(made, 150)
    chains = tables("-A input -p icmp -j DENY")
    found = analysis.reaches(chains, "input:1")
    assert found is not None
    assert (found.witness.header.protocol, found.outcome) == (1, ("DENY",))


def test_what_is_offered_is_documented_and_there() -> None:
    for name in analysis.__all__:
        assert getattr(analysis, name).__doc__, name


def test_rules_do_not_import_it() -> None:
    program = "import sys, rules.ipfw, rules.ipchains; print('rules.analysis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
