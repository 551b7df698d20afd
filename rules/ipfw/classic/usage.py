"""What the older ipfw2 prints when it is called without a command, or with a wrong option, or with ``-h`` (ipfw2.c)."""

from __future__ import annotations

__all__ = ["HELP_TEXT", "USAGE_TEXT"]

USAGE_TEXT = """\
usage: ipfw [options]
    add [number] rule
    pipe number config [pipeconfig]
    queue number config [queueconfig]
    [pipe] flush
    [pipe] delete number ...
    [pipe] {list|show} [number ...]
    {zero|resetlog} [number ...]
do "ipfw -h" or see ipfw manpage for details
"""

HELP_TEXT = """\
ipfw syntax summary:
ipfw add [N] [prob {0..1}] ACTION [log [logamount N]] ADDR OPTIONS
ipfw {pipe|queue} N config BODY
ipfw [pipe] {zero|delete|show} [N{,N}]

RULE:\t\t[1..] [PROB] BODY
RULENUM:\tINTEGER(1..65534)
PROB:\t\tprob REAL(0..1)
BODY:\t\tcheck-state [LOG] (no body) |
\t\tACTION [LOG] MATCH_ADDR [OPTION_LIST]
ACTION:\tcheck-state | allow | count | deny | reject | skipto N |
\t\t{divert|tee} PORT | forward ADDR | pipe N | queue N
ADDR:\t\t[ MAC dst src ether_type ]\x20
\t\t[ from IPLIST [ PORT ] to IPLIST [ PORTLIST ] ]
IPLIST:\tIPADDR | ( IPADDR or ... or IPADDR )
IPADDR:\t[not] { any | me | ip | ip/bits | ip:mask | ip/bits{x,y,z} }
OPTION_LIST:\tOPTION [,OPTION_LIST]
"""
"""The lines of the real tool."""
