"""Live tests run where network namespaces and TUN devices are to be had, and say why where they are not."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
from kernel_differences import OLDEST
from kernel_router import KernelRouter, SilenceError

from simulator.live.host import HostError
from simulator.live.lab import Lab


@pytest.fixture(scope="session")
def privilege() -> str:
    """How hosts come by their namespaces here; the test is skipped where they do not."""
    try:
        with Lab() as lab:
            return lab.privilege
    except HostError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def lab(privilege: str) -> Iterator[Lab]:
    """Two hosts for the tests of one file."""
    with Lab() as lab:
        yield lab


@pytest.fixture(scope="module")
def kernel(privilege: str) -> Iterator[KernelRouter]:
    """This machine's kernel as a router, for the tests of one file; they are skipped where there can be none, or where
    it is older than what the table of differences speaks of."""
    release = os.uname().release
    version = tuple(map(int, re.findall(r"\d+", release)[:2]))
    if version < OLDEST:
        pytest.skip(
            f"Linux {release} is older than {'.'.join(map(str, OLDEST))}, whose ways the table of differences has"
        )
    try:
        router = KernelRouter()
    except SilenceError as error:
        pytest.skip(f"no router of this kernel: {error}")
    with router:
        yield router
