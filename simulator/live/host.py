"""A host on the far side of a TUN device: a network stack in a namespace of its own that does as it is told.

    host = NamespaceHost(Order("tun0", "192.168.1.2", 24, "192.168.1.1", 1500))
    link = host.attach()                      # our end of its TUN device
    job = host.start(echo.ping, "10.0.0.2")   # echo.ping(report, "10.0.0.2") runs over there
    ...                                       # serve the link meanwhile; host.take_messages() when fileno() is readable
    job.result()

`simulator.live.agent` is the other side of it. Functions and arguments travel pickled: a function is found again by its
module and name, so it must be at the top level of a module that can be imported, not of the script that is run. Modules
are looked for in the directories of `sys.path`, without the current directory's empty entry.
"""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

from simulator.links.tun import TunLink
from simulator.live.messages import LARGEST_MESSAGE, Attached, Failed, Message, Order, Request, Stop

__all__ = ["HostError", "Job", "JobError", "NamespaceHost", "Order"]

_SECONDS_TO_ATTACH = 20.0


class HostError(Exception):
    """A host could not be made here, or died. `failed` says how far it came; the message is one line."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(f"{failed.cause}: {failed.remedy}" if failed.remedy else failed.cause)
        self.failed = failed


class JobError(Exception):
    """The function raised; the message is its traceback. Or it was stopped, or its process died."""


class Job:
    """A function at work in a host."""

    def __init__(self, number: int, name: str, on_report: Callable[[object], object] | None) -> None:
        self.number = number
        self.name = name
        self.reports: list[object] = []
        self.done = False
        self._on_report = on_report
        self._outcome: Message | None = None

    def take(self, message: Message) -> None:
        """Note what the job says of itself."""
        if message.kind == "report":
            self.reports.append(message.value)
            if self._on_report is not None:
                self._on_report(message.value)
        elif message.kind == "ended":
            self.done = True
        else:
            self._outcome = message

    def result(self) -> object:
        """What the function returned. Raises JobError; RuntimeError while the job still runs."""
        if not self.done:
            raise RuntimeError(f"{self.name} is still running")
        if self._outcome is None:
            raise JobError(f"{self.name} ended without a result")
        if self._outcome.kind == "error":
            raise JobError(f"{self.name}: {self._outcome.value}")
        return self._outcome.value


class NamespaceHost:
    """The parent's handle of one host. Making it starts its process; `attach` waits until it stands."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.privilege = ""
        """How it came by its namespace: "privileged" or "user namespace"."""
        self._jobs: dict[int, Job] = {}
        self._numbers = count(1)
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self._process = _start_agent(theirs)
            except OSError as error:
                self._channel.close()
                raise HostError(
                    Failed("process", f"{sys.executable} cannot be run ({error.strerror})", "", "")
                ) from error
        with suppress(ConnectionError):  # dead already: `attach` says so
            self._channel.send(pickle.dumps(order))

    @property
    def process(self) -> int:
        """The process id of the agent."""
        return self._process.pid

    def attach(self) -> TunLink:
        """Our end of the host's TUN device, once the host is configured. Raises HostError; the host is closed then."""
        self._channel.settimeout(_SECONDS_TO_ATTACH)
        try:
            octets, descriptors, _, _ = socket.recv_fds(self._channel, LARGEST_MESSAGE, 1)
        except OSError:  # no answer in time, or a reset: the process is dead
            octets, descriptors = b"", []
        answer = (
            pickle.loads(octets)
            if octets
            else Failed("process", "the host's process ended or hung before it said a word", "", "")
        )
        if isinstance(answer, Attached) and descriptors:
            self._channel.setblocking(False)
            self.privilege = answer.privilege
            return TunLink(descriptors[0], answer.device)
        self.close()
        raise HostError(answer)

    def start(
        self, function: Callable[..., object], *arguments: object, on_report: Callable[[object], object] | None = None
    ) -> Job:
        """Run `function(report, *arguments)` in the host; `on_report` gets each value it reports.

        Arguments, result and each report have to fit into a message each, `LARGEST_MESSAGE` octets pickled. Raises
        ValueError for a function or arguments that cannot travel, HostError when the host's process is gone.
        """
        name = getattr(function, "__qualname__", repr(function))
        if getattr(function, "__module__", None) == "__main__":
            raise ValueError(f"{name} is a function of the script itself: it must live in a module to be imported")
        try:
            call = pickle.dumps((function, arguments))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError(
                f"{name} must live at the top level of an importable module, and its arguments must be pickled: {error}"
            ) from error
        job = Job(next(self._numbers), name, on_report)
        octets = pickle.dumps(Request(job.number, call))
        if len(octets) > LARGEST_MESSAGE:
            raise ValueError(
                f"the arguments of {name} take {len(octets)} octets, more than the {LARGEST_MESSAGE} of a message"
            )
        self._send(octets)
        self._jobs[job.number] = job
        return job

    def stop(self, job: Job) -> None:
        """End a job; `job.done` follows. Raises HostError when the host's process is gone."""
        if not job.done:
            self._send(pickle.dumps(Stop(job.number)))

    def _send(self, octets: bytes) -> None:
        try:
            self._channel.send(octets)
        except ConnectionError as error:
            raise self._gone() from error

    def _gone(self) -> HostError:
        gone = f"the host {self.order.address} is gone (process {self.process})"
        return HostError(Failed("process", gone, "", self.privilege))

    def fileno(self) -> int:
        """Readable when there are messages to take."""
        return self._channel.fileno()

    def take_messages(self) -> None:
        """Hand out what the jobs have said. Raises HostError when the host's process is gone."""
        while True:
            try:
                octets = self._channel.recv(LARGEST_MESSAGE)
            except BlockingIOError:
                return
            except ConnectionError:
                octets = b""
            if not octets:
                raise self._gone()
            message: Message = pickle.loads(octets)
            job = self._jobs[message.job]
            job.take(message)
            if job.done:
                del self._jobs[message.job]

    def close(self) -> None:
        """End the host's processes; its namespace goes with them. Again is harmless."""
        self._channel.close()
        if self._process.returncode is None:
            try:
                self._process.wait(timeout=2.0)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, 9)
                self._process.wait()

    def __enter__(self) -> NamespaceHost:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _start_agent(channel: socket.socket) -> subprocess.Popen[bytes]:
    # The agent may be root, so nothing is imported from wherever we happen to be: no current directory through -m, nor
    # by an empty entry. Our own package comes last, in case that it was found through just that entry.
    path = [*filter(None, sys.path), str(Path(__file__).resolve().parents[2])]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "simulator.live.agent", str(channel.fileno())],
        pass_fds=[channel.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        # A session of its own: Ctrl-C at the terminal is for us, and we end the hosts in good order.
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
    )
