"""Ctrl-C while a command is still being imported ends it without a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("module", ["click", "rich"])
def test_in_the_middle_of_imports(module: str, tmp_path: Path) -> None:
    """A module that says that it is being imported, and takes its time."""
    (tmp_path / f"{module}.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(30)\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    program = [sys.executable, "-c", "from simulator.cli import main; main()", "demo", "--mode", "memory"]
    with subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path}
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        assert (process.wait(timeout=10), process.stderr.read()) == (-signal.SIGINT, "")
