"""Calls that cannot travel, and words that are too long: errors of one job, and the host lives on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import live_jobs
import pytest

from simulator.live.host import HostError, Job, JobError, NamespaceHost, Order
from simulator.live.messages import LARGEST_MESSAGE

pytestmark = pytest.mark.live

SCRIPT = """
from simulator.live.host import NamespaceHost, Order
def job(report):
    return 1
with NamespaceHost(Order("tun0", "192.168.1.2", 24, "192.168.1.1", 1500)) as host, host.attach():
    try:
        host.start(job)
    except ValueError as error:
        print(error)
"""


@pytest.fixture
def host(privilege: str) -> Iterator[NamespaceHost]:
    with NamespaceHost(Order("tun0", "192.168.1.2", 24, "192.168.1.1", 1500)) as host, host.attach():
        yield host


class Riddle:
    """It can be pickled, and never unpickled."""

    def __reduce__(self) -> Any:
        return int, ("no_such_name",)


def result(host: NamespaceHost, job: Job) -> object:
    end = time.monotonic() + 10
    while not job.done:
        assert time.monotonic() < end
        host.take_messages()
        time.sleep(0.01)
    return job.result()


@pytest.mark.parametrize("reported", [True, False])
def test_what_is_too_long_for_a_message_is_an_error_of_the_job(host: NamespaceHost, reported: bool) -> None:
    most = LARGEST_MESSAGE - 1000
    assert result(host, host.start(live_jobs.say, most, reported)) == (None if reported else "x" * most)
    with pytest.raises(JobError, match=rf"of \d+ octets, more than the {LARGEST_MESSAGE}"):
        result(host, host.start(live_jobs.say, LARGEST_MESSAGE, reported))
    assert result(host, host.start(live_jobs.say, 1, False)) == "x"


def test_a_traceback_of_any_length_arrives(host: NamespaceHost) -> None:
    with pytest.raises(JobError, match=r"the end\s*$"):
        result(host, host.start(live_jobs.fail, "x" * (LARGEST_MESSAGE // 2) + "the end"))


def test_a_call_that_cannot_be_unpickled_is_an_error_of_the_job(host: NamespaceHost) -> None:
    with pytest.raises(JobError, match="no_such_name"):
        result(host, host.start(live_jobs.say, Riddle(), False))
    assert result(host, host.start(live_jobs.say, 1, False)) == "x"


def test_calls_that_cannot_travel_are_refused(host: NamespaceHost) -> None:
    with pytest.raises(ValueError, match="top level of an importable module"):
        host.start(lambda report: None)
    with pytest.raises(ValueError, match=f"more than the {LARGEST_MESSAGE}"):
        host.start(live_jobs.fail, "x" * LARGEST_MESSAGE)
    assert result(host, host.start(live_jobs.say, 1, False)) == "x"


def test_a_function_of_the_script_itself_is_refused(privilege: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), *sys.path]))
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=30, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "job is a function of the script itself: it must live in a module to be imported\n"


def test_a_dead_host_takes_no_jobs(host: NamespaceHost) -> None:
    os.kill(host.process, signal.SIGKILL)
    time.sleep(0.1)
    with pytest.raises(HostError, match=r"192\.168\.1\.2 is gone"):
        host.start(live_jobs.say, 1, False)
