"""Under random traffic a tap at all interfaces has seen what the ledger says was received and transmitted."""

from __future__ import annotations

from typing import Any

from datagrams import ip, ping, udp
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import PROFILES, Router
from simulator.profiles import LinuxProfile

ADDRESSES = st.sampled_from(
    ["192.168.1.2", "192.168.1.1", "10.0.0.2", "10.0.0.1", "10.0.0.255", "224.0.0.1", "255.255.255.255", "127.0.0.1"]
)
DATAGRAMS = st.one_of(
    st.builds(udp, ADDRESSES, ADDRESSES, data=st.binary(max_size=40), ttl=st.sampled_from([0, 1, 64])),
    st.builds(ping, ADDRESSES, ADDRESSES, fragment=st.sampled_from([0, 0x2000, 0x4000, 3])),
    st.builds(ip, ADDRESSES, ADDRESSES, payload=st.binary(max_size=3000)),
    st.binary(max_size=30),
)
ACTIONS = st.lists(st.tuples(st.sampled_from(["eth0", "eth1", "send"]), DATAGRAMS), max_size=12)
RULES = {True: ["-P forward DENY", "-A output -p icmp -j DENY"], False: ["add deny ip from any to any out"]}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(PROFILES)), ACTIONS, st.integers(0, 2))
def test_what_is_seen_is_what_is_counted(profile: str, actions: list[tuple[str, bytes]], denied: int) -> None:
    linux = isinstance(PROFILES[profile], LinuxProfile)
    switches: dict[str, Any] = {} if linux else {"default_accept": True}
    router = Router(profile, **switches)
    eth0 = router.add_interface("eth0", "192.168.1.1/24", mtu=576)
    eth1 = router.add_interface("eth1", "10.0.0.1/24")
    for rule in RULES[linux][:denied]:
        (router.ipchains if linux else router.ipfw)(rule)
    into, out = router.tap(direction="in", buffer=1 << 30), router.tap(direction="out", buffer=1 << 30)
    for where, octets in actions:
        if where == "send":
            router.send(octets)
        else:
            router.interfaces[where].receive(octets)
    seen = []
    while into.readable:
        octets, address = into.recvfrom(65535)
        if address[0] not in ("lo", "lo0"):
            seen.append(octets)
    assert seen == [octets for where, octets in actions if where != "send"]
    assert len(seen) == router.ledger.received
    sent: dict[str, list[bytes]] = {"eth0": [], "eth1": []}
    while out.readable:
        octets, address = out.recvfrom(65535)
        sent[address[0]].append(octets)
    assert sent == {"eth0": eth0.sent, "eth1": eth1.sent}
    assert len(eth0.sent) + len(eth1.sent) == router.ledger.transmitted
