"""`divertsim demo` and `divertsim doctor` as a user runs them."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.live

DIVERTSIM = [sys.executable, "-c", "from simulator.cli import main; main()"]
CAP_NET_ADMIN, CAP_SYS_ADMIN = 12, 21
PR_CAPBSET_DROP = 24


def divertsim(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*DIVERTSIM, *words], capture_output=True, text=True, timeout=30, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("chain", ["output", "forward"])
def test_json_of_the_demo_on_tun(privilege: str, chain: str) -> None:
    done = divertsim("demo", "--mode", "tun", "--json", "--count", "2", "--chain", chain)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "mode": "tun",
        "phases": [
            {"name": "reinject", "sent": 2, "replied": 2, "diverted": 4, "reinjected": 4},
            {"name": "no-listener", "sent": 2, "replied": 0, "diverted": 0, "reinjected": 0},
            {"name": "pass-through", "sent": 2, "replied": 2, "diverted": 0, "reinjected": 0},
        ],
    }


def test_text_of_the_demo_on_tun(privilege: str) -> None:
    done = divertsim("demo", "--mode", "tun", "--count", "1")
    assert (done.returncode, done.stderr) == (0, "")
    for expected in (
        "ipchains -A output -p icmp -j DIVERT 1234",
        "interceptor: Waiting for data...",
        "interceptor Reinjecting DIVERT 84 bytes",
        "NO_LISTENER",
        "icmp_seq=1 ttl=63",
    ):
        assert expected in done.stdout


def test_without_the_right_pytun_it_says_why_and_runs_in_memory(tmp_path: Path) -> None:
    (tmp_path / "pytun.py").write_text("")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    wrong = {"env": os.environ | {"PYTHONPATH": path}}
    done = divertsim("demo", "--json", **wrong)
    assert done.returncode == 0
    assert json.loads(done.stdout)["mode"] == "memory"
    assert len(done.stderr.splitlines()) == 1
    assert "python-pytun" in done.stderr
    assert divertsim("demo", "--mode", "tun", **wrong).returncode == 1
    checked = divertsim("doctor", "--json", **wrong)
    assert checked.returncode == 1
    states = {check["name"]: check for check in json.loads(checked.stdout)["checks"]}
    assert states["python-pytun"]["state"] == "missing"
    assert "pip install" in states["python-pytun"]["remedy"]


def test_a_user_namespace_is_enough(privilege: str) -> None:
    def give_up_privilege() -> None:
        for capability in (CAP_NET_ADMIN, CAP_SYS_ADMIN):
            ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)

    checks = json.loads(divertsim("doctor", "--json", preexec_fn=give_up_privilege).stdout)["checks"]
    found = next(check for check in checks if check["name"] == "privilege")
    if found["state"] != "ok":
        pytest.skip(found["detail"])
    assert "user namespace" in found["detail"]
    done = divertsim("demo", "--mode", "tun", "--json", "--count", "1", preexec_fn=give_up_privilege)
    assert (done.returncode, json.loads(done.stdout)["mode"]) == (0, "tun")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("mode", ["tun", "memory"])
def test_it_ends_at_once_and_cleanly(privilege: str, number: signal.Signals, status: int, mode: str) -> None:
    words = [*DIVERTSIM, "demo", "--count", "1000", "--mode", mode]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if "bytes from" in line:
                break
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == (2 if mode == "tun" else 0)
        process.send_signal(number)
        sent = time.monotonic()
        process.stdout.read()
        assert process.stderr.read() == ""
        assert process.wait(timeout=5) == status
        assert time.monotonic() - sent < 3
        assert not any(Path(f"/proc/{child}").exists() for child in children)


def test_doctor_finds_everything_where_the_demo_runs(privilege: str) -> None:
    done = divertsim("doctor", "--json")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert found["mode"] == "tun"
    assert {check["state"] for check in found["checks"]} <= {"ok", "optional"}


def test_a_host_that_dies_on_the_way_is_one_line(privilege: str) -> None:
    words = [*DIVERTSIM, "demo", "--count", "1000", "--mode", "tun"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if "bytes from" in line:
                break
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        process.stdout.read()
        (error,) = process.stderr.read().splitlines()
        assert "is gone" in error
        assert process.wait(timeout=5) == 1
