"""Nothing is left of a host: no process, no namespace, however its maker ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from kernel_router import KernelRouter

from simulator.live.echo import ping_by_socket
from simulator.live.host import HostError, JobError, NamespaceHost, Order
from simulator.live.lab import Lab, finished
from simulator.live.loop import LiveLoop

pytestmark = pytest.mark.live

MAKER = """
import os, sys, time
from simulator.live.echo import ping_by_socket
from simulator.live.lab import Lab
lab = Lab()
lab.left.start(ping_by_socket, "10.0.0.2", 1000, 0.1, 1.0)
time.sleep(0.3)
print(lab.left.process, lab.right.process, flush=True)
time.sleep(60)
"""


def namespace(process: int | str) -> str | None:
    """The identity of a process's network namespace."""
    with suppress(OSError):
        return os.readlink(f"/proc/{process}/ns/net")
    return None


def inhabited() -> set[str | None]:
    """The network namespaces that processes live in."""
    return {namespace(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()}


def gone(namespaces: set[str | None], seconds: float = 5) -> bool:
    """Whether nobody lives in those any more, after at most that time."""
    end = time.monotonic() + seconds
    while namespaces & inhabited():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def maker(privilege: str) -> Iterator[tuple[subprocess.Popen[str], set[str | None]]]:
    """A process with a laboratory and a ping at work in it, and the namespaces of its hosts."""
    with subprocess.Popen([sys.executable, "-c", MAKER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        hosts = {namespace(number) for number in process.stdout.readline().split()}
        yield process, hosts
        process.kill()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_after_the_maker_ends(maker: tuple[subprocess.Popen[str], set[str | None]], ending: signal.Signals) -> None:
    process, hosts = maker
    assert len(hosts) == 2
    assert None not in hosts
    assert namespace("self") not in hosts
    assert hosts <= inhabited()
    process.send_signal(ending)
    assert gone(hosts)


KEEPER = """
import time
from kernel_router import KernelRouter
kernel = KernelRouter()
print(kernel.process, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_after_the_keeper_of_the_kernels_router_ends(kernel: KernelRouter, ending: signal.Signals) -> None:
    path = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-c", KEEPER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path}) as keeper:
        assert keeper.stdout is not None
        routers = {namespace(keeper.stdout.readline().strip())}
        assert None not in routers
        assert not routers & {namespace("self"), namespace(kernel.process)}
        keeper.send_signal(ending)
        assert gone(routers)


def test_after_the_kernels_router_is_closed(kernel: KernelRouter) -> None:
    with KernelRouter() as router:
        routers = {namespace(router.process)}
        assert routers <= inhabited()
    router.close()
    assert gone(routers)


def test_after_close(privilege: str) -> None:
    lab = Lab()
    hosts = {namespace(lab.left.process), namespace(lab.right.process)}
    lab.left.start(ping_by_socket, "10.0.0.2", 1000, 0.1, 1.0)
    lab.close()
    lab.close()
    assert gone(hosts)


def test_this_machine_has_the_interfaces_it_had(privilege: str) -> None:
    before = Path("/proc/net/dev").read_text().count(":")
    with Lab():
        assert Path("/proc/net/dev").read_text().count(":") == before


def test_a_host_that_dies_is_reported(privilege: str) -> None:
    with NamespaceHost(Order("tun0", "192.168.1.2", 24, "192.168.1.1", 1500)) as host, host.attach():
        os.kill(host.process, signal.SIGKILL)
        time.sleep(0.1)
        with pytest.raises(HostError, match=r"192\.168\.1\.2 is gone"):
            host.take_messages()


def test_a_job_that_is_stopped_and_a_job_that_fails(lab: Lab) -> None:
    class Nothing:
        clock = type("Clock", (), {"next_deadline": staticmethod(lambda: None)})()
        delivered: list[bytes] = []  # noqa: RUF012

    loop = LiveLoop(Nothing())
    loop.watch(lab.left, lab.left.take_messages)
    stopped = lab.left.start(ping_by_socket, "10.0.0.2", 1000, 0.1, 1.0)
    failing = lab.left.start(ping_by_socket, "no address", 1, 0.1, 1.0)
    with pytest.raises(RuntimeError, match="still running"):
        stopped.result()
    lab.left.stop(stopped)
    assert loop.run(finished([stopped, failing]), 5)
    with pytest.raises(JobError, match="without a result"):
        stopped.result()
    with pytest.raises(JobError, match="gaierror"):
        failing.result()


def test_an_order_that_cannot_be_carried_out(privilege: str) -> None:
    host = NamespaceHost(Order("tun0", "192.168.1.2", 24, "172.16.0.1", 1500))
    with pytest.raises(HostError, match="no address") as caught:
        host.attach()
    assert caught.value.failed.stage == "address"
    assert not Path(f"/proc/{host.process}").exists()
