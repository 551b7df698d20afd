"""Divert programs to run and to read. Each is a function (or callable) that handles one datagram of a divert socket."""

__all__: list[str] = []
