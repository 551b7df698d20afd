"""The command `divertsim` itself: what it shows to somebody who has typed nothing else."""

from __future__ import annotations

from click.testing import CliRunner

from simulator.cli import main


def test_every_command_is_shown_with_its_whole_first_sentence() -> None:
    shown = CliRunner().invoke(main, ["--help"]).output
    commands = shown[shown.index("Commands:") :]
    assert "..." not in commands
    for name in main.list_commands(None):  # type: ignore[arg-type]
        assert f"\n  {name} " in commands


def test_misuse_has_status_2_and_says_what_was_typed() -> None:
    for words in (["frobnicate"], ["--frob"], ["lint", "--frob"]):
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 2
        assert words[-1] in result.output
    assert CliRunner().invoke(main, []).exit_code == 2
