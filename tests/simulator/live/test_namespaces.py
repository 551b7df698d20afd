"""What the kernel refuses, and the remedy that is named for it."""

from __future__ import annotations

import errno
import os

import pytest

from simulator.live import namespaces
from simulator.live.namespaces import NamespaceError, enter_network_namespace


@pytest.mark.parametrize(
    ("refusals", "cause", "remedy"),
    [
        ([errno.ENOSPC], "no network namespace (No space", "user.max_net_namespaces"),
        ([errno.EINVAL], "no network namespace (Invalid", "CONFIG_NET_NS"),
        ([errno.EPERM, errno.ENOSPC], "not root, and no network namespace", "user.max_net_namespaces"),
        ([errno.EPERM, errno.EPERM], "not root, and no user namespace", "kernel.unprivileged_userns_clone"),
    ],
)
def test_remedies(monkeypatch: pytest.MonkeyPatch, refusals: list[int], cause: str, remedy: str) -> None:
    left = list(refusals)

    def refuse(function: str, *arguments: int) -> None:
        number = left.pop(0)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(namespaces, "_call", refuse)
    with pytest.raises(NamespaceError) as caught:
        enter_network_namespace()
    assert caught.value.cause.startswith(cause)
    assert remedy in caught.value.remedy
    assert not left
