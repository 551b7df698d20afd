"""Questions that only ipfw asks; those it shares with ipchains are in :mod:`rules.predicates`.

Sources: ipfw(8), RULE OPTIONS, and statements E-13 to E-25 of the behavioural notes.  A question that needs more than
the datagram (addresses of the host, a table, a route) has a method ``bind``, which makes it ready for one
:class:`~rules.ipfw.world.World`; on its own such a question answers as on a host without addresses, routes and tables.
"""

from __future__ import annotations

from rules.ipfw.bound import (
    TABLEARG,
    Bound,
)
from rules.ipfw.headerquestions import (
    AnyFragment,
    Dscp,
    Established,
    Family,
    FragmentBits,
    IpOptions,
    IpVersion,
    Mark,
    NumberIn,
    Precedence,
    TcpMss,
    TcpNumber,
    TcpOptions,
    TosBits,
)
from rules.ipfw.originquestions import (
    Antispoof,
    Comment,
    Diverted,
    Fib,
    Never,
    OwnedBy,
    SourceReachable,
    Tagged,
    VerifyReversePath,
)
from rules.ipfw.placequestions import (
    AddressIn,
    AddressInNumberedTable,
    AddressInSet,
    AddressIsLocal,
    AddressIsLocal6,
    AddressOfInterface,
    AnyInterface,
    End,
    Incoming,
    InterfaceAddress,
    InterfacePattern,
    InterfaceTable,
    InterfaceUnits,
    ReceivedBy,
    TransmittedBy,
)
from rules.ipfw.tablequestions import AddressInTable, FlowInTable, tables_of

__all__ = [
    "TABLEARG",
    "AddressIn",
    "AddressInNumberedTable",
    "AddressInSet",
    "AddressInTable",
    "AddressIsLocal",
    "AddressIsLocal6",
    "AddressOfInterface",
    "Antispoof",
    "AnyFragment",
    "AnyInterface",
    "Bound",
    "Comment",
    "Diverted",
    "Dscp",
    "End",
    "Established",
    "Family",
    "Fib",
    "FlowInTable",
    "FragmentBits",
    "Incoming",
    "InterfaceAddress",
    "InterfacePattern",
    "InterfaceTable",
    "InterfaceUnits",
    "IpOptions",
    "IpVersion",
    "Mark",
    "Never",
    "NumberIn",
    "OwnedBy",
    "Precedence",
    "ReceivedBy",
    "SourceReachable",
    "Tagged",
    "TcpMss",
    "TcpNumber",
    "TcpOptions",
    "TosBits",
    "TransmittedBy",
    "VerifyReversePath",
    "tables_of",
]
