"""`python -m simulator.programs NAME PORT [OPTIONS]`: a program on this machine's own divert sockets."""

from __future__ import annotations

import sys

from simulator.programs.running import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
