"""The firewall of one machine: its chains, the tool's commands on them, and the way of packets through them."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from rules.errors import CommandError
from rules.fields import Fields
from rules.ipchains.chains import Chains
from rules.ipchains.engine import traverse
from rules.ipchains.execution import Execution
from rules.ipchains.masquerading import Masquerading, NoMasquerading
from rules.ipchains.names import Names
from rules.ipchains.parser import parse
from rules.ipchains.switches import Switches, switches_of
from rules.ipchains.verdict import Verdict
from rules.ipchains.words import PROGRAM
from rules.roster import Engine

__all__ = ["Result", "Tables"]


@dataclass(frozen=True, slots=True)
class Result:
    """What a run of the tool left: both outputs and the exit status."""

    stdout: str
    stderr: str
    status: int


class Tables:
    """Chains of one machine and the tool ipchains for them.

    ``profile`` is the name of a Linux profile, or its switches themselves.  ``names`` are the tables of names;
    ``masquerading`` is who answers ``-M``.  ``ip_forward`` and ``terminal`` say whether the machine forwards packets
    and whether a person sits before the tool: without the one and with the other, adding to ``forward`` warns
    (linux.md U19b).  ``engine`` is how chains are searched, with the same answers: ``"plain"``, rule by rule;
    ``"fast"``, by tables; or ``"auto"``, by tables where that pays.

    :raises ValueError: for a name that is no Linux profile's, or an engine that there is not.
    """

    def __init__(
        self,
        profile: str | Switches = "linux-2.2",
        *,
        names: Names | None = None,
        masquerading: Masquerading | None = None,
        ip_forward: bool = True,
        terminal: bool = False,
        engine: str = "auto",
    ) -> None:
        self.switches = switches_of(profile) if isinstance(profile, str) else profile
        self.chains = Chains(self.switches, Engine(engine))
        self.names = Names.standard() if names is None else names
        self.masquerading = NoMasquerading() if masquerading is None else masquerading
        self.ip_forward = ip_forward
        self.terminal = terminal

    # -- packets -------------------------------------------------------------------------------------------------

    def traverse(
        self,
        chain: str,
        fields: Fields,
        interface: str,
        *,
        diverted: bool = False,
        listening: Container[int] | None = None,
    ) -> Verdict:
        """Send a packet through a built-in chain.

        ``interface`` is the name of the device that chain sees.  ``diverted``: a divert socket wrote the packet, so
        DIVERT rules do not match.  ``listening``: the ports with a listener, so that other DIVERT rules let the packet
        on (pass-through); None if every DIVERT rule ends the search.  Raises KeyError for an unknown chain.
        """
        return traverse(self.chains[chain], fields, interface, self.switches, diverted=diverted, listening=listening)

    # -- commands ------------------------------------------------------------------------------------------------

    def run(self, command: str | Sequence[str]) -> str:
        """Run the tool on a text, split at blanks, or on a list of words; a leading ``ipchains`` is dropped.

        Returns what it prints; raises :class:`CommandError` if its status is not 0.
        """
        words = command.split() if isinstance(command, str) else [str(word) for word in command]
        if words[:1] == [PROGRAM]:
            del words[0]
        result = self.execute(words)
        if result.status:
            raise CommandError(result.stderr, result.status, result.stdout)
        return result.stdout

    def execute(self, words: Sequence[str]) -> Result:
        """Run the tool; its failure is in the result."""
        try:
            request = parse(
                words,
                self.names,
                divert=self.switches.divert,
                forwarding_warning=self.terminal and not self.ip_forward,
            )
        except CommandError as error:
            return Result(error.stdout, error.stderr, error.status)
        if isinstance(request, str):
            return Result(request, "", 0)
        execution = Execution(request, self.chains, self.names, self.masquerading)
        execution.perform()
        stdout = request.warnings + "".join(f"{line}\n" for line in execution.lines)
        if execution.complaint:
            return Result(stdout, f"{PROGRAM}: {execution.complaint}\n", 1)
        return Result(stdout, "", 0)
