"""`divertsim ipchains-save` and `ipchains-restore`."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from simulator.cli import main

RULES = """\
# the HOWTO's rule, and a user chain
ipchains -N u0
-A forward -p icmp -j DIVERT 1234   # the word ipchains may be left out
-A input -p tcp -s 10.0.0.0/8 80 -j u0
-P forward DENY
"""
SAVED = """\
:input ACCEPT
:forward DENY
:output ACCEPT
:u0 -
-A input -s 10.0.0.0/255.0.0.0 80:80 -d 0.0.0.0/0.0.0.0 -p 6 -j u0
-A forward -s 0.0.0.0/0.0.0.0 -d 0.0.0.0/0.0.0.0 -p 1 -j DIVERT 1234
"""
COMMANDS = """\
ipchains -P input ACCEPT
ipchains -P forward DENY
ipchains -P output ACCEPT
ipchains -N u0
ipchains -A input -p tcp -s 10.0.0.0/8 --sport 80 -j u0
ipchains -A forward -p icmp -j DIVERT 1234
"""


def run(*words: str, given: str = "") -> Result:
    return CliRunner().invoke(main, list(words), input=given)


def test_save() -> None:
    done = run("ipchains-save", "-", given=RULES)
    assert (done.exit_code, done.stdout) == (0, SAVED)
    assert done.stderr == "Saving `input'.\nSaving `forward'.\n"


def test_save_telling_every_rule() -> None:
    done = run("ipchains-save", "-v", "-", given=RULES)
    assert done.stdout == SAVED
    rules = [line for line in SAVED.splitlines(keepends=True) if line.startswith("-A")]
    assert done.stderr == "Saving `input'.\nSaving `forward'.\n" + "".join(rules)


def test_save_one_chain() -> None:
    done = run("ipchains-save", "-", "u0", given=RULES)
    assert (done.exit_code, done.stdout) == (0, ":u0 -\n")


def test_restore_gives_back_the_commands() -> None:
    done = run("ipchains-restore", "-", given=SAVED)
    assert (done.exit_code, done.stdout, done.stderr) == (0, COMMANDS, "Creating chain `u0'.\n")
    assert run("ipchains-save", "-", given=done.stdout).stdout == SAVED


def test_restore_upon_rules(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.write_text("-N u0\n-A u0 -j DENY\n")
    kept = run("ipchains-restore", "--rules", str(rules), "-", given=SAVED)
    assert "ipchains -A u0 -j DENY\n" in kept.stdout
    flushed = run("ipchains-restore", "-f", "--rules", str(rules), "-", given=SAVED)
    assert "ipchains -A u0 -j DENY\n" not in flushed.stdout


def test_a_command_that_fails_is_named_with_its_line() -> None:
    done = run("ipchains-save", "-", given="-A input -j DENY\n-A input -j NOWHERE\n")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "-:2: -A input -j NOWHERE\nipchains: No target by that name\n"


def test_a_saved_line_that_fails_is_named() -> None:
    done = run("ipchains-restore", "-", given=":input ACCEPT\n-A input -j NOWHERE\n")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "line 2 failed: -A input -j NOWHERE" in done.stderr


def test_no_such_chain_and_no_such_file() -> None:
    assert run("ipchains-save", "-", "nochain", given=RULES).exit_code == 1
    assert run("ipchains-save", "/nonexistent").exit_code == 2
