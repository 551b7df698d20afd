"""A script, run as Python would run it: `__main__`, sys.argv, its own folder first on the path, its own tracebacks."""

from __future__ import annotations

import builtins
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

__all__ = ["run_script"]

_OURS = (str(Path(__file__).parents[1]) + os.sep, str(Path(__file__).parents[2] / "rules") + os.sep)
_INTERRUPTED = 130


def run_script(path: str, arguments: Sequence[str], is_over: Callable[[], bool]) -> int:
    """Run the file; its exit status, as Python's would have been.

    What the script raises is shown as Python shows it, save KeyboardInterrupt once `is_over` holds, for then it was
    told to end: status 0. Raises OSError when the file cannot be read.
    """
    source = Path(path).read_bytes()
    before = set(threading.enumerate())
    with _as_main(path, arguments) as module:
        status = _run(lambda: exec(compile(source, path, "exec", dont_inherit=True), vars(module)), is_over)
        waited = _run(lambda: _join(set(threading.enumerate()) - before), is_over)
    return status or waited


def _run(action: Callable[[], object], is_over: Callable[[], bool]) -> int:
    """Do it; the exit status that it means."""
    try:
        action()
    except SystemExit as error:
        return _status(error.code)
    except KeyboardInterrupt as error:
        return 0 if is_over() else _shown(error, _INTERRUPTED)
    except BaseException as error:
        return _shown(error, 1)
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    return 0


def _join(threads: set[threading.Thread]) -> None:
    """Python does not end before its threads have, save the daemons."""
    for thread in threads:
        if not thread.daemon:
            thread.join()


def _status(code: object) -> int:
    """What `sys.exit(code)` makes of its argument."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def _shown(error: BaseException, status: int) -> int:
    _print(type(error), error, error.__traceback__)
    return status


def _print(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    told = traceback.TracebackException(kind, error, trace, compact=True)
    _without_ours(told)
    print("".join(told.format()), end="", file=sys.stderr, flush=True)


def _without_ours(told: traceback.TracebackException | None) -> None:
    """Where Python's own sockets are C there is no frame; ours have some, which say nothing about the script."""
    if told is None:
        return
    told.stack = traceback.StackSummary.from_list(
        [frame for frame in told.stack if not frame.filename.startswith(_OURS)]
    )
    _without_ours(told.__cause__)
    _without_ours(told.__context__)


def _thread_failed(arguments: Any) -> None:
    """`threading.excepthook`, with the same tracebacks."""
    if arguments.exc_type is not SystemExit and not issubclass(arguments.exc_type, SystemExit):
        name = arguments.thread.name if arguments.thread is not None else "?"
        print(f"Exception in thread {name}:", file=sys.stderr)
        _print(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)


@contextmanager
def _as_main(path: str, arguments: Sequence[str]) -> Iterator[ModuleType]:
    """The module that the script is, while it runs."""
    module = ModuleType("__main__")
    module.__dict__.update({"__file__": path, "__builtins__": builtins})
    before = sys.argv, sys.path, sys.modules["__main__"], threading.excepthook
    sys.argv = [path, *arguments]
    sys.path = [str(Path(path).resolve().parent), *sys.path]
    sys.modules["__main__"] = module
    threading.excepthook = _thread_failed
    try:
        yield module
    finally:
        sys.argv, sys.path, sys.modules["__main__"], threading.excepthook = before
