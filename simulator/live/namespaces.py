"""A process steps into a network namespace of its own: network_namespaces(7), user_namespaces(7), prctl(2).

`os.unshare` came with Python 3.12, so the two system calls are made through the C library. Nothing here leaves a trace
outside the calling process: the namespaces have no name and no mount, they end with the last process (or TUN
descriptor) in them.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sys

__all__ = ["NamespaceError", "die_with_parent", "enter_network_namespace"]

_CLONE_NEWUSER = 0x1000_0000
_CLONE_NEWNET = 0x4000_0000
_PR_SET_PDEATHSIG = 1
_MORE = "allow more of them: sysctl user.max_net_namespaces"


class NamespaceError(Exception):
    """There is no network namespace for this process. The message is one line: the cause, a colon, the remedy."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}: {remedy}")
        self.cause = cause
        self.remedy = remedy


def _call(function: str, *arguments: int) -> None:
    """A system call of the C library that returns 0 for success; OSError with its errno otherwise."""
    if not sys.platform.startswith("linux"):
        raise NamespaceError(f"network namespaces are Linux's own, this is {sys.platform}", "use memory links")
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def die_with_parent(death: int = signal.SIGKILL) -> None:
    """Ask the kernel to send this process the signal `death` when its parent ends, in whatever way.

    The setting is lost when credentials change: call it after entering a user namespace.
    """
    _call("prctl", _PR_SET_PDEATHSIG, int(death), 0, 0, 0)


def enter_network_namespace() -> str:
    """Move this process (which must have one thread) into a new network namespace and be root there.

    With the privilege it takes the namespace at once, without it makes a user namespace first, in which the caller
    appears as root. Returns which way it went: "privileged" or "user namespace". Raises NamespaceError.
    """
    try:
        _call("unshare", _CLONE_NEWNET)
        return "privileged"
    except PermissionError:
        pass
    except OSError as error:
        # namespaces(7): ENOSPC is a limit on their number, of the user or of a user namespace around us.
        remedy = _MORE if error.errno == errno.ENOSPC else "a kernel with CONFIG_NET_NS"
        raise NamespaceError(f"no network namespace ({error.strerror})", remedy) from error
    uid, gid = os.getuid(), os.getgid()
    try:
        _call("unshare", _CLONE_NEWUSER | _CLONE_NEWNET)
        # user_namespaces(7): without privilege, setgroups must be denied before a group can be mapped.
        for file, line in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{file}", "w") as stream:
                stream.write(line)
    except OSError as error:
        what = error.strerror or str(error)
        if error.errno == errno.ENOSPC:
            raise NamespaceError(
                f"not root, and no network namespace in a user namespace ({what})",
                f"run as root, or {_MORE}, and likewise user.max_user_namespaces",
            ) from error
        raise NamespaceError(
            f"not root, and no user namespace ({what})",
            "run as root, or allow unprivileged user namespaces (sysctl "
            "user.max_user_namespaces, kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)",
        ) from error
    return "user namespace"
