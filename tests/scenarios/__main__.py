"""``python -m tests.scenarios``: write docs/scenarios-index.md."""

from __future__ import annotations

from .index import PAGE, render

if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    print(PAGE.name)
