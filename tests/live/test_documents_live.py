"""The script of the page about live routers runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "live.md"


@pytest.mark.live
def test_the_script_of_the_page(tmp_path: Path, privilege: str) -> None:
    [script] = re.findall(r"```py\n(.*?)```", PAGE.read_text(), re.S)
    path = tmp_path / "script.py"
    path.write_text(script)
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "sent=3, replied=3" in done.stdout
    assert "6 diverted" in done.stdout
