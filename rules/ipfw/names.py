"""Words of ipfw(8) and the numbers they stand for; and the name services the tool asks (protocols, services, users).

Tables of (5) keep the order in which the tool prints several of them (L-10, L-11, G-36).
"""

from __future__ import annotations

__all__ = [
    "DSCP_NAMES",
    "DSCP_POINTS",
    "FRAGMENT_BITS",
    "GROUPS",
    "GROUP_NAMES",
    "IP_OPTIONS",
    "LIMIT_MASKS",
    "PROTOCOLS",
    "PROTOCOL_NAMES",
    "SINGLE_MASKS",
    "TCP_FLAGS",
    "TCP_OPTIONS",
    "TOS_BITS",
    "UNREACH_CODES",
    "UNREACH_NAMES",
    "USERS",
    "USER_NAMES",
    "service_name",
    "service_port",
]

UNREACH_CODES = {
    "net": 0,
    "host": 1,
    "protocol": 2,
    "port": 3,
    "needfrag": 4,
    "srcfail": 5,
    "net-unknown": 6,
    "host-unknown": 7,
    "isolated": 8,
    "net-prohib": 9,
    "host-prohib": 10,
    "tosnet": 11,
    "toshost": 12,
    "filter-prohib": 13,
    "host-precedence": 14,
    "precedence-cutoff": 15,
}
"""ICMP unreachable codes (E-32)."""
UNREACH_NAMES = {code: name for name, code in UNREACH_CODES.items()}

FRAGMENT_BITS = {"rf": 0x80, "df": 0x40, "mf": 0x20, "offset": 0x01}
TCP_FLAGS = {"syn": 2, "fin": 1, "ack": 16, "psh": 8, "rst": 4, "urg": 32}
TCP_OPTIONS = {"mss": 1, "maxseg": 1, "window": 2, "sack": 4, "ts": 8, "timestamp": 8, "cc": 16}
IP_OPTIONS = {"ssrr": 2, "lsrr": 1, "rr": 4, "ts": 8}
TOS_BITS = {
    "lowdelay": 0x10,
    "throughput": 0x08,
    "reliability": 0x04,
    "mincost": 0x02,
    "congestion": 0x03,
    "ecntransport": 0x02,
}

DSCP_POINTS = {
    **{f"af{group}{drop}": group * 8 + drop * 2 for group in range(1, 5) for drop in range(1, 4)},
    "be": 0,
    "ef": 46,
    **{f"cs{selector}": selector * 8 for selector in range(8)},
}
"""Differentiated services code points (RFC 2474, 2597, 3246)."""
DSCP_NAMES = {point: name for name, point in reversed(DSCP_POINTS.items())}

SINGLE_MASKS = {"src-addr": 1, "src-port": 2, "dst-addr": 4, "dst-port": 8}
LIMIT_MASKS = {"all": 15, **SINGLE_MASKS}
"""Parts of a flow that ``limit`` counts by (L-12)."""

PROTOCOL_NAMES = {
    0: "ip",
    1: "icmp",
    2: "igmp",
    3: "ggp",
    4: "ipencap",
    5: "st2",
    6: "tcp",
    8: "egp",
    9: "igp",
    12: "pup",
    17: "udp",
    20: "hmp",
    22: "xns-idp",
    27: "rdp",
    29: "iso-tp4",
    33: "dccp",
    36: "xtp",
    37: "ddp",
    38: "idpr-cmtp",
    41: "ipv6",
    43: "ipv6-route",
    44: "ipv6-frag",
    45: "idrp",
    46: "rsvp",
    47: "gre",
    50: "esp",
    51: "ah",
    57: "skip",
    58: "ipv6-icmp",
    59: "ipv6-nonxt",
    60: "ipv6-opts",
    73: "rspf",
    81: "vmtp",
    88: "eigrp",
    89: "ospf",
    93: "ax.25",
    94: "ipip",
    97: "etherip",
    98: "encap",
    103: "pim",
    108: "ipcomp",
    112: "vrrp",
    115: "l2tp",
    124: "isis",
    132: "sctp",
    133: "fc",
    135: "mobility-header",
    136: "udplite",
    137: "mpls-in-ip",
    139: "hip",
    140: "shim6",
    240: "pfsync",
    258: "divert",
}
"""Protocol names as in /etc/protocols."""

_ALIASES = {
    "carp": 112,
    "ospfigp": 89,
    "st": 5,
    "ipip": 94,
    "rspf": 73,
}
PROTOCOLS = {
    **{name: number for number, name in PROTOCOL_NAMES.items()},
    **{name.upper(): number for number, name in PROTOCOL_NAMES.items()},
    **_ALIASES,
}

_BOTH, _TCP, _UDP = ("tcp", "udp"), ("tcp",), ("udp",)
_SERVICES: tuple[tuple[int, tuple[str, ...], str], ...] = (
    (1, _TCP, "tcpmux"),
    (7, _BOTH, "echo"),
    (9, _BOTH, "discard"),
    (11, _TCP, "systat"),
    (13, _BOTH, "daytime"),
    (15, _TCP, "netstat"),
    (17, _TCP, "qotd"),
    (19, _BOTH, "chargen"),
    (20, _TCP, "ftp-data"),
    (21, _TCP, "ftp"),
    (22, _TCP, "ssh"),
    (23, _TCP, "telnet"),
    (25, _TCP, "smtp"),
    (37, _BOTH, "time"),
    (43, _TCP, "whois"),
    (49, _BOTH, "tacacs"),
    (53, _BOTH, "domain"),
    (67, _UDP, "bootps"),
    (68, _UDP, "bootpc"),
    (69, _UDP, "tftp"),
    (70, _TCP, "gopher"),
    (79, _TCP, "finger"),
    (80, _TCP, "http"),
    (88, _BOTH, "kerberos"),
    (110, _TCP, "pop3"),
    (111, _BOTH, "sunrpc"),
    (113, _TCP, "auth"),
    (119, _TCP, "nntp"),
    (123, _UDP, "ntp"),
    (137, _UDP, "netbios-ns"),
    (138, _UDP, "netbios-dgm"),
    (139, _TCP, "netbios-ssn"),
    (143, _TCP, "imap2"),
    (161, _BOTH, "snmp"),
    (162, _BOTH, "snmp-trap"),
    (177, _UDP, "xdmcp"),
    (179, _TCP, "bgp"),
    (194, _BOTH, "irc"),
    (389, _BOTH, "ldap"),
    (443, _BOTH, "https"),
    (445, _TCP, "microsoft-ds"),
    (465, _TCP, "submissions"),
    (500, _UDP, "isakmp"),
    (512, _TCP, "exec"),
    (513, _TCP, "login"),
    (514, _TCP, "shell"),
    (514, _UDP, "syslog"),
    (515, _TCP, "printer"),
    (517, _UDP, "talk"),
    (520, _UDP, "route"),
    (540, _TCP, "uucp"),
    (543, _TCP, "klogin"),
    (544, _TCP, "kshell"),
    (554, _BOTH, "rtsp"),
    (587, _TCP, "submission"),
    (631, _BOTH, "ipp"),
    (636, _BOTH, "ldaps"),
    (873, _TCP, "rsync"),
    (993, _TCP, "imaps"),
    (995, _TCP, "pop3s"),
    (1080, _TCP, "socks"),
    (1194, _BOTH, "openvpn"),
    (1433, _TCP, "ms-sql-s"),
    (1434, _UDP, "ms-sql-m"),
    (1701, _UDP, "l2f"),
    (1812, _UDP, "radius"),
    (1813, _UDP, "radius-acct"),
    (2049, _BOTH, "nfs"),
    (3128, _TCP, "squid"),
    (3306, _TCP, "mysql"),
    (5060, _BOTH, "sip"),
    (5061, _BOTH, "sip-tls"),
    (5432, _TCP, "postgresql"),
    (6000, _TCP, "x11"),
    (8080, _TCP, "http-alt"),
    (8668, ("divert",), "natd"),
)
"""Services as in /etc/services: port, protocols, name."""

_SERVICE_ALIASES = {"www": "http", "mail": "smtp", "nameserver": "domain", "imap": "imap2", "ident": "auth"}

USERS = {
    "root": 0,
    "daemon": 1,
    "operator": 2,
    "bin": 3,
    "tty": 4,
    "kmem": 5,
    "games": 7,
    "news": 8,
    "man": 9,
    "sshd": 22,
    "smmsp": 25,
    "mailnull": 26,
    "bind": 53,
    "unbound": 59,
    "proxy": 62,
    "uucp": 66,
    "pop": 68,
    "www": 80,
    "ntpd": 123,
    "nobody": 65534,
}
"""Users of a base system, as in /etc/passwd."""
USER_NAMES = {number: name for name, number in USERS.items()}

GROUPS = {
    "wheel": 0,
    "daemon": 1,
    "kmem": 2,
    "sys": 3,
    "tty": 4,
    "operator": 5,
    "mail": 6,
    "bin": 7,
    "news": 8,
    "man": 9,
    "games": 13,
    "ftp": 14,
    "staff": 20,
    "sshd": 22,
    "smmsp": 25,
    "mailnull": 26,
    "guest": 31,
    "bind": 53,
    "unbound": 59,
    "proxy": 62,
    "uucp": 66,
    "dialer": 68,
    "network": 69,
    "www": 80,
    "ntpd": 123,
    "nogroup": 65533,
    "nobody": 65534,
}
"""Groups of a base system, as in /etc/group."""
GROUP_NAMES = {number: name for name, number in GROUPS.items()}


def service_port(name: str, protocol: str | None) -> int | None:
    """The port of a service, for one protocol or (None) for whichever has it."""
    name = _SERVICE_ALIASES.get(name, name)
    for port, protocols, service in _SERVICES:
        if service == name and (protocol is None or protocol in protocols):
            return port
    return None


def service_name(port: int, protocol: str | None) -> str | None:
    """The service of a port, for one protocol or (None) for whichever has it."""
    for known, protocols, service in _SERVICES:
        if known == port and (protocol is None or protocol in protocols):
            return service
    return None
