"""Run as `ipfw` or `ipchains` by a script, or by whatever a script runs: hands its words to the router's process.

    python -IS shim.py SOCKET NAME [WORDS...]

It stands alone: the interpreter that runs it looks for no packages.
"""

import json
import socket
import sys

__all__: list[str] = []


def main() -> int:
    """The exit status that the router's tool would have had."""
    path, name, *words = sys.argv[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(path)
        except OSError as error:
            print(f"{name}: the router is gone: {error.strerror}", file=sys.stderr)
            return 71
        connection.sendall(json.dumps([name, *words]).encode() + b"\n")
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    status, output, errors = json.loads(answer)
    sys.stdout.write(output)
    sys.stderr.write(errors)
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
