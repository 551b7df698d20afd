"""Linux 2.2's packet filter: the engine of 2.2.12 and the command language of ipchains 1.3.9.

>>> tables = Tables()
>>> tables.run("-A forward -p icmp -j DIVERT 1234")
''
>>> print(tables.run("-L forward -n"), end="")
Chain forward (policy ACCEPT):
target     prot opt     source                destination           ports
DIVERT     icmp ------  0.0.0.0/0            0.0.0.0/0             * ->   * => 1234
"""

from __future__ import annotations

from rules.errors import CommandError
from rules.ipchains.chains import Chain, Chains
from rules.ipchains.engine import as_matched
from rules.ipchains.entry import Entry
from rules.ipchains.masquerading import MasqueradeEntry, Masquerading, NoMasquerading
from rules.ipchains.names import Names
from rules.ipchains.rule import Action, Flag, Inverse, Rule
from rules.ipchains.saving import restore, save
from rules.ipchains.switches import PROFILES, Switches
from rules.ipchains.tables import Result, Tables
from rules.ipchains.verdict import Copy, Decision, Verdict

__all__ = [
    "PROFILES",
    "Action",
    "Chain",
    "Chains",
    "CommandError",
    "Copy",
    "Decision",
    "Entry",
    "Flag",
    "Inverse",
    "MasqueradeEntry",
    "Masquerading",
    "Names",
    "NoMasquerading",
    "Result",
    "Rule",
    "Switches",
    "Tables",
    "Verdict",
    "as_matched",
    "restore",
    "save",
]
