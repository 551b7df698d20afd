"""What `lint`, `diff` and `witness` share: their options, and how they read a rule file."""

from __future__ import annotations

import sys
from ipaddress import IPv4Interface
from pathlib import Path
from typing import NoReturn

import click

from simulator.checking.loading import RuleFileError
from simulator.cli.options import assignments
from simulator.linting.files import Conditions, RuleFile
from simulator.profiles import PROFILES, LinuxProfile

__all__ = ["DEFAULT", "DIALECT", "RULES", "read", "refuse"]

RULES = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
DEFAULT = click.option("--default", type=click.Choice(["deny", "allow"]), help="What ipfw's rule 65535 does (deny).")
DIALECT = click.option(
    "--ipfw-dialect",
    "dialect",
    type=click.Choice(["ipfw1", "ipfw2"]),
    help="Which rule language freebsd-4 speaks (ipfw1).",
)


def read(
    path: Path, profile: str, interfaces: tuple[str, ...], default: str | None = None, dialect: str | None = None
) -> RuleFile:
    """The rule file; one that makes no sense ends the program with status 2."""
    if default is not None and isinstance(PROFILES[profile], LinuxProfile):
        raise click.UsageError(f"{profile} has no rule 65535: set policies with 'ipchains -P' in {path}")
    if dialect is not None and isinstance(PROFILES[profile], LinuxProfile):
        raise click.UsageError(f"{profile} has no ipfw")
    named = assignments(interfaces, "--interface", IPv4Interface)
    try:
        octets = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        text = octets.decode("utf-8")
        return RuleFile(text, Conditions(profile=profile, interfaces=named, default=default, dialect=dialect))
    except UnicodeDecodeError as error:
        refuse(f"{path}: not text in UTF-8: {error.reason} at octet {error.start}")
    except OSError as error:
        refuse(f"{path}: {error.strerror}")
    except RuleFileError as error:
        refuse(error.said(str(path)))
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def refuse(text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(2)
