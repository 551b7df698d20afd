"""Answer pings to any address at all: the echo requests are diverted, and what is put back is their answer."""

import os
import socket
import sys

PORT = 1234


def swapped(packet):
    """The echo reply to a diverted echo request; None for anything else."""
    header = (packet[0] & 15) * 4
    if packet[9] != socket.IPPROTO_ICMP or packet[header] != 8:
        return None
    reply = bytearray(packet)
    reply[12:16], reply[16:20] = packet[16:20], packet[12:16]
    reply[header] = 0
    # From type 8 to type 0: the checksum grows by 8 in its high octet (RFC 1624).
    total = (packet[header + 2] << 8 | packet[header + 3]) + 0x0800
    reply[header + 2 : header + 4] = ((total & 0xFFFF) + (total >> 16)).to_bytes(2, "big")
    return bytes(reply)


def main():
    try:
        divert = socket.getprotobyname("divert")
    except OSError:
        divert = 254
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, divert)
    sock.bind(("", PORT))
    if os.system(f"ipfw -q add 100 divert {PORT} icmp from any to any in"):
        sys.exit("the rule was refused")
    answered = 0
    try:
        while True:
            packet, address = sock.recvfrom(65535)
            reply = swapped(packet)
            if reply is None:
                sock.sendto(packet, address)
                continue
            answered += 1
            print("answering for", socket.inet_ntoa(packet[16:20]))
            sock.sendto(reply, ("0.0.0.0", address[1]))
    except KeyboardInterrupt:
        print(f"{answered} answered")
    finally:
        os.system("ipfw -q delete 100")
        sock.close()


if __name__ == "__main__":
    main()
