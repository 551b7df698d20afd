"""From the words of a command line to a :class:`~rules.ipchains.request.Request`.

Source: ipchains(8); linux.md section 9.2.  When all words are taken the whole is checked in the tool's order, so that
of several mistakes the same one is complained about.  Nothing here touches a chain.
"""

from __future__ import annotations

from collections.abc import Sequence

from rules.errors import CommandError
from rules.fields import ICMP, TCP, UDP
from rules.ipchains import arguments, tos
from rules.ipchains.commandline import CommandLine
from rules.ipchains.names import Names
from rules.ipchains.options import ALLOWED, COMPULSORY, RULE_COMMANDS, Command, Option
from rules.ipchains.request import Request
from rules.ipchains.rule import Flag, Inverse, Rule
from rules.ipchains.words import problem

__all__ = ["FORWARDING_WARNING", "parse"]

FORWARDING_WARNING = (
    "Warning: you must enable IP forwarding for packets to be forwarded at all:\n"
    " Use `echo 1 > /proc/sys/net/ipv4/ip_forward'\n"
)
"""linux.md U19b."""

_NOWHERE: tuple[tuple[int, ...], int] = (), 0
_NO_PORTS = (0, 0)
_PORT_OPTIONS = {Option.SOURCE_PORTS, Option.DESTINATION_PORTS}


def parse(
    words: Sequence[str], names: Names, *, divert: bool = True, forwarding_warning: bool = False
) -> Request | str:
    """Understand a command line, the program's name not among the words.

    Returns the request, or the text that ``-V`` and ``-h`` print.  ``divert``: the tool is the patched one.
    ``forwarding_warning``: the machine does not forward and a person sits before it.  Raises :class:`CommandError`
    with status 2, and in its ``stdout`` what was printed.
    """
    line = CommandLine(words, names, divert)
    if line.take_words():
        return line.answer
    if line.scanner.index < len(words):
        raise problem("unknown arguments found on commandline")
    if not line.commands:
        raise problem("no command specified")
    if line.inverted:
        raise problem("nothing appropriate following !")
    printed: list[str] = []
    try:
        return _request(line, names, forwarding_warning, printed)
    except CommandError as error:
        error.stdout = "".join(printed)
        raise


def _request(line: CommandLine, names: Names, forwarding_warning: bool, printed: list[str]) -> Request:
    """Check what was said; ``printed`` takes the warnings."""
    has_rule = bool(line.commands & RULE_COMMANDS)
    source = line.source if Option.SOURCE in line.options or not has_rule else "0.0.0.0/0"
    destination = line.destination if Option.DESTINATION in line.options or not has_rule else "0.0.0.0/0"
    icmp = line.protocol == ICMP
    (sources, source_mask), source_ports = _NOWHERE, _NO_PORTS
    (destinations, destination_mask), destination_ports = _NOWHERE, _NO_PORTS
    if source is not None:
        sources, source_mask = arguments.host_network_mask(source, names)
        if not icmp:
            source_ports = arguments.ports(line.source_ports, line.protocol, names)
    if destination is not None:
        destinations, destination_mask = arguments.host_network_mask(destination, names)
        if not icmp:
            destination_ports = arguments.ports(line.destination_ports, line.protocol, names)
    if icmp:
        source_ports, destination_ports = _icmp(line, names)

    _check_addresses(line, sources, destinations)
    _check_ports(line, source_ports, destination_ports)
    _check_target(line)
    if Command.REPLACE in line.commands and (len(sources) != 1 or len(destinations) != 1):
        raise problem("Replacement rule does not specify a unique address")
    adds = bool(line.commands & {Command.APPEND, Command.INSERT})
    if adds and line.chain == "forward" and forwarding_warning and line.warnings:
        printed.append(FORWARDING_WARNING)
    if line.commands == {Command.SET_TIMEOUTS}:
        line.commands |= {Command.MASQUERADING}
    _check_options(line)
    if line.chain is not None and len(line.chain) > arguments.NAME_LENGTH:
        raise problem(f"chain name `{line.chain}' too long (must be under {arguments.NAME_LENGTH} chars)")
    port = _target_port(line, names)
    warnings = tos.check(*line.tos)
    if line.warnings:
        printed.append(warnings)
    if line.commands == {Command.MASQUERADING}:
        raise problem("-M/--masquerading requires -L/--list or -S/--set")

    return Request(
        commands=line.commands,
        options=line.options,
        chain=line.chain,
        number=line.number,
        policy=line.policy,
        timeouts=line.timeouts,
        rule=Rule(
            source_mask=source_mask,
            destination_mask=destination_mask,
            interface=line.interface,
            protocol=line.protocol,
            source_ports=source_ports,
            destination_ports=destination_ports,
            target=line.target,
            port=port,
            flags=line.flags,
            inverse=line.inverse,
            tos_and=line.tos[0],
            tos_xor=line.tos[1],
            mark=line.mark,
            output_size=line.output_size,
        ),
        sources=sources,
        destinations=destinations,
        warnings="".join(printed),
    )


def _icmp(line: CommandLine, names: Names) -> tuple[tuple[int, int], tuple[int, int]]:
    """Types and codes: a name stands for both, numbers are given like ports (linux.md U13, C5)."""
    named = arguments.icmp_types(line.source_ports)
    if named is None:
        return (
            arguments.ports(line.source_ports, ICMP, names),
            arguments.ports(line.destination_ports, ICMP, names),
        )
    if line.destination_ports is not None:
        raise problem("Can't use ICMP name and destination port together")
    line.options |= {Option.DESTINATION_PORTS}
    codes = named.codes
    if Command.CHECK in line.commands:
        if named.broad:
            raise problem("Must specify exact ICMP type for testing")
        codes = codes[0], codes[0]
    if line.inverse & (Inverse.SOURCE_PORTS | Inverse.DESTINATION_PORTS):
        raise problem("Can't invert named ICMP types")
    return (named.kind, named.kind), codes


def _check_addresses(line: CommandLine, sources: Sequence[int], destinations: Sequence[int]) -> None:
    """linux.md U10."""
    if max(len(sources), len(destinations)) <= 1:
        return
    if line.inverse & (Inverse.SOURCE | Inverse.DESTINATION):
        raise problem("! not allowed with multiple source or destination IP addresses")
    if Option.BIDIRECTIONAL in line.options:
        raise problem("-b not allowed with multiple source or destination IP addresses")


def _check_ports(line: CommandLine, source_ports: tuple[int, int], destination_ports: tuple[int, int]) -> None:
    """What protocol, ports, ``-y`` and ``-f`` say of each other (linux.md U12, U14, C3)."""
    options = line.options
    other_protocols = Inverse.PROTOCOL in line.inverse
    only_fragments = Flag.FRAGMENT in line.flags and Inverse.FRAGMENT not in line.inverse
    if (not line.protocol or other_protocols) and options & _PORT_OPTIONS:
        raise problem("no ports allowed without specific protocol")
    if (line.protocol != TCP or other_protocols) and Option.SYN in options:
        raise problem("-y only allowed with TCP protocol")
    if only_fragments and options & _PORT_OPTIONS:
        raise problem("no ports allowed with -f")
    if only_fragments and Option.SYN in options:
        raise problem("-y not allowed with -f")
    if Command.CHECK not in line.commands:
        return
    if line.protocol in (TCP, UDP, ICMP) and Option.FRAGMENT not in options:
        single = source_ports[0] == source_ports[1] and destination_ports[0] == destination_ports[1]
        if not single or not options >= _PORT_OPTIONS:
            raise problem("one port required with source/destination address for -C")
    if line.inverse:
        raise problem("! not allowed with -C")


def _check_target(line: CommandLine) -> None:
    """Where MASQ and REDIRECT have no business (linux.md U15); DIVERT may stand anywhere (D3)."""
    if line.target == "REDIRECT":
        if line.protocol not in (TCP, UDP) or Inverse.PROTOCOL in line.inverse:
            raise problem("redirecting only allowed with TCP or UDP")
        if line.chain in ("output", "forward"):
            raise problem("redirect not allowed for output and forward chains")
    if line.target == "MASQ" and line.chain in ("input", "output"):
        raise problem("masquerading not allowed for input and output chains")


def _check_options(line: CommandLine) -> None:
    """Whether the commands go with the options, asked in the options' order (linux.md U8)."""
    for option in Option:
        if option not in line.options:
            if any(option in COMPULSORY.get(command, ()) for command in line.commands):
                raise problem(f"You need to supply the `-{option.letter}' option for this command\n")
        elif not any(option in ALLOWED[command] for command in line.commands):
            raise problem(f"Illegal option `-{option.letter}' with this command\n")


def _target_port(line: CommandLine, names: Names) -> int:
    if line.target == "DIVERT" and "DIVERT" in line.targets_with_port:
        return arguments.divert_port(line.port)
    if line.target == "REDIRECT" and line.port is not None:
        return arguments.port(line.port, line.protocol, names)
    return 0
