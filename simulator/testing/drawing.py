"""Hypothesis strategies for routers, for commands to their firewalls, and for what divert programs do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from hypothesis import strategies as st

from rules import ipchains, ipfw
from rules.strategies import ipchains_rules, ipfw_rules
from simulator.profiles import PROFILES, LinuxProfile
from simulator.testing.behaviours import CHANGES, Behaviour
from simulator.testing.worlds import World

__all__ = ["behaviours", "commands", "worlds"]

_NETWORKS = (
    "192.168.1.1/24",
    "10.0.0.1/24",
    "172.16.0.1/30",
    "198.51.100.129/25",
    "203.0.113.1/24",
    "100.64.0.1/10",
)
_MTUS = (1500, 576, 1280, 296, 68)


def worlds(
    *,
    profiles: Sequence[str] = (),
    least: int = 2,
    most: int = 4,
    default_accept: bool = True,
    small_mtus: bool = True,
) -> st.SearchStrategy[World]:
    """Routers with ``least`` to ``most`` interfaces; shrinks to two of them, 1500 octets, and one default route.

    ``profiles``: which kernels, all unless said.  ``default_accept``: whether rule 65535 of ipfw allows; no other
    switch is drawn.  ``small_mtus``: some interfaces may have one below 1500.

    :raises ValueError: for a profile that does not exist, or other than 1 to 6 interfaces.
    """
    unknown = [name for name in profiles if name not in PROFILES]
    if unknown:
        raise ValueError(f"no such profile: {unknown[0]!r} (there are {', '.join(PROFILES)})")
    if not 1 <= least <= most <= len(_NETWORKS):
        raise ValueError(f"a world has 1 to {len(_NETWORKS)} interfaces, not {least} to {most}")

    @st.composite
    def world(draw: st.DrawFn) -> World:
        profile = draw(st.sampled_from(tuple(profiles) or tuple(PROFILES)))
        is_linux = isinstance(PROFILES[profile], LinuxProfile)
        names = [f"{'eth' if is_linux else 'em'}{number}" for number in range(draw(st.integers(least, most)))]
        interfaces = dict(zip(names, _NETWORKS, strict=False))
        mtus = {name: draw(st.sampled_from(_MTUS)) for name in names} if small_mtus else {}
        gateways = [World(profile=profile, interfaces=interfaces).neighbour(name) for name in reversed(names[:2])]
        routes = {"0.0.0.0/0": draw(st.sampled_from([*gateways, "reject"]))}
        for prefix in ("30.0.0.0/8", "40.0.0.0/8"):
            target = draw(st.sampled_from(["", *gateways, "reject", "blackhole"]))
            routes |= {prefix: target} if target else {}
        return World(
            profile=profile,
            interfaces=interfaces,
            mtus={name: mtu for name, mtu in mtus.items() if mtu != 1500},
            routes=routes,
            switches={} if is_linux else {"default_accept": default_accept},
        )

    return world()


def behaviours(changes: Sequence[str] = (*CHANGES, "later"), *, most: int = 4) -> st.SearchStrategy[Behaviour]:
    """Divert programs that do one to ``most`` of these things in turn; half of them only write back what they read."""
    chosen = st.lists(st.sampled_from([*changes]), min_size=1, max_size=most)
    usual = st.just(["back"]) if "back" in changes else st.nothing()
    return (usual | chosen).map(lambda words: Behaviour(*words))


@st.composite
def commands(draw: st.DrawFn, world: World) -> str:
    """Commands of ipfw or ipchains: rules more than anything, many of them diverting, and what takes them away."""
    return draw(_ipchains(world) if world.is_linux else _ipfw(world.profile))


_ACTIONS = {"divert": 4, "allow": 2, "deny": 1, "count": 1, "tee": 1, "skipto": 1, "unreach": 1}
_OF_SETS = ("set disable 1", "set enable 1")
_AWAY = ("delete 100", "delete 200", "-f flush", "zero", *_OF_SETS)
_TARGETS = {"DIVERT": 4, "ACCEPT": 2, "DENY": 1, "REJECT": 1, "": 1}


@cache
def _sets(profile: str) -> tuple[int, ...]:
    """Sets that rules are put into, 0 alone where the language has none."""
    status = ipfw.RuleSet(profile).execute("add 100 set 1 count ip from any to any").status
    return (0,) if status else (0, 0, 1)


def _ipfw(profile: str) -> st.SearchStrategy[str]:
    sets = _sets(profile)
    rules = ipfw_rules(profile, actions=_ACTIONS, most_questions=1, ports=0.2, anywhere=0.8, states=0.1, sets=sets)
    away = _AWAY if 1 in sets else _AWAY[: -len(_OF_SETS)]
    return rules | rules | rules | st.sampled_from(away)


@cache
def _user_chains(profile: str) -> tuple[str, ...]:
    """A chain of one's own, where the kernel has such."""
    return () if ipchains.Tables(profile).execute(["-N", "u0"]).status else ("u0",)


@st.composite
def _ipchains(draw: st.DrawFn, world: World) -> str:
    user_chains = _user_chains(world.profile)
    chain = draw(st.sampled_from(("input", "forward", "output", *user_chains)))
    rules = ipchains_rules(
        chain,
        targets=_TARGETS | dict.fromkeys(user_chains, 1),
        user_chains=user_chains,
        interfaces=tuple(world.interfaces),
        inverted=False,
    )
    away = [f"-D {chain} 1", f"-F {chain}", "-P forward ACCEPT", "-P forward DENY", "-Z"]
    away += [f"-N {name}" for name in user_chains]
    said = rules.map(lambda rule: rule.command(chain))
    return draw(said | said | said | st.sampled_from(away))
