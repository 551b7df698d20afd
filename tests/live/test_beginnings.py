"""The first moments of a host: whatever goes wrong then, its agent says nothing at the terminal and is gone."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.live.host import HostError, NamespaceHost, Order

pytestmark = pytest.mark.live

ORDER = pickle.dumps(Order("tun0", "192.168.1.2", 24, "192.168.1.1", 1500))
IMPOSSIBLE = pickle.dumps(Order("tun0", "192.168.1.2", 24, "172.16.0.1", 1500))


@pytest.mark.parametrize("said", [[], [ORDER], [IMPOSSIBLE]], ids=["nothing", "an order", "an impossible order"])
def test_an_agent_whose_parent_goes_away_ends_silently(said: list[bytes]) -> None:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with here, there:
        for octets in said:
            here.send(octets)
        here.close()
        agent = subprocess.run(
            [sys.executable, "-m", "simulator.live.agent", str(there.fileno())],
            pass_fds=[there.fileno()],
            capture_output=True,
            start_new_session=True,
            timeout=20,
            cwd=Path(__file__).parents[2],
        )
    assert (agent.stdout, agent.stderr, agent.returncode) == (b"", b"", -signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_agent_that_is_interrupted_ends_silently(number: signal.Signals) -> None:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    words = [sys.executable, "-m", "simulator.live.agent", str(there.fileno())]
    with (
        here,
        there,
        subprocess.Popen(
            words,
            pass_fds=[there.fileno()],
            stderr=subprocess.PIPE,
            start_new_session=True,
            cwd=Path(__file__).parents[2],
        ) as agent,
    ):
        here.send(ORDER)
        here.recv(1 << 16)  # it stands, or says why not
        agent.send_signal(number)
        assert agent.communicate(timeout=20)[1] == b""
        assert agent.returncode == -signal.SIGKILL


def test_a_host_that_is_killed_before_it_stands(privilege: str) -> None:
    host = NamespaceHost(pickle.loads(ORDER))
    os.kill(host.process, signal.SIGKILL)
    with pytest.raises(HostError, match="ended or hung before it said a word"):
        host.attach()
    assert not Path(f"/proc/{host.process}").exists()


def test_nothing_is_imported_from_the_current_directory(
    privilege: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "imported"
    hostile = f"open({str(trace)!r}, 'a').write(__name__)\nraise SystemExit(1)\n"
    for name in ("selectors", "pickle", "pyroute2", "pytun", "simulator/__init__"):
        file = tmp_path / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(hostile)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    with NamespaceHost(pickle.loads(ORDER)) as host, host.attach():
        pass
    assert not trace.exists()


def test_our_package_is_found_wherever_it_came_from(privilege: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.setattr(sys, "path", ["", *(path for path in sys.path if Path(path).resolve() != root)])
    with NamespaceHost(pickle.loads(ORDER)) as host, host.attach():
        pass
