"""ipchains-save and ipchains-restore: the tables as text, and back.

Source: linux.md U28, U29.  The old script lost the port of a DIVERT rule; here it is kept.  Two more things are written
that the script left out, because the table would not come back equal: an inverted range of all ports and an inverted
wildcard for every interface.  Where the script asked on the terminal, a function is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rules.addresses import dotted
from rules.ipchains.chains import BUILT_IN, Chain
from rules.ipchains.rule import ALL_PORTS, Action, Inverse, Rule, SpecialTarget
from rules.ipchains.tables import Result, Tables

__all__ = ["restore", "save", "saved_rule"]

_POLICY_CODES = {str(action.value): action.name for action in Action if 0 != action.value < Action.SKIP.value}
"""Policies as old kernels wrote them: -1, 1, 2, 3, 4."""


def save(tables: Tables, chain: str | None = None) -> Result:
    """Every chain, or one.  The text goes to stdout, what is being saved to stderr; status 1 if there is no such chain.

    The policy of a user chain is written ``-``.
    """
    if chain is not None and chain not in tables.chains:
        return Result("", f"ipchains-save: no chain `{chain}'\n", 1)
    chains = [found for name, found in tables.chains.items() if chain in (None, name)]
    lines = [f":{found.name} {'-' if found.policy is None else found.policy.name}" for found in chains]
    lines += [line for found in chains for line in _rules(found)]
    told = [f"Saving `{found.name}'." for found in chains if found.entries]
    return Result("".join(f"{line}\n" for line in lines), "".join(f"{line}\n" for line in told), 0)


def _rules(chain: Chain) -> Iterator[str]:
    for rule in chain.rules:
        yield f"-A {chain.name} {saved_rule(rule)}"


def saved_rule(rule: Rule) -> str:
    """One rule as it is saved: masks dotted, ports as ranges, the protocol as a number."""
    words: list[str] = []
    for option, address, mask, ports, inverse, inverse_ports in (
        ("-s", rule.source, rule.source_mask, rule.source_ports, Inverse.SOURCE, Inverse.SOURCE_PORTS),
        (
            "-d",
            rule.destination,
            rule.destination_mask,
            rule.destination_ports,
            Inverse.DESTINATION,
            Inverse.DESTINATION_PORTS,
        ),
    ):
        words += [option, *rule.bang(inverse), f"{dotted(address)}/{dotted(mask)}"]
        if ports != ALL_PORTS or inverse_ports in rule.inverse:
            words += [*rule.bang(inverse_ports), f"{ports[0]}:{ports[1]}"]
    words += rule.interface_words()
    if rule.protocol:
        words += ["-p", *rule.bang(Inverse.PROTOCOL), str(rule.protocol)]
    words += [*rule.tos_words(), *rule.target_words(), *rule.log_words()]
    words += [*rule.flag_words(), *rule.mark_words(), *rule.copy_words()]
    return " ".join(words)


def restore(
    tables: Tables,
    text: str,
    *,
    flush: Callable[[str], bool] = lambda chain: False,
    make_targets: bool = False,
    verbose: bool = False,
) -> Result:
    """Carry out a saved text on these tables; it stops at the first line that fails, with status 1.

    ``flush`` is asked about every user chain of the text that exists already: true empties it, false passes its rules
    over (``-f`` answers true).  ``make_targets``: chains that rules jump to are made (``-p``).  Built-in chains are not
    flushed, so restoring twice doubles their rules.  ``verbose`` tells every line (``-v``).
    """
    printed: list[str] = []
    skipped: set[str] = set()

    def run(*words: str) -> Result:
        result = tables.execute(words)
        if result.stdout:
            printed.append(result.stdout.rstrip("\n"))
        return result

    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if verbose:
            printed.append(line)
        if line.startswith(":"):
            result = _restore_chain(tables, words, flush, skipped, printed, run)
        elif words[0] == "-A" and len(words) > 1 and words[1] in skipped:
            continue
        else:
            if make_targets:
                _make_target(tables, words, printed, run)
            result = run(*words)
        if result.status:
            told = f"{result.stderr}ipchains-restore: line {number} failed: {line}\n"
            return Result("".join(f"{said}\n" for said in printed), told, 1)
    return Result("".join(f"{said}\n" for said in printed), "", 0)


_Run = Callable[..., Result]


def _restore_chain(
    tables: Tables,
    words: list[str],
    flush: Callable[[str], bool],
    skipped: set[str],
    printed: list[str],
    run: _Run,
) -> Result:
    """``:CHAIN POLICY``."""
    name, policy = words[0][1:], words[1] if len(words) > 1 else "-"
    if name in BUILT_IN:
        return run("-P", name, _POLICY_CODES.get(policy, policy))
    if name not in tables.chains:
        printed.append(f"Creating chain `{name}'.")
        return run("-N", name)
    if flush(name):
        printed.append(f"Flushing chain `{name}'.")
        return run("-F", name)
    printed.append(f"Skipping chain `{name}'.")
    skipped.add(name)
    return Result("", "", 0)


def _make_target(tables: Tables, words: list[str], printed: list[str], run: _Run) -> None:
    if "-j" not in words[:-1]:
        return
    target = words[words.index("-j") + 1]
    if target not in tables.chains and target not in SpecialTarget.__members__:
        printed.append(f"Creating chain `{target}'.")
        run("-N", target)
