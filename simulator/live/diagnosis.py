"""What this machine can and cannot do for a live router: each need is tried, not guessed, and comes with its remedy."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import sys
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from simulator.bpf.compiler import REMEDY, library_version
from simulator.links.tun import TunUnavailableError, load_pytun, try_device_file
from simulator.live.echo import system_ping
from simulator.live.host import HostError
from simulator.live.lab import Lab

__all__ = ["Check", "State", "examine", "ready"]


class State(Enum):
    """`MISSING` stands between this machine and a live router; `OPTIONAL` is not there and not needed."""

    OK = "ok"
    MISSING = "missing"
    OPTIONAL = "optional"


class Check(NamedTuple):
    """One thing looked at. `detail`: what was found; `remedy`: one line, empty when there is nothing to do."""

    name: str
    state: State
    detail: str
    remedy: str = ""


_PRIVILEGES = {
    "privileged": "may make namespaces (root or CAP_SYS_ADMIN)",
    "user namespace": "root in a user namespace of its own",
}
_LAB = "pip install 'divertsim[lab]'"


def examine() -> list[Check]:
    """Every check, in the order in which one thing needs the other."""
    return [
        _python(),
        _pytun(),
        _pyroute2(),
        _device_file(),
        *_namespaces(),
        _scapy(),
        _libpcap(),
        _ping(),
        _iproute2(),
    ]


def ready(checks: list[Check]) -> bool:
    """Whether a router can be put between real network stacks here."""
    return all(check.state is not State.MISSING for check in checks)


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "importable"


def _python() -> Check:
    found = f"{platform.python_implementation()} {platform.python_version()} in {sys.executable}"
    return Check("Python", State.OK, found)  # an older one would not have come so far


def _pytun() -> Check:
    try:
        load_pytun()
    except TunUnavailableError as error:
        return Check("python-pytun", State.MISSING, error.cause, error.remedy)
    return Check("python-pytun", State.OK, _version("python-pytun"))


def _pyroute2() -> Check:
    if importlib.util.find_spec("pyroute2") is None:
        return Check("pyroute2", State.MISSING, "cannot be imported", _LAB)
    return Check("pyroute2", State.OK, _version("pyroute2"))


def _device_file() -> Check:
    try:
        try_device_file()
    except TunUnavailableError as error:
        return Check("/dev/net/tun", State.MISSING, error.cause, error.remedy)
    return Check("/dev/net/tun", State.OK, "opens")


def _namespaces() -> Iterator[Check]:
    """Two hosts are made for a moment, as the demo needs them, and how far they came says the rest."""
    failed = None
    try:
        with Lab() as lab:
            privilege = lab.privilege
    except HostError as error:
        failed = error.failed
        privilege = failed.privilege
    if failed is not None and not privilege:
        yield Check("privilege", State.MISSING, failed.cause, failed.remedy)
        yield Check("network namespace", State.MISSING, "not to be had without the privilege", "see privilege")
        yield Check("TUN in a namespace", State.MISSING, "not tried", "see privilege")
        return
    yield Check("privilege", State.OK, _PRIVILEGES[privilege])
    yield Check("network namespace", State.OK, "made two, and they are gone again")
    if failed is None:
        yield Check(
            "TUN in a namespace", State.OK, "made one in each, with an address and a route, and they are gone again"
        )
    else:
        yield Check("TUN in a namespace", State.MISSING, failed.cause, failed.remedy)


def _scapy() -> Check:
    if importlib.util.find_spec("scapy") is None:
        return Check("scapy", State.OPTIONAL, "not installed", "pip install 'divertsim[scapy]'")
    return Check("scapy", State.OK, _version("scapy"))


def _libpcap() -> Check:
    try:
        version = library_version()
    except ImportError:
        return Check("libpcap", State.OPTIONAL, "not installed: no filter expressions for packet taps", REMEDY)
    return Check("libpcap", State.OK, version)


def _ping() -> Check:
    path = system_ping()
    if path is None:
        return Check("ping", State.OPTIONAL, "no iputils ping: echo requests come from a Python socket", "")
    return Check("ping", State.OK, path)


def _iproute2() -> Check:
    path = shutil.which("ip")
    if path is None:
        return Check("iproute2", State.OPTIONAL, "not installed: nothing here needs it, it is good for looking around")
    return Check("iproute2", State.OK, path)
