"""Tables as text: listings, saved text, the proc files, and the structures of setsockopt."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from rules.fields import Header
from rules.ipchains import Action, Flag, MasqueradeEntry, Rule, Tables
from rules.ipchains.listing import damaged, rounded
from rules.ipchains.proc import chain_names, chain_rules
from rules.ipchains.saving import restore, save
from rules.ipchains.sockopt import (
    SocketOption,
    pack_change,
    pack_delete_number,
    pack_new,
    pack_policy,
    pack_rule,
    set_option,
    unpack_rule,
)


def tables(*commands: str) -> Tables:
    made = Tables()
    for command in commands:
        made.run(command)
    return made


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "    0"),
        (99999, "99999"),
        (100000, " 100K"),
        (100500, " 101K"),
        (9999499, "9999K"),
        (9999500, "  10M"),
        (9999499999, "9999M"),
        (9999500000, "  10G"),
        (123456789012345, "123457G"),
    ],
)
def test_rounding(count: int, shown: str) -> None:
    assert rounded(count) == shown


def test_divert_shows_its_port_always() -> None:
    firewall = tables(
        "-A input -j DIVERT 80",
        "-A input -p icmp --icmp-type ping -j DIVERT 80",
        "-A input -p tcp -d 0/0 80 -j DIVERT 80",
    )
    assert [line.split("anywhere")[-1].strip() for line in firewall.run("-L input").splitlines()[2:]] == [
        "n/a => 80",
        "echo-request => 80",
        "any ->   http => 80",
    ]
    echoed = firewall.run("-v -A input -j DIVERT 80")
    assert echoed.endswith("0.0.0.0/0 -> 0.0.0.0/0    n/a => 80\n")


def test_list_and_zero() -> None:
    firewall = tables("-A input -j ACCEPT")
    firewall.traverse("input", Header(total_length=50), "eth0")
    shown = firewall.run("-L -Z -v -n").splitlines()
    assert shown[2].startswith("    1    50 ACCEPT")
    assert firewall.chains["input"].entries[0].packets == 0


def test_the_echo_reaches_the_tos_masks_behind_a_long_name() -> None:
    long = Rule(interface="fifteencharname", flags=Flag.WILDCARD)
    once = damaged(long)
    assert (once.interface, once.tos_and, once.tos_xor) == ("fifteencharname+", 0, 0)
    twice = damaged(once)
    assert (twice.interface, twice.tos_and) == ("fifteencharname+", ord("+"))
    assert damaged(Rule(interface="eth0")) == Rule(interface="eth0")
    assert damaged(Rule()) == Rule()


# -- save and restore ------------------------------------------------------------------------------------------------

SAVED = """\
:input DENY
:forward ACCEPT
:output ACCEPT
:mine -
-A input -s 10.0.0.0/255.0.0.0 80:80 -d 0.0.0.0/0.0.0.0 ! 0:65535 -i eth+ -p 6 -j REDIRECT 8080 -l ! -y
-A forward -s ! 1.2.3.4/255.255.255.255 -d 0.0.0.0/0.0.0.0 -i ! ppp0 -p ! 1 -j DIVERT 1234 -f -m +4294967291 -o 40
-A mine -s 0.0.0.0/0.0.0.0 -d 0.0.0.0/0.0.0.0 -t 0x01 0x10 -j mine -m 7
"""


def saved_tables() -> Tables:
    return tables(
        "-P input DENY",
        "-N mine",
        "-A input -p tcp -s 10.0.0.0/8 80 -d 0/0 ! : -i eth+ -j REDIRECT 8080 -l ! -y",
        "-A forward -p ! icmp -s ! 1.2.3.4 -i ! ppp0 -f -j DIVERT 1234 -m -5 -o 40",
        "-A mine -j mine -t 1 10 -m 7",
    )


def test_save() -> None:
    result = save(saved_tables())
    assert result.stdout == SAVED
    assert result.stderr == "Saving `input'.\nSaving `forward'.\nSaving `mine'.\n"
    assert save(saved_tables(), "mine").stdout.splitlines()[0] == ":mine -"
    assert len(save(saved_tables(), "mine").stdout.splitlines()) == 2
    assert save(Tables(), "none").status == 1


def test_restore() -> None:
    fresh = Tables()
    result = restore(fresh, "# saved\n\n" + SAVED)
    assert (result.stdout, result.stderr, result.status) == ("Creating chain `mine'.\n", "", 0)
    assert save(fresh).stdout == SAVED
    assert {name: chain.rules for name, chain in fresh.chains.items()} == {
        name: chain.rules for name, chain in saved_tables().chains.items()
    }


def test_restore_twice_doubles_built_in_chains_only_unless_told_to_flush() -> None:
    firewall = Tables()
    restore(firewall, SAVED)
    assert restore(firewall, SAVED).stdout == "Skipping chain `mine'.\n"
    assert [len(chain.rules) for chain in firewall.chains.values()] == [2, 2, 0, 1]
    asked: list[str] = []
    restore(firewall, SAVED, flush=lambda chain: not asked.append(chain))  # type: ignore[func-returns-value]
    assert asked == ["mine"]
    assert [len(chain.rules) for chain in firewall.chains.values()] == [3, 3, 0, 1]


def test_restore_reads_policies_of_old_kernels() -> None:
    firewall = Tables()
    assert restore(firewall, ":input 1\n:forward 4\n:output -1\n").status == 0
    assert [chain.policy for chain in firewall.chains.values()] == [Action.DENY, Action.MASQ, Action.REJECT]
    assert restore(firewall, ":input 3\n").status == 1


def test_restore_stops_at_the_first_failure() -> None:
    firewall = Tables()
    result = restore(firewall, "-A input -j DENY\n-A input -j none\n-A input -j ACCEPT\n")
    assert result.status == 1
    assert result.stderr == ("ipchains: No target by that name\nipchains-restore: line 2 failed: -A input -j none\n")
    assert len(firewall.chains["input"].rules) == 1
    assert restore(firewall, "-A input -j none\n", make_targets=True).stdout == "Creating chain `none'.\n"


# -- the kernel's own view -------------------------------------------------------------------------------------------


def test_proc() -> None:
    firewall = tables(
        "-P forward REJECT", "-N mine", "-A input -j mine", "-A mine -p tcp -y ! -f -i eth+ -m -1 -j DENY"
    )
    firewall.chains["input"].octets = (3 << 32) + 7
    firewall.chains["mine"].entries[0].packets = 1 << 33
    assert chain_names(firewall.chains) == (
        "input ACCEPT 1 0 0 3 7\nforward REJECT 1 0 0 0 0\noutput ACCEPT 1 0 0 0 0\nmine - 1 0 0 0 0\n"
    )
    assert chain_rules(firewall.chains) == (
        "    input 00000000/00000000->00000000/00000000 - 10 0 0 0         0         0         0        "
        " 0-65535 0-65535 AFF X00 00000000 0 0      mine\n"
        "     mine 00000000/00000000->00000000/00000000 eth 16 80 6 2         0         0         0        "
        " 0-65535 0-65535 AFF X00 00000000 4294967295 0      DENY\n"
    )


# -- setsockopt ------------------------------------------------------------------------------------------------------

RULE = Rule(
    source=0x0A000001,
    source_mask=0xFFFFFF00,
    protocol=6,
    source_ports=(1, 2),
    interface="eth0",
    target="DIVERT",
    port=1234,
    mark=0xDEADBEEF,
    output_size=0xFFFF,
)


def test_packed_rule() -> None:
    octets = pack_rule(RULE)
    assert octets.hex(" ", 4) == (
        "0a000001 00000000 ffffff00 00000000 efbeadde 06000000 00000100 02000000 ffffd204"
        " ffff6574 68300000 00000000 00000000 0000ff00 44495645 52540000 00000000"
    )
    assert unpack_rule(octets) == RULE


def test_sizes_of_the_structures() -> None:
    sizes = [
        len(pack_rule(RULE)),
        len(pack_change("input", RULE)),
        len(pack_new("input", 1, RULE)),
        len(pack_delete_number("input", 1)),
        len(pack_policy("input", "DENY")),
    ]
    assert sizes == [68, 80, 84, 16, 18]


def test_a_program_of_the_how_to() -> None:
    """It packs zeros, sets protocol, ports and size, and so clears the TOS of all it diverts; then it cleans up."""
    rule = Rule(protocol=1, target="DIVERT", port=4321, output_size=0xFFFF, tos_and=0)
    firewall = Tables()
    octets = pack_change("output", rule)
    set_option(firewall.chains, 64, octets)
    said = firewall.traverse("output", Header(protocol=1, icmp_type=8, icmp_code=0, tos=0x10, total_length=28), "eth0")
    assert (said.action, said.port, said.tos) == (Action.DIVERT, 4321, 0)
    set_option(firewall.chains, 67, octets)
    assert not firewall.chains["output"].rules


def label(name: str) -> bytes:
    return name.encode().ljust(9, b"\0")


def test_every_option() -> None:
    firewall = Tables()
    chains = firewall.chains
    set_option(chains, SocketOption.CREATE_CHAIN, label("mine"))
    set_option(chains, SocketOption.APPEND, pack_change("mine", RULE))
    set_option(chains, SocketOption.INSERT, pack_new("mine", 1, Rule(target="DENY")))
    set_option(chains, SocketOption.REPLACE, pack_new("mine", 1, Rule(target="ACCEPT")))
    assert [rule.target for rule in chains["mine"].rules] == ["ACCEPT", "DIVERT"]
    set_option(chains, SocketOption.DELETE_NUMBER, pack_delete_number("mine", 1))
    chains["mine"].entries[0].packets = 5
    set_option(chains, SocketOption.ZERO, label("mine"))
    assert chains["mine"].entries[0].packets == 0
    set_option(chains, SocketOption.FLUSH, label("mine"))
    set_option(chains, SocketOption.DELETE_CHAIN, label("mine"))
    assert list(chains) == ["input", "forward", "output"]
    set_option(chains, SocketOption.SET_POLICY, pack_policy("forward", "MASQ"))
    assert chains["forward"].policy is Action.MASQ


class Timeouts:
    def __init__(self) -> None:
        self.set: tuple[float, ...] = ()

    def entries(self) -> tuple[MasqueradeEntry, ...]:
        return ()

    def set_timeouts(self, tcp: float, tcp_fin: float, udp: float) -> None:
        self.set = tcp, tcp_fin, udp


def test_timeouts_are_in_hundredths() -> None:
    table = Timeouts()
    set_option(Tables().chains, 72, (150).to_bytes(4, "little") + bytes(8), table)
    assert table.set == (1.5, 0, 0)


@pytest.mark.parametrize(
    ("option", "octets", "number"),
    [
        (63, b"", errno.ENOPROTOOPT),
        (64, pack_change("input", RULE)[:-1], errno.EINVAL),
        (64, pack_change("none", RULE), errno.ENOENT),
        (64, pack_change("input", replace(RULE, target="none")), errno.ENOENT),
        (64, pack_change("input", RULE)[:68] + b"123456789" + bytes(3), errno.EINVAL),
        (64, pack_change("input", RULE)[:56] + b"123456789" + bytes(3) + label("input") + bytes(3), errno.ENOENT),
        (64, pack_change("input", replace(RULE, flags=Flag(0x40))), errno.EINVAL),
        (67, pack_change("input", RULE), errno.EINVAL),
        (69, label("none"), errno.ENOENT),
        (73, label("input"), errno.EEXIST),
        (73, b"123456789", errno.EINVAL),
        (74, label("input"), errno.EBUSY),
        (75, pack_policy("input", "MASQ"), errno.EINVAL),
        (75, pack_policy("input", "none"), errno.EINVAL),
        (75, pack_policy("none", "DENY"), errno.ENOENT),
    ],
)
def test_refused_options(option: int, octets: bytes, number: int) -> None:
    firewall = Tables()
    with pytest.raises(OSError) as refusal:
        set_option(firewall.chains, option, octets)
    assert refusal.value.errno == number
    assert not any(chain.rules for chain in firewall.chains.values())


@pytest.mark.parametrize(
    ("rule", "number"),
    [
        ("-p udp -j ACCEPT", None),
        ("-p udp -j DENY", errno.ETIMEDOUT),
        ("-p udp -j REJECT", errno.ECONNREFUSED),
        ("-p udp -j DIVERT 1", errno.ETIMEDOUT),
        ("-p udp -j MASQ", errno.ECONNRESET),
        ("-p udp -d 0/0 53 -j REDIRECT", errno.ECONNABORTED),
        ("-p udp -d 0/0 54 -j REDIRECT", errno.ENFILE),
        ("-j mine", errno.ELOOP),
    ],
)
def test_check_answers_by_its_error(rule: str, number: int | None) -> None:
    firewall = tables("-N mine", f"-A mine {rule}")
    header = bytes.fromhex("4500003c00000000401100000a0000010a000002")
    octets = header + bytes.fromhex("04000035").ljust(24, b"\0") + b"eth0".ljust(16, b"\0") + label("mine") + bytes(3)
    if number is None:
        set_option(firewall.chains, SocketOption.CHECK, octets)
    else:
        with pytest.raises(OSError) as refusal:
            set_option(firewall.chains, SocketOption.CHECK, octets)
        assert refusal.value.errno == number
    for bad in (b"\x46" + octets[1:], octets[:-1]):
        with pytest.raises(OSError) as refusal:
            set_option(firewall.chains, SocketOption.CHECK, bad)
        assert refusal.value.errno == errno.EINVAL
