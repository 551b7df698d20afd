"""``python -m tests.statements``: write docs/statements.md, and say what no test names yet."""

from __future__ import annotations

import sys

from .audit import problems
from .claims import claims
from .page import PAGE, render
from .registry import statements


def main() -> int:
    found = claims()
    PAGE.write_text(render(found), encoding="utf-8")
    known = list(statements())
    still_open = [statement.name for statement in known if statement.open]
    print(f"{PAGE.name}: {len(known)} statements, {len(found)} claims, {len(still_open)} not looked at yet")
    for problem in problems(known, found):
        print(problem, file=sys.stderr)
    return bool(problems(known, found))


if __name__ == "__main__":
    sys.exit(main())
