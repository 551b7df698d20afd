"""The command `divertsim`: one file a command, imported when it is asked for.

Exit status: 0 good, 1 an expectation failed or something was found, 2 misuse.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import sys
from typing import Any

from simulator.cli.interrupts import silently

with silently():
    import click

__all__ = ["main"]

_COMMANDS = {
    "demo": ("demo", "demo"),
    "doctor": ("doctor", "doctor"),
    "run": ("run", "run"),
    "replay": ("replay", "replay"),
    "exec": ("execute", "execute"),
    "check": ("check", "check"),
    "explain": ("check", "explain"),
    "lint": ("lint", "lint"),
    "diff": ("difference", "diff"),
    "witness": ("witness", "witness"),
    "compare": ("compare", "compare"),
    "programs": ("programs", "programs"),
    "profiles": ("profiles", "profiles"),
    "ipchains-save": ("ipchains_scripts", "ipchains_save"),
    "ipchains-restore": ("ipchains_scripts", "ipchains_restore"),
    "conformance": ("conformance", "conformance"),
}
"""Each command's module here, and its name there, in the order in which people meet them."""


class _Commands(click.Group):
    """Imports a command when it is called or described, so that none pays for the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each with its whole first sentence: click would cut it off at the end of the line."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        said = [(name, command.get_short_help_str(limit=300)) for name, command in commands.items() if command]
        with formatter.section("Commands"):
            formatter.write_dl(said)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        with silently():
            command = getattr(importlib.import_module(f"{__name__}.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """What the system refuses (a full disk, a file that went away) is one line, not a traceback."""
        try:
            return super().invoke(ctx)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # whoever read our output has gone: click ends in silence
            click.echo(f"divertsim: {error}", err=True)
            _forget_output()
            ctx.exit(2)


def _forget_output() -> None:
    """What standard output still holds goes nowhere: the interpreter would fail on it once more when it ends."""
    with contextlib.suppress(OSError, ValueError):
        output = sys.stdout.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, output)
        os.close(nowhere)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="divertsim")
def main() -> None:
    """A router in one Python process, for learning, testing and replaying what divert sockets do."""
