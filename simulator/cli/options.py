"""Options that several commands share, and how ``NAME=VALUE`` ones are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click

from simulator.profiles import PROFILES

__all__ = ["INTERFACE", "PROFILE", "assignments"]

PROFILE = click.option(
    "--profile",
    required=True,
    type=click.Choice(list(PROFILES)),
    metavar="NAME",
    help=f"The kernel: {', '.join(PROFILES)}.",
)
INTERFACE = click.option(
    "--interface",
    "interfaces",
    multiple=True,
    metavar="NAME=ADDRESS/LENGTH",
    help="An interface of the router, such as em0=10.0.0.1/24; may be given several times.",
)


def assignments(
    texts: Iterable[str], option: str, check: Callable[[str], object], *, name_first: bool = True
) -> dict[str, str]:
    """``NAME=VALUE`` texts as a dictionary; ``check`` is given the address in each and raises ValueError for a bad one.

    ``name_first``: the address is behind the sign, else before it.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name or not value:
            shape = "NAME=VALUE" if name_first else "PREFIX=TARGET"
            raise click.UsageError(f"{option} takes {shape}, not {text!r}")
        try:
            check(value if name_first else name)
        except ValueError as error:
            raise click.UsageError(f"{option} {text}: {error}") from None
        if name in found:
            raise click.UsageError(f"{option} {name}: given twice, {found[name]} and {value}")
        found[name] = value
    return found
