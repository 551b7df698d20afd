"""``docs/statements.md``, as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .claims import ROOT, Claim
from .registry import FILES, GROUPS, Statement, document

__all__ = ["PAGE", "render"]

PAGE = ROOT / "docs" / "statements.md"

_HEAD = """\
# Statement by statement

What is known about divert sockets is numbered, and each number is a promise: either a test checks it in every profile
that it belongs to, or it is left out, and the reason stands here.  `bsd.md` are our notes on FreeBSD and DragonFly,
`linux.md` those on Linux 2.2 and the divert patch, `howto.md` those on the Divert Sockets mini-HOWTO
([what these notes are](decisions.md)); where a running kernel did something else than its source seemed to say, the
statement here is what it did.

This page is written by `make statements` from `tests/statements/*.toml` and from the marks of the tests; a test fails
when it is out of date, or when a statement has neither test nor reason.
"""


def named(profiles: Iterable[str]) -> str:
    """Profiles, with groups by their names: ``"every BSD"``."""
    left = list(profiles)
    words = []
    for group, members in GROUPS.items():
        if left and set(members) <= set(left):
            words.append(group)
            left = [name for name in left if name not in members]
    return ", ".join(words + left)


def _tests(statement: Statement, claims: list[Claim]) -> Iterator[str]:
    for claim in claims:
        if claim.statement == statement.name:
            where = f" ({named(claim.profiles)})" if claim.profiles else ""
            yield f"[{claim.test.replace('::', ' ')}](../{claim.path}){where}"
    if statement.open:
        yield "*not looked at yet*"
    reasons: dict[str, list[str]] = {}
    for profile, reason in statement.left_out.items():
        reasons.setdefault(reason, []).append(profile)
    for reason, profiles in reasons.items():
        where = "" if not statement.wanted else f" in {named(profiles)}"
        yield f"*left out{where}: {reason}*"


def _row(statement: Statement, claims: list[Claim]) -> str:
    number = statement.name.partition(" ")[2]
    cells = (number, statement.says, named(statement.profiles), "<br>".join(_tests(statement, claims)))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def render(claims: list[Claim]) -> str:
    """The whole page."""
    lines = [_HEAD]
    for stem in FILES:
        title, sections = document(stem)
        lines.append(f"## {stem}.md: {title}\n")
        for section in sections:
            lines += [f"### {section.title}\n", "| | says | in | tests |", "|---|---|---|---|"]
            lines += [_row(statement, claims) for statement in section.statements]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"
