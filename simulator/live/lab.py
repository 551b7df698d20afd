"""Two hosts and room for a router between them: the laboratory of the demo, the live tests and the benchmarks.

    192.168.1.2 ---- eth0 192.168.1.1 (router) 10.0.0.1 eth1 ---- 10.0.0.2
       left                                                        right

The hosts stay while routers come and go: each `connect` puts a router into the middle and returns its loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from simulator.links.tun import TunLink
from simulator.live.host import HostError, Job, NamespaceHost, Order
from simulator.live.loop import LiveLoop

if TYPE_CHECKING:
    from simulator.router import Router

__all__ = ["LEFT", "RIGHT", "HostError", "Lab", "Site", "finished"]


class Site:
    """One side of the laboratory: the addresses of its host and of the router's interface there."""

    def __init__(self, interface: str, host: str, router: str, prefix: int = 24) -> None:
        self.interface = interface
        self.host = host
        self.router = router
        self.prefix = prefix

    @property
    def router_address(self) -> str:
        """With its prefix length."""
        return f"{self.router}/{self.prefix}"


LEFT = Site("eth0", host="192.168.1.2", router="192.168.1.1")
RIGHT = Site("eth1", host="10.0.0.2", router="10.0.0.1")


class Lab:
    """Two hosts in network namespaces and our ends of their TUN devices. Raises HostError where there can be none."""

    def __init__(self, mtu: int = 1500) -> None:
        self.mtu = mtu
        with ExitStack() as stack:
            # One after the other: where the first cannot be had, the second need not be tried.
            self.left, self.left_link = self._host(LEFT, stack)
            self.right, self.right_link = self._host(RIGHT, stack)
            self._stack = stack.pop_all()

    def _host(self, site: Site, stack: ExitStack) -> tuple[NamespaceHost, TunLink]:
        order = Order("tun0", site.host, site.prefix, site.router, self.mtu)
        host = stack.enter_context(NamespaceHost(order))
        return host, stack.enter_context(host.attach())

    @property
    def privilege(self) -> str:
        """How the hosts came by their namespaces: "privileged" or "user namespace"."""
        return self.left.privilege

    def connect(self, router: Router) -> LiveLoop:
        """Put a router (wall clock, no interfaces yet) between the hosts; returns the loop that drives it."""
        loop = LiveLoop(router)
        for site, link in ((LEFT, self.left_link), (RIGHT, self.right_link)):
            loop.serve(router.add_interface(site.interface, site.router_address, mtu=self.mtu, link=link))
        for host in (self.left, self.right):
            loop.watch(host, host.take_messages)
        return loop

    def close(self) -> None:
        """End the hosts; nothing of them is left. Again is harmless."""
        self._stack.close()

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def finished(jobs: Iterable[Job]) -> Callable[[], bool]:
    """A condition for `LiveLoop.run`: all these jobs are done."""
    waiting = list(jobs)
    return lambda: all(job.done for job in waiting)
