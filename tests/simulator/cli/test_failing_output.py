"""What the system refuses is one line on standard error, exit status 2, and no traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this machine")
@pytest.mark.parametrize("words", [["demo", "--mode", "memory", "--json", "--count", "1"], ["ipchains-save", "-"]])
def test_a_full_disk(words: list[str]) -> None:
    program = [sys.executable, "-c", "from simulator.cli import main; main()", *words]
    with FULL.open("w") as full:
        done = subprocess.run(
            program, stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
