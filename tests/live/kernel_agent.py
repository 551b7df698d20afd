"""The process whose kernel is the router: it makes a network namespace with a TUN device for each link of the network.

Run by `kernel_router` as `python kernel_agent.py DESCRIPTOR`.  Over that descriptor, a Unix socket that keeps message
boundaries, it hands out the descriptors of the devices, or says why there are none; then it sets the variables of
sysctl(8) that it is told, until the socket is closed.  The namespace and all in it end with this process.
"""

from __future__ import annotations

import contextlib
import pickle
import signal
import socket
import sys
from pathlib import Path

from kernel_world import INTERFACES, ROUTES, Interface

from simulator.links.tun import create_device
from simulator.live.addresses import QUEUE_LENGTH
from simulator.live.namespaces import die_with_parent, enter_network_namespace

SYSCTL = Path("/proc/sys/net")

BEFORE = {
    "ipv6/conf/default/disable_ipv6": 1,  # or the devices would send of their own accord
    "ipv4/conf/all/rp_filter": 0,
    "ipv4/conf/default/rp_filter": 0,
    "ipv4/conf/all/send_redirects": 1,
    "ipv4/conf/default/send_redirects": 1,
    "ipv4/conf/all/shared_media": 0,  # redirects for senders on the link alone
    "ipv4/conf/default/shared_media": 0,
    "ipv4/conf/all/accept_source_route": 0,
    "ipv4/conf/default/accept_source_route": 0,
    "ipv4/conf/default/route_localnet": 0,
    "ipv4/conf/default/accept_local": 0,
}
"""What has to be there before the devices are; a kernel without IPv6 lacks the first, an old one may lack others."""

AFTER = {
    "ipv4/ip_forward": 1,
    "ipv4/ip_default_ttl": 64,
    "ipv4/ip_forward_use_pmtu": 0,
    "ipv4/icmp_ratelimit": 0,
    "ipv4/icmp_ratemask": 0,  # so that the limit for the whole machine does not count either
    "ipv4/icmp_echo_ignore_all": 0,
    "ipv4/icmp_echo_ignore_broadcasts": 0,
    "ipv4/icmp_errors_use_inbound_ifaddr": 0,
    "ipv4/ipfrag_time": 600,  # what a test leaves behind must not be heard of in a later one
    "ipv4/ipfrag_high_thresh": 1 << 28,  # nor be in its way
    "ipv4/ipfrag_max_dist": 0,  # however many other fragments come in between
}


def set_variable(name: str, value: int) -> None:
    """Below /proc/sys/net, which shows each process its own namespace's."""
    (SYSCTL / name).write_text(f"{value}\n")


def make_link(netlink: object, interface: Interface) -> int:
    """A TUN device of the interface's name, configured and up; its descriptor."""
    descriptor, device = create_device(interface.name)
    index = netlink.link_lookup(ifname=device)[0]  # type: ignore[attr-defined]
    address, length = interface.address.split("/")
    netlink.link("set", index=index, mtu=interface.mtu, txqlen=QUEUE_LENGTH)  # type: ignore[attr-defined]
    netlink.addr("add", index=index, address=address, prefixlen=int(length))  # type: ignore[attr-defined]
    netlink.link("set", index=index, state="up")  # type: ignore[attr-defined]
    return descriptor


def make_router() -> list[int]:
    """The network of `kernel_world`; the devices' descriptors in its order."""
    from pyroute2 import IPRoute

    for name, value in BEFORE.items():
        with contextlib.suppress(FileNotFoundError):
            set_variable(name, value)
    with IPRoute() as netlink:
        netlink.link("set", index=netlink.link_lookup(ifname="lo")[0], state="up")
        descriptors = [make_link(netlink, interface) for interface in INTERFACES]
        for prefix, via, kind in ROUTES:
            netlink.route("add", dst=prefix, type=kind, **({} if via is None else {"gateway": via}))
    for name, value in AFTER.items():
        set_variable(name, value)
    return descriptors


def main() -> None:
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        try:
            enter_network_namespace()
            die_with_parent(signal.SIGKILL)
            descriptors = make_router()
        except Exception as error:
            channel.send(pickle.dumps(f"{type(error).__name__}: {error}"))
            return
        socket.send_fds(channel, [pickle.dumps("")], descriptors)
        while order := channel.recv(4096):
            set_variable(*pickle.loads(order))
            channel.send(pickle.dumps(""))


if __name__ == "__main__":
    main()
