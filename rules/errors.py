"""How a rule command fails: with the tool's own words and exit status."""

from __future__ import annotations

__all__ = ["CommandError"]


class CommandError(Exception):
    """A rule command that the tool, or the kernel behind it, refused.

    ``stderr`` is the tool's text as it prints it (lines ended), ``status`` its exit status (never 0), ``stdout`` what
    it had printed before it failed.  ``str()`` is the text of ``stderr``.
    """

    def __init__(self, stderr: str, status: int, stdout: str = "") -> None:
        super().__init__(stderr, status, stdout)
        self.stderr = stderr
        self.status = status
        self.stdout = stdout

    def __str__(self) -> str:
        return self.stderr
