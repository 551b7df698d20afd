"""What doctor makes of what it meets, without the machine having to be like that."""

from __future__ import annotations

import errno
import os

import pytest
from click.testing import CliRunner

from simulator.cli import main
from simulator.links.tun import TunUnavailableError, try_device_file
from simulator.live.diagnosis import Check, State, examine
from simulator.live.host import HostError
from simulator.live.messages import Failed


@pytest.mark.parametrize(
    ("number", "cause", "remedy"),
    [
        (errno.ENOENT, "/dev/net/tun does not exist", "modprobe tun"),
        (errno.EACCES, "/dev/net/tun cannot be opened (Permission denied)", "chmod 0666 /dev/net/tun"),
        (errno.EPERM, "/dev/net/tun cannot be opened (Operation not permitted)", "--device /dev/net/tun"),
        (errno.ENODEV, "/dev/net/tun cannot be opened (No such device)", "modprobe tun"),
    ],
)
def test_the_device_file(monkeypatch: pytest.MonkeyPatch, number: int, cause: str, remedy: str) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(TunUnavailableError) as caught:
        try_device_file()
    assert caught.value.cause == cause
    assert remedy in caught.value.remedy


def test_a_machine_with_room_for_one_host_only(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class OneHost:
        privilege = "privileged"

        def __init__(self, *_: object) -> None:
            made.append(self)
            if len(made) == 2:
                raise HostError(Failed("namespace", "no network namespace", "sysctl user.max_net_namespaces", ""))

        def attach(self) -> OneHost:
            return self

        def __enter__(self) -> OneHost:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr("simulator.live.lab.NamespaceHost", OneHost)
    check = next(check for check in examine() if check.name == "privilege")
    assert (check.state, check.remedy) == (State.MISSING, "sysctl user.max_net_namespaces")


def test_the_last_line_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.cli.doctor.examine", lambda: [Check("privilege", State.MISSING, "none", "root")])
    last = CliRunner().invoke(main, ["doctor"]).stdout.splitlines()[-1]
    assert last.startswith("divertsim demo runs on memory links here;")
    assert last.endswith("need none of this.")
