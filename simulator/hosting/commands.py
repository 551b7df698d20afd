"""`ipfw` and `ipchains` for a script and its children: small programs on PATH that ask the router's process.

However a script runs the tool (subprocess, os.system, os.popen, a shell script of its own), it finds ours before any
other, and its words reach the router. Tools named by an absolute path are found where `subprocess` is given them as the
first word (`/sbin/ipfw`); a shell that is given such a path runs what is there.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rules.errors import CommandError
from simulator.hosting.driver import Driver

__all__ = ["serving", "tool_runner"]

Run = Callable[[Sequence[str]], tuple[int, str, str]]
"""Words, the tool's name first: exit status, standard output, standard error."""

_LONGEST = 1 << 20
_FOLDERS = ("/sbin", "/usr/sbin", "/bin", "/usr/bin", "/usr/local/sbin")


def tool_runner(driver: Driver, tools: dict[str, Callable[[list[str]], str]]) -> Run:
    """Runs these tools, one command at a time, between two packets."""

    def run(words: Sequence[str]) -> tuple[int, str, str]:
        name, *rest = words
        with driver:
            try:
                return 0, tools[name](rest), ""
            except CommandError as error:
                return error.status, error.stdout, error.stderr

    return run


@contextmanager
def serving(driver: Driver, names: Sequence[str], run: Run) -> Iterator[None]:
    """Inside, these names are programs on PATH."""
    with tempfile.TemporaryDirectory(prefix="divertsim-") as folder:
        address = os.path.join(folder, "router")
        for name in names:
            _write_program(Path(folder) / name, name, address)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            server.bind(address)
            server.listen()
            servant = threading.Thread(target=_serve, args=(server, run), daemon=True)
            driver.servants.add(servant)
            servant.start()
            path = os.environ.get("PATH", os.defpath)
            os.environ["PATH"] = folder + os.pathsep + path
            popen = subprocess.Popen
            subprocess.Popen = _popen_class(popen, {f"{where}/{name}": name for where in _FOLDERS for name in names})  # type: ignore[misc]
            try:
                yield
            finally:
                subprocess.Popen = popen  # type: ignore[misc]
                os.environ["PATH"] = path
                with suppress(OSError):
                    server.shutdown(socket.SHUT_RDWR)
                servant.join(timeout=1)
                driver.servants.discard(servant)


def _write_program(path: Path, name: str, address: str) -> None:
    shim = Path(__file__).with_name("shim.py")
    words = [sys.executable, "-IS", str(shim), address, name]
    path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
    path.chmod(0o700)


def _popen_class(real: type[Any], elsewhere: dict[str, str]) -> type[Any]:
    """`subprocess.Popen` that finds a tool of ours where a script says /sbin/ipfw."""

    class Popen(real):  # type: ignore[misc]
        __doc__ = real.__doc__

        def __init__(self, args: Any, *arguments: Any, **keywords: Any) -> None:
            if isinstance(args, list | tuple) and args and str(args[0]) in elsewhere:
                args = [elsewhere[str(args[0])], *args[1:]]
            super().__init__(args, *arguments, **keywords)

    return Popen


def _serve(server: socket.socket, run: Run) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return  # shut down
        with connection, suppress(OSError):
            words = b""
            while not words.endswith(b"\n") and len(words) < _LONGEST:
                part = connection.recv(1 << 16)
                if not part:
                    break
                words += part
            with suppress(ValueError):
                connection.sendall(json.dumps(run(json.loads(words))).encode())
