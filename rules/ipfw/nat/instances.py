"""The ``nat`` instances of a system, as values, and what the tool prints of them.

Sources: ipfw(8), NETWORK ADDRESS TRANSLATION; sbin/ipfw/nat.c and ip_fw_nat.c of FreeBSD 10 to 13.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Protocol

from rules.addresses import dotted
from rules.aliasing import Mode, PortRedirect, ProtocolRedirect, Redirect

__all__ = ["GLOBAL", "Instance", "Instances", "Translator"]

GLOBAL = 0
"""Stands for ``nat global``: whichever instance knows the datagram."""

MODES = tuple(field.name for field in fields(Mode))
"""Words for modes, in the order in which they are listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """``nat N config ...``.  ``str()`` gives the words that follow ``ipfw``, in the order in which they were typed."""

    number: int
    interface: str | None = None
    """Whose address is the aliasing address, whatever that is."""
    address: int = 0
    """The aliasing address now; 0 for none."""
    mode: Mode = Mode()  # noqa: RUF009 - a frozen value
    ports: tuple[int, int] | None = None
    """``port_range``: the first and the last port to choose from."""
    redirects: tuple[Redirect, ...] = ()

    def __str__(self) -> str:
        words = [f"nat {self.number} config"]
        if self.interface is not None:
            words.append(f"if {self.interface}")
        elif self.address:
            words.append(f"ip {dotted(self.address)}")
        words += [word for word in MODES if getattr(self.mode, word)]
        if self.ports is not None:
            words.append("port_range {}-{}".format(*self.ports))
        return " ".join([*words, *map(str, self.redirects)])

    def listing(self) -> str:
        """A line of ``nat show config``: the kernel keeps redirections, and the servers of a pool, newest first."""
        return f"ipfw {replace(self, redirects=tuple(map(_backwards, reversed(self.redirects))))}\n"


def _backwards(redirect: Redirect) -> Redirect:
    if isinstance(redirect, PortRedirect):
        return replace(redirect, servers=redirect.servers[::-1])
    return redirect if isinstance(redirect, ProtocolRedirect) else replace(redirect, servers=redirect.servers[::-1])


class Translator(Protocol):
    """Who does what the instances say; :class:`Instances` tells it of every change."""

    def configured(self, instance: Instance) -> object:
        """An instance is new, or has changed."""

    def deleted(self, number: int) -> object:
        """It is gone, with all that it knew."""

    def log(self, number: int) -> str:
        """Its line of counts; empty as long as nothing was counted."""


class _Nobody:
    """Rules without a router: nothing is translated."""

    def configured(self, instance: Instance) -> None: ...

    def deleted(self, number: int) -> None: ...

    def log(self, number: int) -> str:
        return ""


class Instances:
    """All instances of one system."""

    def __init__(self) -> None:
        self._instances: dict[int, Instance] = {}
        """By number, the one configured last at the end."""
        self.translator: Translator = _Nobody()

    def __contains__(self, number: int) -> bool:
        return number in self._instances

    def __iter__(self) -> Iterator[Instance]:
        """In the order in which ``nat global`` asks them: the one configured last first."""
        return iter([*reversed(self._instances.values())])

    def __len__(self) -> int:
        return len(self._instances)

    def get(self, number: int) -> Instance | None:
        return self._instances.get(number)

    def configure(self, instance: Instance) -> None:
        """Take up an instance, in place of the one of that number; that one's links live on."""
        self._instances.pop(instance.number, None)
        self._instances[instance.number] = instance
        self.translator.configured(instance)

    def delete(self, number: int) -> bool:
        """False if there is none."""
        if self._instances.pop(number, None) is None:
            return False
        self.translator.deleted(number)
        return True

    def addresses_changed(self, interface: str, addresses: tuple[int, ...]) -> None:
        """An interface has other addresses: who takes its address gets the last one (ifaddr_change)."""
        for number, instance in self._instances.items():
            if instance.interface == interface and addresses:
                self._instances[number] = followed = replace(instance, address=addresses[-1])
                self.translator.configured(followed)

    def log(self, number: int) -> str:
        return self.translator.log(number)
