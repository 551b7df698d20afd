"""The firewall through ``setsockopt``: the packed structures of ``linux/ip_fw.h`` (2.2, i386), and what they do.

Source: linux.md D4, F9-F15, section 3; howto.md item 12.  Addresses are in network order, everything else is as a
little-endian machine has it: the divert port lies in the field of a REDIRECT port in host order.  Names of chains and
targets end with a zero within their nine octets.

A program that packs zeros packs a rule whose TOS masks are 0, and such a rule clears the TOS of what it matches; the
program of the mini-HOWTO does that (howto.md item 24).
"""

from __future__ import annotations

import errno
from enum import IntEnum
from struct import Struct

from rules.fields import ICMP, TCP, UDP, Header
from rules.ipchains.chains import Chains, refused
from rules.ipchains.engine import traverse
from rules.ipchains.masquerading import Masquerading, NoMasquerading
from rules.ipchains.rule import Action, Flag, Inverse, Rule
from rules.ipchains.verdict import Decision

__all__ = [
    "IP_FW_APPEND",
    "IP_FW_CHECK",
    "IP_FW_CREATECHAIN",
    "IP_FW_DELETE",
    "IP_FW_DELETECHAIN",
    "IP_FW_DELETE_NUM",
    "IP_FW_FLUSH",
    "IP_FW_INSERT",
    "IP_FW_MASQ_TIMEOUTS",
    "IP_FW_POLICY",
    "IP_FW_REPLACE",
    "IP_FW_ZERO",
    "SocketOption",
    "pack_change",
    "pack_delete_number",
    "pack_new",
    "pack_policy",
    "pack_rule",
    "set_option",
    "unpack_rule",
]


class SocketOption(IntEnum):
    """Options at level IPPROTO_IP."""

    APPEND = 64
    REPLACE = 65
    DELETE_NUMBER = 66
    DELETE = 67
    INSERT = 68
    FLUSH = 69
    ZERO = 70
    CHECK = 71
    MASQUERADING_TIMEOUTS = 72
    CREATE_CHAIN = 73
    DELETE_CHAIN = 74
    SET_POLICY = 75


IP_FW_APPEND = SocketOption.APPEND
IP_FW_REPLACE = SocketOption.REPLACE
IP_FW_DELETE_NUM = SocketOption.DELETE_NUMBER
IP_FW_DELETE = SocketOption.DELETE
IP_FW_INSERT = SocketOption.INSERT
IP_FW_FLUSH = SocketOption.FLUSH
IP_FW_ZERO = SocketOption.ZERO
IP_FW_CHECK = SocketOption.CHECK
IP_FW_MASQ_TIMEOUTS = SocketOption.MASQUERADING_TIMEOUTS
IP_FW_CREATECHAIN = SocketOption.CREATE_CHAIN
IP_FW_DELETECHAIN = SocketOption.DELETE_CHAIN
IP_FW_POLICY = SocketOption.SET_POLICY
"""The same by the names of <linux/ip_fw.h>."""

_LABEL = 9
_FIREWALL = Struct("<4s4s4s4sIHHHHHHHHH16sBB")
"""``ip_fw``: source, destination, their masks, mark, protocol, flags, inverse flags, ports, redirect port, output size,
interface, TOS masks."""
_USER = Struct(f"<{_FIREWALL.size}s{_LABEL}s3x")
"""``ip_fwuser``: the rule and its target."""
_CHANGE = Struct(f"<{_USER.size}s{_LABEL}s3x")
"""``ip_fwchange``: rule and chain."""
_NEW = Struct(f"<I{_USER.size}s{_LABEL}s3x")
"""``ip_fwnew``: number, rule and chain."""
_DELETE_NUMBER = Struct(f"<I{_LABEL}s3x")
"""``ip_fwdelnum``."""
_POLICY = Struct(f"<{_LABEL}s{_LABEL}s")
"""``ip_fwpolicy``: policy and chain."""
_TEST = Struct(f"<20s20s4x16s{_LABEL}s3x")
"""``ip_fwtest``: IP header, transport header, interface, chain."""
_TIMEOUTS = Struct("<iii")
_TICKS = 100
"""A second."""


# -- structures ------------------------------------------------------------------------------------------------------


def pack_rule(rule: Rule) -> bytes:
    """``struct ip_fwuser``."""
    firewall = _FIREWALL.pack(
        rule.source.to_bytes(4, "big"),
        rule.destination.to_bytes(4, "big"),
        rule.source_mask.to_bytes(4, "big"),
        rule.destination_mask.to_bytes(4, "big"),
        rule.mark,
        rule.protocol,
        rule.flags,
        rule.inverse,
        *rule.source_ports,
        *rule.destination_ports,
        rule.port,
        rule.output_size,
        rule.interface.encode("latin-1"),
        rule.tos_and,
        rule.tos_xor,
    )
    return _USER.pack(firewall, _label(rule.target))


def unpack_rule(octets: bytes) -> Rule:
    """The rule of a ``struct ip_fwuser``; ENOENT if the name of its target has no end."""
    firewall, target = _USER.unpack(octets)
    (
        source,
        destination,
        source_mask,
        destination_mask,
        mark,
        protocol,
        flags,
        inverse,
        *numbers,
        interface,
        tos_and,
        tos_xor,
    ) = _FIREWALL.unpack(firewall)
    if 0 not in target:
        raise refused(errno.ENOENT)
    return Rule(
        source=int.from_bytes(source, "big"),
        source_mask=int.from_bytes(source_mask, "big"),
        destination=int.from_bytes(destination, "big"),
        destination_mask=int.from_bytes(destination_mask, "big"),
        interface=_text(interface),
        protocol=protocol,
        source_ports=(numbers[0], numbers[1]),
        destination_ports=(numbers[2], numbers[3]),
        target=_text(target),
        port=numbers[4],
        flags=Flag(flags),
        inverse=Inverse(inverse),
        tos_and=tos_and,
        tos_xor=tos_xor,
        mark=mark,
        output_size=numbers[5],
    )


def pack_change(chain: str, rule: Rule) -> bytes:
    """``struct ip_fwchange``, for APPEND and DELETE."""
    return _CHANGE.pack(pack_rule(rule), _label(chain))


def pack_new(chain: str, number: int, rule: Rule) -> bytes:
    """``struct ip_fwnew``, for INSERT and REPLACE."""
    return _NEW.pack(number, pack_rule(rule), _label(chain))


def pack_delete_number(chain: str, number: int) -> bytes:
    """``struct ip_fwdelnum``."""
    return _DELETE_NUMBER.pack(number, _label(chain))


def pack_policy(chain: str, policy: str) -> bytes:
    """``struct ip_fwpolicy``."""
    return _POLICY.pack(_label(policy), _label(chain))


def _label(name: str) -> bytes:
    octets = name.encode("latin-1")
    if len(octets) >= _LABEL:
        raise ValueError(f"{name=} is longer than {_LABEL - 1} characters")
    return octets.ljust(_LABEL, b"\0")


def _text(octets: bytes) -> str:
    return octets.partition(b"\0")[0].decode("latin-1")


def _chain_name(octets: bytes) -> str:
    """EINVAL if the name has no end."""
    if 0 not in octets:
        raise refused(errno.EINVAL)
    return _text(octets)


# -- what they do ----------------------------------------------------------------------------------------------------


def set_option(chains: Chains, option: int, octets: bytes, masquerading: Masquerading | None = None) -> None:
    """``setsockopt(IPPROTO_IP, option, octets)`` of somebody who may.

    Raises :class:`OSError`: ENOPROTOOPT for an option that is none of these, EINVAL for a size that is not the
    structure's, and what the operation is refused with.  CHECK answers by its error, and with none if the packet is
    accepted (linux.md C2); DIVERT falls under its default, ETIMEDOUT (C8).
    """
    try:
        known = SocketOption(option)
    except ValueError:
        raise refused(errno.ENOPROTOOPT) from None
    size = _SIZES[known]
    if len(octets) != size:
        raise refused(errno.EINVAL)
    match known:
        case SocketOption.APPEND | SocketOption.DELETE:
            rule, label = _CHANGE.unpack(octets)
            operation = chains.append if known is SocketOption.APPEND else chains.delete
            operation(_existing(chains, label), unpack_rule(rule))
        case SocketOption.INSERT | SocketOption.REPLACE:
            number, rule, label = _NEW.unpack(octets)
            place = chains.insert if known is SocketOption.INSERT else chains.replace
            place(_existing(chains, label), number, unpack_rule(rule))
        case SocketOption.DELETE_NUMBER:
            number, label = _DELETE_NUMBER.unpack(octets)
            chains.delete_number(_chain_name(label), number)
        case SocketOption.FLUSH:
            chains.flush(_chain_name(octets))
        case SocketOption.ZERO:
            chains.zero(_chain_name(octets))
        case SocketOption.CREATE_CHAIN:
            chains.create(_chain_name(octets))
        case SocketOption.DELETE_CHAIN:
            chains.delete_chain(_chain_name(octets))
        case SocketOption.SET_POLICY:
            policy, label = _POLICY.unpack(octets)
            _set_policy(chains, _chain_name(label), _text(policy))
        case SocketOption.CHECK:
            _check(chains, octets)
        case SocketOption.MASQUERADING_TIMEOUTS:
            tcp, tcp_fin, udp = (ticks / _TICKS for ticks in _TIMEOUTS.unpack(octets))
            (NoMasquerading() if masquerading is None else masquerading).set_timeouts(tcp, tcp_fin, udp)


_SIZES = {
    SocketOption.APPEND: _CHANGE.size,
    SocketOption.DELETE: _CHANGE.size,
    SocketOption.INSERT: _NEW.size,
    SocketOption.REPLACE: _NEW.size,
    SocketOption.DELETE_NUMBER: _DELETE_NUMBER.size,
    SocketOption.FLUSH: _LABEL,
    SocketOption.ZERO: _LABEL,
    SocketOption.CREATE_CHAIN: _LABEL,
    SocketOption.DELETE_CHAIN: _LABEL,
    SocketOption.SET_POLICY: _POLICY.size,
    SocketOption.CHECK: _TEST.size,
    SocketOption.MASQUERADING_TIMEOUTS: _TIMEOUTS.size,
}


def _existing(chains: Chains, label: bytes) -> str:
    """The chain is looked for before the rule is looked at."""
    return chains.named(_chain_name(label)).name


def _set_policy(chains: Chains, chain: str, policy: str) -> None:
    chains.named(chain)
    if policy not in Action.__members__:
        raise refused(errno.EINVAL)
    chains.set_policy(chain, Action[policy])


_CHECK_ERRORS = {
    Action.MASQ: errno.ECONNRESET,
    Action.REDIRECT: errno.ECONNABORTED,
    Action.REJECT: errno.ECONNREFUSED,
    Action.SKIP: errno.ENFILE,
}


def _check(chains: Chains, octets: bytes) -> None:
    header, transport, interface, label = _TEST.unpack(octets)
    # The kernel looks for the end of a name at the start of the structure, where the packet is.
    if 0 not in octets[:_LABEL]:
        raise refused(errno.EINVAL)
    chain = chains.named(_text(label))
    if header[0] & 15 != 5:
        raise refused(errno.EINVAL)
    packet = _tested_packet(header, transport)
    verdict = traverse(chain, packet, _text(interface), chains.switches, testing=True)
    if verdict.decision is Decision.LOOP:
        raise refused(errno.ELOOP)
    if verdict.action is not Action.ACCEPT:
        raise refused(_CHECK_ERRORS.get(verdict.action, errno.ETIMEDOUT))


def _tested_packet(header: bytes, transport: bytes) -> Header:
    protocol = header[9]
    fragment = int.from_bytes(header[6:8], "big")
    whole = not fragment & 0x1FFF
    ports = int.from_bytes(transport[0:2], "big"), int.from_bytes(transport[2:4], "big")
    has_ports = whole and protocol in (TCP, UDP)
    is_icmp = whole and protocol == ICMP
    return Header(
        source=int.from_bytes(header[12:16], "big"),
        destination=int.from_bytes(header[16:20], "big"),
        protocol=protocol,
        tos=header[1],
        total_length=int.from_bytes(header[2:4], "big"),
        identification=int.from_bytes(header[4:6], "big"),
        fragment=fragment,
        ttl=header[8],
        payload_length=len(transport),
        source_port=ports[0] if has_ports else None,
        destination_port=ports[1] if has_ports else None,
        icmp_type=transport[0] if is_icmp else None,
        icmp_code=transport[1] if is_icmp else None,
        tcp_flags=transport[13] if whole and protocol == TCP else None,
    )
