"""The command language: what is refused and how, and what the finer points of reading words come to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rules.ipchains import PROFILES, CommandError, Flag, Inverse, MasqueradeEntry, Names, Rule, Tables

TRY = "Try `ipchains -h' or 'ipchains --help' for more information.\n"


def usage(message: str) -> str:
    return f"ipchains: {message}\n{TRY}"


def kernel(message: str) -> str:
    return f"ipchains: {message}\n"


def rule_of(command: str, **options: Names) -> Rule:
    tables = Tables(**options)
    tables.run(f"-A input {command}")
    (rule,) = tables.chains["input"].rules
    return rule


@pytest.mark.parametrize(
    ("command", "stderr", "status"),
    [
        ("", usage("no command specified"), 2),
        ("-A input extra", TRY, 2),
        ("-A input -- -j DENY", usage("unknown arguments found on commandline"), 2),
        ("-A input -p tcp !", usage("nothing appropriate following !"), 2),
        ("-A input ! ! -p tcp", usage("multiple consecutive ! not allowed\n"), 2),
        ("-A input ! -p ! tcp", usage("Multiple `!' flags not allowed"), 2),
        ("! -A input", usage("unexpected ! flag"), 2),
        ("-A input -F", usage("Can't use -F with -A\n"), 2),
        ("-D input 1 -D input", usage("Can't use -D with -D\n"), 2),
        ("-L -Z -F", usage("Can't use -F with -Z\n"), 2),
        ("-L input -Z", usage("-L with -Z does not allow chain to be specified"), 2),
        ("-M", usage("-M/--masquerading requires -L/--list or -S/--set"), 2),
        ("-A input -l -l", usage("multiple -l flags not allowed\n"), 2),
        ("-A input ! -l", usage("cannot have ! before -l\n"), 2),
        ("-A input ! --no-warnings", usage("cannot have ! before --no-warnings"), 2),
        ("-L -l", usage("Illegal option `-l' with this command\n"), 2),
        ("-L -Z -n -p tcp", usage("Illegal option `-p' with this command\n"), 2),
        ("-C input -p tcp", usage("one port required with source/destination address for -C"), 2),
        ("-C input -p 47", usage("You need to supply the `-s' option for this command\n"), 2),
        ("-R input -j DENY", usage("-R requires a rule number"), 2),
        ("-R input 0 -j DENY", usage("Invalid rule number `0'"), 2),
        ("-P input", usage("-P requires a chain and a policy"), 2),
        ("-P input deny", usage("Invalid policy `deny' for -P"), 2),
        ("-P input DIVERT", usage("Invalid policy `DIVERT' for -P"), 2),
        ("-P mine DENY", usage("Can only set policy in built-in chains."), 2),
        ("-P input MASQ", usage("`-P MASQ' only valid for `forward' chain."), 2),
        ("-S 1 2", usage("-S requires 3 timeout values"), 2),
        ("-S 1 x 3", usage("invalid timeout value `x' specified"), 2),
        ("-N ninechars", usage("chain name `ninechars' too long (must be under 8 chars)"), 2),
        ("-A input -j ninechars", usage("Invalid target name `ninechars' (8 chars max)"), 2),
        ("-A input -p bogus", usage("unknown protocol `bogus' specified"), 2),
        ("-A input -p ! all", usage("rule would never match protocol"), 2),
        ("-A input -p", usage("option requires an argument -- 'p'"), 2),
        ("-A input -s 1.2.3.4/33", usage("invalid mask `33' specified"), 2),
        ("-A input -s nosuchhost", usage("host/network `nosuchhost' not found"), 2),
        ("-A input -s 1.2.3.4.5", usage("host/network `1.2.3.4.5' not found"), 2),
        ("-A input -s 1.2.3.4 !", usage("nothing appropriate following !"), 2),
        ("-A input -s !", TRY, 2),
        ("-A input -p !", TRY, 2),
        ("-A input --sport 1", usage("can only specify ports for icmp, tcp or udp"), 2),
        ("-F --sport 1", usage("no ports allowed without specific protocol"), 2),
        ("-A input -p ! tcp --sport 1", usage("no ports allowed without specific protocol"), 2),
        ("-A input -p tcp --sport 65536", usage("invalid port/service `65536' specified"), 2),
        ("-A input -p udp --sport http", usage("invalid port/service `http' specified"), 2),
        ("-A input -p icmp --sport x", usage("invalid ICMP type `x' specified"), 2),
        ("-A input -p icmp --sport ho", usage("Ambiguous ICMP `ho' : `host-unreachable' or `host-unknown'?"), 2),
        ("-A input -p icmp --sport ping --dport 0", usage("Can't use ICMP name and destination port together"), 2),
        ("-A input -p icmp --icmp-type ! ping", usage("Can't invert named ICMP types"), 2),
        ("-A input -y", usage("-y only allowed with TCP protocol"), 2),
        ("-A input -p tcp -f --sport 1", usage("no ports allowed with -f"), 2),
        ("-A input -p tcp -f -y", usage("-y not allowed with -f"), 2),
        ("-A input -m 1x", usage("Bad value `1x' for -m.\n"), 2),
        ("-A input -o 65536", usage("-o argument must be 0-65535, not `65536'"), 2),
        (
            "-A input -i seventeencharsabc",
            usage("interface name `seventeencharsabc' must be shorter than IFNAMSIZ (16)"),
            2,
        ),
        ("-A input -t 1", usage("-t requires 2 hexbyte arguments"), 2),
        ("-A input -t 1 100", usage("invalid hexbyte `100' specified"), 2),
        ("-A input -t 0xFE 0", usage("TOS manipulation cannot alter bit 0 (RFC1349)\n"), 2),
        ("-A input -t 1 6", usage("TOS manipulation cannot set multiple TOS bits (RFC1349)\n"), 2),
        ("-A input -j REDIRECT", usage("redirecting only allowed with TCP or UDP"), 2),
        ("-A output -p tcp -j REDIRECT", usage("redirect not allowed for output and forward chains"), 2),
        ("-A input -j MASQ", usage("masquerading not allowed for input and output chains"), 2),
        ("-A input -j DIVERT", usage("DIVERT requires a port number"), 2),
        ("-A input -j DIVERT -l", usage("DIVERT requires a port number"), 2),
        ("-A input -j DIVERT 0", usage("invalid divert port `0' specified"), 2),
        ("-A input -j DIVERT 65536", usage("invalid divert port `65536' specified"), 2),
        ("-A input -p tcp -j DIVERT http", usage("invalid divert port `http' specified"), 2),
        ("-Q", usage("invalid option -- 'Q'"), 2),
        ("--nosuch=1", usage("unrecognized option '--nosuch=1'"), 2),
        ("--flush=input --verbose=1", usage("option '--verbose' doesn't allow an argument"), 2),
        ("--append", usage("option '--append' requires an argument"), 2),
        ("--pro tcp --p", usage("option '--p' is ambiguous; possibilities: '--policy' '--protocol'"), 2),
        ("-A none -j DENY", kernel("No target by that name"), 1),
        ("-A input -j none", kernel("No target by that name"), 1),
        ("-D input -j none", kernel("No chain by that name"), 1),
        ("-D input 1", kernel("No chain by that name"), 1),
        ("-D input -j DENY", kernel("bad rule (does a matching rule exist in that chain?)"), 1),
        ("-I input 2 -j DENY", kernel("bad rule (does a matching rule exist in that chain?)"), 1),
        ("-N input", kernel("Chain already exists"), 1),
        ("-X input", kernel("Device or resource busy"), 1),
        ("-L none", kernel("No chain by that name"), 1),
        ("-C none -p 47 -s 1.1.1.1 -d 2.2.2.2 -i eth0", kernel("No chain by that name"), 1),
    ],
)
def test_refused(command: str, stderr: str, status: int) -> None:
    tables = Tables()
    result = tables.execute(command.split())
    assert (result.stderr, result.status) == (stderr, status)
    assert list(tables.chains) == ["input", "forward", "output"]
    assert not any(chain.rules for chain in tables.chains.values())
    with pytest.raises(CommandError) as error:
        tables.run(command)
    assert (str(error.value), error.value.stderr, error.value.status) == (stderr, stderr, status)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("", Rule()),
        ("-j DENY", Rule(target="DENY")),
        ("-jDENY -m5", Rule(target="DENY", mark=5, flags=Flag.MARK_ABSOLUTE)),
        ("--jump=DENY", Rule(target="DENY")),
        ("-s 10/8", Rule(source=0, source_mask=0xFF000000)),
        ("-s 10.0/16", Rule(source=0x0A000000, source_mask=0xFFFF0000)),
        ("-s 1.2.3", Rule(source=0x01020003, source_mask=0xFFFFFFFF)),
        ("-s any/0", Rule()),
        ("-s ! 0/0", Rule(inverse=Inverse.SOURCE)),
        ("-s loopback/8", Rule(source=0x7F000000, source_mask=0xFF000000)),
        ("-s LocalHost", Rule(source=0x7F000001, source_mask=0xFFFFFFFF)),
        ("-d 1.2.3.4/255.0.255.0", Rule(destination=0x01000300, destination_mask=0xFF00FF00)),
        ("-p GRE", Rule(protocol=47)),
        ("-p Udp --dport ntp", Rule(protocol=17, destination_ports=(123, 123))),
        ("-p tcp -s 0/0 ! :www", Rule(protocol=6, source_ports=(0, 80), inverse=Inverse.SOURCE_PORTS)),
        ("-p tcp -d 0/0 1024:", Rule(protocol=6, destination_ports=(1024, 65535))),
        ("-p icmp --icmp-type ping", Rule(protocol=1, source_ports=(8, 8))),
        ("-p icmp -s 0/0 net-un -p", None),
        ("-i ! ppp+", Rule(interface="ppp", flags=Flag.WILDCARD, inverse=Inverse.INTERFACE)),
        ("-ieth0", Rule(interface="-ieth0")),
        ("-i !eth0", Rule(interface="!eth0")),
        ("-m -5", Rule(mark=0xFFFFFFFB)),
        ("-m 010", Rule(mark=8, flags=Flag.MARK_ABSOLUTE)),
        ("-m 4294967296", Rule(mark=0xFFFFFFFF, flags=Flag.MARK_ABSOLUTE)),
        ("-o", Rule(output_size=65535, flags=Flag.NETLINK)),
        ("-o 40", Rule(output_size=40, flags=Flag.NETLINK)),
        ("-t 0x01 10", Rule(tos_and=1, tos_xor=0x10)),
        ("-j DIVERT 1234", Rule(target="DIVERT", port=1234)),
        ("-p icmp -j DIVERT 65535", Rule(protocol=1, target="DIVERT", port=65535)),
        ("-p tcp -j REDIRECT smtp", Rule(protocol=6, target="REDIRECT", port=25)),
        ("! -f -l", Rule(flags=Flag.FRAGMENT | Flag.LOG, inverse=Inverse.FRAGMENT)),
        ("-p 6 -y", Rule(protocol=6, flags=Flag.SYN)),
    ],
)
def test_meaning(command: str, expected: Rule | None) -> None:
    if expected is None:
        with pytest.raises(CommandError):
            rule_of(command)
    else:
        assert rule_of(command) == expected


def test_text_and_words_and_the_name_of_the_program() -> None:
    tables = Tables()
    tables.run("ipchains -A input -j DENY")
    tables.run(["-A", "input", "-i", "two words"])
    assert [rule.interface for rule in tables.chains["input"].rules] == ["", "two words"]


def test_both_ways() -> None:
    tables = Tables()
    tables.run("-I input -b -p tcp -s 10.0.0.1 80 -d ! 10.0.0.2 ! 1: -y -j DENY")
    there, back = tables.chains["input"].rules[::-1]
    assert (there.source, there.source_ports, there.destination_ports) == (0x0A000001, (80, 80), (1, 65535))
    assert (back.source, back.source_ports, back.destination_ports) == (0x0A000002, (1, 65535), (80, 80))
    assert there.inverse == Inverse.DESTINATION | Inverse.DESTINATION_PORTS
    assert back.inverse == Inverse.SOURCE | Inverse.SOURCE_PORTS
    tables.run("-A output -b -p icmp -s ! 1.1.1.1 8 -d 2.2.2.2 0")
    assert tables.chains["output"].rules[1].source_ports == (8, 8)


def test_several_addresses() -> None:
    names = Names.standard().with_hosts({"farm": (0x0A000001, 0x0A000002, 0x0B000001)})
    tables = Tables(names=names)
    tables.run("-A input -s farm -d farm/8")
    assert [(rule.source, rule.destination) for rule in tables.chains["input"].rules] == [
        (source, destination)
        for source in (0x0A000001, 0x0A000002, 0x0B000001)
        for destination in (0x0A000000, 0x0B000000)
    ]
    for command, message in (
        ("-A input -s ! farm", "! not allowed with multiple source or destination IP addresses"),
        ("-A input -b -s farm", "-b not allowed with multiple source or destination IP addresses"),
        ("-R input 1 -s farm", "Replacement rule does not specify a unique address"),
    ):
        assert tables.execute(command.split()).stderr == usage(message)


def test_check() -> None:
    tables = Tables()
    for command in (
        "-N mine", "-N loop", "-A loop -j loop", "-A mine -p udp -j DIVERT 5", "-A input -p tcp -y -j REJECT",
        "-A input -p udp -j mine", "-A input -p 47 -j loop", "-A input -p icmp -f -j DENY",
        "-A forward -j MASQ", "-A mine -p tcp -j REDIRECT",
    ):  # fmt: skip
        tables.run(command)
    where = "-s 10.0.0.1 {} -d 10.0.0.2 {} -i eth0"
    both = where.format(1, 1)
    assert tables.run(f"-C input -p tcp {both}") == "accepted\n"
    assert tables.run(f"-C input -p tcp {both} -y") == "rejected\n"
    assert tables.run(f"-C input -p udp {both}") == "diverted\n"
    assert tables.run(f"-C input -p icmp {where.format('', '')} -f") == "denied\n"
    assert tables.run(f"-C input -p gre {where.format('', '')}") == "caught in loop\n"
    assert tables.run(f"-C forward -p all {where.format('', '')} -b") == "masqueraded\nmasqueraded\n"
    assert tables.run(f"-C mine -p tcp {both}") == "redirected\n"
    assert tables.run(f"-C mine -p icmp {both}") == "passed through chain\n"
    ping = f"-C input -p icmp {where.format('ping', '')}"
    assert tables.run(ping) == "accepted\n"
    tables.run("-I input -p icmp -s 0/0 8 -d 0/0 0 -j DENY")
    assert tables.run(ping) == "denied\n"
    needs_ports = tables.execute(f"-C input -p icmp {where.format('', '')}".split())
    assert needs_ports.stderr == usage("one port required with source/destination address for -C")
    assert not any(entry.packets for chain in tables.chains.values() for entry in chain.entries)
    broad = tables.execute(f"-C mine -p icmp {where.format('redirect', '')}".split())
    assert broad.stderr == usage("Must specify exact ICMP type for testing")


def test_warnings() -> None:
    tables = Tables(ip_forward=False, terminal=True)
    warning = (
        "Warning: you must enable IP forwarding for packets to be forwarded at all:\n"
        " Use `echo 1 > /proc/sys/net/ipv4/ip_forward'\n"
    )
    assert tables.run("-A forward -j DENY") == warning
    assert tables.run("-A forward -j DENY --no-warnings") == ""
    assert tables.run("-A input -j DENY") == ""
    assert tables.execute(["-A", "forward", "-x"]).stdout == warning
    assert Tables(ip_forward=False).run("-A forward -j DENY") == ""
    tos = tables.run("-A input -t 0xFF 0x08").splitlines()
    assert tos[0] == "Warning: TOS manipulation may set multiple TOS bits for Maximize Reliability TOS (0x04)"
    assert tables.run("-A input -t 0xFF 0x08 --no-warnings") == ""


def test_an_empty_name_spoils_the_list_of_chains() -> None:
    tables = Tables()
    tables.run(["-N", ""])
    for words in (["-L"], ["-F"], ["-Z"], ["-X"]):
        assert tables.execute(words).stderr == kernel("Incompatible with this kernel")
    tables.run("-F input")


def test_all_chains_are_tried() -> None:
    tables = Tables()
    for command in ("-N used", "-N free", "-N full", "-A input -j used", "-A full -j DENY"):
        tables.run(command)
    result = tables.execute(["-X", "-v"])
    assert result.stdout == "Deleting chain `used'\nDeleting chain `free'\nDeleting chain `full'\n"
    assert (result.stderr, result.status) == (kernel("Chain is not empty"), 1)
    assert list(tables.chains) == ["input", "forward", "output", "used", "full"]


def test_the_echo_damages_wildcards() -> None:
    tables = Tables()
    said = tables.run("-v -A input -b -i eth+ -s 10.0.0.1 -j DENY")
    assert said.splitlines() == [
        "DENY  all opt    ------ tos 0xFF 0x00  via eth+    10.0.0.1 -> 0.0.0.0/0    n/a",
        "DENY  all opt    ------ tos 0xFF 0x00  via eth++    0.0.0.0/0 -> 10.0.0.1    n/a",
    ]
    assert [rule.interface for rule in tables.chains["input"].rules] == ["eth+", "eth++"]


def test_without_the_patch() -> None:
    stock = Tables(replace(PROFILES["linux-2.2"], divert=False))
    assert stock.execute(["-A", "input", "-j", "DIVERT", "5"]).stderr == TRY
    assert stock.execute(["-A", "input", "-j", "DIVERT"]).stderr == kernel("No target by that name")


class OneConnection:
    """A masquerading table with one entry."""

    def __init__(self) -> None:
        self.timeouts: tuple[float, ...] = ()

    def entries(self) -> list[MasqueradeEntry]:
        return [MasqueradeEntry("TCP", 89999, 0xC0A80102, 1025, 0x0A000001, 80, 61000, 7, -1, 2)]

    def set_timeouts(self, tcp: float, tcp_fin: float, udp: float) -> None:
        self.timeouts = tcp, tcp_fin, udp


def test_masquerading() -> None:
    table = OneConnection()
    tables = Tables(masquerading=table)
    assert tables.run("-M -L -n").splitlines() == [
        "IP masquerading entries",
        "prot expire   source               destination          ports",
        "TCP  14:59.99 192.168.1.2          10.0.0.1             1025 (61000) -> 80",
    ]
    assert tables.run("-M -L -v").splitlines()[1:] == [
        "prot expire      initseq delta prevd source               destination          ports",
        "TCP  14:59.99          7    -1     2 192.168.1.2          10.0.0.1             1025 (61000) -> http",
    ]
    tables.run("-S 900 0 60")
    assert table.timeouts == (900, 0, 60)
    assert Tables().run("-L -M") == "IP masquerading entries\n"


def test_help_and_version() -> None:
    tables = Tables()
    assert tables.run("-V") == "ipchains 1.3.9, 17-Mar-1999\n"
    assert tables.run("! -V -A") == "Not ipchains 2.0\n"
    icmp = tables.run("-h ICMP")
    assert "echo-reply (pong)\ndestination-unreachable\n   network-unreachable\n" in icmp
    assert tables.run("-hicmp") == icmp
    assert "DIVERT" in tables.run("--help")


def test_names_from_files() -> None:
    names = Names.from_files(
        services="web 8080/tcp w # comment\nweb 80/tcp\nbad x/tcp\n",
        protocols="any 0\nvia 99 VIA",
        networks="home 192.168.7\n",
        hosts="10.1.1.1 a b\n10.1.1.2 A\n::1 six",
    )
    tables = Tables(names=names)
    assert rule_of("-p tcp --dport web", names=names).destination_ports == (8080, 8080)
    tables.run("-A input -p VIA -s home -d b")
    assert tables.run("-L input").splitlines()[2] == (
        "-          via  ------  home                 a                     n/a"
    )
    assert len(names.host_or_network("a")) == 2
    assert tables.execute(["-A", "input", "-s", "six"]).status == 2


def test_a_profile_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'linux2\.2' is none of linux-2\.2, linux-2\.0"):
        Tables("linux2.2")
