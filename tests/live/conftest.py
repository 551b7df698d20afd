"""Live tests run where network namespaces and TUN devices are to be had, and say why where they are not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
