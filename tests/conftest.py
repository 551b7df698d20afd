"""Here so that the tests of every room find :mod:`datagrams` beside it; and what a test that names a statement owes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from statements.claims import of

from simulator import Router

with suppress(ImportError):  # tests that need it skip
    from hypothesis import settings

    # How long an example takes is the machine's affair: on a busy one a limit fails what is right.
    settings.register_profile("unhurried", deadline=None)
    settings.load_profile("unhurried")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A test that says it checks a statement in a profile has to make a router of it, if it makes routers at all."""
    named, profiles = of(item)
    if not named:
        yield
        return
    made: set[str] = set()
    build = Router.__init__

    def noting(router: Router, *arguments: object, **switches: object) -> None:
        build(router, *arguments, **switches)  # type: ignore[arg-type]
        made.add(router.profile.name)

    Router.__init__ = noting  # type: ignore[method-assign]
    try:
        yield
    finally:
        Router.__init__ = build  # type: ignore[method-assign]
    missing = set(profiles) - made
    if made and missing:
        pytest.fail(f"names {', '.join(named)} in {', '.join(sorted(missing))}, but made routers of {', '.join(made)}")
