"""Every behaviour in which the systems' ipfw differ, a named switch with its source; a system = one value.

Statement names (``T-2``, ``M-2a`` ...) are those of the project's behavioural notes on BSD; the systems are FreeBSD 4
(with either of its two rule languages), 10 (to which the executed head of October 2014 belongs), 11, 13, 14 and
DragonFly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["DIALECTS", "PROFILES", "Dialect", "LimitLog", "Switches", "switches_of"]

Dialect = Literal["ipfw1", "ipfw2"]
"""The two rule languages."""

LimitLog = Literal["bare", "flow", "masked flow"]
"""How much of a refused flow its log line tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """One system's ipfw; the defaults are those of FreeBSD 10."""

    ipfw_dialect: Dialect = "ipfw2"
    """The rule language: ``"ipfw1"``, the first one, in which FreeBSD 4 is built unless its makers ask for the second
    (G-38, M-3), or ``"ipfw2"``.  Set by keyword, it brings along everything in which the two differ there.  In the
    first one ``icmptypes`` and ``established`` let later fragments pass, and ``not me`` is nobody (ip_fw.c)."""

    tool: Literal["2003", "2014"] = "2014"
    """Which generation of ipfw(8) reads the command line: ``"2003"`` (ipfw.c and ipfw2.c of FreeBSD 4 and DragonFly)
    takes the shell's words as they are, no rule numbers as ranges, and knows fewer commands (10.1, 10.2)."""

    tee_original: Literal["next rule", "accepted"] = "next rule"
    """What becomes of the packet whose copy went to the socket: ``"next rule"`` goes on behind the tee rule in list
    order (T-3, FreeBSD 8 and later), ``"accepted"`` ends the search (T-2, FreeBSD 4 and DragonFly)."""

    tag_beyond_list: Literal["default rule", "drop"] = "default rule"
    """A re-entry tag of 65535 or more: ``"default rule"`` (X-3, FreeBSD 8 and later) or ``"drop"``."""

    offset_one_is_bogus: bool = False
    """A TCP fragment with offset 1 (octet 8) is dropped before any rule (F-13 as seen on FreeBSD 13)."""

    tcp_rules_refuse_offset_one: bool = False
    """A TCP fragment with offset 1 that gets as far as the TCP questions of a rule is dropped there and logged as
    ``Refuse``, rule -1 (F-13, ip_fw.c)."""

    sctp_header_needed: bool = True
    """An SCTP packet without 12 octets of header is dropped like a short TCP one (F-13); the kernels of 2003 do not
    know SCTP."""

    transaction_tcp: bool = False
    """``tcpoptions cc`` finds the options of T/TCP (RFC 1644, ip_fw2.c of 2003); elsewhere they are never found."""

    prob_is_last: bool = False
    """``prob`` is drawn after all questions, and a small number means no match (ip_fw.c); elsewhere before them, and a
    small number means a match (E-10, E-12)."""

    limit_reached_counts: bool = True
    """A packet dropped because ``limit`` is reached, or no state can be made, is counted by the rule (E-26); not so in
    ip_fw.c."""

    state_waits_for_acks: bool = True
    """A TCP flow with SYN from both sides lives on only as acknowledgments progress both ways (D-5); in ip_fw.c every
    packet of it renews its lifetime."""

    state_counts_first: bool = False
    """The counters of a dynamic entry include the packet that made it (ip_fw2.c of DragonFly; D-10 elsewhere)."""

    terse_log: bool = False
    """Log lines say ``Unreach`` without a code, and of fragments only those that are not the first (ip_fw.c; E-41)."""

    missing_words: frozenset[str] = frozenset()
    """Actions, parameters and options that this system's tool does not know (11.1, G-35, DF-6)."""

    deprecates_abbreviations: bool = True
    """An abbreviated keyword works, but a line on standard error says so (G-7)."""

    needs_body_words: bool = True
    """``ipfw add allow`` alone is refused: missing protocol (M-1)."""

    c_notation_ports: bool = False
    """Divert ports in C notation up to 65535, everything else is a service name (M-2a, FreeBSD 4 and DragonFly)."""

    wide_rule_numbers: bool = True
    """``add 70000`` reaches the kernel, which refuses it (E-4 as observed); else the tool keeps sixteen bits, 4464
    (ipfw2.c of 2003)."""

    highest_set: int = 31
    """The highest number of a set that the tool takes (E-5; 30 in ipfw2.c of 2003)."""

    address_lists: bool = True
    """``10.0.0.1,10.0.0.2`` is a list, and ``10.0.0.0/24{1,5-9}`` may have ranges (E-14); else one address, and single
    members alone (ipfw2.c of 2003)."""

    number_lists: bool = True
    """``ipttl``, ``ipid``, ``iplen``, ``tcpwin`` take lists and ranges (E-19); else one number (ipfw2.c of 2003)."""

    interface_units: bool = False
    """An interface is a driver's name and a unit: ``em*`` is any unit, ``em`` is ``em0`` (E-18, FreeBSD 4); else a name
    or a shell pattern."""

    table_syntax: Literal["table(N)", "<N>", "none"] = "table(N)"
    """How a rule names a lookup table: ``"<N>"`` and the commands that go with it are DragonFly's; FreeBSD 4 has none
    (DF-6)."""

    interface_addresses: bool = False
    """``[em0]`` stands for an interface's address, ``[em0:net]`` for its network (ipfw2.c of DragonFly)."""

    highest_typed_icmp_type: int = 31
    """``icmptypes`` takes types up to this one (E-21; 127 in ipfw.c, 255 in ipfw2.c of DragonFly)."""

    signed_sequence_numbers: bool = True
    """``tcpseq`` and ``tcpack`` are listed as signed numbers (as executed); DragonFly's tool has them unsigned."""

    lists_address_twice: bool = False
    """``via 10.0.0.1`` is listed as ``via 10.0.0.1 via `` (ipfw2.c of DragonFly prints the empty name, too)."""

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

    listed_by_place: bool = False
    """Protocol and addresses are listed first wherever they were written, and a rule of options only without them; else
    question after question (show_static_rule of ipfw2.c, FreeBSD 13)."""

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

    tabs_for_no_time: bool = False
    """Three tabs stand for the time of a rule that never matched (ipfw.c), else 24 blanks (L-1)."""

    highest_icmp_type: int = 40
    """``icmptypes`` matches no type above this one (ICMP_MAXTYPE; 18 in what was executed of FreeBSD 10)."""

    dscp_zero_is_tablearg: bool = False
    """``setdscp 0``, ``be`` and ``cs0`` mean ``setdscp tablearg``: both have the number 0 (observed, FreeBSD 10)."""

    zero_log_names_rule: bool = True
    """``zero N`` logs ``Entry N cleared.``; since FreeBSD 11 only ``cleared.``, found or not (E-44; the range commands
    of ip_fw_sockopt.c)."""

    dyn_max: int = 4096
    """How many states there may be: ``net.inet.ip.fw.dyn_max`` (D-4; 1000 in ip_fw.c)."""

    dyn_parent_max: int | None = None
    """How many parents of ``limit`` there may be besides; None: they count as states (D-4, FreeBSD 12 and later)."""

    limit_log: LimitLog = "flow"
    """What the log says of a flow beyond its ``limit``: ``"bare"``, that there was one (FreeBSD 4 and DragonFly),
    ``"flow"``, which, or ``"masked flow"``, only what the limit counts by (D-6; ip_fw_dynamic.c of FreeBSD 12)."""

    keepalive_ends: Literal["none", "both", "silent", "silent and known"] = "silent"
    """Which ends of a dying TCP flow are probed (D-4): ``"none"`` (ip_fw.c), ``"both"`` (ip_fw2.c of FreeBSD 4 and
    DragonFly), those that did not acknowledge anything since the last renewal (ip_fw_dynamic.c of 10), or of these
    only those that ever did (12)."""

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

    strict_arguments: bool = False
    """Numbers of ``skipto``, ``divert`` and their like that are too great are refused, not cut to sixteen bits, and the
    complaint repeats them (M-1; arg_or_targ of ipfw2.c, FreeBSD 13)."""

    dynamic_only: bool = False
    """``-D`` is for dynamic state alone: lists it, deletes it (main.c of FreeBSD 12)."""

    typed_tables: bool = False
    """Tables are made for one kind of key and kinds of value, have limits and locks, and their commands other texts
    (ipfw(8), LOOKUP TABLES; sbin/ipfw/tables.c of FreeBSD 11)."""

    table_names: bool = True
    """Tables may have names besides numbers (FreeBSD 11 and later, and the executed head of 2014)."""

    nat_absent: str = "nat {number} not available: Invalid argument"
    """What ``nat N delete`` says of an instance that does not exist, ``{number}`` being its number (ipfw2.c, nat.c)."""

    nat_delete_quietly: bool = True
    """With ``-q`` it says nothing of it (ipfw2.c of FreeBSD 11 and later)."""

    schedulers: bool = True
    """Pipes are links with schedulers and flow sets, and there are ``sched`` and ``burst`` (ip_dummynet.c of FreeBSD 8
    and later); else there are pipes with a flow set each, and queues (FreeBSD 4 and DragonFly)."""

    gigabits: bool = False
    """Bandwidths reach 2^32 - 1 bit/s and may be given in G (dummynet.c of FreeBSD 13); else 2^31 - 1."""

    units_in_full: bool = False
    """``bit`` and ``byte`` in any case end a bandwidth or a queue's length, which may be in M (getbw of ipfw2.c,
    DragonFly)."""

    pipes_by_hash: bool = False
    """Pipes are listed by the slot of a hash table, the newest first (ip_dummynet.c of DragonFly), rather than by
    number (FreeBSD 4)."""

    other_queue_management: bool = False
    """The tool knows CoDel and PIE (dummynet.c of FreeBSD 11 and later), which are not modelled."""

    ecn_alone: str = "enable red/gred for ECN"
    """What the tool says of ``ecn`` without RED (dummynet.c)."""

    one_pass_asked: Literal["when it matches", "when it comes back"] = "when it matches"
    """When ``one_pass`` decides whether what a pipe held is accepted or goes on behind its rule: IPFW_ONEPASS is noted
    when the rule matches (FreeBSD 8 and later), or the variable is looked at when the packet comes back (ip_fw2.c of
    FreeBSD 4 and DragonFly)."""

    deleted_rule_drops: bool = False
    """What a pipe held is dropped when its rule is gone and ``one_pass`` is off (FreeBSD 4 and DragonFly); else it goes
    on at the place where that rule stood (X-10)."""


_ACTIONS_SINCE_5 = {"call", "return", "reass", "setfib", "setdscp", "nat", "tag", "untag", "reset6", "unreach6"}
_DIVERTED = {"diverted", "diverted-loopback", "diverted-output"}
_NAT_SINCE_13 = frozenset({"unreg_cgn", "port_range"})
_FAMILIES = {"ip4", "ip6", "ipv4", "ipv6"}
_OPTIONS_SINCE_5 = {"tagged", "lookup", "dscp", "fib", "jail", "sockarg", "antispoof", "tcpdatalen"}
_DRAGONFLY = frozenset({"defrag", "rdr", "redirect", "ipfrag", "icmpcode", "icmpcodes"})
_SINCE_12 = frozenset(
    {"record-state", "set-limit", "defer-action", "defer-immediate-action", "tcpmss", "abort", "abort6", "tcp-setmss"}
    | {"eaction", "create missing", "create or-flush"}
)
_SINCE_14 = frozenset(
    {"setmark", "mark", "dst-mac", "src-mac", "type mac", "valtype mark", "lookup mark", "lookup dst-mac"}
    | {"lookup src-mac", "unreach needfrag"}
)
_SINCE_FREEBSD_5 = frozenset(_ACTIONS_SINCE_5 | _DIVERTED | _FAMILIES | _OPTIONS_SINCE_5 | {"flow"})
_IP6 = {"src-ip6", "src-ipv6", "dst-ip6", "dst-ipv6", "icmp6types", "icmp6type", "ext6hdr", "flow-id"}
_NOT_IN_2003 = _SINCE_FREEBSD_5 | _SINCE_12 | _SINCE_14 | _IP6
_NOT_IN_2003 |= {"//", "verrevpath", "versrcreach", "ipsec", "netgraph", "ngtee"}
_VARIABLES_SINCE_5 = frozenset(
    {"default_rule", "default_to_accept", "dyn_keep_states", "dyn_parent_count", "dyn_parent_max"}
)

_FREEBSD_10 = Switches(
    highest_icmp_type=18,
    dscp_zero_is_tablearg=True,
    missing_words=_NAT_SINCE_13 | {"flow"} | _SINCE_12 | _SINCE_14 | _DRAGONFLY,
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
    missing_words=_NAT_SINCE_13 | _SINCE_12 | _SINCE_14 | _DRAGONFLY,
    other_queue_management=True,
    ecn_alone="ECN can be used with red/gred/codel/fq_codel only!",
)
_FREEBSD_13 = replace(
    _FREEBSD_11,
    nat_absent="nat {number} not available: No such process",
    offset_one_is_bogus=True,
    delete_absent_status=0,
    delete_ranges=True,
    dst_port_word=False,
    listed_by_place=True,
    strict_arguments=True,
    dynamic_only=True,
    blank_after_time=True,
    fragment_lists=True,
    state_names=True,
    missing_words=_SINCE_14 | _DRAGONFLY,
    jail_names=True,
    dyn_max=16384,
    dyn_parent_max=4096,
    limit_log="masked flow",
    keepalive_ends="silent and known",
    keepalive_inclusive=False,
    kept_states="their own",
    missing_variables=frozenset(),
    gigabits=True,
)
_TOOL_OF_2003 = Switches(
    tool="2003",
    tee_original="accepted",
    tag_beyond_list="drop",
    sctp_header_needed=False,
    transaction_tcp=True,
    missing_words=_NOT_IN_2003 | _DRAGONFLY,
    deprecates_abbreviations=False,
    c_notation_ports=True,
    wide_rule_numbers=False,
    highest_set=30,
    address_lists=False,
    number_lists=False,
    interface_units=True,
    table_syntax="none",
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
    missing_variables=_VARIABLES_SINCE_5,
    table_names=False,
    schedulers=False,
    one_pass_asked="when it comes back",
    deleted_rule_drops=True,
)
_FREEBSD_4 = replace(
    _TOOL_OF_2003,
    ipfw_dialect="ipfw1",
    tcp_rules_refuse_offset_one=True,
    prob_is_last=True,
    limit_reached_counts=False,
    state_waits_for_acks=False,
    dyn_max=1000,
    keepalive_ends="none",
    missing_variables=_VARIABLES_SINCE_5 | {"autoinc_step", "dyn_keepalive"},
    terse_log=True,
    highest_typed_icmp_type=127,
    highest_icmp_type=127,
    dst_port_word=False,
    reject_word="unreach host",
    tabs_for_no_time=True,
)

PROFILES: dict[str, Switches] = {
    "freebsd-4": _FREEBSD_4,
    "freebsd-10": _FREEBSD_10,
    "freebsd-11": _FREEBSD_11,
    "freebsd-13": _FREEBSD_13,
    "freebsd-14": replace(_FREEBSD_13, missing_words=_DRAGONFLY),
    "dragonfly": replace(
        _TOOL_OF_2003,
        missing_words=_NOT_IN_2003 | {"bridged"},
        interface_units=False,
        table_syntax="<N>",
        interface_addresses=True,
        highest_typed_icmp_type=255,
        highest_icmp_type=255,
        signed_sequence_numbers=False,
        lists_address_twice=True,
        state_counts_first=True,
        units_in_full=True,
        pipes_by_hash=True,
    ),
}
"""The switches by name of the system."""

DIALECTS: dict[str, dict[Dialect, Switches]] = {
    "freebsd-4": {"ipfw1": _FREEBSD_4, "ipfw2": _TOOL_OF_2003},
}
"""The systems that have both rule languages: the switches of each."""


def switches_of(system: str, dialect: Dialect | None = None) -> Switches:
    """The switches of a system, speaking the rule language given, or its usual one.

    :raises ValueError: for a name that is no system's, or a language that it does not have.
    """
    if system not in PROFILES:
        raise ValueError(f"profile={system!r} is none of {', '.join(PROFILES)}")
    usual = PROFILES[system]
    spoken = DIALECTS.get(system, {usual.ipfw_dialect: usual})
    if dialect is None:
        return usual
    if dialect not in spoken:
        raise ValueError(f"ipfw_dialect={dialect!r} is not {' or '.join(map(repr, spoken))}, which {system} has")
    return spoken[dialect]
