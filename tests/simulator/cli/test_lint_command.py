"""`divertsim lint`, `diff` and `witness` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from simulator.cli import main
from simulator.packet import Packet

IPFW = """# a comment
ipfw add 100 allow tcp from any to 192.0.2.0/24
add 200 deny tcp from any to 192.0.2.10 80

add 300 divert 5000 udp from any to any 53 in
add 400 allow ip from any to any
"""
IPCHAINS = "-P input DENY\nipchains -A input -p tcp -d 192.0.2.0/24 -j ACCEPT\n-A input -s 192.0.2.5 -j DENY\n"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules"
    path.write_text(IPFW)
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def found(*words: object) -> list[dict[str, Any]]:
    return list(json.loads(run("lint", *words, "--profile", "freebsd-13", "--json").stdout)["findings"])


def test_findings_are_told_with_rule_line_and_packet(rules: Path) -> None:
    result = run("lint", rules, "--profile", "freebsd-13")
    assert result.exit_code == 1
    first, *_ = result.stdout.splitlines()
    assert first == (
        f"{rules}:3: shadowed: rule 200: every packet that it could match is taken before by rule 100, "
        "with another action: allow"
    )


def test_json_has_the_promised_keys_and_packets_that_are_datagrams(rules: Path) -> None:
    shadowed, lost = found(rules)
    assert (shadowed["kind"], shadowed["rule"], shadowed["line"], shadowed["by"]) == ("shadowed", 200, 3, [100])
    assert shadowed["witness"]["hook"] == "in"
    assert Packet(bytes.fromhex(shadowed["witness"]["octets"])).protocol == 6
    assert (lost["kind"], lost["rule"], lost["by"]) == ("fragments-lost", 300, [400])
    packet = Packet(bytes.fromhex(lost["witness"]["octets"]))
    assert (packet.destination_port, packet.more_fragments, lost["witness"]["hook"]) == (53, True, "in")


def test_kinds_are_chosen_and_left_out(rules: Path) -> None:
    assert [each["kind"] for each in found(rules, "--only", "shadowed,redundant")] == ["shadowed"]
    assert [each["kind"] for each in found(rules, "--ignore", "shadowed")] == ["fragments-lost"]
    result = run("lint", rules, "--profile", "freebsd-13", "--ignore", "shadowed,fragments-lost")
    assert (result.exit_code, result.stdout) == (0, f"{rules}: nothing found\n")


def test_sarif_names_the_file_and_the_line(rules: Path, tmp_path: Path) -> None:
    run("lint", rules, "--profile", "freebsd-13", "--sarif", tmp_path / "out.sarif")
    log = json.loads((tmp_path / "out.sarif").read_text())
    assert log["version"] == "2.1.0"
    (made,) = log["runs"]
    assert [rule["id"] for rule in made["tool"]["driver"]["rules"]] == ["fragments-lost", "shadowed"]
    lines = [each["locations"][0]["physicalLocation"]["region"]["startLine"] for each in made["results"]]
    assert lines == [3, 5]
    assert all(made["tool"]["driver"]["rules"][each["ruleIndex"]]["id"] == each["ruleId"] for each in made["results"])


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--only", "odd"], "--only: no kind 'odd' (there are never-matches"),
        (["--tag", "70000"], "70000 is not in the range"),
        (["--interface", "em0"], "--interface takes NAME=VALUE, not 'em0'"),
        (["--interface", "em0=1.2.3.400/24"], "--interface em0=1.2.3.400/24: Octet 400"),
        (["--only", "shadowed", "--ignore", "shadowed"], "--only shadowed and --ignore shadowed leave no kind"),
        (["--only", ","], "--only takes KIND,..., not ','"),
        (["--sarif", "/nonexistent/out"], "--sarif /nonexistent/out: No such file"),
        (["--default", "accept"], "'accept' is not one of 'deny', 'allow'"),
        (["--ipfw-dialect", "ipfw1"], "ipfw_dialect='ipfw1' is not 'ipfw2', which freebsd-13 has"),
        (["--profile", "bsd"], "'bsd' is not one of"),
    ],
)
def test_misuse(rules: Path, words: list[str], complaint: str) -> None:
    result = run("lint", rules, "--profile", "freebsd-13", *words)
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_a_line_that_the_tool_refuses(tmp_path: Path) -> None:
    path = tmp_path / "rules"
    path.write_text("add 100 alow ip from any to any\n")
    result = run("lint", path, "--profile", "freebsd-13")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{path}:1: ipfw: invalid action alow")


def test_a_loop_is_found_for_the_tag_that_makes_it(tmp_path: Path) -> None:
    path = tmp_path / "rules"
    path.write_text("add 100 divert 5000 ip from any to any in\nadd 200 allow ip from any to any\n")
    assert found(path) == []
    assert [each["kind"] for each in found(path, "--tag", "0")] == ["divert-loop"]
    assert found(path, "--tag", "100") == []


def test_equal_and_different_files(rules: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text(IPFW.replace("add 200 deny tcp from any to 192.0.2.10 80\n", ""))
    same = run("diff", rules, other, "--profile", "freebsd-13")
    assert (same.exit_code, same.stdout) == (0, "equal\n")
    other.write_text(IPFW.replace("add 400 allow", "add 400 deny"))
    result = run("diff", rules, other, "--profile", "freebsd-13", "--json")
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert {(each["a"]["rule"], each["b"]["rule"]) for each in said["differences"]} == {(400, 400)}
    assert said["differences"][0]["a"]["outcome"] == "accept"


def test_what_follows_a_divert_rule_counts(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("add 100 divert 5000 ip from any to any\nadd 200 allow ip from any to any\n")
    other.write_text("add 100 divert 5000 ip from any to any\nadd 200 deny ip from any to any\n")
    result = run("diff", one, other, "--profile", "freebsd-13")
    assert result.exit_code == 1
    assert "accept by 200" in result.stdout


def test_ipchains_beside_ipfw(tmp_path: Path) -> None:
    chains, ipfw = tmp_path / "chains", tmp_path / "ipfw"
    chains.write_text("-P input DENY\n-P output DENY\n-A input -s 192.0.2.0/24 -j ACCEPT\n")
    ipfw.write_text("add 100 allow ip from 192.0.2.0/25 to any in\n")
    result = run("diff", chains, ipfw, "--profile", "linux-2.2", "--profile-b", "freebsd-10")
    assert result.exit_code == 1
    assert f"{chains}: accept by input:1; {ipfw}: deny by 65535" in result.stdout
    assert "forward chain is left out" in result.stdout


def test_a_packet_for_a_rule(rules: Path) -> None:
    result = run("witness", rules, "--profile", "freebsd-13", "--reaches", "300", "--verdict", "divert", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["outcome"] == "divert 5000 by 300"
    none = run("witness", rules, "--profile", "freebsd-13", "--reaches", "200")
    assert (none.exit_code, none.stdout) == (1, "no packet comes to rule 200 in its first pass\n")
    missing = run("witness", rules, "--profile", "freebsd-13", "--reaches", "250")
    assert missing.exit_code == 2
    assert "there is no rule 250" in missing.stderr


def test_ipchains_rules_are_called_by_their_chain(tmp_path: Path) -> None:
    path = tmp_path / "chains"
    path.write_text(IPCHAINS)
    result = run("lint", path, "--profile", "linux-2.2", "--json")
    (finding,) = json.loads(result.stdout)["findings"]
    assert (finding["kind"], finding["rule"], finding["line"]) == ("redundant", "input:2", 3)


# What people type


@pytest.mark.parametrize(
    ("octets", "complaint"),
    [
        (None, "does not exist"),
        (b"\xff\xfe\x00", "not text in UTF-8: invalid start byte at octet 0"),
        (b"add 100 allow ip from any to any\nadd 200 deny tcp form any to any\n", ":2: ipfw: missing ``from''"),
    ],
)
@pytest.mark.parametrize(
    "words", [["lint"], ["witness", "--reaches", "100"], ["diff", "GOOD"], ["diff", "--swap", "GOOD"]]
)
def test_files_that_make_no_sense(
    words: list[str], octets: bytes | None, complaint: str, rules: Path, tmp_path: Path
) -> None:
    path = tmp_path / "odd"
    if octets is not None:
        path.write_bytes(octets)
    command, *options = words
    files = [str(rules), str(path)] if "GOOD" in options else [str(path)]
    if "--swap" in options:
        files.reverse()
    options = [each for each in options if each not in ("GOOD", "--swap")]
    result = run(command, *files, *options, "--profile", "freebsd-13")
    assert (result.exit_code, result.stdout) == (2, "")
    assert complaint in result.stderr
    assert str(path) in result.stderr.replace("\n", "")


@pytest.mark.parametrize("command", [["lint"], ["witness", "--reaches", "100"], ["diff", "."]])
def test_a_folder_is_no_rule_file(command: list[str]) -> None:
    result = run(*command, ".", "--profile", "freebsd-13")
    assert result.exit_code == 2
    assert "'.' is a directory" in result.stderr


def test_an_empty_file_has_nothing_to_find(rules: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("")
    result = run("lint", empty, "--profile", "freebsd-13")
    assert (result.exit_code, result.stdout) == (0, f"{empty}: nothing found\n")
    assert run("diff", empty, empty, "--profile", "freebsd-13").stdout == "equal\n"


def test_rules_from_standard_input(rules: Path) -> None:
    def typed(*words: str) -> Result:
        return CliRunner().invoke(main, [*words, "--profile", "freebsd-13"], input=IPFW)

    assert typed("lint", "-").stdout.startswith("-:3: shadowed: rule 200")
    assert typed("diff", "-", str(rules)).stdout == "equal\n"
    assert typed("witness", "-", "--reaches", "400").exit_code == 0
    both = typed("diff", "-", "-")
    assert both.exit_code == 2
    assert "cannot both be standard input" in both.stderr


def test_json_has_exactly_the_promised_shape(rules: Path) -> None:
    said = json.loads(run("lint", rules, "--profile", "freebsd-13", "--json").stdout)
    for each in said["findings"]:
        assert set(each) == {"kind", "rule", "line", "by", "reason", "witness"}
        assert each["witness"] is None or set(each["witness"]) == {"hook", "interface", "octets"}
    assert [each is None for each in said["packets"]] == [each["witness"] is None for each in said["findings"]]


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        (100, "accept"),
        (100, "allow"),
        (200, "reset"),
        (200, "deny"),
        (300, "reject"),
        (300, "unreach 3"),
        (400, "divert 5000"),
        (500, "tee"),
        (500, "deny"),
    ],
)
def test_verdicts_are_called_as_rules_call_them(rule: int, verdict: str, tmp_path: Path) -> None:
    path = tmp_path / "rules"
    path.write_text(
        "add 100 allow tcp from any to any 80\nadd 200 reset tcp from any to any 81\n"
        "add 300 unreach port udp from any to any\nadd 400 divert 5000 icmp from any to any\n"
        "add 500 tee 6000 ip from any to any\n"
    )
    words = ["witness", path, "--profile", "freebsd-13", "--reaches", rule, "--verdict", verdict]
    assert run(*words).exit_code == 0
    other = run(*words[:-1], "divert 5001" if rule == 400 else "pipe")
    assert (other.exit_code, other.stderr) == (1, "")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--reaches", "300", "--verdict", "diver"], "--verdict: nothing is called 'diver' (there are accept, allow"),
        (["--reaches", ""], "--reaches takes a rule (400, or input:3), not ''"),
        (["--reaches", "\u00b2"], "there is no rule \u00b2"),
        (["--reaches", "input:1"], "there is no rule input:1"),
        (["--reaches", "-5"], "there is no rule -5"),
    ],
)
def test_no_such_rule_or_verdict(rules: Path, words: list[str], complaint: str) -> None:
    result = run("witness", rules, "--profile", "freebsd-13", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert complaint in result.stderr
