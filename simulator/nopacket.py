"""What is said of a text that was to be a packet and is none, in whichever way it was written."""

from __future__ import annotations

__all__ = ["NoPacketError"]


class NoPacketError(ValueError):
    """Text that is no packet: ``text`` says why, ``column`` (from 0) where."""

    def __init__(self, text: str, column: int) -> None:
        super().__init__(text, column)
        self.text = text
        self.column = column

    def __str__(self) -> str:
        return f"{self.text} (at column {self.column + 1})"
