"""What the first ipfw(8) prints when it is called without a command, or with a wrong option (G-4, M-3)."""

from __future__ import annotations

__all__ = ["USAGE_TEXT"]

USAGE_TEXT = """\
usage: ipfw [options]
    [pipe] flush
    add [number] rule
    [pipe] delete number ...
    [pipe] list [number ...]
    [pipe] show [number ...]
    zero [number ...]
    resetlog [number ...]
    pipe number config [pipeconfig]
  rule: [prob <match_probability>] action proto src dst extras...
    action:
      {allow|permit|accept|pass|deny|drop|reject|unreach code|
\treset|count|skipto num|divert port|tee port|fwd ip|
\tpipe num} [log [logamount count]]
    proto: {ip|tcp|udp|icmp|<number>}
    src: from [not] {me|any|ip[{/bits|:mask}]} [{port[-port]}, [port], ...]
    dst: to [not] {me|any|ip[{/bits|:mask}]} [{port[-port]}, [port], ...]
  extras:
    uid {user id}
    gid {group id}
    fragment\t  (may not be used with ports or tcpflags)
    in
    out
    {xmit|recv|via} {iface|ip|any}
    {established|setup}
    tcpflags [!]{syn|fin|rst|ack|psh|urg}, ...
    ipoptions [!]{ssrr|lsrr|rr|ts}, ...
    tcpoptions [!]{mss|window|sack|ts|cc}, ...
    icmptypes {type[, type]}...
  pipeconfig:
    {bw|bandwidth} <number>{bit/s|Kbit/s|Mbit/s|Bytes/s|KBytes/s|MBytes/s}
    {bw|bandwidth} interface_name
    delay <milliseconds>
    queue <size>{packets|Bytes|KBytes}
    plr <fraction>
    mask {all| [dst-ip|src-ip|dst-port|src-port|proto] <number>}
    buckets <number>}
    {red|gred} <fraction>/<number>/<number>/<fraction>
    droptail
"""
"""The lines of the real tool."""
