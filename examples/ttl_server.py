"""A helper that another program starts: it is told over standard input what to divert, marks those packets with a TTL,
and takes its rules back when standard input ends.

    PORT 12300      the divert port
    NET 10.0.0.0/8  packets there are marked (any number of these)
    GO              begin
"""

import re
import select
import socket
import subprocess
import sys

RULE = 12300
TTL = 42
DIVERT = 254


def ipfw(*words):
    command = ["ipfw", "-q", *map(str, words)]
    print(">>", " ".join(command), file=sys.stderr)
    subprocess.run(command, check=True)


def is_there(number):
    listing = subprocess.run(["ipfw", "list"], stdout=subprocess.PIPE, check=True).stdout
    return any(re.match(rb"%05d " % number, line) for line in listing.splitlines())


def read_orders():
    port, networks = None, []
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "PORT":
            port = int(rest)
        elif word == "NET":
            networks.append(rest)
        elif word == "GO":
            return port, networks
        else:
            sys.exit(f"fatal: expected PORT, NET or GO but got {line!r}")
    sys.exit("fatal: standard input ended before GO")


def mark(packet):
    changed = bytearray(packet)
    changed[8] = TTL
    changed[10:12] = b"\0\0"
    total = sum(changed[i] << 8 | changed[i + 1] for i in range(0, (changed[0] & 15) * 4, 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    changed[10:12] = (~total & 0xFFFF).to_bytes(2, "big")
    return bytes(changed)


def main():
    port, networks = read_orders()
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, DIVERT)
    sock.bind(("0.0.0.0", port))
    if is_there(RULE):
        ipfw("delete", RULE)
    for network in networks:
        ipfw("add", RULE, "divert", port, "ip", "from", "any", "to", network, "out", "not", "ipttl", TTL)
    print("STARTED", flush=True)
    try:
        while True:
            readable, _, _ = select.select([sock, sys.stdin], [], [])
            if sock in readable:
                packet, tag = sock.recvfrom(4096)
                print(f"marked {len(packet)} octets, tag {tag[1]}", flush=True)
                sock.sendto(mark(packet), tag)
            if sys.stdin in readable and not sys.stdin.readline():
                break
    finally:
        ipfw("delete", RULE)


if __name__ == "__main__":
    main()
