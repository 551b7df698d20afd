"""What the tool says of itself."""

from __future__ import annotations

__all__ = ["USAGE", "VERSION"]

VERSION = "ipchains 1.3.9, 17-Mar-1999"

USAGE = """\
ipchains -A|-D|-C CHAIN RULE [OPTION]...      append, delete, or try a packet
ipchains -I CHAIN [NUMBER] RULE [OPTION]...   insert before a rule, the first unless told otherwise
ipchains -R CHAIN NUMBER RULE [OPTION]...     replace a rule
ipchains -D CHAIN NUMBER                      delete a rule by its number
ipchains -L|-F|-Z|-X [CHAIN] [OPTION]...      list, flush, zero, delete: one chain, or all
ipchains -N CHAIN                             make a chain
ipchains -P CHAIN TARGET                      what happens at the end of a built-in chain
ipchains -M -L | -M -S TCP TCPFIN UDP         masquerading: list, or set the timeouts in seconds
ipchains -h [icmp] | -V                       this text, the names of ICMP types, or the version

Commands
  -A --append    -D --delete    -I --insert      -R --replace        -L --list          -F --flush
  -Z --zero      -C --check     -N --new-chain   -X --delete-chain   -P --policy        -M --masquerading
  -S --set       -V --version   -h --help
Rules; [!] turns the answer round
  -p [!] PROTOCOL                 --protocol: a number, a name, or all
  -s [!] ADDRESS[/MASK] [[!] PORT[:PORT]]     --source, --src
  -d [!] ADDRESS[/MASK] [[!] PORT[:PORT]]     --destination, --dst
  --source-port [!] PORT[:PORT]   --sport; an ICMP type under -p icmp
  --destination-port [!] PORT[:PORT]          --dport; an ICMP code under -p icmp
  --icmp-type NAME                see -h icmp
  -i [!] NAME[+]                  --interface; + stands for any ending
  -j TARGET [PORT]                --jump; REDIRECT may have a port, DIVERT must
  [!] -f                          --fragments: second and later ones
  [!] -y                          --syn: TCP packets that open a connection
  -b                              --bidirectional: also the rule for the other way
  -l                              --log
  -m [+|-]MARK                    --mark
  -o [SIZE]                       --output: a copy to the netlink device
  -t AND XOR                      --TOS: two octets in hexadecimal
Output
  -n --numeric    -v --verbose    -x --exact    --line-numbers    --no-warnings
"""
