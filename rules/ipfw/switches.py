"""Every behaviour in which the systems' ipfw differ, a named switch with its source; a system = one value.

Statement names (``T-2``, ``M-2a`` ...) are those of the project's behavioural notes on BSD; the systems are FreeBSD 4
(ipfw2 grammar), 10 (to which the executed head of October 2014 belongs), 11, 13, 14 and DragonFly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["PROFILES", "LimitLog", "Switches"]

LimitLog = Literal["bare", "flow", "masked flow"]
"""How much of a refused flow its log line tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """One system's ipfw; the defaults are those of FreeBSD 10."""

    tee_original: Literal["next rule", "accepted"] = "next rule"
    """What becomes of the packet whose copy went to the socket: ``"next rule"`` goes on behind the tee rule in list
    order (T-3, FreeBSD 8 and later), ``"accepted"`` ends the search (T-2, FreeBSD 4 and DragonFly)."""

    tag_beyond_list: Literal["default rule", "drop"] = "default rule"
    """A re-entry tag of 65535 or more: ``"default rule"`` (X-3, FreeBSD 8 and later) or ``"drop"``."""

    offset_one_is_bogus: bool = False
    """A TCP fragment with offset 1 (octet 8) is dropped before any rule (F-13 as seen on FreeBSD 13)."""

    missing_words: frozenset[str] = frozenset()
    """Actions, parameters and options that this system's tool does not know (11.1, G-35, DF-6)."""

    deprecates_abbreviations: bool = True
    """An abbreviated keyword works, but a line on standard error says so (G-7)."""

    needs_body_words: bool = True
    """``ipfw add allow`` alone is refused: missing protocol (M-1)."""

    c_notation_ports: bool = False
    """Divert ports in C notation up to 65535, everything else is a service name (M-2a, FreeBSD 4 and DragonFly)."""

    add_call: str = "IP_FW_XADD"
    """Name of the socket option in ``getsockopt(...): Invalid argument`` when the kernel refuses a rule (M-1)."""

    delete_absent: str = "rule {number} not found"
    """What ``delete`` says of a rule that does not exist (M-1); ``{number}`` stands for the number."""

    delete_absent_status: int = 69
    """Exit status of that ``delete``: 69, or 0 (seen on FreeBSD 13)."""

    delete_ranges: bool = False
    """``delete 100-200`` deletes the range (G-21); elsewhere only the number before the dash counts."""

    zero_absent_on_stdout: bool = True
    """``zero`` of an absent rule prints ``Entry N not found`` on standard output (M-1); elsewhere an error line."""

    rule_move_octet: bool = True
    """``set move rule N`` keeps only the low eight bits of N (ipfw2.c of the time holds it in one octet)."""

    dst_port_word: bool = True
    """Destination ports are listed behind the word ``dst-port`` (L-4; bare as seen on FreeBSD 13)."""

    reject_word: str = "reject"
    """How ``unreach host`` is listed (L-2, L-16)."""

    fragment_lists: bool = False
    """``frag`` takes a list of ``rf``, ``df``, ``mf`` and ``offset``, and is listed with one (F-12, FreeBSD 13)."""

    state_names: bool = False
    """Dynamic state has names: ``keep-state :NAME``, ``check-state :NAME | :any`` (10.3, L-12, FreeBSD 13)."""

    dynamic_header_sizes: bool = True
    """``## Dynamic rules (N SIZE):`` rather than ``## Dynamic rules (N):`` (L-17)."""

    dynamic_always_counts: bool = False
    """Entries of ``-d`` carry counters and lifetime even without ``-a`` (L-17, as read in FreeBSD 4 and DragonFly)."""

    blank_after_time: bool = False
    """A blank follows the last-match time of ``-t`` (L-1, FreeBSD 4 and DragonFly)."""

    highest_icmp_type: int = 40
    """``icmptypes`` matches no type above this one (ICMP_MAXTYPE; 18 in what was executed of FreeBSD 10)."""

    dscp_zero_is_tablearg: bool = False
    """``setdscp 0``, ``be`` and ``cs0`` mean ``setdscp tablearg``: both have the number 0 (observed, FreeBSD 10)."""

    zero_log_names_rule: bool = True
    """``zero N`` logs ``Entry N cleared.``; since FreeBSD 11 only ``cleared.``, found or not (E-44; the range commands
    of ip_fw_sockopt.c)."""

    dyn_max: int = 4096
    """How many states there may be: ``net.inet.ip.fw.dyn_max`` (D-4)."""

    dyn_parent_max: int | None = None
    """How many parents of ``limit`` there may be besides; None: they count as states (D-4, FreeBSD 12 and later)."""

    limit_log: LimitLog = "flow"
    """What the log says of a flow beyond its ``limit``: ``"bare"``, that there was one (FreeBSD 4 and DragonFly),
    ``"flow"``, which, or ``"masked flow"``, only what the limit counts by (D-6; ip_fw_dynamic.c of FreeBSD 12)."""

    keepalive_ends: Literal["both", "silent", "silent and known"] = "silent"
    """Which ends of a dying TCP flow are probed (D-4): ``"both"`` (FreeBSD 4 and DragonFly), those that did not
    acknowledge anything since the last renewal (ip_fw_dynamic.c of 10), or of these only those that ever did (12)."""

    keepalive_inclusive: bool = True
    """A flow that has just ``dyn_keepalive_interval`` to live is probed, not only one that has less (TIME_LEQ in
    ip_fw_dynamic.c of FreeBSD 8 to 11)."""

    kept_states: Literal["default rule", "their own"] = "default rule"
    """Whose action the states of a deleted rule have, with ``dyn_keep_states``: that of rule 65535, or still that of
    the rule that made them (ip_fw_dynamic.c of FreeBSD 12)."""

    missing_variables: frozenset[str] = frozenset({"dyn_parent_max", "dyn_parent_count"})
    """Variables below ``net.inet.ip.fw`` that the system does not have (sysctl tables of ip_fw2.c and
    ip_fw_dynamic.c)."""

    jail_names: bool = False
    """``jail`` takes names besides numbers, though there are no jails here that one could name (ipfw2.c of FreeBSD
    12.1)."""

    typed_tables: bool = False
    """Tables are made for one kind of key and kinds of value, have limits and locks, and their commands other texts
    (ipfw(8), LOOKUP TABLES; sbin/ipfw/tables.c of FreeBSD 11)."""

    table_names: bool = True
    """Tables may have names besides numbers (FreeBSD 11 and later, and the executed head of 2014)."""

    nat_absent: str = "nat {number} not available: Invalid argument"
    """What ``nat N delete`` says of an instance that does not exist, ``{number}`` being its number (ipfw2.c, nat.c)."""

    nat_delete_quietly: bool = True
    """With ``-q`` it says nothing of it (ipfw2.c of FreeBSD 11 and later)."""


_ACTIONS_SINCE_5 = {"call", "return", "reass", "setfib", "setdscp", "nat", "tag", "untag", "reset6", "unreach6"}
_DIVERTED = {"diverted", "diverted-loopback", "diverted-output"}
_NAT_SINCE_13 = frozenset({"unreg_cgn", "port_range"})
_FAMILIES = {"ip4", "ip6", "ipv4", "ipv6"}
_OPTIONS_SINCE_5 = {"tagged", "lookup", "dscp", "fib", "jail", "sockarg", "antispoof", "tcpdatalen"}
_SINCE_FREEBSD_5 = frozenset(_ACTIONS_SINCE_5 | _DIVERTED | _FAMILIES | _OPTIONS_SINCE_5)

_SINCE_12 = frozenset(
    {"record-state", "set-limit", "defer-action", "defer-immediate-action", "tcpmss", "abort", "abort6", "tcp-setmss"}
    | {"eaction", "create missing", "create or-flush"}
)
_SINCE_14 = frozenset(
    {"setmark", "mark", "dst-mac", "src-mac", "type mac", "valtype mark", "lookup mark", "lookup dst-mac"}
    | {"lookup src-mac", "unreach needfrag"}
)

_FREEBSD_10 = Switches(
    highest_icmp_type=18,
    dscp_zero_is_tablearg=True,
    missing_words=_NAT_SINCE_13 | {"flow"} | _SINCE_12 | _SINCE_14,
    nat_absent="rule {number} not available: Invalid argument",
    nat_delete_quietly=False,
)
_FREEBSD_11 = replace(
    _FREEBSD_10,
    rule_move_octet=False,
    highest_icmp_type=40,
    dscp_zero_is_tablearg=False,
    zero_log_names_rule=False,
    nat_absent="nat {number} not available: Invalid argument",
    nat_delete_quietly=True,
    typed_tables=True,
    missing_words=_NAT_SINCE_13 | _SINCE_12 | _SINCE_14,
)
_FREEBSD_13 = replace(
    _FREEBSD_11,
    nat_absent="nat {number} not available: No such process",
    offset_one_is_bogus=True,
    delete_absent_status=0,
    delete_ranges=True,
    dst_port_word=False,
    fragment_lists=True,
    state_names=True,
    missing_words=_SINCE_14,
    jail_names=True,
    dyn_max=16384,
    dyn_parent_max=4096,
    limit_log="masked flow",
    keepalive_ends="silent and known",
    keepalive_inclusive=False,
    kept_states="their own",
    missing_variables=frozenset(),
)
_FREEBSD_4 = Switches(
    tee_original="accepted",
    tag_beyond_list="drop",
    missing_words=_SINCE_FREEBSD_5 | {"versrcreach", "//"},
    deprecates_abbreviations=False,
    c_notation_ports=True,
    add_call="IP_FW_ADD",
    delete_absent="rule {number}: setsockopt(IP_FW_DEL): Invalid argument",
    zero_absent_on_stdout=False,
    rule_move_octet=False,
    dynamic_header_sizes=False,
    dynamic_always_counts=True,
    blank_after_time=True,
    limit_log="bare",
    keepalive_ends="both",
    keepalive_inclusive=False,
    missing_variables=frozenset(
        {"default_rule", "default_to_accept", "dyn_keep_states", "dyn_parent_count", "dyn_parent_max"}
    ),
    table_names=False,
)

PROFILES: dict[str, Switches] = {
    "freebsd-4": _FREEBSD_4,
    "freebsd-10": _FREEBSD_10,
    "freebsd-11": _FREEBSD_11,
    "freebsd-13": _FREEBSD_13,
    "freebsd-14": replace(_FREEBSD_13, missing_words=frozenset()),
    "dragonfly": replace(_FREEBSD_4, missing_words=_SINCE_FREEBSD_5 | {"//", "verrevpath", "versrcreach", "bridged"}),
}
"""The switches by name of the system."""
