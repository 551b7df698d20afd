"""TCP connections between two hosts, a line for each: jobs for `simulator.live.host.NamespaceHost.start`."""

from __future__ import annotations

import socket

from simulator.live.echo import Pinged
from simulator.live.messages import Report

__all__ = ["PORT", "call", "serve"]

PORT = 80
_HELLO = b"hello over TCP\n" * 400
"""6,000 octets: more than one segment."""


def serve(report: Report, port: int, count: int) -> int:
    """Take so many connections and send back what comes over each. Reports when it listens; how many came."""
    with socket.create_server(("", port)) as server:
        report("listening")
        for _ in range(count):
            connection, (host, _) = server.accept()
            with connection:
                connection.settimeout(5)
                report(f"connection from {host}, segments to it carry up to {_segment(connection)} octets")
                echo = b""
                while len(echo) < len(_HELLO) and (piece := connection.recv(65536)):
                    echo += piece
                connection.sendall(echo)
    return count


def call(report: Report, host: str, port: int, count: int, patience: float) -> Pinged:
    """Connect so many times, send some octets and wait for them to come back."""
    echoed = 0
    for number in range(1, count + 1):
        try:
            with socket.create_connection((host, port), timeout=patience) as connection:
                report(
                    f"connection {number} to {host}:{port}, segments to it carry up to {_segment(connection)} octets"
                )
                connection.sendall(_HELLO)
                echo = b""
                while len(echo) < len(_HELLO) and (piece := connection.recv(65536)):
                    echo += piece
        except OSError as error:
            report(f"connection {number} to {host}:{port}: {error.strerror or error}")
            continue
        if echo == _HELLO:
            echoed += 1
            report(f"{len(echo)} octets came back over connection {number}")
    return Pinged(count, echoed)


def _segment(connection: socket.socket) -> int:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
