"""Which statement about a kernel is checked by which test, in which profiles: what ``docs/statements.md`` is made of.

The statements themselves stand in the ``.toml`` files here: each with what it says, in our words, the profiles that it
belongs to, and, where we leave it out, the reason.  A test names the statements that it checks with
``@pytest.mark.statement("bsd.md W-13")``; the profiles are those of its parameter ``profile``, or of
``@pytest.mark.profiles("freebsd-14")``.  ``python -m tests.statements`` writes the page.
"""
