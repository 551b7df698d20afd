"""What ipfw(8) of FreeBSD 10 and later says of itself: when it understands nothing, and for ``-h``."""

from __future__ import annotations

__all__ = ["HELP_TEXT", "USAGE_TEXT"]

USAGE_TEXT = 'usage: ipfw [options]\ndo "ipfw -h" or "man ipfw" for details'
HELP_TEXT = """\
ipfw [-abcdefhnNqStT] COMMAND, or ipfw [-cfnNqS] /PATH for a file of commands
  add [N] [set N] [prob P] ACTION [log [logamount N]] [tag N] BODY
  delete N ... | delete set N | flush
  list | show | print [N | N-N] ...
  zero | resetlog [N] ...
  set show | set disable N ... enable N ... | set move [rule] N to N | set swap N N
  set N list | show | zero | resetlog | delete | flush
  enable | disable firewall | one_pass | debug | verbose | dyn_keepalive
  nat N config ip ADDRESS | if INTERFACE [log] [deny_in] [same_ports] [unreg_only] [redirect_port ...] ...
  nat show config | log | nat N show config | log | nat N delete
  table NAME add ADDRESS[/LENGTH] [VALUE] | delete ADDRESS[/LENGTH] | list | flush
  pipe N config [bw RATE] [delay MS] [queue LENGTH] [plr P] [burst SIZE] [mask FIELD BITS ...] ...
  queue N config pipe N [weight N] ... | sched N config type FIFO|WF2Q+|RR|QFQ|PRIO ...
  pipe|queue|sched list [N] | show [N] | delete N ... | flush
"""
