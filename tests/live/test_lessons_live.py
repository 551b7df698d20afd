"""`divertsim demo --program` between real network stacks."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.live

DEMO = [sys.executable, "-c", "from simulator.cli import main; main()", "demo", "--mode", "tun", "--json", "--program"]
CHANGE = ("--replace", r"\x20\x21=\xff\xfe")
"""Two octets of ping's payload."""


@pytest.mark.parametrize(
    ("words", "counts"),
    [
        (["mangle", "--ttl", "42", "--count", "2"], (2, 2, 4, 4)),
        (["mangle", *CHANGE, "--count", "1", "--profile", "freebsd-14"], (1, 1, 2, 2)),
        (["mangle", *CHANGE, "--no-checksums", "--count", "1", "--profile", "freebsd-14"], (1, 0, 1, 1)),
        (["mss-clamp", "--mss", "1200", "--count", "2", "--profile", "freebsd-13"], (2, 2, 4, 4)),
        (["delay", "--seconds", "0.3", "--count", "2", "--profile", "dragonfly"], (2, 2, 4, 4)),
    ],
)
def test_programs(privilege: str, words: list[str], counts: tuple[int, ...]) -> None:
    done = subprocess.run([*DEMO, *words], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert tuple(found[key] for key in ("sent", "replied", "diverted", "reinjected")) == counts
