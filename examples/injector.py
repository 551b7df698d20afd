"""Send packets through a divert socket without having received any, as a test of a firewall does.

injector.py --dst 10.0.0.2                      an echo request leaves, as if this host had sent it
injector.py --dst 10.0.0.2 --in 192.168.1.1     ... comes in, as if received where 192.168.1.1 is
"""

import argparse
import socket
import struct

DIVERT = 258
PORT = 6668


def checksum(octets):
    if len(octets) % 2:
        octets += b"\0"
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo_request(source, destination, ttl):
    message = struct.pack("!BBHHH", 8, 0, 0, 0x1234, 1) + b"divert!!"
    message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    header = struct.pack(
        "!BBHHHBBH4s4s",
        0x45, 0, 20 + len(message), 1, 0, ttl, socket.IPPROTO_ICMP, 0,
        socket.inet_aton(source), socket.inet_aton(destination),
    )  # fmt: skip
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return header + message


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--src", default="192.168.1.2")
    parser.add_argument("--dst", required=True)
    parser.add_argument("--ttl", type=int, default=64)
    parser.add_argument("--in", dest="inward", metavar="ADDRESS", help="a local address: the packet comes in there")
    options = parser.parse_args()

    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, DIVERT)
    sock.bind(("0.0.0.0", PORT))
    packet = echo_request(options.src, options.dst, options.ttl)
    where = (options.inward or "0.0.0.0", 0)
    sent = sock.sendto(packet, where)
    print(f"{sent} octets written {'inward at ' + options.inward if options.inward else 'outward'}")
    sock.close()


if __name__ == "__main__":
    main()
