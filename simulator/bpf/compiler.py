"""Filter expressions of ``tcpdump`` (pcap-filter(7)), compiled by libpcap where that is installed.

The expressions' meaning is libpcap's own; what comes out is a :class:`~simulator.bpf.machine.Program`, which runs here.
Packets begin with their IPv4 header (link type DLT_RAW): expressions about link layers (``ether host``, ``vlan``) or
about the direction (``inbound``) are refused by libpcap itself.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
import platform
from functools import cache
from pathlib import Path
from typing import Any

from simulator.bpf.machine import Program

__all__ = ["REMEDY", "compile_filter", "library_version"]

REMEDY = "install libpcap (Debian: apt-get install libpcap0.8) or pip install 'divertsim[filters]'"

_DLT_RAW = 12
_SNAPLEN = 0xFFFF
_NETMASK_UNKNOWN = 0xFFFFFFFF


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.POINTER(_Instruction)))


def compile_filter(expression: str, *, snaplen: int = _SNAPLEN) -> Program:
    """The program for an expression such as ``icmp and host 10.0.0.1``; the empty one wants every packet.

    :raises ImportError: without libpcap, with the remedy.
    :raises ValueError: for what libpcap refuses, in its words.
    """
    library = _library()
    handle = library.pcap_open_dead(_DLT_RAW, snaplen)
    if not handle:
        raise MemoryError("libpcap gives no handle")
    try:
        compiled = _Program()
        if library.pcap_compile(handle, ctypes.byref(compiled), expression.encode(), 1, _NETMASK_UNKNOWN):
            reason = library.pcap_geterr(handle).decode(errors="replace")
            raise ValueError(f"filter {expression!r}: {reason}")
        try:
            found = [compiled.instructions[index] for index in range(compiled.length)]
            return Program((each.code, each.jt, each.jf, each.k) for each in found)
        finally:
            library.pcap_freecode(ctypes.byref(compiled))
    finally:
        library.pcap_close(handle)


def library_version() -> str:
    """What libpcap says of itself.  :raises ImportError: without one."""
    version: bytes = _library().pcap_lib_version()
    return version.decode()


@cache
def _library() -> Any:
    """libpcap, the functions that are called here declared."""
    library = _load()
    library.pcap_lib_version.restype = ctypes.c_char_p
    library.pcap_open_dead.argtypes = (ctypes.c_int, ctypes.c_int)
    library.pcap_open_dead.restype = ctypes.c_void_p
    library.pcap_compile.argtypes = (
        ctypes.c_void_p,
        ctypes.POINTER(_Program),
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_uint32,
    )
    library.pcap_geterr.argtypes = (ctypes.c_void_p,)
    library.pcap_geterr.restype = ctypes.c_char_p
    library.pcap_freecode.argtypes = (ctypes.POINTER(_Program),)
    library.pcap_close.argtypes = (ctypes.c_void_p,)
    return library


def _load() -> ctypes.CDLL:
    for name in _candidates():
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise ImportError(f"filter expressions are compiled by libpcap, which is not here: {REMEDY}")


def _candidates() -> list[str]:
    """The system's library, else the one that the package ``libpcap`` brings along."""
    found = ctypes.util.find_library("pcap")
    names = [found] if found else []
    package = importlib.util.find_spec("libpcap")
    if package is not None and package.submodule_search_locations:
        for folder in package.submodule_search_locations:
            for system in ("linux", "macos"):
                inside = Path(folder) / "_platform" / system / platform.machine() / "tcpdump"
                names += [str(path) for path in sorted(inside.glob("libpcap.*"))]
    return names
