"""Where recorded answers are, and how a file of them is read."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CORPUS = Path(os.environ.get("DIVERTSIM_CORPUS") or Path(__file__).parents[2].parent / "shared" / "corpus")


def cases(name: str) -> Iterator[dict[str, Any]]:
    """The cases of one file; the test is skipped if there is none."""
    path = CORPUS / name
    if not path.exists():
        pytest.skip(f"no recorded answers at {path}; DIVERTSIM_CORPUS names the folder")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
