"""pytest where divertsim is installed: scripts as tests, fixtures, datagrams compared by their fields."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

SCRIPT = """
router linux-2.2
interface eth0 192.168.1.1/24
interface eth1 10.0.0.1/24
case "goes through"
eth0 receives icmp from 192.168.1.2 to 10.0.0.2
expect eth1 sends any with ttl=63
case "is not seen"
eth0 receives icmp from 192.168.1.2 to 10.0.0.2
expect eth1 sends any with ttl=64
"""


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """In a process of its own, with the plugin by name whether or not this installation announces it."""
    return pytester.runpytest_subprocess("-p", "no:divertsim", "-p", "simulator.scenario.plugin", *arguments)


def test_each_case_is_a_test_with_the_report(pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("lesson.scn").write_text(SCRIPT)
    result = run(pytester, "-v")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "lesson.scn::goes through PASSED*",
            "lesson.scn::is not seen FAILED*",
            "*lesson.scn:10:1: failed: eth1 sends: ip.ttl is 63, not 64",
            "    expect eth1 sends any with ttl=64",
        ]
    )


def test_a_script_that_makes_no_sense_is_an_error(pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("wrong.scn").write_text("rooter linux-2.2\n")
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*wrong.scn:1:1: no statement begins with 'rooter' (did you mean router?)"])


def test_scripts_to_be_included_are_no_tests(pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("_world.scn").write_text("router linux-2.2\n")
    pytester.path.joinpath("uses.scn").write_text('include "_world.scn"\nexpect nothing\n')
    run(pytester).assert_outcomes(passed=1)


def test_fixtures_and_the_marker(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from simulator.trace import Kind
        from simulator.spoken import build, parse

        def test_default(router, trace):
            assert router.profile.name == "linux-2.2"
            router.add_interface("eth0", "10.0.0.1/24").receive(build(parse("icmp from 10.0.0.2 to 10.0.0.1")))
            assert trace.events[0].kind is Kind.RECEIVED

        @pytest.mark.router("freebsd-13", default_accept=True)
        def test_marked(router):
            assert "65535 allow" in router.ipfw("list")
        """
    )
    run(pytester, "--strict-markers").assert_outcomes(passed=2)


def test_datagrams_are_compared_by_their_fields(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from simulator.testing import assert_same
        from simulator.wire.named import alter
        from simulator.spoken import build, parse

        PING = build(parse("icmp from 10.0.0.2 to 10.0.0.1 iplen 84"))

        def test_one():
            assert alter(PING, {"ttl": 3}) == PING

        def test_list():
            assert [PING, alter(PING, {"ttl": 4})] == [PING]

        def test_helper():
            assert_same(alter(PING, {"ttl": 63}), PING, ttl=63)
            assert_same(alter(PING, {"ttl": 63}), PING, ttl=62)
        """
    )
    result = run(pytester)
    result.assert_outcomes(passed=0, failed=3)
    result.stdout.fnmatch_lines(
        [
            "E*> ip.ttl * 64 * 3",
            "E*the same: icmp 10.0.0.2 > 10.0.0.1 echo request, ttl 64, 84 octets",
            "E*only actual: icmp 10.0.0.2 > 10.0.0.1 echo request, ttl 4, 84 octets",
            "E*not the expected datagram",
            "E*> ip.ttl * 62 * 63",
        ]
    )
